"""Writes a LeRobot v3.0 dataset, an episode at a time; after each one it is whole and readable.

Every episode has files of its own. They are written aside, brought to the disk, and given their
names in an order in which a reader always finds all that `meta/info.json` speaks of: films, rows,
the episodes' table, notes, tasks, statistics, and info.json last. What a cut leaves unnamed or
unspoken of is overwritten by the next episode. Schema and statistics come from LeRobot.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av.logging
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from lerobot.configs.video import RGBEncoderConfig
from lerobot.datasets.compute_stats import aggregate_stats, compute_episode_stats, get_feature_stats
from lerobot.datasets.dataset_metadata import CODEBASE_VERSION
from lerobot.datasets.feature_utils import create_empty_dataset_info, get_hf_features_from_features
from lerobot.datasets.utils import (
    DEFAULT_EPISODES_PATH,
    DEFAULT_TASKS_PATH,
    INFO_PATH,
    STATS_PATH,
    DatasetInfo,
    serialize_dict,
    update_chunk_file_indices,
)
from lerobot.datasets.video_utils import get_video_info
from lerobot.utils.constants import DEFAULT_FEATURES
from lerobot.utils.utils import flatten_dict
from numpy.typing import NDArray

from vibrissa.core.contract import Contract
from vibrissa.core.errors import DatasetError
from vibrissa.data import depth, film, layout
from vibrissa.data.disk import Disk, plain
from vibrissa.data.features import EPISODES_FILE, IMAGES, OURS, STATE_HEALTH, features_of
from vibrissa.data.standing import Place, Standing, standing_of

STAGING = Path(layout.JOURNAL) / layout.STAGING


class Writer:
    """Adds episodes to the dataset in `root`, which is begun where there is none.

    `sim_state` names the numbers of the simulated arm's state, where there is one. Raises
    DatasetError where the dataset's columns are not those of `contract`.
    """

    def __init__(
        self,
        root: Path,
        contract: Contract,
        sim_state: Sequence[str] = (),
        disk: Disk | None = None,
    ):
        self.root, self.fps = root, whole_fps(contract)
        self._disk = disk or Disk()
        features = {**features_of(contract, sim_state), **DEFAULT_FEATURES}
        self._cameras = {camera.name: camera for camera in contract.cameras}
        if (root / INFO_PATH).is_file():
            self._now = standing_of(root)
            if STATE_HEALTH not in self._now.info.features:  # begun by an older version, and whole
                features.pop(STATE_HEALTH, None)
            _require_columns(root, self._now.info, features)
        else:
            info = create_empty_dataset_info(
                CODEBASE_VERSION, self.fps, features, bool(contract.cameras), contract.robot
            )
            self._now = Standing(info)
        self._schema = get_hf_features_from_features(features).arrow_schema

    @property
    def episodes(self) -> int:
        return self._now.info.total_episodes

    @property
    def frames(self) -> int:
        return self._now.info.total_frames

    def film_path(self, camera: str) -> Path:
        """Where the next episode's film of `camera` is to be put; `add_episode` takes it away."""
        folder = self.root / STAGING
        self._disk.make_folder(folder)
        return folder / f"{camera}.mp4"

    def add_episode(
        self,
        columns: Mapping[str, NDArray],
        instruction: str,
        films: Mapping[str, NDArray],
        note: Mapping[str, Any] | None = None,
    ) -> int:
        """Add an episode's `columns` (T, …) to the dataset, and return its index.

        `films` holds, for each camera whose film is at its `film_path`, the sampled pictures
        (N, channels, h, w) for the statistics. `note` is our own line about it. Raises OSError
        as the disk does; the dataset is then as it was.
        """
        before, length = self._now, len(next(iter(columns.values())))
        index = before.info.total_episodes
        tasks = tuple(dict.fromkeys((*before.tasks, instruction)))
        full = {**columns, **self._bookkeeping(length, tasks.index(instruction))}
        stats = self._stats(full, films)
        last = {key: self._next(key) for key in ("data", "meta", *films)}
        now = replace(
            before,
            info=self._info(length, len(tasks)),
            tasks=tasks,
            stats=aggregate_stats([before.stats, stats]) if before.stats else stats,
            last=last,
        )
        moves = self._stage(now, full, self._row(index, length, instruction, last, stats), films)
        self._name(moves)
        if note is not None:
            line = json.dumps({"episode": index, **note}, default=plain) + "\n"
            now = replace(now, notes_size=self._add_note(line.encode()))
        self._name(self._stage_meta(now, new_tasks=tasks != before.tasks))
        info = self.root / STAGING / "info.json"
        self._disk.write(info, _json(now.info.to_dict()))
        self._name([(info, self.root / INFO_PATH)])
        self._now = now
        return index

    def write_ours(self, name: str, content: Mapping[str, Any]) -> None:
        """A file of our own beside LeRobot's, whole or as it was."""
        aside = self.root / STAGING / name
        self._disk.make_folder(aside.parent)
        text = json.dumps(content, indent=1, sort_keys=True, default=plain) + "\n"
        self._disk.write(aside, text.encode())
        self._name([(aside, self.root / OURS / name)])

    def read_ours(self, name: str) -> dict[str, Any]:
        """A file of our own; empty where there is none."""
        path = self.root / OURS / name
        return layout.read_json(path) if path.is_file() else {}

    def close(self) -> None:
        """Clear away what was put aside."""
        self._disk.remove(self.root / STAGING)

    def _stage(
        self,
        now: Standing,
        columns: Mapping[str, NDArray],
        row: Mapping[str, Any],
        films: Iterable[str],
    ) -> list[tuple[Path, Path]]:
        """Films, rows and the row of the episodes' table aside, with the names they will have."""
        staging = self.root / STAGING
        self._disk.make_folder(staging)
        moves = []
        for camera in films:
            aside = self.film_path(camera)
            self._disk.made(aside)
            self._describe_film(now.info, camera, aside)
            assert now.info.video_path is not None  # there are cameras
            moves.append((aside, _at(now.info.video_path, now.last[camera], IMAGES + camera)))
        arrays = [_arrow(columns[item.name], item.type) for item in self._schema]
        rows = pa.Table.from_arrays(arrays, schema=self._schema)
        self._disk.write(staging / "rows.parquet", _parquet(rows))
        moves.append((staging / "rows.parquet", _at(now.info.data_path, now.last["data"])))
        # One value a column; arrays as lists, as LeRobot writes them.
        one = {k: [v.tolist() if isinstance(v, np.ndarray) else v] for k, v in row.items()}
        self._disk.write(staging / "episode.parquet", _parquet(pa.Table.from_pydict(one)))
        moves.append((staging / "episode.parquet", _at(DEFAULT_EPISODES_PATH, now.last["meta"])))
        return [(old, self.root / new) for old, new in moves]

    def _stage_meta(self, now: Standing, *, new_tasks: bool) -> list[tuple[Path, Path]]:
        staging, moves = self.root / STAGING, []
        if new_tasks:
            index = pd.Index(now.tasks, name="task")
            table = pd.DataFrame({"task_index": range(len(now.tasks))}, index=index)
            file = io.BytesIO()
            table.to_parquet(file)
            self._disk.write(staging / "tasks.parquet", file.getvalue())
            moves.append((staging / "tasks.parquet", self.root / DEFAULT_TASKS_PATH))
        self._disk.write(staging / "stats.json", _json(serialize_dict(now.stats or {})))
        return [*moves, (staging / "stats.json", self.root / STATS_PATH)]

    def _name(self, moves: Sequence[tuple[Path, Path]]) -> None:
        """Give files their names, and see to it that the names are on the disk."""
        for old, new in moves:
            self._disk.make_folder(new.parent)
            self._disk.rename(old, new)
        for folder in dict.fromkeys(new.parent for _, new in moves):
            self._disk.sync_folder(folder)

    def _add_note(self, line: bytes) -> int:
        """Behind the notes of the episodes so far; what a cut left behind those goes."""
        path, size = self.root / OURS / EPISODES_FILE, self._now.notes_size
        self._disk.make_folder(path.parent)
        new = not path.is_file()
        if not new and path.stat().st_size != size:
            self._disk.cut(path, size)
        file = self._disk.append(path)
        try:
            file.write(line)
            file.sync()
        finally:
            file.close()
        if new:
            self._disk.sync_folder(path.parent)
        return size + len(line)

    def _next(self, key: str) -> Place:
        last = self._now.last.get(key)
        return update_chunk_file_indices(*last, self._now.info.chunks_size) if last else (0, 0)

    def _info(self, length: int, tasks: int) -> DatasetInfo:
        before = self._now.info
        return replace(
            before,
            features={key: dict(feature) for key, feature in before.features.items()},
            total_episodes=before.total_episodes + 1,
            total_frames=before.total_frames + length,
            total_tasks=tasks,
            splits={"train": f"0:{before.total_episodes + 1}"},
        )

    def _stats(self, columns: Mapping[str, NDArray], films: Mapping[str, NDArray]) -> dict:
        kinds = self._now.info.features
        numbers = {key: f for key, f in kinds.items() if f["dtype"] != "video"}
        stats = compute_episode_stats({key: columns[key] for key in numbers}, numbers)
        return stats | {IMAGES + camera: _picture_stats(s) for camera, s in films.items()}

    def _bookkeeping(self, length: int, task: int) -> dict[str, NDArray]:
        first = self._now.info.total_frames
        return {
            "timestamp": (np.arange(length) / self.fps).astype(np.float32),
            "frame_index": np.arange(length),
            "episode_index": np.full(length, self._now.info.total_episodes),
            "index": np.arange(first, first + length),
            "task_index": np.full(length, task),
        }

    def _row(
        self, index: int, length: int, instruction: str, last: Mapping[str, Place], stats: dict
    ) -> dict[str, Any]:
        """The episode in the episodes' table."""
        first = self._now.info.total_frames
        row: dict[str, Any] = {"episode_index": index, "tasks": [instruction], "length": length}
        row["data/chunk_index"], row["data/file_index"] = last["data"]
        for camera in self._cameras:
            key = f"videos/{IMAGES}{camera}"
            row[f"{key}/chunk_index"], row[f"{key}/file_index"] = last[camera]
            row[f"{key}/from_timestamp"], row[f"{key}/to_timestamp"] = 0.0, length / self.fps
        row["dataset_from_index"], row["dataset_to_index"] = first, first + length
        row["meta/episodes/chunk_index"], row["meta/episodes/file_index"] = last["meta"]
        return row | flatten_dict({"stats": stats})

    def _describe_film(self, info: DatasetInfo, camera: str, path: Path) -> None:
        """How a camera's films are coded, in info.json: read from its first one."""
        feature = info.features[IMAGES + camera]
        told = feature.get("info") or {}
        if "video.codec" in told:
            return
        coder = depth.encoder_told() if self._cameras[camera].depth else _encoder_told()
        level = av.logging.get_level()
        feature["info"] = {**told, **get_video_info(path.absolute(), video_encoder=coder)}
        av.logging.set_level(level)  # LeRobot leaves FFmpeg printing to the terminal


