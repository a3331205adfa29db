"""The anytime test by enumeration: fair capital, the bound of Ville, and what it takes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from vibrissa.core.anytime import (
    AnytimeTest,
    after,
    bounds,
    confidence_sequence,
    first_crossing,
    log_evidence,
    log_evidence_against,
)
from vibrissa.core.stats import Pairs, mcnemar

counts = st.integers(0, 120)
ends = st.tuples(*[st.integers(0, 80)] * 4)


@settings(deadline=None)
@given(counts, counts)
def test_the_game_is_fair(first: int, second: int) -> None:
    """The capital after one more differing seed is on average what it was: a martingale."""
    now = math.exp(log_evidence(first, second))
    up, down = (log_evidence(first + i, second + 1 - i) for i in (1, 0))
    assert (math.exp(up) + math.exp(down)) / 2 == pytest.approx(now)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 1), (12, 12), (40, 15), (7, 60)])
def test_the_capital_is_the_mixture_that_is_stated(first: int, second: int) -> None:
    """Against the integral over |λ| ~ Beta(2.5, 1.5), which 40 places stand for."""
    n = first + second

    def game(share: float) -> float:
        ups = first * math.log1p(share) + second * math.log1p(-share)
        downs = second * math.log1p(share) + first * math.log1p(-share)
        scale = abs(log_evidence(first, second))
        return float(beta.pdf(share, 2.5, 1.5)) * (math.exp(ups - scale) + math.exp(downs - scale))

    scale = abs(log_evidence(first, second))
    whole, _ = quad(game, 0, 1, limit=400, points=[abs(first - second) / n] if n else None)
    assert math.log(whole / 2) + scale == pytest.approx(log_evidence(first, second), abs=0.1)


def test_it_begins_at_one_and_knows_no_side() -> None:
    assert log_evidence(0, 0) == pytest.approx(0.0)
    assert log_evidence(9, 2) == pytest.approx(log_evidence(2, 9))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_false_alarms_by_counting_every_path(level: float) -> None:
    """All 2^14 orders in which equally good pilots can differ: how many ever reach 1/α."""
    enough = np.zeros((15, 15), bool)  # [differing seeds, won by the first]
    for n in range(15):
        for k in range(n + 1):
            enough[n, k] = log_evidence(k, n - k) >= -math.log1p(-level)
    paths = (np.arange(2**14)[:, None] >> np.arange(14)) & 1  # (P, 14)
    alarms = enough[np.arange(1, 15), np.cumsum(paths, axis=1)].any(axis=1)  # (P,)
    assert alarms.mean() <= 1 - level
    assert first_crossing(0.5, 14, level).sum() == pytest.approx(alarms.mean())


def test_false_alarms_stay_below_the_level_for_ever() -> None:
    ever = first_crossing(0.5, 1000).cumsum()
    assert 0.040 < ever[250] < ever[1000] < 0.05


def test_the_bounds_are_where_the_evidence_is_enough() -> None:
    bar = math.log(20)
    for n, k in enumerate(bounds(60)):
        for won in range(n + 1):
            assert (log_evidence(won, n - won) >= bar) == (max(won, n - won) >= k)


def test_seeds_on_which_both_agree_change_nothing() -> None:
    differing = [(True, False), (False, True), (True, False), (True, False)]
    agreeing = [(True, True), (False, False)]
    assert after(differing + 9 * agreeing).log_e == pytest.approx(after(differing).log_e)


def test_it_decides_once_and_for_all() -> None:
    test = AnytimeTest()
    for _ in range(9):
        test.add(True, False)
    assert test.decided
    assert test.seeds_needed == next(n for n, k in enumerate(bounds(9)) if n and k <= n)
    p = test.p
    for _ in range(9):
        test.add(False, True)
    assert test.decided
    assert test.p == p <= 0.05
    assert test.log_e < 0


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_looking_at_any_time_costs_something(first: int, second: int) -> None:
    """The evidence is never stronger than the exact test's that looks once, at this number."""
    assert math.exp(-log_evidence(first, second)) >= mcnemar(first, second) / 2


