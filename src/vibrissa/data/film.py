"""One camera's film of one episode, encoded behind the loop's back.

LeRobot drops a picture when its encoder is behind and keeps the row, so that every later
picture belongs to another row. Here a full queue waits for `patience_s` and then fails loudly,
and a film whose length differs from its rows is refused.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol

import av
import av.container
import av.error
import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import CameraSpec
from vibrissa.core.episode import Picture
from vibrissa.core.errors import DatasetError
from vibrissa.data import depth

# H.264 with a key frame every second picture: a fifth of the encoding time of LeRobot's default
# (AV1) on a CPU, and any picture is at most one step away from a key frame. No B-frames and no
# looking ahead, so that a picture leaves the encoder as soon as it has entered.
VCODEC, GOP, CRF, PRESET, TUNE = "h264", 2, 20, "veryfast", "zerolatency"
STOP_S = 60.0  # for an encoder to write what waits
QUEUED = 64  # pictures waiting a camera: two seconds at 30 Hz
STATS_EVERY, STATS_SIDE_PX = 5, 64  # what of the film its statistics are made of
# A cluster a picture: what has been written is whole up to the last picture but one.
MATROSKA = {"cluster_time_limit": "1", "flush_packets": "1"}


class Sink(Protocol):
    """A file that grows, for a film in a container that a kill does not destroy."""

    def write(self, content: bytes) -> int: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Stock:
    """What a film is shot on: its codec, and how a picture of `channels` becomes a frame."""

    vcodec: Literal["h264", "hevc"]
    pixels: str
    options: Mapping[str, str]
    kind: type
    channels: tuple[int, ...]
    frame: Callable[[NDArray], av.VideoFrame]


COLOUR = Stock(
    VCODEC,
    "yuv420p",
    {
        "crf": str(CRF),
        "preset": PRESET,
        "tune": TUNE,
        "g": str(GOP),
        "bf": "0",
        "threads": "1",
    },
    np.uint8,
    (3,),
    lambda picture: av.VideoFrame.from_ndarray(picture, format="rgb24"),
)
DEPTH = Stock(
    depth.VCODEC,
    depth.PIXELS,
    {
        "preset": depth.PRESET,
        "tune": TUNE,
        "g": str(depth.GOP),
        "x265-params": depth.X265,
        "threads": "1",
    },
    np.float32,
    (),
    lambda picture: av.VideoFrame.from_ndarray(depth.codes(picture), format=depth.PIXELS),
)


class Film:
    """A film in the making. `add` copies and returns; a thread encodes.

    Written as an mp4 to `path`, or, where `sink` opens a file that only grows, as Matroska
    into that. `patience_s` is how long `add` may wait for a place in the queue: long for a
    simulated arm, whose clock stands still meanwhile, zero for a real one.
    """

    def __init__(
        self,
        path: Path,
        camera: CameraSpec,
        fps: int,
        patience_s: float,
        sink: Callable[[], Sink] | None = None,
    ):
        self.path, self.camera = path, camera
        self._stock = DEPTH if camera.depth else COLOUR
        self._fps, self._patience_s, self._sink = fps, patience_s, sink
        self._queue: queue.Queue[NDArray | None] = queue.Queue(QUEUED)
        self._trouble: Exception | None = None
        self._last: NDArray | None = None
        self._ended = False  # the end mark has been met
        self._stopped = False
        self._samples: list[NDArray] = []
        self.frames = 0
        self._thread = threading.Thread(target=self._run, name=f"film {camera.name}", daemon=True)
        self._thread.start()

    def fits(self, picture: Any) -> bool:
        """Whether `picture` is one of this camera's: its size, its kind."""
        want, kind = self._wanted()
        return isinstance(picture, np.ndarray) and picture.shape == want and picture.dtype == kind

    def add(self, picture: Picture) -> None:
        """Take a copy of `picture`. Raises DatasetError: wrong size or kind, full, broken."""
        if not self.fits(picture):
            want, kind = self._wanted()
            raise DatasetError(
                f"camera {self.camera.name!r} gave {picture.shape} {picture.dtype}; its contract "
                f"says {want} {kind}{' (depth in m)' if self.camera.depth else ''}."
            )
        self._put(picture.copy())

    def repeat(self) -> None:
        """The last picture (or black) for one that could not be had. Raises like `add`."""
        want, kind = self._wanted()
        self._put(np.zeros(want, kind) if self._last is None else self._last)

    def finish(self) -> NDArray:
        """Close the file; the sampled pictures that its statistics are made of.

        (N, 3, h, w) uint8 of colours, (N, 1, h, w) float32 m of depth.
        """
        self.stop()
        self.check()
        samples, self._samples = self._samples, []
        return shots_of(samples)

    def stop(self, patience_s: float = STOP_S) -> None:
        """Close the file as it is; once is enough. An encoder that hangs is left to itself."""
        if self._thread.is_alive() and not self._stopped:
            until_s = time.monotonic() + patience_s
            with suppress(queue.Full):
                self._queue.put(None, timeout=patience_s)
            self._thread.join(max(0.0, until_s - time.monotonic()))
            if self._thread.is_alive():
                why = f"its encoder has not answered for {patience_s:g} s"
                self._trouble = TimeoutError(why)
        self._stopped = True
        self._sink = self._last = None  # pictures must not wait for a collector of cycles

    def cancel(self) -> None:
        """Stop and delete what was written."""
        self.stop()
        self.path.unlink(missing_ok=True)

    def check(self) -> None:
        """Raise DatasetError where the thread has met one."""
        if self._trouble is not None:
            why = getattr(self._trouble, "strerror", None) or self._trouble
            raise DatasetError(f"cannot write the video {self.path.name}: {why}.")

    def _put(self, picture: NDArray) -> None:
        self.check()
        try:
            self._queue.put(picture, timeout=self._patience_s)
        except queue.Full:
            raise DatasetError(
                f"the encoder of camera {self.camera.name!r} is {QUEUED} pictures behind. Record "
                "fewer or smaller cameras, or more slowly."
            ) from None
        self._last = picture
        self.frames += 1

    def _wanted(self) -> tuple[tuple[int, ...], np.dtype]:
        shape = (self.camera.height, self.camera.width, *self._stock.channels)
        return shape, np.dtype(self._stock.kind)

    def _run(self) -> None:
        """Encode until the end mark. After a fault it goes on emptying the queue, so that nobody
        waits for ever; the fault is raised by the next `add` or `finish`."""
        first = self._next()  # no file before there is a picture
        if first is None:
            return
        try:
            if self._sink is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with av.open(str(self.path.absolute()), "w") as container:
                    self._encode(container, first)
                return
            sink = self._sink()
            try:
                with av.open(sink, "w", format="matroska", options=MATROSKA) as container:
                    self._encode(container, first)
            finally:
                sink.close()
        except (OSError, av.error.FFmpegError) as error:
            self._trouble = error
            while not self._ended:
                self._next()

    def _next(self) -> NDArray | None:
        picture = self._queue.get()
        self._ended = picture is None
        return picture

    def _encode(self, container: av.container.OutputContainer, first: NDArray) -> None:
        stock = self._stock
        stream = container.add_stream(stock.vcodec, rate=self._fps, options=dict(stock.options))
        stream.width, stream.height = self.camera.width, self.camera.height
        stream.pix_fmt = stock.pixels
        number, picture = 0, first
        while picture is not None:
            if number % STATS_EVERY == 0:
                self._samples.append(small(picture))
            frame = stock.frame(picture)
            frame.pts, frame.time_base = number, Fraction(1, self._fps)
            container.mux(stream.encode(frame))
            number += 1
            picture = self._next()
        container.mux(stream.encode())


def check_size(camera: CameraSpec) -> None:
    """Raise DatasetError for a camera that a yuv420p video cannot hold."""
    if camera.width % 2 or camera.height % 2:
        raise DatasetError(
            f"camera {camera.name!r} is {camera.width} × {camera.height}; a stored video needs an "
            "even width and height."
        )


def small(picture: NDArray) -> NDArray:
    """Every n-th pixel of `picture`, so that neither side is much over STATS_SIDE_PX."""
    step = max(1, min(picture.shape[:2]) // STATS_SIDE_PX)
    return picture[::step, ::step].copy()


def shots_of(samples: list[NDArray]) -> NDArray:
    """Small pictures one behind the other: (N, channels, h, w)."""
    shots = np.stack(samples)
    return shots[:, None] if shots.ndim == 3 else shots.transpose(0, 3, 1, 2)
