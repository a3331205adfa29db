"""Everything that hangs on a computer, as one list of lines; nothing plugged in is no traceback."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from machine.test_calibrations import written
from machine.test_ports import ARM, BY_ID, LINUX, MAC
from machine.test_servos import arm as servos
from machine.trees import C920, ROOT_2, desk, device

from vibrissa.machine.camera_checks import Pace, WantedCamera
from vibrissa.machine.checks import exit_code
from vibrissa.machine.facts import Trouble
from vibrissa.machine.hardware import Hardware, WantedArm, examine_hardware, look, readable
from vibrissa.machine.usb_tree import lay_out

CAMERA = "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_AB12-video-index0"


def test_nothing_plugged_in(tmp_path: Path) -> None:
    lines = examine_hardware(look(LINUX, tmp_path))
    assert {line.about for line in lines} == {"ports", "cameras", "calibration"}
    assert exit_code(lines) == 0


def test_a_mac_without_a_tree() -> None:
    facts = Hardware(MAC, Trouble("not looked at on Darwin"), (ARM,))
    assert exit_code(examine_hardware(facts)) == 0


def test_a_desk_is_well(tmp_path: Path) -> None:
    lay_out(desk(), tmp_path)
    facts = look(LINUX, tmp_path)
    lines = examine_hardware(dataclasses.replace(facts, calibrations={"a.json": written()}))
    assert {line.state for line in lines} == {"ok"}
    assert {line.about for line in lines} == {"ports", "cameras", "USB", "a.json"}


def test_a_rig_is_told_arm_by_arm_and_camera_by_camera(tmp_path: Path) -> None:
    lay_out(desk(), tmp_path)
    rig = dataclasses.replace(
        look(LINUX, tmp_path),
        rig=True,
        arms=(
            WantedArm("arm", BY_ID, ARM, servos=servos(), file="follower.json", text=written()),
            WantedArm("leader", "/dev/nosuch", Trouble("does not exist"), file="leader.json"),
        ),
        cameras=(WantedCamera("overhead", "opencv", CAMERA),),
        paces={"overhead": Pace(29.9, 640, 480)},
    )
    lines = examine_hardware(rig)
    states = {(line.about, line.state) for line in lines}
    assert ("arm port", "ok") in states
    assert ("arm elbow_flex", "ok") in states
    assert ("leader port", "broken") in states
    assert ("leader calibration", "broken") in states  # there is no such file
    assert ("camera overhead", "ok") in states
    held = [line for line in lines if line.about == "arm calibration"]
    assert [line.state for line in held] == ["ok", "broken"]  # a good file, of another arm


def test_with_a_rig_what_it_does_not_want_is_not_missed(tmp_path: Path) -> None:
    rig = dataclasses.replace(look(LINUX, tmp_path), rig=True)
    assert examine_hardware(rig) == []


def test_servos_that_could_not_be_asked() -> None:
    arm = WantedArm("arm", BY_ID, ARM, servos=Trouble("the port vanished"), text=written())
    lines = examine_hardware(Hardware(LINUX, (), rig=True, arms=(arm,)))
    assert [line.told for line in lines if line.state == "broken"] == ["the port vanished"]


def test_webcams_are_read_and_a_depth_camera_is_left_to_its_library(tmp_path: Path) -> None:
    lay_out(desk(), tmp_path)
    assert [node.stable for node in readable(look(LINUX, tmp_path))] == [CAMERA]


def test_two_arms_on_one_port_and_two_cameras_on_one_device() -> None:
    arms = (WantedArm("arm", BY_ID, ARM, text=written()), WantedArm("leader", ARM.path, ARM))
    cameras = tuple(WantedCamera(name, "zmq", "tcp://host:5555/a") for name in ("front", "side"))
    lines = examine_hardware(Hardware(LINUX, (), rig=True, arms=arms, cameras=cameras))
    told = [line.told for line in lines if line.about == "rig"]
    assert told == [
        "arm and leader have the same port, /dev/ttyACM0",
        "front and side have the same device, tcp://host:5555/a",
    ]


def test_the_rig_says_what_a_camera_sends(tmp_path: Path) -> None:
    two = device("1-2", C920, nodes={"video2": "0"}, serial="CD34")
    one = device("1-1", C920, nodes={"video0": "0"})
    lay_out({**device("usb1", ROOT_2), **one, **two}, tmp_path)
    cameras = (WantedCamera("front", "opencv", "/dev/video0", width=1280, height=720),)
    facts = dataclasses.replace(look(LINUX, tmp_path), rig=True, cameras=cameras)
    (line,) = [line for line in examine_hardware(facts) if line.about == "USB"]
    assert "590 Mbit/s uncompressed, as the rig has them" in line.told
