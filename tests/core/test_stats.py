"""Intervals and tests against published values, SciPy, and exact enumeration."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

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


def coverage(interval: Callable[[int, int], stats.Interval], n: int) -> float:
    """The smallest chance, over true rates, that the interval of n episodes holds the rate."""
    bounds = [interval(k, n) for k in range(n + 1)]
    rates = [i / 1000 for i in range(1, 1000)]
    return min(
        sum(float(binom.pmf(k, n, p)) for k, (low, high) in enumerate(bounds) if low <= p <= high)
        for p in rates
    )


def test_coverage_at_ten_episodes_by_enumeration() -> None:
    assert coverage(stats.clopper_pearson, 10) >= 0.95
    assert 0.82 < coverage(stats.wilson, 10) < 0.95


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
