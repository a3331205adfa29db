"""How many episodes tell two pilots apart, and which difference a number of them could show."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import binom, norm

from vibrissa.core.anytime import first_crossing
from vibrissa.core.stats import barnard_reach, score_at_least

POWER = 0.8
EXACT_TABLES = 3000  # up to so many 2 × 2 tables (50 against 50) power is added up over them all
_FINE = 1e-4  # differences are found up to this


class Ends(NamedTuple):
    """The four chances of a pair: both succeed, only the first, only the second, neither."""

    both: float
    only_first: float
    only_second: float
    neither: float


class Effort(NamedTuple):
    """How often a test decides within its seeds, and how many it takes on average."""

    power: float
    mean_pairs: float


def pair_ends(first: float, second: float, correlation: float) -> Ends:
    """The chances of a pair of pilots with these rates. Raises ValueError for an impossible one."""
    for rate in (first, second):
        if not 0 <= rate <= 1:
            raise ValueError(f"a rate of {rate}; it must lie between 0 and 1.")
    spread = math.sqrt(first * (1 - first) * second * (1 - second))
    both = first * second + correlation * spread
    ends = Ends(both, first - both, second - both, 1 - first - second + both)
    if min(ends) < -1e-12:
        raise ValueError(f"rates of {first} and {second} cannot have a correlation {correlation}.")
    return Ends(*(max(0.0, chance) for chance in ends))


def episodes_needed(
    first: float, second: float, *, power: float = POWER, level: float = 0.95
) -> int:
    """Episodes for each of two pilots on scenes of their own (Fleiss, Levin & Paik 2003, ch. 4).

    No continuity correction: that many for a score test of a number that was fixed beforehand.
    """
    middle = (first + second) / 2
    _check_differ(first, second)
    null = _z((1 + level) / 2) * math.sqrt(2 * middle * (1 - middle))
    real = _z(power) * math.sqrt(first * (1 - first) + second * (1 - second))
    return math.ceil((null + real) ** 2 / (first - second) ** 2)


def pairs_needed(
    first: float,
    second: float,
    correlation: float,
    *,
    power: float = POWER,
    level: float = 0.95,
) -> int:
    """Seeds that both pilots try, for a McNemar test (Connor 1987, Biometrics 43:207)."""
    _check_differ(first, second)
    ends = pair_ends(first, second, correlation)
    differing, difference = ends.only_first + ends.only_second, abs(first - second)
    null = _z((1 + level) / 2) * math.sqrt(differing)
    real = _z(power) * math.sqrt(max(0.0, differing - difference**2))
    return math.ceil((null + real) ** 2 / difference**2)


def anytime_effort(
    difference: float, differing: float, most: int, *, level: float = 0.95
) -> Effort:
    """What the anytime test needs, looked at after every seed up to `most`; exact.

    differing: the share of seeds on which the pilots differ, at least `difference`.
    """
    if not 0 < differing <= 1 or abs(difference) > differing + 1e-12:
        raise ValueError(f"a difference of {difference} with {differing} of the seeds differing.")
    share = min(1.0, (1 + difference / differing) / 2)
    decided = first_crossing(share, most, level)
    count = np.arange(len(decided))
    decides = decided @ binom.sf(count - 1, most, differing)
    seen = np.arange(most)[:, None]  # still going after so many seeds: (most,)
    going = 1 - binom.sf(count[None, :] - 1, seen, differing) @ decided
    return Effort(float(decides), float(going.sum()))


def seen_by_anytime(
    pairs: int, differing: float, *, power: float = POWER, level: float = 0.95
) -> float | None:
    """The smallest difference that the anytime test finds within `pairs` seeds, four times in five.

    differing: the share of seeds on which two such pilots differ; taken as the difference itself
    where that is more. None where no difference would be found with so few seeds.
    """

    def strong(difference: float) -> bool:
        share = min(1.0, (1 + difference / max(differing, difference)) / 2)
        decided = first_crossing(share, pairs, level)
        counts = np.arange(len(decided)) - 1
        return bool(decided @ binom.sf(counts, pairs, max(differing, difference)) >= power)

    return _smallest(strong)


def seen_by_mcnemar(
    pairs: int, differing: float, *, power: float = POWER, level: float = 0.95
) -> float | None:
    """The same for the exact McNemar test of a number of seeds that was fixed beforehand."""
    count = np.arange(pairs + 1)
    # As many of `count` differing seeds, or more, on one side say that they differ.
    reach = binom.isf((1 - level) / 2, count, 0.5) + 1

    def strong(difference: float) -> bool:
        all_ = max(differing, difference)
        share = min(1.0, (1 + difference / all_) / 2)
        found = binom.sf(reach - 1, count, share) + binom.sf(reach - 1, count, 1 - share)
        return bool(binom.pmf(count, pairs, all_) @ found >= power)

    return _smallest(strong)


def seen_apart(
    n1: int, n2: int, rate: float, *, power: float = POWER, level: float = 0.95
) -> float | None:
    """The smallest difference that Barnard's test of two counts finds, four times in five.

    rate: of both together. The two lie on either side of it, or as near to that as 0 and 1 let
    them; whichever is the better. Of few episodes all tables are added up, with the reach that the
    test has near that rate; of more it is a normal approximation.
    """
    if n1 == 0 or n2 == 0:
        return None
    few = (n1 + 1) * (n2 + 1) <= EXACT_TABLES
    both = round(rate * (n1 + n2))
    reach = barnard_reach(n1, n2, both, level) if few else _z((1 + level) / 2)

    def found(p1: float, p2: float) -> float:
        if few:
            return score_at_least(reach, n1, p1, n2, p2)
        middle = (n1 * p1 + n2 * p2) / (n1 + n2)
        null = math.sqrt(middle * (1 - middle) * (1 / n1 + 1 / n2))
        real = math.sqrt(p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2)
        away = abs(p1 - p2) - reach * null
        return float(norm.cdf(away / real)) if real else float(away >= 0)

    def strong(difference: float) -> bool:
        low = min(max(0.0, rate - difference / 2), 1 - difference)
        ends = (low, low + difference)
        return min(found(*ends), found(*ends[::-1])) >= power

    return _smallest(strong)


def _smallest(strong: Callable[[float], bool]) -> float | None:
    """The smallest difference above 0 that is `strong`, which larger ones are too."""
    low, high = 0.0, 1.0
    if not strong(high):
        return None
    while high - low > _FINE:
        middle = (low + high) / 2
        low, high = (low, middle) if strong(middle) else (middle, high)
    return high


def _z(chance: float) -> float:
    return float(norm.ppf(chance))


def _check_differ(first: float, second: float) -> None:
    if first == second:
        raise ValueError(f"two rates of {first}: no number of episodes tells them apart.")
