"""Arithmetic on action chunks that overlap in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import UsageError


class Chunk(NamedTuple):
    """Actions (K, A) for the ticks first, first + 1, …"""

    first: int
    actions: NDArray[np.float32]

    def at(self, tick: int) -> NDArray[np.float32] | None:
        """The action (A,) meant for `tick`, or None outside the chunk."""
        index = tick - self.first
        return self.actions[index] if 0 <= index < len(self.actions) else None


def ensemble(chunks: Sequence[Chunk], tick: int, decay: float) -> NDArray[np.float32]:
    """The weighted mean (A,) of every chunk's action for `tick`, oldest first.

    Weights exp(-decay × i), i = 0 for the oldest, as in ACT's temporal ensembling (Zhao et al.
    2023, arXiv:2304.13705): a positive decay trusts the oldest most, 0 trusts all alike.
    Raises UsageError where no chunk speaks of this tick.
    """
    actions = [a for chunk in chunks if (a := chunk.at(tick)) is not None]
    if not actions:
        raise UsageError(f"no chunk holds an action for tick {tick}.")
    weights = np.exp(-decay * np.arange(len(actions)))
    return (weights @ np.stack(actions) / weights.sum()).astype(np.float32)


def disagreement(older: Chunk, newer: Chunk) -> float:
    """Root mean square difference of two chunks where they overlap; NaN where they do not."""
    first = max(older.first, newer.first)
    last = min(older.first + len(older.actions), newer.first + len(newer.actions))
    if first >= last:
        return float("nan")
    a = older.actions[first - older.first : last - older.first]
    b = newer.actions[first - newer.first : last - newer.first]
    return float(np.sqrt(np.mean(np.square(a - b))))
