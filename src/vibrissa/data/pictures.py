"""Pictures out of a dataset's video and parquet files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import av.container
import av.error
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vibrissa.core.errors import DatasetError
from vibrissa.data.layout import VideoSpan, refuse_pointer


def from_video(span: VideoSpan, fps: float, which: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """The `which`-th pictures (ascending) of an episode, each (H, W, 3) RGB.

    Decoding starts at the key frame before the first one and goes on; where the next picture
    wanted is seconds away it seeks again. Raises DatasetError where a picture is not there.
    """
    refuse_pointer(span.path)
    half = 0.5 / fps
    with _video(span.path) as container:
        stream = container.streams.video[0]
        at = -np.inf
        for number in which:
            wanted = span.from_s + number / fps
            if not at <= wanted <= at + 2.0:
                container.seek(int(wanted * av.time_base))
            for frame in container.decode(stream):
                at = float(frame.time or 0.0)
                if at >= wanted - half:
                    break
            else:
                raise DatasetError(f"{span.path} ends before picture {number} of the episode.")
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def from_cells(column: pa.ChunkedArray, rows: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """Pictures stored as PNG or JPEG bytes in the cells of a parquet column."""
    for row in rows:
        cell = column[row].as_py()
        try:
            with Image.open(io.BytesIO(cell["bytes"])) as image:
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


@contextmanager
def _video(path: Path) -> Iterator[av.container.InputContainer]:
    """An open video file; what FFmpeg cannot read is a DatasetError."""
    try:
        with av.open(str(path)) as container:
            yield container
    except (OSError, av.error.FFmpegError, IndexError) as error:
        raise DatasetError(f"{path} is cut off or no video: {error}.") from error
