"""Reads any LeRobot dataset that lies on this disk: no network, no torch, no guesses.

`open_dataset` refuses what cannot be trusted (a part missing, rows that do not add up, an old
format) in one sentence; with `strict=False` it opens what can be read and tells the rest as
`problems`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vibrissa.core.contract import Contract, differences
from vibrissa.core.episode import Picture
from vibrissa.core.errors import DatasetError
from vibrissa.core.units import UNITS, Unit
from vibrissa.data import layout, ours
from vibrissa.data.columns import as_array, is_as_declared, is_number
from vibrissa.data.features import BOOKKEEPING, STATE, channel_names, inferred_contract
from vibrissa.data.info import Info, kind_of
from vibrissa.data.joint_units import arms_of, units_of
from vibrissa.data.layout import EpisodeRow
from vibrissa.data.reading import Part, read_length, read_part, unreadable
from vibrissa.data.row_checks import row_problems
from vibrissa.data.spans import Wanted, no_picture, span_problems
from vibrissa.data.values import NEXT


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk. Columns are read when asked for, and kept."""

    root: Path
    info: Info
    episodes: tuple[EpisodeRow, ...]
    files: tuple[Path, ...]
    tasks: tuple[str, ...]
    stats: Mapping[str, Any]
    problems: tuple[str, ...] = ()
    _read: dict[str, NDArray] = field(default_factory=dict, repr=False, compare=False)

    @property
    def version(self) -> str:
        return self.info.version

    @property
    def fps(self) -> float:
        return self.info.fps

    @property
    def features(self) -> Mapping[str, Mapping[str, Any]]:
        return self.info.features

    @property
    def frames(self) -> int:
        return sum(row.length for row in self.episodes)

    @property
    def is_ours(self) -> bool:
        """Whether our recorder wrote it, and so its contract."""
        return ours.is_ours(self.root)

    @cached_property
    def contract(self) -> Contract:
        """What the stored numbers mean: as our recorder noted, else as far as they tell it.

        LeRobot's editing loses our note, and keeps the set before the edit beside it; its
        contract is taken where it says nothing else of these numbers. A task that was changed since
        is the instruction.
        """
        if self.is_ours:
            return self._as_tasked(ours.read_contract(self.root))
        told = {**self.info.raw, "features": self.features, "fps": self.fps}
        inferred = inferred_contract(told, self._joint_unit())
        before = ours.contract_before(self.root)
        if before is None or differences(inferred, before):
            return inferred
        return self._as_tasked(before)

    @cached_property
    def notes(self) -> tuple[dict[str, Any], ...]:
        """What our recorder noted of each episode (seed, outcome, …).

        Empty for others' data, and where the notes are those of other episodes: see `noted`.
        """
        return self.noted if ours.notes_fit(self.noted, self.episodes) else ()

    @cached_property
    def noted(self) -> tuple[dict[str, Any], ...]:
        """The notes as they lie there, whether or not they are those of these episodes."""
        # A line behind those is being written, or was cut off.
        most = self.info.total_episodes if layout.is_open(self.root) else None
        return ours.read_notes(self.root, most)

    @cached_property
    def sessions(self) -> tuple[dict[str, Any], ...]:
        """What our recorder noted of each session in which it was recorded; empty for others'."""
        return ours.read_sessions(self.root)

    @cached_property
    def lineage(self) -> dict[str, Any]:
        """What it was made from, where it was made from another dataset; else empty."""
        return ours.read_lineage(self.root)

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

    def shortened(self, error: DatasetError) -> str:
        """What an error says, without the folder that the reader has just named."""
        return str(error).replace(f"{self.root}/", "").removeprefix(f"{self.root}: ")

    def column(self, name: str) -> NDArray:
        """One column of all episodes in order: (N, D), or (N,) for what has one channel.

        Of the type that info.json says. Raises DatasetError with the columns there are, and for
        rows of several lengths, rows without a value, values of another type.
        """
        if name not in self._read:
            if name not in self.columns:
                raise DatasetError(
                    f"{self.root} has no column {name!r}. There is: {', '.join(self.columns)}."
                )
            parts = [self._part(file, name) for file in self.files]
            full = [part for part in parts if len(part)] or parts[:1]
            widths = {part.shape[1:] for part in full}
            if len(widths) > 1:
                raise DatasetError(
                    f"{self.root}: {name} has rows of shape {' and '.join(map(str, widths))} in "
                    f"different files; one is allowed. {NEXT}"
                )
            whole = np.concatenate(full)
            if name in self.features and not self._fits(name, whole.shape[1:]):
                sizes = list(whole.shape[1:])
                raise DatasetError(
                    f"{self.root}: info.json says that {name} has the shape "
                    f"{list(self.features[name]['shape'])}; its rows hold "
                    f"{f'lists of the shape {sizes}' if sizes else 'one number each'}. {NEXT}"
                )
            self._read[name] = whole
        return self._read[name]

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
        """What was to be done in `episode`: as its first row says, like LeRobot."""
        if "task_index" in self.columns:
            return self.tasks[int(self.column("task_index")[self.rows(episode).start])]
        tasks = next(row.tasks for row in self.episodes if row.index == episode)
        return tasks[0] if tasks else ""

    def has_pictures(self, key: str, episode: int) -> bool:
        """Whether the pictures of feature `key` in `episode` are at hand."""
        row = self._row(episode)
        return row.videos[key].path.is_file() if key in row.videos else key in self.columns

    def pictures(self, key: str, episode: int, which: Sequence[int]) -> Iterator[Picture]:
        """Pictures of the feature `key`: the `which`-th rows of `episode`, ascending.

        (H, W, 3) uint8 RGB, or (H, W) float32 m of a feature that is marked as depth.
        """
        from vibrissa.data import pictures

        row = self._row(episode)
        rows = self.rows(episode)
        if which and max(which) >= rows.stop - rows.start:
            raise DatasetError(
                f"{self.root}: episode {episode} has {rows.stop - rows.start} rows; the picture of "
                f"row {max(which)} was asked for."
            )
        if key in row.videos:
            film, wanted_s = row.videos[key].path, self.wanted_times(key, episode).times_s

            def missing(place: int, nearest_s: float) -> DatasetError:
                at, where = which[place], film.relative_to(self.root)
                line = no_picture(where, key, episode, at, wanted_s[at], nearest_s)
                return DatasetError(f"{self.root}: {line}")

            times = [float(wanted_s[i]) for i in which]
            return pictures.from_video(film, times, self.features[key], missing)
        if key not in self.columns:
            raise DatasetError(f"{self.root}: episode {episode} has no film of {key}.")
        return self._cells(key, [rows.start + int(i) for i in which])

    def _cells(self, key: str, rows: Sequence[int]) -> Iterator[Picture]:
        """The pictures that parquet files hold in these rows of the dataset, ascending."""
        from vibrissa.data import pictures

        first = 0
        for file in self.files:
            end = first + read_length(file)
            mine = [row - first for row in rows if first <= row < end]
            column = _column(file, key) if mine else pa.chunked_array([], pa.null())
            try:
                yield from pictures.from_cells(column, mine, self.features[key])
            except DatasetError as error:
                raise DatasetError(f"{file}, column {key}: {error}. {NEXT}") from error
            first = end

    def _part(self, file: Path, name: str) -> NDArray:
        """One column of one file."""
        kept = self._parts[file].kept
        column = kept[name] if name in kept.column_names else _column(file, name)
        try:
            return as_array(column, self.features.get(name))
        except DatasetError as error:
            raise DatasetError(f"{file}, column {name}: {error}. {NEXT}") from error

    def wanted_times(self, key: str, episode: int) -> Wanted:
        """When each row of `episode` wants its picture of the filmed feature `key`.

        Raises DatasetError where the film must be looked into and cannot be read.
        """
        from vibrissa.data.frame_times import wanted_times

        rows = self.rows(episode)
        span = self._row(episode).videos[key]
        return wanted_times(self.stamps(episode), rows.stop - rows.start, span, self.fps)

    def stamps(self, episode: int) -> NDArray[np.float64] | None:
        """The timestamps of an episode (n,) s; None where none are stored."""
        if "timestamp" not in self.numbers:
            return None
        stored = self.column("timestamp")[self.rows(episode)]
        return stored.reshape(len(stored), -1)[:, 0].astype(np.float64)

    def _row(self, episode: int) -> EpisodeRow:
        return next(row for row in self.episodes if row.index == episode)

    def _as_tasked(self, contract: Contract) -> Contract:
        if len(self.tasks) != 1 or not contract.instruction:
            return contract
        return replace(contract, instruction=self.tasks[0])

    def _joint_unit(self) -> Unit | None:
        """The unit on which all SO-101 arms of the state agree, worked out from the values."""
        arms = arms_of(channel_names(self.features.get(STATE, {})))
        found = {units_of(self.column(STATE)[:, arm.columns]).unit for arm in arms}
        return next((unit for unit in UNITS if found == {unit}), None)

    @property
    def _schema(self) -> pa.Schema:
        return self._parts[self.files[0]].schema

    @cached_property
    def _parts(self) -> dict[Path, Part]:
        """Of each file its types, and the columns by which rows are found."""
        return {file: read_part(file, BOOKKEEPING) for file in self.files}

    def is_as_declared(self, name: str) -> bool:
        """Whether the files' own types prove that a column is what info.json says of it."""
        feature = self.features[name]
        return all(is_as_declared(part, name, feature) for part in self._parts.values())

    @property
    def spans(self) -> Mapping[int, slice]:
        """The rows of each episode, from the rows themselves: every row lies in exactly one.

        Raises DatasetError where an episode's rows lie in two places.
        """
        return self._spans

    @cached_property
    def _spans(self) -> dict[int, slice]:
        index = self.column("episode_index")
        if index.ndim != 1 or index.dtype.kind not in "iu" or not len(index):
            raise DatasetError(
                f"{self.root}: the column episode_index must be one whole number a row, of at "
                f"least one row; it is {index.dtype} of shape {index.shape}. {NEXT}"
            )
        firsts = np.flatnonzero(np.r_[True, index[1:] != index[:-1]])
        ends = np.r_[firsts[1:], len(index)]
        spans: dict[int, slice] = {}
        for first, end in zip(firsts, ends):
            episode = int(index[first])
            if episode in spans:
                before = spans[episode]
                raise DatasetError(
                    f"{self.root}: rows of episode {episode} lie in two places (rows "
                    f"{before.start} to {before.stop - 1}, and from row {first} on): its number "
                    "was used twice, or the rows were put in another order."
                )
            spans[episode] = slice(int(first), int(end))
        return spans

    def _fits(self, name: str, width: tuple[int, ...]) -> bool:
        """Of one number a row LeRobot wants no lists; its older formats had them."""
        shape = self.features[name]["shape"]
        if shape == (1,):
            return width == () or (width == (1,) and not self.info.is_v3)
        return width == shape

    def _is_number(self, name: str) -> bool:
        declared = kind_of(self.features[name]["dtype"]) if name in self.features else None
        return is_number(declared or self._schema.field(name).type)


