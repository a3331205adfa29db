"""What joints say of the arm: found where it is so, and not said of a healthy recording."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from data import recordings

from vibrissa.core.episode import STATE_HEALTHS
from vibrissa.data.checks import findings_of
from vibrissa.data.dataset import open_dataset
from vibrissa.data.describe import describe
from vibrissa.data.features import ACTION, ASKED, STATE, STATE_HEALTH

TICKS = 90


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    return recordings.record(folder / "set", recordings.contract(), 3, ticks=TICKS)


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "copy"))


def found(root: Path) -> dict[str, str]:
    return {finding.name: finding.line for finding in findings_of(open_dataset(root))}


def foreign(root: Path, robot: str | None, names: list[str] | None = None) -> None:
    """As another program leaves it: no contract of ours, and these names."""
    shutil.rmtree(root / "meta" / "vibrissa", ignore_errors=True)
    path = root / "meta" / "info.json"
    info = json.loads(path.read_text())
    info["robot_type"] = robot
    for vector in (STATE, ACTION) if names else ():
        info["features"][vector]["names"] = names
    path.write_text(json.dumps(info))


def test_a_healthy_recording_has_none_of_it(recorded: Path) -> None:
    assert found(recorded) == {}


@pytest.mark.parametrize(
    ("rows", "by", "is_leap"),
    [
        ([40], 22.0, True),
        ([40, 41], 22.0, True),  # read twice
        ([40, 41], 170.0, True),
        ([40], 13.5, True),  # there and back
        ([40, 41, 42], 13.5, True),  # a little later
        (range(40, TICKS), 22.0, True),  # and stays there
        (range(40, TICKS), 7.0, False),  # a fast arm's step, on top of its own
    ],
)
def test_leaps_that_no_arm_can_make_are_found(copy: Path, rows, by: float, is_leap: bool) -> None:
    def change(values: np.ndarray) -> np.ndarray:
        values[list(rows), 1] += by
        return values

    recordings.edit(copy, STATE, change)
    line = found(copy).get("leaps", "")
    assert ("shoulder_lift leaps by" in line and "episode 0, row 4" in line) == is_leap
    assert "at most 9.0° in a row" in line or not is_leap


@pytest.mark.parametrize(("rows", "is_spike"), [(1, True), (3, True), (4, False)])
def test_a_spike_is_back_within_three_rows(copy: Path, rows: int, is_spike: bool) -> None:
    """13.5° in a row is too short for a leap, and too long to be taken back so soon."""

    def change(values: np.ndarray) -> np.ndarray:
        values[:, 1] = 10.0
        values[40 : 40 + rows, 1] += 13.5
        return values

    recordings.edit(copy, STATE, change)
    assert ("shoulder_lift leaps by 13.5°" in found(copy).get("leaps", "")) == is_spike


def test_a_late_row_is_no_leap(copy: Path) -> None:
    """The arm went on while the loop was held up: its own clock says so."""

    def moved(values: np.ndarray) -> np.ndarray:
        values[40:TICKS, 1] += 22.0
        return values

    def later(times: np.ndarray) -> np.ndarray:
        times[40:TICKS] += 0.1
        return times

    recordings.edit(copy, STATE, moved)
    assert "leaps" in found(copy)
    recordings.edit(copy, "time_s", later)
    assert "leaps" not in found(copy)


def test_a_leader_that_passed_its_seam_is_found(copy: Path) -> None:
    def turned(values: np.ndarray) -> np.ndarray:
        values[40:TICKS, 4] -= 226.0
        return values

    recordings.edit(copy, ACTION, turned)
    line = found(copy)["leaps"]
    assert "action: wrist_roll leaps by 22" in line
    assert "calibrate it again" in line


@pytest.mark.parametrize("joint", range(5))
def test_an_arm_that_does_not_follow_is_found(copy: Path, joint: int) -> None:
    def away(values: np.ndarray) -> np.ndarray:
        values[TICKS:, joint] -= 65.0  # all but the first episode
        return values

    recordings.edit(copy, STATE, away)
    line = found(copy)["not-following"]
    assert "away in the middle of the time in episode 1 (and in 1 more" in line


def test_a_joint_that_stands_still_under_command_is_found(copy: Path) -> None:
    def stuck(values: np.ndarray) -> np.ndarray:
        values[:TICKS, 5] = 40.0
        return values

    recordings.edit(copy, STATE, stuck)
    assert "gripper stays where it is and is sent" in found(copy)["not-following"]


def test_a_gripper_that_holds_something_follows(copy: Path) -> None:
    def held(values: np.ndarray) -> np.ndarray:
        values[:, 5] = np.maximum(values[:, 5], 45.0)
        return values

    def closed(values: np.ndarray) -> np.ndarray:
        values[:, 5] *= 0.05
        return values

    recordings.edit(copy, STATE, held)
    recordings.edit(copy, ACTION, closed)
    assert "not-following" not in found(copy)


def test_episodes_in_which_nothing_moves_are_found(copy: Path) -> None:
    tremble = np.random.default_rng(0).choice([0.0, 0.0879], (TICKS, 6))
    for vector in (STATE, ACTION, ASKED):
        recordings.edit(copy, vector, lambda v: np.concatenate([v[:1] + tremble, v[TICKS:]]))
    assert found(copy)["still-episodes"] == "nothing moves in episode 0."
    for vector in (STATE, ACTION, ASKED):
        recordings.edit(copy, vector, lambda v: np.tile(v[:1], (len(v), 1)))
    told = found(copy)
    assert "nothing moves in any episode" in told["nothing-moves"]
    assert not {"still-episodes", "action-is-state", "measured-action"} & set(told)


def test_another_robot_s_still_episodes_are_found_without_a_unit(copy: Path) -> None:
    foreign(copy, "ur5", [f"axis_{i}" for i in range(6)])
    for vector in (STATE, ACTION):
        recordings.edit(copy, vector, lambda v: np.concatenate([v[:TICKS] * 0 + 1, v[TICKS:]]))
    assert found(copy)["still-episodes"] == "nothing moves in episode 0."


ARM = [f"{joint}.pos" for joint in ("shoulder_pan", "shoulder_lift", "elbow_flex")]
ARM += [f"{joint}.pos" for joint in ("wrist_flex", "wrist_roll", "gripper")]
NUMBERED = [f"joint_{i}" for i in range(1, 7)]


@pytest.mark.parametrize(
    ("robot", "names", "judged"),
    [
        ("so101_follower", ARM, True),
        ("so_follower", ARM, True),
        ("SO101Follower", NUMBERED, True),
        ("lerobot_so100", NUMBERED, True),
        (None, ARM, True),
        ("my arm", ARM, True),
        ("koch_follower", ARM, False),
        ("omx_follower", ARM, False),
        ("xarm6", NUMBERED, False),
        ("ur5e", NUMBERED, False),
        ("also", NUMBERED, False),
        (None, NUMBERED, False),
    ],
)
def test_the_limits_of_an_so101_are_held_against_no_other_arm(
    copy: Path, robot: str | None, names: list[str], judged: bool
) -> None:
    recordings.edit(copy, ACTION, lambda v: v * 3)
    recordings.edit(copy, STATE, lambda v: np.where(np.arange(len(v))[:, None] % 2, v, v + 70))
    foreign(copy, robot, names)
    told = describe(copy)
    seen = {finding.name for finding in told.findings}
    assert (told.limits == "") == judged
    assert ({"joint-limits", "leaps"} <= seen) == judged
    assert judged or (not {"joint-limits", "leaps"} & seen and "not applied" in told.limits)


def test_rows_that_the_recorder_marked_are_said(copy: Path) -> None:
    def mark(values: np.ndarray) -> np.ndarray:
        values[TICKS + 5 : TICKS + 8] = STATE_HEALTHS.index("behind")
        return values

    assert "marked-rows" not in found(copy)
    recordings.edit(copy, STATE_HEALTH, mark)
    assert found(copy)["marked-rows"] == (
        "the recorder marked the joints of 3 rows as 'behind'; the first is row 5 of episode 1."
    )
