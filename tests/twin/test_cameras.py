"""The twin's cameras, read by LeRobot's own ZMQ camera and by their raw messages."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from vibrissa.core.contract import CameraSpec
from vibrissa.core.errors import ArmFault, UsageError
from vibrissa.twin.camera_faults import CAMERA_FAULTS, LATE_S, SLOW_EVERY, CameraFault, Faults
from vibrissa.twin.cameras import CameraServer, Ready, Rendered, World
from vibrissa.twin.publishing import _Feed, _Images
from vibrissa.twin.ready import read_number, ready_picture

EYES = (CameraSpec("overhead", 320, 240), CameraSpec("wrist", 160, 120))
COUNT = 40
PATIENCE_S = 20.0


class Reader:
    """Reads the messages of one camera as they are."""

    def __init__(self, address: str):
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.setsockopt_string(zmq.SUBSCRIBE, "")
        self._socket.setsockopt(zmq.RCVTIMEO, int(PATIENCE_S * 1000))
        self._socket.connect(address.rsplit("/", 1)[0])

    def close(self) -> None:
        self._socket.close(linger=0)

    def read(self) -> dict[str, Any]:
        return json.loads(self._socket.recv_string())

    def quiet(self, for_s: float) -> bool:
        """Whether nothing comes within `for_s`."""
        return not self._socket.poll(int(for_s * 1000))

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message that is `wanted`."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            message = self.read()
            if wanted(message):
                return message
        raise AssertionError("it never came")


def picture(message: dict[str, Any]) -> Any:
    """The only picture of a message, (H, W, 3) RGB, decoded as LeRobot does."""
    (image,) = message["images"].values()
    found = cv2.imdecode(np.frombuffer(base64.b64decode(image), np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[CameraServer]:
    with CameraServer(Ready(EYES, COUNT), fps=60, port=0).start() as running:
        yield running


@pytest.fixture
def healed(server: CameraServer) -> Iterator[CameraServer]:
    server.heal()
    yield server
    server.heal()


@given(st.integers(0, 65535), st.sampled_from([(640, 480), (320, 240), (160, 120)]))
@settings(max_examples=20, deadline=None)
def test_a_number_comes_through_jpeg(number: int, size: tuple[int, int]) -> None:
    painted = ready_picture("overhead", *size, number)
    jpeg = cv2.imencode(".jpg", painted, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    assert read_number(painted) == number
    again: Any = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert read_number(again) == number


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_no_number_is_read_where_there_is_none(grey: int) -> None:
    assert read_number(np.full((240, 320, 3), grey, np.uint8)) is None


def test_a_picture_too_small_for_a_number_is_refused() -> None:
    with pytest.raises(UsageError, match="160 x 120"):
        ready_picture("overhead", 64, 48, 1)


def test_lerobot_s_own_camera_reads_them(healed: CameraServer) -> None:
    from lerobot.cameras.zmq import ZMQCamera, ZMQCameraConfig

    port = int(healed.addresses["overhead"].rsplit("/", 1)[0].rsplit(":", 1)[1])
    cfg = ZMQCameraConfig(server_address="127.0.0.1", port=port, camera_name="overhead", fps=30)
    camera = ZMQCamera(cfg)
    camera.connect()
    try:
        seen = camera.read()
    finally:
        camera.disconnect()
    assert (camera.width, camera.height) == (320, 240)
    number = read_number(seen)
    assert number is not None
    truth = ready_picture("overhead", 320, 240, number).astype(int)
    assert np.abs(seen - truth).mean() < 8, "red and blue are not where LeRobot's server has them"


def test_every_camera_counts_its_frames_and_has_a_port_of_its_own(healed: CameraServer) -> None:
    for spec in EYES:
        reader = Reader(healed.addresses[spec.name])
        first, second = reader.read(), reader.read()
        for message in (first, second):
            assert list(message["images"]) == [spec.name]
            assert picture(message).shape == (spec.height, spec.width, 3)
            assert read_number(picture(message)) == message["sequence"][spec.name] % COUNT
            assert abs(time.time() - message["timestamps"][spec.name]) < PATIENCE_S
        assert second["sequence"][spec.name] > first["sequence"][spec.name]
        assert second["monotonic_s"][spec.name] > first["monotonic_s"][spec.name]


def test_black_and_overexposed_befall_one_camera_and_pass(healed: CameraServer) -> None:
    reader, other = Reader(healed.addresses["overhead"]), Reader(healed.addresses["wrist"])
    healed.fault(CameraFault("black", "overhead"))
    reader.until(lambda message: picture(message).max() < 5)
    assert read_number(picture(other.read())) is not None
    healed.heal("overhead")
    healed.fault(CameraFault("overexposed", "overhead"))
    reader.until(lambda message: picture(message).mean() > 230)
    healed.heal()
    reader.until(lambda message: read_number(picture(message)) is not None)


def test_a_frozen_camera_goes_on_counting(healed: CameraServer) -> None:
    reader = Reader(healed.addresses["wrist"])
    healed.fault(CameraFault("frozen", "wrist"))
    before = reader.until(
        lambda message: read_number(picture(message)) != message["sequence"]["wrist"] % COUNT
    )
    after = reader.read()
    assert after["images"] == before["images"]
    assert after["sequence"]["wrist"] > before["sequence"]["wrist"]


def test_another_resolution(healed: CameraServer) -> None:
    reader = Reader(healed.addresses["overhead"])
    healed.fault(CameraFault("resolution", "overhead"))
    reader.until(lambda message: picture(message).shape == (120, 160, 3))


def test_late_pictures_say_when_they_were_taken(healed: CameraServer) -> None:
    reader = Reader(healed.addresses["wrist"])
    healed.fault(CameraFault("late", "wrist"))
    reader.until(lambda m: time.monotonic() - m["monotonic_s"]["wrist"] >= LATE_S)


def test_a_slow_camera_takes_some_of_its_frames(healed: CameraServer) -> None:
    reader = Reader(healed.addresses["wrist"])
    healed.fault(CameraFault("slow", "wrist"))
    counts = [reader.read()["sequence"]["wrist"]]
    while len(counts) < 3 or any(np.diff(counts[-3:]) != SLOW_EVERY):
        counts.append(reader.read()["sequence"]["wrist"])
        assert len(counts) < 100, "it is not slow"
    assert not any(np.mod(counts[-3:], SLOW_EVERY))


def test_gone_and_back(healed: CameraServer) -> None:
    reader = Reader(healed.addresses["wrist"])
    before = reader.read()["sequence"]["wrist"]
    healed.fault(CameraFault("gone", "wrist", for_s=1.0))
    while not reader.quiet(0.4):
        before = reader.read()["sequence"]["wrist"]
    assert reader.read()["sequence"]["wrist"] >= before + 20


def test_faults_come_at_their_moment_and_at_their_rate() -> None:
    faults = Faults(np.random.default_rng(0))
    faults.add(CameraFault("black", "wrist", at_s=1.0, for_s=2.0), now_s=10.0)
    assert [bool(faults.of("wrist", t)) for t in (10.0, 10.9, 11.0, 12.9, 13.0)] == [
        *(False, False, True, True, False)
    ]
    faults.add(CameraFault("frozen", rate=0.25), now_s=20.0)
    share = np.mean([bool(faults.of("overhead", 21.0)) for _ in range(2000)])
    assert 0.2 < share < 0.3
    faults.heal()
    assert not faults.of("overhead", 21.0)


@pytest.mark.parametrize(
    "wrong", [{"kind": "green"}, {"kind": "black", "rate": 0.0}, {"kind": "black", "at_s": -1.0}]
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        CameraFault(**wrong)


def test_a_camera_that_is_not_there_has_no_faults(server: CameraServer) -> None:
    with pytest.raises(UsageError, match="overhead, wrist"):
        server.fault(CameraFault("black", "front"))
    assert set(CAMERA_FAULTS) >= {"black", "frozen", "overexposed", "late", "slow", "gone"}


def test_a_taken_port_is_told(server: CameraServer) -> None:
    taken = int(server.addresses["wrist"].rsplit("/", 1)[0].rsplit(":", 1)[1])
    with pytest.raises(UsageError, match=f"port {taken}"):
        CameraServer(Ready(EYES[1:], 1), port=taken).start()


def test_a_stopped_server_takes_no_faults() -> None:
    server = CameraServer(Ready(EYES, 1), port=0)
    with pytest.raises(ArmFault, match="start it"):
        server.fault(CameraFault("black"))
    server.stop()


def test_a_world_is_read_as_it_was_written() -> None:
    world = World(3)
    world.write(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(world.read(), [1.0, 2.0, 3.0])
    with pytest.raises(ArmFault):
        world.write(np.zeros(4))


def test_nobody_looks_where_nobody_reads() -> None:
    """A camera counts on unread; whoever comes, and comes back, is served."""
    looks: list[int] = []
    images = _Images(
        lambda camera, number: looks.append(number) or np.zeros((120, 160, 3), np.uint8), 0
    )
    with zmq.Context() as context:
        socket = context.socket(zmq.XPUB)
        address = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}/eye"
        feed = _Feed("eye", images, socket)
        for _ in range(2):
            for _ in range(5):
                feed.take(frozenset())
            assert not looks
            reader = Reader(address)
            assert socket.poll(int(PATIENCE_S * 1000))  # it has subscribed
            feed.take(frozenset())
            assert looks == [reader.read()["sequence"]["eye"]]
            looks.clear()
            reader.close()
            assert socket.poll(int(PATIENCE_S * 1000))  # it has left
        socket.close(linger=0)


def test_it_dies_with_whoever_started_it() -> None:
    code = (
        "import time\n"
        "from vibrissa.core.contract import CameraSpec\n"
        "from vibrissa.twin.cameras import CameraServer, Ready\n"
        "if __name__ == '__main__':\n"
        "    server = CameraServer(Ready((CameraSpec('eye', 160, 120),), 1), port=0).start()\n"
        "    print(server.addresses['eye'], flush=True)\n"
        "    time.sleep(600)\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    reader = Reader(owner.stdout.readline().strip())
    reader.read()
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    end_s = time.monotonic() + PATIENCE_S
    while not reader.quiet(1.0):
        reader.read()
        assert time.monotonic() < end_s, "the cameras outlive their owner"


def test_rendered_pictures_follow_the_world(opengl: None) -> None:
    from vibrissa.sim.arm import SimArm
    from vibrissa.sim.tasks import make_scene

    scene = make_scene("pick-place", camera_size=(160, 120))
    arm = SimArm(scene, cameras=("wrist",))
    arm.reset(3)
    seen = arm.observe()
    with CameraServer(Rendered(scene, ("wrist",)), port=0).start() as server:
        server.show(seen.sim_state)
        reader = Reader(server.addresses["wrist"])
        wanted = seen.images["wrist"].astype(int)
        reader.until(lambda message: np.abs(picture(message) - wanted).mean() < 6)
