"""A named servo profile: one arm's servos as they were fitted, in a file that people can read.

`servo` and `calibration` make the `ServoCfg`; everything else says where it came from and how
well it did. `--servo FILE` of replay, record and eval reads it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vibrissa.core.errors import ContractError, UsageError
from vibrissa.core.units import GRIPPER, HIGH_RAD, JOINTS, LOW_RAD, TICKS_A_TURN
from vibrissa.sim import robot
from vibrissa.sim.servo import STANDARD, ServoCfg

KIND, FORMAT = "vibrissa servo profile", 1
READING = ("reading_scale", "reading_offset_rad")
Ticks = tuple[int | None, ...]


@dataclass(frozen=True)
class Profile:
    """The servos of one arm.

    calibrated_ticks: how many servo ticks each joint's calibrated range has, None where unknown;
    by it another arm, or the same one calibrated anew, is told apart. intervals, source and
    tracking are for the reader.
    """

    name: str
    servo: ServoCfg
    calibrated_ticks: Ticks = (None,) * len(JOINTS)
    intervals: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    tracking: Mapping[str, Any] = field(default_factory=dict)

    def to_text(self) -> str:
        """The profile as YAML."""
        values = _plain(dataclasses.asdict(self.servo))
        told = {
            "kind": KIND,
            "format": FORMAT,
            "name": self.name,
            "robot": robot.MODEL,
            "joints": list(JOINTS),
            "servo": {name: value for name, value in values.items() if name not in READING},
            "calibration": {
                "calibrated_ticks": list(self.calibrated_ticks),
                **{name: values[name] for name in READING},
            },
            "intervals": _plain(self.intervals),
            "source": _plain(self.source),
            "tracking": _plain(self.tracking),
        }
        return yaml.safe_dump(told, sort_keys=False, default_flow_style=None, width=100)

    def require_calibration(self, ticks: Ticks, whose: str) -> None:
        """Raise ContractError where `whose` joints were calibrated to other ranges."""
        for joint, here, there in zip(JOINTS, self.calibrated_ticks, ticks, strict=True):
            if here is not None and there is not None and here != there:
                raise ContractError(
                    f"the servo profile {self.name!r} is another arm's: its {joint} is calibrated "
                    f"to {here} servo ticks, that of {whose} to {there}. Fit one: vibrissa fit."
                )


def load_profile(path: Path) -> Profile:
    """Read a profile.

    Raises UsageError where there is none or it cannot be read, ContractError where it is of
    another robot or its numbers make no sense.
    """
    raw = _read(path)
    if raw.get("kind") != KIND or raw.get("format") != FORMAT:
        raise UsageError(
            f"{path} is no servo profile ({KIND!r}, format {FORMAT}). Make one: "
            "vibrissa fit DATASET --out my-arm.yaml."
        )
    if raw.get("robot") != robot.MODEL or raw.get("joints") != list(JOINTS):
        raise ContractError(
            f"{path} is the profile of another arm, {raw.get('robot')!r} with joints "
            f"{raw.get('joints')}; wanted is {robot.MODEL!r} with {', '.join(JOINTS)}."
        )
    servo, calibration = raw.get("servo"), raw.get("calibration")
    known = {f.name for f in dataclasses.fields(ServoCfg)}
    if not isinstance(servo, dict) or not isinstance(calibration, dict):
        raise UsageError(f"{path} has no `servo` and `calibration`: it is no whole profile.")
    values = {**servo, **{name: calibration.get(name) for name in READING}}
    odd = {*(known ^ set(values)), *(n for n, v in values.items() if not _is_number(v))}
    odd |= {"delay_s"} if isinstance(values.get("delay_s"), list) else set()
    if odd:
        told = ", ".join(sorted(odd))
        raise UsageError(f"{path}: the servo's {told}: missing, unknown or not a number.")
    ticks = calibration.get("calibrated_ticks") or [None] * len(JOINTS)
    if len(ticks) != len(JOINTS) or not all(t is None or isinstance(t, int) for t in ticks):
        raise UsageError(f"{path}: calibrated_ticks {ticks}; wanted is a whole number a joint.")
    made: Any = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    about = {n: raw.get(n) or {} for n in ("intervals", "source", "tracking")}
    return Profile(str(raw.get("name")), ServoCfg(**made), tuple(ticks), **about)


def load_servo(path: Path | None) -> ServoCfg:
    """The servos of the profile at `path`; the standard ones without a path."""
    return STANDARD if path is None else load_profile(path).servo


def calibrated(servo: ServoCfg, ticks: Sequence[int | None]) -> ServoCfg:
    """`servo` that reads as an arm does whose joint ranges have so many ticks.

    Such an arm calls the ends of its own range what the model calls its limits: a range that is
    wider than the model's reads too small. Both are taken to have their middle in the same place;
    the gripper is taken to be closed at the same angle.
    """
    low, model = LOW_RAD.astype(float), (HIGH_RAD - LOW_RAD).astype(float)
    real = [t * 2 * math.pi / TICKS_A_TURN if t else m for t, m in zip(ticks, model, strict=True)]
    scale = model / np.array(real)
    fixed = low + model / 2
    fixed[GRIPPER] = low[GRIPPER]
    return dataclasses.replace(
        servo,
        reading_scale=tuple(map(float, scale)),
        reading_offset_rad=tuple(map(float, fixed * (1 - scale))),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"cannot read the servo profile {path}: {why}.") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise UsageError(f"the servo profile {path} is no YAML{line}.") from error
    return raw if isinstance(raw, dict) else {}


def _is_number(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return value
