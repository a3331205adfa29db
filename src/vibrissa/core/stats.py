"""How sure a count of successes makes one: intervals, and tests of one policy against another.

Wilson is for showing, Clopper–Pearson for guaranteeing, Newcombe for a difference: of two
independent rates, or of two pilots on the same seeds. Barnard's test is for independent counts,
the exact McNemar test for pairs whose number was fixed beforehand; `anytime` is for those that
are looked at while they come in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binom, norm

Interval = tuple[float, float]
MOST_TABLES = 4_000_000  # Barnard's test adds up so many 2 × 2 tables at most
FEW, MANY = 150, 25_000
RULED_OUT = 1e-6  # the chance that the common rate lies where Barnard's test does not look


@dataclass(frozen=True)
class Pairs:
    """What two pilots made of the same seeds: how often each of the four ends occurred."""

    both: int = 0
    only_first: int = 0
    only_second: int = 0
    neither: int = 0

    def __post_init__(self) -> None:
        if min(self.both, self.only_first, self.only_second, self.neither) < 0:
            raise ValueError(f"{self}: no count may be below 0.")

    @staticmethod
    def of(outcomes: Iterable[tuple[bool, bool]]) -> Pairs:
        """The counts of (first succeeded, second succeeded), seed by seed."""
        told = [(bool(a), bool(b)) for a, b in outcomes]
        ends = ((True, True), (True, False), (False, True), (False, False))
        return Pairs(*(told.count(end) for end in ends))

    @property
    def seeds(self) -> int:
        return self.both + self.discordant + self.neither

    @property
    def first(self) -> int:
        """Successes of the first one."""
        return self.both + self.only_first

    @property
    def second(self) -> int:
        return self.both + self.only_second

    @property
    def discordant(self) -> int:
        """The seeds on which they differ."""
        return self.only_first + self.only_second

    @property
    def difference(self) -> float:
        """The first one's rate less the second one's; 0 without seeds."""
        return (self.only_first - self.only_second) / self.seeds if self.seeds else 0.0


def wilson(k: int, n: int, level: float = 0.95) -> Interval:
    """The score interval of `k` successes in `n` (Wilson 1927); (0, 1) for n = 0.

    Raises ValueError unless 0 ≤ k ≤ n and 0 < level < 1.
    """
    _check(k, n, level)
    if n == 0:
        return 0.0, 1.0
    z = float(norm.ppf((1 + level) / 2))
    p, shrink = k / n, 1 + z * z / n
    middle = (p + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # At the ends the formula is exact; rounding must not say 1.0000000000000002 or 1e-17.
    low = 0.0 if k == 0 else max(0.0, middle - half)
    high = 1.0 if k == n else min(1.0, middle + half)
    return low, high


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval of `k` in `n` (Clopper & Pearson 1934): covers at least `level`."""
    _check(k, n, level)
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(beta.ppf(1 - tail, k + 1, n - k))
    return low, high


def newcombe(k1: int, n1: int, k2: int, n2: int, level: float = 0.95) -> Interval:
    """The interval of p1 − p2 from two independent counts (Newcombe 1998, method 10)."""
    low1, high1 = wilson(k1, n1, level)
    low2, high2 = wilson(k2, n2, level)
    if n1 == 0 or n2 == 0:
        return -1.0, 1.0
    p1, p2 = k1 / n1, k2 / n2
    down = math.hypot(p1 - low1, high2 - p2)
    up = math.hypot(high1 - p1, p2 - low2)
    return p1 - p2 - down, p1 - p2 + up


def newcombe_paired(pairs: Pairs, level: float = 0.95) -> Interval:
    """The interval of p1 − p2 on the same seeds (Newcombe 1998, Stat. Med. 17:2635, method 10).

    It holds for a number of seeds that was fixed beforehand.
    """
    n = pairs.seeds
    if n == 0:
        return -1.0, 1.0
    (low1, high1), (low2, high2) = (wilson(k, n, level) for k in (pairs.first, pairs.second))
    p1, p2, phi = pairs.first / n, pairs.second / n, _phi_corrected(pairs)

    def reach(one: float, two: float) -> float:
        return math.sqrt(max(0.0, one * one - 2 * phi * one * two + two * two))

    down, up = reach(p1 - low1, high2 - p2), reach(high1 - p1, p2 - low2)
    return pairs.difference - down, pairs.difference + up


def correlation(pairs: Pairs) -> float | None:
    """How alike two pilots fare on the same seeds: phi, from −1 to 1.

    None where one of them always or never succeeded: then there is nothing to go along with.
    """
    spread = _spread(pairs)
    return _covaried(pairs) / math.sqrt(spread) if spread else None


def barnard(k1: int, n1: int, k2: int, n2: int) -> float:
    """The two-sided p that two independent counts have one rate (Barnard 1945; pooled score).

    The chance of a table at least as odd, at the common rate that makes it greatest of those that
    the pooled count leaves (Berger & Boos 1994, JASA 89:1012): what is left out is as unlikely as
    `RULED_OUT`, which is added. Over all rates from 0 to 1, few episodes against many would show
    next to nothing. Tables that are just as odd count, which SciPy's loses where they differ in
    the last digit. Of very many episodes (`MOST_TABLES`) it is the score test's normal tail; beside
    a few (`FEW`), for which that is no good, they count as `MANY` with the same rate.
    """
    _check(k1, n1, 0.95)
    _check(k2, n2, 0.95)
    if n1 == 0 or n2 == 0 or k1 + k2 in (0, n1 + n2):
        return 1.0
    n1, n2, k1, k2 = (n1, n2, k1, k2) if n1 <= n2 else (n2, n1, k2, k1)  # far less to keep
    if n1 <= FEW and n2 > MANY:  # what more of them would tell is nothing beside so few
        k2, n2 = round(k2 * MANY / n2), MANY
    score = abs(float(_scores(np.array(k1), n1, np.array(k2), n2)))
    if (n1 + 1) * (n2 + 1) > MOST_TABLES:
        return float(2 * norm.sf(score))
    return _worst_chance(score, n1, n2, k1 + k2)


