"""Thrift's compact protocol, as far as parquet footers and page headers need it.

A struct is read as {field number: (type, value)} and written back from that, so that whatever a
newer parquet writes goes through unread. Source: the Apache Thrift compact protocol specification.
"""

from __future__ import annotations

from typing import Any

STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)
Struct = dict[int, tuple[int, Any]]


class Reader:
    """Reads from `content`, starting at `at`. Raises IndexError or ValueError at nonsense."""

    def __init__(self, content: bytes, at: int = 0):
        self._content, self.at = content, at

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while (lead := self._byte()) != STOP:
            step, kind = lead >> 4, lead & 15
            number = number + step if step else self._zigzag()
            fields[number] = (kind, self._value(kind))
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind == BYTE:
            return self._byte()
        if kind in (I16, I32, I64):
            return self._zigzag()
        if kind == DOUBLE:
            return self._bytes(8)
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind in (LIST, SET):
            lead = self._byte()
            size, inner = lead >> 4, lead & 15
            size = self._varint() if size == 15 else size
            return inner, [self._item(inner) for _ in range(size)]
        if kind == STRUCT:
            return self.struct()
        raise ValueError(f"a thrift value of type {kind}")

    def _item(self, kind: int) -> Any:
        """In a list a truth value is a byte of its own."""
        return self._byte() == TRUE if kind in (TRUE, FALSE) else self._value(kind)

    def _byte(self) -> int:
        self.at += 1
        return self._content[self.at - 1]

    def _bytes(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self._content):
            raise IndexError("cut off")
        return self._content[self.at - size : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)


def write(fields: Struct) -> bytes:
    """The inverse of `Reader.struct`."""
    out, last = bytearray(), 0
    for number, (kind, value) in sorted(fields.items()):
        kind = (TRUE if value else FALSE) if kind in (TRUE, FALSE) else kind
        step = number - last
        if 0 < step < 16:
            out.append(step << 4 | kind)
        else:
            out.append(kind)
            out += _varint(_zigzag(number))
        if kind not in (TRUE, FALSE):
            out += _write(kind, value)
        last = number
    return bytes(out) + b"\0"


def _write(kind: int, value: Any) -> bytes:
    if kind in (I16, I32, I64):
        return _varint(_zigzag(value))
    if kind == BYTE:
        return bytes([value])
    if kind == DOUBLE:
        return value
    if kind == BINARY:
        return _varint(len(value)) + value
    if kind == STRUCT:
        return write(value)
    inner, items = value
    lead = bytes([len(items) << 4 | inner]) if len(items) < 15 else bytes([0xF0 | inner])
    more = _varint(len(items)) if len(items) >= 15 else b""
    return lead + more + b"".join(_write_item(inner, item) for item in items)


def _write_item(kind: int, item: Any) -> bytes:
    if kind in (TRUE, FALSE):
        return bytes([TRUE if item else FALSE])
    return _write(kind, item)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1
