"""Bad input to eval and deploy: one line, exit code 1, and whatever was made before is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands.test_deploy import run
from learn.elsewhere import train_elsewhere
from lerobot.policies.act.modeling_act import ACTPolicy

from vibrissa import cli
from vibrissa.bench.outcomes import Row, RowFile, read_rows
from vibrissa.learn.policy import CheckpointPolicy

__all__ = ["run"]  # a fixture

COMMANDS: dict[str, list[str]] = {
    "eval": ["eval", "--alone", "--episodes", "3", "--workers", "1"],
    "deploy": ["deploy", "--arm", "simulated", "--fast", "--rollouts", "3"],
}
Damage = Callable[[Path], object]


@pytest.fixture
def model(run: Path, tmp_path: Path) -> Path:
    """A checkpoint's pretrained_model, free to be damaged."""
    stored = run / "checkpoints" / "000020" / "pretrained_model"
    return Path(shutil.copytree(stored, tmp_path / "model"))


def called(command: str, *words: str, task: str = "pick-place") -> int:
    return cli.main([*COMMANDS[command], "--task", task, "--device", "cpu", *words])


def refused(capsys: pytest.CaptureFixture[str], command: str, *words: str, **more: str) -> str:
    """The one line on stderr of a call that must fail."""
    assert called(command, *words, **more) == 1
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if not line.startswith("judging ")]  # how far it has come
    assert len(told) == 1, lines
    assert told[0].startswith("vibrissa: ")
    return told[0]


def cut(name: str, part: float) -> Damage:
    """`name` with only its first bytes left: a number of them, or a part."""

    def damage(model: Path) -> None:
        content = (model / name).read_bytes()
        (model / name).write_bytes(content[: int(part * len(content)) if part < 1 else int(part)])

    return damage


