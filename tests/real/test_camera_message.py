"""Whatever a publisher sends is a picture or one line, and the camera reads on."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from queue import SimpleQueue

import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from messages import (
    HEIGHT,
    WIDTH,
    announcing,
    camera_messages,
    encoded,
    message,
)
from twin.waiting import until

from vibrissa.core.errors import ArmFault
from vibrissa.real.camera import Camera
from vibrissa.real.camera_message import BadFrame, announced_size, parsed, plain
from vibrissa.real.cameras import Cameras
from vibrissa.real.rig import CameraCfg
from vibrissa.real.sources import Grabbed, make_source

SIZE = (WIDTH, HEIGHT)


def test_a_good_message_is_a_picture_with_its_time_and_number() -> None:
    got = parsed(message(sequence={"eye": 7}, monotonic_s={"eye": 2.5}), "eye", SIZE)
    assert got.picture.shape == (HEIGHT, WIDTH, 3)
    assert got.picture.dtype == np.uint8
    assert (got.sequence, got.told_s) == (7, 2.5)
    png = parsed(message(encoded(".png"), sequence=None, monotonic_s={"eye": None}), "eye", SIZE)
    assert (png.sequence, png.told_s) == (None, None)
    assert (png.picture == 90).all()


BAD: dict[str, bytes] = {
    "no JSON": b"{",
    "empty": b"",
    "not UTF-8": b'{"images": {"eye": "\xff"}}',
    "a topic before the message": b"eye",
    "deep": b"[" * 200_000,
    "deep objects": b'{"images":' * 100_000,
    "a list": b"[1]",
    "a number": b"3",
    "null": b"null",
    "a number of too many digits": b"[" + b"9" * 5000 + b"]",
    "no images": b"{}",
    "images a list": b'{"images": ["eye"]}',
    "images a text": b'{"images": "eye"}',
    "another camera": message(camera="other"),
    "names that a terminal would obey": message(camera="\x1b[2J\n" * 30),
    "image null": b'{"images": {"eye": null}}',
    "image a list": b'{"images": {"eye": [1]}}',
    "no base64": b'{"images": {"eye": "####"}}',
    "base64 cut": b'{"images": {"eye": "abcde"}}',
    "base64 of no letters": '{"images": {"eye": "größer"}}'.encode(),
    "empty picture": message(b""),
    "text as picture": message(b"hello"),
    "a bitmap": message(encoded(".bmp")),
    "JPEG cut short": message(encoded()[:-40]),
    "JPEG without its end": message(encoded()[:-2]),
    "JPEG head only": message(encoded()[:20]),
    "PNG cut short": message(encoded(".png")[:40]),
    "another size": message(encoded(".jpg", 16, 8)),
    "a huge announced size": message(announcing(65535, 65535)),
    "an empty announced size": message(announcing(0, 0)),
    "sequence a float": message(sequence={"eye": 1.5}),
    "sequence negative": message(sequence={"eye": -1}),
    "sequence a text": message(sequence={"eye": "7"}),
    "sequence a bool": message(sequence={"eye": True}),
    "sequence huge": message(sequence={"eye": 2**63}),
    "sequence a number for all": message(sequence=3),
    "monotonic_s NaN": message(monotonic_s={"eye": float("nan")}),
    "monotonic_s infinite": message(monotonic_s={"eye": float("inf")}),
    "monotonic_s huge": message(monotonic_s={"eye": 10**400}),
    "monotonic_s a text": message(monotonic_s={"eye": "now"}),
    "monotonic_s a list": message(monotonic_s=[1.0]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_message_is_one_short_line(name) -> None:
    with pytest.raises(BadFrame) as caught:
        parsed(BAD[name], "eye", SIZE)
    _require_a_line(str(caught.value))


def test_no_picture_larger_than_the_rig_says_is_ever_decoded() -> None:
    """A few bytes may announce 24576 × 24576: half a minute and gigabytes."""
    began_s = time.perf_counter()
    for picture in (announcing(24576, 24576), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x60\0\0\0\x60\0"):
        with pytest.raises(BadFrame, match=f"24576 × 24576; the rig says {WIDTH} × {HEIGHT}"):
            parsed(message(picture), "eye", SIZE)
    assert time.perf_counter() - began_s < 1


def _require_a_line(told: str) -> None:
    assert len(told) < 300
    assert told.isprintable()
    assert told.endswith(".")


@settings(deadline=None, max_examples=150, derandomize=True)
@given(camera_messages)
def test_whatever_comes_is_a_picture_or_a_bad_frame(data) -> None:
    try:
        got = parsed(data, "eye", SIZE)
    except BadFrame as error:
        _require_a_line(str(error))
        return
    assert got.picture.shape == (HEIGHT, WIDTH, 3)
    assert got.sequence is None or (type(got.sequence) is int and 0 <= got.sequence < 2**63)
    assert got.told_s is None or (type(got.told_s) is float and np.isfinite(got.told_s))


@settings(deadline=None, max_examples=100, derandomize=True)
@given(camera_messages)
def test_the_announced_size_is_read_from_any_bytes(data) -> None:
    announced_size(data)
    announced_size(b"\xff\xd8" + data)
    assert announced_size(encoded(".jpg", 40, 24)) == (40, 24)
    assert len(plain("x" * 900)) < 50


@pytest.fixture
def publisher() -> Iterator[tuple[zmq.Socket, int]]:
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    yield socket, socket.bind_to_random_port("tcp://127.0.0.1")
    context.destroy(linger=0)


def _sending(camera: Camera, socket: zmq.Socket, data: bytes, what) -> None:
    """Send `data` again and again until `what()`."""

    def step() -> bool:
        socket.send(data)
        time.sleep(0.004)
        return what()

    until(step)


def test_every_bad_message_is_marked_counted_reported_once_and_forgotten(publisher) -> None:
    socket, port = publisher
    cfg = CameraCfg("eye", "zmq", f"tcp://127.0.0.1:{port}/eye", WIDTH, HEIGHT)
    said: list[str] = []
    camera = Camera(cfg, lambda: make_source(cfg), say=said.append)
    camera.start()
    try:
        for number, (name, data) in enumerate(BAD.items()):
            camera._bad._said_s = -np.inf  # as if half a minute had passed
            _sending(camera, socket, message(), lambda: camera.latest().health == "ok")
            bad = camera.bad
            _sending(camera, socket, data, lambda bad=bad: camera.bad > bad)
            assert camera.latest().health == "missing", name
            assert camera.latest().picture.shape == (HEIGHT, WIDTH, 3)
            assert camera.unusable, name
            count = camera.count
            _sending(camera, socket, message(), lambda count=count: camera.count > count)
            assert camera.latest().health == "ok", name
            assert len(said) == number + 1, (name, said)
            assert "could not be used and marked missing: " in said[-1]
        assert camera._thread is not None
        assert camera._thread.is_alive()
    finally:
        camera.stop()
        camera.join()


def test_many_parts_are_no_trouble_to_the_next_good_message(publisher) -> None:
    socket, port = publisher
    cfg = CameraCfg("eye", "zmq", f"tcp://127.0.0.1:{port}/eye", WIDTH, HEIGHT)
    camera = Camera(cfg, lambda: make_source(cfg), say=lambda _: None)
    camera.start()
    for _ in range(100):
        socket.send_multipart([b"eye", b"", message()[:50]])
    _sending(camera, socket, message(), lambda: camera.latest().health == "ok")
    camera.stop()
    camera.join()


class _Scripted:
    """A source that gives or raises what it is handed, one a read."""

    def __init__(self) -> None:
        self.to_come: SimpleQueue[Grabbed | BaseException] = SimpleQueue()

    def read(self, within_s: float) -> Grabbed | None:
        if self.to_come.empty():
            time.sleep(0.001)
            return None
        given = self.to_come.get()
        if isinstance(given, BaseException):
            raise given
        return given

    def settings(self) -> dict[str, float]:
        return {}

    def close(self) -> None:
        return None


def _frame() -> Grabbed:
    return Grabbed(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), time.perf_counter())


@pytest.mark.parametrize(
    "bug", [RuntimeError("a driver's"), SystemExit(3), MemoryError("none left"), KeyError("x\ny")]
)
def test_a_reader_that_fails_in_any_way_is_the_cameras_fault_and_reads_again(
    bug, monkeypatch
) -> None:
    monkeypatch.setattr("vibrissa.real.camera.AGAIN_S", 0.01)
    cfg, source, said = CameraCfg("eye", "zmq", "-", WIDTH, HEIGHT), _Scripted(), []
    camera = Camera(cfg, lambda: source, say=said.append)
    camera.start()
    source.to_come.put(_frame())
    until(lambda: camera.count == 1)
    source.to_come.put(bug)
    until(lambda: camera.latest().health == "missing")
    assert type(bug).__name__ in camera.unusable
    source.to_come.put(_frame())
    until(lambda: camera.count == 2)
    assert camera.latest().health == "ok"
    assert len(said) == 1
    assert f"its reader failed: {type(bug).__name__}" in said[0]
    assert said[0].isprintable()
    camera.stop()
    camera.join()


def test_a_camera_that_sends_only_what_cannot_be_used_says_why_when_it_ends(monkeypatch) -> None:
    monkeypatch.setattr("vibrissa.real.cameras.PATIENCE_S", 0.05)
    monkeypatch.setattr("vibrissa.real.cameras.make_source", lambda cfg: source)
    source, said = _Scripted(), list[str]()
    cameras = Cameras([CameraCfg("eye", "zmq", "-", WIDTH, HEIGHT)], say=said.append)
    source.to_come.put(_frame())
    cameras.start()

    def fails() -> bool:
        source.to_come.put(BadFrame("it sends nonsense."))
        cameras.latest()
        return False

    with pytest.raises(ArmFault, match="it sends nonsense; one that may be missing"):
        until(fails)
    cameras.close()
    assert "could not be used." in said[-1]


def test_a_single_bad_picture_now_and_then_is_not_said_each_time() -> None:
    cfg, source, said, time_s = CameraCfg("eye", "zmq", "-", WIDTH, HEIGHT), _Scripted(), [], [0.0]
    camera = Camera(cfg, lambda: source, say=said.append, now=lambda: time_s[0])
    camera.start()
    for number in range(20):
        source.to_come.put(Grabbed(_frame().picture, time_s[0]))
        until(lambda n=number: camera.count == n + 1)
        camera.latest()
        source.to_come.put(BadFrame(f"nonsense {number}."))
        until(lambda n=number: camera.bad == n + 1)
        time_s[0] += 4.0 if number == 17 else 0.05
    camera.stop()
    camera.join()
    assert [line.split(": ")[1] for line in said if "could not" in line] == [
        "1 picture could not be used and marked missing"
    ]


def test_a_base64_text_with_foreign_letters_is_not_read_around_them() -> None:
    """Left out, one letter would shift all others: a picture of something else."""
    image = base64.b64encode(encoded()).decode()
    spoilt = json.dumps({"images": {"eye": image[:60] + "#" + image[60:]}}).encode()
    with pytest.raises(BadFrame, match="base64"):
        parsed(spoilt, "eye", SIZE)


def test_where_no_size_is_known_yet_any_but_a_boundless_one_is_read() -> None:
    told = parsed(message(encoded(".jpg", 16, 8)), "eye", None)
    assert told.picture.shape == (8, 16, 3)
    for side in (0, 65535):
        with pytest.raises(BadFrame, match="at most 16777216 pixels"):
            parsed(message(announcing(side, side)), "eye", None)
