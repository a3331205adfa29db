"""A calibration: what an arm's servo ticks mean, read from LeRobot's file and never guessed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault, UsageError
from vibrissa.core.units import GRIPPER, HIGH_RAD, JOINTS, LOW_RAD, from_rad, to_rad

TURN = 4095  # LeRobot's degrees divide a turn by the greatest reading, not by the 4096 steps
_FIELDS = ("id", "drive_mode", "homing_offset", "range_min", "range_max")


@dataclass(frozen=True)
class JointCalibration:
    """One servo, as LeRobot's file has it. offset and range are in ticks."""

    id: int
    drive_mode: int
    homing_offset: int
    range_min: int
    range_max: int


@dataclass(frozen=True)
class Calibration:
    """Six joints in `JOINTS` order."""

    joints: tuple[JointCalibration, ...]

    @property
    def digest(self) -> str:
        """Twelve hex digits: another calibration is another arm, however alike its file's name."""
        told = json.dumps([asdict(joint) for joint in self.joints], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def rad(self, ticks: NDArray[np.integer]) -> NDArray[np.float32]:
        """Present positions (6,) in ticks as joint angles (6,) rad.

        By way of LeRobot's own units: degrees about the middle of the calibrated range, a
        gripper from 0 to 100 of it. As LeRobot does, a gripper beyond its range reads as its end.
        """
        low, high = self._low, self._high
        degrees = (ticks - (low + high) / 2) * 360 / TURN
        share = (np.clip(ticks, low, high) - low) / (high - low)
        degrees[GRIPPER] = 100 * (1 - share if self._turned else share)[GRIPPER]
        return to_rad(degrees, "deg")

    def ticks(self, rad: NDArray[np.floating]) -> NDArray[np.int64]:
        """The inverse of `rad`, to the nearest tick."""
        low, high, degrees = self._low, self._high, from_rad(rad, "deg").astype(np.float64)
        share = np.clip(degrees / 100, 0, 1)
        ticks = degrees * TURN / 360 + (low + high) / 2
        ticks[GRIPPER] = (low + (1 - share if self._turned else share) * (high - low))[GRIPPER]
        return np.rint(ticks).astype(np.int64)

    def bounds_rad(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Low and high (6,) rad: the arm's model limits, within what was calibrated."""
        half = (self._high - self._low) / 2 * 2 * np.pi / TURN
        half[GRIPPER] = np.inf  # its ends are the calibrated ones by definition
        low = np.maximum(LOW_RAD, -half).astype(np.float32)
        return low, np.minimum(HIGH_RAD, half).astype(np.float32)

    def range_ticks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Lowest and highest calibrated position (6,), as the servos hold them too."""
        return self._low.astype(np.int64), self._high.astype(np.int64)

    @property
    def _low(self) -> NDArray[np.float64]:
        return np.array([joint.range_min for joint in self.joints], np.float64)

    @property
    def _high(self) -> NDArray[np.float64]:
        return np.array([joint.range_max for joint in self.joints], np.float64)

    @property
    def _turned(self) -> bool:
        return bool(self.joints[GRIPPER].drive_mode)


def default_path(id: str, *, leader: bool = False) -> Path:
    """Where LeRobot keeps the calibration of the SO-101 with this id."""
    from lerobot.utils.constants import HF_LEROBOT_CALIBRATION

    kind = "teleoperators/so_leader" if leader else "robots/so_follower"
    return Path(HF_LEROBOT_CALIBRATION) / kind / f"{id}.json"


def load_calibration(path: Path) -> Calibration:
    """LeRobot's calibration file. Raises UsageError with what is missing and what to do."""
    again = "Calibrate the arm: vibrissa setup, or lerobot-calibrate."
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no calibration {path}. {again}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"the calibration {path} cannot be read: {error}. {again}") from error
    if not isinstance(raw, dict) or set(raw) != set(JOINTS):
        has = ", ".join(raw) if isinstance(raw, dict) else f"a {type(raw).__name__}"
        raise UsageError(
            f"the calibration {path} has {has or 'nothing'}; an SO-101 has {', '.join(JOINTS)}. "
            + again
        )
    return Calibration(tuple(_joint(path, name, raw[name]) for name in JOINTS))


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write it as LeRobot does, so that LeRobot's own programs find it."""
    raw = {n: asdict(joint) for n, joint in zip(JOINTS, calibration.joints, strict=True)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(raw, indent=4), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the calibration {path} cannot be written: {error.strerror}.") from error


def require_same(
    wanted: Calibration, registers: Mapping[str, tuple[int, int, int]], what: str
) -> None:
    """Raise ArmFault when the servos of `what`, an arm's name, hold another calibration.

    registers: joint → (homing offset, lowest, highest position) as read from the servo.
    """
    told = []
    for name, joint in zip(JOINTS, wanted.joints, strict=True):
        want = (joint.homing_offset, joint.range_min, joint.range_max)
        if registers[name] != want:
            told.append(f"{name} has {_range(*registers[name])}, the file {_range(*want)}")
    if told:
        raise ArmFault(
            f"{what}: the servos hold another calibration than the file: {'; '.join(told)}. "
            "Name this arm's own file (calibration: in the rig), or calibrate it: vibrissa setup."
        )


def _range(offset: int, low: int, high: int) -> str:
    return f"{low}…{high} offset {offset}"


def _joint(path: Path, name: str, raw: object) -> JointCalibration:
    again = "Calibrate the arm again: vibrissa setup, or lerobot-calibrate."
    if not isinstance(raw, dict) or any(not isinstance(raw.get(f), int) for f in _FIELDS):
        raise UsageError(
            f"the calibration {path}: {name} must have whole numbers {', '.join(_FIELDS)}. {again}"
        )
    joint = JointCalibration(**{field: raw[field] for field in _FIELDS})
    if joint.range_max <= joint.range_min:
        raise UsageError(
            f"the calibration {path}: {name} goes from {joint.range_min} to {joint.range_max}, "
            f"which is no range. {again}"
        )
    return joint
