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

from vibrissa.core.contract import depth_name
from vibrissa.core.errors import ContractError
from vibrissa.sim import clutter, floors, goals, robot, things
from vibrissa.sim.clutter import Distractor
from vibrissa.sim.gl import mujoco
from vibrissa.sim.goals import (
    BaseCfg,
    Quad,
    RulesCfg,
    SpawnCfg,
    TrayCfg,
    Triple,
    ZoneCfg,
)
from vibrissa.sim.randomise import NONE, RandomCfg
from vibrissa.sim.servo import STANDARD, ServoCfg

MOST_WIDE_PX, MOST_HIGH_PX = 1280, 960  # what pictures are drawn into


@dataclass(frozen=True)
class CameraCfg:
    """A camera on `body` ("world" or a link): it looks along its -z, +y is up in the picture.

    depth: it measures distance too, in a second picture called `<name>_depth`.
    """

    name: str
    body: str
    position_m: Triple
    quaternion: Quad  # w x y z
    fovy_deg: float  # vertical
    width: int = 640
    height: int = 480
    depth: bool = False

    @property
    def pictures(self) -> tuple[str, ...]:
        """The names of what it gives: colour, then depth."""
        return (self.name, depth_name(self.name)) if self.depth else (self.name,)

    def resized(self, width: int, height: int) -> CameraCfg:
        """The same camera with another picture, its field of view grown where sides would go.

        A picture narrower than the camera's own keeps everything from left to right and shows
        more above and below; one that is wider keeps the vertical field of view. Raises
        ContractError for a size that cannot be drawn.
        """
        if not (0 < width <= MOST_WIDE_PX and 0 < height <= MOST_HIGH_PX):
            raise ContractError(
                f"pictures of {width} × {height}: 1 × 1 to {MOST_WIDE_PX} × {MOST_HIGH_PX} can be "
                "drawn."
            )
        shrink = max(1.0, (self.width / self.height) / (width / height))
        half = np.tan(np.radians(self.fovy_deg) / 2) * shrink
        fovy_deg = round(float(np.degrees(2 * np.arctan(half))), 4)
        return dataclasses.replace(self, width=width, height=height, fovy_deg=fovy_deg)


