"""Processes that stand ready are used again, and do what they would do if they were new."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
from bench.builds import deadly_setup, marked_by, ramp_setup, zero_setup

from vibrissa.bench import helpers, workers
from vibrissa.bench.evaluate import Setup
from vibrissa.bench.helpers import Helper
from vibrissa.bench.judge import judge
from vibrissa.bench.workers import affordable, pays_beside, worth

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    helpers.dismiss()
    yield
    helpers.dismiss()


def standing_one() -> Helper:
    """A helper that has loaded, and stands."""
    helpers.prepare(1)
    end_s = time.monotonic() + PATIENCE_S
    while not (lent := helpers.lend(1)):
        assert time.monotonic() < end_s
        time.sleep(0.01)
    lent[0].pipe.send_bytes(helpers.packed(ramp_setup, ()))  # one piece of work without a seed
    assert lent[0].pipe.recv() == ramp_setup().slots + helpers.AHEAD
    lent[0].pipe.send(None)
    assert lent[0].pipe.recv() == helpers.DONE
    helpers.give_back(lent[0])
    return lent[0]


def shared(mark: Path) -> Setup:
    """Ours waits until a helper has begun an episode, so that there is one in every run."""
    return replace(ramp_setup(), make_arm=deadly_setup(mark, "well").make_arm)


def test_the_next_evaluation_has_the_helper_of_the_last_one(tmp_path: Path) -> None:
    for number in (1, 2):
        watch = partial(marked_by, tmp_path)
        judge(shared(tmp_path / f"mark {number}"), range(9), workers=2, watches=[watch])
    processes = {int(file.name) for file in tmp_path.iterdir() if file.name.isdecimal()}
    assert len(processes) == 2
    assert os.getpid() in processes
    assert helpers.standing() == 1


def test_work_is_done_in_the_folder_in_which_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = standing_one()
    monkeypatch.chdir(tmp_path)
    Path("films").mkdir()
    watch = partial(marked_by, Path("films"))
    judge(shared(tmp_path / "mark"), range(9), workers=2, watches=[watch])
    assert (tmp_path / "films" / str(helper.process.pid)).exists()


def test_a_system_that_begins_no_more_processes_has_one_do_all_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(SpawnProcess, "start", full)
    helpers.prepare(2)
    assert helpers.standing() == 0
    rows = judge(ramp_setup(), range(9), workers=2)
    assert [row.seed for row in rows] == list(range(9))


def test_one_that_dies_while_it_stands_costs_nothing(tmp_path: Path) -> None:
    helper = standing_one()
    helper.process.kill()
    helper.process.join()
    rows = judge(ramp_setup(), range(9), workers=2)
    assert [row.seed for row in rows] == list(range(9))
    assert all(row.success for row in rows)


def test_what_stands_is_worth_using_for_fewer_episodes() -> None:
    assert worth(40, 4) == 1
    helpers.prepare(1)
    assert [worth(n, 4) for n in (15, 16, 40)] == [1, 2, 2]
    assert worth(40, 1) == 1


def test_a_gpu_has_room_for_so_many_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    class Big:
        contract = ramp_setup().policy.contract  # type: ignore[union-attr]

        def room_for_copies(self) -> int:
            return 2

    monkeypatch.setattr(workers, "_room", lambda _: 12)
    assert affordable(replace(ramp_setup(), policy=Big())) == 3  # type: ignore[arg-type]
    assert affordable(ramp_setup()) == 12


def test_inference_goes_beside_the_physics_where_a_processor_is_free() -> None:
    seeing = replace(ramp_setup(), rows=2)  # its arm has a camera
    assert [pays_beside(seeing, count, 2) for count in (1, 2)] == [True, False]
    assert not pays_beside(zero_setup(), 1, 2)
