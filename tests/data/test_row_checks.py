"""Episodes have numbers of their own and rows that count from 0, wherever a dataset is opened."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from data import recordings, tables

from vibrissa.core.errors import DatasetError
from vibrissa.data.cache import Pictures
from vibrissa.data.dataset import open_dataset
from vibrissa.data.loader import Loader, Sampling

LENGTHS = (20, 21, 22)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    return recordings.record(folder / "set", recordings.contract(), 3)


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "copy"))


def number(root: Path, *numbers: int) -> None:
    """Give the episodes other numbers, in the table and in the rows."""
    tables.change_episodes(
        root, lambda rows: [{**r, "episode_index": n} for r, n in zip(rows, numbers, strict=True)]
    )
    for path, to in zip(tables.data_files(root), numbers, strict=True):
        tables.change_table(
            path, lambda t, to=to: tables.with_column(t, "episode_index", lambda v: [to] * len(v))
        )


def refused(root: Path, says: str) -> None:
    with pytest.raises(DatasetError, match=says):
        open_dataset(root)


def test_a_number_used_twice_is_refused(copy: Path) -> None:
    number(copy, 0, 1, 0)
    refused(copy, "names episode 0 twice")
    with pytest.raises(DatasetError, match="names episode 0 twice"):
        open_dataset(copy, strict=False)


def test_a_table_without_episodes_is_refused(copy: Path) -> None:
    for path in copy.glob("meta/episodes/*/*.parquet"):
        tables.change_table(path, lambda t: t.slice(0, 0))
    for strict in (True, False):
        with pytest.raises(DatasetError, match=r"names no episode, and info.json says 3"):
            open_dataset(copy, strict=strict)


def test_rows_in_two_places_are_refused_even_if_the_table_is_whole(copy: Path) -> None:
    path = tables.data_files(copy)[2]
    tables.change_table(path, lambda t: tables.with_column(t, "episode_index", lambda v: [0] * 22))
    refused(copy, r"episode 0 lie in two places \(rows 0 to 19, and from row 41 on\)")


@pytest.mark.parametrize("numbers", [(1, 2, 3), (0, 1, 7)])
def test_numbers_count_from_0_without_a_gap(copy: Path, numbers: tuple[int, ...]) -> None:
    number(copy, *numbers)
    off = next(n for i, n in enumerate(numbers) if n != i)
    refused(copy, f"the first that is off is {off}")


def test_a_frame_index_that_jumps_is_refused(copy: Path) -> None:
    path = tables.data_files(copy)[1]
    tables.change_table(
        path,
        lambda t: tables.with_column(t, "frame_index", lambda v: v[:5] + [x + 1 for x in v[5:]]),
    )
    refused(copy, r"row 25 \(of episode 1\) has frame_index 6 and should have 5")


def test_an_index_of_other_rows_is_refused(copy: Path) -> None:
    tables.change_column(copy, "index", lambda values: [value + 3 for value in values])
    refused(copy, r"row 0 \(of episode 0\) has index 3 and should have 0")


def test_bounds_of_other_rows_are_refused(copy: Path) -> None:
    tables.change_episodes(
        copy,
        lambda rows: [{**row, "dataset_to_index": row["dataset_to_index"] + 1} for row in rows],
    )
    refused(copy, "episode 0 has the rows 0 to 20; it has 0 to 19")


def test_rows_of_an_episode_that_the_table_does_not_name(copy: Path) -> None:
    tables.change_episodes(copy, lambda rows: rows[:2])
    path = tables.data_files(copy)
    tables.change_table(
        path[1], lambda t: tables.with_column(t, "episode_index", lambda v: v[:-1] + [9])
    )
    refused(copy, "1 rows are of episode 9, which the episodes' table does not name|should have 21")


def test_a_file_that_no_episode_names_lies_among_the_others(copy: Path) -> None:
    first = tables.data_files(copy)[0]
    shutil.copy(first, first.with_name("file--01.parquet"))
    refused(copy, r"file--01\.parquet is named by no episode")


def test_every_row_has_the_end_of_its_episode(recorded: Path, tmp_path: Path) -> None:
    dataset = open_dataset(recorded)
    loader = Loader(dataset, ("observation.state",), Sampling(30, 8), Pictures(tmp_path))
    batch = loader.gather(np.arange(dataset.frames), pictures=False)
    left = np.concatenate([np.arange(n, 0, -1) for n in LENGTHS])
    assert (batch["action_is_pad"].logical_not().sum(1).numpy() == left).all()


def test_a_loader_takes_no_set_whose_tables_count_other_rows(copy: Path, tmp_path: Path) -> None:
    tables.change_episodes(copy, lambda rows: rows[:2])
    dataset = open_dataset(copy, strict=False)
    with pytest.raises(DatasetError, match=r"has 41 rows in all, the data files have"):
        Loader(
            _with_all_files(dataset, copy),
            ("observation.state",),
            Sampling(4, 2),
            Pictures(tmp_path),
        )


def _with_all_files(dataset, root: Path):
    from dataclasses import replace

    return replace(dataset, files=tuple(tables.data_files(root)), _read={})
