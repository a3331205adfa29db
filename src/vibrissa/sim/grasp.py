"""Where the jaws go: the grasps that an object offers, and the one that is easiest to reach."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.sim.reach import ARM, Pose, Reach, jaw_direction
from vibrissa.sim.scene import ObjectCfg

Joints = NDArray[np.float64]

PAD_M = 0.0079  # from the gripper's middle to the static pad's face
# Between that pad and the object, before the jaws close: room for a learner to err; less of it when
# a grasp has failed, and where an edge is near because the jaws are tilted against the object.
CLEAR_M, CLEAR_AGAIN_M, CLEAR_EDGE_M = 0.010, 0.004, 0.0025
FINGER_M, FINGER_HALF_M = 0.0064, 0.0062  # the fingers end this far below the tip; half their width
FLOOR_M = 0.003  # and stay this far above the table
WIDEST_M = 0.046  # what fits between the open jaws with room on both sides (they open 65 mm)


@dataclass(frozen=True)
class Style:
    """What varies from one episode to the next; all lengths in m."""

    hover_m: float
    aside_m: tuple[float, float]
    along_m: float
    lift_m: float
    drop_m: float
    drop_aside_m: tuple[float, float]
    rad_s: float
    clear_m: float = CLEAR_M

    @staticmethod
    def draw(rng: np.random.Generator, amount: float) -> Style:
        """`amount` 0 is always the same approach, 1 the usual variety."""

        def about(middle: float, spread: float) -> float:
            return float(middle + amount * rng.uniform(-spread, spread))

        return Style(
            hover_m=about(0.055, 0.010),
            aside_m=(about(0, 0.006), about(0, 0.006)),
            along_m=about(0, 0.004),
            lift_m=about(0.070, 0.008),
            drop_m=about(0.065, 0.006),
            drop_aside_m=(about(0, 0.012), about(0, 0.012)),
            rad_s=about(1.6, 0.25),
        )


@dataclass(frozen=True)
class Grip:
    """A chosen grasp: its tilt, the headings across and along the jaws, where the object was."""

    tilt_rad: float
    heading_rad: float
    along_rad: float
    place: NDArray[np.float64]  # (3,)
    yaw_rad: float
    half_m: float  # of the object, in the direction in which the jaws open
    hovering: Joints  # (5,) the arm's joints above it


class Grasps:
    """The grasps of one object: across its narrow side, from either side; a cylinder's from any."""

    def __init__(self, thing: ObjectCfg, reach: Reach):
        self._thing, self._reach = thing, reach
        x, y, z = thing.half_size_m
        self.half_m = (x, y, z) if y <= x else (y, x, z)  # along the jaws' faces, across, up
        self._turned_rad = 0.0 if y <= x else np.pi / 2
        square = thing.shape == "box" and abs(x - y) < 1e-9
        self._turns = 4 if square or (thing.symmetry and thing.symmetry % 4 == 0) else 2

    def choose(self, truth: Any, style: Style, roll_rad: float) -> Grip | None:
        """The one with the least tilt, then the least roll; None where none is within reach."""
        ways = [
            self._way(truth, style, roll_rad, 2 * np.pi * k / self._turns)
            for k in range(self._turns)
        ]
        within = [way for way in ways if way is not None]
        return min(within, key=lambda way: way[0])[1] if within else None

    def pose(self, grip: Grip, style: Style, above_m: float) -> Pose:
        """The jaws round the object, or `above_m` higher; the static pad keeps its clearance."""
        along = grip.along_rad
        x, y = grip.place[:2] + style.along_m * np.array([np.cos(along), np.sin(along)])
        below = FINGER_M * np.cos(grip.tilt_rad) + FINGER_HALF_M * abs(np.sin(grip.tilt_rad))
        z = max(float(grip.place[2]), float(below) + FLOOR_M)
        across = max(self.half_m[1] + style.clear_m, grip.half_m + CLEAR_EDGE_M) - PAD_M
        return Pose(
            (float(x), float(y), z + above_m), grip.tilt_rad, grip.heading_rad, across_m=across
        )

    def _way(
        self, truth: Any, style: Style, roll_rad: float, turned: float
    ) -> tuple[tuple[float, float], Grip] | None:
        """A grasp with the wrist turned so (rad), and its cost; None where it is out of reach."""
        place, yaw = truth["object_position"].copy(), truth["object_yaw"]
        guess = facing(place[0], place[1], roll_rad)
        along = -float(guess[0]) if self._thing.symmetry == 0 else yaw + self._turned_rad
        heading = along + np.pi / 2 + turned
        grip = Grip(0.0, heading, along, place, yaw, self.half_m[1], np.zeros(ARM))
        poses = [self.pose(grip, style, height) for height in (style.hover_m, 0.0)]
        found = self._reach.least_tilt(poses, guess)
        if found is None:
            return None
        tilt, (hovering, q) = found
        opens = np.abs(jaw_direction(tilt, float(q[0]), heading))
        half_m = float(opens @ (self.half_m[1], self.half_m[0], self.half_m[2]))
        cost = (abs(tilt) + math.acos(min(1.0, opens[0])), abs(float(q[4])))
        return cost, replace(grip, tilt_rad=tilt, half_m=half_m, hovering=hovering)


def facing(x: float, y: float, roll_rad: float) -> Joints:
    """A bent arm (6,) that faces (x, y): from here Newton's steps find their way."""
    pan = -np.arctan2(y, x - 0.0388)  # the shoulder's axis stands 39 mm before the base
    return np.array([pan, -0.3, 0.5, 1.2, roll_rad, 0.0])
