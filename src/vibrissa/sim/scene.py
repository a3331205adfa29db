"""What stands on the table: one frozen description, and the MuJoCo model made from it.

A `SceneCfg` holds every number that shapes an episode. It is stored with whatever is recorded
in the scene, so that nothing is ever judged in another one by mistake.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vibrissa.core.errors import ContractError
from vibrissa.sim import robot
from vibrissa.sim.gl import mujoco

Pair = tuple[float, float]
Triple = tuple[float, float, float]
Quad = tuple[float, float, float, float]


@dataclass(frozen=True)
class CameraCfg:
    """A camera on `body` ("world" or a link): it looks along its -z, +y is up in the picture."""

    name: str
    body: str
    position_m: Triple
    quaternion: Quad  # w x y z
    fovy_deg: float  # vertical
    width: int = 640
    height: int = 480

    def resized(self, width: int, height: int) -> CameraCfg:
        """The same camera with another picture, its field of view grown where sides would go.

        A picture narrower than the camera's own keeps everything from left to right and shows
        more above and below; one that is wider keeps the vertical field of view.
        """
        shrink = max(1.0, (self.width / self.height) / (width / height))
        half = np.tan(np.radians(self.fovy_deg) / 2) * shrink
        fovy_deg = round(float(np.degrees(2 * np.arctan(half))), 4)
        return dataclasses.replace(self, width=width, height=height, fovy_deg=fovy_deg)


@dataclass(frozen=True)
class ObjectCfg:
    """A box to be moved. `symmetry`: how many yaws of a turn look the same (2 brick, 4 cube)."""

    name: str
    half_size_m: Triple
    mass_kg: float
    symmetry: int
    friction: float
    rgba: Quad = (0.78, 0.10, 0.10, 1.0)


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
class SpawnCfg:
    """Where the object starts: uniform in a square and in yaw."""

    centre_m: Pair
    half_m: float
    yaw_rad: Pair = (-np.pi, np.pi)


@dataclass(frozen=True)
class ContactCfg:
    """Friction, by the name of its variant. The pads' numbers hold wherever a pad touches."""

    name: str
    pad_friction: Triple  # sliding, torsional (m), rolling (m)
    pad_condim: int
    table_friction: float


PLAUSIBLE = ContactCfg("plausible", (1.0, 0.02, 0.0001), 4, 0.6)
# What the seed projects ran with: lazy grips hold, and fail on hardware. For comparison only.
STICKY = ContactCfg("sticky", (100.0, 0.02, 0.0001), 6, 0.6)
CONTACTS = {contact.name: contact for contact in (PLAUSIBLE, STICKY)}


@dataclass(frozen=True)
class ServoCfg:
    """The six position servos. Speed: an STS3215 turns 60 degrees in 0.222 s (datasheet, 7.4 V)."""

    kp: float = 100.0
    kv: float = 2.0
    force_nm: float = 3.35
    most_rad_s: float = 4.7


