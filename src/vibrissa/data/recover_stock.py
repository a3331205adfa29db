"""A recording of LeRobot's own that was killed: as far as its bytes allow, as a new dataset.

LeRobot writes the footers of its tables when it is closed, and keeps the episodes' table in
memory, ten episodes at a time. The rows of a saved episode are on the disk all the same: they are
read without a footer, the episodes' table is made from them anew, and films are taken as they are.
The rows of the open episode were in memory only.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vibrissa.core.errors import DatasetError
from vibrissa.data import layout
from vibrissa.data.disk import writing
from vibrissa.data.footer import rebuilt
from vibrissa.data.info import Info, checked_info


@dataclass
class Salvaged:
    """What could be had of a killed recording, and what not, one sentence each."""

    path: Path
    episodes: int = 0
    rows: int = 0
    had: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**self.__dict__, "path": str(self.path)}


@dataclass(frozen=True)
class _Episode:
    """An episode's rows and where its films are: feature → (chunk and file, from, to in s)."""

    rows: pa.Table
    films: Mapping[str, tuple[tuple[int, int], float, float]]


def recover_stock(root: Path, out: Path) -> Salvaged:
    """Put what there is of the recording in `root` into the new dataset `out`.

    `root` is only read. Raises DatasetError where there is not one whole episode in it.
    """
    file = root / "meta" / "info.json"
    info = checked_info(file, layout.read_json(file), is_finished=False)
    told = Salvaged(out)
    if not info.is_v3:
        raise DatasetError(f"{root} is of format {info.version}; only v3.0 can be recovered.")
    rows = _rows(root, info, told)
    episodes = _with_films(root, info, _split(rows), told)
    _tell_open_episode(root, told)
    if not episodes:
        raise DatasetError(f"{root}: not one whole episode is left. {' '.join(told.lost)}")
    with writing(out):
        _write(root, out, info, episodes)
    told.episodes, told.rows = len(episodes), sum(len(e.rows) for e in episodes)
    return told


def _rows(root: Path, info: Info, told: Salvaged) -> pa.Table:
    """All rows that can be read, with a footer or without."""
    from lerobot.datasets.feature_utils import get_hf_features_from_features

    schema = get_hf_features_from_features(dict(info.features)).arrow_schema
    tables = []
    for path in sorted((root / "data").glob("*/*.parquet")):
        try:
            tables.append(pq.read_table(path))
        except (OSError, pa.ArrowException):
            try:
                tables.append(rebuilt(path, schema))
            except DatasetError as error:
                told.lost.append(str(error))
                continue
            told.had.append(f"{path.relative_to(root)}: {len(tables[-1])} rows without a footer")
    if not tables:
        raise DatasetError(f"{root} holds no rows that can be read. {' '.join(told.lost)}")
    return pa.concat_tables([table.select(schema.names).cast(schema) for table in tables])


def _split(rows: pa.Table) -> list[pa.Table]:
    """The rows of each episode, from episode 0 on."""
    episodes = []
    while len(mine := rows.filter(pc.field("episode_index") == len(episodes))):
        episodes.append(mine)
    return episodes


def _with_films(root: Path, info: Info, rows: Sequence[pa.Table], told: Salvaged) -> list[_Episode]:
    """The episodes of which there are films too, for as long as there is one of each camera."""
    places = {key: _places(root, info, key, rows, told) for key in info.video_keys}
    most = min((len(rows), *map(len, places.values())))
    for key, found in places.items():
        if len(found) < len(rows):
            told.lost.append(
                f"{key}: films of {len(found)} of {len(rows)} episodes whose rows are there"
            )
    return [_Episode(rows[i], {k: found[i] for k, found in places.items()}) for i in range(most)]


def _places(
    root: Path, info: Info, key: str, rows: Sequence[pa.Table], told: Salvaged
) -> list[tuple[tuple[int, int], float, float]]:
    """Where each episode lies in the films of one camera: one behind the other."""
    found: list[tuple[tuple[int, int], float, float]] = []
    for path in sorted((root / "videos" / key).glob("*/*.mp4")):
        place = (int(path.parent.name.split("-")[-1]), int(path.stem.split("-")[-1]))
        frames, at = _frames(path), 0
        if not frames:
            told.lost.append(f"{path.relative_to(root)} is no whole video")
        while len(found) < len(rows) and at + len(rows[len(found)]) <= frames:
            length = len(rows[len(found)])
            found.append((place, at / info.fps, (at + length) / info.fps))
            at += length
    return found


