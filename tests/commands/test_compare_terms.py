"""`vibrissa compare --out`: a folder holds the outcomes of one scene, and says which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands.test_compare import compared, refused

from vibrissa import cli
from vibrissa.bench.outcomes import Row


def test_a_folder_knows_in_which_scene_it_was_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of two scenes never come to stand in one folder, nor beside each other unseen."""
    out = tmp_path / "near"
    words = ["still=zero:min=0.01", "random", "--task", "lift", "--episodes", "2", "--no-films"]
    told = compared(capsys, *words, "--spawn-half", "0.03", "--out", str(out))
    terms = json.loads((out / "contest.json").read_text("utf8"))
    assert (terms["task"], terms["scene"]["spawn"]["half_m"]) == ("lift", 0.03)
    assert terms["contenders"]["still"]["options"] == "grip=min=0.01"
    assert terms.pop("versions")
    assert json.loads((out / "compare.json").read_text("utf8"))["terms"] == terms == told["terms"]
    line = refused(capsys, *words, "--spawn-half", "0.05", "--out", str(out))
    assert "holds something else (scene.spawn.half_m 0.03, now 0.05). Ask for the same" in line
    old = f"old={out}#random"
    line = refused(capsys, old, "now=random", "--task", "lift", "--spawn-half", "0.05")
    assert "old was judged in another scene (spawn) than the others would be" in line
    again = compared(capsys, old, "now=random", "--task", "lift", "--spawn-half", "0.03")
    assert again["comparisons"][0]["pairs"]["neither"] == 2
    wide = tmp_path / "wide"
    compared(capsys, *words, "--spawn-half", "0.05", "--out", str(wide))
    (one,) = compared(capsys, old, f"wide={wide}#random")["comparisons"]
    assert one["verdict"] == "none"
    assert one["unjudged"] == "they were tried in different scenes (spawn)"


def test_a_folder_that_does_not_know_its_scene_is_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "contest.json").write_text('{"settings": {"seeds": 2000000}, "done": []}')
    (tmp_path / "outcomes.jsonl").write_text("")
    line = refused(capsys, "zero", "random", "--task", "lift", "--out", str(tmp_path))
    assert "was begun by a version that did not note in which scene" in line
    assert (tmp_path / "outcomes.jsonl").exists()


def test_seeds_that_were_seen_are_not_left_out_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who asks for fewer afterwards would choose the verdict by what he saw."""
    words = ["expert", "still=random", "--task", "lift", "--out", str(tmp_path), "--no-films"]
    whole = compared(capsys, *words, "--episodes", "8")
    assert whole["comparisons"][0]["verdict"] == "better"
    assert cli.main(["compare", *words, "--episodes", "1", "--json"]) == 0
    told, err = capsys.readouterr()
    assert json.loads(told)["comparisons"] == whole["comparisons"]
    assert "holds 8 seeds, and all of them count" in err


def test_a_table_that_changed_is_another_contender(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "theirs.csv", tmp_path / "out"
    table.write_text("seed,success\n5,1\n6,0\n")
    words = [str(table), "zero", "--task", "lift", "--no-films", "--out", str(out)]
    compared(capsys, *words)
    compared(capsys, *words)
    table.write_text("seed,success\n5,1\n6,1\n")
    assert "(contenders.theirs.outcomes " in refused(capsys, *words)


def test_a_test_that_was_looked_at_twice_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Going on until Barnard's test says what one likes is told, and stays told."""
    words = ["random", "counts=9/20", "--task", "lift", "--no-films", "--out", str(tmp_path)]
    assert compared(capsys, *words, "--episodes", "2")["cautions"] == []
    told = compared(capsys, *words, "--episodes", "3")
    assert told["looked_after"] == [2, 3]
    assert told["cautions"][0].startswith("A verdict was told after 2 seeds already. Barnard's")
    assert compared(capsys, *words, "--episodes", "3")["cautions"] == told["cautions"]
    assert "A verdict was told after 2 seeds" in (tmp_path / "compare.html").read_text("utf8")


def test_the_anytime_test_may_be_looked_at_as_often_as_one_likes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["zero", "random", "--task", "lift", "--no-films", "--out", str(tmp_path)]
    compared(capsys, *words, "--episodes", "1")
    told = compared(capsys, *words, "--episodes", "2")
    assert (told["looked_after"], told["cautions"]) == ([1, 2], [])


def test_a_folder_with_an_equals_sign_is_no_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("as_it_is", "grip=offset=0.1"):
        Path(name).mkdir()
        row = Row(1, "policy", "lift", "success", "SUCCESS", 9)
        (Path(name) / "outcomes.jsonl").write_text(row.to_json() + "\n")
    told = compared(capsys, "as_it_is", "grip=offset=0.1")
    assert list(told["contenders"]) == ["as_it_is", "grip=offset=0.1"]


def test_another_task_is_refused_before_anything_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of rows alone, which do not tell their scene."""
    row = Row(1, "policy", "pick-place", "success", "SUCCESS", 9)
    (tmp_path / "outcomes.jsonl").write_text(row.to_json() + "\n")
    line = refused(capsys, f"old={tmp_path}", "expert", "--task", "lift")
    assert "old was judged in another scene (pick-place) than the others would be" in line
    assert line.endswith("give its counts alone: old=1/1.")
