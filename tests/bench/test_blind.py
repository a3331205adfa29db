"""Two policies in turn: nobody is told who drives, pairs are whole, and in the end all is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench.test_deployment import stage
from fakes import CONTRACT, Ramp

from vibrissa.bench.blind import missing, names_in, over, reveal, standing
from vibrissa.bench.deployment import Stage, Turn, deploy
from vibrissa.bench.labelling import walk
from vibrissa.bench.logbook import Logbook, read_all
from vibrissa.bench.order import Order, take_order
from vibrissa.bench.outcomes import Row, read_rows
from vibrissa.control.keys import ScriptedKeys
from vibrissa.core.errors import PolicyFault, UsageError

TOLD = {"checkpoint": "runs/good", "against": "runs/poor", "task": "reach"}
TOLD |= {"against_contract": CONTRACT.to_dict()}


def turns_of(good: Stage, poor: Stage, order: Order) -> Callable[[int], Turn]:
    def turn(number: int) -> Turn:
        chosen = good if order.driver(number) == "A" else poor
        return Turn(chosen, 100 + number // 2, "hidden", "back" if number % 2 else "anew")

    return turn


def tried(folder: Path, pairs: int, *, most: int | None = None, **changes: Any) -> list[str]:
    """Rollouts of a policy that reaches and of one that does not move; what was said."""
    book = Logbook(folder, TOLD, CONTRACT)
    order = take_order(folder, pairs, None)
    good = stage(**changes)
    poor = replace(good, policy=Ramp(step=0.0))
    said: list[str] = []
    deploy(good, book, most or 2 * pairs, turns=turns_of(good, poor, order), say=said.append)
    return said


def test_nothing_tells_who_drove_until_it_is_over(tmp_path: Path) -> None:
    said = tried(tmp_path, 4, most=7)
    assert said[6].endswith("; 7 judged so far")  # no rate: with few rollouts it would tell
    assert not over(tmp_path)
    rows = read_rows(tmp_path / "outcomes.jsonl")
    assert {row.pilot for row in rows} == {"hidden"}
    assert not (tmp_path / "A").exists()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["beside"] == {}
    assert "no rate of either" in (tmp_path / "report.html").read_text()


def test_it_is_gone_on_with_in_the_same_order_and_told_at_the_end(tmp_path: Path) -> None:
    tried(tmp_path, 5, most=3)
    tried(tmp_path, 5)
    assert over(tmp_path)
    told = reveal(tmp_path)
    rows = read_all(tmp_path)
    assert [row.seed for row in rows] == [100 + n // 2 for n in range(10)]
    for row in rows:
        assert row.success == (row.pilot == "A")
    assert (told.paired.seeds, told.paired.only_first, told.paired.only_second) == (5, 5, 0)
    assert told.paired.p == pytest.approx(0.0625)
    assert told.verdict == "not separated"  # five pairs cannot be significant
    assert names_in(tmp_path) == ("runs/good", "runs/poor")
    lines = told.lines(names_in(tmp_path))
    assert lines[0].startswith("A       5/5 (57–100 %)   runs/good")
    assert lines[2].endswith("(exact McNemar p = 0.062): A and B are not separated")
    assert lines[1].startswith("B       0/5 (0–43 %)   runs/poor")


def test_afterwards_each_policy_has_a_folder_with_the_same_seeds(tmp_path: Path) -> None:
    tried(tmp_path, 6)
    told_all = reveal(tmp_path)
    assert told_all.verdict == "better"
    assert told_all.lines(names_in(tmp_path))[2].endswith("): A is better than B")
    mine, theirs = (read_rows(tmp_path / name / "outcomes.jsonl") for name in "AB")
    assert [row.seed for row in mine] == [row.seed for row in theirs] == list(range(100, 106))
    assert {row.pilot for row in (*mine, *theirs)} == {"policy"}
    told = json.loads((tmp_path / "B" / "deployment.json").read_text())
    assert told["checkpoint"] == "runs/poor"
    assert "against" not in told
    assert len(read_all(tmp_path / "A")) == 6
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["success"], report["beside"]["B"]["success"]) == (6, 0)
    assert report["paired"]["B"] == {
        "seeds": 6,
        "only_policy": 6,
        "only_other": 0,
        "p": pytest.approx(0.03125),
    }
    page = (tmp_path / "report.md").read_text()
    assert "A is better than B." in page
    assert "Of the same 6 placements, A alone solved 6 and B alone 0" in page
    assert "success 6/6" in page
    assert "planned pairs" not in page
    reveal(tmp_path)  # as after a kill in the middle of it
    assert read_rows(tmp_path / "A" / "outcomes.jsonl") == mine


def test_films_are_labelled_blindly_and_then_it_is_told(tmp_path: Path) -> None:
    tried(tmp_path, 2, judged=False)
    assert missing(read_all(tmp_path)) == [0, 1, 2, 3]
    keys = ScriptedKeys([None, "s", "x", "d", "left", "u", "right", "n", "s", "esc"])
    said: list[str] = []
    asked = walk(tmp_path, [0, 1, 2, 3], keys, say=said.append, sleep=lambda _: None)
    # d was given to 1, ← went back to it, u put it right, → left 2 as it was.
    classes = [row.failure_class for row in read_all(tmp_path)]
    assert classes == ["SUCCESS", "FUMBLED", "UNLABELLED", "NEVER_PICKED_UP"]
    assert asked == 3
    assert said[1].startswith("rollout 1 (1 of 4 to be labelled): ")
    assert not any("A" in line.split() or "B" in line.split() for line in said)
    assert not over(tmp_path)
    # s was a mistake: until it is told who drove, even the last one can be gone back to.
    keys = ScriptedKeys(["s", "left", "f", "right"])
    walk(tmp_path, missing(read_all(tmp_path)), keys, say=said.append)
    assert said[-1] == "that was the last one: → or Esc to end, ← back"
    assert read_all(tmp_path)[2].failure_class == "FAILURE"
    assert over(tmp_path)
    told = reveal(tmp_path)
    assert told.paired.seeds == 2
    details = [row.detail for row in read_all(tmp_path)]
    assert all(detail.startswith("labelled later; was") for detail in details)


def _row(number: int, pilot: str, reason: str, detail: str = "") -> Row:
    name = {"success": "SUCCESS", "failure": "FAILURE"}.get(reason, reason.upper())
    return Row(number // 2, pilot, "reach", reason, name, 9, detail=detail)  # type: ignore[arg-type]


def test_what_broke_is_the_policy_s_or_nobody_s() -> None:
    rows = [
        *(_row(0, "A", "success"), _row(1, "B", "fault", "PolicyFault: NaN")),
        *(_row(2, "B", "success"), _row(3, "A", "fault", "ArmFault: no status packet")),
        *(_row(4, "A", "success"), _row(5, "B", "aborted")),
        _row(6, "B", "success"),
    ]
    told = standing(rows)
    assert (told.paired.seeds, told.paired.only_first, told.left_out) == (1, 1, 3)


def test_a_page_told_before_its_time_says_what_its_p_is_worth(tmp_path: Path) -> None:
    tried(tmp_path, 6, most=8)
    reveal(tmp_path)
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["cautions"][-1].startswith("4 of 6 planned pairs were tried, and this p holds only")


def test_who_stopped_before_all_planned_pairs_were_tried_is_told_what_p_is_worth() -> None:
    rows = [_row(number, "AB"[number % 2], "success") for number in range(4)]
    early = "2 of 3 planned pairs were tried, and this p holds only if nothing that was seen"
    assert early in standing(rows, 3).lines(("one", "two"))[2]
    assert "planned" not in standing(rows, 2).lines(("one", "two"))[2]


def test_a_policy_that_breaks_ends_it_and_stays_hidden(tmp_path: Path) -> None:
    book, order = Logbook(tmp_path, TOLD, CONTRACT), take_order(tmp_path, 3, None)
    good = stage(behind=False)
    broken = Ramp()
    broken.act = lambda _: 1 / 0  # type: ignore[method-assign,assignment]
    bad = replace(good, policy=broken)
    ending = deploy(good, book, 6, turns=turns_of(good, bad, order))
    assert isinstance(ending.trouble, PolicyFault)
    assert read_all(tmp_path)[-1].failure_class == "FAULT"
    assert {row.pilot for row in read_all(tmp_path)} == {"hidden"}


def test_a_deployment_of_one_policy_hides_nothing(tmp_path: Path) -> None:
    Logbook(tmp_path, {"checkpoint": "runs/good"}, CONTRACT)
    with pytest.raises(UsageError, match=r"order\.json cannot be read"):
        reveal(tmp_path)


def test_the_operator_is_told_how_to_place_the_things(tmp_path: Path) -> None:
    keys = ScriptedKeys(["right", *[None] * 31] * 12)
    said = tried(tmp_path, 2, keys=keys, judged=False, waits=True, sleep=lambda _: None)
    asked = [line for line in said if "to begin" in line]
    assert ["anew, then" in line for line in asked] == [True, False, True, False]
    assert ["back, then" in line for line in asked] == [False, True, False, True]
