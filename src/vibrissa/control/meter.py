"""Where the time of a tick goes: every phase measured, and told in words at the end.

The rollout calls `lap` after each phase; what a phase cost falls into a histogram of constant
size, so that a long session measures as much as a short one and keeps no more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# What a rollout tells apart. The rest of a tick is waiting, of which forwarding is a part.
PHASES = {
    "observe": "reading the arm and its cameras",
    "infer": "the policy's inference",
    "decide": "the pilot (reading the leader)",
    "send": "sending to the arm",
    "observers": "recorder, viewer and whoever else watches",
    "forwarding": "following the leader between ticks",
}
SLOW_SHARE = 0.98  # an episode that reached less of its stated rate is flagged
_LOW_S, _DECADES, _BINS_A_DECADE = 1e-6, 8, 60  # 1 µs to 100 s, each bin 4 % wide


class Laps(Protocol):
    """Whoever stops the time in a rollout."""

    def start(self) -> None: ...
    def lap(self, phase: str) -> None: ...
    def waited(self, late_s: float) -> None: ...
    def measures(self) -> Mapping[str, float]: ...


class NoLaps:
    """Nobody does: a simulated arm keeps its own time."""

    def start(self) -> None:
        return None

    def lap(self, phase: str) -> None:
        return None

    def waited(self, late_s: float) -> None:
        return None

    def measures(self) -> Mapping[str, float]:
        return {}


class Spread:
    """Durations, as a histogram: their number, sum, largest, and any percentile within 2 %."""

    def __init__(self) -> None:
        self._counts = np.zeros(_DECADES * _BINS_A_DECADE + 1, np.int64)
        self.count, self.sum_s, self.most_s = 0, 0.0, 0.0

    def add(self, seconds: float) -> None:
        place = math.log10(max(seconds, _LOW_S) / _LOW_S) * _BINS_A_DECADE
        self._counts[min(int(place), len(self._counts) - 1)] += 1
        self.count += 1
        self.sum_s += seconds
        self.most_s = max(self.most_s, seconds)

    def take(self, other: Spread) -> None:
        """Count all of `other`'s too."""
        self._counts += other._counts
        self.count += other.count
        self.sum_s += other.sum_s
        self.most_s = max(self.most_s, other.most_s)

    def percentile(self, q: float) -> float:
        """In s; 0 where nothing was measured."""
        if not self.count:
            return 0.0
        at = int(np.searchsorted(np.cumsum(self._counts), q / 100 * self.count))
        return min(_LOW_S * 10 ** ((at + 0.5) / _BINS_A_DECADE), self.most_s)


@dataclass(frozen=True)
class Timing:
    """How a stretch of ticks went. Durations in s; `slowest` is the costliest phase by its p99."""

    rate_hz: float
    ticks: int
    reached_hz: float
    jitter_p50_s: float
    jitter_p99_s: float
    overruns: int
    late_most_s: float
    p50_s: Mapping[str, float]
    p99_s: Mapping[str, float]
    slowest: str

    @property
    def slow(self) -> bool:
        """Whether it ran slower than the rate its ticks are stamped with."""
        return self.ticks > 1 and self.reached_hz < SLOW_SHARE * self.rate_hz

    def told(self) -> str:
        """One line."""
        if self.ticks < 2:
            return f"timing: {self.ticks} ticks, too few to tell"
        over = f"{self.overruns} of {self.ticks} ticks late"
        if self.overruns:
            over += f" (at most {self.late_most_s * 1e3:.0f} ms)"
        words = [
            f"{self.reached_hz:.1f} of {self.rate_hz:g} Hz",
            f"jitter {self.jitter_p50_s * 1e3:.1f} ms (p99 {self.jitter_p99_s * 1e3:.1f} ms)",
            over,
        ]
        if self.slowest:
            p50_ms, p99_ms = (s[self.slowest] * 1e3 for s in (self.p50_s, self.p99_s))
            words.append(
                f"costliest: {PHASES[self.slowest]} ({p50_ms:.1f} ms, p99 {p99_ms:.1f} ms)"
            )
        flag = "SLOWER THAN ITS RATE: " if self.slow else ""
        return flag + ", ".join(words)

    def to_dict(self) -> dict[str, object]:
        return {
            "rate_hz": self.rate_hz,
            "ticks": self.ticks,
            "reached_hz": round(self.reached_hz, 3),
            "jitter_p50_ms": round(self.jitter_p50_s * 1e3, 3),
            "jitter_p99_ms": round(self.jitter_p99_s * 1e3, 3),
            "overruns": self.overruns,
            "late_most_ms": round(self.late_most_s * 1e3, 3),
            "phases_p50_ms": {name: round(s * 1e3, 3) for name, s in self.p50_s.items()},
            "phases_p99_ms": {name: round(s * 1e3, 3) for name, s in self.p99_s.items()},
            "slowest": self.slowest,
            "slow": self.slow,
        }


