"""Frames decoded once: one camera of a dataset as a packed file of uint8 pictures.

Decoding video for every sample is what makes training wait for its data. Here every episode is
walked through once, in order, and row i of the cache is the picture of the dataset's row i.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import DatasetError
from vibrissa.data.dataset import Dataset

# How a row finds its picture, in the name of every cache: change it where that changes, so that
# pictures which were packed for other rows are never taken again. (Before it: by row number.)
MAPPING = "by-time"

Shrink = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Pictures:
    """How pictures are kept: in this cache folder, resized to (height, width) where given.

    `report(camera, done, total)` is called while they are decoded.
    """

    cache: Path
    size: tuple[int, int] | None = None
    report: Report = lambda *_: None


def cached_frames(
    dataset: Dataset, key: str, shape: tuple[int, int], shrink: Shrink, pictures: Pictures
) -> NDArray[np.uint8]:
    """All pictures of the feature `key`, as a read-only map of a file: (N, H, W, 3) uint8 RGB.

    `shrink` brings a decoded picture to `shape`. The cache is found again by the dataset's
    digest; it is written under a temporary name and renamed when whole, so that memory holds
    only what is being looked at. Raises DatasetError for a picture that cannot be had.
    """
    name = f"{dataset.digest}-{key}-{shape[0]}x{shape[1]}-{MAPPING}"
    file = pictures.cache / f"{name}.npy"
    if not file.is_file():
        try:
            pictures.cache.mkdir(parents=True, exist_ok=True)
            _write(file, dataset, key, shape, shrink, pictures.report)
        except OSError as error:
            raise DatasetError(f"the pictures cannot be cached in {file}: {error}.") from error
    return np.load(file, mmap_mode="r")


def _write(
    file: Path,
    dataset: Dataset,
    key: str,
    shape: tuple[int, int],
    shrink: Shrink,
    report: Report,
) -> None:
    unfinished = file.with_suffix(".writing")
    try:
        whole = (dataset.frames, *shape, 3)
        packed = np.lib.format.open_memmap(unfinished, "w+", np.uint8, whole)
        done = 0
        for episode, rows in dataset.spans.items():  # every row lies in exactly one of them
            wanted = range(rows.start, rows.stop)
            shown = dataset.pictures(key, episode, range(len(wanted)))
            for row, picture in zip(wanted, shown, strict=True):
                assert picture.dtype == np.uint8  # depth is refused by the loader
                packed[row] = shrink(picture)  # pyright: ignore[reportArgumentType]
            done += len(wanted)
            report(key, done, dataset.frames)
        packed.flush()
        del packed
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
