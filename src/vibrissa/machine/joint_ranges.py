"""One joint's calibration: what of its numbers can be true of an SO-101, and what cannot.

Everything is in ticks of 1/4096 turn. The SO-101's own ranges are those of its model
(`core.units`); real arms differ from it by some degrees either way, so the limits here are wide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD, TICKS_A_TURN

HOMED_TICKS = 2047  # what LeRobot makes the pose read in which the arm was homed
MOST_OFFSET = 2047  # register 31 has eleven bits and a sign (Feetech's STS memory table)
LAST_TICK = TICKS_A_TURN - 1
FULL_TURN_JOINT = "wrist_roll"  # LeRobot does not measure it: it writes 0–4095
FULL_TURN_TICKS = 4000
NOT_MOVED, SHORT, LONG = 0.3, 0.75, 1.4  # of the model's range
SHIFTED_DEG = 15.0
SLACK_TICKS = 20  # a hand does not hold still while it presses Enter


@dataclass(frozen=True)
class JointCalibration:
    """As LeRobot's file has it: the servo's id, drive_mode 0 or 1, the rest in ticks."""

    id: int
    drive_mode: int
    homing_offset: int
    range_min: int
    range_max: int

    @property
    def span(self) -> int:
        return self.range_max - self.range_min

    @property
    def middle(self) -> float:
        return (self.range_min + self.range_max) / 2


@dataclass(frozen=True)
class Oddity:
    """What is odd about a joint. usable: whether an arm could be moved by these numbers at all."""

    told: str
    usable: bool = True


def model_span(joint: str) -> float:
    """The joint's range by the SO-101's model, in ticks."""
    index = JOINTS.index(joint)
    return float(HIGH_RAD[index] - LOW_RAD[index]) * TICKS_A_TURN / (2 * math.pi)


def judge_joint(joint: str, found: JointCalibration) -> list[Oddity]:
    """What is odd, the gravest first; nothing for a good one. `joint` is one of `JOINTS`."""
    return [
        *_judge_numbers(joint, found),
        *(_judge_range(joint, found) or _judge_pose(joint, found)),
    ]


def shift_deg(found: JointCalibration) -> float:
    """How far LeRobot's zero (the middle of the range) lies from the pose of homing, degrees."""
    return (found.middle - HOMED_TICKS) * 360 / TICKS_A_TURN


def _judge_numbers(joint: str, found: JointCalibration) -> list[Oddity]:
    """What no servo could hold, whatever the joint."""
    odd = []
    if abs(found.homing_offset) > MOST_OFFSET:
        told = f"{joint}'s homing offset is {found.homing_offset}; the servo holds ±{MOST_OFFSET}"
        odd.append(Oddity(told, usable=False))
    if found.drive_mode not in (0, 1):
        odd.append(Oddity(f"{joint}'s drive_mode is {found.drive_mode}, not 0 or 1", usable=False))
    elif found.drive_mode:
        told = f"{joint}'s drive_mode is 1: LeRobot turns its percents round, but not its degrees"
        odd.append(Oddity(told))
    return odd


def _judge_range(joint: str, found: JointCalibration) -> list[Oddity]:
    """A range that was not measured, or measured over more than the joint can turn."""
    ends = f"{found.range_min}–{found.range_max}"
    model = model_span(joint)
    if found.span <= 0:
        return [Oddity(f"{joint}'s range is {ends}: it has no width", usable=False)]
    if found.range_min < 0 or found.range_max > LAST_TICK:
        told = f"{joint}'s range {ends} goes over a turn (0–{LAST_TICK}): the servo's count wrapped"
        return [Oddity(told, usable=False)]
    if joint == FULL_TURN_JOINT:
        short = found.span < SHORT * model
        return [Oddity(f"{joint}'s range {ends} is only {_degrees(found.span)}")] if short else []
    if found.span >= FULL_TURN_TICKS:
        told = f"{joint}'s range {ends} is a whole turn: it went through zero while it was moved"
        return [Oddity(told, usable=False)]
    told = f"{joint}'s range {ends} is {_degrees(found.span)}, an SO-101 has {_degrees(model)}"
    if found.span < NOT_MOVED * model:
        return [Oddity(f"{told}: it was hardly moved", usable=False)]
    if found.span < SHORT * model:
        return [Oddity(f"{told}: it was not moved to both ends")]
    if found.span > LONG * model:
        return [Oddity(f"{told}: something was not tight, or the horn was moved")]
    return []


def _judge_pose(joint: str, found: JointCalibration) -> list[Oddity]:
    """Where the pose of homing lies in the range, and with it the joint's zero."""
    ends = f"{found.range_min}–{found.range_max}"
    if not found.range_min - SLACK_TICKS <= HOMED_TICKS <= found.range_max + SLACK_TICKS:
        told = (
            f"{joint} was homed at {HOMED_TICKS}, outside its range {ends}: two calibrations mixed"
        )
        return [Oddity(told)]
    if joint == "gripper":
        if found.range_max - HOMED_TICKS < 0.1 * found.span:
            told = f"{joint} was homed at the upper end of {ends}: open and closed may be exchanged"
            return [Oddity(told)]
        return []  # homed closed or half open, as people do it
    if abs(shift_deg(found)) > SHIFTED_DEG:
        told = (
            f"{joint}'s zero lies {shift_deg(found):+.0f}° from the pose in which it was homed "
            f"(range {ends}): that pose was not its middle, or one end was not reached"
        )
        return [Oddity(told)]
    return []


def _degrees(ticks: float) -> str:
    return f"{ticks * 360 / TICKS_A_TURN:.0f}°"
