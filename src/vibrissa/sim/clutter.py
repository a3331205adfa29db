"""Things on the table that nobody asked for: they stand clear of the task, and can be pushed.

They are bodies with a mass, not painted pictures: an arm that reaches through one would be
recorded doing what no arm can do. A scene has as many places for them as its randomisation can
draw, so that every episode has the same state; places left empty hang, unseen and untouchable,
below the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vibrissa.core.errors import ContractError
from vibrissa.sim import goals, robot
from vibrissa.sim.gl import mujoco

if TYPE_CHECKING:
    from vibrissa.sim.scene import SceneCfg

Shape = Literal["box", "cylinder", "ellipsoid"]
SHAPES: tuple[Shape, ...] = ("box", "cylinder", "ellipsoid")
REACH_M = (0.14, 0.45)  # from the shoulder's axis: where the arm works and the cameras look
ANGLE_RAD = 1.9
CLEAR_M = 0.025  # between a distractor and whatever it keeps clear of
BASE_M = 0.12
HALF_M, HALF_HEIGHT_M = (0.008, 0.025), (0.006, 0.02)  # lower than the arm travels
DENSITY_KG_M3 = 700.0  # wood
TRIES = 200
DISTINCT = 0.35  # of 1, in the channel that differs most

_GEOMS = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
}


@dataclass(frozen=True)
class Distractor:
    """A thing on the table: shape, half sides (m), colour (0 to 1), and where it stands."""

    shape: Shape
    half_m: tuple[float, float, float]
    rgb: tuple[float, float, float]
    place_m: tuple[float, float]
    yaw_rad: float

    @property
    def radius_m(self) -> float:
        """How far it reaches in the plane."""
        return float(np.hypot(*self.half_m[:2]))


def draw(cfg: SceneCfg, count: int, rng: np.random.Generator) -> tuple[Distractor, ...]:
    """At most `count` of them; fewer where the table is full."""
    drawn: list[Distractor] = []
    for _ in range(count):
        for _ in range(TRIES):
            thing = _any(rng)
            if not _is_told_apart(cfg, thing) or not _stands_clear(cfg, thing):
                continue
            if not any(_meet(thing, other) for other in drawn):
                drawn.append(thing)
                break
    return tuple(drawn)


def add(spec: Any, places: int, things: tuple[Distractor, ...] = ()) -> None:
    """`places` bodies with a free joint, the first ones as `things`, the others put away.

    Raises ContractError for more things than places.
    """
    if len(things) > places:
        raise ContractError(
            f"{len(things)} distractors, and the scene has room for {places}: make the arm with "
            "the scene that they were drawn for."
        )
    for index in range(places):
        if index < len(things):
            _put(spec, name_of(index), things[index])
        else:
            _put_away(spec, name_of(index), index)


def name_of(index: int) -> str:
    return f"distractor_{index}"


def _any(rng: np.random.Generator) -> Distractor:
    shape = SHAPES[rng.integers(len(SHAPES))]
    x, y = rng.uniform(*HALF_M, 2)
    if shape == "cylinder":
        y = x
    far, way = rng.uniform(*REACH_M), rng.uniform(-ANGLE_RAD, ANGLE_RAD)
    return Distractor(
        shape=shape,
        half_m=(float(x), float(y), float(rng.uniform(*HALF_HEIGHT_M))),
        rgb=tuple(rng.uniform(0, 1, 3).tolist()),
        place_m=(far * math.cos(way), far * math.sin(way)),
        yaw_rad=float(rng.uniform(-math.pi, math.pi)),
    )


def _is_told_apart(cfg: SceneCfg, thing: Distractor) -> bool:
    """Whether its colour is another one than the object's: else nobody knew what is meant."""
    return float(np.abs(np.subtract(thing.rgb, cfg.object.rgba[:3])).max()) > DISTINCT


def _stands_clear(cfg: SceneCfg, thing: Distractor) -> bool:
    """Off the robot, off the goal, and off wherever the object may start, jaws included."""
    room = thing.radius_m + CLEAR_M
    place = np.array(thing.place_m)
    if np.hypot(*place) < BASE_M + room:
        return False
    return all(np.abs(place - centre).max() > half + room for centre, half in taken(cfg))


def taken(cfg: SceneCfg) -> list[tuple[tuple[float, float], float]]:
    """The squares that the task needs: centre and half side (m) of each."""
    squares = [(cfg.spawn.centre_m, cfg.spawn.half_m + goals.diagonal_m(cfg))]
    if cfg.tray is not None:
        squares.append((cfg.tray.centre_m, cfg.tray.half_m))
    if cfg.zone is not None:
        squares.append((cfg.zone.centre_m, float(np.hypot(*cfg.zone.half_m))))
    if cfg.base is not None:
        wide = float(np.hypot(*cfg.base.half_size_m[:2]))
        squares.append((cfg.base.spawn.centre_m, cfg.base.spawn.half_m + wide))
    return squares


def _meet(one: Distractor, other: Distractor) -> bool:
    away = np.hypot(*np.subtract(one.place_m, other.place_m))
    return bool(away < one.radius_m + other.radius_m + CLEAR_M)


def _put(spec: Any, name: str, thing: Distractor) -> None:
    turn = (math.cos(thing.yaw_rad / 2), 0.0, 0.0, math.sin(thing.yaw_rad / 2))
    body = spec.worldbody.add_body(name=name, pos=(*thing.place_m, thing.half_m[2]), quat=turn)
    body.add_freejoint(name=name)
    x, y, z = thing.half_m
    body.add_geom(
        name=name,
        type=_GEOMS[thing.shape],
        size=(x, z, 0.0) if thing.shape == "cylinder" else (x, y, z),
        density=DENSITY_KG_M3,
        rgba=(*thing.rgb, 1.0),
        contype=robot.WORLD,
        conaffinity=robot.WORLD | robot.ROBOT,
        friction=(0.6, 0.005, 0.0001),
    )


def _put_away(spec: Any, name: str, index: int) -> None:
    body = spec.worldbody.add_body(name=name, pos=(0.1 * index, 0.0, -0.5), gravcomp=1.0)
    body.add_freejoint(name=name)
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=(0.01, 0.01, 0.01),
        density=DENSITY_KG_M3,
        rgba=(0.0, 0.0, 0.0, 0.0),
        contype=0,
        conaffinity=0,
    )
