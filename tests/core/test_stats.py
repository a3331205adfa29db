"""Intervals and tests against published values, SciPy, and exact enumeration."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import barnard_exact, binom, binomtest

from vibrissa.core import stats

counts = st.integers(1, 600).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17:857, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_against_newcombes_table(k: int, n: int, low: float, high: float) -> None:
    assert stats.wilson(k, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # The same table, method 5 (Clopper–Pearson).
    [
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_clopper_pearson_against_newcombes_table(k: int, n: int, low: float, high: float) -> None:
    assert stats.clopper_pearson(k, n) == pytest.approx((low, high), abs=5e-5)


@given(counts, st.floats(0.5, 0.999))
def test_both_intervals_against_scipy(kn: tuple[int, int], level: float) -> None:
    k, n = kn
    score = binomtest(k, n).proportion_ci(level, method="wilson")
    assert stats.wilson(k, n, level) == pytest.approx((score.low, score.high), abs=1e-9)
    exact = binomtest(k, n).proportion_ci(level, method="exact")
    assert stats.clopper_pearson(k, n, level) == pytest.approx((exact.low, exact.high), abs=1e-9)


@given(counts)
def test_an_interval_holds_its_rate_and_mirrors(kn: tuple[int, int]) -> None:
    k, n = kn
    for interval in (stats.wilson, stats.clopper_pearson):
        low, high = interval(k, n)
        assert 0 <= low <= k / n <= high <= 1
        assert interval(n - k, n) == pytest.approx((1 - high, 1 - low))


def coverage(
    interval: Callable[[int, int], stats.Interval], rates: NDArray[np.float64], n: int = 10
) -> float:
    """The smallest chance, over these true rates, that the interval of n episodes holds it."""
    low, high = np.array([interval(k, n) for k in range(n + 1)]).T[:, :, None]  # (n + 1, 1)
    chances = binom.pmf(np.arange(n + 1)[:, None], n, rates)  # (n + 1, R)
    return float((chances * ((low <= rates) & (rates <= high))).sum(axis=0).min())


def wald(k: int, n: int) -> stats.Interval:
    half = 1.959964 * math.sqrt(k / n * (1 - k / n) / n)
    return k / n - half, k / n + half


def test_coverage_at_ten_episodes_by_enumeration() -> None:
    """The published minima are those over 5, 6, … 95 %; at some rates between, Wilson has less."""
    percents = np.arange(5, 96) / 100
    assert coverage(wald, percents) == pytest.approx(0.40, abs=0.005)
    assert coverage(stats.wilson, percents) == pytest.approx(0.91, abs=0.005)
    assert coverage(stats.clopper_pearson, percents) == pytest.approx(0.96, abs=0.005)
    every = np.arange(1, 10_000) / 10_000
    assert coverage(wald, every) < 0.01
    assert coverage(stats.wilson, every) == pytest.approx(0.836, abs=0.001)
    assert coverage(stats.clopper_pearson, every) == pytest.approx(0.961, abs=0.001)


@pytest.mark.parametrize(
    ("counts_", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17:873, table II, method 10.
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_against_his_table(
    counts_: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert stats.newcombe(*counts_) == pytest.approx((low, high), abs=5e-5)


@given(counts, counts)
def test_newcombe_changes_sign_with_its_arguments(
    one: tuple[int, int], two: tuple[int, int]
) -> None:
    low, high = stats.newcombe(*one, *two)
    assert stats.newcombe(*two, *one) == pytest.approx((-high, -low))


@pytest.mark.parametrize(
    ("ends", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17:2635, table III, method 10.
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((0, 12, 2, 36), 0.0569, 0.3404),
        ((53, 1, 0, 0), -0.0496, 0.0977),
        ((54, 0, 0, 0), -0.0664, 0.0664),
        # Fagerland, Lydersen & Laake (2014), Statistics in Medicine 33:2850: Bentur's children.
        ((1, 1, 7, 12), -0.5069, -0.0256),
    ],
)
def test_the_interval_of_pairs_against_published_ones(
    ends: tuple[int, int, int, int], low: float, high: float
) -> None:
    assert stats.newcombe_paired(stats.Pairs(*ends)) == pytest.approx((low, high), abs=5e-5)


ends = st.tuples(*[st.integers(0, 120)] * 4)


@settings(deadline=None)
@given(ends)
def test_the_interval_of_pairs_holds_their_difference_and_mirrors(
    told: tuple[int, int, int, int],
) -> None:
    pairs = stats.Pairs(*told)
    low, high = stats.newcombe_paired(pairs)
    assert -1 - 1e-9 <= low <= pairs.difference <= high <= 1 + 1e-9
    both, first, second, neither = told
    swapped = stats.Pairs(both, second, first, neither)
    assert stats.newcombe_paired(swapped) == pytest.approx((-high, -low), abs=1e-9)


def test_pairs_without_correlation_have_newcombes_interval_for_two_counts() -> None:
    pairs = stats.Pairs(24, 36, 16, 24)  # 60 % and 40 %, independent
    assert stats.correlation(pairs) == 0.0
    assert stats.newcombe_paired(pairs) == pytest.approx(stats.newcombe(60, 100, 40, 100))


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60))
def test_correlation_is_that_of_numpy(told: list[tuple[bool, bool]]) -> None:
    pairs = stats.Pairs.of(told)
    first, second = np.array(told, float).T
    assert (pairs.first, pairs.second, pairs.seeds) == (first.sum(), second.sum(), len(told))
    if first.std() == 0 or second.std() == 0:
        assert stats.correlation(pairs) is None
    else:
        assert stats.correlation(pairs) == pytest.approx(np.corrcoef(first, second)[0, 1])


def test_a_count_below_zero_is_no_pair() -> None:
    with pytest.raises(ValueError, match="below 0"):
        stats.Pairs(3, -1, 0, 0)


def barnard_by_hand(k1: int, n1: int, k2: int, n2: int) -> float:
    """The greatest chance, over the rates that are left, of tables at least as odd as this one."""
    one, two = np.arange(n1 + 1)[:, None], np.arange(n2 + 1)[None, :]
    pooled = (one + two) / (n1 + n2)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = np.abs(one / n1 - two / n2) / np.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
    score = np.nan_to_num(score)
    odd = score >= score[k1, k2] - 1e-9
    left = binomtest(k1 + k2, n1 + n2).proportion_ci(1 - 1e-6, "exact")  # Berger & Boos
    rates = np.linspace(left.low, left.high, 1999)
    chances = [(binom.pmf(one, n1, r) * binom.pmf(two, n2, r))[odd].sum() for r in rates]
    return float(max(chances)) + 1e-6


@pytest.mark.parametrize("told", [(32, 50, 23, 50), (10, 25, 19, 30), (33, 55, 20, 47)])
def test_barnard_against_scipy_where_the_pooled_count_rules_out_nothing_that_matters(
    told: tuple[int, int, int, int],
) -> None:
    k1, n1, k2, n2 = told
    wanted = barnard_exact([[k1, k2], [n1 - k1, n2 - k2]], pooled=True).pvalue
    assert stats.barnard(*told) == pytest.approx(wanted, abs=2e-6)


@pytest.mark.parametrize(
    "told", [(32, 50, 23, 50), (7, 12, 1, 11), (9, 10, 3, 10), (20, 40, 35, 60)]
)
def test_barnard_by_enumerating_every_table(told: tuple[int, int, int, int]) -> None:
    p = stats.barnard(*told)
    assert p == pytest.approx(barnard_by_hand(*told), abs=2e-4)
    k1, n1, k2, n2 = told
    assert stats.barnard(k2, n2, k1, n1) == pytest.approx(p, abs=1e-6)


def test_a_published_comparison_is_not_separated() -> None:
    assert stats.barnard(32, 50, 23, 50) == pytest.approx(0.079, abs=5e-4)


def test_barnard_where_nothing_can_differ_and_where_tables_are_too_many() -> None:
    assert stats.barnard(10, 10, 20, 20) == 1.0
    assert stats.barnard(0, 10, 0, 20) == 1.0
    assert stats.barnard(0, 0, 3, 20) == 1.0
    many = stats.barnard(1460, 2000, 1405, 2000)  # z = 1.9288 by hand
    assert many == pytest.approx(0.0538, abs=1e-4)


def test_barnard_of_very_many_against_few_needs_little_memory() -> None:
    """1000 rates for each count of the many would be 800 MB an array."""
    tracemalloc.start()
    try:
        p = stats.barnard(50_000, 100_000, 24, 30)
        assert tracemalloc.get_traced_memory()[1] < 300e6
    finally:
        tracemalloc.stop()
    # The many tell their rate exactly, so that it is nearly a test of the few against that rate.
    assert p < 1.5 * binomtest(24, 30, 0.5).pvalue < 0.0025
    assert stats.barnard(24, 30, 50_000, 100_000) == p


@pytest.mark.parametrize(("n1", "n2"), [(3, 3), (2, 2), (9, 4)])
def test_barnard_s_reach_is_where_its_p_falls_below_the_level(n1: int, n2: int) -> None:
    for k1, k2 in np.ndindex(n1 + 1, n2 + 1):
        pooled = (k1 + k2) / (n1 + n2)
        spread = math.sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2))
        score = abs(k1 / n1 - k2 / n2) / spread if spread else 0.0
        reach = stats.barnard_reach(n1, n2, k1 + k2)
        assert (stats.barnard(k1, n1, k2, n2) <= 0.05) == (score >= reach - 1e-9)
        assert math.isinf(reach) == ((n1, n2) == (2, 2))


def test_few_against_many_are_told_apart_and_equals_are_not() -> None:
    """8/20 against 100/500 is p = 0.045 by Fisher, and 0.076 by Barnard over all rates."""
    assert stats.barnard(8, 20, 100, 500) == pytest.approx(0.031, abs=1e-3)
    assert stats.barnard(24, 30, 700, 1999) < 1e-5
    n1, n2 = 5, 24
    p = np.array([[stats.barnard(a, n1, b, n2) for b in range(n2 + 1)] for a in range(n1 + 1)])
    one, two = np.arange(n1 + 1)[:, None], np.arange(n2 + 1)[None, :]
    for rate in np.linspace(0.01, 0.99, 99):
        chance = binom.pmf(one, n1, rate) * binom.pmf(two, n2, rate)
        for level in (0.01, 0.05, 0.2):
            assert chance[p <= level].sum() <= level


@settings(deadline=None)
@given(counts)
def test_the_posterior_is_a_density_with_its_peak_at_the_rate(kn: tuple[int, int]) -> None:
    k, n = kn
    rates = np.linspace(0.0, 1.0, 6001).astype(np.float64)
    density = stats.posterior(k, n, rates)
    assert np.trapezoid(density, rates) == pytest.approx(1.0, abs=2e-3)
    assert rates[np.argmax(density)] == pytest.approx(k / n, abs=1e-3)


@pytest.mark.parametrize("first", range(7))
@pytest.mark.parametrize("second", range(7))
def test_mcnemar_by_enumerating_every_sign(first: int, second: int) -> None:
    """Under the null every discordant seed is a fair coin: count the outcomes at least as odd."""
    n = first + second
    tosses = [sum(signs) for signs in product((0, 1), repeat=n)]
    odd = sum(abs(heads - n / 2) >= abs(first - n / 2) for heads in tosses) / len(tosses)
    assert stats.mcnemar(first, second) == pytest.approx(odd)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_against_scipy(first: int, second: int) -> None:
    if first + second == 0:
        assert stats.mcnemar(first, second) == 1.0
        return
    wanted = binomtest(first, first + second).pvalue
    assert stats.mcnemar(first, second) == pytest.approx(wanted)


def test_a_rate_is_printed_with_n_and_interval() -> None:
    assert stats.rate_text(41, 50) == "41/50 (69–90 %)"
    assert stats.rate_text(8, 10) == "8/10 (49–94 %)"
    assert stats.rate_text(0, 0) == "0/0 (0–100 %)"
    stats.rate_text(41, 50).encode("ascii", "replace")


@pytest.mark.parametrize(("k", "n", "level"), [(-1, 3, 0.95), (4, 3, 0.95), (1, 3, 1.0)])
def test_nonsense_is_refused(k: int, n: int, level: float) -> None:
    for interval in (stats.wilson, stats.clopper_pearson):
        with pytest.raises(ValueError, match="must lie between"):
            interval(k, n, level)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_every_interval_keeps_to_the_level_that_it_is_given(level: float) -> None:
    """Newcombe's square-and-add of the two Wilson intervals, by hand, at other levels."""
    (l1, u1), (l2, u2) = stats.wilson(30, 50, level), stats.wilson(20, 40, level)
    down, up = np.hypot(0.6 - l1, u2 - 0.5), np.hypot(u1 - 0.6, 0.5 - l2)
    assert stats.newcombe(30, 50, 20, 40, level) == pytest.approx((0.1 - down, 0.1 + up))
    apart = stats.Pairs(24, 36, 16, 24)  # no correlation: as two counts apart
    by_counts = stats.newcombe(60, 100, 40, 100, level)
    assert stats.newcombe_paired(apart, level) == pytest.approx(by_counts)
    low, high = stats.wilson(41, 50, level)
    assert stats.rate_text(41, 50, level) == f"41/50 ({100 * low:.0f}–{100 * high:.0f} %)"


