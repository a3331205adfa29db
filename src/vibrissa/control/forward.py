"""The leader's motion reaches the follower between the recorded ticks, not only on them.

`Forwarder` is the `sleep` of a `WallClock`: while the loop waits for its next tick, it reads the
leader and sends to the follower, at 200 Hz where the buses allow it. A tick records what was
sent on it; what was sent in between is motion, not data.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.limits import step
from vibrissa.control.meter import Spread
from vibrissa.control.pilots import Unasking
from vibrissa.core.episode import Decision, Episode, Observation, Start, Step
from vibrissa.core.protocols import Arm

FORWARD_HZ = 200.0
EASE_RAD_S = 1.0  # how fast a follower may be drawn to a leader that stands elsewhere
MET_RAD = 0.03
FORGETTING = 0.8  # of the slowest pass, from one tick to the next

Vector = NDArray[np.float32]


@runtime_checkable
class Readable(Protocol):
    """A pilot that can be asked where it wants the arm at any moment: (A,), rad."""

    def read(self) -> Vector: ...


class Eased(Unasking):
    """A human's pilot, whose first move is no jump.

    The follower is drawn to wherever the leader stands at `EASE_RAD_S`; once they have met in
    every joint, the leader's targets go through as they are. With `keeps` they stay met from one
    episode to the next; without (a simulated arm, which its reset puts elsewhere), and after
    `part` (a fault: somebody may have moved either arm), they have to meet again.
    """

    def __init__(
        self,
        leader: Readable,
        *,
        most_rad_s: float = EASE_RAD_S,
        keeps: bool = True,
        now: Callable[[], float] = time.perf_counter,
    ):
        self._leader, self._most_rad_s = leader, most_rad_s
        self._keeps, self._now = keeps, now
        self.part()

    def part(self) -> None:
        self._at: Vector | None = None
        self.met = False

    def reset(self, seed: int) -> None:
        again = getattr(self._leader, "reset", None)
        if again is not None:
            again(seed)
        if not self._keeps:
            self.part()

    def decide(self, observation: Observation) -> Decision:
        if self._at is None:
            self._at, self._at_s = observation.state.copy(), self._now()
        return Decision(self.read(), "human")

    def read(self) -> Vector:
        """The leader's target, or on the way to it; nobody may ask before the first tick."""
        target = self._leader.read()
        if self.met or self._at is None:
            return target
        now_s = self._now()
        self._at, _ = step(target, self._at, self._most_rad_s * (now_s - self._at_s))
        self._at_s = now_s
        self.met = bool((np.abs(target - self._at) <= MET_RAD).all())
        return self._at


@dataclass(frozen=True)
class Forwarding:
    """How forwarding went: passes, their rate, what one cost, the longest time without one."""

    passes: int
    rate_hz: float
    pass_p50_s: float
    pass_p99_s: float
    gap_most_s: float

    def told(self) -> str:
        if not self.passes:
            return "forwarding: none"
        return (
            f"forwarding {self.rate_hz:.0f} Hz, leader to follower "
            f"{self.pass_p50_s * 1e3:.1f} ms (p99 {self.pass_p99_s * 1e3:.1f} ms), "
            f"longest gap {self.gap_most_s * 1e3:.0f} ms"
        )


class Forwarder:
    """`leader` → `arm`, again and again, for as long as it is told to sleep.

    It sends first and sleeps after, on a grid of its own, and begins no pass that would, by the
    cost of the last ones, make the tick late. Faults go up to the loop, which holds the arm.
    Among the observers of the loop it counts the tick's own send too, so that its gaps are true,
    those between two episodes included.
    """

    def __init__(
        self,
        leader: Readable,
        arm: Arm,
        *,
        rate_hz: float = FORWARD_HZ,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._leader, self._arm, self._period_s = leader, arm, 1.0 / rate_hz
        self._now, self._sleep = now, sleep
        self.clear()

    def clear(self) -> None:
        """Forget the figures."""
        self.busy_s = 0.0  # in all passes together
        self._costs, self._gaps = Spread(), Spread()
        self._sent_s: float | None = None
        self._cost_s = 0.0

    def __call__(self, seconds: float) -> None:
        """Forward for `seconds`, then return; the sleep of a `WallClock`."""
        began_s = self._now()
        until_s = began_s + seconds
        next_s = began_s if self._sent_s is None else max(began_s, self._sent_s + self._period_s)
        while next_s + self._cost_s <= until_s:
            self._rest(next_s)
            self._pass()
            next_s = max(next_s + self._period_s, self._now())
        self._cost_s *= FORGETTING  # or one slow pass would keep out all later ones
        self._rest(until_s)

    def on_start(self, start: Start) -> None:
        return None

    def on_step(self, step: Step) -> None:
        """The tick's own send, which the loop makes, is one of ours."""
        self._count()

    def on_end(self, episode: Episode) -> None:
        return None

    def told(self) -> Forwarding:
        """The figures since the last `clear`."""
        costs, gaps = self._costs, self._gaps
        rate_hz = gaps.count / gaps.sum_s if gaps.sum_s else 0.0
        return Forwarding(
            costs.count, rate_hz, costs.percentile(50), costs.percentile(99), gaps.most_s
        )

    def _pass(self) -> None:
        began_s = self._now()
        target = self._arm.contract.check_action(self._leader.read())
        self._arm.send(target)
        cost_s = self._now() - began_s
        self.busy_s += cost_s
        self._costs.add(cost_s)
        self._cost_s = max(cost_s, self._cost_s)
        self._count()

    def _count(self) -> None:
        now_s = self._now()
        if self._sent_s is not None:
            self._gaps.add(now_s - self._sent_s)
        self._sent_s = now_s

    def _rest(self, until_s: float) -> None:
        ahead_s = until_s - self._now()
        if ahead_s > 0:
            self._sleep(ahead_s)
