"""What other exporters write is read as LeRobot reads it, or is one line that names the place."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data import recordings, tables

from vibrissa.core.contract import CameraSpec
from vibrissa.core.errors import DatasetError
from vibrissa.data.dataset import open_dataset
from vibrissa.data.describe import describe
from vibrissa.data.features import ACTION, STATE, channel_names

INFO = Path("meta") / "info.json"
FLOATS, LONG = pa.list_(pa.float32()), pa.large_list(pa.float32())
EYE = "observation.images.eye"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    of = recordings.contract((CameraSpec("eye", 64, 48),))
    return recordings.record(folder / "set", of, 3)


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    """A stranger's: without our contract."""
    root = Path(shutil.copytree(recorded, tmp_path / "copy"))
    shutil.rmtree(root / "meta" / "vibrissa")
    return root


def info(root: Path, **fields: Any) -> None:
    tables.change_json(root / INFO, lambda told: told.update(fields))


def feature(root: Path, name: str, **fields: Any) -> None:
    tables.change_json(root / INFO, lambda told: told["features"][name].update(fields))


def without(root: Path, *keys: str) -> None:
    tables.change_json(root / INFO, lambda told: [told.pop(key) for key in keys])


def drop_place(rows: list) -> list:
    return [{k: v for k, v in row.items() if not k.startswith("data/")} for row in rows]


READ = {
    "large lists": lambda r: tables.change_column(r, STATE, list, LONG),
    "lists of free length": lambda r: tables.change_column(r, ACTION, list, FLOATS),
    "doubles": lambda r: tables.change_column(r, STATE, list, pa.list_(pa.float64())),
    "text": lambda r: tables.change_column(
        r, STATE, lambda rows: [[repr(x) for x in row] for row in rows], pa.list_(pa.string())
    ),
    "small numbers": lambda r: tables.change_column(r, "frame_index", list, pa.uint16()),
    "no data_path": lambda r: without(r, "data_path"),
    "data_path of v2.1": lambda r: info(r, data_path="data/episode_{episode_index:06d}.parquet"),
    "no sizes": lambda r: without(r, "chunks_size", "data_files_size_in_mb", "splits"),
    "version without v": lambda r: info(r, codebase_version="3.0"),
    "no place of the data": lambda r: tables.change_episodes(r, drop_place),
    "a list of names": lambda r: feature(r, STATE, names={"motors": [["a"], 3]}),
    "names as text": lambda r: feature(r, STATE, names="joints"),
    "names as a number": lambda r: feature(r, STATE, names=6),
    "byte-order mark": lambda r: (r / INFO).write_bytes(b"\xef\xbb\xbf" + (r / INFO).read_bytes()),
    "UTF-16": lambda r: (r / INFO).write_bytes((r / INFO).read_text().encode("utf-16")),
    "files of a Mac": lambda r: [
        (path.parent / f"._{path.name}").write_bytes(b"Mac OS X")
        for path in (*r.rglob("*.parquet"), *r.rglob("*.json"), *r.rglob("*.mp4"))
    ],
    "a text column beside": lambda r: [
        tables.change_table(path, lambda t: t.append_column("note", pa.array(["ok"] * len(t))))
        for path in tables.data_files(r)
    ],
}


@pytest.mark.parametrize("how", READ.values(), ids=READ)
def test_what_exporters_write_otherwise_is_read(recorded: Path, copy: Path, how) -> None:
    how(copy)
    dataset, whole = open_dataset(copy), open_dataset(recorded)
    for name in (STATE, ACTION, "frame_index"):
        assert dataset.column(name).dtype == whole.column(name).dtype
        np.testing.assert_array_equal(dataset.column(name), whole.column(name))
    for mine, theirs in zip(dataset.pictures(EYE, 1, [3]), whole.pictures(EYE, 1, [3])):
        np.testing.assert_array_equal(mine, theirs)
    assert dataset.instruction(2) == "Pick up the block"


