"""The same rows from any number of processes, and what becomes of one that is lost."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from bench.builds import deadly_setup, ramp_setup, zero_setup
from fakes import Ramp

from vibrissa.bench import helpers
from vibrissa.bench.evaluate import evaluate
from vibrissa.bench.judge import CutShort, judge
from vibrissa.bench.outcomes import Row
from vibrissa.bench.tapes import tape_into
from vibrissa.bench.workers import can_travel, evaluate_in_workers, worth
from vibrissa.core.errors import UsageError


@pytest.fixture(autouse=True)
def alone() -> None:
    """No helper stands from an earlier test."""
    helpers.dismiss()


def timeless(rows: Sequence[Row]) -> list[Row]:
    """By seed, less what a clock tells."""
    plain = [replace(row, wall_s=0.0, latency_s=(0.0, 0.0)) for row in rows]
    return sorted(plain, key=lambda row: row.seed)


def test_processes_give_the_rows_of_one_and_watchers_sit_in_them(tmp_path: Path) -> None:
    setup = replace(ramp_setup(), make_arm=deadly_setup(tmp_path / "mark", "well").make_arm)
    rows = judge(setup, range(9), workers=2, watches=[tape_into(tmp_path / "tapes")])
    assert timeless(rows) == timeless(list(evaluate(ramp_setup(), range(9))))
    assert len(list((tmp_path / "tapes").glob("seed_*_SUCCESS.json"))) == 9


@pytest.mark.parametrize(
    ("how", "error", "told"),
    [("user", UsageError, "no such thing"), ("bug", RuntimeError, "ZeroDivisionError")],
)
def test_what_a_process_raises_comes_back(
    tmp_path: Path, how: str, error: type[Exception], told: str
) -> None:
    build = functools.partial(deadly_setup, tmp_path / "mark", how)
    with pytest.raises(error, match=told):
        list(evaluate_in_workers(build, range(8), 2))


@pytest.mark.parametrize(("how", "told"), [("killed", "SIGKILL"), ("memory", "no memory left")])
def test_of_a_process_that_is_lost_the_rows_so_far_are_kept(
    tmp_path: Path, how: str, told: str
) -> None:
    kept: list[Row] = []
    setup = deadly_setup(tmp_path / "mark", how)
    with pytest.raises(CutShort, match=told) as caught:
        judge(setup, range(8), keep=kept.append, workers=2)
    assert 0 < len(kept) < 8
    assert [row.seed for row in caught.value.rows] == sorted(row.seed for row in kept)
    assert f"{len(kept)} of 8 episodes are judged" in str(caught.value)
    assert "--workers 1" in str(caught.value)


def test_no_memory_left_in_this_process_ends_it_the_same_way() -> None:
    """It is no fault of the policy, which happens to be the one that asks for more."""

    class Greedy(Ramp):
        def act(self, observations):
            if len(self.batches) == 8:  # in the third episode
                raise MemoryError
            return super().act(observations)

    kept: list[Row] = []
    setup = replace(ramp_setup(), policy=Greedy(), slots=1)
    with pytest.raises(CutShort, match="no memory left") as caught:
        judge(setup, range(8), keep=kept.append)
    assert [row.reason for row in kept] == ["success"] * 2
    assert caught.value.rows == kept


def test_a_setup_that_cannot_travel_is_judged_here(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = replace(zero_setup(), make_pilot=lambda arm: zero_setup().make_pilot(arm))
    assert not can_travel(setup)
    assert timeless(judge(setup, range(3))) == timeless(judge(zero_setup(), range(3)))
    with pytest.raises(UsageError, match="--workers 1"):
        judge(setup, range(3), workers=2)


def test_more_processes_only_where_they_pay() -> None:
    assert [worth(n, 2) for n in (0, 50, 119, 120, 600)] == [1, 1, 1, 2, 2]
    assert [worth(n, 2, ramp_setup()) for n in (5, 19, 20)] == [1, 1, 2]  # its arm has a camera