@dataclass(frozen=True)
class ObjectCfg:
    """A thing to be moved. `symmetry`: how many yaws of a turn look the same (2 brick, 4 cube).

    half_size_m: half of the box round it. A cylinder stands on its end; its symmetry is 0: no
    yaw of it shows. mesh: the shape of a mesh within that box, see `things.packed`; what it
    bumps into is its convex hull.
    """

    name: str
    half_size_m: Triple
    mass_kg: float
    symmetry: int
    friction: float
    rgba: Quad = (0.78, 0.10, 0.10, 1.0)
    shape: Literal["box", "cylinder", "mesh"] = "box"
    mesh: str = ""


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
class SceneCfg:
    """Everything about a simulated scene. Raises ContractError where it makes no sense.

    The goal is a tray, a painted zone, a base to stack upon, or none of them. rules: what is
    judged here, None where nobody judges. shadows: see docs/rendering.md for their price.
    """

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
    servo: ServoCfg = STANDARD
    table_rgb: Triple = (0.62, 0.60, 0.56)
    meshes: Literal["light", "full"] = "light"
    zone: ZoneCfg | None = None
    base: BaseCfg | None = None
    rules: RulesCfg | None = None
    random: RandomCfg = NONE
    shadows: bool = False

    def __post_init__(self) -> None:
        substeps = self.physics_hz / self.rate_hz if self.rate_hz > 0 else 0
        if substeps < 1 or abs(substeps - round(substeps)) > 1e-9:
            raise ContractError(
                f"a tick of 1/{self.rate_hz:g} s is {substeps:g} substeps of "
                f"1/{self.physics_hz:g} s; it must be a whole number of them. "
                "Choose a rate that divides the physics rate."
            )
        names = [name for c in (*self.cameras, *_SPECTATORS) for name in c.pictures]
        if len(set(names)) != len(names):
            raise ContractError(f"two cameras of one name: {', '.join(names)}.")
        given = [g for g in ("tray", "zone", "base") if getattr(self, g) is not None]
        if len(given) > 1:
            raise ContractError(f"a scene with a {' and a '.join(given)}: one goal, not two.")
        if goals.spawn_is_lost(self):
            goal = getattr(self, given[0])
            where = goal.spawn.centre_m if given == ["base"] else goal.centre_m
            raise ContractError(
                f"every spawn within {self.spawn.half_m:g} m of {self.spawn.centre_m} touches the "
                f"{given[0]} at {where}: move the one or the other."
            )

    @property
    def substeps(self) -> int:
        """Physics steps a tick."""
        return round(self.physics_hz / self.rate_hz)

    @property
    def tray_margin_m(self) -> float:
        """How near the tray's centre, in x and in y, an object would touch it."""
        return goals.tray_margin_m(self)

    def draw_spawn(self, rng: np.random.Generator) -> tuple[float, float, float]:
        """x, y (m) and yaw (rad) of an object that stands clear of the goal."""
        half, yaw = self.spawn.half_m, self.spawn.yaw_rad
        while True:
            x, y = rng.uniform(-half, half, 2) + self.spawn.centre_m
            if not goals.on_goal(self, x, y):
                return float(x), float(y), float(rng.uniform(*yaw))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` gives back an equal scene."""
        return plain(dataclasses.asdict(self))

    @staticmethod
    def from_dict(raw: dict[str, Any]) -> SceneCfg:
        """The inverse of `to_dict`. Raises ContractError where something is missing or unknown.

        What an older scene could not say yet, because it was no choice then, has its default.
        """
        return from_plain(SceneCfg, raw)


@functools.lru_cache(maxsize=8)
def build(cfg: SceneCfg) -> mujoco.MjModel:
    """The MuJoCo model of a scene. Equal scenes share one model: nobody may write to it."""
    return describe(cfg).compile()


def describe(cfg: SceneCfg, distractors: tuple[Distractor, ...] = ()) -> Any:
    """The scene as an `MjSpec` of the caller's own, with these distractors on the table."""
    spec = robot.so101(cfg.servo, cfg.contact, full_meshes=cfg.meshes == "full")
    set_physics(spec, cfg.physics_hz)
    _set_looks(spec)
    _add_table(spec, cfg)
    things.add_object(spec, cfg.object)
    things.add_goal(spec, cfg)
    for camera in (*cfg.cameras, *_SPECTATORS):
        spec.body(camera.body).add_camera(
            name=camera.name,
            pos=camera.position_m,
            quat=camera.quaternion,
            fovy=camera.fovy_deg,
        )
    floors.add(spec, cfg.random.floors)
    clutter.add(spec, cfg.random.distractors[1], distractors)
    return spec


def look_at(eye_m: Triple, target_m: Triple) -> Quad:
    """The quaternion w x y z of a camera at `eye_m` that looks at `target_m`, z up."""
    back = np.subtract(eye_m, target_m)
    back = back / np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    if np.linalg.norm(right) < 1e-6:  # straight down or up: +x is at the top of the picture
        right = np.array([0.0, -np.sign(back[2]), 0.0])
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


def set_physics(spec: Any, physics_hz: float) -> None:
    """How motion is computed: the same for a scene and for an arm alone."""
    option = spec.option
    option.timestep = 1.0 / physics_hz
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10
    option.noslip_iterations = 3
    # A diverging simulation must be seen, not silently started afresh.
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET


def _set_looks(spec: Any) -> None:
    spec.visual.global_.offwidth = MOST_WIDE_PX
    spec.visual.global_.offheight = MOST_HIGH_PX
    spec.visual.quality.offsamples = 0  # smooth edges cost a software renderer two thirds
    spec.visual.quality.shadowsize = 2048  # of a map of two metres: a millimetre a cell
    spec.visual.headlight.ambient = (0.36, 0.36, 0.36)
    spec.visual.headlight.diffuse = (0.42, 0.42, 0.42)
    spec.visual.headlight.specular = (0.0, 0.0, 0.0)
    spec.visual.map.znear = 0.005
    spec.stat.extent = 1.0


def _add_table(spec: Any, cfg: SceneCfg) -> None:
    spec.worldbody.add_light(
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        dir=(-0.3, -0.25, -1.0),
        pos=(0.5, 0.25, 1.0),  # of a lamp at infinity: where its map of shadows is drawn from
        diffuse=(0.5, 0.5, 0.5),
        specular=(0.1, 0.1, 0.1),
        castshadow=cfg.shadows,
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


def plain(value: Any) -> Any:
    """The values of a dataclass as JSON has them: tuples become lists."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, tuple) else value


def from_plain(kind: Any, raw: Any) -> Any:
    """`raw` JSON as `kind`: a dataclass, a tuple, one of them or None, or a plain value.

    A field with a default may be missing: what was stored before there was such a field was
    made in the way its default says.
    """
    options = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        lists = [option for option in options if typing.get_origin(option) is tuple]
        chosen = lists[0] if lists and isinstance(raw, list) else options[0]
        return None if raw is None else from_plain(chosen, raw)
    if typing.get_origin(kind) is tuple:
        kinds = [options[0]] * len(raw) if options[-1] is Ellipsis else options
        return tuple(from_plain(k, entry) for k, entry in zip(kinds, raw, strict=True))
    if not dataclasses.is_dataclass(kind):
        return raw
    hints = typing.get_type_hints(kind)
    needed = {f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING}
    have = set(raw) if isinstance(raw, dict) else set()
    if not isinstance(raw, dict) or needed - have or have - set(hints):
        raise ContractError(
            f"a {typing.cast(type, kind).__name__} that cannot be read: "
            f"missing {sorted(needed - have)}, unknown {sorted(have - set(hints))}."
        )
    return typing.cast(type, kind)(**{name: from_plain(hints[name], raw[name]) for name in raw})