REFUSED = {
    "fps as text": (lambda r: info(r, fps="30"), r"info\.json: fps is '30' \(text\)"),
    "fps 0": (lambda r: info(r, fps=0), "fps is 0"),
    "fps NaN": (lambda r: info(r, fps=float("nan")), "fps is nan"),
    "fps true": (lambda r: info(r, fps=True), "fps is true"),
    "no features": (lambda r: without(r, "features"), "has no features"),
    "features a list": (lambda r: info(r, features=[{}]), r"features is .* \(a list\)"),
    "feature null": (
        lambda r: tables.change_json(r / INFO, lambda told: told["features"].update(x=None)),
        r"features\.x is null",
    ),
    "no dtype": (
        lambda r: tables.change_json(r / INFO, lambda told: told["features"][STATE].pop("dtype")),
        r"has no features\.observation\.state\.dtype",
    ),
    "shape a number": (lambda r: feature(r, STATE, shape=6), "state.shape is 6"),
    "shape silly": (lambda r: feature(r, STATE, shape=[10**15]), "state.shape is"),
    "shape of another": (lambda r: feature(r, ACTION, shape=[7]), r"shape \[7\].*the shape \[6\]"),
    "chunks null": (lambda r: info(r, chunks_size=None), "chunks_size is null"),
    "totals as text": (lambda r: info(r, total_episodes="3"), "total_episodes is '3'"),
    "huge": (lambda r: info(r, total_frames=10**400), "a number of more than 60 digits"),
    "video_path of v2.1": (
        lambda r: info(r, video_path="videos/{episode_chunk:03d}.mp4"),
        "video_path is .*file_index",
    ),
    "video_path outside": (lambda r: info(r, video_path="../x.mp4"), "inside the dataset's folder"),
    "deep": (lambda r: (r / INFO).write_text("[" * 10**5 + "]" * 10**5), "nested too deep"),
    "half a character": (
        lambda r: info(r, robot_type="\ud800"),
        "no JSON",
    ),
    "trailing comma": (lambda r: (r / INFO).write_text('{"fps": 30,}'), "cut off or no JSON"),
    "a folder": (
        lambda r: ((r / "meta" / "stats.json").unlink(), (r / "meta" / "stats.json").mkdir()),
        "is a folder",
    ),
    "ragged": (
        lambda r: tables.change_column(
            r, STATE, lambda v: [row[: 5 if i == 9 else 6] for i, row in enumerate(v)], FLOATS
        ),
        "state: row 9 has 5 values",
    ),
    "a row that is empty": (
        lambda r: tables.change_column(
            r, STATE, lambda v: [None if i == 4 else row for i, row in enumerate(v)], FLOATS
        ),
        "state: row 4 is empty",
    ),
    "index in lists": (
        lambda r: tables.change_column(
            r, "index", lambda v: [[x] for x in v], pa.list_(pa.int64())
        ),
        r"index has the shape \[1\]|shape \[1\]",
    ),
    "words for numbers": (
        lambda r: tables.change_column(r, "frame_index", lambda v: ["x" for _ in v], pa.string()),
        "frame_index",
    ),
    "no rows": (
        lambda r: [tables.change_table(p, lambda t: t.slice(0, 0)) for p in tables.data_files(r)],
        "at least one row",
    ),
    "a column twice": (
        lambda r: [
            tables.change_table(p, lambda t: t.append_column(STATE, t[STATE]))
            for p in tables.data_files(r)
        ],
        "two columns 'observation.state'",
    ),
    "tasks in another order": (
        lambda r: pq.write_table(
            pa.table({"task_index": [1, 0], "task": ["a", "b"]}), r / "meta" / "tasks.parquet"
        ),
        "task_index says another order",
    ),
    "a task that is not there": (
        lambda r: tables.change_column(r, "task_index", lambda v: [7] * len(v)),
        "task_index 7",
    ),
    "no tasks": (lambda r: (r / "meta" / "tasks.parquet").unlink(), "tasks.parquet is missing"),
    "one film of three": (
        lambda r: tables.change_episodes(
            r,
            lambda rows: [{**row, f"videos/{EYE}/file_index": None} for row in rows[:1]] + rows[1:],
        ),
        "names no film of observation.images.eye for episode 0",
    ),
}


@pytest.mark.parametrize(("how", "says"), REFUSED.values(), ids=REFUSED)
def test_what_lerobot_cannot_read_is_one_line(copy: Path, how, says: str) -> None:
    how(copy)
    with pytest.raises(DatasetError, match=says) as caught:
        open_dataset(copy)
    assert "\n" not in str(caught.value)
    with suppress(DatasetError):  # in one line, or among the problems of a description
        assert describe(copy).problems


def test_a_linked_folder_is_part_of_the_digest(copy: Path, tmp_path: Path) -> None:
    before = open_dataset(copy).digest
    away = tmp_path / "elsewhere"
    (copy / "data" / "chunk-000").rename(away)
    (copy / "data" / "chunk-000").symlink_to(away)
    (copy / "data" / "round").symlink_to(copy)
    assert open_dataset(copy).digest == before
    tables.change_column(copy, "time_s", lambda values: [value + 1 for value in values])
    assert open_dataset(copy).digest != before


def test_names_are_names_or_numbers() -> None:
    shape = {"shape": (2,)}
    for names in (6, "ab", {"a": {"b": 1}}, {"x": ["one"]}, [None, "b"], [["a"], "b"], {}, True):
        assert channel_names({**shape, "names": names}) == ("0", "1")
    assert channel_names({**shape, "names": {"motors": ["a", "b"]}}) == ("a", "b")
    assert channel_names({**shape, "names": {"b": 1, "a": 0}}) == ("a", "b")


def test_our_own_files_are_checked_too(recorded: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(recorded, tmp_path / "ours"))
    notes = root / "meta" / "vibrissa" / "episodes.jsonl"
    notes.write_text("".join(json.dumps({"episode": i}) + "\n" for i in range(3)))
    with pytest.raises(DatasetError, match=r"episodes\.jsonl has no line 1\.reason"):
        describe(root)
    path = root / "meta" / "vibrissa" / "contract.json"
    tables.change_json(path, lambda told: told["state"].__setitem__(0, "shoulder"))
    with pytest.raises(DatasetError, match=r"contract\.json: state\[0\] is 'shoulder'"):
        _ = open_dataset(root).contract
