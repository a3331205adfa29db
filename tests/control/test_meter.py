"""Every phase of a tick is measured, and an episode slower than its rate says so."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import OneJoint, Reach, Tape
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vibrissa.control.clock import WallClock
from vibrissa.control.drive import run_episode
from vibrissa.control.forward import Eased, Forwarder
from vibrissa.control.meter import Meter, Spread
from vibrissa.core.episode import Episode, Observation, Step


class _Time:
    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> float:
        return self.s

    def sleep(self, s: float) -> None:
        self.s += s


class _Arm(OneJoint):
    """Costs `observe_s` to look at and `send_s` to tell."""

    def __init__(self, time: _Time, observe_s: float = 0.002, send_s: float = 0.001):
        super().__init__()
        self.time, self.observe_s, self.send_s = time, observe_s, send_s

    def observe(self) -> Observation:
        self.time.s += self.observe_s
        return super().observe()

    def send(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        self.time.s += self.send_s
        return super().send(action)


class _Hand:
    def __init__(self, time: _Time, cost_s: float = 0.0005):
        self.time, self.cost_s = time, cost_s

    def read(self) -> NDArray[np.float32]:
        self.time.s += self.cost_s
        return np.array([0.4], np.float32)  # never far enough: the time limit ends it


class _Heavy(Tape):
    def __init__(self, time: _Time, cost_s: float):
        super().__init__()
        self.time, self.cost_s = time, cost_s

    def on_step(self, step: Step) -> None:
        self.time.s += self.cost_s
        super().on_step(step)


def _run(
    time: _Time, meter: Meter, *, cost_s: float = 0.0, forward: bool = False, hand_s: float = 0.0005
) -> Episode:
    arm, pilot = _Arm(time), Eased(_Hand(time, hand_s), now=time.now)
    heavy, sleep = _Heavy(time, cost_s), time.sleep
    if forward:
        sleep = forwarder = Forwarder(pilot, arm, now=time.now, sleep=time.sleep)
        meter._forwarding_s = lambda: forwarder.busy_s
    clock = WallClock(30, now=time.now, sleep=sleep)
    return run_episode(arm, pilot, Reach(), [heavy], clock=clock, laps=meter)


def test_every_phase_is_measured() -> None:
    time = _Time()
    meter = Meter(30, now=time.now)
    _run(time, meter, cost_s=0.003)
    timing = meter.now()
    assert timing.ticks == Reach.max_ticks
    for phase, cost_s in {"observe": 2e-3, "decide": 5e-4, "send": 1e-3, "observers": 3e-3}.items():
        assert timing.p50_s[phase] == pytest.approx(cost_s, rel=0.05)
    assert "infer" not in timing.p50_s
    assert timing.reached_hz == pytest.approx(30, rel=0.01)
    assert timing.overruns == 0
    assert not timing.slow
    assert timing.slowest == "observers"
    assert "30.0 of 30 Hz" in timing.told()
    assert "costliest: recorder, viewer" in timing.told()


def test_an_episode_slower_than_its_rate_is_flagged() -> None:
    time = _Time()
    meter = Meter(30, now=time.now)
    episode = _run(time, meter, cost_s=0.05)
    timing = meter.now()
    assert timing.slow
    assert timing.reached_hz == pytest.approx(1 / 0.0535, rel=0.03)
    assert timing.overruns == timing.ticks
    assert timing.told().startswith("SLOWER THAN ITS RATE")
    assert episode.outcome.measures["slower_than_stated"] == 1.0
    assert episode.outcome.measures["reached_hz"] == pytest.approx(18.7, abs=0.5)
    assert episode.outcome.measures["there"] == 0.0  # the task's own are still there


def test_forwarding_is_told_and_not_blamed() -> None:
    time = _Time()
    meter = Meter(30, now=time.now)
    _run(time, meter, forward=True, hand_s=0.003)
    timing = meter.now()
    assert timing.p50_s["forwarding"] > 0.01
    assert timing.slowest == "decide"
    assert timing.reached_hz == pytest.approx(30, rel=0.02)


def test_a_session_is_the_sum_of_its_episodes() -> None:
    time = _Time()
    meter = Meter(30, now=time.now)
    _run(time, meter)
    _run(time, meter, cost_s=0.05)
    assert meter.now().slow
    whole = meter.whole()
    assert whole.ticks == 2 * Reach.max_ticks
    assert whole.overruns == Reach.max_ticks
    assert 19 < whole.reached_hz < 29
    assert meter.whole() == whole  # asked twice, counted once
    assert set(whole.to_dict()) >= {"rate_hz", "reached_hz", "overruns", "slowest", "slow"}


def test_without_a_meter_nothing_is_measured() -> None:
    time = _Time()
    arm, pilot = _Arm(time), Eased(_Hand(time), now=time.now)
    assert set(run_episode(arm, pilot, Reach()).outcome.measures) == {"there"}


def test_an_episode_without_ticks_is_too_short_to_tell() -> None:
    meter = Meter(30)
    meter.start()
    assert "too few" in meter.now().told()
    assert not meter.now().slow
    assert meter.measures() == {}


@given(st.lists(st.floats(2e-6, 50), min_size=1, max_size=50), st.floats(1, 99))
def test_percentiles_are_those_of_the_durations_within_a_bin(durations, q) -> None:
    spread = Spread()
    for seconds in durations:
        spread.add(seconds)
    exact = float(np.percentile(durations, q, method="inverted_cdf"))
    assert spread.percentile(q) == pytest.approx(exact, rel=0.04)
    assert spread.most_s == max(durations)


def test_nothing_measured_is_nothing() -> None:
    spread = Spread()
    assert (spread.percentile(50), spread.most_s, spread.count) == (0.0, 0.0, 0)
    spread.add(0.0)
    spread.add(1e9)  # beyond the last bin
    assert spread.count == 2
