"""What is to be reached: where an object starts, where it is to go, and when that is achieved.

Frozen data, stored with the scene. Geometry that follows from it is at the end: one `Goal`, the
place and the heading of whatever the task calls its goal, at one moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from vibrissa.sim.scene import SceneCfg

Pair = tuple[float, float]
Triple = tuple[float, float, float]
Quad = tuple[float, float, float, float]


@dataclass(frozen=True)
class SpawnCfg:
    """Where the object starts: uniform in a square and in yaw."""

    centre_m: Pair
    half_m: float
    yaw_rad: Pair = (-np.pi, np.pi)


@dataclass(frozen=True)
class TrayCfg:
    """A square tray: its outer half side, its walls and its floor."""

    centre_m: Pair
    half_m: float = 0.06
    wall_height_m: float = 0.032
    wall_m: float = 0.003
    floor_m: float = 0.002
    rgba: Quad = (0.20, 0.45, 0.75, 1.0)


@dataclass(frozen=True)
class ZoneCfg:
    """A rectangle painted on the table, its first side turned by `yaw_rad` from +x.

    A line is a zone that is long and narrow. Nothing can be felt of it.
    """

    centre_m: Pair
    half_m: Pair
    yaw_rad: float = 0.0
    rgba: Quad = (0.95, 0.85, 0.25, 1.0)


@dataclass(frozen=True)
class BaseCfg:
    """A block that stands somewhere in `spawn`, free to be knocked over, to be stacked upon."""

    name: str
    half_size_m: Triple
    mass_kg: float
    spawn: SpawnCfg
    symmetry: int
    friction: float = 0.6
    rgba: Quad = (0.20, 0.45, 0.75, 1.0)


@dataclass(frozen=True)
class SuccessCfg:
    """What must hold for `held_ticks` ticks on end; what is None or False is not asked for.

    inside: the object's centre within the goal's rectangle, seen from above. below_m, above_m:
    bounds of its centre's height. released: nothing of the gripper touches it. resting: its
    underside lies on the goal. upright_rad: how far it may lean. aligned_rad: how far its heading
    may be from the goal's, up to the symmetry of both. lifted: it was in the air before.
    """

    held_ticks: int = 10
    inside: bool = False
    below_m: float | None = None
    above_m: float | None = None
    released: bool = False
    resting: bool = False
    upright_rad: float | None = None
    aligned_rad: float | None = None
    lifted: bool = False


@dataclass(frozen=True)
class SiteCfg:
    """A place to start from, by name."""

    name: str
    spawn: SpawnCfg


@dataclass(frozen=True)
class RulesCfg:
    """What is judged in a scene: its length, what counts, and where the object may start.

    workspace_m: x low, x high, y low, y high; an object that leaves it has ended the episode.
    file: the name of the task file they were read from, empty for a task of `sim.tasks`.
    """

    name: str
    max_ticks: int
    success: SuccessCfg
    sites: tuple[SiteCfg, ...]
    workspace_m: Quad | None = None
    file: str = ""


@dataclass(frozen=True)
class Goal:
    """Where the goal is now: its centre, its heading, its half sides, the height it gives.

    symmetry: how many turns of it look the same.
    """

    centre_m: Pair
    yaw_rad: float
    half_m: Pair
    surface_m: float
    symmetry: int

    def offset(self, x: float, y: float) -> Pair:
        """How far (x, y) is from the centre, along and across the goal's heading."""
        middle_x, middle_y = self.centre_m
        x, y = x - middle_x, y - middle_y
        if self.yaw_rad == 0.0:
            return x, y
        cos, sin = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        return cos * x + sin * y, cos * y - sin * x

    def covers(self, x: float, y: float) -> bool:
        """Whether (x, y) lies within its half sides."""
        along, across = self.offset(x, y)
        return abs(along) < self.half_m[0] and abs(across) < self.half_m[1]


