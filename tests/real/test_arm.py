"""The real arm through LeRobot's driver, on the twin."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from twin.waiting import until

from vibrissa.core.units import GRIPPER, JOINTS
from vibrissa.real.arm import LED_S, RealArm


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


def test_who_leads_on_is_not_stopped_between_two_episodes(arm, monkeypatch) -> None:
    """The arm is looked after anew only where nobody has moved it for a moment."""
    looked: list[int] = []
    again = arm.link.come_back
    monkeypatch.setattr(arm.link, "come_back", lambda: (looked.append(1), again()))
    arm.reset(0)
    assert looked == [1]
    here = arm.observe().state

    def led_on() -> bool:
        arm.send(here)
        looked.clear()
        arm.reset(1)
        return not looked

    until(led_on)
    np.testing.assert_allclose(arm.send(here), here, atol=2e-3)  # within the limits
    time.sleep(2 * LED_S)
    arm.reset(2)
    assert looked == [1]


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


def test_home_is_reached_by_either_way(twin, rig, said) -> None:
    home = {"shoulder_pan": 10, "shoulder_lift": -60, "elbow_flex": 60} | dict.fromkeys(
        ("wrist_flex", "wrist_roll", "gripper"), 20.0
    )
    with RealArm(replace(rig, home_deg=home), 30, say=said.append, warning_s=0) as arm:
        for path in ("direct", "staged"):
            assert arm.go_home(path) == ""
            arm.reset(0)
            assert np.rad2deg(arm.observe().state[0]) == pytest.approx(10, abs=4)
    assert said == ["arm 'follower': its torque goes off now, hold the arm!"]


def test_a_rest_pose_is_a_better_end_than_a_word(twin, rig, said) -> None:
    here = dict(zip(JOINTS, [0.0, -100.0, 92.0, 67.0, 0.0, 20.0], strict=True))
    with RealArm(replace(rig, rest_deg=here), 30, say=said.append):
        pass
    assert said == []
    assert not any(s.memory["Torque_Enable"] for s in twin.stations["follower"].bus.servos)


def test_a_way_home_that_fails_is_told_and_hides_nothing(arm) -> None:
    arm.reset(0)
    arm.rig = replace(arm.rig, home_deg=dict.fromkeys(JOINTS, 0.0))
    arm.link.bus.close()
    assert "the way home was broken off: arm 'follower'" in arm.go_home()


def test_settings_are_lerobot_s_and_written_only_where_they_differ(arm, twin, rig) -> None:
    servos = {servo.joint: servo for servo in twin.stations["follower"].bus.servos}
    wrist, gripper = servos["wrist_flex"].memory, servos["gripper"].memory
    assert (wrist["P_Coefficient"], wrist["D_Coefficient"], wrist["I_Coefficient"]) == (16, 32, 0)
    assert (gripper["Max_Torque_Limit"], gripper["Torque_Limit"]) == (500, 500)
    assert (gripper["Protection_Current"], gripper["Overload_Torque"]) == (250, 25)
    assert wrist["Lock"] == gripper["Lock"] == 1


def test_an_arm_that_holds_already_is_not_let_fall_by_connecting(arm, twin, rig, said) -> None:
    servos = twin.stations["follower"].bus.servos
    arm.link.bus.close()  # as if this program had been killed
    seen = []
    for servo in servos:
        was = servo.write
        servo.write = lambda at, data, was=was: (seen.append((at, data)), was(at, data))[1]
    with RealArm(rig, 30, say=said.append, warning_s=0):
        assert (40, b"\x00") not in seen  # nobody's torque was taken
