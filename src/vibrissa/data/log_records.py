"""The records of a take's log: each has a kind, a length and a checksum, so that a cut shows."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

HEAD, ROW, MARK, END = 1, 2, 3, 4
_LEAD, _SUM = struct.Struct("<BI"), struct.Struct("<I")


def record(kind: int, payload: bytes) -> bytes:
    """Kind, length, payload, and the checksum of all three."""
    body = _LEAD.pack(kind, len(payload)) + payload
    return body + _SUM.pack(zlib.crc32(body))


def records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The records of a log, up to the first one that is not whole."""
    at = 0
    while at + _LEAD.size + _SUM.size <= len(content):
        kind, length = _LEAD.unpack_from(content, at)
        end = at + _LEAD.size + length
        if end + _SUM.size > len(content):
            return
        if zlib.crc32(content[at:end]) != _SUM.unpack_from(content, end)[0]:
            return
        yield kind, content[at + _LEAD.size : end]
        at = end + _SUM.size
