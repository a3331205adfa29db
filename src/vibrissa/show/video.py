"""Pictures for people: mp4 files, PNG bytes and picture strips, all made in this process.

What a dataset stores is written by `data/`; here a film may be padded to please a player.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
import av.logging
import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import UsageError

Picture = NDArray[np.uint8]  # (H, W, 3) RGB


def write_mp4(path: Path, frames: Iterable[Picture], fps: float, *, crf: int = 23) -> Path:
    """Encode `frames` as H.264 (yuv420p, plays in every browser) and return `path`.

    Frames are taken one at a time, so an endless film needs no memory. An odd height or width
    is padded by repeating the last row or column. Written beside `path` and renamed at the end.

    Raises UsageError where there is no frame, where sizes differ, or where the disk refuses.
    """
    # LeRobot gives the encoder its own voice back, and it would talk about every film.
    av.logging.set_libav_level(av.logging.ERROR)
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part.mp4")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(part.absolute()), "w", options={"movflags": "faststart"}) as container:
            _encode(container, frames, fps, crf, path)
        os.replace(part, path)
    except (OSError, av.error.FFmpegError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot write the video {path}: {why}.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def _encode(
    container: av.container.OutputContainer,
    frames: Iterable[Picture],
    fps: float,
    crf: int,
    path: Path,
) -> None:
    """Feed every frame to one H.264 stream of `container` and flush it."""
    rate = Fraction(fps).limit_denominator(1001)
    stream, shape = None, None
    for number, frame in enumerate(frames):
        frame = _rgb(frame)
        if shape is not None and frame.shape != shape:
            raise UsageError(f"frame {number} of {path.name} is {frame.shape}, the first {shape}.")
        shape = frame.shape
        even = _even(frame)
        if stream is None:
            options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
            stream = container.add_stream("h264", rate=rate, options=options)
            stream.height, stream.width = even.shape[:2]
            stream.pix_fmt = "yuv420p"
        picture = av.VideoFrame.from_ndarray(even, format="rgb24")
        picture.pts, picture.time_base = number, 1 / rate
        container.mux(stream.encode(picture))
    if stream is None:
        raise UsageError(f"no frame to write to {path}.")
    container.mux(stream.encode())


def read_frames(path: Path, *, every: int = 1) -> Iterator[Picture]:
    """Frames 0, `every`, 2·`every`, … of a video file, as (H, W, 3) RGB.

    Raises UsageError where the file is no video.
    """
    try:
        with av.open(str(path.absolute())) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number % every == 0:
                    yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    except (OSError, av.error.FFmpegError, IndexError) as error:
        raise UsageError(f"{path} cannot be read as a video: {error}.") from error


def frame_rate(path: Path) -> float:
    """Frames a second of a video file. Raises UsageError where it is none, or says nothing."""
    rate = None
    try:
        with av.open(str(path.absolute())) as container:
            rate = container.streams.video[0].average_rate
    except (OSError, av.error.FFmpegError, IndexError) as error:
        raise UsageError(f"{path} cannot be read as a video: {error}.") from error
    if not rate:
        raise UsageError(f"{path} does not say how many pictures a second it has.")
    return float(rate)


def to_png_bytes(picture: Picture) -> bytes:
    """`picture` as the bytes of a PNG file, for a report that carries everything in itself."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(_rgb(picture)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def strip(frames: Sequence[Picture], *, gap_px: int = 2) -> Picture:
    """Pictures of one height side by side on white, `gap_px` apart: (H, W, 3)."""
    if not frames:
        raise UsageError("a picture strip needs at least one picture.")
    heights = {frame.shape[0] for frame in frames}
    if len(heights) > 1:
        raise UsageError(f"a picture strip needs one height, not {sorted(heights)}.")
    white = np.full((heights.pop(), gap_px, 3), 255, np.uint8)
    pieces = [piece for frame in frames for piece in (white, _rgb(frame))][1:]
    return np.concatenate(pieces, axis=1)


def to_height(picture: Picture, height: int) -> Picture:
    """`picture` at another height and the same proportions, to stand beside others."""
    from PIL import Image

    if picture.shape[0] == height:
        return picture
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    resized = Image.fromarray(_rgb(picture)).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.uint8)


def spread(count: int, length: int) -> list[int]:
    """At most `count` indices evenly over 0 … length-1, both ends included."""
    return sorted({round(i) for i in np.linspace(0, length - 1, min(count, length))})


def _rgb(frame: Picture) -> Picture:
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise UsageError(f"a picture must be (H, W, 3) uint8, not {frame.shape} {frame.dtype}.")
    return np.ascontiguousarray(frame)


def _even(frame: Picture) -> Picture:
    """`frame` with an even height and width, as yuv420p wants."""
    odd = [side % 2 for side in frame.shape[:2]]
    if not any(odd):
        return frame
    return np.pad(frame, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge")
