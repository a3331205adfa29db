"""How far a dataset has come, by its own files: what a writer goes on from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lerobot.datasets.compute_stats import aggregate_stats
from lerobot.datasets.io_utils import cast_stats_to_numpy
from lerobot.datasets.utils import DatasetInfo
from lerobot.utils.utils import unflatten_dict

from vibrissa.core.errors import DatasetError
from vibrissa.data import layout
from vibrissa.data.features import EPISODES_FILE, IMAGES, OURS
from vibrissa.data.info import checked_stats

Place = tuple[int, int]  # chunk, file


@dataclass(frozen=True)
class Standing:
    """How far a dataset has come: what its meta files say. Replaced as a whole, or not at all."""

    info: DatasetInfo
    tasks: tuple[str, ...] = ()
    stats: dict[str, Any] | None = None
    notes_size: int = 0
    last: Mapping[str, Place] = field(default_factory=dict)  # of "data", "meta", each camera


def standing_of(root: Path) -> Standing:
    """How far the dataset in `root` has come. Raises DatasetError where it cannot be read.

    Statistics that count other rows than info.json speaks of were cut off between the two, and
    are put together anew from the episodes' own.
    """
    info = layout.read_info(root)
    table = [
        row
        for file in sorted((root / "meta" / "episodes").glob("*/*.parquet"))
        for row in layout.read_table(file).to_pylist()
        if row["episode_index"] < info.total_episodes
    ]
    if len(table) != info.total_episodes:
        raise DatasetError(
            f"{root} says {info.total_episodes} episodes and its table has {len(table)}."
        )
    stats = cast_stats_to_numpy(checked_stats(root, layout.read_stats(root)))
    if not stats or int(stats["index"]["count"][0]) != info.total_frames:
        stats = aggregate_stats([_stats_of(row) for row in table])
    final = max(table, key=lambda row: row["episode_index"])
    last = {"data": _last(table, "data"), "meta": _last(table, "meta/episodes")}
    for key in info.video_keys:
        if final.get(f"videos/{key}/chunk_index") is not None:
            last[key.removeprefix(IMAGES)] = _last(table, f"videos/{key}")
    notes = root / OURS / EPISODES_FILE
    lines = notes.read_bytes().splitlines(keepends=True) if notes.is_file() else []
    size = sum(map(len, lines[: info.total_episodes]))
    return Standing(
        DatasetInfo.from_dict(dict(info.raw)), layout.read_tasks(root, info), stats, size, last
    )


def _last(table: Sequence[Mapping[str, Any]], key: str) -> Place:
    return max((row[f"{key}/chunk_index"], row[f"{key}/file_index"]) for row in table)


def _stats_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """An episode's statistics as its row in the table holds them."""
    own = {k.removeprefix("stats/"): v for k, v in row.items() if k.startswith("stats/")}
    return cast_stats_to_numpy(unflatten_dict(own))
