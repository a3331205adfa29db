"""`vibrissa deploy`: on the simulated arm, on the twin, and one line for whatever is wrong."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from data.recordings import contract, record
from learn.tiny import quiet
from safetensors.torch import load_file, save_file
from show.films import levels, sound

from vibrissa import cli
from vibrissa.bench.logbook import Logbook
from vibrissa.bench.outcomes import read_rows
from vibrissa.commands import deploy as deploy_module
from vibrissa.commands.train import train_policy
from vibrissa.control.keys import ScriptedKeys
from vibrissa.core.contract import CameraSpec
from vibrissa.core.errors import UsageError
from vibrissa.data.dataset import open_dataset
from vibrissa.learn.recipes import recipe_named
from vibrissa.learn.run import pretrained_folder
from vibrissa.real.arm import RealArm
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.cameras import Ready
from vibrissa.twin.twin import Twin, TwinCfg

SIMULATED = ["--arm", "simulated", "--task", "pick-place", "--device", "cpu"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on joints alone, as from a real arm: it fits the simulated arm and the twin."""
    folder = tmp_path_factory.mktemp("a run")
    record(folder / "set", contract(privileged=False), 2)
    train_policy(recipe_named("debug"), folder / "set", folder / "run", threads=1, say=quiet)
    return folder / "run"


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr("vibrissa.real.arm.WARNING_S", 0.0)
    with Twin(tmp_path / "twin", make_scene("lift")) as twin:
        yield twin.folder / "rig.yaml"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert cli.main(["deploy", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The last line on stderr of a call that must fail."""
    assert cli.main(["deploy", *words]) == 1
    return capsys.readouterr().err.splitlines()[-1]


def test_speed_and_range_are_told_before_anything_moves(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(run), *SIMULATED, "--rollouts", "2", "--seconds", "0.5"]
    assert cli.main(["deploy", *words, "--out", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("checkpoints/000020/pretrained_model")  # which one is said
    assert re.fullmatch(r"speed   \d+ inferences/s \([\d.]+ ms, slowest [\d.]+ ms\)", lines[1])
    ranges = [re.findall(r"-?[\d.]+ …\s+-?[\d.]+ ", line)[0] for line in lines[3:9]]
    assert len(ranges) == 6
    rollout = next(i for i, line in enumerate(lines) if line.startswith("rollout 1 of 2: "))
    assert rollout > 8
    assert any(line.startswith("success 0/2 (0–66 %)") for line in lines)
    rows = read_rows(tmp_path / "out" / "outcomes.jsonl")
    assert [(row.ticks, row.task) for row in rows] == [(15, "pick-place")] * 2
    assert all(row.inferences > 0 for row in rows)


def test_fast_is_the_same_as_evaluation(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, str(run), *SIMULATED, "--fast", "--rollouts", "2", "--out", str(tmp_path / "one"))
    words = ["--alone", "--task", "pick-place", "--episodes", "2", "--device", "cpu"]
    assert cli.main(["eval", str(run), *words, "--out", str(tmp_path / "two")]) == 0
    rows = [read_rows(tmp_path / name / "outcomes.jsonl") for name in ("one", "two")]
    for mine, theirs in zip(*rows, strict=True):  # eval's batches are larger: the last digit
        assert (mine.seed, mine.reason, mine.ticks) == (theirs.seed, theirs.reason, theirs.ticks)
        assert mine.measures == pytest.approx(theirs.measures, abs=1e-5)
        assert mine.action_low == pytest.approx(theirs.action_low, abs=1e-3)


def test_films_with_sound_and_a_dataset_come_of_it(
    run: Path, tmp_path: Path, opengl: None, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--video", "--film", "overhead", "wrist", "--record", str(tmp_path / "set"), "--fast"]
    hum = ["--microphone", "lavfi:sine=frequency=300,arealtime"]
    what = told(
        capsys,
        *[str(run), *SIMULATED, *words, *hum, "--rollouts", "2", "--seconds", "0.4"],
        *["--out", str(tmp_path / "out")],
    )
    films = [Path(film) for film in what["films"]]
    assert [film.name for film in films] == ["rollout_001.mp4", "rollout_002.mp4"]
    assert len(levels(films[1])) == 12
    assert len(sound(films[1])) > 0
    assert [r.length for r in open_dataset(tmp_path / "set").episodes] == [12, 12]


def test_an_ensemble_asks_at_every_tick(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--fast", "--seconds", "0.5", "--rollouts", "1", "--ensemble", "0.01"]
    told(capsys, str(run), *SIMULATED, *words, "--out", str(tmp_path / "out"))
    (row,) = read_rows(tmp_path / "out" / "outcomes.jsonl")
    assert row.inferences == row.ticks == 15


def test_another_grip_is_sent_and_stands_in_the_folder(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--fast", "--seconds", "0.5", "--rollouts", "1", "--grip", "clip=0.7:0.8"]
    out = tmp_path / "out"
    told(capsys, str(run), *SIMULATED, *words, "--out", str(out))
    (row,) = read_rows(out / "outcomes.jsonl")
    assert 0.7 <= row.action_high[-1] <= 0.8
    assert row.pilot == "policy:grip=clip=0.7:0.8"  # as in vibrissa eval
    assert json.loads((out / "deployment.json").read_text())["grip"] == "clip=0.7:0.8"
    more = ["--fast", "--seconds", "0.5", "--rollouts", "2", "--out", str(out)]
    assert cli.main(["deploy", str(run), *SIMULATED, *more]) == 1
    assert "grip clip=0.7:0.8, now None" in capsys.readouterr().err


def test_other_weights_another_judge_or_limit_are_never_mixed_into_a_folder(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run's last checkpoint is another one as soon as it was trained on."""
    model = Path(shutil.copytree(pretrained_folder(run), tmp_path / "model"))
    out = tmp_path / "out"
    words = [str(model), *SIMULATED, "--fast", "--rollouts", "1", "--out", str(out)]
    told(capsys, *words, "--seconds", "0.2")
    assert "seconds 0.2, now 0.4" in refused(capsys, *words, "--seconds", "0.4")
    judge = tmp_path / "eyes.py"
    judge.write_text("def see(observation):\n    return None\n")
    more = ["--seconds", "0.2", "--judge", f"{judge}:see"]
    assert f"judge None, now {judge}:see" in refused(capsys, *words, *more)
    weights = load_file(model / "model.safetensors")
    save_file({name: t + 0.1 for name, t in weights.items()}, model / "model.safetensors")
    assert re.search(r"\(weights \w+, now \w+\)", refused(capsys, *words, "--seconds", "0.2"))
    assert len(read_rows(out / "outcomes.jsonl")) == 1


def test_the_twin_is_driven_judged_by_a_file_and_left_without_torque(
    run: Path, rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = tmp_path / "eyes.py"
    judge.write_text(
        "def see(observation):\n    return 'success' if observation.tick >= 12 else None\n"
    )
    words = [str(run), "--config", str(rig), "--device", "cpu", "--judge", f"{judge}:see"]
    what = told(
        capsys, *words, "--rollouts", "2", "--reset-seconds", "0.1", "--out", str(tmp_path / "out")
    )
    assert (what["success"], what["episodes"]) == (2, 2)
    rows = read_rows(tmp_path / "out" / "outcomes.jsonl")
    assert [row.failure_class for row in rows] == ["SUCCESS", "SUCCESS"]
    assert all(row.measures["reached_hz"] > 0 for row in rows)


def test_options_may_stand_beside_the_rig_in_its_file(
    run: Path, rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "all.yaml"
    options = f"rollouts: 3\nseconds: 0.2\nreset_seconds: 0\nout: {tmp_path / 'out'}\ndevice: cpu\n"
    file.write_text(rig.read_text() + options)
    what = told(capsys, str(run), "--config", str(file), "--rollouts", "1")
    assert what["rollouts"] == 1
    assert [row.ticks for row in read_rows(tmp_path / "out" / "outcomes.jsonl")] == [6]


def test_keys_judge_on_the_twin_and_esc_ends_it_without_a_scar(
    run: Path, rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    from contextlib import nullcontext

    presses = ["right", None, None, None, "s", "right", None, "f", "right", None, "esc"]
    keys = ScriptedKeys(presses)
    monkeypatch.setattr("vibrissa.control.keys.open_keys", lambda **_: nullcontext(keys))
    words = [str(run), "--config", str(rig), "--device", "cpu", "--rollouts", "9"]
    what = told(capsys, *words, "--out", str(tmp_path / "out"))
    assert (what["success"], what["episodes"], what["rollouts"]) == (1, 2, 3)
    reasons = [row.reason for row in read_rows(tmp_path / "out" / "outcomes.jsonl")]
    assert reasons == ["success", "failure", "aborted"]


def test_a_disconnect_in_mid_episode_leaves_a_film_that_plays_and_the_results_so_far(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    """The port vanishes in the second rollout, for good: even the way out of it fails."""
    monkeypatch.setattr("vibrissa.real.arm.WARNING_S", 0.0)
    eyes = Ready((CameraSpec("overhead", 160, 120), CameraSpec("wrist", 160, 120)), 20)
    judge = tmp_path / "vandal.py"
    judge.write_text(
        "from pathlib import Path\n"
        "from vibrissa.twin.control import ask\n"
        "seen = []\n"
        "def look(observation):\n"
        "    seen.append(observation.tick)\n"
        "    if seen.count(0) == 2 and observation.tick == 10:\n"
        f"        ask(Path({str(tmp_path / 'twin')!r}), {{'do': 'fault', 'kind': 'gone'}})\n"
    )
    cfg = TwinCfg(camera_port=0)
    with Twin(tmp_path / "twin", make_scene("lift"), cfg, views=eyes) as twin:
        words = [str(run), "--config", str(twin.folder / "rig.yaml"), "--device", "cpu", "--video"]
        more = ["--judge", f"{judge}:look", "--seconds", "0.8", "--rollouts", "5"]
        line = refused(
            capsys, *words, *more, "--reset-seconds", "0", "--out", str(tmp_path / "out")
        )
    assert line.startswith("vibrissa: arm 'follower'")
    rows = read_rows(tmp_path / "out" / "outcomes.jsonl")
    assert [row.reason for row in rows] == ["timeout", "fault"]
    assert "vanished" in rows[1].detail
    films = sorted((tmp_path / "out" / "recordings").iterdir())
    lengths = [len(levels(film)) for film in films]
    assert lengths[0] >= 20
    assert 8 <= lengths[1] < 20
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "say which arm: --config rig.yaml"),
        ([*SIMULATED, "--rollouts", "0"], "both more than 0"),
        ([*SIMULATED, "--seconds", "0"], "both more than 0"),
        ([*SIMULATED, "--seconds", "nan"], "a number of seconds"),
        ([*SIMULATED, "--seconds", "inf"], "a number of seconds"),
        ([*SIMULATED, "--reset-seconds", "-1"], "a number of seconds"),
        ([*SIMULATED, "--ensemble", "nan"], "from 0 (all chunks alike)"),
        ([*SIMULATED, "--ensemble", "0.01", "--horizon", "3"], "Leave one of them out."),
        ([*SIMULATED, "--grip", "clip=1:0"], "the lower target first"),
        ([*SIMULATED, "--horizon", "0"], "horizon=0: at least 1."),
        ([*SIMULATED, "--microphone", "default"], "sound goes with films"),
        ([*SIMULATED, "--film", "wrist"], "say --video"),
        ([*SIMULATED, "--horizon", "11"], "chunks have 1 to 10 actions"),
        ([*SIMULATED, "--judge", "see"], "want package.module:function"),
        (["--arm", "simulated", "--task", "lift"], "rate hz: wants 30.0, has 10.0"),
        (["--config", "no/such/rig.yaml"], "there is no file no/such/rig.yaml"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words, line
) -> None:
    assert line in refused(capsys, str(run), *words, "--out", str(tmp_path / "out"))


def test_another_arm_is_refused_with_the_differences_before_it_is_touched(
    run: Path, rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    from vibrissa.learn.policy import CheckpointPolicy

    def with_more(checkpoint: Path, **_: Any) -> CheckpointPolicy:
        policy = load(checkpoint)
        cameras = (CameraSpec("wrist", 640, 480),)
        policy.contract = replace(policy.contract, cameras=cameras, calibration="so101-0123")
        return policy

    from vibrissa.learn import policy as policy_module

    load = policy_module.load_policy
    monkeypatch.setattr(policy_module, "load_policy", with_more)
    monkeypatch.setattr(RealArm, "connect", lambda self: pytest.fail("it was connected"))
    line = refused(capsys, str(run), "--config", str(rig), "--out", str(tmp_path / "out"))
    assert "camera 'wrist': wanted, but there is: none" in line
    assert "calibration: wants 'so101-0123', has 'so101-" in line
    assert "--accept calibration" in line
    assert not (tmp_path / "out").exists()


def test_a_camera_is_left_out_by_its_whole_name(tmp_path: Path) -> None:
    file = tmp_path / "rig.yaml"
    eyes = "".join(
        f"  {name}: {{kind: zmq, device: 'tcp://127.0.0.1:5555/{name}'}}\n"
        for name in ("overhead", "wrist")
    )
    file.write_text(f"arm: {{kind: so101, port: /dev/null}}\ncameras:\n{eyes}")
    cfg = deploy_module.Config(tmp_path, config=file, no_camera=("overhead",))
    assert [camera.name for camera in deploy_module._rig(cfg).cameras] == ["wrist"]
    with pytest.raises(UsageError, match="--no-camera over: the rig has: overhead, wrist"):
        deploy_module._rig(replace(cfg, no_camera=("over",)))


def test_a_film_that_cannot_be_written_costs_no_result_and_is_told_by_the_exit(
    run: Path, tmp_path: Path, opengl: None, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(Logbook, "film", lambda self, n: tmp_path / "file" / f"{n}.mp4")
    words = ["--fast", "--video", "--film", "wrist", "--rollouts", "2", "--seconds", "0.2"]
    line = refused(capsys, str(run), *SIMULATED, *words, "--out", str(tmp_path / "out"))
    assert "0.mp4" in line
    assert len(read_rows(tmp_path / "out" / "outcomes.jsonl")) == 2


def test_rollouts_are_labelled_afterwards(
    run: Path, rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    words = ["--config", str(rig), "--device", "cpu", "--reset-seconds", "0", "--seconds", "0.3"]
    what = told(capsys, str(run), *words, "--rollouts", "2", "--out", out)
    assert (what["episodes"], what["rollouts"]) == (0, 2)
    # The numbers are those that deploy said: rollout 1 of 2, rollout 2 of 2.
    assert cli.main(["label", out, "2", "success"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["1", "unlabelled"], ["2", "success"]]
    assert lines[2].startswith("success 1/1 (")
    assert cli.main(["label", out, "1"]) == 1
    assert "say which rollout and how it went" in capsys.readouterr().err


def test_the_command_s_seeds_are_those_that_no_demonstration_comes_from() -> None:
    from vibrissa.commands import eval as eval_module

    assert deploy_module.HELD_OUT == eval_module.HELD_OUT
