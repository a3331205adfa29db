"""What a number of rollouts can tell, in a sentence."""

from __future__ import annotations

import pytest

from vibrissa.bench.precision import half_width, least_rate, told
from vibrissa.core.power import episodes_needed


def test_twenty_rollouts_know_a_rate_to_seventeen_points() -> None:
    assert half_width(20) == pytest.approx(0.17, abs=0.005)
    assert half_width(50) == pytest.approx(0.11, abs=0.005)


@pytest.mark.parametrize("n", [12, 20, 50, 200])
def test_the_least_rate_is_the_one_that_needs_as_many(n: int) -> None:
    rate = least_rate(n)
    assert rate is not None
    assert episodes_needed(0.5, rate) == n
    assert episodes_needed(0.5, rate - 0.01) > n


def test_it_is_a_sentence() -> None:
    assert told(20) == (
        "20 rollouts know a rate near 80 % to ±17 points, and tell two policies apart that differ "
        "as 50 and 90 % do (80 % power)"
    )
    assert told(10).endswith("and are too few to tell 50 from 100 %")
