"""The rate at which rows came, by every clock that there is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from data import recordings

from vibrissa.data.checks import findings_of
from vibrissa.data.dataset import open_dataset

TICKS = 60


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    of = recordings.contract(rate_hz=20.0)
    return recordings.record(tmp_path_factory.mktemp("r") / "set", of, 3, ticks=TICKS)


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "copy"))


def found(root: Path) -> dict[str, str]:
    return {finding.name: finding.line for finding in findings_of(open_dataset(root))}


def test_rows_that_came_as_stated_are_fine(recorded: Path) -> None:
    assert found(recorded) == {}


@pytest.mark.parametrize("column", ["time_s", "timestamp"])
@pytest.mark.parametrize(("rate_hz", "told"), [(18.5, "8% faster"), (21.0, "5% slower")])
def test_another_rate_in_all_episodes_is_said(
    copy: Path, column: str, rate_hz: float, told: str
) -> None:
    recordings.edit(copy, column, lambda times: times * 20 / rate_hz)
    line = found(copy)["rate"]
    assert f"came at {rate_hz} a second by the column {column}, in all 3 episodes" in line
    assert told in line
    assert "timestamps" not in found(copy)


@pytest.mark.parametrize("column", ["time_s", "timestamp"])
@pytest.mark.parametrize(("rate_hz", "is_said"), [(19.65, False), (19.55, True), (20.45, True)])
def test_two_per_cent_are_allowed_and_no_more(
    copy: Path, column: str, rate_hz: float, is_said: bool
) -> None:
    recordings.edit(copy, column, lambda times: times * 20 / rate_hz)
    assert ("rate" in found(copy)) == is_said


def test_a_wall_clock_is_asked_where_there_is_no_other(copy: Path) -> None:
    recordings.edit(copy, "wall_time_s", lambda times: 1000 + (times - 1000) * 20 / 18.5)
    assert "rate" not in found(copy)  # the arm's own clock is better
    for path in copy.glob("data/*/*.parquet"):
        import pyarrow.parquet as pq

        pq.write_table(pq.read_table(path).drop_columns(["time_s"]), path)
    info = json.loads((copy / "meta/info.json").read_text())
    del info["features"]["time_s"]
    (copy / "meta/info.json").write_text(json.dumps(info))
    assert "came at 18.5 a second by the column wall_time_s" in found(copy)["rate"]


def test_what_the_recorder_noted_is_said(copy: Path) -> None:
    path = copy / "meta" / "vibrissa" / "episodes.jsonl"
    notes = [json.loads(line) for line in path.read_text().splitlines()]
    notes[1]["rate_hz"] = 18.5
    path.write_text("".join(json.dumps(note) + "\n" for note in notes))
    assert "by the recorder's notes, in episode 1 (18.5)" in found(copy)["rate"]


def test_a_jump_is_no_other_rate(copy: Path) -> None:
    recordings.edit(copy, "timestamp", lambda t: t + 2.0 * (np.arange(len(t)) % TICKS > 30))
    assert "timestamps jump in" in found(copy)["timestamps"]
    assert "rate" not in found(copy)


def test_a_loop_that_stalls_is_slow_by_its_own_clock(copy: Path) -> None:
    """Every tenth row half a second late: the others kept their time, the arm did not."""
    recordings.edit(copy, "time_s", lambda t: t + 0.5 * (np.arange(len(t)) // 10))
    assert "came at 10." in found(copy)["rate"]
    assert "by the column time_s" in found(copy)["rate"]