def edited(name: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(model: Path) -> None:
        told = json.loads((model / name).read_text())
        change(told)
        (model / name).write_text(json.dumps(told))

    return damage


def emptied(model: Path) -> None:
    shutil.rmtree(model)
    model.mkdir()


def unbegun(model: Path) -> None:
    emptied(model)
    (model / "run.json").write_text("{}")


def pickled(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def infinite(model: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(model / "model.safetensors")
    tensors["model.action_head.bias"][0] = np.inf
    save_file(tensors, model / "model.safetensors")


WEIGHTS, CONFIG, BEFORE = "model.safetensors", "config.json", "policy_preprocessor.json"
STATE = "policy_preprocessor_step_3_normalizer_processor.safetensors"
CONTRACT = "vibrissa/contract.json"
TRUNCATED = "is truncated or no safetensors file"
BROKEN: dict[str, tuple[Damage, str]] = {
    "nothing in it": (emptied, "is no run, no checkpoint and no pretrained_model folder"),
    "no folder": (shutil.rmtree, "is no run, no checkpoint and no pretrained_model folder"),
    "a run without checkpoint": (unbegun, "has no checkpoint yet"),
    "weights of no byte": (cut(WEIGHTS, 0), TRUNCATED),
    "weights cut in their length": (cut(WEIGHTS, 5), TRUNCATED),
    "weights cut in their header": (cut(WEIGHTS, 200), TRUNCATED),
    "weights cut in the middle": (cut(WEIGHTS, 0.5), TRUNCATED),
    "weights cut at the end": (cut(WEIGHTS, 0.9999), TRUNCATED),
    "weights in a pickle": (pickled, "is a pickle, which is never loaded"),
    "weights with infinity": (infinite, "1 not finite: model.action_head.bias"),
    "config of no byte": (cut(CONFIG, 0), "config.json cannot be read"),
    "config cut": (cut(CONFIG, 0.5), "config.json cannot be read"),
    "config that is a list": (lambda m: (m / CONFIG).write_text("[1]"), "cannot be read"),
    "config of another kind": (edited(CONFIG, lambda c: c.update(type="pi0")), "Known: act"),
    "config without features": (
        edited(CONFIG, lambda c: c.update(input_features={})),
        "does not say what goes into the network",
    ),
    "config that asks for the impossible": (
        edited(CONFIG, lambda c: c.update(n_heads=7)),
        "describes no network",
    ),
    "config of another size": (edited(CONFIG, lambda c: c.update(dim_model=16)), "another shape"),
    "config with what is unknown": (
        edited(CONFIG, lambda c: c.update(sauce="tomato")),
        "config.json cannot be read",
    ),
    "processors lost": (lambda m: (m / BEFORE).unlink(), "what its numbers are normalised with"),
    "processors cut": (cut(BEFORE, 0.3), "policy_preprocessor.json cannot be read"),
    "statistics cut": (cut(STATE, 0.5), TRUNCATED),
    "contract cut": (cut(CONTRACT, 0.5), "cannot be read"),
    "contract that is a list": (lambda m: (m / CONTRACT).write_text("[]"), "cannot be read"),
    "another arm's": (
        edited(CONTRACT, lambda c: c.update(robot="koch")),
        "robot: wants 'koch', has 'so101'",
    ),
    "another rate": (
        edited(CONTRACT, lambda c: c.update(rate_hz=50.0)),
        "rate hz: wants 50.0, has 30.0",
    ),
    "steps in place of targets": (
        edited(CONTRACT, lambda c: c.update(action_meaning="delta to target")),
        "action meaning: wants 'delta to target'",
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", BROKEN)
def test_a_checkpoint_that_is_broken_is_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, command: str
) -> None:
    damage, told = BROKEN[what]
    damage(model)
    line = refused(capsys, command, str(model), "--out", str(tmp_path / "out"))
    assert told in line
    assert not (tmp_path / "out").exists()


def test_another_arm_s_is_told_before_a_sweep_s_folder_is_made_and_by_name_in_a_comparison(
    run: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, told = BROKEN["another arm's"]
    damage(model)
    out = tmp_path / "out"
    assert told in refused(capsys, "eval", str(model), "--sweep", "horizon=2", "--out", str(out))
    assert not out.exists()
    words = ["compare", f"ours={run}", f"theirs={model}", "--task", "pick-place"]
    assert cli.main([*words, "--device", "cpu"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("vibrissa: theirs: the checkpoint does not fit the arm so101: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_inputs_beyond_what_it_was_trained_on_are_warnings_here_and_in_the_report(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    train_elsewhere(model)
    called(command, str(model), "--out", str(tmp_path / "out"))
    out, err = capsys.readouterr()
    (line,) = [x for x in (out + err).splitlines() if x.startswith("warning ")]
    assert line.startswith("warning observation.state: shoulder_pan.pos is ")
    assert "in training 400" in line
    report = tmp_path / "out" / "report.html"
    assert json.loads(report.with_suffix(".json").read_text())["cautions"] == [line[8:]]
    assert "is it another unit, another calibration" in report.read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_task_that_does_not_fit_and_a_folder_that_is_full_are_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert "rate hz: wants 30.0, has 10.0" in refused(capsys, command, str(run), task="lift")
    (tmp_path / "letter.txt").write_text("dear")
    line = refused(capsys, command, str(run), "--out", str(tmp_path))
    assert "is there already" in line
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def raising_in(monkeypatch: pytest.MonkeyPatch, episode: int, what: Callable[[Any], Any]) -> None:
    """The policy does `what` in place of answering, in this episode, counted from 1."""
    act, reset, begun = CheckpointPolicy.act, CheckpointPolicy.reset, [0]

    def counted(self: CheckpointPolicy, slots: Any) -> None:
        begun[0] += len(slots)
        reset(self, slots)

    def answer(self: CheckpointPolicy, observations: Any) -> Any:
        made = act(self, observations)
        return what(made) if begun[0] == episode else made

    monkeypatch.setattr(CheckpointPolicy, "reset", counted)
    monkeypatch.setattr(CheckpointPolicy, "act", answer)


def _raise(_: Any) -> None:
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize(
    ("episode", "what", "told"),
    [
        (17, _raise, "PolicyFault: the policy raised ZeroDivisionError: division by zero"),
        (3, lambda made: made * np.nan, "NaN"),
        (3, lambda made: made[..., :5], "(6,)"),
    ],
    ids=["raises", "nan", "shape"],
)
def test_what_breaks_in_one_episode_costs_that_episode(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    episode: int,
    what: Callable[[Any], Any],
    told: str,
) -> None:
    raising_in(monkeypatch, episode, what)
    out, count = tmp_path / "out", episode + 1
    short = ["--slots", "1", "--episodes", str(count), "--out", str(out), "--horizon", "10"]
    assert called("eval", str(run), *short) == 1
    printed, told_last = capsys.readouterr()
    line = told_last.splitlines()[-1]
    assert line.startswith(f"vibrissa: 1 of {count} episodes broke down and count as not solved.")
    assert told in line
    rows = read_rows(out / "outcomes.jsonl")
    faults = [n for n, row in enumerate(rows, start=1) if row.failure_class == "FAULT"]
    assert (len(rows), faults) == (count, [episode])
    report = json.loads((out / "report.json").read_text())
    assert report["policy"]["faults"] == 1
    assert report["classes"]["FAULT"] == 1
    assert f"1 of {count} episodes of policy broke down" in (out / "report.html").read_text()
    assert "1 fault" in printed


def test_what_breaks_in_a_rollout_ends_a_deployment_and_keeps_those_before(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    raising_in(monkeypatch, 5, _raise)  # two resets are the first look's
    words = ["--seconds", "0.5", "--out", str(tmp_path / "out")]
    line = refused(capsys, "deploy", str(run), *words)
    assert "the policy raised ZeroDivisionError" in line
    rows = read_rows(tmp_path / "out" / "outcomes.jsonl")
    assert [row.reason for row in rows] == ["timeout", "timeout", "fault"]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["policy"]["faults"] == 1


def cpu_is_full() -> None:
    torch.empty(10**15)


def gpu_is_full() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("full", [cpu_is_full, gpu_is_full])
def test_no_memory_for_a_forward_pass_is_the_machine_s_trouble_and_no_fault_of_the_policy(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    full: Callable[[], None],
) -> None:
    predict, reset, begun = ACTPolicy.predict_action_chunk, CheckpointPolicy.reset, [0]

    def counted(self: CheckpointPolicy, slots: Any) -> None:
        begun[0] += len(slots)
        reset(self, slots)

    def short(self: ACTPolicy, batch: Any) -> Any:
        if begun[0] >= (3 if command == "eval" else 5):  # two resets are the first look's
            full()
        return predict(self, batch)

    monkeypatch.setattr(CheckpointPolicy, "reset", counted)
    monkeypatch.setattr(ACTPolicy, "predict_action_chunk", short)
    out = tmp_path / "out"
    more = {"eval": ["--slots", "1", "--horizon", "10"], "deploy": ["--seconds", "0.5"]}
    assert called(command, str(run), *more[command], "--out", str(out)) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("vibrissa: ")
    assert "this computer has no memory left for the policy (" in line
    reasons = [row.reason for row in read_rows(out / "outcomes.jsonl")]
    assert reasons == ["timeout", "timeout"] + ["aborted"] * (command == "deploy")
    report = json.loads((out / "report.json").read_text())["policy"]
    assert (report["faults"], report["episodes"]) == (0, 2)
    if command == "eval":
        assert "--slots 1. 2 of 3 episodes are judged. The same command goes on" in line


def test_a_report_that_cannot_be_written_costs_no_result(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add, out = RowFile.add, tmp_path / "out"

    def in_the_way(self: RowFile, row: Row) -> None:
        add(self, row)
        (out / "report.html").mkdir(exist_ok=True)

    monkeypatch.setattr(RowFile, "add", in_the_way)
    assert called("eval", str(run), "--out", str(out)) == 1
    printed, err = capsys.readouterr()
    assert printed.startswith("policy  0/3 (")
    assert "report  " not in printed
    assert err.splitlines()[-1].startswith("vibrissa: cannot write the report into ")


def test_an_expert_that_is_cut_short_costs_nothing_of_the_policy_s_result(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vibrissa.sim.expert import Expert

    def greedy(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Expert, "decide", greedy)
    out = tmp_path / "out"
    words = ["eval", str(run), "--task", "pick-place", "--episodes", "2", "--device", "cpu"]
    assert cli.main([*words, "--workers", "1", "--out", str(out)]) == 1
    printed, err = capsys.readouterr()
    assert printed.startswith("policy  0/2 (")
    line = err.splitlines()[-1]
    assert line.startswith("vibrissa: Expert and zero pilot are not told: there is no memory left")
    assert line.endswith("0 of 2 episodes are judged. The same command goes on with them.")
    report = json.loads((out / "report.json").read_text())
    assert report["policy"]["episodes"] == 2
    assert any("Expert and zero pilot are not told" in caution for caution in report["cautions"])


WATCHED = ("--video", "--rollouts", "--snapshots")


@pytest.mark.parametrize("flag", WATCHED)
def test_what_is_watched_and_cannot_be_kept_ends_it_after_the_row_and_is_told(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    opengl: None,
    flag: str,
) -> None:
    add, folder, out = RowFile.add, tmp_path / "watched", tmp_path / "out"

    def then_gone(self: RowFile, row: Row) -> None:
        add(self, row)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            folder.write_text("a file in its place")

    monkeypatch.setattr(RowFile, "add", then_gone)
    words = [flag, str(folder), "--slots", "1", "--horizon", "10", "--out", str(out)]
    assert called("eval", str(run), *words) == 1
    *_, line = capsys.readouterr().err.splitlines()
    assert "cannot write" in line
    assert "seed_2000001_NEVER_PICKED_UP" in line
    assert line.endswith("2 of 3 episodes are judged. The same command goes on with them.")
    assert [row.reason for row in read_rows(out / "outcomes.jsonl")] == ["timeout"] * 2


@pytest.mark.parametrize("flag", WATCHED)
def test_a_folder_that_cannot_be_made_is_told_before_any_episode(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], opengl: None, flag: str
) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    folder = tmp_path / "letter.txt" / "watched"
    line = refused(capsys, "eval", str(run), flag, str(folder))
    assert line == f"vibrissa: {flag} {folder} cannot be made: Not a directory."


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full disk at hand")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_that_fills_is_one_line_and_costs_no_row_before(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch, command: str
) -> None:
    add = RowFile.add

    def fills(self: RowFile, row: Row) -> None:
        add(self, row)
        if len(self.rows) == 2:
            self.path = Path("/dev/full")

    monkeypatch.setattr(RowFile, "add", fills)
    out = tmp_path / "out"
    line = refused(capsys, command, str(run), "--out", str(out))
    assert "cannot write /dev/full: No space left on device. The 2 rows before it are kept" in line
    assert len(read_rows(out / "outcomes.jsonl")) == 2
