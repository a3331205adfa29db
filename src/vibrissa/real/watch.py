"""The watch over load, current, voltage and temperature: a line, then hold, then less torque.

It steps in before a servo does so by itself, because a servo that trips lets its joint fall.

The limits follow Feetech's memory table for the STS series as it comes from the factory:
a servo takes its own torque back above 80 % load for 2 s (registers 36 and 35), above 70 °C
(13), and above 3.25 A for 2 s (28, 38: 500 × 6.5 mA, 200 × 10 ms); below 4.0 V (15) it flags.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    # Kits with 7.4 V servos have a supply of 5 V, which sags a little whenever the arm lifts.
    Bound("Present_Voltage", "voltage", "V", 0.1, 4.6, 4.2, None, (0.3, 0.5, 0.0), sign=-1),
)
STATUS = "Status"
FLAGS = {4: "too hot", 8: "too much current", 32: "overloaded"}  # bits that take its torque
VOLTAGE, ENCODER, ANGLE = 1, 2, 16  # the other bits: it goes on, and only reports them
COMPLAINTS = {
    VOLTAGE: "a voltage outside its limits: see which supply is plugged in (vibrissa doctor)",
    ENCODER: "a fault of its encoder, so where it is cannot be believed: replace the servo",
    4: "too much heat: let it rest",
    8: "too much current: see what it pushes against",
    ANGLE: "an angle outside its limits: move the arm back by hand, or calibrate it",
    32: "an overload: see what it pushes against",
}
Key = tuple[str, int, int]  # register, joint, level: 1 warn, 2 hold, 3 stop


class Complaints:
    """What servos report by the error byte of their answers, a line for each kind of trouble."""

    def __init__(self) -> None:
        self._said_s: dict[int, float] = {}

    def look(self, status: NDArray[np.int64], now_s: float) -> list[str]:
        """`status` (6,) as of now; the lines that are to be said, each at most every 30 s."""
        if not status.any():
            return []
        said = []
        for bit, told in COMPLAINTS.items():
            joints = [JOINTS[j] for j in np.flatnonzero(status & bit)]
            if joints and now_s - self._said_s.get(bit, -np.inf) >= AGAIN_S:
                self._said_s[bit] = now_s
                who = "every servo reports" if len(joints) == len(JOINTS) else ", ".join(joints)
                reports = "" if len(joints) == len(JOINTS) else " report" + "s" * (len(joints) == 1)
                said.append(f"{who}{reports} {told}")
        return said


class Watch:
    """Looks at what the servos tell and keeps count.

    holding: targets are not to move. stop: why the arm must stop, empty while it need not.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """A new episode; what is still wrong will be seen again at once."""
        self._since: dict[Key, float] = {}
        self._said: dict[Key, float] = {}
        self._complaints = Complaints()
        self._held: set[str] = set()
        self._weak: set[int] = set()
        self.stop = ""

    @property
    def holding(self) -> bool:
        return bool(self._held)

    def torque_limits(self) -> NDArray[np.int64]:
        """What is left to each joint (6,) after a stop: less for those that caused it."""
        # The gripper's own limit is half already; what it carries it may keep.
        return np.array(
            [WEAK if j in self._weak else 500 if j == GRIPPER else 1000 for j in range(len(JOINTS))]
        )

    def look(self, senses: Mapping[str, NDArray[np.int64]], now_s: float) -> list[str]:
        """Judge what was felt at a tick, register → (6,); the lines that are to be said."""
        said = [line for bound in BOUNDS for line in self._judge(bound, senses, now_s)]
        sags = any(key[0] == "Present_Voltage" for key in self._since)
        reported = (0 if sags else VOLTAGE) | ANGLE  # a sag is said with its volts
        said += self._complaints.look(senses[STATUS] & reported, now_s)
        return said + self._flags(senses[STATUS], now_s)

    def _judge(
        self, bound: Bound, senses: Mapping[str, NDArray[np.int64]], now_s: float
    ) -> list[str]:
        """One register: the joint that is worst off speaks for all of them."""
        readings = np.abs(senses[bound.register]) * bound.scale
        levels = [self._level(bound, j, float(r), now_s) for j, r in enumerate(readings)]
        if bound.what in ("load", "current"):
            # A gripper is there to press, and has its own limits: half the torque.
            levels[GRIPPER] = min(levels[GRIPPER], 1)
        level = max(levels)
        joint = max(range(len(JOINTS)), key=lambda j: (levels[j], bound.sign * readings[j]))
        told = f"{JOINTS[joint]} {bound.what} {readings[joint]:.3g} {bound.unit}"
        said = []
        if level == 3:
            self._weak |= {j for j, its in enumerate(levels) if its == 3}
            self.stop = f"stopped: {told}. It holds with less torque; support it, let it rest."
        elif level and self._due((bound.register, -1 if bound.sign < 0 else joint, level), now_s):
            said.append(f"{told}: {_ADVICE[bound.what]}" if level == 1 else f"holds: {told}")
        if bound.register in self._held and level < 2:
            said.append(f"goes on: {bound.what} is well again")
        self._held = self._held - {bound.register} | ({bound.register} if level >= 2 else set())
        return said

    def _flags(self, status: NDArray[np.int64], now_s: float) -> list[str]:
        """A servo that took its own torque stops everything; a gripper only grips less."""
        said = []
        for joint, flags in enumerate(map(int, status)):
            told = " and ".join(word for bit, word in FLAGS.items() if flags & bit)
            if flags & ENCODER:
                self.stop = f"stopped: {JOINTS[joint]} reports {COMPLAINTS[ENCODER]}."
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

    def _due(self, key: Key, now_s: float) -> bool:
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
