"""One episode's draw from the ranges of a `RandomCfg`: every value, to be stored and used again.

Each factor has a random stream of its own, made from the seed and the factor's place in
`FACTORS` alone: switching one off leaves the values of the others as they were.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vibrissa.core.errors import ContractError, UsageError
from vibrissa.sim import clutter
from vibrissa.sim.clutter import Distractor
from vibrissa.sim.floors import PLAIN, SCALES
from vibrissa.sim.goals import Pair, Triple
from vibrissa.sim.robot import PRINTED_RGB
from vibrissa.sim.scene import SceneCfg, from_plain, plain

STREAM = 77  # beside the seed, so that nothing else drawn from the seed changes with it
DISTINCT = 0.25  # how far the object's colour stays from table and goal, in its farthest channel
REDRAWS = 50


@dataclass(frozen=True)
class CameraMove:
    """How a camera's mount differs: shifted in its body's frame, turned about its own axes."""

    name: str
    shift_m: Triple
    turn_rad: Triple  # rotation vector


@dataclass(frozen=True)
class Lens:
    """How much wider than its contract says a camera truly sees, vertically."""

    name: str
    wider_deg: float


@dataclass(frozen=True)
class Light:
    """lean_rad: the lamp's direction turned about x and y; gain: its and the room's brightness."""

    lean_rad: Pair
    gain: float


@dataclass(frozen=True)
class Colours:
    """Red, green, blue from 0 to 1. goal: tray, zone or base; robot: its printed parts."""

    object: Triple
    table: Triple
    goal: Triple
    robot: Triple


@dataclass(frozen=True)
class Friction:
    """Sliding friction of the pads, of table and tray, of the object."""

    pad: float
    table: float
    object: float


@dataclass(frozen=True)
class Noise:
    """Standard deviation (rad, or levels of 255) and what seeds it."""

    sd: float
    seed: int


@dataclass(frozen=True)
class Sample:
    """What chance decided in one episode, beside what the scene's own spawn draws.

    None stands for a factor that was left as the scene has it. size: half sides (3,) m; start:
    added to each joint (6,) rad; camera_latency: ticks; action_latency: s; floor: `plain` or a
    pattern and its scale, as in `floors.MATERIALS`. spawn: x, y (m)
    and yaw (rad) where the object was put on purpose; no factor, and never drawn.
    """

    camera: tuple[CameraMove, ...] | None = None
    fovy: tuple[Lens, ...] | None = None
    light: Light | None = None
    colour: Colours | None = None
    floor: str | None = None
    friction: Friction | None = None
    mass: float | None = None
    size: Triple | None = None
    start: tuple[float, ...] | None = None
    distractors: tuple[Distractor, ...] | None = None
    camera_latency: int | None = None
    action_latency: float | None = None
    joint_noise: Noise | None = None
    image_noise: Noise | None = None
    spawn: Triple | None = None

    def only(self, *factors: str) -> Sample:
        """These factors as drawn, everything else as the scene has it; the spawn stays."""
        known(factors)
        return Sample(spawn=self.spawn, **{name: getattr(self, name) for name in factors})

    def with_(self, other: Sample) -> Sample:
        """This one, with what the other one decides taken from there."""
        decided = {n: v for n in FACTORS if (v := getattr(other, n)) is not None}
        return dataclasses.replace(self, **decided)

    def shown_tick(self, tick: int) -> int:
        """The tick whose world the cameras show at `tick`."""
        return max(0, tick - (self.camera_latency or 0))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, what was left alone left out."""
        values = plain(dataclasses.asdict(self))
        return {name: value for name, value in values.items() if value is not None}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Sample:
        """The inverse of `to_dict`. Raises ContractError for what is no sample."""
        unknown = sorted(set(raw) - {*FACTORS, "spawn"})
        if unknown:
            raise ContractError(
                f"sampled values of {', '.join(unknown)}; known are {', '.join(FACTORS)}."
            )
        return from_plain(Sample, {**dict.fromkeys(FACTORS), **raw})


FACTORS = tuple(field.name for field in dataclasses.fields(Sample) if field.name != "spawn")
# These touch nothing but pictures: they can be drawn anew for an episode that is over.
SEEN = ("camera", "fovy", "light", "colour", "floor", "camera_latency", "image_noise")
NOTHING = Sample()


def known(factors: tuple[str, ...]) -> None:
    """Raise UsageError with the factors that exist, where one of these does not."""
    for name in factors:
        if name not in FACTORS:
            raise UsageError(f"no factor {name!r}. There is: {', '.join(FACTORS)}.")


def draw(cfg: SceneCfg, seed: int) -> Sample:
    """The sample of an episode; from `cfg.random`, the scene and the seed alone."""
    if not cfg.random.is_on:
        return NOTHING
    values = {}
    for index, name in enumerate(FACTORS):
        values[name] = _DRAWS[name](cfg, np.random.default_rng((seed, STREAM, index)))
    return Sample(**values)


def _camera(cfg: SceneCfg, rng: np.random.Generator) -> tuple[CameraMove, ...] | None:
    most_m, most_rad = cfg.random.camera_m, cfg.random.camera_rad
    if not (most_m or most_rad):
        return None
    moves = []
    for camera in cfg.cameras:
        shift = rng.uniform(-most_m, most_m, 3)
        axis = rng.normal(size=3)
        turn = axis / np.linalg.norm(axis) * rng.uniform(0, most_rad)
        moves.append(CameraMove(camera.name, _triple(shift), _triple(turn)))
    return tuple(moves)


