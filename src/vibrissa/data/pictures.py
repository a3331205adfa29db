"""Pictures out of a dataset's video and parquet files: RGB, or metres where they are depth."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import av.error
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from vibrissa.core.episode import Picture
from vibrissa.core.errors import DatasetError
from vibrissa.data import depth, values
from vibrissa.data.features import camera_specs
from vibrissa.data.frame_times import (
    OUT_OF_ORDER,
    comes_in_order,
    opened,
    picture_time_s,
    tolerance_s,
)
from vibrissa.data.layout import VideoSpan
from vibrissa.data.reading import first_line

JUMP_S = 2.0  # a picture this far ahead is sought, not walked to
ORIENTATION = ExifTags.Base.Orientation
UNREADABLE = (  # what PIL raises for bytes that are no picture
    OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, ArithmeticError,
    AttributeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


def from_video(
    path: Path,
    wanted_s: Sequence[float],
    feature: Mapping[str, Any],
    missing: Callable[[int, float], DatasetError],
) -> Iterator[Picture]:
    """The pictures of a film at the wanted times, as `feature` has them.

    Each is the nearest one in time, as LeRobot's own reader picks it. Times may come in any
    order; ascending ones are decoded in one go. Raises what `missing` makes of the place in
    `wanted_s` and of the nearest time (NaN for none) where no picture is near enough;
    DatasetError for a film whose pictures come in another order than their times.
    """
    if not comes_in_order(path):
        raise DatasetError(f"{path}: {OUT_OF_ORDER}")
    with ExitStack() as stack:
        walk = _Walk(path, stack)
        shown, picture = None, np.zeros((0, 0), np.float32)
        for place, at_s in enumerate(wanted_s):
            found = walk.nearest(at_s)
            if found is None or not abs(found.time_s - at_s) < walk.tolerance_s:
                raise missing(place, np.nan if found is None else found.time_s)
            if found is not shown:
                shown, picture = found, _shown(found.frame, feature)
            yield picture


def from_cells(
    column: pa.ChunkedArray, rows: Sequence[int], feature: Mapping[str, Any]
) -> Iterator[Picture]:
    """Pictures stored as PNG, JPEG or (depth) TIFF bytes in the cells of a parquet column.

    Turned as their EXIF data say, like LeRobot's. Raises DatasetError, without the file's name,
    for a cell that holds no such picture, or one of another size than info.json says.
    """
    for row in rows:
        try:
            picture = _from_cell(column[row].as_py(), feature)
        except UnidentifiedImageError as error:  # PIL's line shows an address in memory
            why = "its bytes are of no kind of picture that is known"
            raise DatasetError(f"row {row} holds no picture: {why}") from error
        except UNREADABLE as error:
            raise DatasetError(f"row {row} holds no picture: {first_line(error)}") from error
        (size,) = camera_specs({"": feature})
        if picture.shape[:2] != (size.height, size.width):
            raise DatasetError(
                f"row {row} holds a picture of {picture.shape[1]} x {picture.shape[0]}, and "
                f"info.json says {size.width} x {size.height} (width x height)"
            )
        yield picture


def _from_cell(cell: Any, feature: Mapping[str, Any]) -> Picture:
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(content, bytes) or not content:
        raise ValueError(f"{values.shown(content)} instead of the bytes of a PNG or JPEG file")
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        if image.getexif().get(ORIENTATION) is not None:
            image = ImageOps.exif_transpose(image)
        if depth.is_depth(feature):
            if len(image.getbands()) > 1:
                raise ValueError(f"its pixels are {image.mode}, and depth has one number a pixel")
            return depth.cell_metres(np.asarray(image), feature)
        if image.mode.startswith(("I", "F")):
            raise ValueError(
                f"its pixels are {image.mode}, not 8-bit colours. Is it depth? Then info.json "
                "must mark the feature as such (is_depth_map)"
            )
        return np.asarray(image.convert("RGB"))


def codec_of(span: VideoSpan) -> str:
    """The codec a video file really has, as FFmpeg names it."""
    codec = "unknown"
    with opened(span.path) as container:
        codec = container.streams.video[0].codec_context.name
    return codec


def _shown(frame: av.VideoFrame, feature: Mapping[str, Any]) -> Picture:
    """(H, W, 3) uint8 RGB, or (H, W) float32 m."""
    if depth.is_depth(feature):
        codes = np.asarray(frame.to_ndarray(format=depth.PIXELS), np.uint16)
        return depth.metres(codes, feature)
    rgb: NDArray[np.uint8] = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return rgb


class _At(NamedTuple):
    """A decoded frame and its time."""

    frame: av.VideoFrame
    time_s: float


class _Walk:
    """A way through a film, forwards, with a jump where the next picture is seconds away."""

    def __init__(self, path: Path, stack: ExitStack):
        self._path, self._stack = path, stack
        self._from_start()
        self.tolerance_s = tolerance_s(self._stream)

    def nearest(self, wanted_s: float) -> _At | None:
        """The frame nearest to `wanted_s`; None where the film has none."""
        if not np.isfinite(wanted_s):
            return None
        if self._is_far(wanted_s):
            self._jump(wanted_s)
        while self._after is not None and self._after.time_s < wanted_s:
            self._step()
        near = [at for at in (self._before, self._after) if at is not None]
        return min(near, key=lambda at: abs(at.time_s - wanted_s), default=None)

    def _is_far(self, wanted_s: float) -> bool:
        first = self._before or self._after
        last = self._after or self._before
        if first is None or last is None:
            return False
        return wanted_s < first.time_s or wanted_s > last.time_s + JUMP_S

    def _jump(self, wanted_s: float) -> None:
        """To the key frame before; to the film's start where its index leads too far."""
        base = self._stream.time_base or Fraction(1)
        try:
            self._film.seek(round(wanted_s / base) - 1, stream=self._stream)
        except av.error.FFmpegError:  # a film without an index
            self._from_start()
            return
        self._frames = self._film.decode(self._stream)
        self._before, self._after = None, self._next()
        if self._after is None or self._after.time_s > wanted_s:
            self._from_start()

    def _from_start(self) -> None:
        self._stack.close()
        self._film = self._stack.enter_context(opened(self._path))
        self._stream = self._film.streams.video[0]
        self._frames = self._film.decode(self._stream)
        self._before, self._after = None, self._next()

    def _step(self) -> None:
        self._before, self._after = self._after, self._next()
        if self._before and self._after and self._after.time_s < self._before.time_s:
            raise DatasetError(f"{self._path}: {OUT_OF_ORDER}")

    def _next(self) -> _At | None:
        """The next frame that has a time: LeRobot passes over the others too."""
        for frame in self._frames:
            time_s = picture_time_s(frame, self._stream)
            if time_s is not None:
                return _At(frame, time_s)
        return None
