"""Changes to the files of a stored dataset: one key of a JSON file, one column of a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def change_json(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit a JSON file in place."""
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def change_table(path: Path, edit: Callable[[pa.Table], pa.Table]) -> None:
    """Edit a parquet file in place."""
    pq.write_table(edit(pq.read_table(path)), path)


def data_files(root: Path) -> list[Path]:
    return sorted(root.glob("data/*/*.parquet"))


def change_column(root: Path, name: str, edit: Callable[[list], Any], kind: Any = None) -> None:
    """Replace a column of every data file by what `edit` makes of its values."""
    for path in data_files(root):
        change_table(path, lambda table: with_column(table, name, edit, kind))


def change_episodes(root: Path, edit: Callable[[list[dict[str, Any]]], list]) -> None:
    """Replace the episodes' table, as one file, by what `edit` makes of its rows."""
    files = sorted(root.glob("meta/episodes/*/*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    for file in files[1:]:
        file.unlink()
    pq.write_table(pa.Table.from_pylist(edit(rows)), files[0])


def with_column(
    table: pa.Table, name: str, edit: Callable[[list], Any], kind: Any = None
) -> pa.Table:
    field = table.schema.field(name)
    values = pa.array(edit(table[name].to_pylist()), kind or field.type)
    return table.set_column(table.schema.get_field_index(name), name, values)
