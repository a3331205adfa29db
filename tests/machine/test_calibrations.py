"""Calibration files: every kind of oddity is told, other formats are named, good ones pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vibrissa.core.units import JOINTS
from vibrissa.machine.calibrations import (
    judge_calibration,
    judge_calibrations,
    parse_calibration,
)
from vibrissa.machine.facts import Trouble
from vibrissa.machine.hardware import calibration_files
from vibrissa.machine.joint_ranges import model_span

OFFSETS = (-310, 640, -720, 95, 1208, 377)
FIELDS = ("id", "drive_mode", "homing_offset", "range_min", "range_max")


def numbers() -> dict[str, dict[str, int]]:
    """A good arm of nobody's: ranges as the model has them, about the pose of homing."""
    found = {}
    for index, (joint, offset) in enumerate(zip(JOINTS, OFFSETS, strict=True)):
        half = round(model_span(joint) / 2)
        low, high = (2030, 2030 + 2 * half) if joint == "gripper" else (2047 - half, 2047 + half)
        low, high = (0, 4095) if joint == "wrist_roll" else (low, high)
        found[joint] = dict(zip(FIELDS, (index + 1, 0, offset, low, high), strict=True))
    return found


def written(changes: dict[str, dict[str, Any]] | None = None) -> str:
    found = numbers()
    for joint, change in (changes or {}).items():
        found[joint].update(change)
    return json.dumps(found)


def test_a_good_file_is_one_line() -> None:
    (line,) = judge_calibration(written(), "follower.json")
    assert (line.about, line.state, line.do) == ("follower.json", "ok", "")
    assert line.told.startswith("good")


def test_a_wrist_roll_that_was_measured_is_good_and_told() -> None:
    (line,) = judge_calibration(written({"wrist_roll": {"range_min": 160, "range_max": 4010}}), "a")
    assert line.state == "ok"
    assert "160–4010" in line.told


@pytest.mark.parametrize(
    ("joint", "change", "state", "words"),
    [
        ("elbow_flex", {"homing_offset": 2048}, "broken", "±2047"),
        ("elbow_flex", {"homing_offset": -2048}, "broken", "-2048"),
        ("elbow_flex", {"range_min": 2040, "range_max": 2140}, "broken", "hardly moved"),
        ("elbow_flex", {"range_min": 1500, "range_max": 2700}, "warning", "not moved to both"),
        ("elbow_flex", {"range_min": 40, "range_max": 3900}, "warning", "an SO-101 has"),
        ("elbow_flex", {"range_min": 3, "range_max": 4090}, "broken", "whole turn"),
        ("elbow_flex", {"range_max": 4180}, "broken", "over a turn"),
        ("elbow_flex", {"range_min": -12}, "broken", "over a turn"),
        ("elbow_flex", {"range_min": 3000, "range_max": 1000}, "broken", "no width"),
        ("elbow_flex", {"range_min": 2100, "range_max": 4000}, "warning", "two calibrations"),
        ("elbow_flex", {"range_min": 1247, "range_max": 3247}, "warning", "zero lies"),
        ("gripper", {"range_min": 820, "range_max": 2060}, "warning", "open and closed"),
        ("gripper", {"drive_mode": 1}, "warning", "drive_mode is 1"),
        ("gripper", {"drive_mode": 7}, "broken", "not 0 or 1"),
        ("wrist_roll", {"range_min": 1500, "range_max": 2600}, "warning", "is only"),
        ("gripper", {"id": 5}, "broken", "wrist_roll and gripper both have servo 5"),
        ("gripper", {"id": 7}, "broken", "1, 2, 3, 4, 5, 7"),
        ("gripper", {"id": 6.0}, "broken", "no whole number"),
        ("gripper", {"range_max": None}, "broken", "no whole number"),
        ("gripper", {"colour": 3}, "broken", "nothing else"),
    ],
)
def test_an_odd_joint_is_told_by_name(joint, change, state, words) -> None:
    (line,) = judge_calibration(written({joint: change}), "odd.json")
    assert line.state == state
    assert joint in line.told or "servo ids" in line.told
    assert words in line.told
    assert line.do


def test_numbers_that_were_made_up() -> None:
    same = {"homing_offset": 100, "range_min": 10, "range_max": 10}
    (line,) = judge_calibration(written(dict.fromkeys(JOINTS, same)), "a")
    assert line.state == "broken"
    assert "made up" in line.told


def test_an_arm_that_was_never_homed() -> None:
    (line,) = judge_calibration(written({joint: {"homing_offset": 0} for joint in JOINTS}), "a")
    assert line.state == "warning"
    assert "never homed" in line.told


@pytest.mark.parametrize("name", ["None.json", "so_leader/None.json", "leader_None.json"])
def test_a_file_without_an_id(name) -> None:
    (line,) = judge_calibration(written(), name)
    assert line.state == "warning"
    assert "no id" in line.told


def without(joint: str) -> dict[str, Any]:
    return {name: entry for name, entry in numbers().items() if name != joint}


OLD = {
    "homing_offset": [1, 2],
    "drive_mode": [0, 1],
    "start_pos": [0, 0],
    "end_pos": [9, 9],
    "calib_mode": ["DEGREE", "LINEAR"],
    "motor_names": ["a", "b"],
}
PHOSPHO = {"name": "so-100", "servos_voltage": 12.0, "servos_offsets": [2048.0]}
PHOSPHO["servos_calibration_position"] = [1000.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("{", "no JSON"),
        ("[1, 2]", "a list"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "Git LFS pointer"),
        (json.dumps(OLD), "LeRobot's older format"),
        (json.dumps(PHOSPHO), "phosphobot's format (so-100, 12 V servos)"),
        (json.dumps({f"joint{i}": {} for i in range(1, 8)}), "another robot's: 7 joints"),
        (json.dumps({f"left_{j}": {} for j in JOINTS}), "two-armed"),
        (json.dumps(without("gripper")), "lacks gripper"),
        (json.dumps({**numbers(), "lift": {}}), "has lift beside"),
        (json.dumps({**numbers(), "gripper": [1, 2]}), "gripper must have"),
        ("{}", "0 joints"),
    ],
)
def test_what_is_no_calibration_says_what_it_is_and_what_to_do(text, words) -> None:
    (line,) = judge_calibration(text, "file.json")
    assert line.state == "broken"
    assert words in line.told
    assert line.do
    assert isinstance(parse_calibration(text), Trouble)


def test_copies_are_told_once() -> None:
    files = {"a.json": written(), "b.json": written(), "c.json": written({"gripper": {"id": 6}})}
    lines = [line for line in judge_calibrations(files) if line.state != "ok"]
    assert [line.about for line in lines] == ["a.json"]
    assert "b.json, c.json" in lines[0].told


def test_files_as_people_have_them(realdata: Path) -> None:
    files = calibration_files(realdata / "calibration")
    lines = judge_calibrations(files)
    assert {line.about for line in lines} == set(files)
    told = "\n".join(line.told for line in lines)
    for words in ("older format", "phosphobot", "made up", "another robot's: 7 joints", "no id"):
        assert words in told
    good = [line for line in lines if line.state == "ok"]
    assert len(good) >= 10
