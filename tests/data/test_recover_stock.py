"""A recording of LeRobot's own, killed: what is on the disk becomes a dataset again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibrissa import cli
from vibrissa.core.errors import DatasetError
from vibrissa.data import thrift
from vibrissa.data.dataset import open_dataset
from vibrissa.data.footer import rebuilt

KEY = "observation.images.eye"
VECTOR = {"dtype": "float32", "shape": (2,), "names": ["a", "b"]}
SHOT = {"dtype": "video", "shape": (64, 64, 3), "names": ["height", "width", "channels"]}
SCHEMA = pa.schema([("v", pa.list_(pa.float32(), 6)), ("t", pa.float32()), ("i", pa.int64())])


def level(episode: int, tick: int) -> int:
    return 40 + 30 * episode + 4 * tick


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two saved episodes and an open one, as they lie on the disk when the process is gone."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    folder = tmp_path_factory.mktemp("stock")
    features = {KEY: SHOT, "observation.state": VECTOR, "action": VECTOR}
    live = LeRobotDataset.create("local/set", 30, features, root=folder / "live")
    for episode in range(3):
        for tick in range(8):
            value = np.full(2, 10 * episode + tick, np.float32)
            shot = np.full((64, 64, 3), level(episode, tick), np.uint8)
            row = {KEY: shot, "observation.state": value, "action": value, "task": "look"}
            live.add_frame(row)
        if episode < 2:
            live.save_episode()
    shutil.copytree(folder / "live", folder / "set")
    live.clear_episode_buffer()
    live.finalize()
    return folder / "set"


def test_saved_episodes_are_a_dataset_again(killed: Path, tmp_path: Path, capsys) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    with pytest.raises(DatasetError):
        open_dataset(killed)
    before = {path: path.read_bytes() for path in killed.rglob("*") if path.is_file()}
    out = tmp_path / "whole"
    assert cli.main(["data", "recover", str(killed), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["episodes"], told["rows"]) == (2, 16)
    assert "16 rows without a footer" in told["had"][0]
    assert "8 pictures of observation.images.eye" in told["lost"][-1]
    assert {path: path.read_bytes() for path in killed.rglob("*") if path.is_file()} == before
    theirs = LeRobotDataset("local/set", root=out, video_backend="pyav")
    assert (theirs.num_episodes, theirs.num_frames) == (2, 16)
    row: Any = theirs[8 + 5]
    assert row["observation.state"].tolist() == [15.0, 15.0]
    assert row["task"] == "look"
    assert abs(float(row[KEY].mean()) * 255 - level(1, 5)) < 2
    assert open_dataset(out).episodes[1].length == 8


def test_a_file_cut_in_its_last_episode_gives_the_ones_before(killed: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(killed, tmp_path / "cut"))
    (path,) = copy.glob("data/*/*.parquet")
    path.write_bytes(path.read_bytes()[:-40])
    assert cli.main(["data", "recover", str(copy), "--out", str(tmp_path / "out")]) == 0
    assert len(open_dataset(tmp_path / "out").episodes) == 1


def test_what_is_not_there_is_one_line(killed: Path, tmp_path: Path, capsys) -> None:
    assert cli.main(["data", "recover", str(killed)]) == 1
    assert "--out" in capsys.readouterr().err
    copy = Path(shutil.copytree(killed, tmp_path / "empty"))
    (path,) = copy.glob("data/*/*.parquet")
    path.write_bytes(path.read_bytes()[:60])
    assert cli.main(["data", "recover", str(copy), "--out", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert "no whole row group" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def table(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    flat = pa.array(rng.normal(size=rows * 6).astype(np.float32))
    vector = pa.FixedSizeListArray.from_arrays(flat, type=SCHEMA.field("v").type)
    times = pa.array(np.arange(rows) / 30, type=pa.float32())
    return pa.Table.from_arrays([vector, times, pa.array(np.arange(rows))], schema=SCHEMA)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=4), st.integers(0, 60))
def test_row_groups_without_a_footer_are_read(tmp_path_factory, lengths, cut) -> None:
    path = tmp_path_factory.mktemp("cut") / "rows.parquet"
    groups = [table(rows, seed) for seed, rows in enumerate(lengths)]
    ends = []
    writer = pq.ParquetWriter(path, SCHEMA, compression="snappy", use_dictionary=True)
    for group in groups:
        writer.write_table(group)
        ends.append(path.stat().st_size)
    content = path.read_bytes()
    writer.close()
    path.write_bytes(content[: len(content) - cut])
    whole = [group for group, end in zip(groups, ends, strict=True) if end <= len(content) - cut]
    if whole:
        assert rebuilt(path, SCHEMA).equals(pa.concat_tables(whole))
    else:
        with pytest.raises(DatasetError, match="no whole row group"):
            rebuilt(path, SCHEMA)


def test_a_footer_read_and_written_is_the_same(tmp_path: Path) -> None:
    pq.write_table(table(50, 0), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    size = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - size : -8]
    assert thrift.write(thrift.Reader(footer).struct()) == footer
