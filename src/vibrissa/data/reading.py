"""The border: every JSON and parquet file of a dataset comes in here.

A file that is missing, a folder, not ours to read, cut off, a Git LFS pointer, or of another kind
is a DatasetError of one line; nothing else comes out of these functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vibrissa.core.errors import DatasetError

LFS_MARK = b"version https://git-lfs.github.com/spec/"
AGAIN = "Copy or record it again."


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, in UTF-8 or UTF-16, with or without a byte-order mark."""
    content = _parsed(path, _text(path, "JSON"), "JSON")
    if not isinstance(content, dict):
        raise DatasetError(f"{path} holds no JSON object, {{…}}. {AGAIN}")
    return content


def read_jsonl(path: Path, most: int | None = None) -> list[dict[str, Any]]:
    """One JSON object a line; the first `most` of them where that is given."""
    lines = [line for line in _text(path, "JSON lines").split("\n") if line.strip()][:most]
    rows = [_parsed(path, line, "JSON lines") for line in lines]
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DatasetError(f"{path}: line {number} is no JSON object, {{…}}. {AGAIN}")
    return rows


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A parquet file; of `columns` those that it has, each of them once."""
    with _parquet(path) as file:
        return file.read(columns=columns, use_threads=False)  # starting them costs more


def read_schema(path: Path) -> pa.Schema:
    """The columns of a parquet file."""
    with _parquet(path) as file:
        return file.schema_arrow


def read_length(path: Path) -> int:
    """How many rows a parquet file has."""
    with _parquet(path) as file:
        return file.metadata.num_rows


@dataclass(frozen=True)
class Part:
    """A file of rows before its rows are read, all but a few columns of them.

    nulls: how many values of each column are empty, where the file says so; of lists, by the path
    of their values. kept: the columns that were asked for, as far as there are such.
    """

    schema: pa.Schema
    nulls: Mapping[str, int]
    kept: pa.Table


def read_part(path: Path, columns: Sequence[str]) -> Part:
    """What a parquet file says of itself, and its small `columns`, in one go."""
    with _parquet(path) as file:
        kept = file.read(columns=list(columns), use_threads=False)
        return Part(file.schema_arrow, _nulls(file.metadata), kept)


def _nulls(told: pq.FileMetaData) -> dict[str, int]:
    counts: dict[str, int] = {}
    for place in range(told.num_columns):
        groups = [told.row_group(group).column(place) for group in range(told.num_row_groups)]
        found = [group.statistics for group in groups if group.is_stats_set]
        known = [one.null_count for one in found if one.has_null_count]
        if groups and len(known) == len(groups):
            counts[groups[0].path_in_schema] = sum(known)
    return counts


def refuse_pointer(path: Path) -> None:
    """Raise DatasetError unless `path` is a file that can be read, with content of its own."""
    if path.is_dir():
        raise DatasetError(f"{path} is a folder; it must be a file. {AGAIN}")
    if not path.is_file():
        raise DatasetError(f"{path} is missing: the dataset was copied or downloaded in part.")
    try:
        with path.open("rb") as file:
            start = file.read(len(LFS_MARK))
    except OSError as error:
        raise unreadable(path, error) from error
    if start == LFS_MARK:
        raise DatasetError(
            f"{path} is a Git LFS pointer, not the file itself. Run `git lfs install` and "
            "`git lfs pull` in that clone."
        )


def parquet_files(folder: Path) -> tuple[Path, ...]:
    """The parquet files one folder further down, as LeRobot finds and orders them.

    Files whose name begins with a dot are what Macs and editors leave beside the real ones.
    """
    return tuple(p for p in sorted(folder.glob("*/*.parquet")) if not p.name.startswith("."))


def unreadable(path: Path, error: OSError) -> DatasetError:
    """What the system says where it does not let a file be read."""
    return DatasetError(f"{path} cannot be read: {error.strerror or error}. Look at its rights.")


def first_line(error: BaseException) -> str:
    """What an error says, on one line, without its last dot."""
    told = str(error).strip()
    return told.splitlines()[0].rstrip(".") if told else "empty"


def _text(path: Path, kind: str) -> str:
    refuse_pointer(path)
    try:
        content = path.read_bytes()
        return content.decode(json.detect_encoding(content))
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeError as error:
        raise _not_a(kind, path, error) from error


def _not_a(kind: str, path: Path, error: ValueError) -> DatasetError:
    return DatasetError(f"{path} is cut off or no {kind}: {first_line(error)}. {AGAIN}")


def _parsed(path: Path, content: str, kind: str) -> Any:
    try:
        parsed = json.loads(content)
        if "\\u" in content:
            json.dumps(parsed, ensure_ascii=False).encode()  # half a character cannot be shown
    except RecursionError as error:
        raise DatasetError(f"{path} is nested too deep for a dataset's {kind}. {AGAIN}") from error
    except ValueError as error:
        raise _not_a(kind, path, error) from error
    return parsed


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    refuse_pointer(path)
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
            if twice:
                raise DatasetError(f"{path} has two columns {twice[0]!r}; one is allowed. {AGAIN}")
            yield file
    except (OSError, pa.ArrowException, UnicodeError, OverflowError) as error:
        raise DatasetError(
            f"{path} is cut off or no parquet file ({first_line(error)}). {AGAIN}"
        ) from error
