"""Rollouts at one rate: a human is followed on and on, anybody else waits in a pause."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from fakes import CONTRACT, OneJoint, Ramp, Reach, Tape
from numpy.typing import NDArray

from vibrissa.control.forward import Eased
from vibrissa.control.keys import NoKeys
from vibrissa.control.paced import Paced
from vibrissa.control.pilots import ChunkPlayer, Random
from vibrissa.control.session import HumanTask, Interlude
from vibrissa.core.episode import Observation
from vibrissa.core.errors import ArmFault


class _Time:
    s = 0.0

    def now(self) -> float:
        return self.s

    def sleep(self, s: float) -> None:
        self.s += max(0.0, s)


class _Hand:
    def read(self) -> NDArray[np.float32]:
        return np.array([0.4], np.float32)


def _tasks() -> tuple[HumanTask, Interlude]:
    keys = NoKeys()
    return (
        HumanTask("Do it", seconds=1, rate_hz=30, keys=keys),
        Interlude(seconds=1, rate_hz=30, keys=keys),
    )


def test_a_leader_is_followed_through_the_pauses_without_a_gap() -> None:
    time, tape = _Time(), Tape()
    pilot = Eased(_Hand(), now=time.now)
    paced = Paced(OneJoint(), pilot, watching=[tape], now=time.now, sleep=time.sleep)
    task, pause = _tasks()
    for _ in range(3):
        paced.pause(pause)
        paced.play(task)
    assert paced.forwarding is not None
    assert paced.forwarding.gap_most_s < 0.006
    assert paced.forwarding.rate_hz == pytest.approx(200, abs=12)  # the ticks' own sends too
    assert len(tape.starts) == 6
    assert paced.meter.whole().ticks == 3 * 30  # a pause is not measured
    assert {step.decision.source for step in tape.steps} == {"human"}
    assert len(paced.told()) == 2


def test_a_script_waits_in_a_pause() -> None:
    time, tape = _Time(), Tape()
    paced = Paced(OneJoint(), Random(CONTRACT), watching=[tape], now=time.now, sleep=time.sleep)
    task, pause = _tasks()
    paced.pause(pause)
    assert len({float(step.sent[0]) for step in tape.steps}) == 1
    paced.play(task)
    assert len({float(step.sent[0]) for step in tape.steps}) > 20
    assert paced.forwarding is None
    assert len(paced.told()) == 1


def test_a_policy_infers_behind_the_arm_s_back() -> None:
    threads: set[str] = set()

    class Slow(Ramp):
        def act(self, observations: Sequence[Observation]) -> NDArray[np.float32]:
            threads.add(threading.current_thread().name)
            return super().act(observations)

    paced = Paced(OneJoint(), ChunkPlayer(4), policy=Slow())
    assert paced.play(Reach()).start.task == "reach"
    assert threading.current_thread().name not in threads
    assert threads


def test_a_led_arm_is_told_to_hold_after_a_fault_and_not_before() -> None:
    class Breaking(OneJoint):
        breaks = False

        def send(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
            if self.breaks:
                raise ArmFault("no servo answers.")
            return super().send(action)

    time, arm = _Time(), Breaking()
    paced = Paced(arm, Eased(_Hand(), now=time.now), now=time.now, sleep=time.sleep)
    task, pause = _tasks()
    paced.play(task)
    paced.pause(pause)
    assert arm.held == 0
    arm.breaks = True
    for count, (play, what) in enumerate([(paced.play, task), (paced.pause, pause)], 1):
        with pytest.raises(ArmFault, match="no servo"):
            play(what)
        assert arm.held == count


def test_an_arm_that_nobody_leads_holds_after_every_episode_and_pause() -> None:
    time, arm = _Time(), OneJoint()
    paced = Paced(arm, Random(CONTRACT), now=time.now, sleep=time.sleep)
    task, pause = _tasks()
    paced.play(task)
    paced.pause(pause)
    assert arm.held == 2


def test_observers_see_the_steps_that_a_policy_decides_too() -> None:
    time, watching, tape = _Time(), Tape(), Tape()
    paced = Paced(
        OneJoint(),
        ChunkPlayer(4),
        policy=Ramp(),
        watching=[watching],
        now=time.now,
        sleep=time.sleep,
    )
    paced.play(Reach(), [tape], seed=7)
    assert len(tape.steps) == len(watching.steps) == tape.ends[0].outcome.ticks > 0
    assert tape.ends[0].seed == 7
    assert paced.meter.whole().ticks == len(tape.steps)


def test_what_forwarding_costs_is_measured_on_its_own_and_its_rate_is_the_one_asked_for() -> None:
    time = _Time()

    class Slow(_Hand):
        def read(self) -> NDArray[np.float32]:
            time.s += 0.002
            return super().read()

    pilot = Eased(Slow(), now=time.now)
    paced = Paced(OneJoint(), pilot, forward_hz=60, now=time.now, sleep=time.sleep)
    task, _ = _tasks()
    paced.play(task)
    assert paced.forwarding is not None
    assert paced.forwarding.rate_hz == pytest.approx(60, abs=4)
    assert paced.told()[1] == paced.forwarding.told()
    forwarding_s = paced.meter.whole().p50_s["forwarding"]
    assert forwarding_s == pytest.approx(0.002, rel=0.2)
