"""One random change to one file of a stored dataset, and what our reader makes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data import damaged_cells, films, recordings, tables

from vibrissa.core.errors import VibrissaError
from vibrissa.data.cache import Pictures
from vibrissa.data.checks import camera_keys, findings_of
from vibrissa.data.dataset import Dataset, open_dataset
from vibrissa.data.describe import describe
from vibrissa.data.findings import require_trainable
from vibrissa.data.loader import Loader, Sampling

OTHER: tuple[Any, ...] = (
    None, "text", "3", "", 0, -1, 7, 2.5, 1e300, 10**30, float("nan"), True, [], [1], ["a"], {},
    {"a": {"b": 1}}, [[1, 2], [3]], [None],
)  # fmt: skip
KINDS = (
    pa.string(), pa.float64(), pa.float16(), pa.int8(), pa.int32(), pa.uint64(), pa.bool_(),
    pa.decimal128(20, 4), pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.float32()),
    pa.large_list(pa.float64()), pa.list_(pa.string()), pa.list_(pa.list_(pa.float32())),
)  # fmt: skip
KINDS_OF_SETS = ("ours", "filmed", "pictures", "v2.1", "v2.0")


def healthy(folder: Path) -> dict[str, Path]:
    """A small dataset of each kind: ours, strangers' with a film or PNG, of older formats."""
    ours = recordings.record(folder / "ours", recordings.contract(), 3, ticks=5)
    older = recordings.to_v21(ours, folder / "v2.1")
    oldest = Path(shutil.copytree(older, folder / "v2.0"))
    tables.change_json(oldest / "meta" / "info.json", lambda i: i.update(codebase_version="v2.0"))
    filmed = films.write(folder / "filmed", films.made((5, 6, 4)))
    cells = films.write(folder / "pictures", films.in_cells(films.made((5, 6, 4))))
    return dict(zip(KINDS_OF_SETS, (ours, filmed, cells, older, oldest), strict=True))


def damage(root: Path, rng: np.random.Generator) -> str:
    """Change one file of the dataset in `root`; what was done, in a few words."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    path = files[rng.integers(len(files))]
    name = path.relative_to(root).as_posix()
    by_kind: dict[str, Callable[[Path, np.random.Generator], str]] = {
        ".json": _json, ".jsonl": _lines, ".parquet": _table,
    }  # fmt: skip
    change = by_kind.get(path.suffix, _file)
    if rng.random() < 0.15:
        change = _file
    return f"{name}: {change(path, rng)}"


def _file(path: Path, rng: np.random.Generator) -> str:
    content, what = path.read_bytes(), rng.integers(7)
    if what == 0:
        path.unlink()
        return "removed"
    if what == 1:
        size = int(rng.integers(len(content) + 1))
        path.write_bytes(content[:size])
        return f"cut at {size} of {len(content)}"
    if what == 2:
        path.unlink()
        path.mkdir()
        return "a folder"
    if what == 3:
        (path.parent / f"._{path.name}").write_bytes(b"\0\5\26\7Mac OS X")
        return "a Mac's file beside it"
    if what == 4:
        at = int(rng.integers(max(len(content), 1)))
        path.write_bytes(content[:at] + bytes([int(rng.integers(256))]) + content[at + 1 :])
        return f"another byte at {at}"
    if what == 5:
        path.write_bytes(b"\xef\xbb\xbf" + content)
        return "a byte-order mark"
    shutil.copy(path, path.with_name(f"file-900{path.suffix}"))
    return "once more under another name"


def _json(path: Path, rng: np.random.Generator) -> str:
    content = json.loads(path.read_text(encoding="utf-8"))
    told = _change(content, rng)
    path.write_text(json.dumps(content), encoding="utf-8")
    return told


def _lines(path: Path, rng: np.random.Generator) -> str:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    told = _change(rows, rng)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return told


def _change(content: Any, rng: np.random.Generator) -> str:
    """Drop, retype or shift something at a random depth."""
    trail: list[str] = []
    holder = content
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            return "nothing"
        key = keys[rng.integers(len(keys))]
        trail.append(str(key))
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.3:
            break
        holder = inner
    where, what = ".".join(trail), rng.integers(3)
    if what == 0:
        del holder[key]
        return f"{where} dropped"
    if what == 1 and isinstance(inner, int | float):
        holder[key] = inner + int(rng.choice([-1, 1]))
        return f"{where} shifted to {holder[key]}"
    holder[key] = OTHER[rng.integers(len(OTHER))]
    return f"{where} is {str(holder[key])[:30]!r}"


def _table(path: Path, rng: np.random.Generator) -> str:
    table = pq.read_table(path)
    pictures = [name for name in table.column_names if name.startswith("observation.images.")]
    name = table.column_names[rng.integers(table.num_columns)]
    if pictures and rng.random() < 0.7:  # a picture can be damaged in the most ways
        name = pictures[0]
    at, what = table.column_names.index(name), rng.integers(7)
    values = table[name].to_pylist()
    if what == 0:
        pq.write_table(table.drop_columns([name]), path)
        return f"column {name} dropped"
    if what == 1:
        pq.write_table(table.slice(0, int(rng.integers(len(table) + 1))), path)
        return "fewer rows"
    kind, told = table.schema.field(name).type, "shifted"
    if kind == damaged_cells.CELL:
        cells, told = damaged_cells.damaged(values, rng)
        pq.write_table(table.set_column(at, name, cells), path)
        return f"column {name}: {told}"
    if what == 2:
        values[rng.integers(len(values))] = None
        told = "one null"
    elif what == 3:
        values, told = [None] * len(values), "all null"
    elif what == 4:
        values = values[1:] + values[:1]
    elif what == 5 and pa.types.is_integer(kind):
        values, told = [value + 1 for value in values], "one more"
    else:
        kind = KINDS[rng.integers(len(KINDS))]
        values, told = [_as(value, kind) for value in values], f"as {kind}"
    try:
        changed = pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return "nothing"
    pq.write_table(table.set_column(at, name, changed), path)
    return f"column {name} {told}"


def _as(value: Any, kind: pa.DataType) -> Any:
    """A value as Arrow wants it for `kind`, as far as that is possible."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = value if isinstance(value, list) else [value]
        return [_as(one, kind.value_type) for one in inner]
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        return str(value)
    is_number = isinstance(value, int | float)
    return Decimal(str(value)) if pa.types.is_decimal(kind) and is_number else value


@dataclass(frozen=True)
class Outcome:
    """What came of a dataset: its loader, or one line of each step that refused it."""

    said: tuple[str, ...]
    dataset: Dataset | None = None
    loader: Loader | None = None


def outcome(root: Path, cache: Path) -> Outcome:
    """Inspect, open, check and load, pictures too, as the commands do.

    Lets any error pass that is none of ours.
    """
    said = []
    try:
        describe(root)
    except VibrissaError as error:
        said.append(f"inspect: {error}")
    try:
        dataset = open_dataset(root)
        require_trainable(root, findings_of(dataset))
        inputs = ("observation.state", *camera_keys(dataset))
        loader = Loader(dataset, inputs, Sampling(4, 2), Pictures(cache))
        _ = dataset.contract, [dataset.instruction(row.index) for row in dataset.episodes]
    except VibrissaError as error:
        return Outcome((*said, f"train: {error}"))
    return Outcome(tuple(said), dataset, loader)
