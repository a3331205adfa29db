"""Failure classes: one track for each, and the edges of each rule."""

from __future__ import annotations

import numpy as np
import pytest

from vibrissa.core.outcomes import Track, classify


def _track(heights, distance: float | np.ndarray = 0.4, held=None) -> Track:
    z = np.array(heights, float)
    d = np.broadcast_to(np.asarray(distance, float), z.shape)
    h = z > 0.03 if held is None else np.broadcast_to(np.asarray(held), z.shape)
    return Track(z, d, h)


UP = [0.01] * 5 + [0.02, 0.06, 0.1] + [0.12] * 20
DOWN = [0.08, 0.05] + [0.01] * 12


@pytest.mark.parametrize(
    ("reason", "track", "expected"),
    [
        ("success", _track(UP + DOWN, 0.02), "SUCCESS"),
        ("timeout", _track([0.01] * 50), "NEVER_PICKED_UP"),
        ("timeout", _track([0.01] * 20 + [0.05] * 9 + [0.01] * 20), "NEVER_PICKED_UP"),
        ("timeout", _track(UP), "TIMEOUT"),
        ("timeout", _track(UP + DOWN, 0.4), "DROPPED_DURING_TRANSPORT"),
        ("timeout", _track(UP + DOWN, np.inf), "DROPPED_DURING_TRANSPORT"),
        ("timeout", _track(UP + DOWN, 0.11), "MISSED_GOAL"),
        ("timeout", _track([*UP[:12], 0.13, 0.08, 0.01]), "TIMEOUT"),  # the top was a moment ago
        ("timeout", _track([*UP[:9], *[0.08] * 9, 0.02]), "TIMEOUT"),  # 10 ticks ago
        ("timeout", _track([*UP[:9], *[0.08] * 10, 0.02]), "DROPPED_DURING_TRANSPORT"),  # 11
        ("timeout", _track([*UP, *[0.035] * 20]), "TIMEOUT"),  # it is held above the table
        ("timeout", _track([*UP, *[0.029] * 20]), "DROPPED_DURING_TRANSPORT"),
        ("success", _track(UP + DOWN + UP + DOWN, 0.4), "FUMBLED"),
        ("timeout", _track([]), "NEVER_PICKED_UP"),
        ("fault", _track(UP), "FAULT"),
        ("aborted", _track(UP), "ABORTED"),
    ],
)
def test_each_class(reason, track, expected) -> None:
    assert classify(reason, track) == expected


def test_putting_down_at_the_goal_is_no_fumble() -> None:
    distance = np.r_[np.full(len(UP), 0.4), np.full(len(DOWN), 0.02)]
    assert _track(UP + DOWN, distance).fumbles == 0
    assert _track(UP + DOWN, 0.4).fumbles == 1


def test_set_down_in_the_grip_is_no_fumble() -> None:
    assert _track(UP + DOWN + UP, 0.4, held=True).fumbles == 0


def test_held_low_on_the_way_is_no_fumble() -> None:
    """At 3.5 cm it does not lie on the table; at 2.9 cm it does."""
    assert _track([*UP, *[0.035] * 12, *UP[8:]], 0.4, held=False).fumbles == 0
    assert _track([*UP, *[0.029] * 12, *UP[8:]], 0.4, held=False).fumbles == 1


@pytest.mark.parametrize(("end_m", "expected"), [(0.12, "MISSED_GOAL"), (0.2, "DROPPED")])
def test_the_goal_is_missed_by_where_it_lies_at_the_end(end_m, expected) -> None:
    heights = UP + DOWN
    distance = np.full(len(heights), 0.4 if end_m < 0.2 else 0.05)
    distance[-1] = end_m
    assert classify("timeout", _track(heights, distance)).startswith(expected)
