"""Where the joints are: asked, judged possible, and told by name when nobody answers."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault
from vibrissa.real.bus import ServoBus, Silent
from vibrissa.real.calibration import Calibration

# No joint of an SO-101 turns faster than its servo's 270 °/s by itself; a hand may throw one.
MOST_TICKS_S = 4096 * 2.0
SLACK_TICKS = 100


class Joints:
    """The six positions behind a bus. advice: what to do when they stay away."""

    def __init__(
        self,
        bus: ServoBus,
        calibration: Calibration,
        advice: str,
        *,
        now: Callable[[], float] = time.perf_counter,
    ):
        self._bus, self._calibration, self._advice, self._now = bus, calibration, advice, now
        self._last: NDArray[np.int64] | None = None
        self._last_s = 0.0

    def rad(self) -> NDArray[np.float32]:
        """The joints (6,) rad, now. Raises ArmFault with the names of those that are silent."""
        return self._calibration.rad(self.ticks())

    def ticks(self) -> NDArray[np.int64]:
        """Present positions (6,).

        A broken packet passes its checksum once in 256; a joint that seems to have leapt is asked
        once more, and what was said twice is believed.
        """
        found = self._ask()
        if self._leapt(found):
            found = self._ask()
        self._last, self._last_s = found, self._now()
        return found

    def _leapt(self, found: NDArray[np.int64]) -> bool:
        if self._last is None:
            return False
        most = MOST_TICKS_S * (self._now() - self._last_s) + SLACK_TICKS
        return bool((np.abs(found - self._last) > most).any())

    def _ask(self) -> NDArray[np.int64]:
        try:
            return self._bus.read_all("Present_Position")
        except Silent as silent:
            names = self._bus.silent()
            who = ", ".join(names) or "no single servo, but packets get lost"
            raise ArmFault(f"{self._bus.what}: no answer from {who}. {self._advice}") from silent
