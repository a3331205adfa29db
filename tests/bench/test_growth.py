"""Folders whose number of episodes was not fixed beforehand: known, said, and allowed for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.test_deployment import book_in

from vibrissa import cli
from vibrissa.bench.growth import asked_now, changed, chosen, in_order
from vibrissa.bench.outcomes import Row


def test_numbers_that_were_asked_for_are_kept_in_order() -> None:
    assert asked_now([], 10, 0) == [10]
    assert asked_now([10], 10, 4) == [10]  # as after a kill
    assert asked_now([10], 14, 10) == [10, 14]
    assert asked_now([], 14, 10) == [10, 14]  # begun by a version that kept none
    assert changed([10, 14]) == "the number of episodes was changed (10, then 14)"
    assert changed([10]) == changed([]) == ""


def test_a_number_that_was_never_reached_may_have_been_chosen_too() -> None:
    assert chosen([10], 10) == chosen([], 10) == ""
    assert chosen([10], 7) == "7 of 10 planned episodes were tried"
    assert chosen([10], 12) == "12 episodes are there, and 10 were planned"
    assert chosen([10, 14], 14) == changed([10, 14])
    assert in_order([2, 4], [1, 0, 3, 2])
    assert not in_order([2, 4], [5, 6, 3, 4])


def evaluated(pilot: str, folder: Path, episodes: int, *more: str) -> None:
    words = ["--pilot", pilot, "--task", "lift", "--episodes", str(episodes), "--alone", "--json"]
    assert cli.main(["eval", *words, "--out", str(folder), *more]) == 0


def test_a_folder_that_grew_is_compared_by_the_anytime_test(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    evaluated("zero", one, 2)
    evaluated("random", other, 3)
    assert "warning" not in capsys.readouterr().err

    def compared() -> tuple[dict, str]:
        assert cli.main(["compare", str(one), str(other), "--json"]) == 0
        out, err = capsys.readouterr()
        return json.loads(out)["comparisons"][0], err

    fixed, err = compared()
    assert (fixed["test"], err) == ("McNemar", "")
    evaluated("zero", one, 3)  # one of the two is enough: the pairs are those of both
    err = capsys.readouterr().err
    assert f"warning In {one} the number of episodes was changed (2, then 3): intervals" in err
    assert json.loads((one / "eval.json").read_text())["planned"] == [2, 3]
    assert "was changed (2, then 3)" in (one / "report.html").read_text()
    grown, err = compared()
    assert grown["test"] == "anytime"
    assert "warning one: the number of episodes was changed (2, then 3): pairs of seeds get" in err
    counts = ["compare", str(one), "y=1/2", "--json"]
    assert cli.main(counts) == 0
    found = json.loads(capsys.readouterr().out)["comparisons"][0]
    assert "episodes of one there are was chosen by what they showed" in found["unpaired"]
    rows = (other / "outcomes.jsonl").read_text().splitlines(keepends=True)
    (other / "outcomes.jsonl").write_text("".join(rows[:2]))
    _, err = compared()
    assert "warning other: 2 of 3 planned episodes were tried" in err
    evaluated("random", other, 3)
    evaluated("random", other, 1, "--seeds", "1000")
    capsys.readouterr()
    _, err = compared()
    assert "Later episodes have earlier seeds" in err


def test_a_deployment_keeps_what_was_asked_for(tmp_path: Path) -> None:
    book_in(tmp_path).plan(2)
    book = book_in(tmp_path)
    book.add(Row(0, "policy", "reach", "success", "SUCCESS", 9))
    book.plan(2)
    book_in(tmp_path).plan(5)
    assert json.loads((tmp_path / "deployment.json").read_text())["planned"] == [2, 5]
