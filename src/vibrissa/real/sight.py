"""What is wrong with one picture, from one pixel in 64: cheap enough for every frame.

The limits were tried on a C920's pictures of a desk. Well lit, the darkest hundredth of the picture
is below 90 and the brightest at 250; washed out by a fixed exposure, all but that hundredth is
brighter than 176 although nothing is clipped either. So over-exposed is told by what has become of
the dark parts, and by clipping. A light table is not: an arm's black servos stay black on it.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.episode import Health

STRIDE = 8
DARKEST = 16  # a capped lens or a dead sensor stays below; a dim room's highlights do not
WASHED_OUT = 160  # where the darkest pixels begin, in a picture that lost its dark parts
DARK_SHARE = 0.01  # so many of them
CLIPPED = 250
CLIPPED_SHARE = 0.35  # of the pixels; a lamp or a sheet of paper is less


def sampled(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) → (H / 8, W / 8, 3), a copy."""
    return np.ascontiguousarray(picture[::STRIDE, ::STRIDE])


def exposure(sample: NDArray[np.uint8]) -> Health:
    """ "ok", "black" or "overexposed", by the brightness of what `sampled` gives."""
    grey = sample.sum(axis=2, dtype=np.uint16) // 3
    up_to = np.bincount(grey.ravel(), minlength=256).cumsum() / grey.size  # share of the pixels
    if up_to[DARKEST] > 0.99:
        return "black"
    washed_out = up_to[WASHED_OUT - 1] < DARK_SHARE
    clipped = 1 - up_to[CLIPPED - 1] > CLIPPED_SHARE
    return "overexposed" if washed_out or clipped else "ok"


def fingerprint(sample: NDArray[np.uint8]) -> int:
    """Equal for equal pictures. A sensor is never twice the same: its noise alone differs."""
    return zlib.crc32(sample)
