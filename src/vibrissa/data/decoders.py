"""Which video decoders work here, as JSON: `python -m vibrissa.data.decoders`.

torchcodec is tried because LeRobot's own loader prefers it: it needs FFmpeg's shared libraries on
the system, and where they are missing or of another version it fails while it is being imported.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import json
from typing import Any

import av
import numpy as np

SIDE, PICTURES = 64, 3


def describe() -> dict[str, Any]:
    """The fields of `machine.facts.Video`. Raises av's errors where a film cannot be made."""
    film = _write()
    read = _read(film)
    if read != PICTURES:
        raise RuntimeError(f"a film of {PICTURES} pictures came back with {read}")
    version = _version("torchcodec")
    error = _torchcodec_error() if version else ""
    return {"pyav": av.__version__, "torchcodec": version, "torchcodec_error": error}


def _write() -> bytes:
    """A short H.264 film in memory."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=10)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for i in range(PICTURES):
            grey = np.full((SIDE, SIDE, 3), 60 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def _read(film: bytes) -> int:
    pictures = 0
    with av.open(io.BytesIO(film), "r") as container:
        pictures = sum(1 for _ in container.decode(video=0))
    return pictures


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _torchcodec_error() -> str:
    """Why torchcodec does not load; "" where it does. Its message is long: the gist is enough."""
    try:
        importlib.import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError) as error:
        text = str(error)
        return "no FFmpeg that it knows" if "FFmpeg" in text else text.strip().splitlines()[0]
    return ""


if __name__ == "__main__":
    print(json.dumps(describe()))
