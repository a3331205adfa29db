"""One pilot against another on the same seeds, looked at as often as one likes.

The argument. Seeds are drawn independently of each other, and each shows what both pilots make
of it. Write X = 1 where the first alone succeeds, −1 where the second alone does, 0 where they
agree. A player begins with 1 and bets the share λ of what he has (|λ| ≤ 1) before each seed is
seen; afterwards he has 1 + λX times as much. If both pilots are equally good, P(X = 1) =
P(X = −1), every such game is fair whatever the rate of agreement, and seeds on which the pilots
agree leave the capital as it is: they carry no information on who is better. A mixture of games,
each with its own fixed λ, is a game: its capital e is a non-negative martingale that begins at 1.
So by Ville's inequality the chance that e ever reaches 1/α is at most α, for all times at once.
Hence one may look after every seed, stop when e ≥ 1/α, stop for any other reason, or go on later:
at most a share α of equally good pairs is ever called different, and 1 / max e is a p-value
whenever one stops.

A λ stands for a guess at how the seeds on which they differ are shared: (1 + λ)/2 to the first.
Half the capital is put on either side, and |λ| is spread as Beta(2.5, 1.5), on 40 places. That
needs the fewest seeds among some thirty forms tried for what evaluations look like (70 against
80 %, correlation 0.3 to 0.7; runs/anytime.py), and any spread is valid.

The confidence sequence asks the same of every other difference δ: with E[X] = δ the factors
1 + λ(X − δ) are fair, for λ in [−1/(1 − δ), 1/(1 + δ)], the same shares of which are bet. Those
δ are kept whose capital stays below 1/α: the true one is among them at all times at once, but
for a chance α. It leaves out 0 exactly where e stands at 1/α or above. The test has decided once
and for all; its interval is what all seeds and those up to the greatest e both leave.

Sources: Ville (1939), Étude critique de la notion de collectif; Shafer & Vovk (2019),
Game-Theoretic Foundations for Probability and Finance; Ramdas, Grünwald, Vovk & Shafer (2023),
Game-theoretic statistics and safe anytime-valid inference, Statistical Science 38:576;
Waudby-Smith & Ramdas (2023), Estimating means of bounded random variables by betting, JRSS B.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.stats import Interval, Pairs

PLACES = 40
_SHARES = (np.arange(PLACES) + 0.5) / PLACES  # (S,) of the capital that are bet, on either side
_WEIGHTS = _SHARES**1.5 * (1 - _SHARES) ** 0.5
_LOG_WEIGHTS = np.tile(np.log(_WEIGHTS / _WEIGHTS.sum() / 2), 2)  # (2 S,)
_EDGE = 1e-6  # differences of 1 and −1 themselves would divide by zero


def log_evidence(only_first: int, only_second: int) -> float:
    """The log of e against "equally good", of the seeds on which the two differ."""
    up, down = np.log1p(_SHARES), np.log1p(-_SHARES)
    games = (only_first * up + only_second * down, only_second * up + only_first * down)
    return float(np.logaddexp.reduce(_LOG_WEIGHTS + np.concatenate(games)))


class AnytimeTest:
    """Told of one seed after another, in an order that does not depend on what they showed."""

    def __init__(self, level: float = 0.95):
        if not 0 < level < 1:
            raise ValueError(f"a level of {level}; it must lie between 0 and 1, as 0.95.")
        self.level = level
        self.pairs = Pairs()
        self.strongest = Pairs()  # as they stood when the evidence was greatest
        self.seeds_needed: int | None = None
        self._most = 0.0  # log e, at its greatest

    def add(self, first: bool, second: bool) -> None:
        """What both made of the next seed."""
        now = self.pairs
        counts = [now.both, now.only_first, now.only_second, now.neither]
        counts[2 * (not first) + (not second)] += 1
        self.pairs = Pairs(*counts)
        if first != second and self.log_e > self._most:
            self._most, self.strongest = self.log_e, self.pairs
        if self.seeds_needed is None and self.decided:
            self.seeds_needed = self.pairs.seeds

    @property
    def log_e(self) -> float:
        """The log of the evidence that they differ, as it stands now."""
        return log_evidence(self.pairs.only_first, self.pairs.only_second)

    @property
    def p(self) -> float:
        """The p-value that holds whenever one stops: 1 / the greatest e so far."""
        return math.exp(-self._most)

    @property
    def decided(self) -> bool:
        """Whether e has ever reached 1/α."""
        return self._most >= -math.log1p(-self.level)

    @property
    def interval(self) -> Interval:
        """Of p1 − p2: what neither all seeds nor those up to the greatest evidence rule out.

        Both confidence sequences hold at once, and so does what they have in common. It leaves
        out 0 exactly where the test has decided, also where later seeds spoke for the other one.
        """
        now, then = (confidence_sequence(p, self.level) for p in (self.pairs, self.strongest))
        low, high = max(now[0], then[0]), min(now[1], then[1])
        return (low, high) if low <= high else then  # apart: a chance of at most α


def after(outcomes: Iterable[tuple[bool, bool]], level: float = 0.95) -> AnytimeTest:
    """The test after all (first succeeded, second succeeded), in the order of the seeds."""
    test = AnytimeTest(level)
    for first, second in outcomes:
        test.add(first, second)
    return test


def confidence_sequence(pairs: Pairs, level: float = 0.95) -> Interval:
    """The interval of p1 − p2 that holds however often and whenever one looks."""
    bar = -math.log1p(-level)
    grid = np.append(np.linspace(-1 + _EDGE, 1 - _EDGE, 200), [0.0, pairs.difference])  # (D,)
    places: list[float] = np.unique(np.clip(grid, -1 + _EDGE, 1 - _EDGE)).tolist()
    kept = np.flatnonzero(
        _log_capital(pairs, np.array(places)) < bar
    )  # what was seen is always among them
    low, high = kept[0], kept[-1]
    return (
        -1.0 if low == 0 else _limit(pairs, bar, places[low - 1], places[low]),
        1.0 if high == len(places) - 1 else _limit(pairs, bar, places[high + 1], places[high]),
    )


def log_evidence_against(pairs: Pairs, difference: float) -> float:
    """The log of e against a true difference p1 − p2 of just this, above −1 and below 1."""
    return float(_log_capital(pairs, np.array([difference]))[0])


def _log_capital(pairs: Pairs, differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log capital (D,) of the bets against each of `differences` (D,)."""
    d = differences[:, None]  # (D, 1)
    first, second = pairs.only_first, pairs.only_second
    same = pairs.both + pairs.neither
    games = []  # (D, S) each
    for mine, theirs, away in ((first, second, d), (second, first, -d)):
        bet = _SHARES / (1 + away)
        games.append(
            mine * np.log1p(bet * (1 - away))
            + theirs * np.log1p(-_SHARES)
            + same * np.log1p(-bet * away)
        )
    return np.logaddexp.reduce(_LOG_WEIGHTS + np.concatenate(games, 1), axis=1)


