"""What an arm refuses to do: targets out of range, too fast, too far in one tick.

Each limit is idempotent and returns what it changed: asked ≠ sent is data.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Mask = NDArray[np.bool_]


def box(action: Vector, low: Vector, high: Vector) -> tuple[Vector, Mask]:
    """`action` (A,) clipped to [low, high], and which entries (A,) were clipped."""
    kept = _within(action, low, high)
    return kept, kept != action


def step(action: Vector, previous: Vector, most: Vector | float) -> tuple[Vector, Mask]:
    """`action` (A,) kept within `most` of the previous target, entry by entry.

    `previous` is the target sent before, not the measured state: a servo that sags under a
    load must not drag its own target down.
    """
    low = (previous - most).astype(np.float32)
    high = (previous + most).astype(np.float32)
    return box(action, low, high)


def velocity(
    action: Vector, previous: Vector, most_rad_s: Vector | float, tick_s: float
) -> tuple[Vector, Mask]:
    """`action` (A,) kept to a target speed of `most_rad_s`, for ticks of `tick_s` seconds."""
    return step(action, previous, np.asarray(most_rad_s, np.float32) * np.float32(tick_s))


@dataclass(frozen=True)
class Limits:
    """The limits of one arm: a box, and a greatest target speed (rad/s), both (A,)."""

    low: Vector
    high: Vector
    most_rad_s: Vector | float = np.inf
    tick_s: float = 1 / 30

    @functools.cached_property
    def _slows(self) -> bool:
        return bool(np.any(np.isfinite(self.most_rad_s)))

    @functools.cached_property
    def _most(self) -> Vector:
        """The greatest change in a tick, (A,) or for all, rad."""
        return np.asarray(self.most_rad_s, np.float32) * np.float32(self.tick_s)

    def apply(self, action: Vector, previous: Vector | None) -> tuple[Vector, Mask]:
        """What may be sent (A,), and which entries differ from what was asked (A,)."""
        sent = self.keep(action, previous)
        return sent, sent != action

    def keep(self, action: Vector, previous: Vector | None) -> Vector:
        """What may be sent (A,)."""
        sent = _within(action, self.low, self.high)
        if previous is None or not self._slows:
            return sent
        return _within(sent, previous - self._most, previous + self._most)


def _within(action: Vector, low: Vector, high: Vector) -> Vector:
    """`np.clip`, but faster."""
    return np.minimum(np.maximum(action, low), high).astype(np.float32, copy=False)
