"""Hotspots: a place that is worse is found, and chance alone is not sold as a finding."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from vibrissa.bench.hotspots import LEVEL, Region, compare_place, hotspots, turn_between

HALF_M, HALF_TURN = 0.04, math.pi
ANYWHERE = math.inf


def spawns(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low, high = (0.177, 0.185, -math.pi), (0.257, 0.265, math.pi)
    return rng.uniform(low, high, (n, 3))


def found(where: np.ndarray, failed: np.ndarray) -> list:
    return hotspots([tuple(s) for s in where], list(failed), half_m=HALF_M, period_rad=HALF_TURN)


def test_a_corner_where_most_fail_is_found() -> None:
    where, rng = spawns(150, 1), np.random.default_rng(2)
    corner = (where[:, 0] > 0.235) & (where[:, 1] > 0.24)
    failed = rng.uniform(size=150) < np.where(corner, 0.85, 0.1)
    first = found(where, failed)[0]
    assert first.is_finding
    assert first.place.holds(where, HALF_TURN)[corner].mean() > 0.6
    assert first.failures / first.episodes > 0.5
    assert first.episodes + first.elsewhere == 150
    assert first.failures + first.failures_elsewhere == failed.sum()
    assert first.p_searched >= first.p_alone  # searching costs


def test_a_range_of_yaw_is_found_modulo_the_symmetry() -> None:
    """Failures at 80° to 100° and, half a turn further, at -100° to -80°: one place."""
    where, rng = spawns(200, 3), np.random.default_rng(4)
    turned = np.abs(turn_between(where[:, 2], math.pi / 2, HALF_TURN)) < math.radians(15)
    failed = rng.uniform(size=200) < np.where(turned, 0.8, 0.08)
    first = found(where, failed)[0]
    assert first.is_finding
    assert first.place.half_yaw_rad < math.radians(31)
    assert abs(turn_between(first.place.yaw_rad, math.pi / 2, HALF_TURN)) < math.radians(20)


def test_two_bad_places_are_found_one_after_the_other() -> None:
    where, rng = spawns(300, 5), np.random.default_rng(6)
    bad = (np.hypot(where[:, 0] - 0.19, where[:, 1] - 0.2) < 0.018) | (
        np.hypot(where[:, 0] - 0.245, where[:, 1] - 0.25) < 0.018
    )
    told = found(where, rng.uniform(size=300) < np.where(bad, 0.9, 0.05))
    assert len(told) >= 2
    assert all(one.is_finding for one in told)
    first, second = told[0].place, told[1].place
    assert math.hypot(first.x_m - second.x_m, first.y_m - second.y_m) > 0.03


def test_noise_is_no_finding_more_often_than_stated() -> None:
    """Outcomes that have nothing to do with the place: `LEVEL` of the sets."""
    findings, alone = 0, 0
    for seed in range(100):
        failed = np.random.default_rng(1000 + seed).uniform(size=60) < 0.25
        told = found(spawns(60, seed), failed)
        findings += any(one.is_finding for one in told)
        alone += any(one.p_alone <= LEVEL for one in told)
    assert findings <= 10  # of 100 at 5 %: more than that has a probability of 1 %
    assert alone > 50  # what the uncorrected test would have sold


@pytest.mark.parametrize("failed", [[False] * 40, [True] * 40])
def test_without_a_difference_there_is_no_place(failed: list[bool]) -> None:
    assert found(spawns(40, 0), np.array(failed)) == []


def test_few_episodes_are_no_place() -> None:
    assert found(spawns(5, 0), np.array([True, False, False, True, False])) == []
    assert found(np.zeros((0, 3)), np.zeros(0, bool)) == []


def test_the_p_of_a_place_is_fishers() -> None:
    where = [(0.2 + 0.001 * i, 0.2, 0.0) for i in range(20)]
    failed = [i < 5 for i in range(20)]
    told = compare_place(Region(0.2, 0.2, 0.0065, 0.0, ANYWHERE), where, failed, HALF_TURN)
    assert (told.failures, told.episodes) == (5, 7)
    assert (told.failures_elsewhere, told.elsewhere) == (0, 13)
    assert told.p_alone == pytest.approx(fisher_exact([[5, 2], [0, 13]])[1])


@given(st.floats(-9, 9), st.floats(-9, 9), st.integers(1, 4))
def test_a_turn_is_the_shortest(a: float, b: float, symmetry: int) -> None:
    period = 2 * math.pi / symmetry
    turn = float(turn_between(a, b, period))
    assert abs(turn) <= period / 2 + 1e-9
    assert math.isclose(math.cos((b + turn) * symmetry), math.cos(a * symmetry), abs_tol=1e-6)
    assert float(turn_between(a, b, math.inf)) == 0.0
