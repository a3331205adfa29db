"""Limits are idempotent, deadlines stay on their grid, overlapping chunks add up."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vibrissa.control import limits
from vibrissa.control.chunks import Chunk, disagreement, ensemble
from vibrissa.control.clock import WallClock
from vibrissa.core.errors import UsageError

vectors = hnp.arrays(np.float32, 3, elements=st.floats(-4, 4, width=32))
LOW, HIGH = np.array([-1, -2, 0], np.float32), np.array([1, 2, 0.5], np.float32)


@given(vectors, vectors)
def test_limits_are_idempotent_and_say_what_they_changed(action, previous) -> None:
    rule = limits.Limits(LOW, HIGH, most_rad_s=3.0, tick_s=0.1)
    previous = np.clip(previous, LOW, HIGH)
    sent, clipped = rule.apply(action, previous)
    again, clipped_again = rule.apply(sent, previous)
    np.testing.assert_array_equal(sent, again)
    assert not clipped_again.any()
    np.testing.assert_array_equal(clipped, sent != action)
    assert (sent >= LOW - 1e-6).all()
    assert (sent <= HIGH + 1e-6).all()
    assert (np.abs(sent - previous) <= 0.3 + 1e-5).all()


def test_the_first_target_has_only_a_box() -> None:
    sent, clipped = limits.Limits(LOW, HIGH, 0.1).apply(np.full(3, 9, np.float32), None)
    np.testing.assert_array_equal(sent, HIGH)
    assert clipped.all()


@given(vectors, st.lists(st.booleans(), min_size=3, max_size=3))
def test_a_joint_without_a_speed_limit_frees_no_other(action, free) -> None:
    """Each joint keeps to its own limit, whichever of the others has none."""
    most = np.where(free, np.inf, 3.0).astype(np.float32)
    rule = limits.Limits(LOW, HIGH, most_rad_s=most, tick_s=0.1)
    previous = np.zeros(3, np.float32)
    sent, _ = rule.apply(action, previous)
    boxed = np.clip(action, LOW, HIGH)
    np.testing.assert_allclose(sent, np.where(free, boxed, np.clip(boxed, -0.3, 0.3)), atol=1e-6)


class _Time:
    def __init__(self) -> None:
        self.s = 100.0

    def now(self) -> float:
        return self.s

    def sleep(self, s: float) -> None:
        self.s += s


@given(st.lists(st.floats(0, 0.09), min_size=1, max_size=50))
def test_deadlines_stay_on_the_grid_whatever_a_tick_costs(costs) -> None:
    time = _Time()
    clock = WallClock(10.0, now=time.now, sleep=time.sleep)
    clock.start()
    for n, cost in enumerate(costs, 1):
        time.s += cost
        assert clock.wait() == 0
        assert time.s == pytest.approx(100 + n / 10, abs=1e-9)


def test_a_stall_is_late_once_and_followed_by_no_burst() -> None:
    time = _Time()
    clock = WallClock(10.0, now=time.now, sleep=time.sleep)
    clock.start()
    time.s += 0.37
    assert clock.wait() == pytest.approx(0.27)
    assert clock.missed == 2
    woken = []
    for _ in range(3):
        assert clock.wait() == 0
        woken.append(time.s)
    np.testing.assert_allclose(np.array(woken), [100.4, 100.5, 100.6])


def test_what_is_loaded_is_not_searched_for_garbage_while_time_is_real() -> None:
    """A full collection of everything that torch and LeRobot loaded would stop the arm."""
    gc.unfreeze()  # what an earlier test froze dies at times of its own
    try:
        clock = WallClock(30.0, sleep=lambda _: None)
        assert gc.get_freeze_count() == 0
        clock.start()
        frozen = gc.get_freeze_count()
        assert frozen > 0
        clock.start()  # of the next episode: garbage made since is still collected
        assert gc.get_freeze_count() <= frozen
    finally:
        gc.unfreeze()


def test_ensemble_weighs_the_oldest_most() -> None:
    old = Chunk(0, np.zeros((4, 1), np.float32))
    new = Chunk(2, np.ones((4, 1), np.float32))
    assert ensemble([old, new], 3, 0.0) == pytest.approx(0.5)
    assert ensemble([old, new], 3, 1.0) == pytest.approx(np.exp(-1) / (1 + np.exp(-1)))
    assert ensemble([old, new], 5, 1.0) == 1
    with pytest.raises(UsageError, match="tick 9"):
        ensemble([old, new], 9, 0.1)


def test_disagreement_is_measured_where_chunks_overlap() -> None:
    old = Chunk(0, np.zeros((4, 2), np.float32))
    assert disagreement(old, Chunk(2, np.full((4, 2), 3, np.float32))) == 3
    assert np.isnan(disagreement(old, Chunk(4, np.ones((4, 2), np.float32))))


def test_the_mask_of_a_box_says_what_was_clipped() -> None:
    one = np.ones(3, np.float32)
    kept, clipped = limits.box(np.array([0.5, 2, -3], np.float32), -one, one)
    assert kept.tolist() == [0.5, 1, -1]
    assert clipped.tolist() == [False, True, True]


def test_disagreement_compares_the_same_ticks_of_two_chunks() -> None:
    old = Chunk(3, np.array([[0], [1], [2], [3]], np.float32))
    new = Chunk(5, np.array([[5], [1], [9]], np.float32))
    by_hand = ((2 - 5) ** 2 + (3 - 1) ** 2) / 2  # ticks 5 and 6
    assert disagreement(old, new) == pytest.approx(by_hand**0.5)
    assert disagreement(new, old) == pytest.approx(by_hand**0.5)
