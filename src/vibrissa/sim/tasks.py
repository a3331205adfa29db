"""The two tasks, their scenes and their judges: `pick-place` and `lift`.

A judge is easy to fool: by a brick that starts in the tray, by one that is pushed through it, by
one that is still held above it. So success is a state that lasts ten ticks without the gripper.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vibrissa.core.episode import Observation, Reason
from vibrissa.core.errors import UsageError
from vibrissa.core.outcomes import Track, classify
from vibrissa.core.protocols import Task, Verdict
from vibrissa.sim.scene import CONTACTS, CameraCfg, ObjectCfg, SceneCfg, SpawnCfg, TrayCfg

HELD_TICKS = 10

# Looking straight down, +x up in the picture; and from the gripper past both jaws, 40 degrees down.
OVERHEAD = CameraCfg(
    "overhead", "world", (0.3, -0.09, 0.6), (0.5**0.5, 0.0, 0.0, -(0.5**0.5)), 52.0
)
_TILT = np.radians(40.0) / 2
WRIST = CameraCfg(
    "wrist",
    "gripper",
    (0.0, 0.055, -0.035),
    (float(np.cos(_TILT)), -float(np.sin(_TILT)), 0.0, 0.0),
    71.0,
)

BRICK = ObjectCfg("block", (0.032, 0.016, 0.0096), 0.030, symmetry=2, friction=0.6)
CUBE = ObjectCfg("cube", (0.015, 0.015, 0.015), 0.030, symmetry=4, friction=0.5)


@dataclass(frozen=True)
class TaskCfg:
    """One task: its scene, where its object may start (the usual site first), its length."""

    scene: SceneCfg
    sites: Mapping[str, SpawnCfg]
    max_ticks: int
    judge: type[PickPlace | Lift]


def make_scene(
    task: str,
    *,
    site: str = "",
    friction: str = "plausible",
    camera_size: tuple[int, int] | None = None,
    **overrides: Any,
) -> SceneCfg:
    """The scene of `task`, with some of its fields replaced.

    site: where the object starts, by name. friction: "plausible" or "sticky". camera_size:
    (width, height) of all pictures, see `CameraCfg.resized`. Everything else is a field of
    `SceneCfg`. Raises UsageError with the names that exist, ContractError for a bad scene.
    """
    cfg = _known("task", task, TASKS)
    spawn = _known("spawn site", site or next(iter(cfg.sites)), cfg.sites)
    contact = _known("friction", friction, CONTACTS)
    cameras = cfg.scene.cameras
    if camera_size is not None:
        cameras = tuple(camera.resized(*camera_size) for camera in cameras)
    fields = {"spawn": spawn, "contact": contact, "cameras": cameras, **overrides}
    for name in fields:
        _known("field of a scene", name, {f.name: f for f in dataclasses.fields(SceneCfg)})
    return dataclasses.replace(cfg.scene, **fields)


def make_task(task: str, cfg: SceneCfg | None = None) -> Task:
    """The judge of `task` in a scene of it. Raises UsageError with the tasks that exist."""
    known = _known("task", task, TASKS)
    return known.judge(task, cfg or known.scene, known.max_ticks)


class _Tracked(ABC):
    """What both judges share: the object's track, and what it says at the end."""

    def __init__(self, name: str, cfg: SceneCfg, max_ticks: int):
        self.name, self.instruction, self.max_ticks = name, cfg.instruction, max_ticks
        self.reset()

    def reset(self) -> None:
        self._height_m: list[float] = []
        self._goal_xy_m: list[float] = []
        self._held: list[bool] = []
        self._lasting = 0

    def judge(self, observation: Observation) -> Verdict | None:
        """ "success" once the task's state has lasted `HELD_TICKS` ticks, else None."""
        truth = observation.truth
        place = truth["object_position"]
        self._height_m.append(float(place[2]))
        self._goal_xy_m.append(self._distance(truth))
        self._held.append(bool(truth["touching"]))
        self._lasting = self._lasting + 1 if self._done(truth) else 0
        return "success" if self._lasting >= HELD_TICKS else None

    def failure_class(self, reason: Reason) -> str:
        return classify(reason, self._track())

    def measures(self) -> Mapping[str, float]:
        """The task's numbers: heights and distances in m; counts and 0/1."""
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
        return numbers

    def _track(self) -> Track:
        return Track(
            np.array(self._height_m), np.array(self._goal_xy_m), np.array(self._held, np.bool_)
        )

    @abstractmethod
    def _distance(self, truth: Mapping[str, Any]) -> float:
        """How far the object is from its goal in the plane, m; infinite where there is none."""

    @abstractmethod
    def _done(self, truth: Mapping[str, Any]) -> bool:
        """Whether this very tick is as it should be."""


class PickPlace(_Tracked):
    """The block's centre over the tray, below 5 cm, and the gripper off it."""

    BELOW_M = 0.05

    def __init__(self, name: str, cfg: SceneCfg, max_ticks: int):
        if cfg.tray is None:
            raise UsageError("pick-place needs a scene with a tray: make_scene('pick-place').")
        self._centre_m, self._half_m = np.array(cfg.tray.centre_m), cfg.tray.half_m
        super().__init__(name, cfg, max_ticks)

    def _distance(self, truth: Mapping[str, Any]) -> float:
        return float(np.hypot(*(truth["object_position"][:2] - self._centre_m)))

    def _done(self, truth: Mapping[str, Any]) -> bool:
        place = truth["object_position"]
        inside = np.all(np.abs(place[:2] - self._centre_m) < self._half_m)
        return bool(inside) and place[2] < self.BELOW_M and not truth["touching"]


class Lift(_Tracked):
    """The cube's centre above 8 cm, however it is held there."""

    ABOVE_M = 0.08

    def _distance(self, truth: Mapping[str, Any]) -> float:
        return float("inf")

    def _done(self, truth: Mapping[str, Any]) -> bool:
        return bool(truth["object_position"][2] > self.ABOVE_M)


_PICK_PLACE_SITES = {
    "first": SpawnCfg((0.217, 0.225), 0.04),
    "second": SpawnCfg((0.337, -0.015), 0.04),  # for the test of generalisation
}
_LIFT_SITES = {
    "near": SpawnCfg((0.25, 0.0), 0.02),
    "far": SpawnCfg((0.40, -0.10), 0.03),
}

TASKS: dict[str, TaskCfg] = {
    "pick-place": TaskCfg(
        scene=SceneCfg(
            object=BRICK,
            spawn=_PICK_PLACE_SITES["first"],
            tray=TrayCfg((0.217, -0.225)),
            cameras=(OVERHEAD, WRIST),
            instruction="Pick up the block and place it in the bowl",
            rate_hz=30.0,
        ),
        sites=_PICK_PLACE_SITES,
        max_ticks=300,
        judge=PickPlace,
    ),
    "lift": TaskCfg(
        scene=SceneCfg(
            object=CUBE,
            spawn=_LIFT_SITES["near"],
            tray=None,
            cameras=(OVERHEAD, WRIST),
            instruction="Lift the cube",
            rate_hz=10.0,
        ),
        sites=_LIFT_SITES,
        max_ticks=100,
        judge=Lift,
    ),
}


def _known[T](what: str, name: str, table: Mapping[str, T]) -> T:
    if name not in table:
        raise UsageError(f"no {what} {name!r}. There is: {', '.join(table)}.")
    return table[name]
