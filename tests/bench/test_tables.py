"""Outcomes from elsewhere: columns found by name, words understood, and one line for nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest

from vibrissa.bench.compare import NAMES, PAIRS, Judged, unpaired
from vibrissa.bench.tables import from_counts, is_counts, read_table
from vibrissa.core.errors import UsageError
from vibrissa.core.stats import barnard


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


@pytest.mark.parametrize("words", [("near", "far", "left"), ("scene-1", "2024-05-01", "7b")])
def test_seeds_that_are_words_are_one_scene_in_every_table(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    text = "seed,success\n" + "".join(f"{word},1\n" for word in words)
    one = read_table(written(tmp_path, text))
    other = read_table(written(tmp_path, text.replace(",1", ",0").replace(",", ";"), "other.csv"))
    assert one.scenes == other.scenes == NAMES
    assert [row.seed for row in one.rows] == [row.seed for row in other.rows]
    assert len({row.seed for row in one.rows}) == 3
    numbered = read_table(written(tmp_path, "seed,success\n1,1\n", "third.csv"))
    judged = [Judged(n, t.rows, t.scenes) for n, t in (("one", one), ("third", numbered))]
    assert "known by different things: one by names, third by seeds" in unpaired(*judged)


def test_several_episodes_of_a_seed_are_told_apart_by_their_numbers(tmp_path: Path) -> None:
    text = "seed,episode,success\n5,0,1\n5,1,0\n6,0,1\n"
    told = read_table(written(tmp_path, text))
    assert told.scenes == PAIRS
    assert [row.success for row in told.rows] == [True, False, True]
    assert len({row.seed for row in told.rows}) == 3
    with pytest.raises(UsageError, match=r"has seed 5 episode 1 2 times \(lines 3, 5\)"):
        read_table(written(tmp_path, text + "5,1,1\n"))
    with pytest.raises(UsageError, match=r"has seed 5 2 times .* A column 'episode' would number"):
        read_table(written(tmp_path, "seed,success\n5,1\n5,0\n"))


def test_columns_that_say_the_same_may_all_be_there_and_must_agree(tmp_path: Path) -> None:
    text = "seed,success,outcome\n1,1,success\n2,0,timeout\n3,0,crash\n4,1,in the tray\n5,,solved\n"
    told = read_table(written(tmp_path, text))
    assert [row.reason for row in told.rows] == [
        *("success", "failure", "fault", "success", "success")
    ]
    for cells in ("6,1,timeout", "6,0,success", "6,1,crash", "6,no,yes"):
        with pytest.raises(UsageError, match=r"line 7 of .*' and '.*' contradict each other"):
            read_table(written(tmp_path, text + cells + "\n"))
    with pytest.raises(UsageError, match="'1' and 'never picked up' contradict"):
        read_table(written(tmp_path, "success,class\n1,never picked up\n"))
    with pytest.raises(UsageError, match="'0' and 'SUCCESS' contradict"):
        read_table(written(tmp_path, "success,class\n0,SUCCESS\n"))
    with pytest.raises(UsageError, match="has 2 columns 'seed'"):
        read_table(written(tmp_path, "seed,Seed,success\n1,2,1\n"))


@pytest.mark.parametrize(
    ("cell", "success"),
    [("TRUE", True), ("1.0", True), ("1,0", True), ("100 %", True), ("Yes", True), ("0,00", False)],
)
def test_ways_to_say_how_an_episode_ended(tmp_path: Path, cell: str, success: bool) -> None:
    (row,) = read_table(written(tmp_path, f'seed;success\n"7,0";{cell}\n')).rows
    assert (row.seed, row.success) == (7, success)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("success\n1\nnan\n", "line 3 of .*'nan' does not say how the episode ended"),
        ("seed;success\n1;\n", "line 2 of .*'' does not say how the episode ended"),
        ("success\n64%\n", "'64%' is neither .* given as counts: name=32/50"),
        ("success\n0,5\n", "has 2 cells|'0,5' is neither"),
        ("episode,success\n0,1\n1,0\nTotal,1\n", "line 4 of .*'Total' is no episode but sums"),
        ("episode,success\n0,1\n1,0\n,1\n", "line 4 of .*'' is no whole number"),
        ("seed;success\n1.000;1\n", "'1.000' is no whole number .* 1000 not 1.000"),
        ("seed,success\n1,1\nfar,0\n", "line 3 of .*'far' is no whole number"),
        ("seed,success\n1e3,1\n", "'1e3' is no whole number"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_table(written(tmp_path, text))


def test_seeds_beyond_what_a_float_holds_stay_apart(tmp_path: Path) -> None:
    text = "seed,success\n9007199254740992,1\n9007199254740993,0\n"
    assert [row.seed for row in read_table(written(tmp_path, text)).rows] == [2**53, 2**53 + 1]


def test_excel_s_first_line_and_a_comma_within_quotes(tmp_path: Path) -> None:
    told = read_table(written(tmp_path, 'sep=;\n"place, named";seed;success;x;y\na;7;1;0,2;0,1\n'))
    assert (told.rows[0].seed, told.rows[0].spawn) == (7, (0.2, 0.1, 0.0))
    with pytest.raises(UsageError, match=r"line 3 of .*'what'"):
        read_table(written(tmp_path, "sep=;\nseed;success\n7;what\n"))


def test_episodes_as_json(tmp_path: Path) -> None:
    told = read_table(
        written(tmp_path, '[{"seed": 7, "success": true}, {"seed": 9, "success": 0}]', "a.json")
    )
    assert {row.seed: row.success for row in told.rows} == {7: True, 9: False}
    text = '{"per_episode": [{"episode_ix": 0, "seed": null, "success": true}], "aggregated": {}}'
    assert read_table(written(tmp_path, text, "b.json")).scenes == ""
    with pytest.raises(UsageError, match=r"episode 1 of .*'maybe' is neither"):
        read_table(written(tmp_path, '[{"seed": 7, "success": "maybe"}]', "c.json"))
    ends = '{"per_task": [{"task_group": "a", "task_id": 0, "metrics": {"successes": [true, %s]}}]}'
    for end in ('"False"', "0.5", "null", "NaN"):
        with pytest.raises(UsageError, match=r"episode 2 of .*d\.json: "):
            read_table(written(tmp_path, ends % end, "d.json"))
    for wrong in ("5", '"x"', "[1]", "{}", "[[1]]", "[", '{"seed": [1]}'):
        with pytest.raises(UsageError, match=r"e\.json"):
            read_table(written(tmp_path, wrong, "e.json"))


def test_large_counts_are_one_row_many_times() -> None:
    told = from_counts("100000/200000")
    assert (len(told.rows), sum(row.success for row in told.rows)) == (200_000, 100_000)
    assert len({id(row) for row in told.rows}) == 2
    with pytest.raises(UsageError, match="of at most 1000000"):
        from_counts("1/1000001")
    assert not is_counts("1" * 5000 + "/2")


def test_a_few_episodes_against_very_many_are_tested_exactly() -> None:
    """The normal tail, which very many on both sides get, would say 0.025."""
    assert barnard(5, 5, 500_000, 1_000_000) == pytest.approx(0.0314, abs=2e-4)
    assert barnard(500_000, 1_000_000, 5, 5) == barnard(5, 5, 12_500, 25_000)
    assert barnard(100_000, 200_000, 100_500, 200_000) == pytest.approx(0.114, abs=1e-3)
