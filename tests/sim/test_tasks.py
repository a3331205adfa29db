"""The judges: what they may be fooled by, tick for tick."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vibrissa.control.drive import run_episode
from vibrissa.control.pilots import Random, Zero
from vibrissa.core.episode import Observation
from vibrissa.core.errors import UsageError
from vibrissa.core.protocols import Task
from vibrissa.sim.arm import SimArm
from vibrissa.sim.tasks import HELD_TICKS, TASKS, make_scene, make_task

TRAY = (0.217, -0.225)


def seen(x: float, y: float, z: float, touching: bool = False) -> Observation:
    truth = {"object_position": np.array([x, y, z]), "touching": touching, "grasped": touching}
    return Observation(0, 0.0, np.zeros(6, np.float32), truth=truth)


def verdicts(task: Task, *observations: Observation) -> list[str | None]:
    task.reset()
    return [task.judge(o) for o in observations]


def test_the_tasks_are_as_they_are_told() -> None:
    pick, lift = TASKS["pick-place"], TASKS["lift"]
    assert (pick.max_ticks, pick.scene.rate_hz) == (300, 30.0)
    assert (lift.max_ticks, lift.scene.rate_hz) == (100, 10.0)
    assert pick.scene.object.half_size_m == (0.032, 0.016, 0.0096)
    assert [c.fovy_deg for c in pick.scene.cameras] == [52.0, 71.0]
    assert make_task("pick-place").instruction == "Pick up the block and place it in the bowl"
    assert isinstance(make_task("lift"), Task)


def test_an_unknown_task_is_answered_with_those_that_exist() -> None:
    for make in (make_scene, make_task):
        with pytest.raises(UsageError, match="pick-place, lift"):
            make("fold-towel")


def test_success_is_ten_ticks_in_the_tray_without_the_gripper() -> None:
    task = make_task("pick-place")
    there = seen(*TRAY, 0.012)
    told = verdicts(task, *[there] * HELD_TICKS)
    assert told == [None] * (HELD_TICKS - 1) + ["success"]


@pytest.mark.parametrize(
    "almost",
    [
        seen(*TRAY, 0.012, touching=True),  # held, not released
        seen(*TRAY, 0.051),  # over the tray, not in it
        seen(TRAY[0] + 0.061, TRAY[1], 0.012),
        seen(TRAY[0], TRAY[1] - 0.061, 0.012),
    ],
)
def test_almost_is_no_success_and_starts_the_count_again(almost: Observation) -> None:
    task = make_task("pick-place")
    assert verdicts(task, *[almost] * 30) == [None] * 30
    there = seen(*TRAY, 0.012)
    assert "success" not in verdicts(task, *[there] * 9, almost, *[there] * 9)


def test_reset_forgets_what_was_counted() -> None:
    task = make_task("pick-place")
    there = seen(*TRAY, 0.012)
    verdicts(task, *[there] * 9)
    assert verdicts(task, there) == [None]
    assert task.measures()["picked"] == 0.0


def test_a_lift_lasts_ten_ticks_above_eight_centimetres() -> None:
    task = make_task("lift")
    up, low = seen(0.25, 0, 0.081, True), seen(0.25, 0, 0.080, True)
    assert "success" not in verdicts(task, *[up] * 9, low, *[up] * 9)
    assert verdicts(task, *[up] * 10)[-1] == "success"
    assert "final_goal_distance_m" not in task.measures()


@pytest.mark.parametrize(
    ("track", "reason", "told"),
    [
        ([seen(0.2, 0.2, 0.01)] * 5, "timeout", "NEVER_PICKED_UP"),
        ([seen(0.2, 0.2, 0.07, True)] * 5, "timeout", "TIMEOUT"),
        (
            [seen(0.2, 0.2, 0.07, True)] * 5 + [seen(0.2, 0.1, 0.01)] * 20,
            "timeout",
            "DROPPED_DURING_TRANSPORT",
        ),
        (
            [seen(0.2, 0.2, 0.07, True)] * 5 + [seen(0.2, -0.13, 0.01)] * 20,
            "timeout",
            "MISSED_GOAL",
        ),
        (
            [seen(0.2, 0.2, 0.07, True)] * 2 + [seen(0.2, 0.1, 0.01)] * 2
            + [seen(0.2, 0.0, 0.07, True)] * 2 + [seen(*TRAY, 0.012)] * 10,
            "success",
            "FUMBLED",
        ),
        ([seen(0.2, 0.2, 0.07, True)] * 2 + [seen(*TRAY, 0.012)] * 10, "success", "SUCCESS"),
    ],
)  # fmt: skip
def test_every_end_has_its_class(track: list[Observation], reason: Any, told: str) -> None:
    task = make_task("pick-place")
    verdicts(task, *track)
    assert task.failure_class(reason) == told


def test_the_measures_are_the_track_in_numbers() -> None:
    task = make_task("pick-place")
    verdicts(task, seen(0.2, 0.2, 0.07, True), *[seen(0.2, -0.1, 0.01)] * 20)
    numbers = task.measures()
    assert numbers["max_height_m"] == 0.07
    assert numbers["final_height_m"] == 0.01
    assert numbers["picked"] == numbers["dropped"] == 1.0
    assert numbers["final_goal_distance_m"] == pytest.approx(np.hypot(0.017, 0.125))


def test_what_was_put_down_in_the_tray_was_not_dropped() -> None:
    task = make_task("pick-place")
    verdicts(task, seen(0.2, 0.2, 0.07, True), *[seen(*TRAY, 0.012)] * 20)
    assert task.measures()["dropped"] == 0.0


@pytest.mark.parametrize("task", TASKS)
def test_doing_nothing_never_succeeds_and_chance_hardly_ever(task: str) -> None:
    cfg = make_scene(task)
    arm = SimArm(cfg)
    for pilot in (Zero(), Random(arm.contract)):
        ends = [run_episode(arm, pilot, make_task(task, cfg), seed=s).outcome for s in range(3)]
        assert [end.reason for end in ends] == ["timeout"] * 3
        assert {end.ticks for end in ends} == {TASKS[task].max_ticks}
