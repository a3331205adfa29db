"""Six servos: who is silent, what is odd in voltage, heat, firmware; and what the file says."""

from __future__ import annotations

import dataclasses

import pytest

from vibrissa.core.errors import ArmFault
from vibrissa.core.units import JOINTS
from vibrissa.machine.facts import Trouble
from vibrissa.machine.joint_ranges import JointCalibration
from vibrissa.machine.servos import Servo, ask_servos, check_servos

GOOD = Servo(777, "3.10", 5.0, 31, homing_offset=12, range_min=900, range_max=3200)
FILE = {j: JointCalibration(i + 1, 0, 12, 900, 3200) for i, j in enumerate(JOINTS)}


def arm(**changes: Servo | Trouble) -> dict[str, Servo | Trouble]:
    return {joint: changes.get(joint, GOOD) for joint in JOINTS}


def but(**change) -> Servo:
    return dataclasses.replace(GOOD, **change)


def test_registers_become_a_servo() -> None:
    registers = {
        "Model_Number": 777,
        "Firmware_Major_Version": 3,
        "Firmware_Minor_Version": 10,
        "Present_Voltage": 121,
        "Present_Temperature": 40,
        "Homing_Offset": -300,
        "Min_Position_Limit": 800,
        "Max_Position_Limit": 3300,
        "Min_Voltage_Limit": 40,
        "Max_Voltage_Limit": 140,
        "Max_Temperature_Limit": 70,
        "Status": 0b100001,
    }

    def read(register: str, joint: str) -> int:
        if joint == "gripper":
            raise ArmFault("no answer from gripper")
        return registers[register]

    found = ask_servos(read)
    assert found["gripper"] == Trouble("no answer from gripper")
    servo = found["elbow_flex"]
    assert isinstance(servo, Servo)
    assert (servo.firmware, servo.volts, servo.most_volts) == ("3.10", 12.1, 14.0)
    assert servo.troubles == ("voltage", "overload")


def test_a_good_arm_is_a_line_a_servo() -> None:
    lines = check_servos("arm", arm(), FILE)
    assert [line.state for line in lines] == ["ok"] * 7
    assert lines[0].about == "arm shoulder_pan"
    assert "5.0 V" in lines[0].told
    assert "firmware 3.10" in lines[0].told


@pytest.mark.parametrize(
    ("silent", "words"),
    [
        (JOINTS, "no servo answers"),
        (("gripper",), "from wrist_roll to gripper"),
        (("wrist_roll", "gripper"), "from wrist_flex to wrist_roll"),
        (("elbow_flex",), "another servo's id"),
        (("shoulder_pan",), "another servo's id"),
    ],
)
def test_who_is_silent_is_told_by_name(silent, words) -> None:
    servos = arm(**{joint: Trouble("no answer") for joint in silent})
    line = check_servos("leader", servos, FILE)[0]
    assert line.state == "broken"
    assert words in f"{line.told} {line.do}"
    if len(silent) < len(JOINTS):
        assert all(joint in line.told for joint in silent)


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({"volts": 4.6}, "ok", ""),
        ({"volts": 7.4}, "ok", ""),
        ({"volts": 12.0, "most_volts": 14.0}, "ok", ""),
        ({"volts": 4.2}, "warning", "sag"),
        ({"volts": 3.6}, "broken", "below the 4 V"),
        ({"volts": 12.1}, "broken", "switch it off"),
        ({"volts": 9.1, "most_volts": 14.0}, "warning", "no 12 V"),
        ({"volts": 5.0, "most_volts": 14.0}, "warning", "12 V servo on 5 V"),
        ({"temperature_c": 57}, "warning", "warm"),
        ({"temperature_c": 67}, "broken", "70 °C"),
        ({"status": 0b100}, "broken", "temperature"),
        ({"model": 1284}, "broken", "1284"),
    ],
)
def test_volts_heat_and_complaints(change, state, words) -> None:
    lines = check_servos("arm", {"elbow_flex": but(**change)})
    (line,) = [line for line in lines if line.about == "arm elbow_flex"]
    assert line.state == state
    assert words in f"{line.told} {line.do}"


def test_another_firmware_is_told_with_who_has_it() -> None:
    lines = check_servos("arm", arm(gripper=but(firmware="3.9")))
    (line,) = [line for line in lines if line.state == "broken"]
    assert "firmware 3.10, but gripper 3.9" in line.told


def test_voltage_that_is_lost_on_the_way() -> None:
    lines = check_servos("arm", arm(gripper=but(volts=5.2), shoulder_pan=but(volts=6.0)))
    (line,) = [line for line in lines if line.about == "arm"]
    assert line.state == "warning"
    assert "shoulder_pan" in line.told
    assert "between" in line.do


def test_servos_that_hold_another_calibration() -> None:
    lines = check_servos("arm", arm(gripper=but(homing_offset=99)), FILE)
    (line,) = [line for line in lines if line.about == "arm calibration"]
    assert line.state == "broken"
    assert "gripper offset 99, file 12" in line.told
