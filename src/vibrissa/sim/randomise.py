"""How far a scene may differ from one episode to the next: ranges, and three named sets of them.

Everything here is a range. What was drawn from it for one episode is a `sample.Sample`. The
ranges of the presets are argued in docs/randomisation.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from vibrissa.core.errors import ContractError, UsageError

Range = tuple[float, float]

PATTERNS = ("checker", "tiles", "stripes", "wood", "speckle", "clouds")
MOST_DISTRACTORS = 8

# What each factor of a `sample.Sample` is drawn from.
FIELDS: dict[str, tuple[str, ...]] = {
    "camera": ("camera_m", "camera_rad"),
    "fovy": ("fovy_deg",),
    "light": ("light_rad", "light_gain"),
    "colour": ("colour",),
    "floor": ("floors",),
    "friction": ("friction",),
    "mass": ("mass",),
    "size": ("size",),
    "start": ("start_rad",),
    "distractors": ("distractors",),
    "camera_latency": ("camera_latency_ticks",),
    "action_latency": ("action_latency_s",),
    "joint_noise": ("joint_noise_rad",),
    "image_noise": ("image_noise_levels",),
}


@dataclass(frozen=True)
class RandomCfg:
    """What varies, and how far. The default is a scene in which nothing does.

    A plain number is how far either way, a pair of factors multiplies the scene's own value, a
    pair with a unit is drawn from as it stands. floors: the patterns the table may have beside
    its plain colour. joint_noise_rad, image_noise_levels: the most a standard deviation can be.
    Raises ContractError for a range that is none.
    """

    name: str = "none"
    camera_m: float = 0.0  # each coordinate of each camera
    camera_rad: float = 0.0  # about any axis
    fovy_deg: float = 0.0
    light_rad: float = 0.0  # how far the lamp's direction leans
    light_gain: Range = (1.0, 1.0)
    colour: float = 0.0  # the share of a colour that is drawn afresh: 1 forgets the old one
    floors: tuple[str, ...] = ()
    friction: Range = (1.0, 1.0)
    mass: Range = (1.0, 1.0)
    size: Range = (1.0, 1.0)  # each side of the object
    start_rad: float = 0.0  # each joint, beside the scene's own start_noise_rad
    distractors: tuple[int, int] = (0, 0)
    camera_latency_ticks: tuple[int, int] = (0, 0)
    action_latency_s: Range = (0.0, 0.0)
    joint_noise_rad: float = 0.0
    image_noise_levels: float = 0.0  # of 255

    def __post_init__(self) -> None:
        widths = ("camera_m", "camera_rad", "fovy_deg", "light_rad", "start_rad")
        for name in (*widths, "colour", "joint_noise_rad", "image_noise_levels"):
            self._demand(getattr(self, name) >= 0, name, "not negative")
        self._demand(self.colour <= 1, "colour", "at most 1")
        for name in ("light_gain", "friction", "mass", "size"):
            low, high = getattr(self, name)
            self._demand(0 < low <= high, name, "two positive factors, the lower one first")
        for name in ("distractors", "camera_latency_ticks", "action_latency_s"):
            low, high = getattr(self, name)
            self._demand(0 <= low <= high, name, "two numbers from 0 up, the lower one first")
        most = f"at most {MOST_DISTRACTORS}"
        self._demand(self.distractors[1] <= MOST_DISTRACTORS, "distractors", most)
        known = f"some of {', '.join(PATTERNS)}"
        self._demand(set(self.floors) <= set(PATTERNS), "floors", known)

    @property
    def is_on(self) -> bool:
        """Whether anything varies at all."""
        return self != RandomCfg(name=self.name)

    def only(self, *factors: str) -> RandomCfg:
        """The ranges of these factors alone, under a name such as `strong:friction,mass`.

        What is drawn for a factor is what all ranges together would have drawn for it. Raises
        UsageError with the factors that exist, where one of these does not.
        """
        for name in factors:
            if name not in FIELDS:
                raise UsageError(f"no factor {name!r}. There is: {', '.join(FIELDS)}.")
        fields = {field: getattr(self, field) for name in factors for field in FIELDS[name]}
        return RandomCfg(name=f"{self.name}:{','.join(factors)}", **fields)

    def _demand(self, holds: bool, name: str, wanted: str) -> None:
        if not holds:
            given = getattr(self, name)
            raise ContractError(f"randomisation: {name} = {given}; it must be {wanted}.")


NONE = RandomCfg()
# A workplace set up with care, seen again on another day.
LIGHT = RandomCfg(
    name="light",
    camera_m=0.005,
    camera_rad=0.02,
    fovy_deg=1.0,
    light_rad=0.25,
    light_gain=(0.8, 1.2),
    colour=0.15,
    floors=("wood", "clouds"),
    friction=(0.8, 1.25),
    mass=(0.8, 1.25),
    size=(0.97, 1.03),
    start_rad=0.05,
    distractors=(0, 1),
    camera_latency_ticks=(0, 1),
    action_latency_s=(0.0, 0.02),
    joint_noise_rad=0.003,
    image_noise_levels=3.0,
)
# Another room, another table, another block, a webcam screwed on anew.
STRONG = RandomCfg(
    name="strong",
    camera_m=0.02,
    camera_rad=0.07,
    fovy_deg=4.0,
    light_rad=0.8,
    light_gain=(0.5, 1.6),
    colour=1.0,
    floors=PATTERNS,
    friction=(0.6, 1.6),
    mass=(0.5, 2.0),
    size=(0.9, 1.1),
    start_rad=0.15,
    distractors=(0, 4),
    camera_latency_ticks=(0, 3),
    action_latency_s=(0.0, 0.08),
    joint_noise_rad=0.01,
    image_noise_levels=10.0,
)
PRESETS = {preset.name: preset for preset in (NONE, LIGHT, STRONG)}


def preset(name: str) -> RandomCfg:
    """A preset by its name, or some factors of it alone: `strong:friction,mass`.

    Raises UsageError with the names that exist.
    """
    whole, sign, factors = name.partition(":")
    if whole not in PRESETS:
        raise UsageError(f"no randomisation {name!r}. There is: {', '.join(PRESETS)}.")
    return PRESETS[whole].only(*factors.split(",")) if sign else PRESETS[whole]
