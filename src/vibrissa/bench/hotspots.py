"""Where failures are more frequent than elsewhere, told apart from what chance alone piles up.

Whoever searches many places for the worst one finds a bad one in any noise. So the worst place
is compared with the worst places of the same episodes with their outcomes shuffled (a scan
statistic, Kulldorff 1997, with Fisher's exact test as its score).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact, hypergeom

from vibrissa.bench.outcomes import Spawn
from vibrissa.core.stats import Interval, wilson

LEVEL = 0.05
SHUFFLES, SEED = 999, 5
MOST_MIDDLES = 500  # spawns that places are tried about
LEAST, MOST_SHARE = 6, 0.6  # episodes within a place; its share of all
RADII = (0.3, 0.6, math.inf)  # of the spawn's half side
TURNS = (1 / 12, 1 / 6, math.inf)  # of the angle after which the object looks the same


@dataclass(frozen=True)
class Region:
    """A disc on the table and a range of yaw about its middle; infinite: anywhere, any yaw."""

    x_m: float
    y_m: float
    radius_m: float
    yaw_rad: float
    half_yaw_rad: float

    def holds(self, spawns: NDArray[np.floating], period_rad: float) -> NDArray[np.bool_]:
        """Which of `spawns` (N, 3) lie in it."""
        away_m = np.hypot(spawns[:, 0] - self.x_m, spawns[:, 1] - self.y_m)
        turned = np.abs(turn_between(spawns[:, 2], self.yaw_rad, period_rad))
        return (away_m <= self.radius_m) & (turned <= self.half_yaw_rad)


@dataclass(frozen=True)
class Hotspot:
    """A place, what happened in it and elsewhere, and how sure one can be that it differs.

    p_alone: Fisher's exact test, two-sided, of this place alone. p_searched: how often the worst
    place of shuffled outcomes is at least as bad; None where it was not searched for.
    """

    place: Region
    failures: int
    episodes: int
    failures_elsewhere: int
    elsewhere: int
    p_alone: float
    p_searched: float | None = None

    @property
    def interval(self) -> Interval:
        return wilson(self.failures, self.episodes)

    @property
    def is_finding(self) -> bool:
        return self.p_searched is not None and self.p_searched <= LEVEL


def turn_between(
    a_rad: NDArray[np.floating] | float, b_rad: NDArray[np.floating] | float, period_rad: float
) -> NDArray[np.float64]:
    """How far a yaw is turned from another, modulo `period_rad`; 0 where no yaw shows (inf)."""
    difference = np.asarray(a_rad, np.float64) - b_rad
    if math.isinf(period_rad):
        return np.zeros_like(difference)
    return difference - period_rad * np.round(difference / period_rad)


def hotspots(
    spawns: Sequence[Spawn],
    failed: Sequence[bool],
    *,
    half_m: float,
    period_rad: float,
    most: int = 4,
) -> list[Hotspot]:
    """The places where failures are more frequent than elsewhere, the surest first.

    half_m: half the side of the square of all spawns. period_rad: 2π over the object's symmetry,
    infinite for one whose yaw does not show. Each further place is sought among the episodes
    outside those before it. Where no place is a finding, the worst one alone is returned, with
    the p that says so; none where nothing, or everything, failed.
    """
    left, lost = np.array(spawns, np.float64).reshape(-1, 3), np.array(failed, np.bool_)
    found: list[Hotspot] = []
    while len(found) < most:
        worst = _worst(left, lost, half_m, period_rad)
        if worst is None or (found and not worst.is_finding):
            break
        found.append(worst)
        if not worst.is_finding:
            break
        outside = ~worst.place.holds(left, period_rad)
        left, lost = left[outside], lost[outside]
    return found


def compare_place(
    place: Region,
    spawns: Sequence[Spawn],
    failed: Sequence[bool],
    period_rad: float,
    p_searched: float | None = None,
) -> Hotspot:
    """What happened in a place against everywhere else."""
    where, lost = np.array(spawns, np.float64).reshape(-1, 3), np.array(failed, np.bool_)
    inside = place.holds(where, period_rad)
    k, n = int(lost[inside].sum()), int(inside.sum())
    rest, others = int(lost.sum()) - k, len(lost) - n
    p = float(np.asarray(fisher_exact([[k, n - k], [rest, others - rest]]))[1])
    return Hotspot(place, k, n, rest, others, p, p_searched)


def _worst(
    spawns: NDArray[np.float64], failed: NDArray[np.bool_], half_m: float, period_rad: float
) -> Hotspot | None:
    """The place whose failures are the least like chance."""
    places, members = _candidates(spawns, half_m, period_rad)
    if not places or failed.all() or not failed.any():
        return None
    sizes, which = np.unique(members.sum(axis=1), return_inverse=True)  # (S,), (R,)
    total, bad = len(failed), int(failed.sum())
    counts = np.arange(bad + 1)
    # p of at least k failures among n episodes of a place, for every n that occurs: (S, K + 1)
    tails = np.stack([hypergeom.sf(counts - 1, total, bad, int(n)) for n in sizes])
    rng = np.random.default_rng(SEED)
    shuffled = np.stack([rng.permutation(failed) for _ in range(SHUFFLES)])  # (P, N)
    weights = members.astype(np.float32)  # (R, N)
    seen = tails[which, (weights @ failed).astype(int)]  # (R,)
    by_chance = tails[which[:, None], (weights @ shuffled.T.astype(np.float32)).astype(int)]
    at_least = int((by_chance.min(axis=0) <= seen.min() * (1 + 1e-9)).sum())
    best = places[int(np.argmin(seen))]
    p_searched = (1 + at_least) / (1 + SHUFFLES)
    return compare_place(best, [tuple(s) for s in spawns], list(failed), period_rad, p_searched)


def _candidates(
    spawns: NDArray[np.float64], half_m: float, period_rad: float
) -> tuple[list[Region], NDArray[np.bool_]]:
    """Places about every spawn, and whom each of them holds (R, N); no two of the same.

    About failures alone, they would fit these outcomes better than shuffled ones.
    """
    turns = TURNS if math.isfinite(period_rad) else (math.inf,)
    found: dict[bytes, tuple[Region, NDArray[np.bool_]]] = {}
    for x, y, yaw in spawns[:MOST_MIDDLES]:
        for share in RADII:
            for turn in turns:
                radius_m = share * half_m
                half = math.inf if math.isinf(turn) else turn * period_rad
                middle = float(turn_between(yaw, 0.0, period_rad))
                place = Region(float(x), float(y), radius_m, middle, half)
                inside = place.holds(spawns, period_rad)
                if LEAST <= inside.sum() <= MOST_SHARE * len(spawns):
                    found.setdefault(inside.tobytes(), (place, inside))
    places = [place for place, _ in found.values()]
    members = np.array([inside for _, inside in found.values()], np.bool_)
    return places, members
