"""`vibrissa eval`: scripted pilots and checkpoints, and one line for whatever is wrong."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vibrissa import cli
from vibrissa.bench.evaluate import Rows, Setup, evaluate
from vibrissa.bench.helpers import WorkerLost
from vibrissa.bench.outcomes import read_rows
from vibrissa.commands.eval import HELD_OUT


def judged(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What `--json` prints; nothing else may be on stdout."""
    assert cli.main(["eval", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the debug recipe on two demonstrations: it fits the arm, and solves nothing."""
    folder = tmp_path_factory.mktemp("a run")
    told = ["--episodes", "2", "--seeds", "5"]
    assert cli.main(["record", "--out", str(folder / "set"), *told]) == 0
    words = ["train", "debug", str(folder / "set"), "--out", str(folder / "run")]
    assert cli.main([*words, "--device", "cpu"]) == 0
    return folder / "run"


@pytest.mark.parametrize(
    ("pilot", "task", "success"),
    [
        ("expert", "pick-place", 3),
        ("expert", "lift", 3),
        ("zero", "pick-place", 0),
        ("zero", "lift", 0),
        ("random", "pick-place", 0),
    ],
)
def test_scripted_pilots(
    capsys: pytest.CaptureFixture[str], pilot: str, task: str, success: int
) -> None:
    told = judged(capsys, "--pilot", pilot, "--task", task, "--episodes", "3")
    assert (told["success"], told["episodes"]) == (success, 3)
    assert (told["pilot"], told["task"], told["faults"]) == (pilot, task, 0)
    assert sum(told["classes"].values()) == 3
    assert told["beside"] == {}


def test_the_same_seeds_give_the_same_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--pilot", "expert", "--task", "pick-place", "--seeds", "70"]
    judged(capsys, *words, "--episodes", "4", "--out", str(tmp_path / "four"))
    judged(capsys, *words, "--episodes", "2", "--out", str(tmp_path / "two"))
    told = [
        {r.seed: (r.reason, r.ticks, r.spawn, r.measures) for r in read_rows(p / "outcomes.jsonl")}
        for p in (tmp_path / "four", tmp_path / "two")
    ]
    assert list(told[0]) == [70, 71, 72, 73]
    assert told[1] == {seed: told[0][seed] for seed in (70, 71)}
    assert all(measures["static_pad_mean_n"] > 20 for *_, measures in told[0].values())


def test_a_checkpoint_stands_beside_expert_and_zero(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "judged here"
    told = judged(capsys, str(run), "--episodes", "2", "--device", "cpu", "--out", str(out))
    assert (told["pilot"], told["task"], told["episodes"]) == ("policy", "pick-place", 2)
    assert told["beside"]["expert"]["success"] == 2
    assert told["beside"]["zero"]["success"] == 0
    assert told["mean_latency_s"] > 0
    rows = read_rows(out / "outcomes.jsonl")
    assert sorted((r.pilot, r.seed) for r in rows) == sorted(
        (p, s) for p in ("policy", "expert", "zero") for s in (HELD_OUT, HELD_OUT + 1)
    )
    assert (out / "report.html").is_file()
    assert json.loads((out / "report.json").read_text())["expert"] == 1.0


def test_a_run_a_checkpoint_and_its_weights_are_the_same_policy(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = (run / "checkpoints" / "last").resolve()
    words = ["--episodes", "1", "--alone", "--device", "cpu", "--task", "pick-place"]
    told = [judged(capsys, str(p), *words) for p in (run, checkpoint / "pretrained_model")]
    for one in told:
        one.pop("mean_wall_s")
        one.pop("mean_latency_s")
    assert told[0] == told[1]


def test_the_outcome_does_not_depend_on_who_is_judged_beside(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heights = []
    for seeds, episodes in (("30", "9"), ("33", "1")):
        out = tmp_path / seeds
        words = ["--alone", "--device", "cpu", "--seeds", seeds, "--episodes", episodes]
        judged(capsys, str(run), *words, "--out", str(out))
        row = next(r for r in read_rows(out / "outcomes.jsonl") if r.seed == 33)
        heights.append((row.ticks, dict(row.measures)))
    assert heights[0] == heights[1]


def test_films_of_every_episode(
    opengl: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "films"
    words = ["--pilot", "expert", "--task", "lift", "--episodes", "2"]
    judged(capsys, *words, "--seeds", "8", "--video", str(folder))
    names = sorted(p.name for p in folder.iterdir())
    assert names == ["seed_000008_SUCCESS.mp4", "seed_000009_SUCCESS.mp4"]


def test_the_text_has_n_and_interval_and_is_plain_in_ascii(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["eval", "--pilot", "expert", "--task", "lift", "--episodes", "2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("expert  2/2 (34–100 %)")
    assert "ended   2 success" in out


def test_speed_and_range_of_the_actions_are_told(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["eval", str(run), "--episodes", "1", "--alone"]
    assert cli.main([*words, "--rollouts", str(tmp_path / "tapes")]) == 0
    told = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert re.fullmatch(r"\d+ inferences/s \([\d.]+ ms a batch\)", told["speed"])
    ranges = re.findall(r"(-?[\d.]+)\.\.(-?[\d.]+)", told["actions"])
    (tape,) = (tmp_path / "tapes").iterdir()
    sent = [tick["sent"] for tick in json.loads(tape.read_text("utf8"))["ticks"]]
    assert len(ranges) == 6
    for joint, (low, high) in enumerate(ranges):
        values = [action[joint] for action in sent]
        assert float(low) == pytest.approx(min(values), abs=0.006)
        assert float(high) == pytest.approx(max(values), abs=0.006)


def test_of_a_judgement_that_lost_a_worker_the_rows_so_far_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def two(setup: Setup, seeds: Sequence[int], **_: object) -> Rows:
        yield from evaluate(setup, seeds[:2])
        raise WorkerLost("a worker process was killed by SIGKILL. Fewer need less.")

    monkeypatch.setattr("vibrissa.bench.judge._rows", two)
    out = tmp_path / "judged"
    words = ["--pilot", "expert", "--task", "lift", "--episodes", "5", "--workers", "2"]
    assert cli.main(["eval", *words, "--out", str(out)]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("expert  2/2")
    assert told.err.splitlines()[-1] == (
        "vibrissa: a worker process was killed by SIGKILL. Fewer need less. "
        "2 of 5 episodes are judged. The same command goes on with them."
    )
    assert len(read_rows(out / "outcomes.jsonl")) == 2
    assert (out / "report.html").is_file()


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a call that must fail."""
    assert cli.main(["eval", *words]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("vibrissa: ")
    return line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say who is judged"),
        (["x", "--pilot", "zero"], "One of them"),
        (["--pilot", "zero"], "needs a task"),
        (["--pilot", "guru", "--task", "lift"], "no pilot 'guru'. There is: expert, zero, random"),
        (["--pilot", "zero", "--task", "juggle"], "no task 'juggle'"),
        (["--pilot", "zero", "--task", "lift", "--site", "moon"], "no spawn site 'moon'"),
        (["--pilot", "zero", "--task", "lift", "--friction", "ice"], "no friction 'ice'"),
        (["--pilot", "zero", "--task", "lift", "--horizon", "3"], "no chunks"),
        (["--pilot", "zero", "--task", "lift", "--episodes", "0"], "at least 1"),
        (["--pilot", "zero", "--task", "lift", "--workers", "-1"], "0 for what suits"),
        (["no/such/run"], "no/such/run"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert told in refused(capsys, *words)


def test_an_existing_folder_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    words = ["--pilot", "zero", "--task", "lift"]
    assert "there already" in refused(capsys, *words, "--out", str(tmp_path))
    assert "there already" in refused(capsys, *words, "--video", str(tmp_path / "letter.txt"))
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_another_task_is_refused_with_the_differences(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, str(run), "--task", "lift", "--device", "cpu")
    assert "rate hz: wants 30.0, has 10.0" in line
    assert "privileged: wants block.x" in line


def test_a_horizon_beyond_the_chunk_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, str(run), "--horizon", "11", "--device", "cpu")
    assert "chunks have 1 to 10 actions" in line


def test_a_policy_that_gives_nan_is_a_fault_and_not_a_failure(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safetensors.numpy import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree((run / "checkpoints" / "last").resolve(), broken)
    weights = broken / "pretrained_model" / "model.safetensors"
    tensors = load_file(weights)
    # The weights are finite, or they would not be loaded; what they lead to is not.
    tensors["model.action_head.bias"] = np.full_like(tensors["model.action_head.bias"], 3e38)
    save_file(tensors, weights)
    words = [str(broken), "--episodes", "3", "--alone", "--device", "cpu", "--json"]
    assert cli.main(["eval", *words, "--out", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["success"], told["episodes"], told["faults"]) == (0, 3, 3)
    assert told["classes"] == {"FAULT": 3}
    assert "3 of 3 episodes broke down" in err
    assert "NaN" in err
    assert len(read_rows(tmp_path / "out" / "outcomes.jsonl")) == 3
