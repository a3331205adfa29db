"""The twin through LeRobot's own driver, unmodified: it moves, sags, trips, keeps and forgets."""

from __future__ import annotations

import json
import termios
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from lerobot.robots.so_follower import SO101Follower
from twin.arms import follower, leader, raw, stood_still
from twin.waiting import until

from vibrissa.core.units import JOINTS
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.faults import BusFault
from vibrissa.twin.hand import Motion, scripted
from vibrissa.twin.twin import Twin, TwinCfg

OVERLOADED = 0x20


@pytest.fixture
def twin(tmp_path) -> Iterator[Twin]:
    with stood_still(tmp_path) as served:
        yield served


@pytest.fixture
def arm(twin) -> Iterator[SO101Follower]:
    connected = follower(twin, num_read_retries=5)
    connected.connect()
    yield connected
    twin.stations["follower"].heal()
    twin.stations["follower"].catch_up()
    connected.bus.port_handler.closePort()


def step(twin: Twin, arm: SO101Follower, joint: str, ticks: int) -> tuple[float, float]:
    """Rise time (s, 10 to 90 %) and the farthest it went, of a step of the goal."""
    start = raw(arm.bus, "Present_Position", joint)
    arm.bus.write("Goal_Position", joint, start + ticks, normalize=False, num_retry=5)
    way = []
    for _ in range(100):
        twin.advance(0.02)
        way.append((raw(arm.bus, "Present_Position", joint) - start) / ticks)
    path = np.array(way)
    return 0.02 * (np.argmax(path > 0.9) - np.argmax(path > 0.1)), float(path.max())


def test_in_real_time_it_goes_where_it_is_sent(tmp_path) -> None:
    with Twin(tmp_path, make_scene("lift")) as twin:
        arm = follower(twin, num_read_retries=5)
        arm.connect()
        here = arm.get_observation()
        assert here["shoulder_lift.pos"] < -40
        up = {"shoulder_lift.pos": -60.0, "elbow_flex.pos": 30.0}  # off the table first
        arm.send_action({**here, **up})
        until(lambda: arm.get_observation()["elbow_flex.pos"] < 50)
        arm.send_action({**here, **up, "shoulder_pan.pos": 20.0, "gripper.pos": 60.0})
        until(lambda: abs(arm.get_observation()["shoulder_pan.pos"] - 20) < 2)
        until(lambda: abs(arm.get_observation()["gripper.pos"] - 60) < 3)
        arm.disconnect()


def test_the_leader_reads_where_a_hand_puts_it(twin) -> None:
    arm = leader(twin)
    arm.config.num_read_retries = 5
    arm.connect()
    body = twin.leader
    body.hand = scripted("middle", body.angles)
    twin.advance(10.0)
    assert arm.get_action() == {f"{joint}.pos": pytest.approx(0, abs=0.1) for joint in JOINTS} | {
        "gripper.pos": pytest.approx(50, abs=0.1)
    }
    arm.disconnect()


def test_more_p_is_faster_and_goes_too_far_and_d_takes_that_back(twin, arm) -> None:
    measured = {}
    for p, d in ((16, 0), (48, 0), (48, 128)):
        arm.bus.write("P_Coefficient", "wrist_roll", p, num_retry=5)
        arm.bus.write("D_Coefficient", "wrist_roll", d, num_retry=5)
        measured[p, d] = step(twin, arm, "wrist_roll", 300)
        step(twin, arm, "wrist_roll", -300)
    (slow, _), (quick, far), (damped, near) = measured.values()
    assert quick < 0.8 * slow
    assert damped > 1.1 * quick
    assert far > 1.03 > near


def test_acceleration_and_speed_are_limited_by_their_registers(twin, arm) -> None:
    free, _ = step(twin, arm, "wrist_roll", 400)
    arm.bus.write("Goal_Velocity", "wrist_roll", 400, num_retry=5)
    arm.bus.write("Acceleration", "wrist_roll", 10, num_retry=5)
    held, _ = step(twin, arm, "wrist_roll", -400)
    assert free < 0.5 < held


