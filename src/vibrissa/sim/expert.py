"""The scripted expert: hover, turn the wrist to the object, descend, close, lift, carry, release.

One strategy, and never a nudge: a policy cannot infer from pictures why one demonstration pushed
the brick and the next one did not. Variety lies in the approach (heights, speeds, places), drawn
anew for every episode, and in noise on what is sent, from which the next plan recovers.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.pilots import Unasking
from vibrissa.core.episode import Decision, Observation
from vibrissa.core.errors import ArmFault
from vibrissa.core.units import GRIPPER, HIGH_RAD, LOW_RAD
from vibrissa.sim.reach import ARM, Pose, Reach, jaw_direction
from vibrissa.sim.scene import SceneCfg

Phase = Literal[
    "rise", "hover", "descend", "close", "lift", "carry", "release", "retreat", "rest", "give up"
]
Joints = NDArray[np.float64]

OPEN_RAD, CLOSED_RAD = 0.75, 0.0
PAD_M = 0.0079  # from the gripper's middle to the static pad's face
# Between that pad and the object, before the jaws close: room for a learner to err; less of it when
# a grasp has failed, and where an edge is near because the jaws are tilted against the object.
CLEAR_M, CLEAR_AGAIN_M, CLEAR_EDGE_M = 0.010, 0.004, 0.0025
FINGER_M, FINGER_HALF_M = 0.0064, 0.0062  # the fingers end this far below the tip; half their width
FLOOR_M = 0.003  # and stay this far above the table
SAFE_M = 0.05  # below this height of the tip the arm rises before it goes sideways
SLIPPED_M, SLIPPED_RAD = 0.010, 0.20  # an object that moved this much is approached again
STIRRED_M, STIRRED_RAD = 0.002, 0.03  # one that moved this much needs a new grasp
NEAR: tuple[Phase, ...] = ("descend", "close")  # where there are millimetres to spare, not more,
NEAR_NOISE = 0.3  # this share of the noise is added
CARRIED_M = 0.030  # an object farther from the tip than this beyond its own size was lost


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
    """A chosen grasp: the tilt, the heading of the jaws, and where the object was then."""

    tilt_rad: float
    heading_rad: float
    place: NDArray[np.float64]  # (3,)
    yaw_rad: float
    half_m: float  # of the object, in the direction in which the jaws open
    hovering: Joints  # (5,) the arm's joints above it


class Expert(Unasking):
    """A pilot that reads the simulator's truth and solves `pick-place` and `lift`.

    action_noise_rad: standard deviation of what is added to every sent target, so that
    demonstrations show how to come back. variety: see `Style.draw`. Whatever the arm is doing
    when it takes over (also with the object in the jaws), it goes on from there.
    """

    def __init__(
        self, cfg: SceneCfg, *, seed: int = 0, action_noise_rad: float = 0.0, variety: float = 1.0
    ):
        self._cfg, self._seed = cfg, seed
        self._noise_rad, self._variety = action_noise_rad, variety
        self._reach = Reach(cfg.servo, cfg.contact)
        self._half = cfg.object.half_size_m
        self.reset(0)

    def reset(self, seed: int) -> None:
        """A fresh plan; all that varies in it comes from the two seeds."""
        self._rng = np.random.default_rng((self._seed, seed))
        self._style = Style.draw(self._rng, self._variety)
        self._phase: Phase | None = None
        self._path: deque[Joints] = deque()
        self._grip: Grip | None = None
        self._at: Joints = np.zeros(6)

    @property
    def phase(self) -> str:
        """What it is doing, for those who watch."""
        return self._phase or "start"

    def decide(self, observation: Observation) -> Decision:
        truth = observation.truth
        if self._phase is None:
            self._at = observation.state.astype(np.float64)
            self._enter("lift" if truth["grasped"] else "rise", truth)
        elif self._is_lost(truth):
            self._at = observation.state.astype(np.float64)
            self._enter("rise", truth)
        while not self._path:
            self._enter(self._next(truth), truth)
        self._at = self._path.popleft()
        noise = self._noise_rad * (NEAR_NOISE if self._phase in NEAR else 1.0)
        action = self._at + self._rng.normal(0.0, 1.0, 6) * noise
        return Decision(np.clip(action, LOW_RAD, HIGH_RAD).astype(np.float32), "script")

    def _next(self, truth: Any) -> Phase:
        """What follows the phase that has just been played to its end."""
        goal = self._cfg.tray is not None
        follows: dict[Phase, Phase] = {
            "rise": "hover",
            "hover": "descend",
            "descend": "close",
            "close": "lift" if truth["grasped"] else "rise",
            "lift": ("carry" if goal else "rest") if truth["grasped"] else "rise",
            "carry": "release",
            "release": "retreat",
            "retreat": "rest" if self._is_delivered(truth) else "rise",
            "rest": "rest",
            "give up": "give up",
        }
        return follows[self._phase or "rise"]

    def _is_lost(self, truth: Any) -> bool:
        """Whether the object is no longer where this phase needs it."""
        if self._phase == "descend":
            return self._has_moved(truth, SLIPPED_M, SLIPPED_RAD)
        if self._phase in ("lift", "carry") or (self._phase == "rest" and self._cfg.tray is None):
            away = np.linalg.norm(truth["object_position"] - truth["tip_position"])
            return not truth["touching"] or bool(away > CARRIED_M + self._half[0])
        return False

    def _has_moved(self, truth: Any, most_m: float, most_rad: float) -> bool:
        """Whether the object has left the pose that the grasp was chosen for."""
        if self._grip is None:
            return False
        moved = np.linalg.norm(truth["object_position"][:2] - self._grip.place[:2])
        turned = _wrap(truth["object_yaw"] - self._grip.yaw_rad, self._cfg.object.symmetry)
        return bool(moved > most_m or abs(turned) > most_rad)

    def _is_delivered(self, truth: Any) -> bool:
        tray = self._cfg.tray
        if tray is None:
            return False
        away = np.abs(truth["object_position"][:2] - tray.centre_m)
        return bool(np.all(away < tray.half_m))

    def _enter(self, phase: Phase, truth: Any) -> None:
        self._phase = phase
        plans: dict[Phase, Callable[[Any], None]] = {
            "rise": self._rise,
            "hover": self._hover,
            "descend": self._descend,
            "close": self._close,
            "lift": self._lift,
            "carry": self._carry,
            "release": self._release,
            "retreat": self._retreat,
            "rest": self._rest,
            "give up": self._rest,
        }
        plans[phase](truth)

    def _rise(self, truth: Any) -> None:
        """Open the jaws and, where the tip is low, go straight up before going anywhere."""
        if self._grip is not None:  # it did not hold: the next one is taken by the middle
            self._style = replace(
                self._style, clear_m=CLEAR_AGAIN_M, along_m=0.0, aside_m=(0.0, 0.0)
            )
        opened = self._at.copy()
        opened[GRIPPER] = OPEN_RAD
        tip = truth["tip_position"]
        if tip[2] > SAFE_M:
            return
        self._go(opened, least_s=0.25)
        pose = self._held_pose((tip[0], tip[1], SAFE_M + 0.02), truth)
        q = self._reach.solve(pose, opened)
        if q is not None:
            self._go(np.append(q, OPEN_RAD))

    def _hover(self, truth: Any) -> None:
        self._grip = self._choose_grip(truth)
        if self._grip is None:
            return self._enter("give up", truth)
        above = self._grasp_pose(self._grip, self._style.hover_m)
        x, y, z = above.position_m
        aside = self._style.aside_m
        beside = replace(above, position_m=(x + aside[0], y + aside[1], z))
        q = self._reach.solve(beside, self._grip.hovering)
        q = self._grip.hovering if q is None else q
        self._go(np.append(q, OPEN_RAD), least_s=0.5)

    def _descend(self, truth: Any) -> None:
        """Straight down in four pieces, with the object's pose as it is now."""
        if self._grip is None or self._has_moved(truth, STIRRED_M, STIRRED_RAD):
            self._grip = self._choose_grip(truth)
        if self._grip is None:
            return self._enter("give up", truth)
        for share in (0.75, 0.5, 0.25, 0.0):
            pose = self._grasp_pose(self._grip, share * self._style.hover_m)
            guess = self._grip.hovering if share == 0.75 else self._end
            self._go(np.append(self._solve(pose, guess), OPEN_RAD), slow=1.6)
        self._stay(0.1)

    def _close(self, truth: Any) -> None:
        closed = self._end.copy()
        closed[GRIPPER] = CLOSED_RAD
        self._go(closed, slow=0.9)
        self._stay(0.2)

    def _lift(self, truth: Any) -> None:
        tip = truth["tip_position"]
        height = self._style.lift_m + (0.045 if self._cfg.tray is None else 0.0)
        for share in (0.5, 1.0):
            z = tip[2] + share * max(height - tip[2], 0.0)
            pose = self._held_pose((tip[0], tip[1], z), truth)
            self._go(np.append(self._solve(pose, self._end), CLOSED_RAD))

    def _carry(self, truth: Any) -> None:
        tray = self._cfg.tray
        assert tray is not None
        x, y = np.add(tray.centre_m, self._style.drop_aside_m)
        pose = self._held_pose((float(x), float(y), self._style.drop_m), truth)
        q = self._solve(pose, self._guess_at(x, y))
        self._go(np.append(q, CLOSED_RAD))
        self._stay(0.15)

    def _release(self, truth: Any) -> None:
        opened = self._end.copy()
        opened[GRIPPER] = OPEN_RAD
        self._go(opened)

    def _retreat(self, truth: Any) -> None:
        tip = truth["tip_position"]
        pose = self._held_pose((tip[0], tip[1], tip[2] + 0.03), truth)
        self._go(np.append(self._solve(pose, self._end), OPEN_RAD))
        self._stay(0.3)

    def _rest(self, truth: Any) -> None:
        self._stay(0.5)

    def _choose_grip(self, truth: Any) -> Grip | None:
        """Across the object's short side, with the least tilt, then the least roll."""
        turns = self._cfg.object.symmetry
        ways = [self._way_to_grip(truth, 2 * np.pi * k / turns) for k in range(turns)]
        within = [way for way in ways if way is not None]
        return min(within, key=lambda way: way[0])[1] if within else None

    def _way_to_grip(self, truth: Any, turned: float) -> tuple[tuple[float, float], Grip] | None:
        """A grasp with the wrist turned so (rad), and its cost; None where it is out of reach."""
        place, yaw = truth["object_position"].copy(), truth["object_yaw"]
        grip = Grip(0.0, yaw + np.pi / 2 + turned, place, yaw, self._half[1], np.zeros(ARM))
        poses = [self._grasp_pose(grip, height) for height in (self._style.hover_m, 0.0)]
        found = self._reach.least_tilt(poses, self._first_guess(truth))
        if found is None:
            return None
        tilt, (hovering, q) = found
        opens = np.abs(jaw_direction(tilt, float(q[0]), grip.heading_rad))
        half_m = float(opens @ (self._half[1], self._half[0], self._half[2]))
        cost = (abs(tilt) + math.acos(min(1.0, opens[0])), abs(float(q[4])))
        return cost, replace(grip, tilt_rad=tilt, half_m=half_m, hovering=hovering)

    def _grasp_pose(self, grip: Grip, above_m: float) -> Pose:
        """The jaws round the object, or `above_m` higher; the static pad keeps its clearance."""
        along = grip.yaw_rad
        x, y = grip.place[:2] + self._style.along_m * np.array([np.cos(along), np.sin(along)])
        below = FINGER_M * np.cos(grip.tilt_rad) + FINGER_HALF_M * abs(np.sin(grip.tilt_rad))
        z = max(float(grip.place[2]), float(below) + FLOOR_M)
        across = max(self._half[1] + self._style.clear_m, grip.half_m + CLEAR_EDGE_M) - PAD_M
        return Pose(
            (float(x), float(y), z + above_m), grip.tilt_rad, grip.heading_rad, across_m=across
        )

    def _held_pose(self, tip_m: tuple[float, float, float], truth: Any) -> Pose:
        """The tip at `tip_m`, tilted and rolled as it is now."""
        down = -truth["tip_rotation"][:, 2]
        pan = self._end[0]
        radial = down[0] * np.cos(pan) - down[1] * np.sin(pan)
        tilt = float(np.arctan2(radial, -down[2]))
        return Pose(tip_m, tilt, None, roll_rad=float(self._end[4]))

    def _solve(self, pose: Pose, guess: Joints) -> Joints:
        """The pose with its own tilt, or else with the least that can be reached."""
        q = self._reach.solve(pose, guess)
        if q is not None:
            return q
        found = self._reach.least_tilt([pose], guess)
        if found is None:
            raise ArmFault(f"the tip cannot reach {np.round(pose.position_m, 3).tolist()} m.")
        return found[1][0]

    def _first_guess(self, truth: Any) -> Joints:
        return self._guess_at(*truth["object_position"][:2])

    def _guess_at(self, x: float, y: float) -> Joints:
        """A bent arm that faces (x, y): from here Newton's steps find their way."""
        pan = -np.arctan2(y, x - 0.0388)  # the shoulder's axis stands 39 mm before the base
        return np.array([pan, -0.3, 0.5, 1.2, self._end[4], 0.0])

    @property
    def _end(self) -> Joints:
        """Where the planned path ends, or where the arm is told to be now."""
        return self._path[-1] if self._path else self._at

    def _go(self, target: Joints, *, least_s: float = 0.0, slow: float = 1.0) -> None:
        """Append a smooth way to `target` (6,), as fast as this episode's style goes."""
        start = self._end
        seconds = max(np.abs(target[:ARM] - start[:ARM]).max() * slow / self._style.rad_s, least_s)
        seconds = max(seconds, abs(target[GRIPPER] - start[GRIPPER]) * slow / 2.5)
        ticks = max(1, int(np.ceil(seconds * self._cfg.rate_hz)))
        for share in (1 - np.cos(np.pi * np.arange(1, ticks + 1) / ticks)) / 2:
            self._path.append(start + share * (target - start))

    def _stay(self, seconds: float) -> None:
        end = self._end
        self._path.extend([end] * max(1, round(seconds * self._cfg.rate_hz)))


def _wrap(angle: float, symmetry: int) -> float:
    """`angle` (rad) brought next to 0, for a thing that looks the same after 1/symmetry turn."""
    return math.remainder(angle, 2 * math.pi / symmetry)
