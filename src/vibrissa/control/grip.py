"""Another grip for the same pilot: its gripper told to close further, open less, squeeze more.

A policy that has learned lazy grips may hold better when its gripper is told to close a little
further than it says. Whether it does is for a comparison on the same seeds to tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import Contract
from vibrissa.core.episode import Decision, Observation
from vibrissa.core.errors import UsageError
from vibrissa.core.protocols import Pilot

GRIPPER_CHANNEL = "gripper.pos"
MOST_RAD = 2.0  # more than the whole way of an SO-101's gripper
# A target this far below what the gripper reads is a squeeze, or the way to one: two steps of an
# STS3215's encoder (2π / 4096).
SQUEEZES_RAD = 0.003


@dataclass(frozen=True)
class GripChange:
    """What becomes of the gripper's target, in this order; closed is low, open is high.

    offset_rad: added to every target; below 0 the jaws close further and open less.
    squeeze_rad: a target below what the gripper reads lies at least this far below: the pull of
    a position servo grows with that distance, up to its torque limit. clip_rad: the lowest and
    the highest target. Raises UsageError for numbers that make no sense.
    """

    offset_rad: float = 0.0
    squeeze_rad: float = 0.0
    clip_rad: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        low, high = self.clip_rad or (-MOST_RAD, MOST_RAD)
        if not all(map(math.isfinite, (self.offset_rad, self.squeeze_rad, low, high))):
            raise UsageError(f"grip {self}: every number must be finite.")
        if abs(self.offset_rad) > MOST_RAD:
            raise UsageError(
                f"grip offset={self.offset_rad:g}: at most {MOST_RAD:g} rad either way."
            )
        if not 0 <= self.squeeze_rad <= MOST_RAD:
            raise UsageError(f"grip min={self.squeeze_rad:g}: from 0 to {MOST_RAD:g} rad.")
        if not -MOST_RAD <= low < high <= MOST_RAD:
            raise UsageError(
                f"grip clip={low:g}:{high:g}: the lower target first, both within {MOST_RAD:g} rad."
            )

    @property
    def is_on(self) -> bool:
        return self != GripChange()

    def __str__(self) -> str:
        """As it is written in an option: `offset=-0.05,min=0.02,clip=0.1:1.2`."""
        parts = [f"offset={self.offset_rad:.15g}"] if self.offset_rad else []
        parts += [f"min={self.squeeze_rad:.15g}"] if self.squeeze_rad else []
        parts += ["clip={:.15g}:{:.15g}".format(*self.clip_rad)] if self.clip_rad else []
        return ",".join(parts)

    def target(self, asked_rad: float, reading_rad: float) -> float:
        """The gripper's target for what was asked for, where the gripper reads `reading_rad`."""
        target = asked_rad + self.offset_rad
        if self.squeeze_rad and target < reading_rad - SQUEEZES_RAD:
            target = min(target, reading_rad - self.squeeze_rad)
        low, high = self.clip_rad or (-math.inf, math.inf)
        return min(max(target, low), high)


class OtherGrip:
    """A pilot whose gripper is told what `change` makes of its targets; all else is as it was.

    A decision's chunk stays what the policy said. Targets never leave the contract's limits.
    Raises UsageError for an arm without a gripper in rad.
    """

    def __init__(self, pilot: Pilot, change: GripChange, contract: Contract):
        self._pilot, self._change = pilot, change
        self._action = _gripper(contract, "action")
        self._state = _gripper(contract, "state")
        channel = contract.action[self._action]
        self._limits = (channel.low, channel.high)

    def reset(self, seed: int) -> None:
        self._pilot.reset(seed)

    def asks(self, observation: Observation) -> Observation | None:
        return self._pilot.asks(observation)

    def take(self, chunk: NDArray[np.float32], asked_tick: int, latency_s: float) -> None:
        self._pilot.take(chunk, asked_tick, latency_s)

    def decide(self, observation: Observation) -> Decision:
        decision = self._pilot.decide(observation)
        asked, reading = decision.action[self._action], observation.state[self._state]
        action = decision.action.copy()
        action[self._action] = np.clip(
            self._change.target(float(asked), float(reading)), *self._limits
        )
        return replace(decision, action=action)


def _gripper(contract: Contract, what: str) -> int:
    channels = getattr(contract, what)
    names = [channel.name for channel in channels]
    if GRIPPER_CHANNEL not in names or channels[names.index(GRIPPER_CHANNEL)].unit != "rad":
        raise UsageError(
            f"another grip for an arm whose {what} has no {GRIPPER_CHANNEL} in rad; it has: "
            f"{', '.join(f'{c.name} ({c.unit})' for c in channels)}."
        )
    return names.index(GRIPPER_CHANNEL)
