"""Pictures out of a dataset's video and parquet files: RGB, or metres where they are depth."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vibrissa.core.episode import Picture
from vibrissa.core.errors import DatasetError
from vibrissa.data import depth
from vibrissa.data.layout import VideoSpan, refuse_pointer


def from_video(
    span: VideoSpan, fps: float, which: Sequence[int], feature: Mapping[str, Any]
) -> Iterator[Picture]:
    """The `which`-th pictures (ascending, repeats allowed) of an episode, as `feature` has them.

    Decoding starts at the key frame before the first one and goes on; where the next picture
    wanted is seconds away it seeks again. Raises DatasetError where a picture is not there.
    """
    refuse_pointer(span.path)
    half = 0.5 / fps
    with _video(span.path) as container:
        stream = container.streams.video[0]
        at, picture = -np.inf, np.zeros((0, 0), np.float32)
        frames = iter(())
        for number in which:
            wanted = span.from_s + number / fps
            if wanted > at + 2.0:
                container.seek(int(wanted * av.time_base))
                frames = container.decode(stream)
            while at < wanted - half:
                # One iterator as long as nobody seeks: the decoder may give many frames at once.
                frame = next(frames, None)
                if frame is None:
                    raise DatasetError(f"{span.path} ends before picture {number} of the episode.")
                at = float(frame.time or 0.0)
                if at >= wanted - half:
                    picture = _shown(frame, feature)
            yield picture


def from_cells(
    column: pa.ChunkedArray, rows: Sequence[int], feature: Mapping[str, Any]
) -> Iterator[Picture]:
    """Pictures stored as PNG, JPEG or (depth) TIFF bytes in the cells of a parquet column."""
    for row in rows:
        cell = column[row].as_py()
        try:
            with Image.open(io.BytesIO(cell["bytes"])) as image:
                if depth.is_depth(feature):
                    yield depth.cell_metres(np.asarray(image), feature)
                else:
                    yield np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, TypeError, KeyError) as error:
            raise DatasetError(f"row {row} holds no picture: {error}.") from error


def codec_of(span: VideoSpan) -> str:
    """The codec a video file really has, as FFmpeg names it."""
    refuse_pointer(span.path)
    codec = "unknown"
    with _video(span.path) as container:
        codec = container.streams.video[0].codec_context.name
    return codec


def _shown(frame: av.VideoFrame, feature: Mapping[str, Any]) -> Picture:
    """(H, W, 3) uint8 RGB, or (H, W) float32 m."""
    if depth.is_depth(feature):
        codes = np.asarray(frame.to_ndarray(format=depth.PIXELS), np.uint16)
        return depth.metres(codes, feature)
    rgb: NDArray[np.uint8] = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return rgb


@contextmanager
def _video(path: Path) -> Iterator[av.container.InputContainer]:
    """An open video file; what FFmpeg cannot read is a DatasetError."""
    try:
        with av.open(str(path)) as container:
            yield container
    except (OSError, av.error.FFmpegError, IndexError) as error:
        raise DatasetError(f"{path} is cut off or no video: {error}.") from error
