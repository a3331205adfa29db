"""The six position servos: how stiff, how strong, how late, and what they read.

A servo pulls towards its target with `kp` (target - joint) - `kv` (joint speed), at most
`force_nm`; the joint's own friction, damping and armature work against it. Every number is one
for all joints or a tuple of six, in `JOINTS` order.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ContractError
from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD

PerJoint = float | tuple[float, ...]

MOST_DELAY_S = 1.0
_POSITIVE = ("kp", "force_nm", "most_rad_s", "armature", "reading_scale")
_NOT_NEGATIVE = ("kv", "friction_nm", "damping")
PER_JOINT = (*_POSITIVE, *_NOT_NEGATIVE, "reading_offset_rad")


@dataclass(frozen=True)
class ServoCfg:
    """The servos of one arm. Raises ContractError where a number makes no sense.

    Speed: an STS3215 turns 60 degrees in 0.222 s (datasheet, 7.4 V). Friction, damping and
    armature are those of the model `so101_new_calib`.

    delay_s: how long a target takes to the servo, rounded to whole physics steps.
    reading_scale, reading_offset_rad: what the arm reads, and is told, of a joint at q rad of the
    model: `reading_scale * q + reading_offset_rad`. They are the calibration of a real arm, which
    puts zero and range elsewhere than the model does.
    """

    kp: PerJoint = 100.0  # N m / rad
    kv: PerJoint = 2.0  # N m s / rad
    force_nm: PerJoint = 3.35
    most_rad_s: PerJoint = 4.7  # of the target
    friction_nm: PerJoint = 0.052  # Coulomb's
    damping: PerJoint = 0.60  # N m s / rad
    armature: PerJoint = 0.028  # kg m²
    delay_s: float = 0.0
    reading_scale: PerJoint = 1.0
    reading_offset_rad: PerJoint = 0.0

    def __post_init__(self) -> None:
        for name in PER_JOINT:
            values = np.atleast_1d(np.asarray(getattr(self, name), np.float64))
            if values.shape not in ((1,), (len(JOINTS),)):
                raise ContractError(
                    f"servo.{name} has {values.size} values; wanted is one number, or one for "
                    f"each of {', '.join(JOINTS)}."
                )
            positive, bounded = name in _POSITIVE, name in (*_POSITIVE, *_NOT_NEGATIVE)
            too_low = (bounded and values.min() < 0) or (positive and values.min() == 0)
            if not np.isfinite(values).all() or too_low:
                least = "above 0" if positive else "at least 0" if bounded else "finite"
                raise ContractError(f"servo.{name} = {getattr(self, name)}: it must be {least}.")
        if not 0 <= self.delay_s <= MOST_DELAY_S:
            raise ContractError(f"servo.delay_s = {self.delay_s}: between 0 and {MOST_DELAY_S:g}.")

    def each(self, name: str) -> NDArray[np.float64]:
        """The values (6,) of a number that may be one for all."""
        return np.array(np.broadcast_to(getattr(self, name), (len(JOINTS),)), np.float64)

    def delay_steps(self, physics_hz: float) -> int:
        """How many physics steps a target is on its way."""
        return round(self.delay_s * physics_hz)

    @functools.cached_property
    def reads_true(self) -> bool:
        """Whether what is read is the model's joint itself."""
        scale, offset = self.each("reading_scale"), self.each("reading_offset_rad")
        return bool((scale == 1).all() and (offset == 0).all())

    def readings(self, joints: NDArray[np.floating]) -> NDArray:
        """What the arm reads (…, 6) rad where the model's joints are at (…, 6) rad."""
        if self.reads_true:
            return joints
        read = joints * self.each("reading_scale") + self.each("reading_offset_rad")
        return read.astype(joints.dtype)

    def joints(self, readings: NDArray[np.floating]) -> NDArray:
        """The inverse of `readings`: the model's joints (…, 6) rad."""
        if self.reads_true:
            return readings
        true = (readings - self.each("reading_offset_rad")) / self.each("reading_scale")
        return true.astype(readings.dtype)

    def ends(self) -> NDArray[np.float64]:
        """Where the model's joints are at the ends of what the arm reads: low and high (2, 6)."""
        return self.joints(np.stack([LOW_RAD, HIGH_RAD]).astype(np.float64))

    def rounded(self, digits: int = 6) -> ServoCfg:
        """The same with every number rounded, so that a file of it is short and exact."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        rounded = {name: _rounded(value, digits) for name, value in values.items()}
        return dataclasses.replace(self, **rounded)


STANDARD = ServoCfg()  # what every scene has unless it says otherwise

Waiting = tuple[tuple[int, NDArray[np.float32]], ...]


class CommandLine:
    """Targets on their way to the servos: each arrives some physics steps after it was sent."""

    def __init__(self, delay_steps: int = 0):
        self.clear(delay_steps)

    def clear(self, delay_steps: int) -> None:
        """Nothing is on its way, and what is sent from now on takes `delay_steps`."""
        self.delay_steps = delay_steps
        self._waiting: list[tuple[int, NDArray[np.float32]]] = []

    def send(self, target: NDArray[np.float32]) -> None:
        """`target` (6,) sets out now."""
        self._waiting.append((self.delay_steps, target))

    def arrived(self) -> NDArray[np.float32] | None:
        """The last target (6,) that has come to its end; it is handed out once. None for none."""
        if not self._waiting:
            return None
        here = [target for steps, target in self._waiting if steps <= 0]
        self._waiting = [(steps, target) for steps, target in self._waiting if steps > 0]
        return here[-1] if here else None

    def quiet(self, most: int) -> int:
        """For how many physics steps, at most `most`, nothing arrives."""
        return min([most, *(steps for steps, _ in self._waiting)])

    def wait(self, steps: int) -> None:
        """`steps` physics steps have passed."""
        self._waiting = [(left - steps, target) for left, target in self._waiting]

    @property
    def waiting(self) -> Waiting:
        """What is on its way: steps left and target, in the order in which it was sent."""
        return tuple((steps, target.copy()) for steps, target in self._waiting)

    @waiting.setter
    def waiting(self, waiting: Waiting) -> None:
        self._waiting = [(steps, target.copy()) for steps, target in waiting]


def _rounded(value: PerJoint, digits: int) -> PerJoint:
    if isinstance(value, tuple):
        return tuple(round(float(v), digits) for v in value)
    return round(float(value), digits)