def open_dataset(path: Path | str, *, strict: bool = True) -> Dataset:
    """The dataset in folder `path`.

    Raises DatasetError for a missing folder, no meta/info.json, Git LFS pointers, a table that
    is cut off or absent, and, when `strict`, for anything that would be in `problems`: an older
    format (with the command that converts it), missing videos, rows that do not add up.
    """
    root = Path(path)
    try:
        return _opened(root, strict)
    except OSError as error:  # a folder that may not be looked into, a disk that fails
        raise unreadable(root, error) from error


def _opened(root: Path, strict: bool) -> Dataset:
    info = layout.read_info(root)
    episodes = layout.read_episodes(root, info)
    if layout.is_open(root):  # what info.json does not speak of is being written
        episodes = episodes[: info.total_episodes]
    files = layout.data_files(root, episodes)
    tasks, stats = layout.read_tasks(root, info), layout.read_stats(root)
    dataset = Dataset(root, info, episodes, files, tasks, stats)
    problems = _problems(dataset)
    if strict and problems:
        raise DatasetError(f"{root}: {problems[0]}{layout.more(problems)}")
    return replace(dataset, problems=tuple(problems))


def contract_of(dataset: Path | str | Mapping[str, Any]) -> Contract:
    """The contract of a stored dataset, from its folder, or from its info.json's dict alone.

    Ours carry it; anybody else's is inferred, its joint unit from the recorded values. Raises
    DatasetError for a folder that holds no readable dataset.
    """
    if isinstance(dataset, Mapping):
        return inferred_contract(dataset)
    return open_dataset(dataset, strict=False).contract