def _limit(pairs: Pairs, bar: float, outside: float, inside: float) -> float:
    """Where the capital reaches `bar` between two differences, by halving."""
    for _ in range(24):
        middle = (outside + inside) / 2
        if log_evidence_against(pairs, middle) < bar:
            inside = middle
        else:
            outside = middle
    return float(inside)


@cache
def bounds(most: int, level: float = 0.95) -> tuple[int, ...]:
    """For each number of differing seeds up to `most`: how many of them decide for one pilot.

    Beyond `most` itself where no number of them would. One more differing seed raises it by 1 or
    by nothing.
    """
    bar, found = -math.log1p(-level), [1]
    for n in range(1, most + 1):
        k = found[-1]
        while k <= n and log_evidence(k, n - k) < bar:
            k += 1
        found.append(k)
    return tuple(found)


def first_crossing(share: float, most: int, level: float = 0.95) -> NDArray[np.float64]:
    """The chance (most + 1,) that the test decides at just this number of differing seeds.

    share: how many of them are won by the first pilot; 0.5 where both are equally good. Exact,
    by adding up over all paths.
    """
    reach = bounds(most, level)
    going, decided = np.zeros(most + 2), np.zeros(most + 1)  # going: by seeds won by the first
    going[0] = 1.0
    for n in range(1, most + 1):
        won = np.zeros_like(going)
        won[1:] = going[:-1] * share
        going = won + going * (1 - share)
        k = np.arange(most + 2)
        over = (k <= n) & (np.maximum(k, n - k) >= reach[n])
        decided[n] = going[over].sum()
        going[over] = 0.0
    return decided
