"""What keeps an arm from starting is one line that says what to do, and nothing stays open."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vibrissa.core.errors import ArmFault, UsageError, VibrissaError
from vibrissa.core.units import GRIPPER, JOINTS, to_rad
from vibrissa.real.arm import RealArm
from vibrissa.real.bus import ServoBus
from vibrissa.real.calibration import load_calibration, save_calibration
from vibrissa.real.rig import CameraCfg, Rig


def _trouble(rig: Rig, said: list[str]) -> str:
    """The line with which connecting fails; the port is free again afterwards."""
    with pytest.raises(VibrissaError) as caught, RealArm(rig, 30, say=said.append, warning_s=0):
        pass
    told = str(caught.value)
    assert "\n" not in told
    said += getattr(caught.value, "__notes__", [])
    return told


def _with(rig: Rig, change: Callable[[dict], None]) -> None:
    """Change the calibration file."""
    path = rig.arm.calibration
    assert path is not None
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


def _servo(twin, joint: str):
    return next(s for s in twin.stations["follower"].bus.servos if s.joint == joint)


def _readdress(servo) -> None:
    """Give it an id that no SO-101 has, as if it had never been set up."""
    servo.memory["ID"] = 100
    servo.changed()


def test_a_port_that_is_not_there(rig, said) -> None:
    told = _trouble(replace(rig, arm=replace(rig.arm, port="/dev/none")), said)
    assert "/dev/none: there is no such port. Is the cable in?" in told


def test_a_port_that_another_program_has(rig, said) -> None:
    other = ServoBus(rig.arm.port, "another")
    other.open()
    assert "another program has it open" in _trouble(rig, said)
    assert said == []  # no word about a torque that is the other program's
    other.close()
    with RealArm(rig, 30, say=said.append, warning_s=0):
        pass


def test_no_calibration(rig, said, tmp_path) -> None:
    told = _trouble(replace(rig, arm=replace(rig.arm, calibration=tmp_path / "no.json")), said)
    assert "there is no calibration" in told
    assert "vibrissa setup" in told


def test_another_arm_s_calibration(rig, said) -> None:
    def other(raw: dict) -> None:
        raw["elbow_flex"]["homing_offset"] += 7

    _with(rig, other)
    told = _trouble(rig, said)
    assert "the servos hold another calibration than the file: elbow_flex has" in told
    assert "shoulder_pan" not in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda raw: raw.pop("gripper"), "an SO-101 has shoulder_pan, "),
        (lambda raw: raw["gripper"].update(range_max=0), "which is no range"),
        (lambda raw: raw["gripper"].pop("id"), "gripper must have whole numbers"),
        (lambda raw: raw["gripper"].update(range_min=2.5), "gripper must have whole numbers"),
    ],
)
def test_a_calibration_that_is_none(rig, change, told) -> None:
    _with(rig, change)
    with pytest.raises(UsageError) as caught:
        load_calibration(rig.arm.calibration)
    assert told in str(caught.value)


def test_a_servo_that_is_not_on_the_bus_is_named(rig, twin, said) -> None:
    _readdress(_servo(twin, "wrist_roll"))
    told = _trouble(rig, said)
    assert "no answer from wrist_roll (id 5). Check the cable before" in told


def test_no_power(rig, twin, said) -> None:
    for servo in twin.stations["follower"].bus.servos:
        _readdress(servo)
    assert "no servo answers on" in _trouble(rig, said)


def test_firmware_that_differs(rig, twin, said) -> None:
    memory = _servo(twin, "gripper").memory
    memory["Firmware_Minor_Version"] = 9
    told = _trouble(rig, said)
    assert "different firmware: shoulder_pan 3.10" in told
    assert "gripper 3.9" in told


def test_a_simulated_rig_has_no_real_arm() -> None:
    with pytest.raises(UsageError, match="kind 'simulated'"):
        RealArm(Rig(), 30)


def test_a_camera_that_does_not_come_leaves_the_arm_alone(rig, twin, said) -> None:
    cameras = (CameraCfg("top", device="/dev/v4l/by-id/none"),)
    told = _trouble(replace(rig, cameras=cameras), said)
    assert "camera 'top': /dev/v4l/by-id/none: No such file or directory. Is it" in told
    assert not any(s.memory["Torque_Enable"] for s in twin.stations["follower"].bus.servos)


def test_an_arm_that_was_never_connected_does_nothing(rig, said) -> None:
    arm = RealArm(rig, 30, say=said.append)
    for use in (lambda: arm.reset(0), arm.observe, lambda: arm.send(np.zeros(6, np.float32))):
        with pytest.raises(ArmFault, match=r"connect\(\)"):
            use()
    arm.hold()
    arm.close()
    assert said == []


def test_ticks_and_radians_are_lerobot_s(rig) -> None:
    """Against the driver's own normalisation, at ten poses."""
    from lerobot.motors import Motor, MotorCalibration, MotorNormMode
    from lerobot.motors.feetech import FeetechMotorsBus

    ours = load_calibration(rig.arm.calibration)
    theirs = {
        n: MotorCalibration(**vars(joint)) for n, joint in zip(JOINTS, ours.joints, strict=True)
    }
    modes = [MotorNormMode.DEGREES] * 5 + [MotorNormMode.RANGE_0_100]
    motors = {
        name: Motor(i, "sts3215", mode)
        for i, (name, mode) in enumerate(zip(JOINTS, modes, strict=True), start=1)
    }
    driver = FeetechMotorsBus("/dev/none", motors, theirs)
    rng = np.random.default_rng(0)
    for _ in range(10):
        ticks = rng.integers(1000, 3000, 6)
        told = driver._normalize({i + 1: int(t) for i, t in enumerate(ticks)})
        degrees = np.array([told[i + 1] for i in range(6)])
        np.testing.assert_allclose(ours.rad(ticks), to_rad(degrees, "deg"), atol=1e-5)
        low, high = ours.joints[GRIPPER].range_min, ours.joints[GRIPPER].range_max
        ticks[GRIPPER] = np.clip(ticks[GRIPPER], low, high)
        np.testing.assert_array_equal(ours.ticks(ours.rad(ticks)), ticks)


def test_a_calibration_survives_its_file(rig, tmp_path) -> None:
    first = load_calibration(rig.arm.calibration)
    save_calibration(first, tmp_path / "made" / "copy.json")
    again = load_calibration(tmp_path / "made" / "copy.json")
    assert again == first
    assert again.digest == first.digest
