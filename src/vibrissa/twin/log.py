"""The twin's own log: what the leader did and what the follower was told, on one clock.

Times are nanoseconds of `time.monotonic_ns`, so nobody's scheduling but the twin's own is in them.
One line an event:

    # joint leader_low leader_high follower_low follower_high     how ticks of the two correspond
    <ns> L t0 … t5      where the leader's joints are, ticks, to a hundredth
    <ns> G <joint> t    what was written to a Goal_Position of the follower
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import UsageError
from vibrissa.core.units import GRIPPER, JOINTS

FLUSH_NS = 1_000_000_000
LEVEL_TICKS = 10.0  # how far apart the places are at which a passage is timed
# Where a joint hardly moves, a driver that cuts off a fraction of a tick would look late by much.
LEAST_TICKS_S = 300.0
LOST_S = 1.0  # a passage that the follower was not told of for so long was never sent
Range = tuple[float, float]


class Log:
    """Writes the log. Lines that were not yet flushed are lost with the process."""

    def __init__(self, path: Path, leader: Mapping[str, Range], follower: Mapping[str, Range]):
        try:
            self._file = path.open("w", buffering=1 << 16, encoding="ascii")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
        self._last: Sequence[float] = ()
        self._flushed_ns = 0
        for joint in JOINTS:
            ends = (*leader[joint], *follower[joint])
            self._file.write(f"# {joint} {' '.join(f'{end:g}' for end in ends)}\n")

    def leader(self, ticks: Sequence[float]) -> None:
        """The leader's joints (6,), if they moved."""
        if ticks == self._last:
            return
        self._last = ticks
        self._line(f"L {' '.join(f'{tick:.2f}' for tick in ticks)}")

    def goal(self, joint: int, ticks: int) -> None:
        """A goal register of the follower."""
        self._line(f"G {joint} {ticks}")

    def close(self) -> None:
        self._file.close()

    def _line(self, words: str) -> None:
        now_ns = time.monotonic_ns()
        self._file.write(f"{now_ns} {words}\n")
        if now_ns - self._flushed_ns > FLUSH_NS:
            self._file.flush()
            self._flushed_ns = now_ns


@dataclass(frozen=True)
class Latency:
    """From *leader joint passes x* to *follower goal register holds x*: passages (N,), s."""

    passages_s: NDArray[np.float64]
    lost: int  # passages that the follower was never told of

    @property
    def median_s(self) -> float:
        return float(np.median(self.passages_s)) if len(self.passages_s) else float("nan")

    @property
    def p99_s(self) -> float:
        return float(np.percentile(self.passages_s, 99)) if len(self.passages_s) else float("nan")

    def told(self) -> str:
        """In one line."""
        return (
            f"leader passes x → goal register holds x: median {self.median_s * 1e3:.1f} ms, "
            f"p99 {self.p99_s * 1e3:.1f} ms, {len(self.passages_s)} passages"
            + (f", {self.lost} never sent" if self.lost else "")
        )


def latency(path: Path, *, since_ns: int = 0, until_ns: int | None = None) -> Latency:
    """The latency over a log, or over a part of it. Raises UsageError where it is no such log.

    A passage is where a leader's joint, on its way up or down and not too slow, passes one of a
    grid of places, each half-way between two ticks; it ends when the follower's goal is beyond.
    Sampling is included: a leader that is looked at 30 times a second is seen 17 ms late on
    average.
    """
    ranges, leader, goals = _read(path, since_ns, until_ns)
    found, lost = [], 0
    for i, joint in enumerate(JOINTS):
        if i not in goals or len(leader) < 2:
            continue
        lead_s, at = leader[:, 0], _as_follower(leader[:, 1 + i], ranges[joint], i == GRIPPER)
        told_s, told = goals[i]
        for up in (1.0, -1.0):
            passed_s, levels = _passages(lead_s, up * at)
            arrived_s = _arrivals(told_s, up * told, passed_s, levels)
            late = arrived_s - passed_s
            inside = passed_s < told_s[-1] - LOST_S  # later ones may not have been told yet
            found.append(late[inside & (late <= LOST_S)])
            lost += int((inside & ~(late <= LOST_S)).sum())
    return Latency(np.concatenate(found) if found else np.empty(0), lost)


def _passages(
    times_s: NDArray[np.float64], at: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """When and at which level the way up passes each level of the grid."""
    when, which = [], []
    before, after = np.floor((at[:-1] - 0.5) / LEVEL_TICKS), np.floor((at[1:] - 0.5) / LEVEL_TICKS)
    quick = np.diff(at) > LEAST_TICKS_S * np.diff(times_s)
    for k in np.flatnonzero((after > before) & quick):
        for step in range(int(before[k]) + 1, int(after[k]) + 1):
            level = step * LEVEL_TICKS + 0.5
            share = (level - at[k]) / (at[k + 1] - at[k])
            when.append(times_s[k] + share * (times_s[k + 1] - times_s[k]))
            which.append(level)
    return np.array(when), np.array(which)


def _arrivals(
    told_s: NDArray[np.float64],
    told: NDArray[np.float64],
    passed_s: NDArray[np.float64],
    levels: NDArray[np.float64],
) -> NDArray[np.float64]:
    """When a goal first was at each level or beyond, after the leader passed it; inf for never."""
    arrived = np.full(len(passed_s), np.inf)
    first = np.searchsorted(told_s, passed_s)
    last = np.searchsorted(told_s, passed_s + LOST_S, "right")
    for n, (level, a, b) in enumerate(zip(levels, first, last, strict=True)):
        there = np.flatnonzero(told[a:b] >= level)
        if len(there):
            arrived[n] = told_s[a + there[0]]
    return arrived


def _as_follower(
    ticks: NDArray[np.float64], ends: tuple[float, ...], gripper: bool
) -> NDArray[np.float64]:
    """Ticks of the leader as those the follower is told: degrees alike, the gripper in percent."""
    low, high, to_low, to_high = ends
    scale = (to_high - to_low) / (high - low) if gripper else 1.0
    return (ticks - (low + high) / 2) * scale + (to_low + to_high) / 2


def _read(path: Path, since_ns: int, until_ns: int | None) -> tuple[dict, NDArray, dict]:
    """Ranges by joint, the leader (T, 7) with its times in s, and times and ticks of each goal."""
    ranges: dict[str, tuple[float, ...]] = {}
    leader: list[list[float]] = []
    goals: dict[int, list[tuple[float, float]]] = {}
    try:
        lines = path.read_text("ascii").splitlines()
        for words in map(str.split, lines):
            if words[0] == "#":
                ranges[words[1]] = tuple(map(float, words[2:6]))
                continue
            if not since_ns <= int(words[0]) <= (until_ns or int(words[0])):
                continue
            time_s = int(words[0]) * 1e-9
            if words[1] == "L":
                leader.append([time_s, *map(float, words[2:8])])
            elif len(words) == 4:
                goals.setdefault(int(words[2]), []).append((time_s, float(words[3])))
    except (OSError, ValueError, IndexError) as error:
        raise UsageError(f"{path} is no log of a twin: {error}.") from error
    if set(ranges) != set(JOINTS):
        raise UsageError(f"{path} is no log of a twin: it does not begin with six joints.")
    columns = {i: (np.array(g)[:, 0], np.array(g)[:, 1]) for i, g in goals.items()}
    return ranges, np.array(leader), columns
