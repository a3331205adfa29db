"""Calibrating an arm by hand, as LeRobot does: its middle first, then every joint's whole range.

The result is LeRobot's own: the same registers in the servos and the same file, so that either
program goes on with what the other one made.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from vibrissa.core.errors import ArmFault
from vibrissa.core.units import JOINTS
from vibrissa.real.bus import ServoBus, write_calibration
from vibrissa.real.calibration import Calibration, JointCalibration

MIDDLE, MOST_OFFSET, LAST = 2047, 2047, 4095
FULL_TURN = "wrist_roll"  # turns without an end: its range is the whole turn
LEAST_RANGE = 600  # ticks; a joint that was moved less has not been moved through its range
LOOK_S = 0.02


class Calibrating:
    """One arm's calibration: `centre`, then `watch`, then `finish`. The arm is limp meanwhile."""

    def __init__(self, bus: ServoBus):
        self._bus = bus
        self._offsets = np.zeros(len(JOINTS), np.int64)
        self._low = np.full(len(JOINTS), LAST, np.int64)
        self._high = np.zeros(len(JOINTS), np.int64)

    def loosen(self) -> None:
        """Torque off, and everything that an earlier calibration wrote undone."""
        troubles = self._bus.torque_off()
        if troubles:
            raise ArmFault("; ".join(troubles))
        for joint in JOINTS:
            self._bus.write("Lock", joint, 0)
            self._bus.write("Operating_Mode", joint, 0)

    def centre(self) -> None:
        """Where the arm stands now is the middle of every joint."""
        for joint in JOINTS:
            self._bus.write("Homing_Offset", joint, 0)
            self._bus.write("Min_Position_Limit", joint, 0)
            self._bus.write("Max_Position_Limit", joint, LAST)
        offsets = self._bus.read_all("Present_Position") - MIDDLE
        self._offsets = np.clip(offsets, -MOST_OFFSET, MOST_OFFSET)  # eleven bits and a sign
        for joint, offset in zip(JOINTS, self._offsets.tolist(), strict=True):
            self._bus.write("Homing_Offset", joint, offset)
        here = self._bus.read_all("Present_Position")
        self._low, self._high = here.copy(), here.copy()

    def watch(self, until: Callable[[], bool], tell: Callable[[str], None]) -> None:
        """Follow the joints while somebody moves them, until `until()`."""
        told = ""
        while not until():
            here = self._bus.read_all("Present_Position")
            self._low, self._high = np.minimum(self._low, here), np.maximum(self._high, here)
            still = self._still()
            line = f"still to move: {', '.join(still)}" if still else "every joint was moved"
            if line != told:
                tell(line)
                told = line
            time.sleep(LOOK_S)

    def _still(self) -> list[str]:
        """Joints that have not been moved through a range worth the name."""
        wide = self._high - self._low >= LEAST_RANGE
        return [j for j, w in zip(JOINTS, wide.tolist(), strict=True) if not w and j != FULL_TURN]

    def finish(self) -> Calibration:
        """Write it into the servos. Raises ArmFault for a joint that was not moved."""
        still = self._still()
        if still:
            raise ArmFault(
                f"{', '.join(still)}: moved by less than {LEAST_RANGE} ticks of {LAST + 1}, which "
                "is no range. Do this step again and move every joint from end to end."
            )
        calibration = Calibration(tuple(self._joint(i, joint) for i, joint in enumerate(JOINTS)))
        write_calibration(self._bus, calibration)
        return calibration

    def _joint(self, i: int, joint: str) -> JointCalibration:
        low, high = (0, LAST) if joint == FULL_TURN else (int(self._low[i]), int(self._high[i]))
        return JointCalibration(i + 1, 0, int(self._offsets[i]), low, high)
