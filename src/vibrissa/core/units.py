"""SO-101 joints and the one place that converts their units.

Inside Vibrissa a joint is in radians, zero at the middle of its range, as in the model
`so101_new_calib`. Outside it is what LeRobot's `SO101Follower` says: degrees about the middle
of the calibrated range and a gripper from 0 (closed) to 100 (open), or, in older datasets,
the whole range as -100..100.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ContractError

JOINTS: tuple[str, ...] = (
    "shoulder_pan",
    "shoulder_lift",
    "elbow_flex",
    "wrist_flex",
    "wrist_roll",
    "gripper",
)
GRIPPER = JOINTS.index("gripper")

# Joint limits of the model `so101_new_calib`, rad.
LOW_RAD = np.array([-1.91986, -1.74533, -1.69, -1.65806, -2.74385, -0.17453], np.float32)
HIGH_RAD = np.array([1.91986, 1.74533, 1.69, 1.65806, 2.84121, 1.74533], np.float32)

Unit = Literal["rad", "deg", "m100_100", "ticks"]
UNITS: tuple[Unit, ...] = ("rad", "deg", "m100_100", "ticks")
TICKS_A_TURN = 4096  # STS3215: 12 bits a turn, the middle of the range at 2048


def from_rad(values: NDArray[np.floating], unit: Unit) -> NDArray[np.float32]:
    """Joint angles in rad, (…, 6) in `JOINTS` order, as `unit`.

    `deg` and `m100_100` carry the gripper as 0 (closed) to 100 (open), as LeRobot does; values
    beyond the limits are converted by the same line, never clipped.

    Raises ContractError for an unknown unit or another number of joints.
    """
    scale, offset = _line(unit, values)
    return (np.asarray(values, np.float64) * scale + offset).astype(np.float32)


def to_rad(values: NDArray[np.floating], unit: Unit) -> NDArray[np.float32]:
    """The inverse of `from_rad`: values in `unit`, (…, 6), as rad."""
    scale, offset = _line(unit, values)
    return ((np.asarray(values, np.float64) - offset) / scale).astype(np.float32)


def unit_bounds(unit: Unit) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The joint limits in `unit`: low (6,), high (6,)."""
    return from_rad(LOW_RAD, unit), from_rad(HIGH_RAD, unit)


def _line(unit: Unit, values: NDArray[np.floating]) -> tuple[NDArray, NDArray]:
    """Per joint `scale` and `offset` of the line rad → unit, both (6,) float64."""
    if unit not in UNITS:
        raise ContractError(f"no unit {unit!r} for joints. Known: {', '.join(UNITS)}.")
    if np.shape(values)[-1:] != (len(JOINTS),):
        raise ContractError(
            f"joint values of shape {np.shape(values)}; the last axis must be the "
            f"{len(JOINTS)} joints {', '.join(JOINTS)}."
        )
    low, high = LOW_RAD.astype(np.float64), HIGH_RAD.astype(np.float64)
    scale, offset = np.ones(6), np.zeros(6)
    if unit == "rad":
        return scale, offset
    if unit == "ticks":
        return scale * TICKS_A_TURN / (2 * np.pi), offset + TICKS_A_TURN / 2
    if unit == "deg":
        scale = scale * 180 / np.pi
    if unit == "m100_100":
        scale, offset = 200 / (high - low), -100 * (high + low) / (high - low)
    span = high[GRIPPER] - low[GRIPPER]
    scale[GRIPPER], offset[GRIPPER] = 100 / span, -100 * low[GRIPPER] / span
    return scale, offset
