"""From a stored dataset to training batches: everything in memory, gathered by index arithmetic.

The samples are exactly those of `LeRobotDataset` with the chunk as its `delta_timestamps`
(tested); they come some thousand times faster, because nothing is decoded or looked up for one
sample. The only file of this folder that knows torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import functional

from vibrissa.core.errors import DatasetError
from vibrissa.data.cache import Pictures, cached_frames
from vibrissa.data.dataset import Dataset
from vibrissa.data.depth import is_depth
from vibrissa.data.features import ACTION, IMAGES, PRIVILEGED, STATE


@dataclass(frozen=True)
class Sampling:
    """How batches are drawn: chunk length K, batch size B, and the seed of the order."""

    chunk: int
    batch_size: int
    seed: int = 0


class Loader:
    """One dataset, ready to be sampled.

    `features` and `stats` speak of what is fed, the action included. `batch(step)` draws
    without replacement: every frame once an epoch, in an order that depends on the seed and
    the epoch alone.
    """

    def __init__(
        self, dataset: Dataset, inputs: Sequence[str], sampling: Sampling, pictures: Pictures
    ) -> None:
        """Read what is fed. Raises DatasetError for what is missing or not finite."""
        self.features, self.stats = _fed(dataset, inputs)
        self._dataset, self._sampling = dataset, sampling
        stored = [key for key in self.features if key in dataset.features]
        self._vectors = {k: _vector(dataset, k) for k in stored if not _is_picture(dataset, k)}
        if PRIVILEGED in self.features and PRIVILEGED not in stored:
            self._vectors[PRIVILEGED] = self._vectors[STATE]
        self._pictures = {
            k: _frames(dataset, k, pictures) for k in stored if _is_picture(dataset, k)
        }
        self.frames = _frame_count(dataset)
        self._end = _episode_ends(dataset)  # (N,)
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def batch(self, step: int) -> dict[str, Tensor]:
        """The samples of this step: (B, …) float32, in stored units; pictures in 0..1."""
        return self.gather(self.rows(step))

    def gather(self, rows: NDArray[np.int64], *, pictures: bool = True) -> dict[str, Tensor]:
        """The samples that start at these rows of the dataset, without `pictures` if not wanted.

        `action` is (B, K, A) and `action_is_pad` (B, K) marks what lies behind the end of the
        episode, where the last action is repeated.
        """
        start = torch.from_numpy(rows)
        ahead = start[:, None] + torch.arange(self._sampling.chunk)  # (B, K)
        last = self._end[start][:, None] - 1
        batch = {k: v[start] for k, v in self._vectors.items() if k != ACTION}
        batch[ACTION] = self._vectors[ACTION][torch.minimum(ahead, last)]
        batch["action_is_pad"] = ahead > last
        for key, packed in self._pictures.items() if pictures else ():
            seen = torch.from_numpy(packed[rows]).permute(0, 3, 1, 2)  # (B, 3, H, W) uint8
            batch[key] = seen.float() / 255
        return batch

    def sampler(self) -> dict[str, Any]:
        """What, with the step, decides the samples: kept in a checkpoint."""
        drawn = self._sampling
        return {"seed": drawn.seed, "batch_size": drawn.batch_size, "frames": self.frames}

    def rows(self, step: int) -> NDArray[np.int64]:
        """The rows (B,) of a step: a window over the epochs' orders laid end to end."""
        first, size = step * self._sampling.batch_size, self._sampling.batch_size
        pieces: list[NDArray[np.int64]] = []
        while (left := size - sum(map(len, pieces))) > 0:
            epoch, at = divmod(first + size - left, self.frames)
            pieces.append(self._epoch(epoch)[at : at + left])
        return np.concatenate(pieces)

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng([self._sampling.seed, epoch])
            self._order = (epoch, rng.permutation(self.frames))
        return self._order[1]


def _fed(
    dataset: Dataset, inputs: Sequence[str]
) -> tuple[dict[str, Mapping[str, Any]], dict[str, Any]]:
    """Features and statistics of what is fed.

    ACT must have something to look at beside the joints; where a dataset has nothing else, the
    privileged channels asked for are the joints a second time.
    """
    have = dataset.features
    origins = {key: key if key in have else STATE for key in (*inputs, ACTION)}
    missing = [key for key in origins if key not in have and key != PRIVILEGED]
    if missing or STATE not in have:
        raise DatasetError(
            f"{dataset.root} has no {', '.join(missing) or STATE}. It has: {', '.join(have)}."
        )
    return (
        {key: have[origin] for key, origin in origins.items()},
        {key: dataset.stats[origin] for key, origin in origins.items() if origin in dataset.stats},
    )


def _vector(dataset: Dataset, key: str) -> Tensor:
    """A vector feature of all rows, (N, size) float32."""
    values = np.ascontiguousarray(dataset.column(key), np.float32)
    values = values.reshape(len(values), -1)
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values).all(1))[0, 0])
        raise DatasetError(f"{key} of {dataset.root} holds NaN or infinity, first in row {row}.")
    return torch.from_numpy(values.copy())


def _frame_count(dataset: Dataset) -> int:
    """How many rows there are. Raises DatasetError where the tables speak of another number."""
    rows = len(dataset.column("episode_index"))
    if rows != dataset.frames:
        raise DatasetError(
            f"{dataset.root}: the episodes' table has {dataset.frames} rows in all, the data "
            f"files have {rows}. See: vibrissa data inspect {dataset.root}"
        )
    return rows


def _episode_ends(dataset: Dataset) -> Tensor:
    """Of each row, the row behind the last of its episode; (N,) int64.

    `Dataset.spans` puts every row into exactly one episode, in order, so that none is left out.
    """
    stops = np.array([rows.stop for rows in dataset.spans.values()], np.int64)
    return torch.from_numpy(np.repeat(stops, np.diff(stops, prepend=0)))


def _frames(dataset: Dataset, key: str, pictures: Pictures) -> NDArray[np.uint8]:
    if is_depth(dataset.features[key]):
        raise DatasetError(f"{key} of {dataset.root} is depth in m, and this recipe sees colours.")
    camera = dataset.contract.camera(key.removeprefix(IMAGES).removeprefix("observation."))
    shape = pictures.size or (camera.height, camera.width)
    return cached_frames(dataset, key, shape, lambda picture: _shrunk(picture, shape), pictures)


def _shrunk(picture: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """As LeRobot's saved resize step does it, then rounded to whole grey levels."""
    if picture.shape[:2] == shape:
        return picture
    small = functional.resize(torch.from_numpy(picture).permute(2, 0, 1) / 255, list(shape))
    return (small.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def _is_picture(dataset: Dataset, key: str) -> bool:
    return dataset.features[key].get("dtype") in ("video", "image")
