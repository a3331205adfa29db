"""USB trees: read, recorded, laid out again; and what is told of speeds, buses, hubs and power."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from machine.trees import C920, CH343, D405, HUB, ROOT_2, ROOT_3, desk, device

from vibrissa.core.errors import UsageError
from vibrissa.machine.camera_checks import WantedCamera
from vibrissa.machine.facts import Trouble
from vibrissa.machine.lines import Line
from vibrissa.machine.usb import UsbDevice, on_bus, owner_of, read_usb
from vibrissa.machine.usb_checks import check_usb, mbps
from vibrissa.machine.usb_tree import lay_out, load_tree, record_tree, save_tree


def read(tree: dict[str, str], folder: Path) -> tuple[UsbDevice, ...]:
    lay_out(tree, folder)
    found = read_usb(folder / "sys")
    assert not isinstance(found, Trouble)
    return found


def judged(folder: Path, *devices: dict[str, str]) -> list[Line]:
    return check_usb(read({k: v for tree in devices for k, v in tree.items()}, folder))


def test_a_tree_is_read(tmp_path: Path) -> None:
    usb = read(desk(), tmp_path)
    assert [one.name for one in usb] == ["1-1", "1-2", "1-3", "2-1", "usb1", "usb2"]
    arm = owner_of(usb, "ttyACM0")
    assert arm is not None
    assert (arm.told, arm.mbps, arm.power_ma, arm.is_serial) == ("USB Single Serial", 12, 134, True)
    assert arm.interfaces[0].driver == "cdc_acm"
    webcam = owner_of(usb, "video1")
    assert webcam is not None
    assert webcam.is_camera
    assert not webcam.is_realsense
    assert [one.name for one in on_bus(usb, "usb1")] == ["1-1", "1-2", "1-3"]


def test_recording_and_laying_out_are_inverse(tmp_path: Path) -> None:
    tree = desk()
    lay_out(tree, tmp_path / "machine")
    recorded = record_tree(tmp_path / "machine")
    assert recorded == tree
    save_tree(recorded, tmp_path / "tree.json")
    assert load_tree(tmp_path / "tree.json") == tree


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 1}', "no JSON"])
def test_what_is_no_tree_is_refused(text, tmp_path: Path) -> None:
    file = tmp_path / "tree.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="no recorded USB tree"):
        load_tree(file)


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "sys/../../outside"])
def test_a_tree_stays_in_its_folder(path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no path"):
        lay_out(json.loads(json.dumps({path: "x"})), tmp_path / "in")


def test_a_system_without_usb_is_no_traceback(tmp_path: Path) -> None:
    assert isinstance(read_usb(tmp_path), Trouble)
    assert record_tree(tmp_path) == {}


def test_hubs_are_found_by_their_ports(tmp_path: Path) -> None:
    usb = read(
        {
            **device("usb1", ROOT_2),
            **device("1-4", HUB),
            **device("1-4.1", HUB),
            **device("1-4.1.2", C920, nodes={"video0": "0"}),
        },
        tmp_path,
    )
    assert {one.name: one.parent for one in usb} == {
        "usb1": "",
        "1-4": "usb1",
        "1-4.1": "1-4",
        "1-4.1.2": "1-4.1",
    }
    assert [one.name for one in on_bus(usb, "1-4")] == ["1-4.1", "1-4.1.2"]


def test_a_good_desk_has_one_line(tmp_path: Path) -> None:
    (line,) = judged(tmp_path, desk())
    assert line.state == "ok"
    assert "4 devices" in line.told


def test_a_depth_camera_on_usb_2(tmp_path: Path) -> None:
    depth = device("1-5", D405, nodes={"video0": "0"}, speed="480")
    (line,) = judged(tmp_path, device("usb1", ROOT_2), depth)
    assert line.state == "warning"
    assert "480 Mbit/s" in line.told
    assert "RealSense" in line.told
    assert "USB 3" in line.do


def test_a_camera_at_full_speed_and_an_adapter_that_needs_no_more(tmp_path: Path) -> None:
    slow = device("1-5", C920, nodes={"video0": "0"}, speed="12")
    adapter = device("1-6", CH343, nodes={"ttyACM0": ""})
    (line,) = judged(tmp_path, device("usb1", ROOT_2), slow, adapter)
    assert "C920" in line.told
    assert "12 Mbit/s" in line.told


def test_two_cameras_on_one_usb_2_bus(tmp_path: Path) -> None:
    one = device("1-1", C920, nodes={"video0": "0"})
    two = device("1-2", C920, nodes={"video2": "0"}, serial="CD34")
    (line,) = judged(tmp_path, device("usb1", ROOT_2), one, two)
    assert line.state == "warning"
    assert "share bus 1" in line.told
    assert "295 Mbit/s" in line.told


def test_the_rig_says_how_much_they_send(tmp_path: Path) -> None:
    one = device("1-1", C920, nodes={"video0": "0"})
    two = device("1-2", C920, nodes={"video2": "0"}, serial="CD34")
    usb = read({**device("usb1", ROOT_2), **one, **two}, tmp_path)
    small = WantedCamera("front", "opencv", "", width=320, height=240)
    (line,) = check_usb(usb, {"1-1": small, "1-2": small})
    assert line.state == "ok"
    large = WantedCamera("front", "opencv", "", width=1280, height=720)
    (line,) = check_usb(usb, {"1-1": large})
    assert "as the rig has them" in line.told


def test_webcams_that_compress_share_a_bus(tmp_path: Path) -> None:
    one = device("1-1", C920, nodes={"video0": "0"})
    two = device("1-2", C920, nodes={"video2": "0"}, serial="CD34")
    usb = read({**device("usb1", ROOT_2), **one, **two}, tmp_path)
    (line,) = check_usb(usb, {}, {"1-1", "1-2"})
    assert line.state == "ok"
    large = WantedCamera("front", "opencv", "", width=1920, height=1080)
    (line,) = check_usb(usb, {"1-1": large, "1-2": large}, {"1-1", "1-2"})
    assert "MJPG" in line.told


def test_depth_is_a_stream_of_its_own() -> None:
    colour = WantedCamera("wrist", "realsense", "", width=640, height=480, fps=30)
    depth = WantedCamera("wrist", "realsense", "", width=640, height=480, fps=30, depth=True)
    assert mbps(depth) == 2 * mbps(colour) == pytest.approx(294.9, abs=0.1)


def test_cameras_on_two_buses_do_not_meet(tmp_path: Path) -> None:
    one = device("1-1", C920, nodes={"video0": "0"})
    two = device("3-1", C920, nodes={"video2": "0"}, serial="CD34")
    (line,) = judged(tmp_path, device("usb1", ROOT_2), device("usb3", ROOT_2, busnum="3"), one, two)
    assert line.state == "ok"


@pytest.mark.parametrize(
    ("attributes", "words"), [("e0", "the hub's own supply"), ("a0", "a supply of its own")]
)
def test_a_hub_that_cannot_feed_them(attributes, words, tmp_path: Path) -> None:
    hub = device("1-4", HUB, bmAttributes=attributes)
    camera = device("1-4.1", C920, nodes={"video0": "0"})
    adapter = device("1-4.2", CH343, nodes={"ttyACM0": ""})
    (line,) = judged(tmp_path, device("usb1", ROOT_2), hub, camera, adapter)
    assert line.state == "warning"
    assert "mA behind one hub" in line.told
    assert words in line.do


def test_cameras_and_servos_on_one_hub(tmp_path: Path) -> None:
    hub = device("2-4", HUB, speed="5000", bmAttributes="e0")
    devices = [
        device("2-4.1", D405, nodes={"video0": "0"}),
        device("2-4.2", C920, nodes={"video2": "0"}, bMaxPower="100mA"),
        device("2-4.3", CH343, nodes={"ttyACM0": ""}),
    ]
    (line,) = judged(tmp_path, device("usb2", ROOT_3), hub, *devices)
    assert line.state == "warning"
    assert "hang on one hub" in line.told
    assert "socket of the computer" in line.do


def test_keyboards_behind_a_hub_are_nobodys_business(tmp_path: Path) -> None:
    keys = {**CH343, "idVendor": "046d", "idProduct": "c31c", "bMaxPower": "500mA"}
    hub = device("1-4", HUB, bmAttributes="a0")
    (line,) = judged(tmp_path, device("usb1", ROOT_2), hub, device("1-4.1", keys))
    assert line.state == "ok"
