"""The one reader of rows: what contradicts itself is refused in a line, and counts are right."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from bench.test_deployment import book_in, stage
from fakes import CONTRACT

from vibrissa.bench.blind import missing, reveal
from vibrissa.bench.deployment import deploy
from vibrissa.bench.logbook import Logbook, film_of, label, read_all
from vibrissa.bench.order import Order, write_order
from vibrissa.bench.outcomes import Row, RowFile, read_file, read_rows
from vibrissa.bench.row_checks import KNOWN_CLASSES, REASONS, wrong_with
from vibrissa.core.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
SAMPLE, READ = 10, 700  # command lines, and files, of all that runs/fuzz_rows.py has


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_rows", ROOT / "runs" / "fuzz_rows.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_rows"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["eval", "deploy"])
def test_every_row_that_is_spoilt_is_refused_or_counted_right(
    tmp_path: Path, fuzz: ModuleType, kind: str
) -> None:
    """Through the reader itself: any field of any row, any line, any cut."""
    folder, rows = fuzz.sound_folders(tmp_path)[kind]
    file = folder / "outcomes.jsonl"
    for one in random.Random(5).sample(list(fuzz.spoilt(rows)), READ):
        file.write_bytes(one.content)
        said, read = "", []
        try:
            read = read_file(file).rows
        except UsageError as error:
            said = str(error)
        if said:
            assert said.startswith("line ")
            assert "\n" not in said
            assert str(file) in said
        else:
            assert not one.refused, one.what
            assert (len(read), sum(row.success for row in read)) == one.left, one.what


def test_the_commands_refuse_them_or_count_right(tmp_path: Path, fuzz: ModuleType) -> None:
    folders = fuzz.sound_folders(tmp_path)
    todo = [
        (kind, command, one)
        for kind, (_, rows) in folders.items()
        for one in fuzz.spoilt(rows)
        for command in fuzz.COMMANDS[kind]
    ]
    for kind, command, one in random.Random(3).sample(todo, SAMPLE):
        fresh = shutil.copytree(folders[kind][0], tmp_path / "spoilt")
        assert fuzz.judge(one, command, fresh) == "", (kind, command, one.what)
        shutil.rmtree(fresh)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"failure_class": "NEVER_PICKED_UP"}, "'reason' 'success' and 'failure_class' 'NEVER"),
        ({"reason": "great"}, "'reason' is \"great\", and should be one of success, failure"),
        ({"failure_class": "LOST"}, "'failure_class' is \"LOST\", and should be one of SUCCESS"),
        ({"reason": "fault"}, "'reason' 'fault' and 'failure_class' 'SUCCESS' contradict"),
        ({"ticks": -1}, "'ticks' is -1, and should be a whole number from 0 on"),
        ({"ticks": 301}, "'ticks' is 301, and an episode has at most 300 there"),
        ({"ticks": float("nan")}, "'ticks' is NaN"),
        ({"seed": True}, "'seed' is true"),
        ({"task": "lift"}, "'task' is 'lift', and eval.json says 'pick-place'"),
        ({"pilot": "expect"}, "'pilot' is 'expect', and eval.json has: zero, expert"),
        ({"seed": 2_000_001}, "line 1 is pilot zero seed 2000001 too. Keep one of the two"),
        ({"failure_class": "UNLABELLED", "reason": "timeout"}, "nobody said how it ended"),
    ],
)
def test_a_refusal_names_file_line_fault_and_what_to_do(
    tmp_path: Path, fuzz: ModuleType, change: dict, said: str
) -> None:
    folder, rows = fuzz.sound_folders(tmp_path)["eval"]
    raws = [json.loads(row.to_json()) for row in (rows[1], rows[0])]
    raws[1] |= change
    (folder / "outcomes.jsonl").write_text("".join(json.dumps(raw) + "\n" for raw in raws))
    with pytest.raises(UsageError) as caught:
        RowFile(folder / "outcomes.jsonl")
    line = str(caught.value)
    assert line.startswith(f"line 2 of {folder / 'outcomes.jsonl'} is no outcome of an episode: ")
    assert said in line
    assert "Put the line right, or remove it" in line


def test_a_cut_is_said_and_a_whole_line_without_an_end_is_kept(
    tmp_path: Path, fuzz: ModuleType
) -> None:
    folder, rows = fuzz.sound_folders(tmp_path)["eval"]
    file = folder / "outcomes.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-40])
    assert read_file(file).cut == f"Line 6 of {file} is cut short and is not counted."
    assert RowFile(file).cut.endswith("It is played again.")
    file.write_bytes(whole[:-1])
    assert (len(read_file(file).rows), read_file(file).cut) == (len(rows), "")
    # Not cut, but changed by hand in an editor that ends no line: refused, and never dropped.
    file.write_bytes(whole[:-1].replace(b'"reason": "success"', b'"reason": "great"'))
    with pytest.raises(UsageError, match=r"'reason' is .great"):
        read_file(file)


def lines_of(folder: Path) -> list[str]:
    return (folder / "outcomes.jsonl").read_text().splitlines(keepends=True)


def test_a_deployment_plays_the_rollouts_that_are_missing(tmp_path: Path) -> None:
    """Not as many as there are rows too few, from the last one on."""
    deploy(stage(), book_in(tmp_path), 4, first_seed=7)
    lines = lines_of(tmp_path)
    (tmp_path / "outcomes.jsonl").write_text("".join([lines[0], *lines[2:]]))
    assert [row.rollout for row in read_all(tmp_path)] == [1, 3, 4]
    said: list[str] = []
    deploy(stage(), book_in(tmp_path), 5, first_seed=7, say=said.append)
    rows = read_rows(tmp_path / "outcomes.jsonl")
    assert [(row.rollout, row.seed) for row in rows] == [(1, 7), (3, 9), (4, 10), (2, 8), (5, 11)]
    assert [line.partition(":")[0] for line in said] == ["rollout 2 of 5", "rollout 5 of 5"]
    assert [row.rollout for row in read_all(tmp_path)] == [1, 2, 3, 4, 5]


def test_a_doubled_rollout_is_refused(tmp_path: Path) -> None:
    deploy(stage(), book_in(tmp_path), 3)
    lines = lines_of(tmp_path)
    (tmp_path / "outcomes.jsonl").write_text("".join([*lines, lines[0]]))
    with pytest.raises(UsageError, match=r"line 4 of .*line 1 is rollout 1 too"):
        book_in(tmp_path)
    other = json.loads(lines[0]) | {"rollout": 4}
    (tmp_path / "outcomes.jsonl").write_text("".join([*lines, json.dumps(other) + "\n"]))
    with pytest.raises(UsageError, match=r"line 4 of .*'seed' 0 is not the one of rollout 4"):
        book_in(tmp_path)


def test_labels_and_films_go_by_the_rollout(tmp_path: Path) -> None:
    deploy(stage(judged=False), book_in(tmp_path), 3)
    lines = lines_of(tmp_path)
    (tmp_path / "outcomes.jsonl").write_text("".join(lines[1:]))
    assert missing(read_all(tmp_path)) == [1, 2]
    rows = label(tmp_path, 3, "success")
    assert [(row.rollout, row.failure_class) for row in rows] == [(2, "UNLABELLED"), (3, "SUCCESS")]
    assert film_of(tmp_path, 2).name == "rollout_003.mp4"
    with pytest.raises(UsageError, match=r"no rollout 1 in .* There is: 2, 3\."):
        label(tmp_path, 1, "success")


def test_rows_of_an_earlier_version_are_numbered_by_their_seeds(tmp_path: Path) -> None:
    book = book_in(tmp_path, seeds=7)
    rows = [Row(seed, "policy", "reach", "success", "SUCCESS", 9) for seed in (7, 8, 10)]
    (tmp_path / "outcomes.jsonl").write_text("".join(row.to_json() + "\n" for row in rows))
    assert [row.rollout for row in read_all(tmp_path)] == [1, 2, 4]
    assert book_in(tmp_path, seeds=7).missing(5) == [2, 4]
    assert book.missing(2) == [0, 1]  # it had read the folder before


def test_of_two_policies_the_one_whose_rollout_is_missing_drives_again(tmp_path: Path) -> None:
    told = {"checkpoint": "one", "against": "two", "task": "reach"}
    Logbook(tmp_path, told, CONTRACT)
    order = Order(3, 2)
    write_order(tmp_path, order)
    rows = [
        Row(n // 2, "hidden", "reach", "success" if n % 2 else "failure", "", 9, rollout=n + 1)
        for n in range(4)
    ]
    lines = [
        json.dumps(json.loads(row.to_json()) | {"failure_class": row.reason.upper()}) + "\n"
        for row in rows
    ]
    file = tmp_path / "outcomes.jsonl"
    file.write_text("".join([lines[1], *lines[2:]]))
    assert Logbook(tmp_path, told, CONTRACT).missing(4) == [0]
    found = reveal(tmp_path)
    assert (found.paired.seeds, found.left_out) == (1, 1)
    assert {row.rollout: row.pilot for row in read_all(tmp_path)} == {
        n + 1: order.driver(n) for n in (1, 2, 3)
    }
    bare = [line.replace(f', "rollout": {n + 1}', "") for n, line in enumerate(lines)]
    write_order(tmp_path, order)
    file.write_text("".join(bare))
    assert [row.rollout for row in read_all(tmp_path)] == [1, 2, 3, 4]
    file.write_text("".join(bare[1:]))  # an earlier version's row, and nobody knows whose
    with pytest.raises(UsageError, match=r"line 1 of .*seed 0 has 1 rows, and nothing says"):
        read_all(tmp_path)


def test_reason_and_class_agree_in_just_these_pairs() -> None:
    lost = ("NEVER_PICKED_UP", "DROPPED_DURING_TRANSPORT", "MISSED_GOAL", "TIMEOUT", "FAILURE")
    agree = {("success", "SUCCESS"), ("success", "FUMBLED"), ("aborted", "ABORTED")}
    agree |= {("fault", "FAULT"), ("timeout", "UNLABELLED"), ("aborted", "UNLABELLED")}
    agree |= {(reason, name) for reason in ("failure", "timeout") for name in lost}
    rows = {
        (reason, name): Row(5, "policy", "pick-place", reason, name, 10)  # type: ignore[arg-type]
        for reason in REASONS
        for name in KNOWN_CLASSES
    }
    found = {pair for pair, row in rows.items() if not wrong_with(json.loads(row.to_json()))}
    assert found == agree


def test_a_row_without_a_number_is_the_first_rollout_that_is_missing(tmp_path: Path) -> None:
    book = book_in(tmp_path / "d")
    for rollout in (1, 3):
        book.add(Row(rollout, "policy", "reach", "timeout", "TIMEOUT", 10, rollout=rollout))
    book.add(Row(2, "policy", "reach", "timeout", "TIMEOUT", 10))
    assert [row.rollout for row in book.rows] == [1, 3, 2]
