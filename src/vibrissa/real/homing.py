"""The way to a pose: a line of targets at a hand's speed, straight or in stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.units import JOINTS, to_rad

Path = Literal["none", "direct", "staged"]
TICK_S = 0.02
MOST_RAD_S = np.deg2rad(60.0)  # of the joint with the longest way


def pose_rad(degrees: Mapping[str, float]) -> NDArray[np.float32]:
    """A pose of the rig, joint → LeRobot degrees, as (6,) rad."""
    return to_rad(np.array([degrees[name] for name in JOINTS], np.float32), "deg")


def way(
    start: NDArray[np.float32], goal: NDArray[np.float32], path: Path
) -> Iterator[NDArray[np.float32]]:
    """Targets (6,) rad, one every `TICK_S`, that end at `goal`.

    "staged" goes through the middle of every joint, where an SO-101 stands clear of the table;
    "direct" is shorter and looks calmer, and whoever asks for it has seen the way free.
    """
    stages = [goal] if path == "direct" else [np.zeros_like(goal), goal]
    for end in stages:
        longest = float(np.abs(end - start).max())
        # A smooth start and end peak at 1.5 times the mean speed.
        ticks = max(1, round(1.5 * longest / (MOST_RAD_S * TICK_S)))
        for tick in range(1, ticks + 1):
            share = tick / ticks
            smooth = share * share * (3 - 2 * share)
            yield (start + smooth * (end - start)).astype(np.float32)
        start = end
