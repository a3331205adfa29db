"""How sure a count of successes makes one: intervals, and tests of one policy against another.

Wilson is for showing, Clopper–Pearson for guaranteeing, Newcombe for the difference of two
independent rates, the exact McNemar test for two pilots on the same seeds.
"""

from __future__ import annotations

import math

from scipy.stats import beta, binom, norm

Interval = tuple[float, float]


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


def _check(k: int, n: int, level: float) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n}: a count must lie between 0 and n.")
    if not 0 < level < 1:
        raise ValueError(f"a level of {level}; it must lie between 0 and 1, as 0.95.")
