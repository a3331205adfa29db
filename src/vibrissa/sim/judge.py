"""The judge of every task: what must hold, for how many ticks, and what became of the object.

A judge is easy to fool: by a brick that starts in the tray, by one that is pushed through it, by
one that is still held above it. So success is a state that lasts, as `SuccessCfg` says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from vibrissa.core.episode import Observation, Reason
from vibrissa.core.moments import moments
from vibrissa.core.outcomes import AT_GOAL_M, Marks, Track, classify
from vibrissa.core.protocols import Verdict
from vibrissa.sim.goals import Goal, RulesCfg, SuccessCfg, goal_of, misaligned_rad
from vibrissa.sim.grip import GripTrack
from vibrissa.sim.scene import SceneCfg

RESTING_M = 0.005  # an underside this near to the goal's surface lies on it
TOPPLED_RAD = np.radians(15.0)  # a base that leans more is no base


class Judge:
    """A `Task` that reads the simulator's truth, in a scene and by its rules."""

    def __init__(self, cfg: SceneCfg, rules: RulesCfg):
        self.name, self.instruction, self.max_ticks = rules.name, cfg.instruction, rules.max_ticks
        self._cfg, self._rules, self._marks = cfg, rules, marks(cfg)
        self._goal = goal_of(cfg, {}) if cfg.base is None else None
        self.reset()

    def reset(self) -> None:
        self._height_m: list[float] = []
        self._goal_xy_m: list[float] = []
        self._held: list[bool] = []
        self._misaligned_rad = math.nan
        self._lasting, self._highest_m = 0, -math.inf
        self._grip = GripTrack()

    def judge(self, observation: Observation) -> Verdict | None:
        """ "success" once the state has lasted as long as the rules say, else None.

        "failure" where the object has left the workspace.
        """
        truth = observation.truth
        goal = self._goal_now(truth)
        x, y, height_m = truth["object_position"].tolist()
        self._height_m.append(height_m)
        self._highest_m = max(self._highest_m, height_m)
        away = math.inf if goal is None else math.dist((x, y), goal.centre_m)
        self._goal_xy_m.append(away)
        self._held.append(bool(truth["touching"]))
        self._grip.add(truth)
        if goal is not None and self._rules.success.aligned_rad is not None:
            symmetry = self._cfg.object.symmetry
            self._misaligned_rad = misaligned_rad(truth["object_yaw"], symmetry, goal)
        lifted = self._highest_m > self._marks.lifted_m
        done = _all_hold(self._cfg, self._rules.success, truth, goal, lifted)
        self._lasting = self._lasting + 1 if done else 0
        if self._lasting >= self._rules.success.held_ticks:
            return "success"
        return "failure" if self._has_left(x, y) else None

    def failure_class(self, reason: Reason) -> str:
        return classify(reason, self._track())

    def measures(self) -> Mapping[str, float]:
        """The task's numbers: heights and distances in m, forces in N; counts, ticks and 0/1."""
        track = self._track()
        if not self._height_m:
            return {}
        numbers = {
            "max_height_m": float(track.height_m.max()),
            "final_height_m": float(track.height_m[-1]),
            "picked": float(track.lifted),
            "dropped": float(track.dropped and not self._lasting),
            "fumbles": float(track.fumbles),
        }
        if np.isfinite(track.goal_xy_m[-1]):
            numbers["final_goal_distance_m"] = float(track.goal_xy_m[-1])
        if np.isfinite(self._misaligned_rad):
            numbers["final_goal_angle_deg"] = math.degrees(self._misaligned_rad)
        return numbers | moments(track) | self._grip.measures()

    def _goal_now(self, truth: Mapping[str, Any]) -> Goal | None:
        """The goal at this moment; only a base can be elsewhere than at first."""
        return goal_of(self._cfg, truth) if self._cfg.base is not None else self._goal

    def _track(self) -> Track:
        return Track(
            np.array(self._height_m),
            np.array(self._goal_xy_m),
            np.array(self._held, np.bool_),
            self._marks,
        )

    def _has_left(self, x: float, y: float) -> bool:
        if self._rules.workspace_m is None:
            return False
        x_low, x_high, y_low, y_high = self._rules.workspace_m
        return not (x_low <= x <= x_high and y_low <= y <= y_high)


def holds(
    cfg: SceneCfg, wanted: SuccessCfg, truth: Mapping[str, Any], *, lifted: bool = True
) -> bool:
    """Whether everything that `wanted` asks for is so at this very moment.

    lifted: whether the object has been in the air before.
    """
    return _all_hold(cfg, wanted, truth, goal_of(cfg, truth), lifted)


def _all_hold(
    cfg: SceneCfg, wanted: SuccessCfg, truth: Mapping[str, Any], goal: Goal | None, lifted: bool
) -> bool:
    height_m = float(truth["object_position"][2])
    if wanted.lifted and not lifted:
        return False
    if wanted.released and truth["touching"]:
        return False
    if wanted.below_m is not None and not height_m < wanted.below_m:
        return False
    if wanted.above_m is not None and not height_m > wanted.above_m:
        return False
    if wanted.upright_rad is not None and _leaning_rad(truth["object_quaternion"]) > (
        wanted.upright_rad
    ):
        return False
    return goal is None or _meets(cfg, wanted, goal, truth)


def marks(cfg: SceneCfg) -> Marks:
    """The heights and distances that tell lifted from lying, and near from far, in this scene."""
    rest_m, usual = cfg.object.half_size_m[2], Marks()
    at_m = AT_GOAL_M
    if cfg.zone is not None:
        at_m = float(np.hypot(*cfg.zone.half_m))
    elif cfg.base is not None:
        at_m = float(np.hypot(*cfg.base.half_size_m[:2]))
    return Marks(
        lifted_m=max(usual.lifted_m, rest_m + 0.03),
        down_m=max(usual.down_m, rest_m + 0.01),
        near_goal_m=at_m + (usual.near_goal_m - usual.at_goal_m),
        at_goal_m=at_m,
        lowered=cfg.zone is not None or cfg.base is not None,
    )


def _meets(cfg: SceneCfg, wanted: SuccessCfg, goal: Goal, truth: Mapping[str, Any]) -> bool:
    """What is asked for of the object and its goal together."""
    x, y, height_m = truth["object_position"].tolist()
    if wanted.inside and not goal.covers(x, y):
        return False
    if wanted.resting:
        half_m = truth.get("object_half_size_m", cfg.object.half_size_m)[2]
        gap_m = height_m - half_m - goal.surface_m
        if abs(gap_m) > RESTING_M or not _stands(cfg, truth):
            return False
    if wanted.aligned_rad is None:
        return True
    off = misaligned_rad(truth["object_yaw"], cfg.object.symmetry, goal)
    return off <= wanted.aligned_rad


def _stands(cfg: SceneCfg, truth: Mapping[str, Any]) -> bool:
    """Whether the base, if there is one, stands upright on the table."""
    if cfg.base is None:
        return True
    raised_m = truth["base_position"][2] - cfg.base.half_size_m[2]
    return abs(raised_m) < RESTING_M and _leaning_rad(truth["base_quaternion"]) < TOPPLED_RAD


def _leaning_rad(quaternion: np.ndarray) -> float:
    """The angle between a thing's own z and straight up, from its w x y z."""
    _, x, y, _ = quaternion
    return float(np.arccos(np.clip(1 - 2 * (x * x + y * y), -1.0, 1.0)))
