"""Video nodes: which one gives pictures, under which lasting name, and at what rate."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from machine.trees import C920, D405, ROOT_2, ROOT_3, desk, device, link

from vibrissa.machine.camera_checks import (
    Pace,
    WantedCamera,
    check_pace,
    check_video,
    check_wanted,
)
from vibrissa.machine.facts import Trouble
from vibrissa.machine.ports import Holder
from vibrissa.machine.usb import UsbDevice, read_usb
from vibrissa.machine.usb_tree import lay_out
from vibrissa.machine.video import (
    CAPABILITY,
    Capability,
    VideoNode,
    capability,
    parse_capability,
    video_nodes,
)

BY_ID = "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_AB12-video-index0"
META = "/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_AB12-video-index1"
CAPTURE, METADATA, OWN = 0x1, 0x00800000, 0x80000000


def told(everything: int, own: int) -> bytes:
    return CAPABILITY.pack(b"uvcvideo", b"HD Webcam", b"usb-0000:00:14.0-3", 1, everything, own)


@pytest.mark.parametrize(
    ("everything", "own", "capture"),
    [
        (OWN | CAPTURE | METADATA, CAPTURE, True),
        (OWN | CAPTURE | METADATA, METADATA, False),
        (CAPTURE, 0, True),
        (METADATA, 0, False),
    ],
)
def test_the_kernel_says_which_node_gives_pictures(everything, own, capture) -> None:
    assert CAPABILITY.size == 104
    found = parse_capability(told(everything, own), ("YUYV", "MJPG"))
    assert found == Capability("HD Webcam", capture, ("YUYV", "MJPG"))


def test_a_file_is_no_video_device(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    assert capability(tmp_path / "video0") is None
    assert capability(tmp_path / "video1") is None


def nodes_of(tree: dict[str, str], root: Path) -> tuple[tuple[VideoNode, ...], tuple]:
    lay_out(tree, root)
    usb = read_usb(root / "sys")
    assert not isinstance(usb, Trouble)
    return video_nodes(root), usb


def test_a_desk_with_two_cameras(tmp_path: Path) -> None:
    nodes, usb = nodes_of(desk(), tmp_path)
    assert [(n.node, n.index, n.captures) for n in nodes] == [
        ("video0", 0, True),
        ("video1", 1, False),
        ("video2", 0, True),
        ("video3", 1, False),
    ]
    webcam, depth = check_video(nodes, usb)
    assert (webcam.state, depth.state) == ("ok", "ok")
    assert BY_ID in webcam.told
    assert "video1: its metadata" in webcam.told


def test_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    camera = device("1-3", C920, nodes={"video10": "1", "video9": "0"})
    nodes, _ = nodes_of({**device("usb1", ROOT_2), **camera}, tmp_path)
    assert [node.node for node in nodes] == ["video9", "video10"]


def test_two_alike_without_a_serial_number(tmp_path: Path) -> None:
    tree = {
        **device("usb1", ROOT_2),
        **device("1-1", C920, nodes={"video0": "0"}),
        **device("1-2", C920, nodes={"video2": "0"}),
        **link("v4l/by-id", "usb-046d_C920-video-index0", "video2"),
        **link("v4l/by-path", "pci-0:1-video-index0", "video0"),
        **link("v4l/by-path", "pci-0:2-video-index0", "video2"),
    }
    nodes, usb = nodes_of(tree, tmp_path)
    first, second = check_video(nodes, usb)
    assert first.state == "warning"
    assert "/dev/v4l/by-path/pci-0:1-video-index0" in first.told
    assert second.state == "ok"


def test_nothing_plugged_in() -> None:
    (line,) = check_video((), ())
    assert (line.state, line.told) == ("ok", "none is plugged in")


def test_a_camera_that_got_no_node(tmp_path: Path) -> None:
    tree = {**device("usb1", ROOT_2), **device("1-1", C920)}
    tree["sys/bus/usb/devices/1-1:1.0/bInterfaceClass"] = "0e"
    nodes, usb = nodes_of(tree, tmp_path)
    (line,) = check_video(nodes, usb)
    assert line.state == "warning"
    assert "uvcvideo" in line.do


def test_one_that_may_not_be_opened_and_one_in_use() -> None:
    closed = VideoNode("/dev/video0", "C920", may_open=False)
    (line,) = check_video((closed,), ())
    assert "usermod -aG video" in line.do
    busy = VideoNode("/dev/video0", "C920", by_id=BY_ID, holders=(Holder(5, "firefox"),))
    (line,) = check_video((busy,), ())
    assert line.state == "warning"
    assert "firefox (process 5)" in line.told


NODES = (
    VideoNode("/dev/video0", "C920", 0, by_id=BY_ID),
    VideoNode("/dev/video1", "C920", 1, by_id=META),
)
OVERHEAD = WantedCamera("overhead", "opencv", BY_ID)


@pytest.mark.parametrize(
    ("given", "state", "words"),
    [
        ("/dev/video0", "warning", BY_ID),
        ("0", "broken", "not there"),
        (META, "broken", "metadata"),
        ("/dev/v4l/by-id/usb-other", "broken", "not there"),
    ],
)
def test_the_cameras_of_a_rig(given, state, words) -> None:
    if given == "0":
        (line,) = check_wanted(dataclasses.replace(OVERHEAD, device="7"), NODES, ())
    else:
        (line,) = check_wanted(dataclasses.replace(OVERHEAD, device=given), NODES, ())
    assert line.state == state
    assert words in f"{line.told} {line.do}"
    assert BY_ID in line.do


def test_a_name_that_lasts_is_no_line() -> None:
    assert check_wanted(OVERHEAD, NODES, ()) == []


def test_an_optional_camera_may_be_away() -> None:
    away = dataclasses.replace(OVERHEAD, device="/dev/v4l/by-id/usb-other", optional=True)
    (line,) = check_wanted(away, (), ())
    assert line.state == "warning"


def usb_with(name: str, says: dict[str, str], root: Path) -> tuple[UsbDevice, ...]:
    lay_out({**device("usb2", ROOT_3), **device(name, says)}, root)
    found = read_usb(root / "sys")
    assert not isinstance(found, Trouble)
    return found


def test_a_depth_camera_that_is_not_there(tmp_path: Path) -> None:
    wanted = WantedCamera("wrist", "realsense", "1274", depth=True)
    (line,) = check_wanted(wanted, (), usb_with("2-1", C920, tmp_path / "a"))
    assert line.state == "broken"
    assert check_wanted(wanted, (), usb_with("2-1", D405, tmp_path / "b")) == []


@pytest.mark.parametrize(
    ("pace", "state", "words"),
    [
        (Pace(29.8, 640, 480), "ok", "29.8 frames/s"),
        (Pace(14.9, 640, 480), "warning", "more light"),
        (Pace(30.0, 1280, 720), "broken", "size"),
        (Pace(30.0, 640, 480, "black"), "warning", "black"),
        (Trouble("no frame within 3 s"), "broken", "no frame"),
    ],
)
def test_the_rate_that_is_reached(pace, state, words) -> None:
    line = check_pace(OVERHEAD, pace)[0]
    assert line.state == state
    assert words in f"{line.told} {line.do}"
