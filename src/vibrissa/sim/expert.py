"""The scripted expert: hover, turn the wrist to the object, descend, close, lift, carry, release.

Into a tray it drops; elsewhere it lowers what it carries, lets go, and moves aside before it rises.

One strategy, and never a nudge: a policy cannot infer from pictures why one demonstration pushed
the brick and the next one did not. Variety lies in the approach (heights, speeds, places), drawn
anew for every episode, and in noise on what is sent, from which the next plan recovers.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from vibrissa.control.pilots import Unasking
from vibrissa.core.episode import Decision, Observation
from vibrissa.core.errors import ArmFault
from vibrissa.core.units import GRIPPER, HIGH_RAD, LOW_RAD
from vibrissa.sim.goals import goal_of
from vibrissa.sim.grasp import CLEAR_AGAIN_M, Grasps, Grip, Joints, Style, facing
from vibrissa.sim.judge import holds
from vibrissa.sim.placing import OVER_M, Placing
from vibrissa.sim.reach import ARM, Pose, Reach
from vibrissa.sim.scene import SceneCfg

Phase = Literal[
    "rise",
    "hover",
    "descend",
    "close",
    "lift",
    "carry",
    "lower",
    "release",
    "retreat",
    "rest",
    "give up",
]
# Servos softer than this sag by more than a degree with the arm stretched out (1 N m): they are
# aimed that much higher. Stiffer ones need no such help.
SOFT_NM_RAD = 50.0
OPEN_RAD, CLOSED_RAD = 0.75, 0.0
SAFE_M = 0.05  # below this height of the tip the arm rises before it goes sideways
SLIPPED_M, SLIPPED_RAD = 0.010, 0.20  # an object that moved this much is approached again
STIRRED_M, STIRRED_RAD = 0.002, 0.03  # one that moved this much needs a new grasp
# Where there are millimetres to spare, not more, only this share of the noise is added.
NEAR: tuple[Phase, ...] = ("descend", "close", "lower")
NEAR_NOISE = 0.3
ASIDE_M = 0.006  # the static jaw moves this far off what it has put down
CARRIED_M = 0.030  # an object farther from the tip than this beyond its own size was lost


class Expert(Unasking):
    """A pilot that reads the simulator's truth and solves every task of `sim.tasks`.

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
        self._is_soft = bool(cfg.servo.each("kp").min() < SOFT_NM_RAD)
        self._measure(cfg.object.half_size_m)
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
            self._measure(tuple(truth["object_half_size_m"].tolist()))
            self._at = self._cfg.servo.joints(observation.state.astype(np.float64))
            self._enter("lift" if truth["grasped"] else "rise", truth)
        elif self._is_lost(truth):
            self._at = self._cfg.servo.joints(observation.state.astype(np.float64))
            self._enter("rise", truth)
        while not self._path:
            self._enter(self._next(truth), truth)
        self._at = self._path.popleft()
        beside = self._placing.careful and self._phase in ("release", "retreat")
        near = beside or self._phase in NEAR
        noise = self._noise_rad * (NEAR_NOISE if near else 1.0)
        aim = self._at + self._rng.normal(0.0, 1.0, 6) * noise
        if self._is_soft:
            aim = self._reach.against_gravity(aim)
        action = self._cfg.servo.readings(aim)
        return Decision(np.clip(action, LOW_RAD, HIGH_RAD).astype(np.float32), "script")

    def _measure(self, half_size_m: tuple[float, float, float]) -> None:
        """What depends on the object's size, which may differ from one episode to the next."""
        thing = replace(self._cfg.object, half_size_m=half_size_m)
        self._grasps = Grasps(thing, self._reach)
        self._placing = Placing(replace(self._cfg, object=thing), self._reach)

    def _next(self, truth: Any) -> Phase:
        """What follows the phase that has just been played to its end."""
        goal, careful = self._placing.has_goal, self._placing.careful
        follows: dict[Phase, Phase] = {
            "rise": "hover",
            "hover": "descend",
            "descend": "close",
            "close": "lift" if truth["grasped"] else "rise",
            "lift": ("carry" if goal else "rest") if truth["grasped"] else "rise",
            "carry": "lower" if careful else "release",
            "lower": "release",
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
        shown = self._phase == "rest" and not self._placing.has_goal
        if self._phase in ("lift", "carry", "lower") or shown:
            away = np.linalg.norm(truth["object_position"] - truth["tip_position"])
            return not truth["touching"] or bool(away > CARRIED_M + self._grasps.half_m[0])
        return False

    def _has_moved(self, truth: Any, most_m: float, most_rad: float) -> bool:
        """Whether the object has left the pose that the grasp was chosen for."""
        if self._grip is None:
            return False
        moved = np.linalg.norm(truth["object_position"][:2] - self._grip.place[:2])
        turned = _wrap(truth["object_yaw"] - self._grip.yaw_rad, self._cfg.object.symmetry)
        return bool(moved > most_m or abs(turned) > most_rad)

    def _is_delivered(self, truth: Any) -> bool:
        goal = goal_of(self._cfg, truth)
        if goal is None:
            return False
        inside = goal.covers(*truth["object_position"][:2].tolist())
        if not self._placing.careful or self._cfg.rules is None:
            return inside
        return inside and holds(self._cfg, self._cfg.rules.success, truth)

    def _enter(self, phase: Phase, truth: Any) -> None:
        self._phase = phase
        plans: dict[Phase, Callable[[Any], None]] = {
            "rise": self._rise,
            "hover": self._hover,
            "descend": self._descend,
            "close": self._close,
            "lift": self._lift,
            "carry": self._carry,
            "lower": self._lower,
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
        height = self._placing.lift_m(self._style, truth)
        for share in (0.5, 1.0):
            z = tip[2] + share * max(height - tip[2], 0.0)
            pose = self._held_pose((tip[0], tip[1], z), truth)
            self._go(np.append(self._solve(pose, self._end), CLOSED_RAD))

    def _carry(self, truth: Any) -> None:
        held = self._held_pose((0.0, 0.0, 0.0), truth)
        if self._placing.careful:
            q = self._placing.lower(truth, self._style, self._end, held, OVER_M)
        else:
            pose = self._placing.drop(self._style, held)
            x, y, _ = pose.position_m
            q = self._solve(pose, facing(x, y, float(self._end[4])))
        self._go(np.append(q, CLOSED_RAD))
        self._stay(0.15)

    def _lower(self, truth: Any) -> None:
        """Straight down in two pieces, from where the object really hangs."""
        held, told = self._held_pose((0.0, 0.0, 0.0), truth), self._end
        for share in (0.4, 0.0):
            q = self._placing.lower(truth, self._style, told, held, share * OVER_M)
            self._go(np.append(q, CLOSED_RAD), slow=2.0)
        self._stay(0.2)

    def _release(self, truth: Any) -> None:
        opened = self._end.copy()
        opened[GRIPPER] = OPEN_RAD
        self._go(opened)

    def _retreat(self, truth: Any) -> None:
        """Up; from what stands free first aside, so that the static jaw does not drag it along."""
        x, y, z = truth["tip_position"]
        if self._placing.careful:
            x, y, _ = truth["tip_position"] - ASIDE_M * truth["tip_rotation"][:, 0]
            aside = self._held_pose((float(x), float(y), float(z)), truth)
            self._go(np.append(self._solve(aside, self._end), OPEN_RAD), slow=2.0)
        pose = self._held_pose((float(x), float(y), float(z + 0.03)), truth)
        self._go(np.append(self._solve(pose, self._end), OPEN_RAD))
        self._stay(0.3)

    def _rest(self, truth: Any) -> None:
        self._stay(0.5)

    def _choose_grip(self, truth: Any) -> Grip | None:
        return self._grasps.choose(truth, self._style, float(self._end[4]))

    def _grasp_pose(self, grip: Grip, above_m: float) -> Pose:
        return self._grasps.pose(grip, self._style, above_m)

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
    return math.remainder(angle, 2 * math.pi / symmetry) if symmetry else 0.0