def _fovy(cfg: SceneCfg, rng: np.random.Generator) -> tuple[Lens, ...] | None:
    most = cfg.random.fovy_deg
    if not most:
        return None
    return tuple(Lens(c.name, float(rng.uniform(-most, most))) for c in cfg.cameras)


def _light(cfg: SceneCfg, rng: np.random.Generator) -> Light | None:
    lean, (low, high) = cfg.random.light_rad, cfg.random.light_gain
    if not lean and low == high == 1:
        return None
    far, way = lean * math.sqrt(rng.uniform()), rng.uniform(0, 2 * math.pi)
    return Light((far * math.cos(way), far * math.sin(way)), _factor((low, high), rng))


def _colour(cfg: SceneCfg, rng: np.random.Generator) -> Colours | None:
    """Drawn again while the object can hardly be told from what it lies on or goes into."""
    share = cfg.random.colour
    if not share:
        return None

    def near(rgb: Any) -> Triple:
        return _triple((1 - share) * np.array(rgb[:3]) + share * rng.uniform(0, 1, 3))

    aim = cfg.tray or cfg.zone or cfg.base
    goal = aim.rgba if aim else (1.0, 1.0, 1.0)
    for _ in range(REDRAWS):
        drawn = Colours(near(cfg.object.rgba), near(cfg.table_rgb), near(goal), near(PRINTED_RGB))
        if all(_apart(drawn.object, other) > DISTINCT for other in (drawn.table, drawn.goal)):
            return drawn
    return Colours(_triple(cfg.object.rgba), _triple(cfg.table_rgb), _triple(goal), PRINTED_RGB)


def _floor(cfg: SceneCfg, rng: np.random.Generator) -> str | None:
    if not cfg.random.floors:
        return None
    pattern = str(rng.choice((PLAIN, *cfg.random.floors)))
    scale = str(rng.choice(tuple(SCALES)))
    return pattern if pattern == PLAIN else f"{pattern} {scale}"


def _friction(cfg: SceneCfg, rng: np.random.Generator) -> Friction | None:
    width = cfg.random.friction
    if width == (1, 1):
        return None
    return Friction(
        pad=cfg.contact.pad_friction[0] * _factor(width, rng),
        table=cfg.contact.table_friction * _factor(width, rng),
        object=cfg.object.friction * _factor(width, rng),
    )


def _mass(cfg: SceneCfg, rng: np.random.Generator) -> float | None:
    width = cfg.random.mass
    return None if width == (1, 1) else cfg.object.mass_kg * _factor(width, rng)


def _size(cfg: SceneCfg, rng: np.random.Generator) -> Triple | None:
    """Each side by itself; what is square or round seen from above stays so."""
    width = cfg.random.size
    if width == (1, 1):
        return None
    x, y, z = cfg.object.half_size_m
    along, across, up = (_factor(width, rng) for _ in range(3))
    return x * along, y * (along if x == y else across), z * up


def _start(cfg: SceneCfg, rng: np.random.Generator) -> tuple[float, ...] | None:
    most = cfg.random.start_rad
    return tuple(rng.uniform(-most, most, len(cfg.home_rad)).tolist()) if most else None


def _distractors(cfg: SceneCfg, rng: np.random.Generator) -> tuple[Distractor, ...] | None:
    low, high = cfg.random.distractors
    return clutter.draw(cfg, int(rng.integers(low, high + 1)), rng) if high else None


def _camera_latency(cfg: SceneCfg, rng: np.random.Generator) -> int | None:
    low, high = cfg.random.camera_latency_ticks
    return int(rng.integers(low, high + 1)) if high else None


def _action_latency(cfg: SceneCfg, rng: np.random.Generator) -> float | None:
    low, high = cfg.random.action_latency_s
    return float(rng.uniform(low, high)) if high else None


def _joint_noise(cfg: SceneCfg, rng: np.random.Generator) -> Noise | None:
    return _noise(cfg.random.joint_noise_rad, rng)


def _image_noise(cfg: SceneCfg, rng: np.random.Generator) -> Noise | None:
    return _noise(cfg.random.image_noise_levels, rng)


def _noise(most: float, rng: np.random.Generator) -> Noise | None:
    return Noise(float(rng.uniform(0, most)), int(rng.integers(2**31))) if most else None


def _factor(width: Pair, rng: np.random.Generator) -> float:
    """Log-uniform: halving is as likely as doubling."""
    return float(np.exp(rng.uniform(*np.log(width))))


def _apart(one: Triple, other: Triple) -> float:
    return float(np.abs(np.subtract(one, other)).max())


def _triple(values: Any) -> Triple:
    x, y, z = (float(value) for value in values[:3])
    return x, y, z


_DRAWS: Mapping[str, Callable[[SceneCfg, np.random.Generator], Any]] = {
    "camera": _camera,
    "fovy": _fovy,
    "light": _light,
    "colour": _colour,
    "floor": _floor,
    "friction": _friction,
    "mass": _mass,
    "size": _size,
    "start": _start,
    "distractors": _distractors,
    "camera_latency": _camera_latency,
    "action_latency": _action_latency,
    "joint_noise": _joint_noise,
    "image_noise": _image_noise,
}
