"""Rows of episodes: kept on disk line by line, and what they say together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibrissa.bench.outcomes import (
    Row,
    RowFile,
    compare_paired,
    count_classes,
    read_rows,
    summarise,
)
from vibrissa.core.errors import UsageError
from vibrissa.core.stats import wilson


def row(seed: int, kind: str = "SUCCESS", pilot: str = "policy", **more: object) -> Row:
    reasons = {"SUCCESS": "success", "FUMBLED": "success", "FAULT": "fault"}
    known = {
        "ticks": 150,
        "measures": {"max_height_m": 0.1, "picked": 1.0, "dropped": 0.0},
    }
    return Row(seed, pilot, "reach", reasons.get(kind, "timeout"), kind, **{**known, **more})  # type: ignore[arg-type]


numbers = st.floats(-10, 10)
rows = st.builds(
    Row,
    seed=st.integers(0, 10**6),
    pilot=st.sampled_from(["policy", "expert"]),
    task=st.text(max_size=8),
    reason=st.sampled_from(["success", "failure", "timeout", "fault"]),
    failure_class=st.sampled_from(["SUCCESS", "FUMBLED", "TIMEOUT"]),
    ticks=st.integers(0, 300),
    spawn=st.none() | st.tuples(numbers, numbers, numbers),
    measures=st.dictionaries(st.text(max_size=5), numbers),
    latency_s=st.tuples(numbers, numbers),
    detail=st.text(),
)


@given(rows)
def test_a_row_comes_back_from_its_line(one: Row) -> None:
    line = one.to_json()
    assert Row.from_json(line) == one
    assert "\n" not in line
    assert line.isascii()


def test_the_summary_of_a_known_set() -> None:
    judged = [
        *(row(i, ticks=100) for i in range(6)),
        row(6, "FUMBLED", ticks=200),
        row(7, "MISSED_GOAL", ticks=300, measures={"max_height_m": 0.2, "picked": 1, "dropped": 1}),
        row(8, "NEVER_PICKED_UP", ticks=300, measures={"max_height_m": 0.01, "picked": 0}),
        row(9, "FAULT", ticks=3, measures={}, detail="ContractError: NaN"),
    ]
    told = summarise(judged)
    assert (told.success, told.episodes, told.faults) == (7, 10, 1)
    assert told.interval == wilson(7, 10)
    assert (told.picked, told.dropped) == (8, 1)
    assert told.pick_rate == 0.8
    assert told.drop_rate == 1 / 8  # of those that were lifted
    assert told.mean_steps == pytest.approx(140.3)
    assert told.mean_steps_success == pytest.approx(800 / 7)
    assert told.mean_max_height_m == pytest.approx((0.7 + 0.2 + 0.01) / 9)
    assert told.classes == {
        "SUCCESS": 6,
        "FUMBLED": 1,
        "NEVER_PICKED_UP": 1,
        "MISSED_GOAL": 1,
        "FAULT": 1,
    }
    assert told.text == "7/10 (40–89 %)"


def test_the_mean_latency_is_of_the_episodes_that_asked_a_policy() -> None:
    """A fault before the first inference took no time; one afterwards took what it took."""
    rows = [
        row(0, inferences=6, latency_s=(0.02, 0.03)),
        row(1, "FAULT", inferences=0, latency_s=(0.0, 0.0)),
        row(2, "FAULT", inferences=2, latency_s=(0.04, 0.05)),
        row(3, "FAULT", inferences=0, latency_s=(0.0, 0.0)),
    ]
    told = summarise(rows)
    assert told.faults == 3
    assert told.mean_latency_s == pytest.approx(0.03)
    assert told.mean_inferences == pytest.approx(4)
    assert summarise(rows[1:2]).mean_latency_s is None


def test_no_episode_has_no_rates() -> None:
    told = summarise([])
    assert (told.success, told.episodes, told.interval) == (0, 0, (0.0, 1.0))
    assert (told.rate, told.pick_rate, told.drop_rate, told.mean_steps) == (None,) * 4
    assert summarise([row(0, measures={"picked": 0.0})]).drop_rate is None


def test_the_grip_is_told_of_the_episodes_that_had_one() -> None:
    grips = [(40.0, 30.0, 0.002, 1.0), (20.0, 50.0, 0.004, 0.5)]
    names = ("static_pad_mean_n", "moving_pad_mean_n", "slip_m", "both_pads_share")
    judged = [row(i, measures=dict(zip(names, grip))) for i, grip in enumerate(grips)]
    told = summarise([*judged, row(9, "NEVER_PICKED_UP", measures={"held_ticks": 0.0})])
    assert told.mean_grip_n == 25.0  # the weaker pad of each
    assert told.mean_slip_m == pytest.approx(0.003)
    assert told.both_pads_share == 0.75
    assert summarise([row(9, measures={"held_ticks": 0.0})]).mean_grip_n is None


def test_an_unknown_class_is_counted_too() -> None:
    assert count_classes([row(0, "ODD"), row(1)]) == {"SUCCESS": 1, "ODD": 1}


def test_pairs_are_counted_on_common_seeds() -> None:
    first = [row(0), row(1), row(2, "TIMEOUT"), row(5)]
    second = [row(0), row(1, "TIMEOUT"), row(2), row(3)]
    told = compare_paired(first, second)
    assert (told.seeds, told.only_first, told.only_second, told.p) == (3, 1, 1, 1.0)


def test_the_file_goes_on_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "outcomes.jsonl"
    file = RowFile(path)
    for seed in (3, 1, 2):
        file.add(row(seed))
    again = RowFile(path)
    again.add(row(1, pilot="expert"))
    assert [r.seed for r in RowFile(path).of("policy")] == [1, 2, 3]
    assert [r.seed for r in RowFile(path).of("expert")] == [1]
    assert len(read_rows(path)) == 4


def test_a_line_cut_short_by_a_kill_is_dropped_wherever_the_cut(tmp_path: Path) -> None:
    whole = row(1).to_json() + "\n" + row(2).to_json() + "\n"
    path = tmp_path / "outcomes.jsonl"
    for cut in range(len(row(1).to_json()) + 1, len(whole)):
        path.write_text(whole[:cut])
        file = RowFile(path)
        complete = cut == len(whole) - 1  # only the newline is missing
        assert [r.seed for r in file.rows] == ([1, 2] if complete else [1])
        file.add(row(9))
        assert [r.seed for r in read_rows(path)][-1] == 9


def test_a_spoilt_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    path.write_text(row(1).to_json() + "\nrubbish\n" + row(2).to_json() + "\n")
    with pytest.raises(UsageError, match="line 2 of"):
        RowFile(path)


def test_clean_and_fumbled_successes_are_told_apart() -> None:
    told = summarise([row(0), row(1), row(2, "FUMBLED"), row(3, "TIMEOUT")])
    assert (told.success, told.clean, told.fumbled) == (3, 2, 1)


def test_the_same_episode_again_differs_in_nothing_but_time() -> None:
    one = row(1, measures={"max_height_m": 0.1})
    assert one.differing(replace(one, wall_s=9.0, latency_s=(1.0, 2.0))) == []
    assert one.differing(replace(one, ticks=7, measures={"max_height_m": 0.2})) == [
        "ticks",
        "measures",
    ]


@pytest.mark.parametrize("line", [b"5", b"null", b"[1]", b"\xff\xfe", b'{"seed": 1, "taste": 2}'])
@pytest.mark.parametrize("more", [b"", b"\n", b"{"], ids=["last", "blank", "cut"])
def test_a_whole_line_that_is_no_row_is_told_and_never_dropped(
    tmp_path: Path, line: bytes, more: bytes
) -> None:
    path = tmp_path / "outcomes.jsonl"
    content = row(0).to_json().encode() + b"\n" + line + b"\n" + more
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"line 2 of .* is no outcome of an episode"):
        RowFile(path)
    assert path.read_bytes() == content


def test_rows_that_cannot_be_read_or_mended_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "outcomes.jsonl").mkdir()
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        RowFile(tmp_path / "outcomes.jsonl")
    path = tmp_path / "rows.jsonl"
    path.write_text(row(0).to_json() + "\n" + row(1).to_json()[:20])
    (tmp_path / "rows.tmp").mkdir()  # in the way of what is written beside it
    with pytest.raises(UsageError, match=r"cannot write .*rows\.jsonl: Is a directory"):
        RowFile(path)
    assert len(read_rows(path)) == 1
