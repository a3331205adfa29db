"""Rollouts on an arm somebody stands beside: what is kept, whatever ends it and wherever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import CONTRACT, OneJoint, Ramp, Reach, Tape

from vibrissa.bench.deployment import Stage, deploy
from vibrissa.bench.logbook import Logbook, label, told_of
from vibrissa.bench.outcomes import Row, read_rows
from vibrissa.bench.verdicts import Watched
from vibrissa.control.clock import WallClock
from vibrissa.control.keys import Keys, NoKeys, ScriptedKeys
from vibrissa.control.pilots import ChunkPlayer
from vibrissa.core.errors import ArmFault, UsageError

TOLD = {"checkpoint": "runs/one", "task": "reach"}


def book_in(folder: Path, **told: Any) -> Logbook:
    return Logbook(folder, TOLD | told, CONTRACT)


def stage(keys: Keys | None = None, *, judged: bool = True, **changes: Any) -> Stage:
    keys = keys or NoKeys()
    task = Watched("reach", "Reach", 30, keys, task=Reach() if judged else None)
    ready: dict[str, Any] = {"clock": WallClock(500.0)}
    arm = changes.pop("arm", OneJoint())
    arm.reset(0)  # as the first look does
    return Stage(arm, Ramp(), ChunkPlayer(8, lead=3), task, keys, **(ready | changes))


def failing(what: Any, at: int, error: BaseException) -> Any:
    """`what`, which raises at its call number `at`."""
    calls = iter(range(10_000))

    def call(*args: Any) -> Any:
        if next(calls) == at:
            raise error
        return what(*args)

    return call


def reasons(folder: Path) -> list[str]:
    return [row.reason for row in read_rows(folder / "outcomes.jsonl")]


@pytest.mark.parametrize("behind", [True, False])
def test_every_rollout_is_a_row_and_the_report_has_n_and_interval(tmp_path: Path, behind) -> None:
    said: list[str] = []
    ready = stage(behind=behind)
    ending = deploy(ready, book_in(tmp_path / "out"), 3, first_seed=7, say=said.append)
    assert (ending.trouble, ending.stopped, ending.interrupted) == (None, False, False)
    rows = read_rows(tmp_path / "out" / "outcomes.jsonl")
    assert [(row.seed, row.reason) for row in rows] == [(k, "success") for k in (7, 8, 9)]
    assert said[-1].startswith("rollout 3 of 3: success")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["success"], report["episodes"]) == (3, 3)
    assert (tmp_path / "out" / "report.html").is_file()
    assert ready.policy.resets.count(0) == 3  # type: ignore[attr-defined]


def test_a_folder_is_gone_on_with_up_to_the_number_and_never_mixed(tmp_path: Path) -> None:
    deploy(stage(), book_in(tmp_path), 2)
    deploy(stage(), book_in(tmp_path), 3)
    assert len(reasons(tmp_path)) == 3
    with pytest.raises(UsageError, match=r"something else \(checkpoint runs/one, now runs/two\)"):
        book_in(tmp_path, checkpoint="runs/two")
    book_in(tmp_path / "two", against="runs/three")
    with pytest.raises(UsageError, match=r"something else \(against runs/three, now None\)"):
        book_in(tmp_path / "two")  # one policy alone has no place among two that are blind
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter").write_text("dear")
    with pytest.raises(UsageError, match="holds no deployment"):
        book_in(tmp_path / "other")


@pytest.mark.parametrize("tick", [0, 4, 9])
@pytest.mark.parametrize("where", ["observe", "send"])
def test_an_arm_that_is_lost_ends_it_and_costs_nothing(tmp_path: Path, where, tick) -> None:
    arm, tape = OneJoint(), Tape()
    fault = ArmFault("no status packet")
    setattr(arm, where, failing(getattr(arm, where), 40 + tick, fault))  # of the second rollout
    said: list[str] = []
    home = iter(["", "", "the way home was broken off: no status packet"])
    ready = stage(arm=arm, observers=[tape], home=lambda: next(home), judged=False)
    ending = deploy(ready, book_in(tmp_path), 5, say=said.append)
    assert ending.trouble is fault
    assert reasons(tmp_path) == ["timeout", "fault"]
    assert [episode.outcome.reason for episode in tape.ends] == ["timeout", "fault"]
    assert said[-1] == "the arm could not go home: the way home was broken off: no status packet"
    assert arm.held == 2
    assert told_of(read_rows(tmp_path / "outcomes.jsonl")) == (
        "nothing judged yet (1 unlabelled, 1 in which arm or judge broke down)"
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["episodes"] == 0
    (caution,) = report["cautions"]
    assert caution == "Rollout 2 broke down and is not counted: ArmFault: no status packet"


def test_what_the_policy_breaks_is_counted_and_what_a_judge_breaks_is_not(tmp_path: Path) -> None:
    ready = stage(behind=False)
    ready.policy.act = failing(ready.policy.act, 0, ValueError("NaN"))  # type: ignore[method-assign]
    deploy(ready, book_in(tmp_path / "policy"), 1)
    assert told_of(read_rows(tmp_path / "policy" / "outcomes.jsonl")).startswith("0/1 (")
    broken = stage(judged=False)
    broken.task._judge = lambda _: 1 / 0  # type: ignore[assignment,return-value]
    ending = deploy(broken, book_in(tmp_path / "judge"), 1)
    assert "the judge raised ZeroDivisionError" in str(ending.trouble)
    assert told_of(read_rows(tmp_path / "judge" / "outcomes.jsonl")).startswith("nothing judged")


def test_an_arm_that_cannot_go_home_ends_it_after_its_row(tmp_path: Path) -> None:
    home = iter(["", "jammed", ""])
    ending = deploy(stage(home=lambda: next(home)), book_in(tmp_path), 5)
    assert str(ending.trouble) == "jammed"
    assert reasons(tmp_path) == ["success"]


def test_an_arm_that_cannot_be_reset_is_a_row_too(tmp_path: Path) -> None:
    arm = OneJoint()
    arm.reset = failing(arm.reset, 2, ArmFault("the port is gone"))  # type: ignore[method-assign]
    ending = deploy(stage(arm=arm), book_in(tmp_path), 5)
    assert str(ending.trouble) == "the port is gone"
    assert reasons(tmp_path) == ["success", "fault"]


def test_ctrl_c_keeps_the_row_goes_home_and_says_so(tmp_path: Path) -> None:
    arm, homes = OneJoint(), []
    arm.send = failing(arm.send, 5, KeyboardInterrupt())  # type: ignore[method-assign]
    ending = deploy(stage(arm=arm, home=lambda: homes.append(1) or ""), book_in(tmp_path), 5)
    assert ending.interrupted
    assert reasons(tmp_path) == ["aborted"]
    assert len(homes) == 2
    assert arm.held == 1
    assert told_of(read_rows(tmp_path / "outcomes.jsonl")) == "nothing judged yet (1 aborted)"


def test_a_second_ctrl_c_on_the_way_home_is_heard(tmp_path: Path) -> None:
    home = failing(lambda: "", 1, KeyboardInterrupt())
    assert deploy(stage(home=home), book_in(tmp_path), 1).interrupted
    assert reasons(tmp_path) == ["success"]


def test_keys_judge_label_afterwards_and_stop(tmp_path: Path) -> None:
    """→ begins; nobody says how the first one went until it is over; f; then Esc in the pause."""
    during = [None] * 31
    presses = ["right", *during, None, "s", "right", None, None, "f", None, "esc"]
    said: list[str] = []
    ready = stage(ScriptedKeys(presses), judged=False, waits=True, sleep=lambda _: None)
    ending = deploy(ready, book_in(tmp_path), 5, say=said.append)
    assert ending.stopped
    rows = read_rows(tmp_path / "outcomes.jsonl")
    assert [row.failure_class for row in rows] == ["SUCCESS", "FAILURE"]
    assert rows[0].detail == "labelled after it"
    assert "s or f says how the last one went" in said[2]
    assert told_of(rows).startswith("1/2 ")


def test_a_pause_without_a_key_is_over_by_itself(tmp_path: Path) -> None:
    slept: list[float] = []
    deploy(stage(reset_s=1.0, sleep=slept.append), book_in(tmp_path), 2)
    assert sum(slept) == pytest.approx(2.0, abs=0.11)


def test_what_nobody_labelled_is_not_counted_and_can_be_labelled_later(tmp_path: Path) -> None:
    deploy(stage(judged=False), book_in(tmp_path), 3)
    rows = read_rows(tmp_path / "outcomes.jsonl")
    assert told_of(rows) == "nothing judged yet (3 unlabelled)"
    label(tmp_path, 1, "success")
    rows = label(tmp_path, 3, "failure")
    assert told_of(rows).startswith("1/2 (")
    assert told_of(rows).endswith("and 1 unlabelled, not counted")
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["success"], report["episodes"]) == (1, 2)
    for number in (0, 4, -1):
        with pytest.raises(UsageError, match=rf"no rollout {number} in .* There is: 1 to 3"):
            label(tmp_path, number, "success")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full disk at hand")
def test_a_full_disk_ends_it_and_the_figures_are_told_all_the_same(tmp_path: Path) -> None:
    book = book_in(tmp_path)
    add = book._file.add

    def fills(row: Row) -> None:
        add(row)
        book._file.path = Path("/dev/full")

    book._file.add = fills  # type: ignore[method-assign]
    ending = deploy(stage(), book, 5)
    assert "No space left on device" in str(ending.trouble)
    assert "so far 2/2 (" in str(ending.trouble)
    assert reasons(tmp_path) == ["success"]


def test_a_label_that_cannot_be_written_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(stage(judged=False), book_in(tmp_path), 1)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match=r"No space left on device. It is as it was\."):
        label(tmp_path, 1, "success")
    assert [r.failure_class for r in read_rows(tmp_path / "outcomes.jsonl")] == ["UNLABELLED"]


def test_a_bug_goes_up_and_its_rollout_is_kept(tmp_path: Path) -> None:
    arm = OneJoint()
    arm.send = failing(arm.send, 5, ZeroDivisionError())  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        deploy(stage(arm=arm), book_in(tmp_path), 2)
    assert reasons(tmp_path) == ["fault"]
