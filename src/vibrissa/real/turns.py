"""Whole turns: a servo counts 0 to 4095 and begins anew; an arm that passes there has not leapt.

A step of nearly a turn between two readings is that seam and no motion, so the count goes on past
it. How many turns it has gone is known from one reading to the next; after the first reading, or
a long silence, the calibrated range says which turn is meant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vibrissa.real.calibration import Calibration

TURN_TICKS = 4096
# A range so wide says nothing about the turn: LeRobot takes 0 to 4095 for every wrist_roll.
WHOLE_TICKS = 4000

Ticks = NDArray[np.int64]


def unwrapped(raw: Ticks, near: Ticks) -> Ticks:
    """`raw` (6,), 0 to 4095, as the count that lies nearest to `near` (6,)."""
    return raw + TURN_TICKS * np.rint((near - raw) / TURN_TICKS).astype(np.int64)


def placed(raw: Ticks, calibration: Calibration, last: Ticks | None = None) -> Ticks:
    """`raw` (6,) as the count that fits the calibrated range best; itself where more than one does.

    last: where the joints were before a silence; a joint that may turn all the way is taken to be
    near there.
    """
    low, high = calibration.range_ticks()
    turns = np.array([0, -1, 1])[:, None]
    counts = raw + TURN_TICKS * turns  # (3, 6)
    beyond = np.maximum(low - counts, counts - high).clip(0)
    fits = counts[np.argmin(beyond, axis=0), np.arange(len(raw))]
    if last is None:
        return fits
    return np.where(high - low >= WHOLE_TICKS, unwrapped(raw, last), fits)


def turns_of(ticks: Ticks) -> Ticks:
    """How many turns (6,) a count has gone past what the servo itself says."""
    return ticks // TURN_TICKS
