"""One message of a ZMQ camera: bytes in, a picture or one line out, whatever the bytes are."""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault

MOST_BYTES = 64 << 20  # of a message: ten times a 4K picture at full quality
MOST_PIXELS = 4096 * 4096  # of a picture whose size nobody has said yet
MOST_SEQUENCE = 2**63 - 1  # what a row of a dataset can hold
SHOWN = 40  # characters of foreign text in one of our lines
PNG = b"\x89PNG\r\n\x1a\n"
_NO_SIZE = {0x01, 0xD8, *range(0xD0, 0xD8)}  # JPEG markers that no length follows
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # those that say how large the picture is


class BadFrame(ArmFault):
    """One picture that cannot be used; the next one may be whole."""


@dataclass(frozen=True)
class CameraMessage:
    """picture: (H, W, 3) uint8 RGB. told_s, sequence: the publisher's clock and count, if any."""

    picture: NDArray[np.uint8]
    told_s: float | None
    sequence: int | None


def parsed(message: bytes, camera: str, size: tuple[int, int] | None) -> CameraMessage:
    """The picture of `camera`, which must be of `size` (width, height), in a message's bytes.

    Without a `size` it may be of any up to `MOST_PIXELS`.

    A message is JSON with base64 JPEGs (or PNGs) under "images", by whole camera name; it may
    have "monotonic_s" and "sequence" likewise. Raises BadFrame, and nothing else, for anything
    else. Nothing larger than that is decoded, whatever its bytes announce.
    """
    content = _content(message)
    images = content.get("images")
    if not isinstance(images, dict):
        raise BadFrame(f'a message must have "images" by camera, not {shown(images)}.')
    if camera not in images:
        named = ", ".join(plain(name) for name in list(images)[:5])
        raise BadFrame(f"no {camera!r} is sent there; but {named or 'nothing'}.")
    told_s = _finite(_of(content, "monotonic_s", camera))
    sequence = _whole(_of(content, "sequence", camera))
    return CameraMessage(_picture(_bytes(images[camera]), size), told_s, sequence)


def require_size(width: int, height: int, size: tuple[int, int] | None) -> None:
    """Raises BadFrame where a picture is not as large as the rig says, or is without bounds."""
    if size is None:
        if not 0 < width * height <= MOST_PIXELS:
            raise BadFrame(f"it gives {width} × {height}; at most {MOST_PIXELS} pixels are read.")
    elif (width, height) != size:
        raise BadFrame(
            f"it gives {width} × {height}; the rig says {size[0]} × {size[1]}. "
            "Nothing is resized: change the one or the other."
        )


def shown(value: Any) -> str:
    """A foreign value in a line of ours: on one line, and short."""
    text = "nothing" if value is None else json.dumps(value, default=str)[: SHOWN + 1]
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def plain(text: str) -> str:
    """Foreign text on one line, short, and without anything a terminal would obey."""
    kept = "".join(c if c.isprintable() else "?" for c in text[: SHOWN + 1])
    return kept if len(kept) <= SHOWN else kept[:SHOWN] + "…"


def _content(message: bytes) -> dict[str, Any]:
    if len(message) > MOST_BYTES:
        raise BadFrame(f"a message of {len(message) >> 20} MiB; {MOST_BYTES >> 20} are allowed.")
    try:
        content = json.loads(message)
    except RecursionError as error:
        raise BadFrame("a message is nested too deeply to be one of a camera.") from error
    except ValueError as error:  # no JSON, no Unicode, a number of too many digits
        raise BadFrame(f"a message is not valid JSON: {plain(str(error))}.") from error
    if not isinstance(content, dict):
        raise BadFrame(f'a message must be an object with "images", not {shown(content)}.')
    return content


def _of(content: dict[str, Any], name: str, camera: str) -> Any:
    """What `name` holds for this camera; None where there is nothing, or null."""
    by_camera = content.get(name)
    if by_camera is None:
        return None
    if not isinstance(by_camera, dict):
        raise BadFrame(f'"{name}" must give a number by camera, not {shown(by_camera)}.')
    return by_camera.get(camera)


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            if math.isfinite(number := float(value)):
                return number
        except OverflowError:  # a whole number larger than any float
            pass
    raise BadFrame(f'"monotonic_s" is {shown(value)}: wanted is a number of seconds.')


def _whole(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_SEQUENCE:
        return value
    raise BadFrame(f'"sequence" is {shown(value)}: wanted is a whole number from 0 on.')


def _bytes(image: Any) -> bytes:
    if not isinstance(image, str):
        raise BadFrame(f"a picture must be base64 text, not {shown(image)}.")
    try:
        return base64.b64decode(image, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadFrame(f"a picture is not valid base64: {plain(str(error))}.") from error


def _picture(data: bytes, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """The decoded picture. LeRobot's publishers put red where JPEG has blue: it is RGB as it is."""
    announced = announced_size(data)
    if announced is None:
        raise BadFrame(f"a picture of {len(data)} bytes is neither a JPEG nor a PNG.")
    require_size(*announced, size)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise BadFrame(f"a picture cannot be decoded: {plain(error.err or str(error))}.") from error
    if picture is None:
        raise BadFrame("a picture is cut short, or its bytes are damaged.")
    require_size(picture.shape[1], picture.shape[0], size)  # one may say that it is to be turned
    return np.asarray(picture, np.uint8)


def announced_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) that the head of a JPEG or PNG announces, None where it is neither.

    JPEG: the first start-of-frame segment (ITU-T T.81, B.2.2). PNG: IHDR, the first chunk.
    """
    if data.startswith(PNG) and data[12:16] == b"IHDR" and len(data) >= 24:
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        filling, alone = marker == 0xFF, marker in _NO_SIZE
        at += 1 if filling else 2 if alone else 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
