"""When it went wrong: the ticks that an object's track tells."""

from __future__ import annotations

import numpy as np

from vibrissa.core.moments import moments
from vibrissa.core.outcomes import Track, classify


def track(height_m: list[float], held: list[bool], goal_m: list[float] | None = None) -> Track:
    far = np.full(len(height_m), np.inf) if goal_m is None else np.array(goal_m)
    return Track(np.array(height_m), far, np.array(held))


def test_an_object_that_nobody_touched_never_moved() -> None:
    assert moments(track([0.01] * 30, [False] * 30, [0.4] * 30)) == {"moved_tick": 0.0}
    assert moments(track([], [])) == {}


def test_a_drop_has_its_tick() -> None:
    """Touched at 5, in the air from 8, let go at 20, on the table from 24 on."""
    height = [0.01] * 6 + [0.03, 0.04] + [0.09] * 12 + [0.08, 0.06, 0.035, 0.02] + [0.01] * 16
    held = [False] * 5 + [True] * 15 + [False] * 20
    one = track(height, held)
    assert classify("timeout", one) == "DROPPED_DURING_TRANSPORT"
    assert moments(one) == {
        "touched_tick": 5.0,
        "lifted_tick": 8.0,
        "lost_tick": 19.0,
        "moved_tick": 23.0,
    }


def test_an_object_that_is_pushed_moves_without_being_lifted() -> None:
    goal = [0.40] * 10 + [0.39, 0.37, 0.35] + [0.34] * 7
    told = moments(track([0.01] * 20, [False] * 10 + [True] * 4 + [False] * 6, goal))
    assert told == {"moved_tick": 12.0, "touched_tick": 10.0}


def test_a_thing_that_comes_back_has_arrived_where_it_is_at_the_end() -> None:
    """Its height says nothing, its distance does; and the other way round."""
    goal = [0.30] * 5 + [0.40] * 5 + [0.20] * 10
    assert moments(track([0.01] * 20, [False] * 20, goal))["moved_tick"] == 9.0
    height = [0.01] * 5 + [0.04] * 5 + [0.02] * 10
    assert moments(track(height, [False] * 20, [0.3] * 20))["moved_tick"] == 9.0


def test_moved_counts_from_where_it_is_at_the_very_end() -> None:
    assert moments(track([0.01, 0.01, 0.02, 0.03], [False] * 4))["moved_tick"] == 2.0
    goal = [0.1, 0.1, 0.2, 0.3]
    assert moments(track([0.01] * 4, [False] * 4, goal))["moved_tick"] == 2.0


def test_one_that_nobody_held_in_the_air_was_lost_where_it_last_flew() -> None:
    height = [0.01] * 3 + [0.09] * 4 + [0.01] * 20
    held = [True] * 2 + [False] * 25
    assert moments(track(height, held))["lost_tick"] == 6.0
