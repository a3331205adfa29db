"""Noise on what an arm senses. It depends on the tick, not on when or how often somebody looks."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from vibrissa.sim.sample import Noise

ENCODER = 0  # the joints' stream; a camera's is made from its name


def joints(state: NDArray[np.float32], noise: Noise | None, tick: int) -> NDArray[np.float32]:
    """Measured joint positions (S,) rad."""
    if noise is None:
        return state
    rng = np.random.default_rng((noise.seed, tick, ENCODER))
    return (state + noise.sd * rng.standard_normal(len(state))).astype(np.float32)


def picture(
    seen: NDArray[np.uint8], noise: Noise | None, tick: int, camera: str
) -> NDArray[np.uint8]:
    """A picture (H, W, 3) with the grain of its sensor, every colour of every pixel by itself."""
    if noise is None:
        return seen
    rng = np.random.default_rng((noise.seed, tick, zlib.crc32(camera.encode())))
    grain = np.float32(noise.sd) * rng.standard_normal(seen.shape, np.float32)
    return np.clip(np.rint(seen + grain), 0, 255).astype(np.uint8)
