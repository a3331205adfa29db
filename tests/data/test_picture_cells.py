"""Pictures in the rows of a dataset: LeRobot's own, or one line that names file, column and row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from data import damaged_cells, films, tables
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from vibrissa.core.errors import DatasetError
from vibrissa.data.dataset import open_dataset
from vibrissa.data.describe import describe

ROW = 7  # row 2 of episode 1
RNG = np.random.default_rng(0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return films.write(tmp_path / "set", films.in_cells(films.made((5, 6, 4))))


def change(root: Path, how: Callable[[dict[str, Any]], Any], kind: pa.DataType | None = None):
    """Replace the cell of `ROW`; of a column of another type, all cells."""
    tables.change_column(
        root,
        films.KEY,
        lambda cells: [how(c) if kind or i == ROW else c for i, c in enumerate(cells)],
        kind,
    )


def picture(root: Path) -> np.ndarray:
    (found,) = open_dataset(root).pictures(films.KEY, 1, [ROW - 5])
    return found


def test_every_picture_is_that_of_its_row(root: Path) -> None:
    dataset = open_dataset(root)
    for index, rows in dataset.spans.items():
        shown = dataset.pictures(films.KEY, index, range(rows.stop - rows.start))
        assert [films.number_in(one) for one in shown] == list(range(rows.start, rows.stop))


READ = {
    "bytes without a struct": (lambda cell: cell["bytes"], pa.binary()),
    "large bytes": (lambda cell: cell["bytes"], pa.large_binary()),
    "no paths": (lambda cell: {"bytes": cell["bytes"]}, pa.struct({"bytes": pa.binary()})),
    "a palette": (lambda cell: damaged_cells.CHANGES["palette"](cell["bytes"], RNG), None),
    "alpha": (lambda cell: damaged_cells.CHANGES["with alpha"](cell["bytes"], RNG), None),
    "grey": (lambda cell: damaged_cells.CHANGES["grey"](cell["bytes"], RNG), None),
}


@pytest.mark.parametrize(("how", "kind"), READ.values(), ids=READ)
def test_pictures_stored_otherwise_are_read(root: Path, how: Any, kind: Any) -> None:
    change(root, how, kind)
    assert films.number_in(picture(root)) == ROW


def test_a_picture_is_turned_as_lerobot_turns_it(root: Path) -> None:
    change(root, lambda cell: damaged_cells.CHANGES["turned JPEG"](cell["bytes"], RNG))
    mine = picture(root)
    stock: Any = LeRobotDataset("local/x", root=root)
    theirs = (stock[ROW][films.KEY].numpy() * 255).round().transpose(1, 2, 0)
    np.testing.assert_array_equal(mine, theirs)
    assert films.number_in(mine) != ROW


REFUSED = {
    "no cell": "null instead of the bytes",
    "no bytes": "null instead of the bytes",
    "empty bytes": "b'' instead of the bytes",
    "a path for bytes": "null instead of the bytes",
    "other bytes": "its bytes are of no kind of picture",
    "huge": "decompression bomb",
    "32-bit grey": "its pixels are I, not 8-bit colours",
    "16-bit grey": "its pixels are I;16, not 8-bit colours",
    "another size": "a picture of 48 x 32, and info.json says 64 x 64",
}


@pytest.mark.parametrize(("name", "says"), REFUSED.items(), ids=REFUSED)
def test_what_is_no_picture_is_one_line(root: Path, name: str, says: str) -> None:
    change(root, lambda cell: damaged_cells.CHANGES[name](cell["bytes"], RNG))
    with pytest.raises(DatasetError, match=says) as caught:
        picture(root)
    line = str(caught.value)
    assert "\n" not in line
    assert f"file-000.parquet, column {films.KEY}: row {ROW} holds" in line


def test_any_byte_that_is_cut_or_changed_is_one_line_or_a_picture(root: Path) -> None:
    rng = np.random.default_rng(3)
    names = ("cut", "another byte", "cut JPEG", "another byte of a JPEG", "another byte of a TIFF")
    for trial in range(60):
        how = damaged_cells.CHANGES[names[trial % len(names)]]
        column = pa.chunked_array([pa.array([how(films.png(films.coded(5)), rng)])])
        feature = {"dtype": "image", "shape": (64, 64, 3), "names": None}
        _one_line_or_a_picture(column, feature)


def _one_line_or_a_picture(column: pa.ChunkedArray, feature: dict[str, Any]) -> None:
    from vibrissa.data.pictures import from_cells

    said = ""
    try:
        (found,) = from_cells(column, [0], feature)
        assert found.shape == (64, 64, 3)
    except DatasetError as error:
        said = str(error)
    assert "\n" not in said


def test_depth_of_three_colours_is_refused(root: Path) -> None:
    mark = {"is_depth_map": True}
    tables.change_json(
        root / "meta" / "info.json", lambda told: told["features"][films.KEY].update(info=mark)
    )
    with pytest.raises(DatasetError, match="its pixels are RGB, and depth has one number"):
        picture(root)


@pytest.mark.parametrize("std", [None, "x", [None], {"a": 1}, [[10**400]], [], "gone"])
def test_statistics_of_pictures_may_be_anything(root: Path, std: Any) -> None:
    told = [None] if std == "gone" else {"std": std}
    tables.change_json(root / "meta" / "stats.json", lambda stats: stats.update({films.KEY: told}))
    assert not [f for f in describe(root).findings if f.name == "faint-pictures"]
