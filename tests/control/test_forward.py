"""Leader → follower between the ticks: often, first, never late, and never with a jump."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import OneJoint, Reach, Tape
from numpy.typing import NDArray

from vibrissa.control.clock import WallClock
from vibrissa.control.drive import run_episode
from vibrissa.control.forward import Eased, Forwarder, Forwarding, Readable
from vibrissa.core.episode import Decision, Observation, Start
from vibrissa.core.errors import ArmFault, ContractError


class _Time:
    """A clock that goes on only by sleeping, and by `cost_s` at each read of the leader."""

    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> float:
        return self.s

    def sleep(self, s: float) -> None:
        assert s > 0
        self.s += s


class _Hand:
    """A leader that moves at one rad/s from the start; a read costs `cost_s`."""

    def __init__(self, time: _Time, cost_s: float = 0.0, speed: float = 1.0, start: float = 0.0):
        self.time, self.cost_s, self.speed, self.start = time, cost_s, speed, start
        self.reads = 0

    def read(self) -> NDArray[np.float32]:
        self.reads += 1
        self.time.s += self.cost_s
        return np.array([self.start + self.speed * self.time.s], np.float32)


class _Arm(OneJoint):
    def __init__(self, time: _Time) -> None:
        super().__init__()
        self.time = time
        self.log: list[tuple[float, float]] = []

    def send(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        self.log.append((self.time.s, float(action[0])))
        return super().send(action)


def _forwarder(cost_s: float = 0.0, rate_hz: float = 200.0) -> tuple[_Time, _Arm, Forwarder]:
    time = _Time()
    arm = _Arm(time)
    arm.reset(0)
    hand = _Hand(time, cost_s)
    return time, arm, Forwarder(hand, arm, rate_hz=rate_hz, now=time.now, sleep=time.sleep)


def test_it_sends_on_its_grid_until_the_deadline_and_no_longer() -> None:
    time, arm, forwarder = _forwarder()
    forwarder(1 / 30)
    assert time.s == pytest.approx(1 / 30)
    assert [t for t, _ in arm.log] == pytest.approx([0.005 * n for n in range(7)])
    assert all(q == pytest.approx(t, abs=1e-6) for t, q in arm.log)  # what the hand says now


def test_slow_buses_make_fewer_passes_and_no_late_tick() -> None:
    time, arm, forwarder = _forwarder(cost_s=0.012)
    for tick in range(1, 31):
        forwarder(tick / 30 - time.s)
        if tick > 2:  # what a pass costs is known by now
            assert time.s == pytest.approx(tick / 30)
    assert 30 < len(arm.log) < 70
    told = forwarder.told()
    assert told.pass_p50_s == pytest.approx(0.012, rel=0.05)
    assert told.gap_most_s < 1 / 30


def test_one_slow_pass_does_not_keep_out_the_later_ones() -> None:
    time, arm, _ = _forwarder()
    hand = _Hand(time, 0.2)
    slow = Forwarder(hand, arm, now=time.now, sleep=time.sleep)
    slow(0.03)
    hand.cost_s = 0.0
    for _ in range(20):
        slow(0.03)
    assert len(arm.log) > 30


def test_the_loop_forwards_between_its_ticks_and_records_its_own_sends() -> None:
    time = _Time()
    arm, tape = _Arm(time), Tape()
    hand = _Hand(time)
    pilot = Eased(hand, most_rad_s=1e9, now=time.now)
    forwarder = Forwarder(pilot, arm, now=time.now, sleep=time.sleep)
    clock = WallClock(30, now=time.now, sleep=forwarder)
    episode = run_episode(arm, pilot, Reach(), [forwarder, tape], clock=clock)
    assert episode.outcome.success
    assert len(arm.log) == pytest.approx(7 * len(tape.steps), abs=3)
    for step in tape.steps:
        assert float(step.sent[0]) in [q for _, q in arm.log]
        assert step.decision.source == "human"
    told = forwarder.told()
    assert told.rate_hz > 190
    assert told.gap_most_s < 0.0068  # 1/30 s is no whole number of passes
    assert "leader to follower" in told.told()


def test_a_follower_far_from_its_leader_is_drawn_to_it_slowly_once() -> None:
    time = _Time()
    hand = _Hand(time, speed=0.0, start=0.8)
    pilot = Eased(hand, most_rad_s=1.0, now=time.now)
    pilot.reset(0)
    assert isinstance(pilot, Readable)
    here = Observation(0, 0.0, np.zeros(1, np.float32))
    first = pilot.decide(here)
    assert isinstance(first, Decision)
    assert float(first.action[0]) == 0.0
    places = []
    for _ in range(100):
        time.s += 0.01
        places.append(float(pilot.read()[0]))
    assert np.diff(places).max() <= 0.0301  # its own step, or the last bit
    assert places[-1] == pytest.approx(0.8)
    assert pilot.met
    hand.start = -0.5  # a quick hand is followed as it is
    assert float(pilot.read()[0]) == -0.5
    pilot.reset(1)  # the next episode
    assert float(pilot.decide(here).action[0]) == -0.5
    pilot.part()
    assert float(pilot.decide(here).action[0]) == 0.0


def test_a_fault_between_the_ticks_holds_the_arm() -> None:
    time = _Time()
    arm = _Arm(time)

    class Torn(_Hand):
        def read(self) -> NDArray[np.float32]:
            if self.reads == 20:
                raise ArmFault("the leader is gone.")
            return super().read()

    pilot = Eased(Torn(time), now=time.now)
    clock = WallClock(30, now=time.now, sleep=Forwarder(pilot, arm, now=time.now, sleep=time.sleep))
    tape = Tape()
    with pytest.raises(ArmFault, match="gone"):
        run_episode(arm, pilot, Reach(), [tape], clock=clock)
    assert arm.held == 1
    assert tape.ends[0].outcome.reason == "fault"


def test_nan_from_a_leader_is_never_sent() -> None:
    time, arm, _ = _forwarder()
    hand = _Hand(time, speed=float("nan"))
    with pytest.raises(ContractError, match="NaN"):
        Forwarder(hand, arm, now=time.now, sleep=time.sleep)(0.1)
    assert arm.log == []


def test_before_anything_was_sent_there_are_no_figures() -> None:
    _, _, forwarder = _forwarder()
    forwarder.on_start(Start(OneJoint().contract, "t", "", 0))
    assert forwarder.told().told() == "forwarding: none"


def test_the_figures_are_said_in_milliseconds() -> None:
    said = Forwarding(9, 199.6, 0.0012, 0.0345, 0.0678).told()
    assert said == ("forwarding 200 Hz, leader to follower 1.2 ms (p99 34.5 ms), longest gap 68 ms")


def test_a_leader_is_reset_with_the_episode_s_seed() -> None:
    seeds: list[int] = []

    class Leader:
        def reset(self, seed: int) -> None:
            seeds.append(seed)

        def read(self) -> NDArray[np.float32]:
            return np.zeros(1, np.float32)

    Eased(Leader()).reset(7)
    assert seeds == [7]
