"""Tracking errors obey what one would expect of a distance, and a known delay is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibrissa.control.tracking import held_up, joint_errors, resample
from vibrissa.core.errors import UsageError


def wave(ticks: int = 120) -> np.ndarray:
    t = np.arange(ticks) / 30
    return np.stack([np.sin(2 * t), 0.5 * np.cos(3 * t)], axis=1)


def test_the_same_motion_has_no_error() -> None:
    errors = joint_errors(["a.pos", "b.pos"], wave(), wave(), 30.0)
    assert [error.joint for error in errors] == ["a", "b"]
    for error in errors:
        assert (error.rms_deg, error.max_deg, error.lag_s) == (0.0, 0.0, 0.0)


def test_a_constant_offset_is_its_own_error() -> None:
    a, _ = joint_errors(["a", "b"], wave(), wave() + np.radians(2.0), 30.0)
    assert a.rms_deg == pytest.approx(2.0)
    assert a.max_deg == pytest.approx(2.0)


@given(st.integers(-6, 6))
def test_a_delay_is_found(ticks: int) -> None:
    motion = wave(160)
    recorded, later = motion[20:140], motion[20 - ticks : 140 - ticks]
    for error in joint_errors(["a", "b"], recorded, later, 30.0):
        assert error.lag_s == pytest.approx(ticks / 30)


def test_a_joint_that_rests_has_no_lag() -> None:
    """Not 0 ms: that would be an arm that follows at once."""
    resting = wave() * [1, 0.01]
    moving, still = joint_errors(["a", "b"], resting, wave(), 30.0)
    assert (moving.lag_s, still.lag_s) == (0.0, None)


def test_two_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match="shapes"):
        joint_errors(["a", "b"], wave(10), wave(11), 30.0)


@given(st.integers(2, 60), st.sampled_from([(20, 30), (30, 20), (50, 30), (15, 30), (30, 30)]))
def test_resampling_a_line_is_that_line(length: int, rates: tuple[int, int]) -> None:
    here, there = rates
    line = np.arange(length, dtype=np.float64)[:, None] / here * np.array([[1.0, -2.0]])
    found = resample(line, here, there)
    want = np.arange(len(found))[:, None] / there * np.array([[1.0, -2.0]])
    np.testing.assert_allclose(found, want, atol=1e-5)
    lasts_s = (length - 1) / here
    assert lasts_s - 1 / there - 1e-9 <= (len(found) - 1) / there <= lasts_s + 1e-9


def test_a_joint_that_stands_far_from_its_target_is_held_up() -> None:
    """The first joint is stopped halfway, the second one follows, the third one sags."""
    told = np.zeros((90, 3))
    told[30:] = 0.5
    state = np.zeros((90, 3))
    way = np.clip((np.arange(90) - 30) / 15, 0, 1) * 0.5
    state[:, 0], state[:, 1], state[:, 2] = np.minimum(way, 0.2), way, way * 0.8
    sag = np.zeros((90, 3))
    sag[:, 2] = 0.1
    stuck = held_up(state, told, 30.0, sag)
    assert stuck[50:, 0].all()
    assert not stuck[:20].any()
    assert not stuck[:, 1:].any()
    assert held_up(state, told, 30.0)[50:, 2].all()  # without gravity, that is no sag
    assert held_up(state, told, 30.0, -sag)[50:, 2].all()  # nor is it against gravity
