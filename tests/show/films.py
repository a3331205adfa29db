"""What the tests of films share: reading one back, its pictures and its sound."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vibrissa.show.video import read_frames


def grey(level: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


def levels(path: Path) -> list[float]:
    """The mean of every picture of the film."""
    return [float(frame.mean()) for frame in read_frames(path)]


def sound(path: Path) -> NDArray[np.float32]:
    """The film's sound (N,), at its own rate."""
    container = av.open(str(path))
    parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    container.close()
    return np.concatenate(parts).astype(np.float32)


def rate(path: Path) -> float:
    container = av.open(str(path))
    told = float(container.streams.video[0].average_rate or 0)
    container.close()
    return told
