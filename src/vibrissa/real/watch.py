"""The watch over load, current, voltage and temperature: a line, then hold, then less torque.

One register a tick, so that a tick stays cheap; at 30 Hz each is read six times a second. It
steps in before a servo does so by itself, because a servo that trips lets its joint fall.

The limits follow Feetech's memory table for the STS series as it comes from the factory:
a servo takes its own torque back above 80 % load for 2 s (registers 36 and 35), above 70 °C
(13), and above 3.25 A for 2 s (28, 38: 500 × 6.5 mA, 200 × 10 ms); below 4.0 V (15) it flags.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.units import GRIPPER, JOINTS

AGAIN_S = 30.0  # the same word about the same joint is not said more often
WEAK = 400  # of 1000: what an outstretched SO-101 needs to stay up, and little more


@dataclass(frozen=True)
class Bound:
    """One register's limits: beyond `warn`, `hold` or `stop` for `for_s` each, something is done.

    scale turns a reading into `unit`. sign -1: the lower the worse. after_s: how long a value
    stands before it counts, in the order warn, hold, stop. None: this step is not taken.
    """

    register: str
    what: str
    unit: str
    scale: float
    warn: float
    hold: float | None
    stop: float | None
    after_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sign: int = 1


BOUNDS = (
    # Load is the motor's duty; a brief push is no news. 1.5 s is before the servo's own 2 s.
    Bound("Present_Load", "load", "%", 0.1, 80, 80, 80, (0.5, 1.2, 1.7)),
    Bound("Present_Current", "current", "A", 0.0065, 2.0, 2.6, 3.0, (0.5, 0.5, 1.5)),
    Bound("Present_Temperature", "temperature", "°C", 1, 55, 65, 68),
    Bound("Present_Voltage", "voltage", "V", 0.1, 4.8, 4.4, None, (0.3, 0.5, 0.0), sign=-1),
)
STATUS = "Status"
FLAGS = {4: "too hot", 8: "too much current", 32: "overloaded"}  # bits that take its torque
REGISTERS = (*(bound.register for bound in BOUNDS), STATUS)


class Watch:
    """Looks at what the servos tell and keeps count. `register` is what to read at this tick.

    holding: targets are not to move. stop: why the arm must stop, empty while it need not.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """A new episode; what is still wrong will be seen again at once."""
        self._turn = 0
        self._since: dict[tuple[str, int, int], float] = {}
        self._said: dict[tuple[str, int, int], float] = {}
        self._held: set[str] = set()
        self._weak: set[int] = set()
        self.stop = ""

    @property
    def register(self) -> str:
        return REGISTERS[self._turn]

    @property
    def holding(self) -> bool:
        return bool(self._held)

    def torque_limits(self) -> NDArray[np.int64]:
        """What is left to each joint (6,) after a stop: less for those that caused it."""
        # The gripper's own limit is half already; what it carries it may keep.
        return np.array(
            [WEAK if j in self._weak else 500 if j == GRIPPER else 1000 for j in range(len(JOINTS))]
        )

    def look(self, values: NDArray[np.int64], now_s: float) -> list[str]:
        """Judge this tick's register (6,); the lines that are to be said."""
        register = self.register
        self._turn = (self._turn + 1) % len(REGISTERS)
        if register == STATUS:
            return self._look_at_flags(values, now_s)
        bound = next(bound for bound in BOUNDS if bound.register == register)
        readings = np.abs(values) * bound.scale
        said, held = [], False
        for joint, reading in enumerate(readings):
            level = self._level(bound, joint, float(reading), now_s)
            if level == 0:
                continue
            # A gripper is there to press, and has its own limits: half the torque.
            if joint == GRIPPER and bound.what in ("load", "current"):
                level = 1
            told = f"{JOINTS[joint]} {bound.what} {reading:.3g} {bound.unit}"
            held |= level >= 2
            if level == 3:
                self._weak.add(joint)
                self.stop = f"stopped: {told}. It holds with less torque; support it, let it rest."
            elif self._due((bound.register, joint, level), now_s):
                said.append(f"{told}: {_ADVICE[bound.what]}" if level == 1 else f"holds: {told}")
        if bound.register in self._held and not held:
            said.append(f"goes on: {bound.what} is well again")
        self._held = self._held - {bound.register} | ({bound.register} if held else set())
        return said

    def _look_at_flags(self, values: NDArray[np.int64], now_s: float) -> list[str]:
        """A servo that took its own torque stops everything; a gripper only grips less."""
        said = []
        for joint, flags in enumerate(map(int, values)):
            told = " and ".join(word for bit, word in FLAGS.items() if flags & bit)
            if not told:
                continue
            told = f"{JOINTS[joint]} gives way by itself: {told}"
            if joint != GRIPPER:
                self._weak.add(joint)
                self.stop = f"stopped: {told}. Support the arm, and free what it pushes against."
            elif self._due((STATUS, joint, 1), now_s):
                said.append(told)
        return said

    def _level(self, bound: Bound, joint: int, reading: float, now_s: float) -> int:
        """0 well, 1 warn, 2 hold, 3 stop: the highest whose limit was passed for long enough."""
        highest = 0
        for level, limit in enumerate((bound.warn, bound.hold, bound.stop), start=1):
            key = (bound.register, joint, level)
            if limit is None or bound.sign * reading < bound.sign * limit:
                self._since.pop(key, None)
                continue
            if now_s - self._since.setdefault(key, now_s) >= bound.after_s[level - 1]:
                highest = level
        return highest

    def _due(self, key: tuple[str, int, int], now_s: float) -> bool:
        if now_s - self._said.get(key, -np.inf) < AGAIN_S:
            return False
        self._said[key] = now_s
        return True


_ADVICE = {
    "load": "something is in its way, or it carries too much",
    "current": "something is in its way, or it carries too much",
    "temperature": "let it rest; at 70 °C the servo lets go",
    "voltage": "the supply sags: check the plug, and what else hangs on the same hub",
}
