"""One loop that looks, spoils, encodes and sends: what a camera server's process does.

Each camera has its own count of frames. A frame is taken at its moment on a grid; whatever makes
one late makes no other one late, and frames that could not be taken in time are not taken. A
camera that nobody reads counts on without looking.
"""

from __future__ import annotations

import base64
import heapq
import json
import math
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import cv2
import numpy as np
import zmq
from numpy.typing import NDArray

from vibrissa.core.errors import UsageError
from vibrissa.twin.camera_faults import LATE_S, SLOW_EVERY, SPOILT, CameraFault, Faults

if TYPE_CHECKING:
    from vibrissa.twin.cameras import Look, Views

QUALITY = 80  # of the JPEGs, LeRobot's own
QUEUE = 2  # frames a slow reader may be behind before it loses some


def encoded(picture: NDArray[np.uint8]) -> str:
    """`picture` (H, W, 3) RGB as LeRobot's ZMQ camera wants it: see `cameras` on the colours."""
    fine, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert fine, "a picture that cannot be encoded"
    return base64.b64encode(jpeg.tobytes()).decode("ascii")


def publish(pipe: Connection, views: Views, look: Look, fps: float, where: tuple[str, int]) -> None:
    """Publish `views` at `fps`, and tell the ports through `pipe` once it begins.

    `pipe` takes CameraFaults to happen, and names of cameras to heal. Raises EOFError when it
    closes, UsageError where a port is taken.
    """
    names = [camera.name for camera in views.cameras]
    images = _Images(look, views.count)
    images.prepare(names)
    context = zmq.Context()
    sockets = _bind(context, names, where)
    pipe.send({name: _port(socket) for name, socket in sockets.items()})
    faults = Faults(np.random.default_rng(0))
    feeds = {name: _Feed(name, images, sockets[name]) for name in names}
    began_s, tick = time.monotonic(), 0
    try:
        while True:
            due_s = began_s + tick / fps
            _obey(pipe, faults, min(due_s, *(feed.next_s for feed in feeds.values())))
            now_s = time.monotonic()
            for feed in feeds.values():
                feed.deliver(now_s)
            if now_s < due_s:
                continue
            for feed in feeds.values():
                feed.take(faults.of(feed.name, now_s))
            tick = max(tick + 1, math.ceil((time.monotonic() - began_s) * fps))
    finally:
        context.destroy(linger=0)


class _Feed:
    """One camera: its count of frames, and those under way."""

    def __init__(self, name: str, images: _Images, socket: zmq.Socket):
        self.name = name
        self._images, self._socket = images, socket
        self._sequence = -1
        self._read = False  # whether anybody subscribes
        self._last = ""  # the picture a frozen camera goes on sending
        self._under_way: list[tuple[float, int, str]] = []  # when, sequence, message; a heap

    @property
    def next_s(self) -> float:
        """When the next frame under way arrives."""
        return self._under_way[0][0] if self._under_way else math.inf

    def take(self, kinds: frozenset[str]) -> None:
        """Take a frame now, with what befalls it, and send it or set it under way."""
        self._sequence += 1
        if "gone" in kinds or ("slow" in kinds and self._sequence % SLOW_EVERY):
            return
        if not self._is_read():
            return
        taken_s, wall_s = time.monotonic(), time.time()
        if "frozen" not in kinds or not self._last:
            self._last = self._images.get(self.name, self._sequence, kinds & set(SPOILT))
        message = _message(self.name, self._last, self._sequence, taken_s, wall_s)
        if "late" in kinds:
            heapq.heappush(self._under_way, (taken_s + LATE_S, self._sequence, message))
        else:
            self._send(message)

    def deliver(self, now_s: float) -> None:
        """Send what has arrived by now."""
        while self._under_way and self._under_way[0][0] <= now_s:
            self._send(heapq.heappop(self._under_way)[2])

    def _is_read(self) -> bool:
        while self._socket.poll(0):  # the first who subscribes tells 1, the last who leaves 0
            self._read = self._socket.recv()[:1] == b"\x01"
        return self._read

    def _send(self, message: str) -> None:
        try:
            self._socket.send_string(message, zmq.NOBLOCK)
        except zmq.Again:
            return  # a reader that is too slow loses a frame, as with any camera


class _Images:
    """The encoded pictures; those that come round again are encoded once."""

    def __init__(self, look: Look, count: int):
        self._look, self._count = look, count
        self._kept: dict[tuple[str, int, frozenset[str]], str] = {}

    def prepare(self, names: list[str]) -> None:
        """Make all there is of a limited number of pictures, and look once otherwise."""
        for name in names:
            for number in range(max(1, self._count)):
                self.get(name, number, frozenset())

    def get(self, name: str, sequence: int, kinds: frozenset[str]) -> str:
        if not self._count:
            return self._make(name, sequence, kinds)
        key = name, sequence % self._count, kinds
        if key not in self._kept:
            self._kept[key] = self._make(*key)
        return self._kept[key]

    def _make(self, name: str, number: int, kinds: frozenset[str]) -> str:
        picture = self._look(name, number)
        for kind, spoil in SPOILT.items():
            picture = spoil(picture) if kind in kinds else picture
        return encoded(picture)


def _message(name: str, image: str, sequence: int, taken_s: float, wall_s: float) -> str:
    """See `cameras` for the fields. The image needs no escaping, and is not searched for any."""
    head = {
        "timestamps": {name: wall_s},
        "sequence": {name: sequence},
        "monotonic_s": {name: taken_s},
    }
    return f'{json.dumps(head)[:-1]}, "images": {{{json.dumps(name)}: "{image}"}}}}'


def _obey(pipe: Connection, faults: Faults, until_s: float) -> None:
    """Wait until `until_s`, and take in what is told meanwhile."""
    while pipe.poll(max(0.0, until_s - time.monotonic())):
        told: CameraFault | str = pipe.recv()
        if isinstance(told, CameraFault):
            faults.add(told, time.monotonic())
        else:
            faults.heal(told)


def _bind(context: zmq.Context, names: list[str], where: tuple[str, int]) -> dict[str, zmq.Socket]:
    """A socket for each camera, at the ports from `where` on, or at free ones for port 0."""
    host, first = where
    sockets: dict[str, zmq.Socket] = {}
    for place, name in enumerate(names):
        socket = context.socket(zmq.XPUB)
        socket.setsockopt(zmq.SNDHWM, QUEUE)
        socket.setsockopt(zmq.LINGER, 0)
        port = first + place if first else 0
        try:
            socket.bind(f"tcp://{host}:{port}")
        except zmq.ZMQError as error:
            context.destroy(linger=0)
            raise UsageError(
                f"port {port} for camera {name!r} on {host}: {error}. Choose another --port."
            ) from error
        sockets[name] = socket
    return sockets


def _port(socket: zmq.Socket) -> int:
    return int(socket.getsockopt_string(zmq.LAST_ENDPOINT).rsplit(":", 1)[1])
