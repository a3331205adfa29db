"""Where an object may be put to start from: clear of the goal, and where the arm can grasp it."""

from __future__ import annotations

import math

from vibrissa.sim.goals import on_goal
from vibrissa.sim.grasp import Grasps
from vibrissa.sim.reach import Reach
from vibrissa.sim.scene import SceneCfg
from vibrissa.sim.task_checks import PLAIN, RING, standing


class Starts:
    """Says of a pose of the object what is wrong with it as a start."""

    def __init__(self, scene: SceneCfg):
        self._scene = scene
        self._grasps = Grasps(scene.object, Reach(scene.servo, scene.contact))

    def trouble(self, x_m: float, y_m: float, yaw_rad: float) -> str:
        """Empty where an episode can start there, else why not, in words."""
        at = f"({x_m:.3f}, {y_m:.3f})"
        if on_goal(self._scene, x_m, y_m):
            goal = next(n for n in ("tray", "zone", "base") if getattr(self._scene, n) is not None)
            return f"the object would touch the {goal} at {at}"
        rules = self._scene.rules
        if rules is not None and rules.workspace_m is not None:
            x_low, x_high, y_low, y_high = rules.workspace_m
            if not (x_low <= x_m <= x_high and y_low <= y_m <= y_high):
                return f"{at} is outside the task's workspace"
        if self._grasps.choose(standing(self._scene, x_m, y_m, yaw_rad), PLAIN, 0.0) is None:
            turned = (
                f" turned by {math.degrees(yaw_rad):.0f}°" if self._scene.object.symmetry else ""
            )
            return (
                f"the arm cannot grasp the object at {at}{turned}; what lies {RING} is within reach"
            )
        return ""
