"""How a policy is played: options that change the pilot and not the policy, in one small language.

    horizon=10    ensemble=0.01    grip=offset=-0.05,clip=0.1:1.2,min=0.02

They stand apart by commas, in any order: `horizon=10,grip=offset=-0.05,min=0.02`. The grip's own
three words need no `grip=` before them. `off` is what a checkpoint does by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vibrissa.control.grip import GripChange, OtherGrip
from vibrissa.control.pilots import ChunkPlayer
from vibrissa.core.contract import Contract
from vibrissa.core.errors import UsageError
from vibrissa.core.protocols import Pilot

KEYS = ("horizon", "ensemble", "offset", "min", "clip")
MOST_DECAY = 10.0  # from there on only the oldest chunk counts, which then is executed whole
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_BEGIN = re.compile(rf":(?=(?:grip|{'|'.join(KEYS)})=)")  # where options begin behind a path


@dataclass(frozen=True)
class PilotOptions:
    """What is not left to the checkpoint. None and an unchanged grip are its own way.

    horizon: how many actions of a chunk are executed. ensemble: the decay of temporal ensembling,
    which asks at every tick, so that no horizon goes with it. Raises UsageError.
    """

    horizon: int | None = None
    ensemble: float | None = None
    grip: GripChange = field(default_factory=GripChange)

    def __post_init__(self) -> None:
        if self.horizon is not None and self.horizon < 1:
            raise UsageError(f"horizon={self.horizon}: at least 1.")
        if self.ensemble is not None and not 0 <= self.ensemble <= MOST_DECAY:
            raise UsageError(
                f"ensemble={self.ensemble:g}: from 0 (all chunks alike) to {MOST_DECAY:g}."
            )
        if self.ensemble is not None and self.horizon is not None:
            raise UsageError(
                f"horizon={self.horizon} with ensemble={self.ensemble:g}: an ensemble asks at "
                "every tick and uses chunks to their end. Leave one of them out."
            )

    @staticmethod
    def parse(text: str) -> PilotOptions:
        """Options from `key=value,…`; an empty text has none. Raises UsageError."""
        told: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            key, sign, value = part.removeprefix("grip=").partition("=")
            if part in ("grip=", "grip=off"):
                continue
            if not sign or key not in KEYS:
                raise UsageError(
                    f"no option {part!r} of a policy. There is: {', '.join(f'{k}=' for k in KEYS)} "
                    "such as horizon=10,grip=offset=-0.05,min=0.02,clip=0.1:1.2."
                )
            if key in told:
                raise UsageError(f"{key} is given twice in {text!r}.")
            told[key] = value
        return PilotOptions().with_(told)

    def with_(self, told: Mapping[str, str]) -> PilotOptions:
        """These options with others in place of some: values as they are written."""
        options = self
        for key, value in told.items():
            options = _changed(options, key, value)
        return options

    @property
    def text(self) -> str:
        """What `parse` reads; empty where all is left to the checkpoint."""
        parts = [f"horizon={self.horizon}"] if self.horizon is not None else []
        parts += [f"ensemble={self.ensemble:.15g}"] if self.ensemble is not None else []
        parts += [f"grip={self.grip}"] if self.grip.is_on else []
        return ",".join(parts)

    def name(self, pilot: str) -> str:
        """What rows call a pilot that is played so: `policy:grip=min=0.02`."""
        return f"{pilot}:{self.text}" if self.text else pilot

    def pilot(self, contract: Contract, *, policy: Any, lead: int = 0) -> Pilot:
        """Who plays `policy`'s chunks (K, A) on an arm with this contract, in this way."""
        own = self.horizon if self.horizon is not None else policy.horizon
        if not 1 <= own <= policy.chunk:
            raise UsageError(
                f"horizon={own}: this checkpoint's chunks have 1 to {policy.chunk} actions."
            )
        player = ChunkPlayer(
            own,
            history=policy.history,
            cameras=policy.contract.camera_names,
            lead=lead,
            ensemble=self.ensemble,
        )
        return OtherGrip(player, self.grip, contract) if self.grip.is_on else player


def named(text: str) -> tuple[str, PilotOptions]:
    """A path with options behind it: `RUN:horizon=10,grip=min=0.02`. Without any, the path."""
    path, *rest = _BEGIN.split(text, maxsplit=1)
    return path, PilotOptions.parse(rest[0] if rest else "")


def grip_of(text: str) -> GripChange:
    """A grip alone: `offset=-0.05,min=0.02`. Raises UsageError."""
    options = PilotOptions.parse(text)
    if options != PilotOptions(grip=options.grip):
        raise UsageError(f"grip {text}: offset=, min= and clip= only.")
    return options.grip


def _changed(options: PilotOptions, key: str, value: str) -> PilotOptions:
    off = value == "off"
    grip = options.grip
    if key == "horizon":
        return replace(options, horizon=None if off else _whole(value))
    if key == "ensemble":
        return replace(options, ensemble=None if off else _number(key, value))
    if key == "offset":
        return replace(options, grip=replace(grip, offset_rad=0.0 if off else _number(key, value)))
    if key == "min":
        return replace(options, grip=replace(grip, squeeze_rad=0.0 if off else _number(key, value)))
    if key == "clip":
        low, sign, high = value.partition(":")
        if not off and not sign:
            raise UsageError(f"clip={value}: the lowest and the highest target, as clip=0.1:1.2.")
        span = None if off else (_number(key, low), _number(key, high))
        return replace(options, grip=replace(grip, clip_rad=span))
    raise UsageError(f"no option {key!r} of a policy. There is: {', '.join(KEYS)}.")


def _whole(value: str) -> int:
    if not re.fullmatch(r"[+-]?\d+", value):
        raise UsageError(f"horizon={value}: a whole number of actions.")
    return int(value)


def _number(key: str, value: str) -> float:
    if not _NUMBER.fullmatch(value):
        unit = "a number" if key == "ensemble" else "a number of rad"
        raise UsageError(f"{key}={value}: {unit}.")
    return float(value)
