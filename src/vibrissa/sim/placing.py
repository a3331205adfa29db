"""Where a held object is put down: over its goal, turned as the task wants it, and level."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault
from vibrissa.sim.goals import Goal, SuccessCfg, goal_of, turns_alike
from vibrissa.sim.grasp import Joints, Style, facing
from vibrissa.sim.reach import Pose, Reach
from vibrissa.sim.scene import SceneCfg

GAP_M = 0.002  # between the object and what it is put on when the jaws open
OVER_M = 0.030  # above that, it arrives sideways
OFF_CENTRE = 0.25  # of the goal's half side: how far from its middle demonstrations may put it
USUAL_ABOVE_M, OVERSHOOT_M = 0.08, 0.035  # a lift goes this much higher than it is asked to
USUAL_WALL_M, USUAL_HALF_M = 0.032, 0.0096  # the tray and the brick that `Style` was made for
MOST_LEAN_RAD = np.radians(12.0)  # an object set down further from level than this falls over


class Placing:
    """How a task's object is carried and put down. `careful`: lowered, not dropped into a tray."""

    def __init__(self, cfg: SceneCfg, reach: Reach):
        self._cfg, self._reach = cfg, reach
        self._wanted = cfg.rules.success if cfg.rules else SuccessCfg()
        self.has_goal = any(g is not None for g in (cfg.tray, cfg.zone, cfg.base))
        posed = self._wanted.aligned_rad is not None or self._wanted.upright_rad is not None
        self.careful = self.has_goal and (cfg.tray is None or posed or self._wanted.resting)

    def lift_m(self, style: Style, truth: Any) -> float:
        """How high the tip goes before it moves sideways, or to show the object."""
        goal = goal_of(self._cfg, truth)
        if goal is None:
            above = self._wanted.above_m
            return style.lift_m + (USUAL_ABOVE_M if above is None else above) - OVERSHOOT_M
        height = style.lift_m + self._taller_m()
        if not self.careful:
            return height
        return max(height, goal.surface_m + self._cfg.object.half_size_m[2] + OVER_M)

    def drop(self, style: Style, held: Pose) -> Pose:
        """Over the tray, from where the object is let go; the gripper keeps tilt and roll."""
        tray = self._cfg.tray
        assert tray is not None
        share = min(1.0, tray.half_m / 0.06)
        x, y = np.add(tray.centre_m, np.multiply(style.drop_aside_m, share))
        where = (float(x), float(y), style.drop_m + self._taller_m())
        return Pose(where, held.tilt_rad, None, roll_rad=held.roll_rad)

    def lower(self, truth: Any, style: Style, told: Joints, held: Pose, above_m: float) -> Joints:
        """The arm's joints (5,) with the object `above_m` over the place where it is let go.

        told: what the arm is told now; what gravity makes of it is seen in `truth`, and the way
        to go is counted from there.
        """
        goal = goal_of(self._cfg, truth)
        assert goal is not None
        place = self._place(goal, style)
        poses = [
            self._pose(truth, goal, place, turn, told, held, above_m)
            for turn in self._turns(truth, goal, place)
        ]
        guess = facing(float(place[0]), float(place[1]), held.roll_rad)
        found = [q for pose in poses if (q := self._reach.solve(pose, guess)) is not None]
        if not found:
            ways = [w for pose in poses if (w := self._reach.least_tilt([pose], guess)) is not None]
            found = [min(ways, key=lambda way: abs(way[0]))[1][0]] if ways else []
        if not found:
            raise ArmFault(f"the tip cannot reach {np.round(place, 3).tolist()} with the object.")
        return min(found, key=lambda q: abs(float(q[4])))

    def _place(self, goal: Goal, style: Style) -> NDArray[np.float64]:
        """Where (2,) the object's centre goes: near the goal's, a little off it each time."""
        room = OFF_CENTRE * np.array(goal.half_m)
        aside = np.multiply(style.drop_aside_m, np.minimum(1.0, room / 0.012))
        return np.add(goal.centre_m, _turned(aside, goal.yaw_rad))

    def _turns(self, truth: Any, goal: Goal, place: NDArray[np.float64]) -> list[float]:
        """By which angles the object may be turned on its way."""
        if self._wanted.aligned_rad is None:  # as the shoulder turns it
            return [_azimuth(place) - _azimuth(truth["tip_position"])]
        alike = turns_alike(self._cfg.object.symmetry, goal)
        first = math.remainder(goal.yaw_rad - truth["object_yaw"], alike)
        return [first + k * alike for k in range(round(2 * math.pi / alike))]

    def _pose(
        self,
        truth: Any,
        goal: Goal,
        place: NDArray[np.float64],
        turn: float,
        told: Joints,
        held: Pose,
        above_m: float,
    ) -> Pose:
        tip, half_m = truth["tip_position"], self._cfg.object.half_size_m[2]
        sag = self._reach.hand(told)[0] - tip
        hangs = truth["object_position"] - tip
        x, y = place - _turned(hangs[:2], turn) + sag[:2]
        z = goal.surface_m + half_m + GAP_M + above_m - hangs[2] + sag[2]
        where = (float(x), float(y), float(z))
        if self._wanted.aligned_rad is None:
            return Pose(where, held.tilt_rad, None, roll_rad=held.roll_rad)
        across = truth["tip_rotation"][:, 0]
        heading = math.atan2(across[1], across[0]) + turn
        return Pose(where, held.tilt_rad, heading)

    def _taller_m(self) -> float:
        """How much more room below the tip than usual this object and this tray need."""
        wall = self._cfg.tray.wall_height_m - USUAL_WALL_M if self._cfg.tray else 0.0
        return max(0.0, wall) + max(0.0, self._cfg.object.half_size_m[2] - USUAL_HALF_M)


def _turned(offset: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([cos * offset[0] - sin * offset[1], sin * offset[0] + cos * offset[1]])


def _azimuth(place: NDArray[np.float64]) -> float:
    """The heading of a place as seen from the shoulder's axis."""
    return -float(facing(place[0], place[1], 0.0)[0])
