"""Why an episode ended as it did: one class, decided from the object's track afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.episode import Reason

CLASSES: tuple[str, ...] = (
    "SUCCESS",
    "FUMBLED",
    "NEVER_PICKED_UP",
    "DROPPED_DURING_TRANSPORT",
    "MISSED_GOAL",
    "TIMEOUT",
    "ABORTED",
    "FAULT",
)

LIFTED_M = 0.05  # the object's centre above this: it was picked up
DOWN_M = 0.03  # below this: it lies on the table or in the tray
NEAR_GOAL_M = (
    0.12  # a drop this near to the goal has missed it; farther away, it was lost on the way
)
AT_GOAL_M = 0.085  # the corner of a tray of 12 cm: what lies here was put down, not dropped
SETTLED_TICKS = 10  # the highest point must be this long ago for a low end to be a drop


@dataclass(frozen=True)
class Marks:
    """The thresholds above, m, where an object is larger or a goal smaller than usual.

    lowered: objects are set down at this goal, so one that lies there held was not dropped.
    """

    lifted_m: float = LIFTED_M
    down_m: float = DOWN_M
    near_goal_m: float = NEAR_GOAL_M
    at_goal_m: float = AT_GOAL_M
    lowered: bool = False


@dataclass(frozen=True)
class Track:
    """What became of the object, tick by tick, from the simulator's truth.

    height_m: (T,) its centre above the table. goal_xy_m: (T,) its distance from the goal's
    centre in the plane, infinite where the task has no place to go to. held: (T,) bool, whether
    the gripper touches it.
    """

    height_m: NDArray[np.floating]
    goal_xy_m: NDArray[np.floating]
    held: NDArray[np.bool_]
    marks: Marks = Marks()

    @property
    def lifted(self) -> bool:
        return bool(len(self.height_m)) and float(np.max(self.height_m)) > self.marks.lifted_m

    @property
    def dropped(self) -> bool:
        """It was lifted, and at the end lies low, some ticks after its highest point."""
        if not self.lifted or (self.marks.lowered and self.held[-1]):
            return False
        since_top = len(self.height_m) - 1 - int(np.argmax(self.height_m))
        return float(self.height_m[-1]) < self.marks.down_m and since_top > SETTLED_TICKS

    @property
    def fumbles(self) -> int:
        """How often it was lifted, lost away from the goal, and lay free on the table."""
        count, up = 0, False
        for z, distance, held in zip(self.height_m, self.goal_xy_m, self.held, strict=True):
            if z > self.marks.lifted_m:
                up = True
            elif up and z < self.marks.down_m and not held:
                count += int(distance > self.marks.at_goal_m)
                up = False
        return count


def classify(reason: Reason, track: Track) -> str:
    """One of `CLASSES`. A success after a drop and a second grasp is FUMBLED, not SUCCESS."""
    if reason == "fault":
        return "FAULT"
    if reason == "aborted":
        return "ABORTED"
    if reason == "success":
        return "FUMBLED" if track.fumbles else "SUCCESS"
    if not track.lifted:
        return "NEVER_PICKED_UP"
    if track.dropped:
        near = float(track.goal_xy_m[-1]) <= track.marks.near_goal_m
        return "MISSED_GOAL" if near else "DROPPED_DURING_TRANSPORT"
    return "TIMEOUT"
