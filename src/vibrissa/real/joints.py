"""Where the joints are and what they feel: asked, judged possible, named when silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault
from vibrissa.core.units import JOINTS
from vibrissa.real.bus import SENSES, ServoBus, Silent
from vibrissa.real.calibration import Calibration
from vibrissa.real.turns import Ticks, placed, turns_of, unwrapped

SILENCE_S = 0.5  # after so long nobody knows any more how far a joint has turned meanwhile
# Where a register stands in what `ServoBus.present` gives, and its sign bit.
_WORDS = {"Present_Position": (0, 15), "Present_Load": (4, 10), "Present_Current": (13, None)}
STATUS = "Status"
_BYTES = {"Present_Voltage": 6, "Present_Temperature": 7, STATUS: 9}
Senses = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Pace:
    """How far a joint can turn between two readings: by itself, or in a hand."""

    deg_s: float
    slack_deg: float

    def most_ticks(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        return (self.deg_s * seconds + self.slack_deg) * 4096 / 360


# An STS3215 turns at 270 °/s without a load; a hand may throw a joint.
DRIVEN, CARRIED = Pace(300.0, 2.0), Pace(720.0, 9.0)


class Joints:
    """The six joints behind a bus. advice: what to do when they stay away.

    feels: whether loads, temperatures and the like are asked for too, in the same exchange;
    `senses` holds them, register → (6,), as of the last position. pace: what they can do.
    Positions go on past a servo's seam (see `turns`): they may be below 0 and above 4095.
    """

    def __init__(
        self,
        bus: ServoBus,
        calibration: Calibration,
        advice: str,
        *,
        feels: bool = True,
        pace: Pace = DRIVEN,
        now: Callable[[], float] = time.perf_counter,
    ):
        self._bus, self._calibration, self._advice, self._now = bus, calibration, advice, now
        self._length = SENSES if feels else 2
        self._pace = pace
        self._sure: Ticks | None = None  # the last position of each joint that was possible,
        self._sure_s = np.zeros(len(JOINTS))  # and a time before which it was not read
        self.senses: dict[str, NDArray[np.int64]] = {}
        self.lost = False  # whether the last question found no answer
        self.waited_s = 0.0  # what the last answer took
        self.last = np.zeros(len(JOINTS), np.int64)  # the last position, believed or not
        self.leapt = np.zeros(len(JOINTS), bool)  # joints that cannot be where they last read
        self.turns = np.zeros(len(JOINTS), np.int64)  # how often each has passed its seam

    def rad(self) -> NDArray[np.float32]:
        """The joints (6,) rad, now. Raises ArmFault with the names of those that are silent."""
        return self._calibration.rad(self.ticks())

    def sure_rad(self) -> NDArray[np.float32]:
        """The same, but a joint that cannot be where it reads stays where it was (6,)."""
        found = self.ticks()
        if self._sure is not None and self.leapt.any():
            found = np.where(self.leapt, self._sure, found)
        return self._calibration.rad(found)

    def ticks(self) -> Ticks:
        """Present positions (6,).

        A broken packet passes its checksum once in 256; a joint that seems to have leapt, or to
        have passed its seam, is asked once more. What was said twice is believed, and `leapt`
        says of which joint it was not possible, until it is.
        """
        self.lost = True
        began_s = self._now()
        found, self.leapt = self._look(self._ask(), began_s)
        if self.leapt.any() or (turns_of(found) != self.turns).any():
            found, self.leapt = self._look(self._ask(), began_s)
        self.lost, self.last = False, found
        self.waited_s = self._now() - began_s
        turns = turns_of(found)
        if (turns != self.turns).any():
            self.turns = turns
        sure = found if self._sure is None else np.where(self.leapt, self._sure, found)
        self._sure, self._sure_s = sure, np.where(self.leapt, self._sure_s, began_s)
        return found

    def forget(self) -> None:
        """Nothing is known any more of where they were: somebody may have moved them."""
        self._sure = None

    def _look(self, raw: Ticks, began_s: float) -> tuple[Ticks, NDArray[np.bool_]]:
        """`raw` with its turns, and which joints (6,) cannot have come there."""
        if self._sure is None:
            return placed(raw, self._calibration), np.zeros(len(JOINTS), bool)
        passed_s = self._now() - self._sure_s
        near = unwrapped(raw, self._sure)
        far = np.abs(near - self._sure) > self._pace.most_ticks(passed_s)
        lost = began_s - self._sure_s > SILENCE_S
        if lost.any():
            near = np.where(lost, placed(raw, self._calibration, self._sure), near)
        return near, far & ~lost

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
            # Every answer carries the same flags, also where the register was read in between.
            self.senses[STATUS] |= self._bus.errors
        return _word(found, 0, 15)


def _word(found: NDArray[np.uint8], at: int, sign_bit: int | None) -> NDArray[np.int64]:
    """A little-endian word of each servo (6,), whose sign is a bit of its own."""
    value = found[:, at].astype(np.int64) | found[:, at + 1].astype(np.int64) << 8
    if sign_bit is None:
        return value
    size = value & ((1 << sign_bit) - 1)
    return np.where(value >> sign_bit & 1, -size, size)
