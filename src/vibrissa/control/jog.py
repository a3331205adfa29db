"""Leading an arm joint by joint, without a second arm: keys or a gamepad say how fast."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.keys import Keys
from vibrissa.control.pilots import Unasking
from vibrissa.core.contract import Contract
from vibrissa.core.episode import Decision, Observation
from vibrissa.core.errors import ArmFault, UsageError

MOST_RAD_S = 0.8  # of any joint at full deflection
# A terminal tells no release: a press moves for as long as its repetition may take to come.
PRESS_S = 0.15
# + and - of each joint in the order of the arm: the top row of letters and what lies below it,
# with x and c in place of s and f, which judge an episode.
PAIRS = ("qa", "wx", "ed", "rc", "tg", "yh")
JOG_KEYS = frozenset("".join(PAIRS))
KEYS_TOLD = "q/a w/x e/d r/c t/g y/h: the joints, shoulder to gripper"

Speeds = Callable[[], NDArray[np.float32]]  # (A,), each from -1 to 1


class Jog(Unasking):
    """Moves each joint at the speed that `speeds` asks for, from wherever the arm is.

    With `keeps` the target of the last episode goes on into the next one, so that a held object
    stays held; without, every episode begins where its arm stands (a simulated one is put there).
    """

    def __init__(
        self,
        speeds: Speeds,
        contract: Contract,
        *,
        keeps: bool = True,
        now: Callable[[], float] = time.perf_counter,
    ):
        self._speeds, self._keeps, self._now = speeds, keeps, now
        self._low = np.array([c.low for c in contract.action], np.float32)
        self._high = np.array([c.high for c in contract.action], np.float32)
        self._target: NDArray[np.float32] | None = None

    def part(self) -> None:
        """After a fault: begin again where the arm is."""
        self._target = None

    def reset(self, seed: int) -> None:
        if not self._keeps:
            self.part()

    def decide(self, observation: Observation) -> Decision:
        if self._target is None:
            self._target, self._at_s = observation.state.copy(), self._now()
        return Decision(self.read(), "human")

    def read(self) -> NDArray[np.float32]:
        """The target (A,) rad now. Raises ArmFault before the first tick has said where it is."""
        if self._target is None:
            raise ArmFault("nobody has said yet where the arm is.")
        now_s = self._now()
        way = self._speeds() * MOST_RAD_S * (now_s - self._at_s)
        self._target = np.clip(self._target + way, self._low, self._high).astype(np.float32)
        self._at_s = now_s
        return self._target


class KeySpeeds:
    """The keys of `PAIRS` as speeds (A,): a press counts for `PRESS_S`, its repetitions add up."""

    def __init__(self, keys: Keys, joints: int, *, now: Callable[[], float] = time.perf_counter):
        if joints > len(PAIRS):
            raise UsageError(f"keys lead {len(PAIRS)} joints at most; this arm has {joints}.")
        self._keys, self._now = keys, now
        self._sign = np.zeros(joints, np.float32)
        self._until_s = np.zeros(joints)

    def __call__(self) -> NDArray[np.float32]:
        now_s = self._now()
        while (key := self._keys.poll()) is not None:
            for joint, pair in enumerate(PAIRS[: len(self._sign)]):
                if key in pair:
                    self._sign[joint] = 1.0 if key == pair[0] else -1.0
                    self._until_s[joint] = now_s + PRESS_S
        return np.where(now_s < self._until_s, self._sign, 0.0).astype(np.float32)
