"""The real arm through LeRobot's driver, on the twin."""

from __future__ import annotations

import numpy as np
import pytest
from twin.waiting import until

from vibrissa.core.units import GRIPPER, JOINTS


def test_it_goes_where_it_is_sent_at_no_more_than_its_speed(arm) -> None:
    arm.reset(0)
    start = arm.observe().state
    asked = start.copy()
    asked[0] += 0.5
    first = arm.send(asked)
    assert start[0] < first[0] < asked[0] - 0.1
    until(lambda: abs(arm.send(asked)[0] - asked[0]) < 1e-6)
    until(lambda: abs(arm.observe().state[0] - asked[0]) < 0.06)  # friction holds back the rest


def test_ticks_and_times_begin_with_an_episode(arm) -> None:
    for _ in range(2):
        arm.reset(0)
        first = arm.observe()
        arm.send(first.state)
        second = arm.observe()
        assert (first.tick, second.tick) == (0, 1)
        assert 0 <= first.time_s < second.time_s


def test_targets_stay_within_model_and_calibration(arm) -> None:
    arm.reset(0)
    low, high = arm.link.calibration.bounds_rad()
    asked = np.full(len(JOINTS), 9, np.float32)
    for _ in range(5):
        assert (arm.send(asked) <= high + 1e-6).all()
    assert (arm.send(-asked) >= low - 1e-6).all()
    assert high[GRIPPER] == pytest.approx(1.74533)


def test_closing_takes_the_torque_and_the_port(arm, twin) -> None:
    servos = twin.stations["follower"].bus.servos
    assert all(servo.memory["Torque_Enable"] for servo in servos)
    arm.close()
    assert not any(servo.memory["Torque_Enable"] for servo in servos)
    assert not arm.link.bus.is_open