def test_two_counts_of_which_one_is_empty_say_nothing() -> None:
    assert stats.newcombe(0, 0, 3, 5) == stats.newcombe(3, 5, 0, 0) == (-1.0, 1.0)


@pytest.mark.parametrize("ends", [(20, 10, 5, 15), (9, 4, 4, 3), (8, 5, 5, 4), (2, 20, 9, 4)])
def test_newcombe_s_phi_by_his_three_cases(ends: tuple[int, int, int, int]) -> None:
    """ad − bc above n/2 loses n/2, from 0 to n/2 it is 0, below 0 it stays (1998, method 10)."""
    a, b, c, d = ends
    n, covaried = sum(ends), a * d - b * c
    if covaried > n / 2:
        covaried -= n / 2
    elif covaried >= 0:
        covaried = 0
    phi = covaried / np.sqrt(float((a + b) * (c + d) * (a + c) * (b + d)))
    (l1, u1), (l2, u2) = stats.wilson(a + b, n), stats.wilson(a + c, n)
    p1, p2 = (a + b) / n, (a + c) / n
    one, two = (p1 - l1, u2 - p2), (u1 - p1, p2 - l2)
    down, up = (np.sqrt(x * x - 2 * phi * x * y + y * y) for x, y in (one, two))
    wanted = p1 - p2 - down, p1 - p2 + up
    assert stats.newcombe_paired(stats.Pairs(*ends)) == pytest.approx(wanted)