class _Stretch:
    """The histograms of one episode, or of a whole session."""

    def __init__(self) -> None:
        self.phases = {name: Spread() for name in PHASES}
        self.jitter, self.late, self.interval = Spread(), Spread(), Spread()
        self.ticks = 0

    def take(self, other: _Stretch) -> None:
        for name, spread in other.phases.items():
            self.phases[name].take(spread)
        for mine, theirs in (
            (self.jitter, other.jitter),
            (self.late, other.late),
            (self.interval, other.interval),
        ):
            mine.take(theirs)
        self.ticks += other.ticks

    def timing(self, rate_hz: float) -> Timing:
        used = {name: spread for name, spread in self.phases.items() if spread.sum_s > 0}
        p99_s = {name: spread.percentile(99) for name, spread in used.items()}
        reached_hz = self.interval.count / self.interval.sum_s if self.interval.sum_s else 0.0
        # Forwarding fills time that would be waited away: it is told, and is nobody's fault.
        blamed = {name: s for name, s in p99_s.items() if name != "forwarding"}
        return Timing(
            rate_hz,
            self.ticks,
            reached_hz,
            self.jitter.percentile(50),
            self.jitter.percentile(99),
            self.late.count,
            self.late.most_s,
            {name: spread.percentile(50) for name, spread in used.items()},
            p99_s,
            max(blamed, key=blamed.__getitem__) if blamed else "",
        )


class Meter:
    """Stops the time of every phase; `forwarding_s` tells what forwarding has cost so far.

    `now` tells of the episode that runs or ran last, `whole` of all that are over.
    """

    def __init__(
        self,
        rate_hz: float,
        *,
        forwarding_s: Callable[[], float] = lambda: 0.0,
        now: Callable[[], float] = time.perf_counter,
    ):
        self.rate_hz, self._forwarding_s, self._now = rate_hz, forwarding_s, now
        self._episode, self._session = _Stretch(), _Stretch()
        self._counted = True
        self.start()

    def start(self) -> None:
        """An episode begins: the first tick's time runs from here."""
        self._close()
        self._episode, self._counted = _Stretch(), False
        self._lap_s = self._tick_s = self._now()
        self._forwarded_s = self._forwarding_s()

    def lap(self, phase: str) -> None:
        """Whatever time has passed since the last lap belongs to `phase`."""
        now_s = self._now()
        self._episode.phases[phase].add(now_s - self._lap_s)
        self._lap_s = now_s

    def waited(self, late_s: float) -> None:
        """A tick is over, its deadline met or missed by `late_s`; the next one begins."""
        now_s, forwarded_s = self._now(), self._forwarding_s()
        interval_s, episode = now_s - self._tick_s, self._episode
        if forwarded_s > self._forwarded_s:
            episode.phases["forwarding"].add(forwarded_s - self._forwarded_s)
        episode.interval.add(interval_s)
        episode.jitter.add(abs(interval_s - 1 / self.rate_hz))
        if late_s > 0:
            episode.late.add(late_s)
        episode.ticks += 1
        self._lap_s = self._tick_s = now_s
        self._forwarded_s = forwarded_s

    def measures(self) -> Mapping[str, float]:
        """The figures that are stored with an episode."""
        timing = self.now()
        if timing.ticks < 2:
            return {}
        return {
            "reached_hz": round(timing.reached_hz, 3),
            "jitter_p99_ms": round(timing.jitter_p99_s * 1e3, 3),
            "overruns": float(timing.overruns),
            "slower_than_stated": float(timing.slow),
        }

    def now(self) -> Timing:
        return self._episode.timing(self.rate_hz)

    def whole(self) -> Timing:
        self._close()
        return self._session.timing(self.rate_hz)

    def _close(self) -> None:
        if not self._counted:
            self._session.take(self._episode)
            self._counted = True
