"""`vibrissa record --targets`: demonstrations begin where a file says, and nowhere else."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from commands.desk import press, served
from commands.desk import record as at_arm

from vibrissa import cli
from vibrissa.bench.demonstrations import demonstrations_of
from vibrissa.commands import record
from vibrissa.commands.targeted import plan_of
from vibrissa.core.errors import UsageError
from vibrissa.core.seeds import TUNING
from vibrissa.data.dataset import open_dataset
from vibrissa.data.features import PRIVILEGED

FILE = """
targets:
- {count: 2, x_m: 0.21, y_m: 0.25, spread_m: 0.01, yaw_deg: 60, spread_deg: 10}
- {count: 1, x_m: 0.24, y_m: 0.20, yaw_deg: -30}
"""


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    path = tmp_path / "targets.yaml"
    path.write_text(FILE)
    return path


def call(out: Path, targets: Path, *more: str) -> int:
    return cli.main(
        ["record", "--out", str(out), "--pilot", "expert", "--targets", str(targets), *more]
    )


def near_the_targets(spawns: list[tuple[float, float, float]]) -> None:
    """Two within the first target, one at the second; a brick turned by half a turn is the same."""
    for x, y, yaw in spawns[:2]:
        assert math.hypot(x - 0.21, y - 0.25) < 0.011
        assert abs(math.remainder(yaw - math.radians(60), math.pi)) < math.radians(11)
    x, y, yaw = spawns[2]
    assert math.hypot(x - 0.24, y - 0.20) < 0.001
    assert abs(math.remainder(yaw + math.radians(30), math.pi)) < math.radians(1)


def test_the_first_poses_lie_at_the_targets(tmp_path: Path, targets: Path, capsys) -> None:
    out = tmp_path / "set"
    assert call(out, targets, "--json") == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 3
    dataset = open_dataset(out)
    assert [note["reason"] for note in dataset.notes] == ["success"] * 3
    near_the_targets([d.spawn for d in demonstrations_of(dataset)])
    assert dataset.sessions[0]["targets"]["file"] == "targets.yaml"
    near_the_targets(
        [(x, y, math.radians(deg)) for x, y, deg in dataset.sessions[0]["targets"]["poses"]]
    )


def test_a_targeted_episode_can_be_had_again(tmp_path: Path, targets: Path) -> None:
    """The stored scene, seed and sample give the stored first pose."""
    from vibrissa.sim.arm import SimArm
    from vibrissa.sim.sample import Sample
    from vibrissa.sim.scene import SceneCfg

    out = tmp_path / "set"
    record.record(record.Config(out, targets=targets, randomise="light"))
    dataset = open_dataset(out)
    scene = json.loads((out / "meta" / "vibrissa" / "scene.json").read_text())
    arm = SimArm(SceneCfg.from_dict(scene))
    for episode, note in enumerate(dataset.notes):
        arm.reset(note["seed"], sample=Sample.from_dict(note["sampled"]))
        stored = dataset.episode(episode)["sim_state"][0]
        np.testing.assert_array_equal(arm.observe().sim_state, stored)


def test_an_existing_dataset_is_gone_on_with(tmp_path: Path, targets: Path, capsys) -> None:
    out = tmp_path / "set"
    assert cli.main(["record", "--out", str(out), "--episodes", "2", "--seeds", "5"]) == 0
    assert call(out, targets) == 1
    assert "exists already" in capsys.readouterr().err
    assert call(out, targets, "--resume", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["episodes"] == 3
    dataset = open_dataset(out)
    assert [note["seed"] for note in dataset.notes] == [5, 6, 7, 8, 9]
    near_the_targets([d.spawn for d in demonstrations_of(dataset)][2:])
    assert call(out, targets, "--resume", "--json") == 0  # all of the file is there by now
    assert json.loads(capsys.readouterr().out)["episodes"] == 0
    assert len(open_dataset(out).episodes) == 5


def test_an_interruption_is_gone_on_from(tmp_path: Path, targets: Path, monkeypatch) -> None:
    from vibrissa.control import drive

    run_episode, calls = drive.run_episode, []

    def interrupted(*args, seed: int, **kwargs):
        if len(calls) == 1:
            raise KeyboardInterrupt
        calls.append(seed)
        return run_episode(*args, seed=seed, **kwargs)

    out = tmp_path / "set"
    monkeypatch.setattr(drive, "run_episode", interrupted)
    assert call(out, targets) == 130
    monkeypatch.setattr(drive, "run_episode", run_episode)
    assert len(open_dataset(out).episodes) == 1
    assert call(out, targets, "--resume") == 0
    near_the_targets([d.spawn for d in demonstrations_of(open_dataset(out))])


def test_another_scene_is_not_mixed_in(tmp_path: Path, targets: Path, capsys) -> None:
    out = tmp_path / "set"
    record.record(record.Config(out, episodes=1))
    assert call(out, targets, "--resume", "--start-noise-rad", "0") == 1
    assert "another scene, with another start_noise_rad" in capsys.readouterr().err
    assert call(out, targets, "--resume", "--task", "lift") == 1
    assert len(open_dataset(out).episodes) == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{x_m: 0.217, y_m: -0.225}", "line 2: the object would touch the tray at (0.217, -0.225)"),
        ("{x_m: 0.6, y_m: 0.0}", "line 2: the arm cannot grasp the object at (0.600, 0.000)"),
        ("{x_m: 0.2}", "line 2: a target lacks 'y_m'"),
        ("{x_m: 0.2, y_m: 0.2, counts: 3}", "line 2: a target has no 'counts'. Did you mean"),
        ("{x_m: 0.2, y_m: 0.2, count: 0}", "line 2: count is 0; it must be from 1"),
    ],
)
def test_what_cannot_be_a_target_is_one_line(tmp_path: Path, capsys, line: str, told: str) -> None:
    path = tmp_path / "targets.yaml"
    path.write_text(f"targets:\n- {line}\n")
    assert call(tmp_path / "set", path) == 1
    (err,) = capsys.readouterr().err.splitlines()
    assert told in err
    assert not (tmp_path / "set").exists()


def test_a_spread_keeps_clear_of_the_goal(tmp_path: Path) -> None:
    """A target beside the tray: whatever of its spread would touch the tray is drawn anew."""
    from vibrissa.sim.goals import on_goal
    from vibrissa.sim.tasks import make_scene

    scene = make_scene("pick-place")
    path = tmp_path / "targets.yaml"
    path.write_text("targets:\n- {count: 40, x_m: 0.21, y_m: -0.12, spread_m: 0.04}\n")
    poses = plan_of(path, scene).poses()
    assert len(poses) == 40
    assert not any(on_goal(scene, x, y) for x, y, _ in poses)
    without = plan_of(path).poses()
    assert any(on_goal(scene, x, y) for x, y, _ in without)


def test_seeds_stay_below_those_for_judging(tmp_path: Path, targets: Path, capsys) -> None:
    assert call(tmp_path / "set", targets, "--seeds", str(TUNING - 2)) == 1
    assert "kept for tuning and judging" in capsys.readouterr().err


def test_the_file_says_how_many(tmp_path: Path, targets: Path, capsys) -> None:
    assert call(tmp_path / "set", targets, "--episodes", "7") == 1
    assert "--episodes: not for a file of targets" in capsys.readouterr().err


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        plan_of(tmp_path / "nowhere.yaml")


def test_somebody_at_an_arm_is_told_where_to_put_it(
    tmp_path: Path, targets: Path, monkeypatch, capsys
) -> None:
    out, still = tmp_path / "set", [None] * 12
    press(monkeypatch, [*still, "left", *still, "right", *still, "right", *still, "right"])
    with served(tmp_path / "twin") as twin:
        assert at_arm(twin.folder, out, "--targets", str(targets)) == 0
        assert at_arm(twin.folder, out, "--targets", str(targets), "--resume") == 0
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if ": put the object " in line]
    assert len(told) == 3  # once each, although the first was done twice
    assert told[2] == (
        "episode 3 of 3: put the object 24.0 cm in front of the arm's base and 20.0 cm to the "
        "left, turned 30° clockwise"
    )
    assert "0 are to come" in lines[-1]
    dataset = open_dataset(out)
    assert PRIVILEGED not in dataset.columns  # nobody measured it
    near_the_targets([d.spawn for d in demonstrations_of(dataset)])


def test_a_simulated_arm_that_is_led_has_the_object_there(
    tmp_path: Path, targets: Path, monkeypatch
) -> None:
    press(monkeypatch, ["right"] * 40)
    out = tmp_path / "set"
    argv = ["record", "--out", str(out), "--pilot", "keyboard", "--targets", str(targets)]
    assert cli.main([*argv, "--seconds", "0.4", "--home", "none"]) == 0
    near_the_targets([d.spawn for d in demonstrations_of(open_dataset(out))])


def test_other_reasons_are_no_other_targets(tmp_path: Path, targets: Path) -> None:
    """The same places with other words: what is recorded of them is not recorded again."""
    before = plan_of(targets)
    targets.write_text(FILE.replace("count: 2,", "count: 2, why: looked at anew,"))
    assert plan_of(targets).targets[0].why == "looked at anew"
    assert plan_of(targets).digest == before.digest
    targets.write_text(FILE.replace("count: 2,", "count: 3,"))
    assert plan_of(targets).digest != before.digest
