"""The things of a scene as MuJoCo has them: the object in its shape, and the goal."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ContractError
from vibrissa.sim import robot
from vibrissa.sim.gl import mujoco

if TYPE_CHECKING:
    from vibrissa.sim.goals import BaseCfg, TrayCfg, ZoneCfg
    from vibrissa.sim.meshes import Mesh
    from vibrissa.sim.scene import ContactCfg, ObjectCfg, SceneCfg

OBJECT, BASE = "object", "base_block"  # body, joint and geom of each
PAINT_M = 0.0003  # half the thickness of a zone: enough to be drawn, and nothing can touch it
_TYPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "mesh": mujoco.mjtGeom.mjGEOM_MESH,
}


def add_object(spec: Any, thing: ObjectCfg) -> None:
    """The object, free to move; `SimArm.reset` says where it starts."""
    half = thing.half_size_m
    body = spec.worldbody.add_body(name=OBJECT, pos=(0.0, 0.0, half[2]))
    body.add_freejoint(name=OBJECT)
    shape: dict[str, Any] = {"size": half}
    if thing.shape == "cylinder":
        shape = {"size": (half[0], half[2], 0.0)}
    elif thing.shape == "mesh":
        vertices, faces = unpacked(thing.mesh)
        made = spec.add_mesh(
            name=OBJECT, uservert=(vertices * half).ravel(), userface=faces.ravel()
        )
        made.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
        shape = {"meshname": OBJECT}
    body.add_geom(
        name=OBJECT,
        type=_TYPES[thing.shape],
        mass=thing.mass_kg,
        rgba=thing.rgba,
        contype=robot.WORLD,
        conaffinity=robot.WORLD | robot.ROBOT,
        friction=(thing.friction, 0.005, 0.0001),
        **shape,
    )


def add_goal(spec: Any, cfg: SceneCfg) -> None:
    """The tray, the painted zone or the base of a scene; nothing where it has none."""
    if cfg.tray is not None:
        _add_tray(spec, cfg.tray, cfg.contact)
    if cfg.zone is not None:
        _add_zone(spec, cfg.zone)
    if cfg.base is not None:
        _add_base(spec, cfg.base)


def packed(mesh: Mesh) -> tuple[str, NDArray[np.float64]]:
    """A mesh as one line of text, and the half sides (3,) m of the box round it.

    The text holds the vertices within a box from -1 to 1 and the faces, so that a stored scene
    needs no other file. Raises ContractError for a mesh without volume.
    """
    vertices, faces = np.asarray(mesh[0], np.float64), mesh[1]
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    half = (high - low) / 2
    if not np.all(half > 0):
        raise ContractError("a mesh that is flat: an object needs a height, a width and a depth.")
    unit = ((vertices - (low + high) / 2) / half).astype("<f4")
    raw = len(unit).to_bytes(4, "little") + unit.tobytes() + faces.astype("<i4").tobytes()
    return base64.b64encode(zlib.compress(raw, 9)).decode("ascii"), half


def unpacked(text: str) -> Mesh:
    """The inverse of `packed`: vertices (V, 3) from -1 to 1, faces (F, 3)."""
    raw = zlib.decompress(base64.b64decode(text))
    count = int.from_bytes(raw[:4], "little")
    vertices = np.frombuffer(raw, "<f4", 3 * count, offset=4).reshape(-1, 3)
    faces = np.frombuffer(raw, "<i4", offset=4 + 12 * count).reshape(-1, 3)
    return vertices.astype(np.float32), faces.astype(np.int32)


def _add_tray(spec: Any, tray: TrayCfg, contact: ContactCfg) -> None:
    body = spec.worldbody.add_body(name="tray", pos=(*tray.centre_m, 0.0))
    half, wall, height = tray.half_m, tray.wall_m / 2, tray.wall_height_m / 2
    boxes = [((0.0, 0.0, tray.floor_m / 2), (half, half, tray.floor_m / 2))]
    for side in (-1.0, 1.0):
        boxes.append(((side * (half - wall), 0.0, height), (wall, half, height)))
        boxes.append(((0.0, side * (half - wall), height), (half, wall, height)))
    for index, (position, size) in enumerate(boxes):
        body.add_geom(
            name=f"tray_{index}",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=position,
            size=size,
            rgba=tray.rgba,
            contype=robot.WORLD,
            conaffinity=robot.WORLD | robot.ROBOT,
            friction=(contact.table_friction, 0.005, 0.0001),
        )


def _add_zone(spec: Any, zone: ZoneCfg) -> None:
    spec.worldbody.add_geom(
        name="zone",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(*zone.centre_m, PAINT_M),
        quat=(np.cos(zone.yaw_rad / 2), 0.0, 0.0, np.sin(zone.yaw_rad / 2)),
        size=(*zone.half_m, PAINT_M),
        rgba=zone.rgba,
        contype=0,
        conaffinity=0,
        mass=0,
    )


def _add_base(spec: Any, base: BaseCfg) -> None:
    body = spec.worldbody.add_body(name=BASE, pos=(*base.spawn.centre_m, base.half_size_m[2]))
    body.add_freejoint(name=BASE)
    body.add_geom(
        name=BASE,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=base.half_size_m,
        mass=base.mass_kg,
        rgba=base.rgba,
        contype=robot.WORLD,
        conaffinity=robot.WORLD | robot.ROBOT,
        friction=(base.friction, 0.005, 0.0001),
    )