@dataclass(frozen=True)
class SceneCfg:
    """Everything about a simulated scene. Raises ContractError where it makes no sense."""

    object: ObjectCfg
    spawn: SpawnCfg
    tray: TrayCfg | None
    cameras: tuple[CameraCfg, ...]
    instruction: str = ""
    rate_hz: float = 30.0
    physics_hz: float = 600.0
    home_rad: tuple[float, ...] = (0.0, -1.2, 1.0, 0.9, 0.0, 0.5)
    start_noise_rad: float = 0.0
    contact: ContactCfg = PLAUSIBLE
    servo: ServoCfg = ServoCfg()
    table_rgb: Triple = (0.62, 0.60, 0.56)
    meshes: Literal["light", "full"] = "light"

    def __post_init__(self) -> None:
        substeps = self.physics_hz / self.rate_hz if self.rate_hz > 0 else 0
        if substeps < 1 or abs(substeps - round(substeps)) > 1e-9:
            raise ContractError(
                f"a tick of 1/{self.rate_hz:g} s is {substeps:g} substeps of "
                f"1/{self.physics_hz:g} s; it must be a whole number of them. "
                "Choose a rate that divides the physics rate."
            )
        names = [camera.name for camera in self.cameras]
        if len(set(names)) != len(names):
            raise ContractError(f"two cameras of one name: {', '.join(names)}.")
        if self.tray is not None and self._spawn_is_lost(self.tray):
            raise ContractError(
                f"every spawn within {self.spawn.half_m:g} m of {self.spawn.centre_m} touches the "
                f"tray at {self.tray.centre_m}: move the one or the other."
            )

    @property
    def substeps(self) -> int:
        """Physics steps a tick."""
        return round(self.physics_hz / self.rate_hz)

    @property
    def tray_margin_m(self) -> float:
        """How near the tray's centre, in x and in y, an object would touch it."""
        tray = self.tray.half_m if self.tray else 0.0
        return tray + float(np.hypot(*self.object.half_size_m[:2]))

    def draw_spawn(self, rng: np.random.Generator) -> tuple[float, float, float]:
        """x, y (m) and yaw (rad) of an object that stands clear of the tray."""
        half, yaw = self.spawn.half_m, self.spawn.yaw_rad
        while True:
            x, y = rng.uniform(-half, half, 2) + self.spawn.centre_m
            if self.tray is None or not self._touches(self.tray, x, y):
                return float(x), float(y), float(rng.uniform(*yaw))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` gives back an equal scene."""
        return _listed(dataclasses.asdict(self))

    @staticmethod
    def from_dict(raw: dict[str, Any]) -> SceneCfg:
        """The inverse of `to_dict`. Raises ContractError where something is missing or unknown."""
        return _load(SceneCfg, raw)

    def _touches(self, tray: TrayCfg, x: float, y: float) -> bool:
        away = np.abs(np.array([x, y]) - tray.centre_m)
        return bool(np.all(away < self.tray_margin_m))

    def _spawn_is_lost(self, tray: TrayCfg) -> bool:
        away = np.abs(np.subtract(self.spawn.centre_m, tray.centre_m)) + self.spawn.half_m
        return bool(np.all(away <= self.tray_margin_m))


@functools.lru_cache(maxsize=8)
def build(cfg: SceneCfg) -> mujoco.MjModel:
    """The MuJoCo model of a scene. Equal scenes share one model: nobody may write to it."""
    spec = robot.so101(cfg.servo, cfg.contact, full_meshes=cfg.meshes == "full")
    _set_options(spec, cfg)
    _add_table(spec, cfg)
    _add_object(spec, cfg.object)
    if cfg.tray is not None:
        _add_tray(spec, cfg.tray, cfg.contact)
    for camera in (*cfg.cameras, *_SPECTATORS):
        spec.body(camera.body).add_camera(
            name=camera.name,
            pos=camera.position_m,
            quat=camera.quaternion,
            fovy=camera.fovy_deg,
        )
    return spec.compile()


def look_at(eye_m: Triple, target_m: Triple) -> Quad:
    """The quaternion w x y z of a camera at `eye_m` that looks at `target_m`, z up."""
    back = np.subtract(eye_m, target_m)
    back = back / np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    quaternion = np.zeros(4)
    columns = np.stack([right, np.cross(back, right), back], axis=1)
    mujoco.mju_mat2Quat(quaternion, columns.ravel())
    return tuple(float(x) for x in quaternion)  # type: ignore[return-value]


# For videos only: it is part of no contract.
SIDE = CameraCfg(
    "side", "world", (0.78, 0.52, 0.48), look_at((0.78, 0.52, 0.48), (0.16, 0.0, 0.06)), 40
)
_SPECTATORS = (SIDE,)


def _set_options(spec: Any, cfg: SceneCfg) -> None:
    option = spec.option
    option.timestep = 1.0 / cfg.physics_hz
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10
    option.noslip_iterations = 3
    # A diverging simulation must be seen, not silently started afresh.
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    spec.visual.global_.offwidth = 1280
    spec.visual.global_.offheight = 960
    spec.visual.quality.offsamples = 0  # smooth edges cost a software renderer two thirds
    spec.visual.headlight.ambient = (0.36, 0.36, 0.36)
    spec.visual.headlight.diffuse = (0.42, 0.42, 0.42)
    spec.visual.headlight.specular = (0.0, 0.0, 0.0)
    spec.visual.map.znear = 0.005
    spec.stat.extent = 1.0


def _add_table(spec: Any, cfg: SceneCfg) -> None:
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        dir=(-0.3, -0.25, -1.0),
        diffuse=(0.5, 0.5, 0.5),
        specular=(0.1, 0.1, 0.1),
        castshadow=False,
    )
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.80, 0.83, 0.86),
        rgb2=(0.55, 0.58, 0.62),
        width=64,
        height=64,
    )
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(1.5, 1.5, 0.05),
        rgba=(*cfg.table_rgb, 1.0),
        contype=robot.WORLD,
        conaffinity=robot.WORLD | robot.ROBOT,
        friction=(cfg.contact.table_friction, 0.005, 0.0001),
    )


def _add_object(spec: Any, thing: ObjectCfg) -> None:
    body = spec.worldbody.add_body(name="object", pos=(0.0, 0.0, thing.half_size_m[2]))
    body.add_freejoint(name="object")
    body.add_geom(
        name="object",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=thing.half_size_m,
        mass=thing.mass_kg,
        rgba=thing.rgba,
        contype=robot.WORLD,
        conaffinity=robot.WORLD | robot.ROBOT,
        friction=(thing.friction, 0.005, 0.0001),
    )


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


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(entry) for key, entry in value.items()}
    return [_listed(entry) for entry in value] if isinstance(value, tuple) else value


def _load(kind: Any, raw: Any) -> Any:
    """`raw` JSON as `kind`: a dataclass, a tuple, one of them or None, or a plain value."""
    options = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        return None if raw is None else _load(options[0], raw)
    if typing.get_origin(kind) is tuple:
        kinds = [options[0]] * len(raw) if options[-1] is Ellipsis else options
        return tuple(_load(k, entry) for k, entry in zip(kinds, raw, strict=True))
    if not dataclasses.is_dataclass(kind):
        return raw
    hints = typing.get_type_hints(kind)
    if not isinstance(raw, dict) or set(raw) != set(hints):
        have = set(raw) if isinstance(raw, dict) else set()
        raise ContractError(
            f"a {typing.cast(type, kind).__name__} that cannot be read: "
            f"missing {sorted(set(hints) - have)}, unknown {sorted(have - set(hints))}."
        )
    return typing.cast(type, kind)(**{name: _load(hints[name], raw[name]) for name in hints})