def test_a_blocked_joint_loads_until_overload_trips_and_lets_the_torque_go(twin, arm) -> None:
    twin.advance(0.5)
    body = twin.follower
    body.hand = Motion(np.zeros(1), body.angles[None], holds=True)  # as it is, held fast
    goal = raw(arm.bus, "Present_Position", "shoulder_pan") + 600
    arm.bus.write("Goal_Position", "shoulder_pan", goal, normalize=False, num_retry=5)
    twin.advance(1.0)
    assert raw(arm.bus, "Present_Load", "shoulder_pan") > 900
    assert raw(arm.bus, "Present_Current", "shoulder_pan") * 6.5 > 2000
    twin.advance(1.5)  # Protection_Time is 2 s
    status = twin.servos["follower"][0].status
    assert status == OVERLOADED
    with pytest.raises(RuntimeError, match="Overload"):
        arm.bus.read("Present_Load", "shoulder_pan")
    twin.advance(0.1)
    load = arm.bus.sync_read("Present_Load", ["shoulder_pan"], num_retry=5)
    assert 150 < load["shoulder_pan"] <= 200  # Protective_Torque, percent
    with pytest.raises(RuntimeError, match="Overload"):  # another push the same way changes nothing
        arm.bus.write("Goal_Position", "shoulder_pan", goal, normalize=False, num_retry=5)
    arm.bus.write("Goal_Position", "shoulder_pan", goal - 1200, normalize=False, num_retry=5)
    assert twin.servos["follower"][0].status == 0


def test_without_torque_the_arm_sags(twin, arm) -> None:
    up = {"shoulder_pan.pos": 0.0, "shoulder_lift.pos": -30.0, "elbow_flex.pos": 20.0}
    up |= {"wrist_flex.pos": 0.0, "wrist_roll.pos": 0.0, "gripper.pos": 50.0}
    arm.send_action(up)
    arm.get_observation()  # nobody answers a sync write, but what is asked later is heard later
    twin.advance(3.0)
    before = arm.get_observation()
    assert before["shoulder_lift.pos"] == pytest.approx(-30, abs=8)
    arm.bus.disable_torque(num_retry=5)
    twin.advance(2.0)
    after = arm.get_observation()
    assert abs(after["shoulder_lift.pos"] - before["shoulder_lift.pos"]) > 15
    still = arm.get_observation()
    twin.advance(1.0)
    assert arm.get_observation()["shoulder_lift.pos"] == pytest.approx(
        still["shoulder_lift.pos"], abs=2
    )


def test_a_goal_beyond_the_limit_ends_at_the_limit(twin, arm) -> None:
    arm.bus.write("Goal_Position", "gripper", 4000, normalize=False, num_retry=5)
    twin.advance(3.0)
    limit = arm.calibration["gripper"].range_max
    assert raw(arm.bus, "Present_Position", "gripper") == pytest.approx(limit, abs=25)


def test_calibration_is_kept_over_a_power_cut_and_a_new_one_asks_no_question(tmp_path) -> None:
    with stood_still(tmp_path) as twin:
        arm = follower(twin)
        arm.connect()
        arm.bus.disable_torque(num_retry=5)
        changed = {**arm.calibration}
        changed["elbow_flex"].homing_offset -= 100
        changed["elbow_flex"].range_min = 1000
        arm.bus.write_calibration(changed)
        arm.disconnect()
    with stood_still(tmp_path) as twin:
        arm = follower(twin)
        arm.bus.connect()
        assert arm.is_calibrated
        assert arm.bus.read_calibration()["elbow_flex"].range_min == 1000
        arm.bus.disconnect()
    with stood_still(tmp_path, TwinCfg(servos="calibrated")) as twin:
        told = json.loads(twin.calibration_file("follower").read_text())
        assert told["elbow_flex"]["range_min"] != 1000


def test_the_offset_moves_what_is_read_and_128_makes_here_the_middle(twin, arm) -> None:
    arm.bus.disable_torque(num_retry=5)
    twin.advance(1.0)
    before = raw(arm.bus, "Present_Position", "wrist_roll")
    offset = raw(arm.bus, "Homing_Offset", "wrist_roll")
    arm.bus.write("Homing_Offset", "wrist_roll", offset + 50, num_retry=5)
    assert raw(arm.bus, "Present_Position", "wrist_roll") == before - 50
    arm.bus.write("Torque_Enable", "wrist_roll", 128, num_retry=5)
    assert raw(arm.bus, "Present_Position", "wrist_roll") == 2048


