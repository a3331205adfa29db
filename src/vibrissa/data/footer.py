"""A parquet file that lost its end: the footer is made anew, for every row group that is whole.

A killed writer leaves pages without the table of contents that says where they are. Every page
begins with a header of its own, though, and the order of the columns is known from the features;
so the pages are walked through, and a footer is written that fits. The file itself is only read.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vibrissa.core.errors import DatasetError
from vibrissa.data import thrift
from vibrissa.data.thrift import Reader, Struct

MAGIC = b"PAR1"
DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = 0, 2, 3
# Field numbers in parquet.thrift. FileMetaData, RowGroup, ColumnChunk, ColumnMetaData, PageHeader:
NUM_ROWS, ROW_GROUPS = 3, 4
COLUMNS, TOTAL_BYTES, GROUP_ROWS, GROUP_OFFSET, GROUP_COMPRESSED, ORDINAL = 1, 2, 3, 5, 6, 7
FILE_OFFSET, META = 2, 3
ENCODINGS, NUM_VALUES, RAW_SIZE, SIZE, FIRST_DATA, FIRST_DICTIONARY = 2, 5, 6, 7, 9, 11
STATISTICS = (12, 13, 16)  # of a chunk; they belong to other rows
PAGE_KIND, PAGE_RAW, PAGE_SIZE, PAGE_DATA, PAGE_DATA_V2 = 1, 2, 3, 5, 8


@dataclass
class _Chunk:
    """A column's pages in one row group."""

    begin: int
    values: int
    size: int
    raw: int
    data: int
    dictionary: int | None


def rebuilt(path: Path, schema: pa.Schema) -> pa.Table:
    """The rows of every whole row group of `path`, whose columns are `schema`'s.

    Raises DatasetError where there is not one.
    """
    content = path.read_bytes()
    pattern = _pattern(schema)
    columns = len(pattern[ROW_GROUPS][1][1][0][COLUMNS][1][1])
    groups, at = [], len(MAGIC)
    while content.startswith(MAGIC):
        found = _group(content, at, columns)
        if found is None:
            break
        groups.append(found)
        at = found[-1].begin + found[-1].size
    if not groups:
        raise DatasetError(f"{path} holds no whole row group: it was cut off before the first one.")
    footer = thrift.write(_footer(pattern, groups, schema))
    whole = content[:at] + footer + len(footer).to_bytes(4, "little") + MAGIC
    try:
        return pq.read_table(io.BytesIO(whole))
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path} cannot be read without its footer: {error}.") from error


def _pattern(schema: pa.Schema) -> Struct:
    """The footer of a file with these columns and one row."""
    sink = io.BytesIO()
    row = [pa.array([_nothing(item.type)], type=item.type) for item in schema]
    with pq.ParquetWriter(sink, schema, compression="snappy", use_dictionary=True) as writer:
        writer.write_table(pa.Table.from_arrays(row, schema=schema))
    content = sink.getvalue()
    size = int.from_bytes(content[-8:-4], "little")
    return Reader(content[-8 - size : -8]).struct()


def _group(content: bytes, at: int, columns: int) -> list[_Chunk] | None:
    """The chunks of the row group that begins at `at`; None where it is not whole."""
    chunks = []
    for _ in range(columns):
        chunk = _chunk(content, at)
        if chunk is None:
            return None
        chunks.append(chunk)
        at += chunk.size
    return chunks


def _chunk(content: bytes, at: int) -> _Chunk | None:
    """A dictionary, if there is one, and the page behind it: an episode is never longer."""
    begin, dictionary, raw = at, None, 0
    while True:
        reader = Reader(content, at)
        try:
            page = reader.struct()
            kind, size = page[PAGE_KIND][1], page[PAGE_SIZE][1]
        except (IndexError, KeyError, ValueError):
            return None
        end = reader.at + size
        if end > len(content) or kind not in (DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2):
            return None
        raw += page[PAGE_RAW][1] + reader.at - at
        if kind == DICTIONARY_PAGE:
            dictionary, at = at, end
            continue
        told = page[PAGE_DATA if kind == DATA_PAGE else PAGE_DATA_V2][1]
        return _Chunk(begin, told[1][1], end - begin, raw, at, dictionary)


def _footer(pattern: Struct, groups: list[list[_Chunk]], schema: pa.Schema) -> Struct:
    """`pattern` with these row groups in place of its own."""
    inner, (model,) = pattern[ROW_GROUPS][1]
    widths = _widths(schema)
    made, rows = [], 0
    for ordinal, chunks in enumerate(groups):
        length = chunks[0].values // widths[0]
        columns = [
            _column(like, chunk) for like, chunk in zip(model[COLUMNS][1][1], chunks, strict=True)
        ]
        group = dict(model)
        group[COLUMNS] = (thrift.LIST, (model[COLUMNS][1][0], columns))
        group[TOTAL_BYTES] = (thrift.I64, sum(chunk.raw for chunk in chunks))
        group[GROUP_ROWS] = (thrift.I64, length)
        group[GROUP_OFFSET] = (thrift.I64, chunks[0].begin)
        group[GROUP_COMPRESSED] = (thrift.I64, sum(chunk.size for chunk in chunks))
        group[ORDINAL] = (thrift.I16, ordinal)
        made.append(group)
        rows += length
    return {
        **pattern,
        NUM_ROWS: (thrift.I64, rows),
        ROW_GROUPS: (thrift.LIST, (inner, made)),
    }


def _column(like: Struct, chunk: _Chunk) -> Struct:
    meta = {k: v for k, v in like[META][1].items() if k not in STATISTICS}
    meta[NUM_VALUES] = (thrift.I64, chunk.values)
    meta[RAW_SIZE], meta[SIZE] = (thrift.I64, chunk.raw), (thrift.I64, chunk.size)
    meta[FIRST_DATA] = (thrift.I64, chunk.data)
    meta.pop(FIRST_DICTIONARY, None)
    if chunk.dictionary is not None:
        meta[FIRST_DICTIONARY] = (thrift.I64, chunk.dictionary)
    column: Struct = {META: (thrift.STRUCT, meta)}
    column[FILE_OFFSET] = (thrift.I64, 0)
    return column


def _widths(schema: pa.Schema) -> list[int]:
    """Values a row of each leaf column."""
    return [_width(item.type) for item in schema]


def _width(kind: pa.DataType) -> int:
    return kind.list_size * _width(kind.value_type) if pa.types.is_fixed_size_list(kind) else 1


def _nothing(kind: pa.DataType) -> Any:
    """A value of this type."""
    if pa.types.is_fixed_size_list(kind):
        return [_nothing(kind.value_type)] * kind.list_size
    if pa.types.is_string(kind):
        return ""
    return False if pa.types.is_boolean(kind) else 0