@settings(deadline=None, max_examples=40)
@given(ends)
def test_the_sequence_and_the_test_say_the_same_of_no_difference(
    told: tuple[int, int, int, int],
) -> None:
    pairs = Pairs(*told)
    low, high = confidence_sequence(pairs)
    assert -1 <= low <= pairs.difference <= high <= 1
    enough = log_evidence(pairs.only_first, pairs.only_second) >= math.log(20)
    assert enough == (not low <= 0 <= high)
    swapped = Pairs(told[0], told[2], told[1], told[3])
    assert confidence_sequence(swapped) == pytest.approx((-high, -low), abs=1e-6)


@pytest.mark.parametrize(("first", "second", "alike"), [(0.8, 0.7, 0.5), (0.95, 0.6, 0.2)])
def test_the_sequence_misses_the_truth_no_more_often_than_it_may(
    first: float, second: float, alike: float
) -> None:
    """300 evaluations of 200 seeds, looked at after every tenth: 95 % never miss."""
    rng = np.random.default_rng(7)
    both = first * second + alike * math.sqrt(first * (1 - first) * second * (1 - second))
    chances = [both, first - both, second - both, 1 - first - second + both]
    missed = 0
    for _ in range(300):
        drawn = np.cumsum(rng.multinomial(10, chances, size=20), axis=0)
        seen = [log_evidence_against(Pairs(*row), first - second) for row in drawn.tolist()]
        missed += max(seen) >= math.log(20)
    assert missed <= 0.05 * 300


@settings(deadline=None, max_examples=40)
@given(ends, st.floats(-0.99, 0.99))
def test_the_sequence_keeps_what_there_is_no_evidence_against(
    told: tuple[int, int, int, int], difference: float
) -> None:
    pairs = Pairs(*told)
    low, high = confidence_sequence(pairs)
    against = log_evidence_against(pairs, difference)
    if abs(against - math.log(20)) > 1e-3:
        assert (against < math.log(20)) == (low <= difference <= high)


@settings(deadline=None, max_examples=40)
@given(ends, st.floats(-0.9, 0.9))
def test_the_game_against_a_difference_is_fair_where_it_is_true(
    told: tuple[int, int, int, int], difference: float
) -> None:
    """With E[X] = δ the capital stays what it was on average, whatever the share of agreement."""
    both, first, second, neither = told
    won = max(0.0, difference) + (1 - abs(difference)) / 4
    chances = (1 - 2 * won + difference, won, won - difference)
    after_one = [
        Pairs(both + 1, first, second, neither),
        Pairs(both, first + 1, second, neither),
        Pairs(both, first, second + 1, neither),
    ]
    now = log_evidence_against(Pairs(*told), difference)
    then = sum(
        chance * math.exp(log_evidence_against(pairs, difference) - now)
        for chance, pairs in zip(chances, after_one, strict=True)
    )
    assert then == pytest.approx(1.0)


def test_the_test_s_interval_goes_with_it_whatever_comes_afterwards() -> None:
    """Nine for the first one decide; fourteen for the second one afterwards change nothing."""
    test = after([(True, False)] * 9 + [(False, True)] * 14)
    assert test.decided
    assert test.strongest == Pairs(0, 9, 0, 0)
    assert test.pairs.difference < 0
    low, high = confidence_sequence(test.pairs)
    assert low < 0 < high
    assert 0 < test.interval[0] < test.interval[1] <= high + 1e-9


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12)), max_size=5),
    st.sampled_from([0.8, 0.95]),
)
def test_the_interval_leaves_out_no_difference_just_where_it_has_decided(
    runs: list[tuple[int, int, int]], level: float
) -> None:
    test = AnytimeTest(level)
    for first, second, same in runs:
        for outcome in [(True, False)] * first + [(False, True)] * second + [(True, True)] * same:
            test.add(*outcome)
    low, high = test.interval
    assert -1 <= low <= high <= 1
    assert test.decided == (not low <= 0 <= high)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="a level of 1"):
        AnytimeTest(1)
