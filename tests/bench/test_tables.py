"""Outcomes from elsewhere: columns found by name, words understood, and one line for nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest

from vibrissa.bench.tables import from_counts, is_counts, read_table
from vibrissa.core.errors import UsageError


def written(folder: Path, text: str, name: str = "theirs.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "text",
    [
        "seed,success\n7,1\n3,0\n9,true\n",
        "seed;success\n7;True\n3;False\n9;TRUE\n",
        "Seed\tOutcome\tticks\n7\tsuccess\t80\n3\ttimeout\t300\n9\tsolved\t90\n",
        "\ufeffepisode_index,result,SEED\n0,yes,7\n1,no,3\n\n2,pass,9.0\n",
    ],
)
def test_many_ways_to_say_the_same(tmp_path: Path, text: str) -> None:
    told = read_table(written(tmp_path, text))
    assert told.scenes
    assert {row.seed: row.success for row in told.rows} == {7: True, 3: False, 9: True}
    assert told.words.startswith("3 episodes of theirs.csv: seed from ")


def test_classes_spawns_and_faults_are_kept(tmp_path: Path) -> None:
    text = "seed,success,failure class,x_m,y_m\n1,0,never picked up,0.2,0.1\n2,1,,0.3,0.2\n"
    told = read_table(written(tmp_path, text + "3,crash,,,\n"))
    assert [row.failure_class for row in told.rows] == ["NEVER_PICKED_UP", "SUCCESS", "FAULT"]
    assert [row.spawn for row in told.rows] == [(0.2, 0.1, 0.0), (0.3, 0.2, 0.0), None]
    assert [row.reason for row in told.rows] == ["failure", "success", "fault"]


def test_an_episode_number_is_no_scene_unless_somebody_says_so(tmp_path: Path) -> None:
    file = written(tmp_path, "episode,success\n4,1\n5,0\n")
    alone = read_table(file)
    assert not alone.scenes
    assert [row.seed for row in alone.rows] == [0, 1]
    assert "no column says which scene" in alone.words
    same = read_table(file, same_scenes=True)
    assert same.scenes
    assert [row.seed for row in same.rows] == [4, 5]


def test_one_column_is_enough(tmp_path: Path) -> None:
    told = read_table(written(tmp_path, "success\n1\n0\n1\n"))
    assert [row.success for row in told.rows] == [True, False, True]
    assert not told.scenes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("seed,success\n", "holds no episode"),
        ("seed,reward\n1,0.5\n", "no column that says who succeeded. Its columns: seed, reward"),
        ("seed,success\n1,1\n2,maybe\n", "line 3 of .*'maybe' is neither success nor failure"),
        ("seed,success\n1,1\n1,0\n", "has seed 1 2 times"),
        ("seed,success\n1.5,1\n", "line 2 of .*'1.5' is no whole number"),
        ("seed,success\nnan,1\n", "'nan' is no whole number"),
        ("success\n1\nwhat\n", "line 3 of .*'what' is neither"),
        ("seed,success\n1,1,1\n", "line 2 of .* has 3 cells, and the head has 2"),
        ("seed,success\n-1,1\n", "'-1' is no whole number from 0 on"),
        ("seed,success,x,y\n1,1,left,0\n", "a spawn that is no number"),
        ("seed,success,x,y\n1,1,inf,0\n", "a spawn that is infinite"),
        ("seed,success,note\n1,1,ok\n2,1," + "x" * 140_000 + "\n", "line 3 of .*field larger"),
        ("policy,success\nold,1\nnew,0\n", "holds old, new. Say who is meant: .*#old"),
    ],
)
def test_nonsense_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_table(written(tmp_path, text))


def test_a_table_of_several_pilots_is_asked_which_one_is_meant(tmp_path: Path) -> None:
    """Rows of two policies are never added up as if they were one's."""
    file = written(tmp_path, "Policy;seed;success\nold;1;1\nnew;1;0\nnew;2;1\n")
    told = read_table(file, pilot="new")
    assert {row.seed: row.success for row in told.rows} == {1: False, 2: True}
    assert told.words.startswith("2 episodes of new of theirs.csv: ")
    with pytest.raises(UsageError, match=r"holds old, new\. Say who is meant"):
        read_table(file, pilot="other")
    alone = written(tmp_path, "seed,success\n1,1\n", "alone.csv")
    with pytest.raises(UsageError, match=r"rows that name nobody\. Leave out #old"):
        read_table(alone, pilot="old")
    with pytest.raises(UsageError, match="names nobody"):
        read_table(written(tmp_path, "{}", "eval_info.json"), pilot="old")


def test_a_cell_may_hold_lines_and_a_spawn_that_nobody_knows(tmp_path: Path) -> None:
    text = 'seed,success,note,x,y\n1,1,"it\nslipped",nan,0.1\n2,0,,0.2,0.1\nx,0,,,\n'
    with pytest.raises(UsageError, match=r"line 5 of .*'x' is no whole number"):
        read_table(written(tmp_path, text))
    told = read_table(written(tmp_path, text.replace("x,0,,,\n", "")))
    assert [row.spawn for row in told.rows] == [None, (0.2, 0.1, 0.0)]


def test_a_table_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00seed")
    with pytest.raises(UsageError, match="cannot be read"):
        read_table(tmp_path / "bytes.csv")


def test_counts() -> None:
    told = from_counts("32/50")
    assert (sum(row.success for row in told.rows), len(told.rows)) == (32, 50)
    assert not told.scenes
    assert is_counts(" 3 / 4 ")
    assert not is_counts("runs/50")
    for wrong in ("51/50", "0/0", "3 of 4", "1/9999999"):
        with pytest.raises(UsageError):
            from_counts(wrong)
