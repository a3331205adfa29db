"""Positions go on past a servo's seam, and a reading that no joint can have come to is marked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibrissa.core.units import JOINTS
from vibrissa.real.calibration import Calibration, JointCalibration
from vibrissa.real.joints import CARRIED, DRIVEN, Joints, Pace
from vibrissa.real.turns import TURN_TICKS, placed

WHOLE = Calibration(tuple(JointCalibration(i + 1, 0, 0, 0, 4095) for i in range(6)))
NARROW = Calibration(tuple(replace(j, range_min=500, range_max=2000) for j in WHOLE.joints))
TICK_S = 1 / 30


class Wire:
    """Servos that say what a list says, at times that pass with every reading."""

    what = "arm"

    def __init__(self, positions: list[int], tick_s: float = TICK_S):
        self.positions, self.tick_s = positions, tick_s
        self.at, self.asked, self.now_s = 0, 0, 0.0
        self.errors = np.zeros(6, np.int64)

    def present(self, length: int) -> np.ndarray:
        self.asked += 1
        raw = np.full(6, self.positions[self.at] % TURN_TICKS)
        return np.stack([raw & 255, raw >> 8], axis=1).astype(np.uint8)

    def joints(self, pace: Pace = DRIVEN, calibration: Calibration = WHOLE) -> Joints:
        return Joints(self, calibration, "", feels=False, pace=pace, now=lambda: self.now_s)  # type: ignore[arg-type]

    def read(self, joints: Joints) -> list[int]:
        """What the first joint reads at each tick."""
        found = []
        for at in range(len(self.positions)):
            self.at, self.now_s = at, at * self.tick_s
            found.append(int(joints.ticks()[0]))
        return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4095), st.lists(st.integers(-250, 250), min_size=1, max_size=60))
def test_a_path_over_any_number_of_seams_is_the_path(start: int, steps: list[int]) -> None:
    path = [start, *(start + np.cumsum(steps)).tolist()]
    wire = Wire(path)
    joints = wire.joints(CARRIED)
    assert wire.read(joints) == path
    assert not joints.leapt.any()


def test_several_turns_one_way_and_back_end_where_they_began() -> None:
    path = [*range(2000, 2000 + 3 * TURN_TICKS, 90), *range(2000 + 3 * TURN_TICKS, 1999, -90)]
    wire = Wire(path)
    joints = wire.joints(CARRIED)
    assert wire.read(joints) == path
    assert joints.turns.tolist() == [path[-1] // TURN_TICKS] * len(JOINTS)


@pytest.mark.parametrize(
    ("raw", "wanted"), [(600, 600), (4090, -6), (2100, 2100), (0, 0), (3500, -596), (3000, 3000)]
)
def test_a_first_reading_outside_its_range_is_of_the_turn_that_fits(raw, wanted) -> None:
    assert placed(np.full(6, raw), NARROW).tolist() == [wanted] * 6


def test_after_a_silence_the_range_says_which_turn_and_else_the_nearest_place() -> None:
    for calibration, last, raw, wanted in (
        (NARROW, 900, 3000, 3000),  # nothing fits; the nearest end is the upper one
        (NARROW, 900, 4000, -96),
        (WHOLE, 4000, 100, 4196),
        (WHOLE, 100, 4000, -96),
        (WHOLE, 9000, 800, 8992),
    ):
        wire = Wire([last % TURN_TICKS, raw], tick_s=5.0)
        joints = wire.joints(CARRIED, calibration)
        joints.ticks()
        joints._sure = np.full(6, last)  # as if it had come there turn by turn
        wire.at, wire.now_s = 1, 5.0
        assert int(joints.ticks()[0]) == wanted
        assert not joints.leapt.any()


def test_what_an_arm_can_do_is_no_leap() -> None:
    fast = round(270 * TICK_S * TURN_TICKS / 360)
    wire = Wire(list(range(0, 4000, fast)))
    joints = wire.joints()
    for at in range(len(wire.positions)):
        wire.at, wire.now_s = at, at * TICK_S
        joints.ticks()
        assert not joints.leapt.any()
    assert wire.asked == len(wire.positions)


@pytest.mark.parametrize("leap_deg", [22, -22, 90, 175])
def test_a_leap_that_is_said_twice_is_marked_and_the_next_reading_is_not(leap_deg) -> None:
    path = [2000] * 8
    path[4] += round(leap_deg * TURN_TICKS / 360)
    wire, marks = Wire(path), []
    joints = wire.joints()
    for at in range(len(path)):
        wire.at, wire.now_s = at, at * TICK_S
        found = joints.ticks()
        marks.append(bool(joints.leapt.all()))
        assert found[0] == path[at]  # stored as it was read
    assert marks == [at == 4 for at in range(8)]
    assert wire.asked == len(path) + 1


def test_a_leap_that_stays_is_believed_after_half_a_second() -> None:
    path = [2000] * 4 + [3500] * 20
    wire, marks = Wire(path), []
    joints = wire.joints()
    for at in range(len(path)):
        wire.at, wire.now_s = at, at * TICK_S
        joints.ticks()
        marks.append(bool(joints.leapt.any()))
    first, last = marks.index(True), len(marks) - 1 - marks[::-1].index(True)
    assert (first, marks[first : last + 1]) == (4, [True] * (last - first + 1))
    assert (last - first) * TICK_S < 0.6


def test_a_leader_s_leap_is_not_passed_on() -> None:
    path = [2000, 2000, 3000, 2010]
    wire = Wire(path)
    joints = wire.joints(CARRIED)
    said = []
    for at in range(len(path)):
        wire.at, wire.now_s = at, at * 0.005
        said.append(int(WHOLE.ticks(joints.sure_rad())[0]))
    assert said == pytest.approx([2000, 2000, 2000, 2010], abs=1)