def goal_of(cfg: SceneCfg, truth: Mapping[str, Any]) -> Goal | None:
    """The goal of a scene at the moment of `truth`; None where the task only lifts."""
    if cfg.tray is not None:
        half = (cfg.tray.half_m, cfg.tray.half_m)
        return Goal(cfg.tray.centre_m, 0.0, half, cfg.tray.floor_m, 4)
    if cfg.zone is not None:
        square = abs(cfg.zone.half_m[0] - cfg.zone.half_m[1]) < 1e-9
        turns = 4 if square else 2
        return Goal(cfg.zone.centre_m, cfg.zone.yaw_rad, cfg.zone.half_m, 0.0, turns)
    if cfg.base is not None:
        (x, y, z), base = truth["base_position"].tolist(), cfg.base
        top = z + base.half_size_m[2]
        half = base.half_size_m[:2]
        return Goal((x, y), truth["base_yaw"], half, top, base.symmetry)
    return None


def draw(spawn: SpawnCfg, rng: np.random.Generator) -> Triple:
    """x, y (m) and yaw (rad) of something that starts there."""
    x, y = rng.uniform(-spawn.half_m, spawn.half_m, 2) + spawn.centre_m
    return float(x), float(y), float(rng.uniform(*spawn.yaw_rad))


def turns_alike(symmetry: int, goal: Goal) -> float:
    """The smallest turn (rad) of the object that makes no difference to its being aligned."""
    return 2 * math.pi / math.lcm(max(1, symmetry), goal.symmetry)


def misaligned_rad(yaw_rad: float, symmetry: int, goal: Goal) -> float:
    """How far a heading is from the goal's, at least 0."""
    return abs(math.remainder(yaw_rad - goal.yaw_rad, turns_alike(symmetry, goal)))


def tray_margin_m(cfg: SceneCfg) -> float:
    """How near the tray's centre, in x and in y, an object would touch it."""
    tray = cfg.tray.half_m if cfg.tray else 0.0
    return tray + diagonal_m(cfg)


def diagonal_m(cfg: SceneCfg) -> float:
    """How far the object reaches from its centre, seen from above, however it is turned."""
    return float(np.hypot(*cfg.object.half_size_m[:2]))


def on_goal(cfg: SceneCfg, x: float, y: float) -> bool:
    """Whether an object at (x, y) would touch the tray, the zone, or where the base may stand."""
    if cfg.tray is not None:
        away = np.abs(np.array([x, y]) - cfg.tray.centre_m)
        return bool(np.all(away < tray_margin_m(cfg)))
    if cfg.base is not None:
        spawn, size = cfg.base.spawn, cfg.base.half_size_m
        away = np.abs(np.array([x, y]) - spawn.centre_m)
        room = spawn.half_m + float(np.hypot(*size[:2])) + diagonal_m(cfg)
        return bool(np.all(away < room))
    if cfg.zone is None:
        return False
    goal = goal_of(cfg, {})
    assert goal is not None
    reach = diagonal_m(cfg)
    return replace(goal, half_m=(goal.half_m[0] + reach, goal.half_m[1] + reach)).covers(x, y)


def spawn_is_lost(cfg: SceneCfg) -> bool:
    """Whether no place of the spawn is clear of the goal."""
    return all(on_goal(cfg, x, y) for x, y in square_of(cfg.spawn))


def spawn_touches(cfg: SceneCfg, spawn: SpawnCfg, steps: int = 24) -> bool:
    """Whether an object that starts somewhere in `spawn` may touch the goal; tried on a grid."""
    (x, y), shares = spawn.centre_m, np.linspace(-spawn.half_m, spawn.half_m, steps + 1)
    return any(on_goal(cfg, x + float(dx), y + float(dy)) for dx in shares for dy in shares)


def square_of(spawn: SpawnCfg) -> list[Pair]:
    """The corners of a spawn, and then its middle."""
    (x, y), half = spawn.centre_m, spawn.half_m
    corners = [(x + i * half, y + j * half) for i in (-1, 1) for j in (-1, 1)]
    return [*corners, (x, y)]
