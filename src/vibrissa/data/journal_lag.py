"""How far the disk is behind the arm, who hears of it, and when an episode ends because of it.

A row is safe from a kill when it is written, and from a power cut when it is synced. The ages of
the oldest row that is not written and of the oldest that is not synced are looked at every tick.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vibrissa.core.errors import DatasetError

LONGEST_TICK_S = 0.2  # a longer gap between two looks is a program that stood still, not a disk
WAIT_S = 0.01


@dataclass(frozen=True)
class Lag:
    """The age of the oldest row that is not written yet, and of the oldest not synced yet."""

    unwritten_s: float = 0.0
    unsynced_s: float = 0.0


# The operator reads a line at the first, the episode ends at the second.
SAID = Lag(unwritten_s=0.4, unsynced_s=5.0)
MOST = Lag(unwritten_s=0.8, unsynced_s=60.0)


class TickClock:
    """The time in which ticks came: it stands still while the whole program does (Ctrl-Z)."""

    def __init__(self, fps: int, now: Callable[[], float] = time.monotonic):
        self._now, self._longest_s = now, max(LONGEST_TICK_S, 3.0 / fps)
        self._last_s = now()
        self.time_s = 0.0

    def tick(self) -> float:
        """Go on to now."""
        now_s = self._now()
        self.time_s += min(now_s - self._last_s, self._longest_s)
        self._last_s = now_s
        return self.time_s


class LagWatch:
    """Looks at the lag of one take, every tick.

    `say` hears once an episode, for each kind of lag, that the disk is slow. `patience_s` is how
    long a tick may wait for the disk: a simulated arm's clock stands still meanwhile.
    """

    def __init__(
        self,
        out: Path,
        say: Callable[[str], None],
        patience_s: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._out, self._say, self._patience_s = out, say, patience_s
        self._now, self._sleep = now, sleep
        self._said: set[str] = set()

    def look(self, lag: Callable[[], Lag]) -> None:
        """Raise DatasetError, which names the disk, where `lag` is over its limit and stays so."""
        here = lag()
        until_s = self._now() + self._patience_s
        while _over(here, MOST) and self._now() < until_s:
            self._sleep(WAIT_S)
            here = lag()
        if here.unwritten_s > MOST.unwritten_s:
            raise DatasetError(self._too_slow(_unwritten(here), MOST.unwritten_s))
        if here.unsynced_s > MOST.unsynced_s:
            raise DatasetError(self._too_slow(_unsynced(here), MOST.unsynced_s))
        if here.unwritten_s > SAID.unwritten_s:
            self._say_once("unwritten", _unwritten(here), MOST.unwritten_s)
        if here.unsynced_s > SAID.unsynced_s:
            self._say_once("unsynced", _unsynced(here), MOST.unsynced_s)

    def _say_once(self, kind: str, what: str, most_s: float) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._say(f"slow disk: {what} ({self._out}). At {most_s:g} s the episode ends.")

    def _too_slow(self, what: str, most_s: float) -> str:
        return (
            f"the disk of {self._out} is too slow: {what}, and {most_s:g} s is the limit. What is "
            "written lies in the journal. Record onto a faster disk (an SSD rather than an SD card "
            f"or a network drive); this episode: vibrissa data recover {self._out}"
        )


def _over(lag: Lag, most: Lag) -> bool:
    return lag.unwritten_s > most.unwritten_s or lag.unsynced_s > most.unsynced_s


def _unwritten(lag: Lag) -> str:
    return f"the last {lag.unwritten_s:.1f} s of the episode are not written yet"


def _unsynced(lag: Lag) -> str:
    return f"a power cut now would lose the last {lag.unsynced_s:.0f} s of the episode"
