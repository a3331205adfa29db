"""Where the joints are and what they feel: asked, judged possible, told by name when silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault
from vibrissa.real.bus import SENSES, ServoBus, Silent
from vibrissa.real.calibration import Calibration

# No joint of an SO-101 turns faster than its servo's 270 °/s by itself; a hand may throw one.
MOST_TICKS_S = 4096 * 2.0
SLACK_TICKS = 100
# Where a register stands in what `ServoBus.present` gives, and its sign bit.
_WORDS = {"Present_Position": (0, 15), "Present_Load": (4, 10), "Present_Current": (13, None)}
_BYTES = {"Present_Voltage": 6, "Present_Temperature": 7, "Status": 9}
Senses = Mapping[str, NDArray[np.int64]]


class Joints:
    """The six joints behind a bus. advice: what to do when they stay away.

    feels: whether loads, temperatures and the like are asked for too, in the same exchange;
    `senses` holds them, register → (6,), as of the last position.
    """

    def __init__(
        self,
        bus: ServoBus,
        calibration: Calibration,
        advice: str,
        *,
        feels: bool = True,
        now: Callable[[], float] = time.perf_counter,
    ):
        self._bus, self._calibration, self._advice, self._now = bus, calibration, advice, now
        self._length = SENSES if feels else 2
        self._last: NDArray[np.int64] | None = None
        self._last_s = 0.0
        self.senses: Senses = {}
        self.lost = False  # whether the last question found no answer

    def rad(self) -> NDArray[np.float32]:
        """The joints (6,) rad, now. Raises ArmFault with the names of those that are silent."""
        return self._calibration.rad(self.ticks())

    def ticks(self) -> NDArray[np.int64]:
        """Present positions (6,).

        A broken packet passes its checksum once in 256; a joint that seems to have leapt is asked
        once more, and what was said twice is believed.
        """
        self.lost = True
        found = self._ask()
        if self._leapt(found):
            found = self._ask()
        self.lost = False
        self._last, self._last_s = found, self._now()
        return found

    def _leapt(self, found: NDArray[np.int64]) -> bool:
        if self._last is None:
            return False
        most = MOST_TICKS_S * (self._now() - self._last_s) + SLACK_TICKS
        return bool((np.abs(found - self._last) > most).any())

    def _ask(self) -> NDArray[np.int64]:
        try:
            found = self._bus.present(self._length)
        except Silent as silent:
            names = self._bus.silent()
            who = f"no answer from {', '.join(names)}" if names else "answers get lost or come late"
            raise ArmFault(f"{self._bus.what}: {who}. {self._advice}") from silent
        if self._length >= SENSES:
            self.senses = {name: _word(found, *where) for name, where in _WORDS.items()}
            self.senses |= {name: found[:, at].astype(np.int64) for name, at in _BYTES.items()}
        return _word(found, 0, 15)


def _word(found: NDArray[np.uint8], at: int, sign_bit: int | None) -> NDArray[np.int64]:
    """A little-endian word of each servo (6,), whose sign is a bit of its own."""
    value = found[:, at].astype(np.int64) | found[:, at + 1].astype(np.int64) << 8
    if sign_bit is None:
        return value
    size = value & ((1 << sign_bit) - 1)
    return np.where(value >> sign_bit & 1, -size, size)