@cache
def barnard_reach(n1: int, n2: int, k: int, level: float = 0.95) -> float:
    """The smallest pooled |z| that `barnard` calls different, of tables with `k` successes in all.

    Infinite where none is, be it that of another k.
    """
    one, two = np.arange(n1 + 1)[:, None], np.arange(n2 + 1)[None, :]
    places = np.unique(np.abs(_scores(one, n1, two, n2))).tolist()  # ever less likely
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        if _worst_chance(places[middle], n1, n2, k) <= 1 - level + 1e-12:
            high = middle
        else:
            low = middle + 1
    return places[low] if low < len(places) else math.inf


def score_at_least(score: float, n1: int, p1: float, n2: int, p2: float) -> float:
    """The chance that two counts with these true rates have a pooled |z| of `score` or more."""
    return float(_chance_odd(score, n1, np.array([p1]), n2, np.array([p2]))[0])


def posterior(k: int, n: int, rates: NDArray[np.floating]) -> NDArray[np.float64]:
    """The density at `rates` (R,) of the true rate after `k` of `n`, all rates alike before.

    Beta(1 + k, 1 + n − k), for pictures: no verdict is made of it.
    """
    _check(k, n, 0.95)
    return np.asarray(beta.pdf(rates, 1 + k, 1 + n - k), np.float64)


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided exact p that two pilots on the same seeds are equally good.

    `only_first` counts the seeds where only the first one succeeded, `only_second` the others;
    seeds on which both agree say nothing. 1.0 where there is no such seed.
    """
    _check(only_first, only_first + only_second, 0.95)
    fewer = min(only_first, only_second)
    return min(1.0, 2 * float(binom.cdf(fewer, only_first + only_second, 0.5)))


def rate_text(k: int, n: int, level: float = 0.95) -> str:
    """A rate as it is printed everywhere: with its n and its interval, `41/50 (69–90 %)`."""
    low, high = wilson(k, n, level)
    return f"{k}/{n} ({100 * low:.0f}–{100 * high:.0f} %)"


def _scores(k1: NDArray[np.int64], n1: int, k2: NDArray[np.int64], n2: int) -> NDArray[np.float64]:
    """The pooled z of each table; 0 where nobody or everybody succeeded."""
    pooled = (k1 + k2) / (n1 + n2)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    away = k1 / n1 - k2 / n2
    return np.where(spread > 0, away / np.where(spread > 0, spread, 1.0), 0.0)


def _worst_chance(score: float, n1: int, n2: int, k: int) -> float:
    """Of a pooled |z| of `score` or more: at the likeliest common rate that k successes leave."""
    low, high = clopper_pearson(k, n1 + n2, 1 - RULED_OUT)
    rates = np.linspace(low, high, 1001)
    best, step = rates[np.argmax(_chance_odd(score, n1, rates, n2, rates))], rates[1] - rates[0]
    fine = np.clip(best + step * np.linspace(-1, 1, 101), low, high)
    return min(1.0, float(_chance_odd(score, n1, fine, n2, fine).max()) + RULED_OUT)


def _chance_odd(
    score: float, n1: int, p1: NDArray[np.floating], n2: int, p2: NDArray[np.floating]
) -> NDArray[np.floating]:
    """The chance (R,) of a pooled |z| of `score` or more, of true rates p1 and p2, (R,) each."""
    one, two = np.arange(n1 + 1)[:, None], np.arange(n2 + 1)[None, :]
    scores = _scores(one, n1, two, n2)  # (n1 + 1, n2 + 1), falling along a row
    least = score - 1e-9
    up, down = (scores >= least).sum(axis=1), (scores <= -least).sum(axis=1)  # (n1 + 1,)
    odd = binom.cdf(up - 1, n2, p2[:, None]) + binom.sf(n2 - down, n2, p2[:, None])  # (R, n1 + 1)
    return (binom.pmf(one[:, 0], n1, p1[:, None]) * odd).sum(axis=1)


def _covaried(pairs: Pairs) -> float:
    return pairs.both * pairs.neither - pairs.only_first * pairs.only_second


def _spread(pairs: Pairs) -> float:
    n = pairs.seeds
    return float(pairs.first * (n - pairs.first) * pairs.second * (n - pairs.second))


def _phi_corrected(pairs: Pairs) -> float:
    """Newcombe's phi: a positive covariance is drawn towards 0 by n / 2, at most to 0."""
    covaried, spread = _covaried(pairs), _spread(pairs)
    if covaried > 0:
        covaried = max(0.0, covaried - pairs.seeds / 2)
    return covaried / math.sqrt(spread) if spread else 0.0


def _check(k: int, n: int, level: float) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n}: a count must lie between 0 and n.")
    if not 0 < level < 1:
        raise ValueError(f"a level of {level}; it must lie between 0 and 1, as 0.95.")
