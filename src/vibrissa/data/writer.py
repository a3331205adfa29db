"""Writes a LeRobot v3.0 dataset, an episode at a time, with LeRobot's own metadata and statistics.

Schema, statistics, `meta/` and indices come from LeRobot. Only the rows are written here,
because `LeRobotDataset.save_episode` sends every row through a Python function (to embed
pictures, even where there are none): 220 ms an episode of 150 state-only rows, against 20 ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import av.logging
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from lerobot.configs.video import RGBEncoderConfig
from lerobot.datasets.compute_stats import compute_episode_stats, get_feature_stats
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
from lerobot.datasets.feature_utils import get_hf_features_from_features
from lerobot.datasets.utils import update_chunk_file_indices
from numpy.typing import NDArray

from vibrissa.core.contract import Contract
from vibrissa.core.errors import DatasetError
from vibrissa.data import depth, film
from vibrissa.data.features import IMAGES, features_of

MEGABYTE = 2**20


class Writer:
    """The files of one dataset in the making under `root`, which must not exist yet.

    `sim_state` names the numbers of the simulated arm's state, where there is one.
    """

    def __init__(self, root: Path, contract: Contract, sim_state: Sequence[str] = ()):
        self.root = root
        self.fps = whole_fps(contract)
        self._meta = LeRobotDatasetMetadata.create(
            repo_id=f"local/{root.name}",
            fps=self.fps,
            features=features_of(contract, sim_state),
            robot_type=contract.robot,
            root=root,
            use_videos=bool(contract.cameras),
        )
        self._schema = get_hf_features_from_features(self._meta.features).arrow_schema
        self._rows: pq.ParquetWriter | None = None
        self._place = (0, 0)  # chunk and file of the rows

    @property
    def episodes(self) -> int:
        return self._meta.total_episodes

    def film_path(self, camera: str) -> Path:
        """Where the next episode's film of `camera` belongs: a file an episode, so that a film
        is whole as soon as its episode is, and opening it at random is cheap."""
        chunk, file = divmod(self.episodes, self._meta.chunks_size)
        assert self._meta.video_path is not None  # there are cameras
        return self.root / self._meta.video_path.format(
            video_key=IMAGES + camera, chunk_index=chunk, file_index=file
        )

    def add_episode(
        self,
        columns: Mapping[str, NDArray],
        instruction: str,
        films: Mapping[str, NDArray],
    ) -> int:
        """Write an episode's `columns` (T, …) and return its index.

        `films` holds, for each camera whose file is already at its `film_path`, the sampled
        pictures (N, channels, h, w) for the statistics.
        """
        length = len(next(iter(columns.values())))
        index = self.episodes
        self._meta.save_episode_tasks([instruction])
        full = {**columns, **self._bookkeeping(index, length, instruction)}
        numbers = {k: v for k, v in self._meta.features.items() if v["dtype"] != "video"}
        stats = compute_episode_stats({key: full[key] for key in numbers}, numbers)
        stats |= {IMAGES + camera: _picture_stats(shots) for camera, shots in films.items()}
        where = self._write_rows(full)
        for camera in films:
            where |= self._film_place(camera, index, length)
        self._meta.save_episode(index, length, [instruction], stats, where)
        return index

    def close(self) -> None:
        """Write every footer; the dataset is readable from here on."""
        if self.episodes:
            level = av.logging.get_level()
            for key in self._meta.video_keys:
                told = depth.encoder_told() if key in self._meta.depth_keys else _encoder_told()
                self._meta.update_video_info(key, video_encoder=told)
            av.logging.set_level(level)  # LeRobot leaves FFmpeg printing to the terminal
            self._meta.update_chunk_settings()  # writes info.json, the videos' description included
        if self._rows is not None:
            self._rows.close()
        self._meta.finalize()

    def abandon(self) -> None:
        """Let go of the files, whatever state they are in; the caller deletes them."""
        # LeRobot's metadata writes its buffer when it is collected, into folders it makes anew.
        self._meta._finalized = True
        if self._rows is not None and self._rows.is_open:
            with suppress(OSError):  # the disk is full; the file is about to go
                self._rows.close()

    def _bookkeeping(self, index: int, length: int, instruction: str) -> dict[str, NDArray]:
        first = self._meta.total_frames
        return {
            "timestamp": (np.arange(length) / self.fps).astype(np.float32),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, index),
            "index": np.arange(first, first + length),
            "task_index": np.full(length, self._meta.get_task_index(instruction)),
        }

    def _write_rows(self, columns: Mapping[str, NDArray]) -> dict[str, Any]:
        """One row group an episode, as LeRobot writes it."""
        chunk, file = self._place
        path = self.root / self._meta.data_path.format(chunk_index=chunk, file_index=file)
        if self._rows is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._rows = pq.ParquetWriter(path, schema=self._schema, compression="snappy")
        arrays = [_arrow(columns[field.name], field.type) for field in self._schema]
        self._rows.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        if path.stat().st_size >= self._meta.data_files_size_in_mb * MEGABYTE:
            self._rows.close()
            self._rows = None
            self._place = update_chunk_file_indices(chunk, file, self._meta.chunks_size)
        return {"data/chunk_index": chunk, "data/file_index": file}

    def _film_place(self, camera: str, index: int, length: int) -> dict[str, Any]:
        chunk, file = divmod(index, self._meta.chunks_size)
        key = f"videos/{IMAGES}{camera}"
        return {
            f"{key}/chunk_index": chunk,
            f"{key}/file_index": file,
            f"{key}/from_timestamp": 0.0,
            f"{key}/to_timestamp": length / self.fps,
        }


def whole_fps(contract: Contract) -> int:
    """The rate as LeRobot stores it. Raises DatasetError unless it is a whole number."""
    if contract.rate_hz != int(contract.rate_hz) or contract.rate_hz < 1:
        raise DatasetError(
            f"a rate of {contract.rate_hz:g} Hz; LeRobot stores whole frames a second, such as 30."
        )
    return int(contract.rate_hz)


def _arrow(values: NDArray, kind: pa.DataType) -> pa.Array:
    """A column (T,) or (T, n) as an arrow array of `kind`; LeRobot keeps (T, 1) as (T,)."""
    if not pa.types.is_fixed_size_list(kind):
        return pa.array(values.reshape(-1), type=kind)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(values).reshape(-1), type=kind.value_type), type=kind
    )


def _picture_stats(shots: NDArray) -> dict[str, NDArray]:
    """LeRobot's statistics of pictures (N, C, h, w): colours in 0..1, depth in m; (C, 1, 1)."""
    raw = get_feature_stats(shots, axis=(0, 2, 3), keepdims=True)
    most = 255.0 if shots.dtype == np.uint8 else 1.0
    return {k: v if k == "count" else np.squeeze(v / most, axis=0) for k, v in raw.items()}


def _encoder_told() -> RGBEncoderConfig:
    return RGBEncoderConfig(
        vcodec=film.VCODEC,
        g=film.GOP,
        crf=film.CRF,
        preset=film.PRESET,
        extra_options={"bf": 0},
    )