def test_a_motor_is_set_up_alone_on_the_bus(tmp_path) -> None:
    with stood_still(tmp_path, TwinCfg(servos="factory")) as twin:
        assert not twin.calibration_file("follower").exists()
        arm = follower(twin)
        servos = twin.servos["follower"]
        for joint in reversed(JOINTS):
            for servo in servos:
                servo.plug(servo.joint == joint)
            arm.bus.setup_motor(joint)
        for servo in servos:
            servo.plug(True)
        arm.bus.disconnect(disable_torque=False)
        arm.bus.connect()
        assert [servo.memory["ID"] for servo in servos] == [1, 2, 3, 4, 5, 6]
        arm.bus.disconnect()


def test_lerobot_calibrates_it_while_a_hand_moves_it(tmp_path, monkeypatch) -> None:
    with stood_still(tmp_path, TwinCfg(servos="factory")) as twin:
        for i, servo in enumerate(twin.servos["follower"]):
            servo.write(5, bytes((i + 1,)))
        arm = follower(twin, num_read_retries=5)
        arm.bus.connect()
        body = twin.follower

        def moved(script: str) -> None:
            motion = scripted(script, body.angles, rad_s=3.0)
            body.hand = replace(motion, start_s=body.time_s, holds=True)

        def pressed(*_: object) -> str:
            moved("middle")
            twin.advance(4.0)
            moved("sweep")
            return ""

        def looked() -> bool:
            twin.advance(0.08)
            return body.hand is not None and body.hand.over(body.time_s)

        monkeypatch.setattr("builtins.input", pressed)
        monkeypatch.setattr("lerobot.motors.motors_bus.enter_pressed", looked)
        monkeypatch.setattr("lerobot.motors.motors_bus.time.sleep", lambda seconds: None)
        arm.calibrate()
        arm.bus.disconnect()
        told = json.loads(twin.calibration_file("follower").read_text())
    known = {"shoulder_pan": 2503, "shoulder_lift": 2275, "elbow_flex": 2203, "wrist_flex": 2162}
    known["gripper"] = 1252
    for joint, ticks in known.items():
        reach = told[joint]["range_max"] - told[joint]["range_min"]
        assert reach == pytest.approx(ticks, rel=0.02), joint


def test_one_silent_servo_is_a_missing_answer_and_the_next_read_recovers(twin, arm) -> None:
    arm.bus.sync_read("Present_Position", num_retry=5)
    station = twin.stations["follower"]
    station.fault(BusFault("silent", joint="elbow_flex"))
    station.catch_up()
    with pytest.raises(ConnectionError, match="no status packet"):
        arm.bus.sync_read("Present_Position")
    station.heal()
    station.catch_up()
    assert set(arm.bus.sync_read("Present_Position", num_retry=5)) == set(JOINTS)


def test_a_port_that_vanishes_is_back_at_the_same_path(twin, arm) -> None:
    station = twin.stations["follower"]
    station.fault(BusFault("gone", for_s=1.0))
    station.catch_up()
    assert not (twin.folder / "follower").is_symlink()
    with pytest.raises((OSError, termios.error)):  # the latter is no OSError
        arm.bus.sync_read("Present_Position")
    twin.advance(1.5)
    again = follower(twin)
    until(lambda: (twin.folder / "follower").exists())
    again.connect()
    assert set(again.bus.sync_read("Present_Position", num_retry=5)) == set(JOINTS)
    again.disconnect()
    arm.bus.port_handler.is_open = False
    arm.bus.port_handler.setupPort(1_000_000)


def test_another_firmware_is_refused_by_the_driver(twin) -> None:
    station = twin.stations["follower"]
    station.fault(BusFault("firmware", joint="gripper"))
    station.catch_up()
    with pytest.raises(RuntimeError, match="firmware"):
        follower(twin).bus.connect()


def test_overload_and_voltage_are_in_every_answer(twin, arm) -> None:
    station = twin.stations["follower"]
    station.fault(BusFault("voltage", for_s=1.0))
    twin.advance(0.1)
    with pytest.raises(RuntimeError, match="voltage"):
        arm.bus.read("Present_Voltage", "elbow_flex")
    assert arm.bus.sync_read("Present_Voltage", num_retry=5)["elbow_flex"] < 40
    twin.advance(2.0)
    assert raw(arm.bus, "Present_Voltage", "elbow_flex") > 110
    station.fault(BusFault("overload", joint="wrist_flex"))
    twin.advance(0.1)
    with pytest.raises(RuntimeError, match="Overload"):
        arm.bus.read("Present_Load", "wrist_flex")