def whole_fps(contract: Contract) -> int:
    """The rate as LeRobot stores it. Raises DatasetError unless it is a whole number."""
    if contract.rate_hz != int(contract.rate_hz) or contract.rate_hz < 1:
        raise DatasetError(
            f"a rate of {contract.rate_hz:g} Hz; LeRobot stores whole frames a second, such as 30."
        )
    return int(contract.rate_hz)


def _require_columns(root: Path, info: DatasetInfo, features: Mapping[str, Any]) -> None:
    def shapes(given: Mapping[str, Any]) -> set[tuple[str, str, tuple[int, ...]]]:
        return {(key, f["dtype"], tuple(f["shape"])) for key, f in given.items()}

    odd = sorted({key for key, *_ in shapes(info.features) ^ shapes(features)})
    if odd:
        raise DatasetError(
            f"{root} has other columns than are recorded now ({', '.join(odd)}): an older "
            "version's dataset, or another arm's. Record into a new one."
        )


def _at(template: str, place: Place, key: str = "") -> str:
    return template.format(chunk_index=place[0], file_index=place[1], video_key=key)


def _parquet(table: pa.Table) -> bytes:
    """One row group, as LeRobot writes an episode."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="snappy")
    return sink.getvalue().to_pybytes()


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=4, ensure_ascii=False).encode()


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
        extra_options={"bf": 0, "tune": film.TUNE},
    )
