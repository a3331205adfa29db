"""Letters are shared exactly where nothing was separated; p-values are corrected as Holm says."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibrissa.core.letters import holm, letters


@settings(deadline=None)
@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.data())))
def test_a_shared_letter_says_not_separated(told: tuple[int, st.DataObject]) -> None:
    count, data = told
    every = list(combinations(range(count), 2))
    separated = set(data.draw(st.lists(st.sampled_from(every), unique=True))) if every else set()
    given_ = letters(count, separated)
    assert given_[0].startswith("a")
    for i, j in every:
        assert (not set(given_[i]) & set(given_[j])) == ((i, j) in separated)


def test_the_usual_pictures() -> None:
    assert letters(3, set()) == ["a", "a", "a"]
    assert letters(3, {(0, 1), (0, 2), (1, 2)}) == ["a", "b", "c"]
    assert letters(3, {(0, 2)}) == ["a", "ab", "b"]
    assert letters(4, {(0, 2), (0, 3), (1, 3)}) == ["a", "ab", "bc", "c"]
    assert letters(0, set()) == []


def test_holm_on_a_worked_example() -> None:
    """Four hypotheses, worked by hand: 4 × .005, 3 × .01, 2 × .03, and never below the last."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_each_alone_and_bonferroni(p_values: list[float]) -> None:
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p <= adjusted <= min(1.0, len(p_values) * p) + 1e-12


def test_letters_go_on_after_z() -> None:
    every = set(combinations(range(28), 2))
    assert letters(28, every)[25:] == ["z", "a1", "b1"]
