"""The watch: a word, then hold, then a stop, each before the servo would step in by itself."""

from __future__ import annotations

import numpy as np
import pytest

from vibrissa.core.units import GRIPPER, JOINTS
from vibrissa.real.watch import COMPLAINTS, ENCODER, Complaints, Watch

QUIET = {
    "Present_Load": 300,
    "Present_Current": 60,
    "Present_Temperature": 35,
    "Present_Voltage": 120,
    "Status": 0,
}


def _run(watch: Watch, register: str, joint: int, value: int, seconds: float) -> dict[float, str]:
    """Ticks of 1/30 s in which one joint's register is `value`; when what was said."""
    told = {}
    for tick in range(round(seconds * 30)):
        senses = {name: np.full(len(JOINTS), quiet) for name, quiet in QUIET.items()}
        senses[register][joint] = value
        for line in watch.look(senses, tick / 30):
            told[tick / 30] = line
        if watch.stop:
            told[tick / 30] = watch.stop
            break
    return told


def test_a_quiet_arm_says_nothing() -> None:
    assert _run(Watch(), "Present_Load", 1, QUIET["Present_Load"], 10) == {}


def test_a_load_that_stays_is_told_then_held_then_stopped_before_the_servo_trips() -> None:
    watch = Watch()
    told = _run(watch, "Present_Load", 1, -900, 5)  # to either side
    times = list(told)
    assert len(told) == 3
    assert times == sorted(times)
    assert times[-1] < 2.0
    words = list(told.values())
    assert "shoulder_lift load 90 %: something is in its way" in words[0]
    assert words[1].startswith("holds: shoulder_lift load")
    assert words[2].startswith("stopped: shoulder_lift load")
    assert watch.torque_limits().tolist() == [1000, 400, 1000, 1000, 1000, 500]


def test_a_brief_push_is_no_news() -> None:
    watch = Watch()
    assert _run(watch, "Present_Load", 2, 1000, 0.4) == {}
    assert _run(watch, "Present_Load", 2, 0, 2) == {}
    assert not watch.holding


def test_a_gripper_may_press() -> None:
    watch = Watch()
    told = _run(watch, "Present_Load", GRIPPER, 1000, 10)
    assert len(told) == 1
    assert not watch.holding
    assert not watch.stop
    assert len(_run(watch, "Status", GRIPPER, 32, 10)) == 1


@pytest.mark.parametrize(("celsius", "holds", "stops"), [(60, 0, 0), (66, 1, 0), (69, 1, 1)])
def test_heat(celsius, holds, stops) -> None:
    watch = Watch()
    told = _run(watch, "Present_Temperature", 2, celsius, 3)
    assert told
    assert (watch.holding, bool(watch.stop)) == (bool(holds), bool(stops))


def test_it_goes_on_when_the_heat_is_gone() -> None:
    watch = Watch()
    _run(watch, "Present_Temperature", 2, 66, 1)
    assert watch.holding
    told = _run(watch, "Present_Temperature", 2, 40, 1)
    assert not watch.holding
    assert "goes on: temperature is well again" in told.values()


def test_a_sagging_supply_is_told_once_and_held() -> None:
    watch = Watch()
    senses = {name: np.full(len(JOINTS), quiet) for name, quiet in QUIET.items()}
    senses["Present_Voltage"][:] = (39, 38, 40, 39, 39, 39)
    told = [line for tick in range(90) for line in watch.look(senses, tick / 30)]
    assert [line.split(":")[0] for line in told] == ["shoulder_lift voltage 3.8 V", "holds"]
    assert watch.holding
    assert not watch.stop


def test_a_servo_that_tripped_stops_the_arm() -> None:
    watch = Watch()
    _run(watch, "Status", 1, 32, 1)
    assert "shoulder_lift gives way by itself: overloaded" in watch.stop


@pytest.mark.parametrize("bit", [1, 2, 4, 8, 16, 32])
def test_whatever_a_servo_reports_is_one_line(bit) -> None:
    status = np.zeros(len(JOINTS), np.int64)
    status[2] = bit
    complaints = Complaints()
    said = [line for tick in range(60) for line in complaints.look(status, tick / 30)]
    assert said == [f"elbow_flex reports {COMPLAINTS[bit]}"]
    assert complaints.look(status | bit, 40.0) == [f"every servo reports {COMPLAINTS[bit]}"]


@pytest.mark.parametrize(("bit", "word"), [(1, "supply"), (16, "angle")])
def test_a_complaint_that_takes_no_torque_is_said_and_the_arm_goes_on(bit, word) -> None:
    watch = Watch()
    told = _run(watch, "Status", 2, bit, 5)
    assert len(told) == 1
    assert word in next(iter(told.values()))
    assert not watch.holding
    assert not watch.stop


def test_an_encoder_that_fails_stops_the_arm() -> None:
    watch = Watch()
    _run(watch, "Status", 2, ENCODER, 1)
    assert watch.stop.startswith("stopped: elbow_flex reports a fault of its encoder")
