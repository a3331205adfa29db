"""Whether the rows of a dataset are what its tables say, looked at wherever one is opened.

Every episode has a number of its own, its rows lie together and count from 0, and all rows of a
vector have the size that info.json says. Each function returns sentences, with the first episode
or row that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import DatasetError
from vibrissa.data.info import PICTURES, Info
from vibrissa.data.layout import EpisodeRow
from vibrissa.data.reading import parquet_files

NEEDED = ("timestamp", "episode_index", "index", "task_index")  # LeRobot reads them in every row


class Rows(Protocol):
    """What is asked of a dataset here."""

    @property
    def root(self) -> Path: ...
    @property
    def info(self) -> Info: ...
    @property
    def episodes(self) -> Sequence[EpisodeRow]: ...
    @property
    def files(self) -> Sequence[Path]: ...
    @property
    def tasks(self) -> Sequence[str]: ...
    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def spans(self) -> Mapping[int, slice]: ...
    def column(self, name: str) -> NDArray: ...
    def is_as_declared(self, name: str) -> bool: ...
    def shortened(self, error: DatasetError) -> str: ...


def row_problems(dataset: Rows) -> list[str]:
    """What does not add up. Raises DatasetError where rows of one episode lie in two places."""
    told = [*_numbers(dataset), *_lengths(dataset), *_totals(dataset), *_frame_index(dataset)]
    if dataset.info.is_v3:
        told += [*_needed(dataset), *_places(dataset), *_strange_files(dataset)]
    return [*told, *_sizes(dataset), *_tasks(dataset)]


def _numbers(dataset: Rows) -> Iterator[str]:
    """Format v3.0 finds an episode by its place in the table."""
    for place, row in enumerate(dataset.episodes if dataset.info.is_v3 else ()):
        if row.index != place:
            yield (
                f"the episodes' table numbers its episodes {_few(dataset)}; LeRobot wants 0 to "
                f"{len(dataset.episodes) - 1} without a gap, and the first that is off is "
                f"{row.index}."
            )
            return


def _few(dataset: Rows) -> str:
    numbers = [str(row.index) for row in dataset.episodes]
    return ", ".join(numbers[:6]) + (" …" if len(numbers) > 6 else "")


def _lengths(dataset: Rows) -> Iterator[str]:
    have = {index: span.stop - span.start for index, span in dataset.spans.items()}
    for row in dataset.episodes:
        if have.get(row.index) != row.length:
            yield (
                f"episode {row.index} should have {row.length} rows and has "
                f"{have.get(row.index, 0)}: a file is cut off or was edited."
            )
    for index in sorted(have.keys() - {row.index for row in dataset.episodes}):
        yield f"{have[index]} rows are of episode {index}, which the episodes' table does not name."


def _totals(dataset: Rows) -> Iterator[str]:
    info, rows = dataset.info, len(dataset.column("episode_index"))
    if len(dataset.episodes) != info.total_episodes:
        yield (
            f"info.json says {info.total_episodes} episodes, the episodes' table has "
            f"{len(dataset.episodes)}."
        )
    if info.total_frames is not None and info.total_frames != rows:
        yield f"info.json says {info.total_frames} rows, the data files have {rows}."


def _frame_index(dataset: Rows) -> Iterator[str]:
    """Counts the rows of each episode from 0."""
    if "frame_index" not in dataset.columns:
        return
    wanted = np.concatenate([np.arange(s.stop - s.start) for s in dataset.spans.values()])
    yield from _first_off(dataset, "frame_index", wanted, "rows are missing or in another order")


def _needed(dataset: Rows) -> Iterator[str]:
    for name in NEEDED:
        if name not in dataset.columns and name not in dataset.info.features:
            yield f"the data files have no column {name}, which LeRobot needs."


def _places(dataset: Rows) -> Iterator[str]:
    """LeRobot takes what comes after a row by the column index, and by the table's bounds."""
    if "index" in dataset.columns:
        wanted = np.arange(len(dataset.column("episode_index")))
        yield from _first_off(
            dataset, "index", wanted, "LeRobot would take the next actions from other rows"
        )
    for row in dataset.episodes:
        mine = dataset.spans.get(row.index)
        if row.bounds and mine and row.bounds != (mine.start, mine.stop):
            yield (
                f"the episodes' table says that episode {row.index} has the rows {row.bounds[0]} "
                f"to {row.bounds[1] - 1}; it has {mine.start} to {mine.stop - 1}."
            )
            return


def _first_off(dataset: Rows, name: str, wanted: NDArray, so: str) -> Iterator[str]:
    values, told = _read(dataset, name)
    if values is None or values.shape != wanted.shape:
        yield told or f"{name} must be one whole number a row."
    elif (values != wanted).any():
        row = int(np.argmax(values != wanted))
        episode = dataset.column("episode_index")[row]
        yield (
            f"row {row} (of episode {episode}) has {name} {values[row]} and should have "
            f"{wanted[row]}: {so}."
        )


def _strange_files(dataset: Rows) -> Iterator[str]:
    """LeRobot reads every parquet file there is, in the order of their names."""
    named = set(dataset.files)
    strange = [
        path
        for path in parquet_files(dataset.root / "data")
        if path not in named and path < max(named)
    ]
    if strange:
        yield (
            f"{strange[0].relative_to(dataset.root)} is named by no episode, and LeRobot reads its "
            "rows with the others. Move it out of the dataset."
        )


def _sizes(dataset: Rows) -> Iterator[str]:
    """All rows of a feature have the size and type that info.json says."""
    for name, feature in dataset.info.features.items():
        if name not in dataset.columns or feature["dtype"] in PICTURES:
            continue
        if not dataset.is_as_declared(name):
            told = _read(dataset, name)[1]
            if told:
                yield told


def _read(dataset: Rows, name: str) -> tuple[NDArray | None, str]:
    """A column, or why it cannot be read."""
    try:
        return dataset.column(name), ""
    except DatasetError as error:
        return None, dataset.shortened(error)


def _tasks(dataset: Rows) -> Iterator[str]:
    """Every row's task is one that there is."""
    values = _read(dataset, "task_index")[0] if "task_index" in dataset.columns else None
    if values is None:
        return
    off = (values < 0) | (values >= len(dataset.tasks))
    if off.any():
        row = int(np.argmax(off))
        yield (
            f"row {row} has task_index {values[row]}, and there are {len(dataset.tasks)} tasks, "
            "numbered from 0."
        )
