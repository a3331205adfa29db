"""Deadlines that do not drift."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Paces the loop. `wait` returns how late the deadline was met, in s (0 = in time)."""

    def start(self) -> None: ...
    def wait(self) -> float: ...


def settle_memory() -> None:
    """Whatever is loaded by now is not searched for garbage again: real time is not held up.

    A full collection stops every thread while it looks at all there is. With torch and LeRobot
    loaded that is 0.1 s on a quiet computer and half a second on a busy one: an arm that is led
    stands still for as long. What is made afterwards is collected as ever.
    """
    gc.collect()
    gc.freeze()


class FreeClock:
    """A simulated arm keeps its own time: nobody waits."""

    def start(self) -> None:
        return None

    def wait(self) -> float:
        return 0.0


class WallClock:
    """Ticks at start + n / rate_hz, whatever each tick costs.

    A tick that takes too long makes its own deadline late and no other: the next deadline is
    the next one on the grid that is still ahead, so a stall is followed neither by drift nor by
    a burst of ticks. `missed` counts the deadlines that were skipped. `settle` is called once,
    when it is first started: everything is loaded then, and nothing moves yet.
    """

    def __init__(
        self,
        rate_hz: float,
        *,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
        settle: Callable[[], None] = settle_memory,
    ):
        self._period_s = 1.0 / rate_hz
        self._now, self._sleep = now, sleep
        self._settle: Callable[[], None] | None = settle
        self._began_s = now()
        self._tick = 0
        self.missed = 0

    def start(self) -> None:
        if self._settle is not None:
            self._settle()
            self._settle = None
        self._began_s, self._tick, self.missed = self._now(), 0, 0

    def wait(self) -> float:
        self._tick += 1
        ahead_s = self._began_s + self._tick * self._period_s - self._now()
        if ahead_s > 0:
            self._sleep(ahead_s)
            return 0.0
        skipped = math.floor(-ahead_s / self._period_s)
        self._tick += skipped
        self.missed += skipped
        return -ahead_s
