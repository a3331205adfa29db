"""Works out what unit somebody else's recorded SO-101 joints are in, and says why.

A servo counts whole ticks, 4096 a turn, and LeRobot only scales them. So recorded values lie
on a lattice, and its step tells the unit: degrees step by 360/4095 = 0.0879 at every joint,
-100..100 steps by 200 / (ticks between the joint's calibrated limits), another step at every
joint. Only where values are off every lattice (filtered, simulated) does their range decide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.units import GRIPPER, JOINTS, TICKS_A_TURN, Unit

Confidence = Literal["certain", "likely", "a guess", "none"]

DEGREE_STEPS = (360 / (TICKS_A_TURN - 1), 360 / TICKS_A_TURN)
OFF_LATTICE = 0.06  # of a step: what float32 leaves of exact values, generously
FEWEST_VALUES = 25  # distinct values before a lattice means anything


@dataclass(frozen=True)
class ArmColumns:
    """Which six columns of a joint vector are one SO-101, in joint order."""

    name: str
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Units:
    """The unit of recorded joints, the reason, and how sure that is."""

    unit: Unit | Literal["unknown"]
    why: str
    confidence: Confidence


def arms_of(names: Sequence[str]) -> tuple[ArmColumns, ...]:
    """The SO-101 arms in a vector with channels `names`; empty where there is none.

    Known are LeRobot's joint names with or without a prefix (`left_shoulder_pan.pos`), and
    numbered joints by arm (`arm1_j3`).
    """
    groups: dict[str, dict[int, int]] = {}
    for column, name in enumerate(names):
        found = _joint_of(name)
        if found is None:
            return ()
        arm, joint = found
        if joint in groups.setdefault(arm, {}):
            return ()
        groups[arm][joint] = column
    if not groups or any(sorted(joints) != list(range(len(JOINTS))) for joints in groups.values()):
        return ()
    return tuple(
        ArmColumns(arm or "arm", tuple(joints[i] for i in range(len(JOINTS))))
        for arm, joints in groups.items()
    )


def units_of(recorded: NDArray[np.floating]) -> Units:
    """The unit of one arm's recorded joint positions, (N, 6) in `JOINTS` order."""
    values = np.asarray(recorded, np.float64)
    finite = values[np.isfinite(values).all(axis=1)]
    if len(finite) == 0:
        return Units("unknown", "there is no finite value", "none")
    return _ticks(finite) or _lattice(finite) or _by_range(finite.min(axis=0), finite.max(axis=0))


def calibrated_ticks(recorded: NDArray[np.floating]) -> tuple[int | None, ...]:
    """How many servo ticks each joint's calibrated range has, None where that cannot be told.

    recorded: (N, 6) in `m100_100`, the gripper 0..100. The step of the values tells it exactly.
    """
    values = np.asarray(recorded, np.float64).copy()
    values[:, GRIPPER] = 2 * values[:, GRIPPER] - 100
    distinct = [np.unique(column[np.isfinite(column)]) for column in values.T]
    return tuple(_range_ticks(v) if len(v) >= FEWEST_VALUES else None for v in distinct)


def _joint_of(name: str) -> tuple[str, int] | None:
    """The arm's name and the joint's number of one channel."""
    plain = name.removesuffix(".pos")
    for number, joint in enumerate(JOINTS):
        if plain.endswith(joint):
            return plain.removesuffix(joint).rstrip("_./-"), number
    numbered = re.fullmatch(r"(.*?)[_./-]?j(?:oint)?_?([1-6])", plain)
    return (numbered[1], int(numbered[2]) - 1) if numbered else None


def _ticks(values: NDArray[np.floating]) -> Units | None:
    whole = np.abs(values - np.round(values)).max() < 1e-3
    if not whole or values.min() < 0 or values.max() >= TICKS_A_TURN or values.max() <= 360:
        return None
    told = (
        f"every value is a whole number between {values.min():.0f} and {values.max():.0f}, as the "
        f"servos' own counter gives them ({TICKS_A_TURN} a turn)"
    )
    return Units("ticks", told, "certain")


def _lattice(values: NDArray[np.floating]) -> Units | None:
    """The unit whose lattice the five arm joints lie on, if there is one."""
    distinct = {joint: np.unique(values[:, i]) for i, joint in enumerate(JOINTS) if i != GRIPPER}
    distinct = {joint: v for joint, v in distinct.items() if len(v) >= FEWEST_VALUES}
    if not distinct:
        return None
    if all(any(_on(v / step * 2) for step in DEGREE_STEPS) for v in distinct.values()):
        told = f"the values of {_listed(distinct)} step by 360°/4095, one servo tick in degrees"
        return Units("deg", told, "certain")
    spans = {joint: _range_ticks(v) for joint, v in distinct.items()}
    fitting = {joint: span for joint, span in spans.items() if span}
    if len(fitting) * 2 > len(spans):
        joint, span = next(iter(fitting.items()))
        told = (
            f"the values of {joint} step by {200 / span:.5f} = 200/{span}, so -100..100 spans its "
            f"{span} calibrated servo ticks (likewise {_listed(list(fitting)[1:])}); degrees would "
            "step by 0.0879 at every joint"
        )
        return Units("m100_100", told, "certain")
    return None


def _range_ticks(distinct: NDArray[np.floating]) -> int | None:
    """n such that every value is -100 + k·200/n with a whole k; None where none fits."""
    counts = np.arange(300, TICKS_A_TURN)
    few = distinct[np.linspace(0, len(distinct) - 1, 60).astype(int)]
    off = _off(np.outer(counts, (few + 100) / 200)).max(axis=1)
    for count in counts[off < OFF_LATTICE]:
        if _on((distinct + 100) * count / 200):
            return int(count)
    return None


def _by_range(low: NDArray[np.floating], high: NDArray[np.floating]) -> Units:
    """What the ranges (6,) alone allow to say."""
    body = np.delete(np.stack([low, high]), GRIPPER, axis=1)
    most, gripper = float(np.abs(body).max()), float(high[GRIPPER])
    seen = f"the arm's joints stay within ±{most:.4g}, the gripper within {gripper:.4g}"
    if most <= np.pi + 0.1 and gripper <= 2.5:
        return Units("rad", f"{seen}: half a turn is π", "likely")
    if most > 360:
        return Units("ticks", f"{seen}: more than a turn in degrees", "likely")
    if most > 100.5:
        return Units("deg", f"{seen}: -100..100 never exceeds 100", "likely")
    if most > 99.0:
        return Units("m100_100", f"{seen}, and a joint stops at 100", "a guess")
    return Units("deg", f"{seen}, which fits LeRobot's default, degrees", "a guess")


def _on(multiples: NDArray[np.floating]) -> bool:
    return float(_off(multiples).max()) < OFF_LATTICE


def _off(multiples: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.abs(multiples - np.round(multiples))


def _listed(names: Mapping[str, Any] | Sequence[str]) -> str:
    return ", ".join(names) or "no other"