def _frames(path: Path) -> int:
    """How many pictures a video holds; 0 for one that was cut off before its index."""
    frames = 0
    try:
        with av.open(str(path.absolute()), "r") as film:
            frames = sum(1 for packet in film.demux(film.streams.video[0]) if packet.size)
    except (OSError, av.error.FFmpegError, IndexError):
        return 0
    return frames


def _tell_open_episode(root: Path, told: Salvaged) -> None:
    """Pictures wait in `images/` for rows that were never written."""
    for camera in sorted((root / "images").glob("*")):
        count = sum(1 for path in camera.rglob("*") if path.is_file())
        if count:
            told.lost.append(
                f"{count} pictures of {camera.name} lie in images/ and are left there: their rows "
                "were in memory only"
            )


def _write(root: Path, out: Path, info: Info, episodes: Sequence[_Episode]) -> None:
    from lerobot.datasets.compute_stats import aggregate_stats, compute_episode_stats
    from lerobot.datasets.utils import serialize_dict
    from lerobot.utils.utils import flatten_dict

    total = sum(len(episode.rows) for episode in episodes)
    tasks = _tasks(root, episodes)
    numbers = {k: f for k, f in info.features.items() if f["dtype"] not in ("video", "image")}
    table: list[dict[str, Any]] = []
    stats, first = [], 0
    for index, episode in enumerate(episodes):
        columns: dict[str, Any] = {key: _array(episode.rows[key]) for key in numbers}
        stats.append(compute_episode_stats(columns, numbers))
        row = _row(index, first, episode, tasks) | flatten_dict({"stats": stats[-1]})
        table.append({k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in row.items()})
        first += len(episode.rows)
    shutil.copytree(
        root / "meta", out / "meta", ignore=shutil.ignore_patterns("episodes", "*.lock")
    )
    if (root / "videos").is_dir():
        shutil.copytree(root / "videos", out / "videos")
    _table(out / "data" / "chunk-000" / "file-000.parquet", [e.rows for e in episodes])
    _table(out / "meta" / "episodes" / "chunk-000" / "file-000.parquet", [_listed(table)])
    new: dict[str, Any] = aggregate_stats(stats)
    whole = {**layout.read_stats(root), **serialize_dict(new)}
    _json(out / "meta" / "stats.json", whole)
    counts = {"total_episodes": len(episodes), "total_frames": total, "total_tasks": len(tasks)}
    _json(
        out / "meta" / "info.json",
        {**info.raw, **counts, "splits": {"train": f"0:{len(episodes)}"}},
    )


def _tasks(root: Path, episodes: Sequence[_Episode]) -> tuple[str, ...]:
    """The instructions by index. Raises DatasetError where an episode's is not there."""
    tasks = layout.read_tasks_v3(root)
    most = max(int(_array(episode.rows["task_index"]).max()) for episode in episodes)
    if most >= len(tasks):
        raise DatasetError(f"{root} names {len(tasks)} tasks, and its rows speak of {most + 1}.")
    return tasks


def _row(index: int, first: int, episode: _Episode, tasks: Sequence[str]) -> dict[str, Any]:
    """The episode in the episodes' table."""
    known = dict.fromkeys(episode.rows["task_index"].to_pylist())
    length = len(episode.rows)
    row: dict[str, Any] = {
        "episode_index": index,
        "tasks": [tasks[i] for i in known],
        "length": length,
        "data/chunk_index": 0,
        "data/file_index": 0,
        "dataset_from_index": first,
        "dataset_to_index": first + length,
    }
    for key, ((chunk, file), begin_s, end_s) in episode.films.items():
        row[f"videos/{key}/chunk_index"], row[f"videos/{key}/file_index"] = chunk, file
        row[f"videos/{key}/from_timestamp"] = begin_s
        row[f"videos/{key}/to_timestamp"] = end_s
    return {**row, "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}


def _listed(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pydict({key: [row[key] for row in rows] for key in rows[0]})


def _array(column: pa.ChunkedArray) -> NDArray:
    """(T,) or (T, n), as LeRobot's statistics want it."""
    flat = column.combine_chunks()
    if not pa.types.is_fixed_size_list(column.type):
        return flat.to_numpy(zero_copy_only=False)
    return flat.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)


def _table(path: Path, groups: Sequence[pa.Table]) -> None:
    """A row group for each table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, groups[0].schema, compression="snappy") as writer:
        for group in groups:
            writer.write_table(group)


def _json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=4, ensure_ascii=False), encoding="utf-8")
