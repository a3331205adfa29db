"""Random changes to the pictures that lie in the rows of a dataset."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
from data.films import png
from PIL import Image

CELL = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def damaged(cells: list[dict[str, Any]], rng: np.random.Generator) -> tuple[pa.Array, str]:
    """The column with one cell, or with all of them, changed; and what was done."""
    whole = rng.random() < 0.2
    places = range(len(cells)) if whole else [int(rng.integers(len(cells)))]
    if rng.random() < 0.15:
        return _of_another_type(cells, rng)
    name = list(CHANGES)[rng.integers(len(CHANGES))]
    changed: list[Any] = list(cells)
    for place in places:
        changed[place] = CHANGES[name](cells[place]["bytes"], rng)
    return pa.array(changed, CELL), f"{name} in {'all rows' if whole else f'row {places[0]}'}"


def _of_another_type(cells: list[dict[str, Any]], rng: np.random.Generator) -> tuple[pa.Array, str]:
    raw = [cell["bytes"] for cell in cells]
    kinds: list[tuple[Any, pa.DataType]] = [
        (raw, pa.binary()),
        (raw, pa.large_binary()),
        ([{"bytes": content} for content in raw], pa.struct({"bytes": pa.binary()})),
        ([{"path": "a.png"} for _ in raw], pa.struct({"path": pa.string()})),
        (["a.png" for _ in raw], pa.string()),
        ([[1, 2] for _ in raw], pa.list_(pa.uint8())),
        ([3 for _ in raw], pa.int64()),
    ]
    values, kind = kinds[rng.integers(len(kinds))]
    return pa.array(values, kind), f"all rows {kind}"


def _cell(content: bytes | None, path: str | None = None) -> dict[str, Any]:
    return {"bytes": content, "path": path}


def _cut(content: bytes, rng: np.random.Generator) -> dict[str, Any]:
    return _cell(content[: rng.integers(len(content))])


def _other_byte(content: bytes, rng: np.random.Generator) -> dict[str, Any]:
    at = int(rng.integers(len(content)))
    return _cell(content[:at] + bytes([int(rng.integers(256))]) + content[at + 1 :])


def _huge(content: bytes, _: np.random.Generator) -> dict[str, Any]:
    """A PNG whose header says 60,000 x 60,000."""
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + content[24:29]
    return _cell(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])


def _again(content: bytes, kind: str, mode: str, **options: Any) -> dict[str, Any]:
    """The same picture as another kind of file."""
    made = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.convert(mode).save(made, kind, **options)
    return _cell(made.getvalue())


def _turned(content: bytes, _: np.random.Generator) -> dict[str, Any]:
    """A JPEG that says that it lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return _again(content, "JPEG", "RGB", quality=95, exif=exif)


CHANGES = {
    "no cell": lambda c, r: None,
    "no bytes": lambda c, r: _cell(None),
    "a path for bytes": lambda c, r: _cell(None, "a/b.png"),
    "empty bytes": lambda c, r: _cell(b""),
    "other bytes": lambda c, r: _cell(r.bytes(40)),
    "cut": _cut,
    "another byte": _other_byte,
    "huge": _huge,
    "JPEG": lambda c, r: _again(c, "JPEG", "RGB", quality=95),
    "cut JPEG": lambda c, r: _cut(_again(c, "JPEG", "RGB")["bytes"], r),
    "another byte of a JPEG": lambda c, r: _other_byte(_again(c, "JPEG", "RGB")["bytes"], r),
    "another byte of a TIFF": lambda c, r: _other_byte(_again(c, "TIFF", "RGB")["bytes"], r),
    "another byte of a GIF": lambda c, r: _other_byte(_again(c, "GIF", "RGB")["bytes"], r),
    "turned JPEG": _turned,
    "grey": lambda c, r: _again(c, "PNG", "L"),
    "palette": lambda c, r: _again(c, "PNG", "P"),
    "with alpha": lambda c, r: _again(c, "PNG", "RGBA"),
    "32-bit grey": lambda c, r: _again(c, "TIFF", "I"),
    "16-bit grey": lambda c, r: _cell(png(np.full((64, 64), 900, np.uint16))),
    "another size": lambda c, r: _cell(png(r.integers(0, 255, (32, 48, 3), np.uint8))),
    "one pixel": lambda c, r: _cell(png(np.zeros((1, 1, 3), np.uint8))),
}
