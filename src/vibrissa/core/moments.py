"""When an episode went as it did: the ticks that tell, from the object's track."""

from __future__ import annotations

import numpy as np

from vibrissa.core.outcomes import Track

MOVED_M = 0.005  # nearer than this to where it ends, the object has arrived there


def moments(track: Track) -> dict[str, float]:
    """The ticks of what happened; what did not happen has none.

    touched_tick, lifted_tick: the first at which the gripper touched the object, and at which it
    was in the air. lost_tick: the last at which it was held there, where it was dropped.
    moved_tick: the last at which its height or its distance from the goal was not yet what it
    is at the end; 0 for an object that never moved.
    """
    if not len(track.height_m):
        return {}
    found = {"moved_tick": _last(_away(track))}
    if track.held.any():
        found["touched_tick"] = float(np.argmax(track.held))
    if track.lifted:
        in_air = track.height_m > track.marks.lifted_m
        found["lifted_tick"] = float(np.argmax(in_air))
        if track.dropped:
            up = track.held & (track.height_m > track.marks.down_m)
            found["lost_tick"] = _last(up if up.any() else in_air)
    return found


def _away(track: Track) -> np.ndarray:
    """(T,) bool, whether the object was somewhere else than at the end."""
    away = np.abs(track.height_m - track.height_m[-1]) > MOVED_M
    if np.isfinite(track.goal_xy_m).all():
        away |= np.abs(track.goal_xy_m - track.goal_xy_m[-1]) > MOVED_M
    return away


def _last(flags: np.ndarray) -> float:
    return float(np.flatnonzero(flags)[-1]) if flags.any() else 0.0
