"""Reads any LeRobot dataset that lies on this disk: no network, no torch, no guesses.

`open_dataset` refuses what cannot be trusted (a part missing, rows that do not add up, an old
format) in one sentence; with `strict=False` it opens what can be read and tells the rest as
`problems`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vibrissa.core.contract import Contract
from vibrissa.core.episode import Picture
from vibrissa.core.errors import ContractError, DatasetError
from vibrissa.core.units import UNITS, Unit
from vibrissa.data import layout
from vibrissa.data.features import (
    CONTRACT_FILE,
    EPISODES_FILE,
    LINEAGE_FILE,
    OURS,
    RECORDING_FILE,
    STATE,
    channel_names,
    inferred_contract,
)
from vibrissa.data.joint_units import arms_of, units_of
from vibrissa.data.layout import EpisodeRow


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk. Columns are read when asked for, and kept."""

    root: Path
    info: Mapping[str, Any]
    episodes: tuple[EpisodeRow, ...]
    tasks: tuple[str, ...]
    stats: Mapping[str, Any]
    problems: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        return self.info["codebase_version"]

    @property
    def fps(self) -> float:
        return float(self.info["fps"])

    @property
    def features(self) -> Mapping[str, Mapping[str, Any]]:
        return self.info["features"]

    @property
    def frames(self) -> int:
        return sum(row.length for row in self.episodes)

    @property
    def is_ours(self) -> bool:
        """Whether our recorder wrote it, and so its contract."""
        return (self.root / OURS / CONTRACT_FILE).is_file()

    @cached_property
    def contract(self) -> Contract:
        """What the stored numbers mean: as our recorder noted, else as far as they tell it."""
        path = self.root / OURS / CONTRACT_FILE
        if not self.is_ours:
            return inferred_contract(self.info, self._joint_unit())
        try:
            return Contract.from_dict(layout.read_json(path))
        except ContractError as error:
            raise DatasetError(f"{path} cannot be read: {error}") from error

    @cached_property
    def notes(self) -> tuple[dict[str, Any], ...]:
        """What our recorder noted of each episode (seed, outcome, …); empty for others' data."""
        path = self.root / OURS / EPISODES_FILE
        # A line behind those is being written, or was cut off.
        most = self.info["total_episodes"] if layout.is_open(self.root) else None
        return tuple(layout.read_jsonl(path, most)) if path.is_file() else ()

    @cached_property
    def sessions(self) -> tuple[dict[str, Any], ...]:
        """What our recorder noted of each session in which it was recorded; empty for others'."""
        path = self.root / OURS / RECORDING_FILE
        return tuple(layout.read_json(path).get("sessions", ())) if path.is_file() else ()

    @cached_property
    def lineage(self) -> dict[str, Any]:
        """What it was made from, where it was made from another dataset; else empty."""
        path = self.root / OURS / LINEAGE_FILE
        return layout.read_json(path) if path.is_file() else {}

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that change when any stored byte of meta, data or videos does."""
        whole = hashlib.sha256()
        for path in sorted(_content(self.root)):
            with path.open("rb") as file:
                part = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.relative_to(self.root).as_posix()} {part}\n".encode())
        return whole.hexdigest()[:16]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the data files really have (videos are no columns)."""
        return tuple(self._schema.names)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns of numbers: no stored pictures, no text."""
        return tuple(name for name in self.columns if self._is_number(name))

    def column(self, name: str) -> NDArray:
        """One column of all episodes in order: (N, D), or (N,) for what has one channel.

        Raises DatasetError with the columns there are.
        """
        cache: dict[str, NDArray] = self.__dict__.setdefault("_cache", {})
        if name not in cache:
            if name not in self.columns:
                raise DatasetError(
                    f"{self.root} has no column {name!r}. There is: {', '.join(self.columns)}."
                )
            parts = [_array(layout.read_table(file, [name])[name]) for file in self._files]
            cache[name] = np.concatenate(parts)
        return cache[name]

    def rows(self, episode: int) -> slice:
        """Which rows of a column belong to `episode`. Raises DatasetError with those there are."""
        spans = self.spans
        if episode not in spans:
            known = f"0 to {max(spans)}" if spans else "none"
            raise DatasetError(f"{self.root} has no episode {episode}. There is: {known}.")
        return spans[episode]

    def episode(self, episode: int) -> dict[str, NDArray]:
        """Every column of one episode, stored pictures left out."""
        rows = self.rows(episode)
        return {name: self.column(name)[rows] for name in self.numbers}

    def instruction(self, episode: int) -> str:
        tasks = next(row.tasks for row in self.episodes if row.index == episode)
        return tasks[0] if tasks else ""

    def has_pictures(self, key: str, episode: int) -> bool:
        """Whether the pictures of feature `key` in `episode` are at hand."""
        row = next(row for row in self.episodes if row.index == episode)
        return row.videos[key].path.is_file() if key in row.videos else key in self.columns

    def pictures(self, key: str, episode: int, which: Sequence[int]) -> Iterator[Picture]:
        """Pictures of the feature `key`: the `which`-th rows of `episode`, ascending.

        (H, W, 3) uint8 RGB, or (H, W) float32 m of a feature that is marked as depth.
        """
        from vibrissa.data import pictures

        row = next(row for row in self.episodes if row.index == episode)
        if key in row.videos:
            return pictures.from_video(row.videos[key], self.fps, which, self.features[key])
        stored = layout.read_table(row.data, [key, "episode_index"])
        mine = np.flatnonzero(stored["episode_index"].to_numpy() == episode)
        return pictures.from_cells(stored[key], [int(mine[i]) for i in which], self.features[key])

    def _joint_unit(self) -> Unit | None:
        """The unit on which all SO-101 arms of the state agree, worked out from the values."""
        arms = arms_of(channel_names(self.features.get(STATE, {})))
        found = {units_of(self.column(STATE)[:, arm.columns]).unit for arm in arms}
        return next((unit for unit in UNITS if found == {unit}), None)

    @cached_property
    def _files(self) -> tuple[Path, ...]:
        """The data files, in the order of the episodes they hold."""
        return tuple(dict.fromkeys(row.data for row in self.episodes))

    @cached_property
    def _schema(self) -> pa.Schema:
        return layout.read_schema(self._files[0])

    @cached_property
    def spans(self) -> dict[int, slice]:
        """The rows of each episode, from the rows themselves."""
        index = self.column("episode_index")
        firsts = np.flatnonzero(np.r_[True, index[1:] != index[:-1]])
        ends = np.r_[firsts[1:], len(index)]
        return {int(index[a]): slice(int(a), int(b)) for a, b in zip(firsts, ends)}

    def _is_number(self, name: str) -> bool:
        kind = self._schema.field(name).type
        while pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
            kind = kind.value_type
        return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def open_dataset(path: Path | str, *, strict: bool = True) -> Dataset:
    """The dataset in folder `path`.

    Raises DatasetError for a missing folder, no meta/info.json, Git LFS pointers, a table that
    is cut off or absent, and, when `strict`, for anything that would be in `problems`: an older
    format (with the command that converts it), missing videos, rows that do not add up.
    """
    root = Path(path)
    info = layout.read_info(root)
    episodes = layout.read_episodes(root, info)
    if layout.is_open(root):  # what info.json does not speak of is being written
        episodes = episodes[: info["total_episodes"]]
    absent = layout.missing(root, (row.data for row in episodes))
    if absent:
        raise DatasetError(f"{root}: {absent[0]}{_more(absent)}")
    dataset = Dataset(root, info, episodes, layout.read_tasks(root, info), layout.read_stats(root))
    problems = _problems(dataset)
    if strict and problems:
        raise DatasetError(f"{root}: {problems[0]}{_more(problems)}")
    return Dataset(root, info, episodes, dataset.tasks, dataset.stats, tuple(problems))


def contract_of(dataset: Path | str | Mapping[str, Any]) -> Contract:
    """The contract of a stored dataset, from its folder, or from its info.json's dict alone.

    Ours carry it; anybody else's is inferred, its joint unit from the recorded values. Raises
    DatasetError for a folder that holds no readable dataset.
    """
    if isinstance(dataset, Mapping):
        return inferred_contract(dataset)
    return open_dataset(dataset, strict=False).contract


def _more(told: Sequence[str]) -> str:
    return f" (And {len(told) - 1} more.)" if len(told) > 1 else ""


def _problems(dataset: Dataset) -> list[str]:
    """What keeps `dataset` from being trusted as it stands, one sentence each."""
    return [
        *_old_format(dataset),
        *_rows_that_do_not_add_up(dataset),
        *layout.missing(
            dataset.root, (span.path for row in dataset.episodes for span in row.videos.values())
        ),
        *_features_without_data(dataset),
    ]


def _old_format(dataset: Dataset) -> list[str]:
    to_v3 = (
        "python -m lerobot.scripts.convert_dataset_v21_to_v30 "
        f"--repo-id=local/{dataset.root.name} --root={dataset.root} --push-to-hub=false"
    )
    if dataset.version == "v2.1":
        return [f"format v2.1 is older than v3.0. Convert a copy of it: {to_v3}"]
    if dataset.version == "v2.0":
        return [
            "format v2.0 is two older than v3.0. LeRobot 0.3.3 converts it to v2.1 "
            f"(lerobot.datasets.v21.convert_dataset_v20_to_v21); after that: {to_v3}"
        ]
    return []


def _rows_that_do_not_add_up(dataset: Dataset) -> list[str]:
    told = []
    have = {index: span.stop - span.start for index, span in dataset.spans.items()}
    for row in dataset.episodes:
        if have.get(row.index) != row.length:
            told.append(
                f"episode {row.index} should have {row.length} rows and has "
                f"{have.get(row.index, 0)}: a file is cut off or was edited."
            )
    if len(dataset.episodes) != dataset.info["total_episodes"]:
        told.append(
            f"info.json says {dataset.info['total_episodes']} episodes, the episodes' table has "
            f"{len(dataset.episodes)}."
        )
    total = dataset.info.get("total_frames")
    if total is not None and total != len(dataset.column("episode_index")):
        told.append(
            f"info.json says {total} rows, the data files have "
            f"{len(dataset.column('episode_index'))}."
        )
    return told


def _features_without_data(dataset: Dataset) -> list[str]:
    filmed = {key for row in dataset.episodes for key in row.videos}
    lacking = [key for key in dataset.features if key not in dataset.columns and key not in filmed]
    return [f"info.json lists the feature {key}, of which there is no data." for key in lacking]


def _content(root: Path) -> Iterator[Path]:
    for part in ("meta", "data", "videos"):
        for path in (root / part).rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                yield path


def _array(column: pa.ChunkedArray) -> NDArray:
    """A parquet column as (N,) or, for lists of one length, (N, D)."""
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)):
        return column.to_numpy()
    flat = column.combine_chunks().flatten()
    if pa.types.is_nested(flat.type):
        return np.array(column.to_pylist())
    return flat.to_numpy(zero_copy_only=False).reshape(len(column), -1)