def _problems(dataset: Dataset) -> list[str]:
    """What keeps `dataset` from being trusted as it stands, one sentence each."""
    return [
        *_old_format(dataset),
        *row_problems(dataset),
        *layout.missing(
            dataset.root, (span.path for row in dataset.episodes for span in row.videos.values())
        ),
        *_features_without_data(dataset),
        *span_problems(
            dataset.info.video_keys,
            [row for row in dataset.episodes if row.index in dataset.spans],
            dataset.stamps,
            dataset.fps,
        ),
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


def _features_without_data(dataset: Dataset) -> list[str]:
    told = []
    for key in dataset.features:
        if key in dataset.columns:
            continue
        bare = [row.index for row in dataset.episodes if key not in row.videos]
        if len(bare) == len(dataset.episodes):
            told.append(f"info.json lists the feature {key}, of which there is no data.")
        elif bare:
            told.append(f"the episodes' table names no film of {key} for episode {bare[0]}.")
    return told


def _content(root: Path) -> Iterator[Path]:
    """The files below meta, data and videos, those in linked folders too, each folder once."""
    home = os.path.realpath(root)
    for part in ("meta", "data", "videos"):
        seen: set[str] = set()
        for folder, below, names in os.walk(root / part, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen or Path(home).is_relative_to(real):  # a link that leads in a circle
                below.clear()
                continue
            seen.add(real)
            yield from (p for n in names if (p := Path(folder, n)).is_file() and n[0] != ".")


def _column(file: Path, name: str) -> pa.ChunkedArray:
    """One column of a parquet file. Raises DatasetError where this file lacks it."""
    table = layout.read_table(file, [name])
    if name not in table.column_names:
        raise DatasetError(f"{file} has no column {name!r}, which other files have. {NEXT}")
    return table[name]
