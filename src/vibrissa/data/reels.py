"""Films as they lie in a journal: whole up to some byte, from there on not to be believed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from vibrissa.core.contract import CameraSpec
from vibrissa.data import depth
from vibrissa.data.film import STATS_EVERY, shots_of, small


def to_mp4(film: Path, out: Path, fps: int, most: int, size: int | None = None) -> int:
    """The first `most` pictures of a film, coded as they are, in an mp4; how many there were.

    Only the first `size` bytes of `film` are read, where that is given.
    """
    frames = 0
    with _opened(film, size) as source, av.open(str(out.absolute()), "w") as container:
        given = source.streams.video[0]
        stream = container.add_stream_from_template(given)
        for packet in _packets(source, most):
            packet.stream = stream
            packet.time_base = Fraction(1, fps)
            packet.pts = packet.dts = frames
            packet.duration = 1
            container.mux(packet)
            frames += 1
    return frames


def frames_in(film: Path, size: int) -> int:
    """How many pictures the first `size` bytes of a film hold."""
    if not size:
        return 0
    try:
        with _opened(film, size) as source:
            return sum(1 for _ in _packets(source))
    except (av.error.FFmpegError, IndexError):
        return 0  # cut off before its first picture


def shots_in(film: Path, size: int, camera: CameraSpec, frames: int) -> NDArray:
    """The small pictures that statistics are made of, as `Film.finish` gives them."""
    samples = []
    with _opened(film, size) as source:
        for number, frame in zip(range(frames), source.decode(video=0), strict=False):
            if number % STATS_EVERY == 0:
                samples.append(small(_picture(frame, camera)))
    return shots_of(samples)


class _Prefix:
    """The first bytes of a file, as if it ended there."""

    def __init__(self, path: Path, size: int):
        self._file, self._size = path.open("rb"), size

    def read(self, size: int = -1) -> bytes:
        left = max(self._size - self._file.tell(), 0)
        return self._file.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            return self._file.seek(self._size + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


@contextmanager
def _opened(film: Path, size: int | None) -> Iterator[InputContainer]:
    if size is None:
        with av.open(str(film.absolute()), "r") as source:
            yield source
        return
    prefix = _Prefix(film, size)
    try:
        with av.open(prefix, "r") as source:
            yield source
    finally:
        prefix.close()


def _packets(source: InputContainer, most: int | None = None) -> Iterator[Packet]:
    """The coded pictures in their order, without the empty one that ends them."""
    stream = source.streams.video[0]
    return islice((packet for packet in source.demux(stream) if packet.size), most)


def _picture(frame: av.VideoFrame, camera: CameraSpec) -> NDArray:
    if camera.depth:
        codes = np.asarray(frame.to_ndarray(format=depth.PIXELS), np.uint16)
        return depth.metres(codes, {"info": {f"video.{k}": v for k, v in depth.OURS.items()}})
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
