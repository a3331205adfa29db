"""When a film has pictures, and which of them the rows of an episode get.

Like LeRobot (`lerobot.datasets.video_utils`) a row gets the picture nearest to its wanted time, and
none where that is `TOLERANCE_S` or more away. LeRobot refuses an episode whose timestamps lie
neither on k/fps nor on the pictures; here row k is picture k of it, and said to be
(`Wanted.by_number`), where its part of the film has exactly one picture for each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path

import av
import av.container
import av.error
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vibrissa.core.errors import DatasetError
from vibrissa.data.layout import VideoSpan, refuse_pointer
from vibrissa.data.spans import TOLERANCE_S, Wanted, is_regular, meant, numbered

COARSEST_S = 1e-3  # the clock of a Matroska film; a coarser one is no excuse
ORDER_LOOKED_AT = 64  # pictures decoded where a film's order must be proved
OUT_OF_ORDER = (
    "its pictures come in another order than their times: B-frames were copied into it without "
    "times of their own. Encode the film again."
)


@dataclass(frozen=True)
class FilmTimes:
    """When a film has pictures: (n,) s, ascending; how near one must be; and their size."""

    times_s: NDArray[np.float64]
    tolerance_s: float
    width: int
    height: int

    def nearest(self, wanted_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The time of the picture nearest to each wanted time; NaN where there is none."""
        if not len(self.times_s):
            return np.full(len(wanted_s), np.nan)
        after = np.searchsorted(self.times_s, wanted_s).clip(1, max(1, len(self.times_s) - 1))
        low = self.times_s[after - 1]
        high = self.times_s[np.minimum(after, len(self.times_s) - 1)]
        found = np.where(np.abs(high - wanted_s) < np.abs(low - wanted_s), high, low)
        return np.where(np.isfinite(wanted_s), found, np.nan)

    def has(self, wanted_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether there is a picture at each wanted time."""
        return np.abs(self.nearest(wanted_s) - wanted_s) < self.tolerance_s


def wanted_times(
    stamps: NDArray[np.float64] | None, rows: int, span: VideoSpan, fps: float
) -> Wanted:
    """When each of the `rows` of an episode wants its picture, from their timestamps (n,) s.

    Only the film of an episode whose timestamps do not lie on k/fps is looked into. Raises
    DatasetError where that cannot be read.
    """
    if stamps is None:
        stamps = np.full(rows, np.nan)
    times_s = span.from_s + meant(stamps, fps)
    if is_regular(stamps, fps) or not np.isfinite(span.from_s):
        return Wanted(times_s)
    film = film_times(span.path)
    if film.has(times_s).all():
        return Wanted(times_s)
    half_s, numbered_s = 0.5 / fps, numbered(rows, span, fps)
    mine = (film.times_s >= span.from_s - half_s) & (film.times_s < span.to_s - half_s)
    if np.count_nonzero(mine) == rows and film.has(numbered_s).all():
        return Wanted(numbered_s, by_number=True)
    return Wanted(times_s)


def film_times(path: Path) -> FilmTimes:
    """When the film has pictures, found without decoding it. Raises DatasetError."""
    return _film_times(*_version(path))


def comes_in_order(path: Path) -> bool:
    """Whether the pictures of a film come out of the decoder in the order of their times.

    They do not where B-frames were copied into it without times of their own: every packet then
    has the time of its place in the file, and LeRobot shows some rows another picture.
    """
    return _comes_in_order(*_version(path))


def tolerance_s(stream: VideoStream) -> float:
    """How far a picture may be from where it is wanted: LeRobot's tolerance, plus the rounding of
    a film that counts in milliseconds."""
    tick_s = float(stream.time_base or Fraction(0))
    return TOLERANCE_S + (0.5 * tick_s if 2 * TOLERANCE_S < tick_s <= COARSEST_S else 0.0)


def _version(path: Path) -> tuple[Path, int, int]:
    """A file as it is now."""
    refuse_pointer(path)
    status = path.stat()
    return path, status.st_mtime_ns, status.st_size


@contextmanager
def opened(path: Path) -> Iterator[av.container.InputContainer]:
    """An open video file; what FFmpeg cannot read is a DatasetError."""
    refuse_pointer(path)
    try:
        with av.open(str(path.absolute())) as container:
            yield container
    except (OSError, av.error.FFmpegError, IndexError) as error:
        raise DatasetError(f"{path} is cut off or no video: {error}.") from error


def picture_time_s(frame: av.VideoFrame, stream: VideoStream) -> float | None:
    """When a decoded picture is shown; None where the film does not say."""
    if frame.pts is None or stream.time_base is None:
        return None
    return float(frame.pts * stream.time_base)


@lru_cache(maxsize=256)
def _film_times(path: Path, _changed_ns: int, _size: int) -> FilmTimes:
    with opened(path) as container:
        stream = container.streams.video[0]
        stamps = [
            packet.pts
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None and not packet.is_discard
        ]
        base, codec = stream.time_base or Fraction(0), stream.codec_context
        times_s = np.array([float(stamp * base) for stamp in sorted(stamps)])
        return FilmTimes(times_s, tolerance_s(stream), codec.width, codec.height)


@lru_cache(maxsize=256)
def _comes_in_order(path: Path, _changed_ns: int, _size: int) -> bool:
    with opened(path) as container:
        stream = container.streams.video[0]
        if not stream.codec_context.has_b_frames:
            return True
        seen = islice(container.decode(stream), ORDER_LOOKED_AT)
        times = [time for frame in seen if (time := picture_time_s(frame, stream)) is not None]
        return all(a <= b for a, b in pairwise(times))
    return True
