"""Cameras behind the twin's camera server: what each fault becomes, and that nobody waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from twin.waiting import until

from vibrissa.core.contract import CameraSpec
from vibrissa.core.errors import ArmFault
from vibrissa.real import sources
from vibrissa.real.camera import Camera
from vibrissa.real.cameras import Cameras, specs
from vibrissa.real.probe import probe
from vibrissa.real.rig import CameraCfg
from vibrissa.real.sources import RealSense, make_source
from vibrissa.twin.camera_faults import CameraFault
from vibrissa.twin.cameras import CameraServer, Ready

SPECS = (CameraSpec("overhead", 160, 120), CameraSpec("wrist", 176, 128))
Made = Callable[..., Cameras]


@pytest.fixture(scope="module")
def server() -> Iterator[CameraServer]:
    with CameraServer(Ready(SPECS, count=30), port=0) as served:
        yield served


@pytest.fixture
def cfgs(server) -> Iterator[tuple[CameraCfg, ...]]:
    yield tuple(
        CameraCfg(spec.name, "zmq", server.addresses[spec.name], spec.width, spec.height)
        for spec in SPECS
    )
    server.heal()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def cameras(cfgs, said) -> Iterator[Cameras]:
    made = Cameras(cfgs, say=said.append)
    made.start()
    yield made
    made.close()


def test_frames_are_the_newest_and_tell_their_time_and_number(cameras) -> None:
    first = cameras.latest()
    assert {name: f.picture.shape for name, f in first.items()} == {
        "overhead": (120, 160, 3),
        "wrist": (128, 176, 3),
    }
    until(lambda: cameras.latest()["wrist"].sequence > first["wrist"].sequence + 3)
    later = cameras.latest()["wrist"]
    assert later.captured_s > first["wrist"].captured_s
    with pytest.raises(ValueError, match="read-only"):
        later.picture[0] = 0


def test_red_is_red(cameras) -> None:
    from vibrissa.twin.ready import ready_picture

    number = cameras.latest()["overhead"].sequence
    until(lambda: cameras.latest()["overhead"].sequence != number)
    frame = cameras.latest()["overhead"]
    drawn = ready_picture("overhead", 160, 120, frame.sequence % 30)
    assert np.abs(frame.picture.astype(int) - drawn).mean() < 12


@pytest.mark.parametrize(
    ("fault", "health"),
    [
        ("black", "black"),
        ("overexposed", "overexposed"),
        ("late", "late"),
        ("slow", "late"),
        ("gone", "missing"),
        ("resolution", "missing"),
    ],
)
def test_a_fault_is_marked_told_and_forgotten(cameras, server, said, fault, health) -> None:
    until(lambda: cameras.latest()["wrist"].health == "ok")
    server.fault(CameraFault(fault, "overhead"))
    until(lambda: _look(cameras)["overhead"] == health)
    until(lambda: any("'overhead'" in line for line in said) or not _look(cameras))
    assert cameras.latest()["overhead"].picture.shape == (120, 160, 3)
    server.heal()
    until(lambda: _look(cameras)["overhead"] == "ok")
    until(lambda: any("well again" in line for line in said) or not _look(cameras))
    assert not any("'wrist'" in line and "black" in line for line in said)


def test_a_frozen_picture_is_told_once_the_arm_moves(cameras, server) -> None:
    server.fault(CameraFault("frozen", "wrist"))
    still, moving = np.zeros(6, np.float32), iter(np.linspace(0, 100, 100000, dtype=np.float32))
    sequence = cameras.latest(still)["wrist"].sequence
    until(lambda: cameras.latest(still)["wrist"].sequence > sequence + 20)
    assert cameras.latest(still)["wrist"].health != "frozen"
    until(lambda: cameras.latest(still + next(moving))["wrist"].health == "frozen")


def test_a_needed_camera_that_stays_away_ends_the_episode(cameras, server) -> None:
    server.fault(CameraFault("gone", "wrist"))
    with pytest.raises(ArmFault, match="'wrist' has given no picture for 2 s"):
        until(lambda: cameras.latest() is None)
    server.heal()
    cameras.wait()
    cameras.latest()


def test_an_optional_camera_that_is_not_there_is_black_and_missing(said) -> None:
    cfg = CameraCfg("top", "zmq", "tcp://127.0.0.1:1/top", 64, 48, optional=True)
    made = Camera(cfg, lambda: make_source(cfg), say=said.append)
    made.start()
    assert made.wait_for_first(0.2) == ""
    frame = made.latest()
    assert (frame.health, frame.sequence, frame.picture.shape) == ("missing", -1, (48, 64, 3))
    assert "optional" in said[0]
    made.stop()
    made.join()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "top", "device": "/dev/v4l/by-id/none", "kind": "opencv"}, "plugged in"),
        ({"width": 80}, "it gives 176 × 128; the rig says 80 × 128"),
        ({"device": "wrist_2"}, "no 'wrist_2' is sent there; but wrist."),
    ],
)
def test_what_is_wrong_at_the_start_is_one_line(cfgs, change, told) -> None:
    from dataclasses import replace

    cfg = cfgs[1]
    if change.get("device") == "wrist_2":
        change = {"device": cfg.device + "_2"}
    made = Camera(replace(cfg, **change), lambda: make_source(replace(cfg, **change)), say=print)
    made.start()
    until(lambda: told in made.wait_for_first(0.1))
    made.stop()
    made.join()


def test_a_film_in_a_camera_s_place_is_read_and_then_gone(tmp_path) -> None:
    path = str(tmp_path / "desk.avi")
    film = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for n in range(5):
        film.write(np.full((48, 64, 3), (200, 100, 10 + n), np.uint8))
    film.release()
    cfg = CameraCfg("film", device=path, width=64, height=48)
    source = make_source(cfg)
    grabbed = source.read(1.0)
    assert grabbed is not None
    assert np.abs(grabbed.picture[10, 10].astype(int) - (10, 100, 200)).max() < 12
    with pytest.raises(ArmFault, match="does not answer"):
        until(lambda: source.read(1.0) is None)
    source.close()


def test_a_probe_says_what_really_comes(cfgs, server) -> None:
    server.fault(CameraFault("slow", "wrist"))
    absent = CameraCfg("top", device="/dev/v4l/by-id/none")
    overhead, wrist, top = probe([*cfgs, absent], seconds=1.5)
    assert overhead.trouble == wrist.trouble == ""
    assert overhead.fps > 2 * wrist.fps
    assert wrist.slow
    assert wrist.gaps > 0
    assert "camera 'top'" in top.trouble


def test_a_contract_names_depth_beside_colour() -> None:
    told = specs([CameraCfg("side", "realsense", "1", depth=True)])
    assert [(s.name, s.depth) for s in told] == [("side", False), ("side_depth", True)]


def _look(cameras: Cameras) -> dict[str, str]:
    """The healths, whatever a needed camera's absence would end."""
    try:
        return {name: frame.health for name, frame in cameras.latest().items()}
    except ArmFault:
        return {"overhead": "missing", "wrist": "missing"}


def test_depth_is_in_metres_whatever_the_camera_counts_in() -> None:
    """A RealSense without its driver: as much of LeRobot's class as is asked."""
    sensor = SimpleNamespace(get_depth_scale=lambda: 0.0001)
    device = SimpleNamespace(first_depth_sensor=lambda: sensor)
    camera = SimpleNamespace(
        rs_profile=SimpleNamespace(get_device=lambda: device),
        async_read=lambda timeout_ms: None,
        frame_lock=Lock(),
        latest_color_frame=np.zeros((48, 64, 3), np.uint8),
        latest_depth_frame=np.full((48, 64, 1), 2500, np.uint16),
        latest_timestamp=12.5,
    )
    source = RealSense.__new__(RealSense)
    source._camera, source._unit_m = camera, sources._depth_unit_m(camera)
    grabbed = source.read(0.1)
    assert grabbed is not None
    assert grabbed.depth is not None
    assert grabbed.depth.shape == (48, 64)
    assert grabbed.depth.dtype == np.float32
    assert grabbed.depth[0, 0] == pytest.approx(0.25)
    assert grabbed.captured_s == 12.5
