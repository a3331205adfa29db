"""What a frozen backbone makes of every picture of a dataset: made once, looked up ever after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vibrissa.core.errors import UsageError
from vibrissa.learn.lean import MAP

ROWS = 128  # pictures of a camera that pass through the backbone at a time
SHARE = 0.6  # of the free memory that the maps may take


class FeatureMaps:
    """The feature maps of all rows, (N, C, h, w) float16 in memory for each camera.

    `ready(rows)` gives the preprocessed pictures (B, 3, H, W) of these rows by key; `report`
    is told (done, all rows). Raises UsageError where memory has no room for them.
    """

    def __init__(
        self,
        backbone: nn.Module,
        keys: Sequence[str],
        frames: int,
        ready: Callable[[NDArray[np.int64]], Mapping[str, Tensor]],
        report: Callable[[int, int], None] = lambda *_: None,
    ):
        self._maps: dict[str, Tensor] = {}
        backbone.eval()
        with torch.no_grad():
            for first in range(0, frames, ROWS):
                rows = np.arange(first, min(first + ROWS, frames))
                pictures = ready(rows)
                made = {key: _passed(backbone, pictures[key]) for key in keys}
                if not self._maps:
                    self._maps = _room(made, frames)
                for key, maps in made.items():
                    self._maps[key][rows[0] : rows[-1] + 1] = maps.half().cpu()
                report(int(rows[-1]) + 1, frames)

    def at(self, rows: NDArray[np.int64], device: str) -> dict[str, Tensor]:
        """The maps (B, C, h, w) float32 of these rows, under the keys that `lean` looks for."""
        index = torch.from_numpy(rows)
        return {key + MAP: maps[index].to(device).float() for key, maps in self._maps.items()}


def _passed(backbone: nn.Module, pictures: Tensor) -> Tensor:
    return backbone(pictures.contiguous(memory_format=torch.channels_last))["feature_map"]


def _room(first: Mapping[str, Tensor], frames: int) -> dict[str, Tensor]:
    """Empty maps for all rows, of the shapes that the first ones have."""
    need = sum(2 * frames * maps[0].numel() for maps in first.values())
    free = psutil.virtual_memory().available
    if need > SHARE * free:
        raise UsageError(
            f"what the frozen backbone makes of {frames} rows needs {need / 1e9:.1f} GB of memory "
            f"and {free / 1e9:.1f} GB are free: fewer demonstrations, or smaller pictures."
        )
    return {k: torch.empty((frames, *m.shape[1:]), dtype=torch.half) for k, m in first.items()}
