"""Calibration files: is one good, is it odd and why, or is it another program's?

What LeRobot keeps for an SO-101 (`lerobot/motors/motors_bus.py`, MotorCalibration) is six joints,
each with its servo's id, a homing offset and the ends of its range. Which numbers can be true is
judged in `joint_ranges`; here is what concerns the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from vibrissa.core.units import JOINTS
from vibrissa.machine.facts import Trouble
from vibrissa.machine.joint_ranges import (
    FULL_TURN_JOINT,
    LAST_TICK,
    JointCalibration,
    judge_joint,
    shift_deg,
)
from vibrissa.machine.lines import Line, broken, ok, warning

FIELDS = ("id", "drive_mode", "homing_offset", "range_min", "range_max")
IDS = tuple(range(1, len(JOINTS) + 1))
AGAIN_DO = "calibrate this arm: vibrissa setup, or lerobot-calibrate"
FORMAT_DO = f"{AGAIN_DO}; its numbers count from another zero and cannot be carried over"
OLD_LISTS = {"homing_offset", "drive_mode", "start_pos", "end_pos", "motor_names"}
PHOSPHO = {"servos_offsets", "servos_calibration_position"}
LFS = "version https://git-lfs.github.com/spec/"

Calibration = Mapping[str, JointCalibration]


def judge_calibration(text: str, name: str) -> list[Line]:
    """The verdict on one file: a line that is ok, or a line for each thing that is odd.

    text: what stands in the file. name: how it is called, for the lines.
    """
    found = read_calibration(text)
    if isinstance(found, Line):
        return [Line(name, found.state, found.told, found.do)]
    lines = [*_judge_ids(found, name), *_judge_joints(found, name), *_judge_name(name)]
    return lines or [ok(name, _good(found))]


def judge_calibrations(files: Mapping[str, str]) -> list[Line]:
    """The verdicts on several files, name → text, and which of them are copies of each other."""
    lines = [line for name, text in files.items() for line in judge_calibration(text, name)]
    return [*lines, *_copies(files)]


def parse_calibration(text: str) -> Calibration | Trouble:
    """The joints of a file that LeRobot could load; why it could not otherwise."""
    found = read_calibration(text)
    return Trouble(found.told) if isinstance(found, Line) else found


def read_calibration(text: str) -> Calibration | Line:
    """The six joints, or a line about what the file is instead."""
    if not text.strip():
        return broken("", "the file is empty", AGAIN_DO)
    if text.startswith(LFS):
        do = "git lfs pull, where it was cloned"
        return broken("", "a Git LFS pointer, not the file itself", do)
    try:
        found = json.loads(text)
    except ValueError as error:
        return broken("", f"no JSON: {error}", AGAIN_DO)
    if not isinstance(found, dict):
        return broken("", f"JSON, but a {type(found).__name__} where joints should stand", AGAIN_DO)
    return _other_program(found) or _other_robot(found) or _joints(found)


def _other_program(found: dict[str, Any]) -> Line | None:
    """Files of other programs and times, told by the keys that only they have."""
    if set(found) >= OLD_LISTS:
        told = "LeRobot's older format (one list a field), which the LeRobot of today cannot read"
        return broken("", told, FORMAT_DO)
    if set(found) >= PHOSPHO:
        volts = found.get("servos_voltage")
        supply = f", {volts:g} V servos" if isinstance(volts, int | float) else ""
        told = f"phosphobot's format ({found.get('name', 'no name')}{supply}), not LeRobot's"
        return broken("", told, FORMAT_DO)
    return None


def _other_robot(found: dict[str, Any]) -> Line | None:
    """Joints that are not those of one SO-101."""
    names = set(found)
    if names == set(JOINTS):
        return None
    told = f"{len(names)} joints ({', '.join(map(str, found))})"
    if names and all(name.startswith(("left_", "right_")) for name in names):
        do = "give each arm a file of its own: one joint a name, without left_ and right_"
        return broken("", f"a two-armed robot's: {told}", do)
    missing = [joint for joint in JOINTS if joint not in names]
    if len(missing) < len(JOINTS):
        extra = sorted(names - set(JOINTS))
        lacks = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(extra)} beside"
        return broken("", f"no SO-101's: it {lacks}", AGAIN_DO)
    do = f"name the file of an SO-101, whose joints are {', '.join(JOINTS)}; or {AGAIN_DO}"
    return broken("", f"another robot's: {told}", do)


def _joints(found: dict[str, Any]) -> Calibration | Line:
    joints: dict[str, JointCalibration] = {}
    for joint in JOINTS:
        entry = found[joint]
        if not isinstance(entry, dict) or set(entry) != set(FIELDS):
            told = f"{joint} must have {', '.join(FIELDS)}, and nothing else"
            return broken("", told, AGAIN_DO)
        for field in FIELDS:
            if type(entry[field]) is not int:
                told = f"{joint}'s {field} is {entry[field]!r}, which is no whole number"
                return broken("", told, AGAIN_DO)
        joints[joint] = JointCalibration(**entry)
    return joints


def _judge_ids(found: Calibration, name: str) -> list[Line]:
    ids = [found[joint].id for joint in JOINTS]
    doubled = sorted({id_ for id_ in ids if ids.count(id_) > 1})
    if doubled:
        who = "; ".join(
            f"{' and '.join(j for j in JOINTS if found[j].id == id_)} both have servo {id_}"
            for id_ in doubled
        )
        return [broken(name, who, "give every servo its own id: vibrissa setup")]
    if tuple(ids) != IDS:
        told = f"servo ids {', '.join(map(str, ids))}; LeRobot's SO-101 has 1 to 6, base to gripper"
        return [broken(name, told, "set the ids: vibrissa setup, or lerobot-setup-motors")]
    return []


def _judge_joints(found: Calibration, name: str) -> list[Line]:
    numbers = {(j.homing_offset, j.range_min, j.range_max) for j in found.values()}
    if len(numbers) == 1:
        told = "all six joints have the same numbers: made up, never measured"
        return [broken(name, told, AGAIN_DO)]
    odd = [oddity for joint in JOINTS for oddity in judge_joint(joint, found[joint])]
    lines = [(warning if o.usable else broken)(name, o.told, AGAIN_DO) for o in odd]
    if all(joint.homing_offset == 0 for joint in found.values()):
        lines.append(warning(name, "no joint has a homing offset: it was never homed", AGAIN_DO))
    return lines


def _judge_name(name: str) -> list[Line]:
    if not re.search(r"(^|[/\\_])None(\.json)?$", name):
        return []
    told = "named None: the arm was given no id, so the next one without an id overwrites it"
    return [warning(name, told, "rename it and give the arm that id")]


def _good(found: Calibration) -> str:
    roll = found[FULL_TURN_JOINT]
    spans = ", ".join(str(found[joint].span) for joint in JOINTS)
    told = f"good; ranges {spans} ticks"
    if (roll.range_min, roll.range_max) != (0, LAST_TICK):
        told += (
            f"; {FULL_TURN_JOINT} was measured ({roll.range_min}–{roll.range_max}), LeRobot "
            f"0.6 takes 0–{LAST_TICK}: its zero differs by {abs(shift_deg(roll)):.0f}°"
        )
    return told


def _copies(files: Mapping[str, str]) -> list[Line]:
    """Two arms never measure the same numbers: equal files are one arm's, copied."""
    same: dict[tuple[JointCalibration, ...], list[str]] = {}
    for name, text in files.items():
        found = read_calibration(text)
        if not isinstance(found, Line):
            same.setdefault(tuple(found[joint] for joint in JOINTS), []).append(name)
    return [
        warning(
            names[0],
            f"the same numbers as {', '.join(names[1:])}",
            "fine for a copy of one arm's file; a second arm needs a calibration of its own",
        )
        for names in same.values()
        if len(names) > 1
    ]
