"""Where a LeRobot dataset keeps what: formats v2.0, v2.1 and v3.0, read as they lie on disk.

Nothing here asks a network or needs torch. What a file holds is checked where it comes in
(`reading`, `info`, `values`); here it gets its place and its order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa

from vibrissa.core.errors import DatasetError
from vibrissa.data.claim import NAME as CLAIM
from vibrissa.data.claim import claimed
from vibrissa.data.info import Info, checked_info
from vibrissa.data.reading import (
    first_line,
    parquet_files,
    read_json,
    read_jsonl,
    read_schema,
    read_table,
    refuse_pointer,
)
from vibrissa.data.values import NEXT, Value, shown

# Our recorder's folder, where something is not stored yet; the file of an episode in it.
JOURNAL, LOG = "journal", "log"
# Behind a take's number: being made, and being removed. Neither holds anything that is missing.
UNBORN, GONE = ".unborn", ".gone"
STAGING = "staging"  # an episode on its way into the dataset
LEFTOVER = "leftover"  # beside the journal: what `recover` put aside
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # what an operating system leaves anywhere


@dataclass(frozen=True)
class VideoSpan:
    """Where an episode lies in a video file, in seconds; NaN where the tables do not say."""

    path: Path
    from_s: float
    to_s: float


@dataclass(frozen=True)
class EpisodeRow:
    """One episode as the dataset's own tables tell it. `videos` is keyed by the whole feature.

    data: the file that holds its rows, None where the table does not say. bounds: its first row
    and the one behind its last, in the whole dataset, None likewise.
    """

    index: int
    length: int
    tasks: tuple[str, ...]
    data: Path | None
    videos: Mapping[str, VideoSpan]
    bounds: tuple[int, int] | None = None


def read_info(root: Path) -> Info:
    """`meta/info.json`. Raises DatasetError where it is missing, broken or of an unknown format."""
    try:
        return checked_info(root / "meta" / "info.json", _raw_info(root))
    except OSError as error:  # a name too long, a folder that may not be looked into
        raise DatasetError(f"{root} cannot be looked into: {error.strerror or error}.") from error


def _raw_info(root: Path) -> dict[str, Any]:
    if not root.exists():
        raise DatasetError(f"no dataset at {root}: there is no such folder.")
    if not root.is_dir():
        raise DatasetError(f"{root} is a file; a dataset is a folder with meta/info.json in it.")
    path = root / "meta" / "info.json"
    if not path.exists() and told_left(root):
        raise DatasetError(f"{root} holds no finished episode. {told_left(root)}")
    if not path.exists():
        raise DatasetError(
            f"{root} is no LeRobot dataset: it has no meta/info.json.{_inside(root)}"
        )
    return read_json(path)


def read_episodes(root: Path, info: Info) -> tuple[EpisodeRow, ...]:
    """The episodes' table, in order. Raises DatasetError where it names none, or one twice."""
    rows = sorted(
        _episodes_v3(root, info) if info.is_v3 else _episodes_v2(root, info),
        key=lambda row: row.index,
    )
    if not rows:
        raise DatasetError(
            f"{root}: the episodes' table names no episode, and info.json says "
            f"{info.total_episodes}: the dataset was copied in part."
        )
    for row, later in pairwise(rows):
        if row.index == later.index:
            raise DatasetError(
                f"{root}: the episodes' table names episode {row.index} twice; each number is "
                "allowed once. Were two datasets put together by hand? lerobot-edit-dataset "
                "merges them."
            )
    return tuple(rows)


def is_open(root: Path) -> bool:
    """Whether our recorder is at work on `root`, or was cut off there."""
    return (root / JOURNAL).is_dir()


def takes(root: Path) -> tuple[Path, ...]:
    """The folders of the episodes that lie in the journal of `root`, in order."""
    folders = (path for path in in_journal(root) if _has_log(path))
    return tuple(sorted(folders, key=_order))


def leftovers(root: Path) -> tuple[Path, ...]:
    """What else lies in the journal of `root`: folders without a log, and what is not ours."""
    return tuple(path for path in in_journal(root) if not _has_log(path))


def in_journal(root: Path) -> tuple[Path, ...]:
    """All that lies in the journal of `root` beside the recorder's own working files."""
    found = (root / JOURNAL).iterdir() if is_open(root) else ()
    return tuple(sorted(path for path in found if not is_working_file(path) and path.name != CLAIM))


def is_working_file(path: Path) -> bool:
    """Whether `path`, in a journal, holds nothing that anybody could miss."""
    name = path.name
    if path.is_dir() and not path.is_symlink():
        return name == STAGING or (path.suffix in (UNBORN, GONE) and path.stem.isdecimal())
    return name in LITTER or name.startswith("._")


def told_left(root: Path) -> str:
    """What there is to be said of the journal of `root`, in a line; empty where it has none."""
    if claimed(root / JOURNAL / CLAIM):
        return f"{root} is being recorded right now."
    left, rest = len(takes(root)), len(leftovers(root))
    said = []
    if left:
        what = "1 episode lies" if left == 1 else f"{left} episodes lie"
        said.append(
            f"{what} in the journal of {root} and not in the dataset: the recording was cut off. "
            f"Bring back what there is: vibrissa data recover {root}"
        )
    if rest:
        what = "1 leftover lies" if rest == 1 else f"{rest} leftovers lie"
        said.append(
            f"{what} in {root / JOURNAL}, not readable as an episode (cut off at its start, or not "
            f"ours). Clear up: vibrissa data recover {root}"
        )
    return " ".join(said)


def _has_log(path: Path) -> bool:
    """Whether `path` is a folder of its own, no link, with something in its log."""
    log = path / LOG
    ours = path.is_dir() and not path.is_symlink() and log.is_file()
    return ours and log.stat().st_size > 0


def _order(take: Path) -> tuple[int, str]:
    """By number: 1000000 comes after 999999."""
    number = take.name if take.name.isdecimal() else "0"
    return int(number), take.name


def read_tasks(root: Path, info: Info) -> tuple[str, ...]:
    """The instructions, by task_index."""
    if not info.is_v3:
        return _in_order(root / "meta" / "tasks.jsonl", read_jsonl(root / "meta" / "tasks.jsonl"))
    return read_tasks_v3(root)


def read_tasks_v3(root: Path) -> tuple[str, ...]:
    """The instructions of a dataset of format v3.0, by their place in the table, as LeRobot does.

    Raises DatasetError where the table's own task_index says another order.
    """
    path = root / "meta" / "tasks.parquet"
    table = read_table(path)
    # pandas stores the instruction as its index, under its own name or none.
    texts = [field.name for field in table.schema if is_text(field.type)]
    named = next((name for name in ("task", "__index_level_0__", *texts) if name in texts), "")
    if not named:
        raise DatasetError(f"{path} has no column of text: the instructions are missing.")
    rows = [
        {"task": row[named], "task_index": row.get("task_index", place)}
        for place, row in enumerate(table.to_pylist())
    ]
    tasks = _in_order(path, rows)
    if tasks != tuple(row["task"] for row in rows):
        raise DatasetError(
            f"{path}: task_index says another order than the rows have, and LeRobot goes by the "
            "rows. Sort the table by task_index."
        )
    return tasks


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow column holds text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()


def _in_order(path: Path, raw: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Tasks by their task_index, which counts from 0 without a gap."""
    rows = [Value(path, f"row {place}", row) for place, row in enumerate(raw)]
    by_index = {row["task_index"].whole(): row["task"].text() for row in rows}
    if sorted(by_index) != list(range(len(rows))):
        raise DatasetError(
            f"{path} numbers its tasks {shown(sorted(by_index))}; wanted is 0 to "
            f"{len(rows) - 1}, each once. {NEXT}"
        )
    return tuple(by_index[index] for index in range(len(rows)))


def read_stats(root: Path) -> dict[str, Any]:
    """`meta/stats.json`, or empty where there is none (v2.1 keeps statistics by episode).

    What is in it is for the checks of statistics to say, and for `checked_stats`.
    """
    path = root / "meta" / "stats.json"
    return read_json(path) if path.exists() else {}


def data_files(root: Path, rows: Iterable[EpisodeRow]) -> tuple[Path, ...]:
    """The files that hold the rows, in the order in which LeRobot reads them.

    Those that the episodes' table names; all there are where it names none. Raises DatasetError
    where one is missing.
    """
    named = sorted({row.data for row in rows if row.data is not None})
    absent = missing(root, named)
    if absent:
        raise DatasetError(f"{root}: {absent[0]}{more(absent)}")
    found = named or parquet_files(root / "data")
    if not found:
        raise DatasetError(
            f"{root / 'data'} holds no parquet file: the dataset was copied in part."
        )
    return tuple(found)


def more(told: Sequence[object]) -> str:
    """That the first of `told` is not all."""
    return f" (And {len(told) - 1} more.)" if len(told) > 1 else ""


def missing(root: Path, paths: Iterable[Path]) -> list[str]:
    """What is wrong with files of `paths`: one sentence for each folder they lie in."""
    told: dict[Path, list[str]] = {}
    for path in sorted(set(paths)):
        try:
            refuse_pointer(path)
        except DatasetError as error:
            told.setdefault(path.parent, []).append(str(error).replace(f"{root}/", ""))
    return [
        lines[0] if len(lines) == 1 else f"{lines[0]} So are {len(lines) - 1} more beside it."
        for lines in told.values()
    ]


def _episodes_v3(root: Path, info: Info) -> list[EpisodeRow]:
    folder = root / "meta" / "episodes"
    files = parquet_files(folder)
    if not files:
        raise DatasetError(f"{folder} holds no parquet file: the dataset was copied in part.")
    rows: list[EpisodeRow] = []
    for file in files:
        wanted = [name for name in read_schema(file).names if not name.startswith("stats/")]
        for raw in _listed(file, wanted):
            rows.append(_row_v3(root, info, Value(file, f"row {len(rows)}", raw), len(rows)))
    return rows


def _listed(file: Path, columns: list[str]) -> list[dict[str, Any]]:
    """The rows of a table. Raises DatasetError for values that Python cannot hold."""
    try:
        return read_table(file, columns).to_pylist()
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise DatasetError(f"{file} holds unreadable values: {first_line(error)}.") from error


def _row_v3(root: Path, info: Info, raw: Value, place: int) -> EpisodeRow:
    """An episode of the table. LeRobot goes by its place, so its number may be left out."""
    index = raw["episode_index"]
    bounds = raw["dataset_from_index"], raw["dataset_to_index"]
    span = None if any(b.is_absent for b in bounds) else (bounds[0].whole(), bounds[1].whole())
    length = raw["length"]
    if length.is_missing and span:
        length = Value(raw.file, f"{raw.key}.dataset_to_index", span[1] - span[0])
    return EpisodeRow(
        place if index.is_missing else index.whole(),
        length.whole(1),
        _tasks(raw["tasks"].raw),
        _data_v3(root, info, raw),
        {key: film for key in info.video_keys if (film := _span_v3(root, info, raw, key))},
        span,
    )


def _data_v3(root: Path, info: Info, raw: Value) -> Path | None:
    chunk, file = raw["data/chunk_index"], raw["data/file_index"]
    if chunk.is_absent or file.is_absent:
        return None
    place = {"chunk_index": chunk.whole(), "file_index": file.whole(), "video_key": ""}
    return root / info.data_path.format(**place)


def _span_v3(root: Path, info: Info, raw: Value, key: str) -> VideoSpan | None:
    """Where an episode lies in a film; None where the table names none."""
    chunk, file = raw[f"videos/{key}/chunk_index"], raw[f"videos/{key}/file_index"]
    if chunk.is_absent or file.is_absent or not info.video_path:
        return None
    path = info.video_path.format(video_key=key, chunk_index=chunk.whole(), file_index=file.whole())
    ends = [raw[f"videos/{key}/{end}"] for end in ("from_timestamp", "to_timestamp")]
    return VideoSpan(root / path, *(_seconds(end) for end in ends))


def _seconds(value: Value) -> float:
    """A time; NaN for one that is absent, null or NaN. What that costs, `spans` says."""
    is_unknown = value.is_absent or (isinstance(value.raw, float) and math.isnan(value.raw))
    return math.nan if is_unknown else value.number()


def _tasks(raw: Any) -> tuple[str, ...]:
    """An episode's tasks as the table repeats them; LeRobot goes by the rows' task_index."""
    texts = [raw] if isinstance(raw, str) else raw
    is_list = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    return tuple(texts) if is_list else ()


def _episodes_v2(root: Path, info: Info) -> list[EpisodeRow]:
    rows, file = [], root / "meta" / "episodes.jsonl"
    for number, line in enumerate(read_jsonl(file), 1):
        raw = Value(file, f"line {number}", line)
        index, length = raw["episode_index"].whole(), raw["length"].whole(1)
        where = {"episode_chunk": index // info.chunks_size, "episode_index": index}
        videos = {
            key: VideoSpan(root / info.video_path.format(video_key=key, **where), 0.0, math.inf)
            for key in info.video_keys
            if info.video_path
        }
        data = root / info.data_path.format(**where, video_key="")
        rows.append(EpisodeRow(index, length, _tasks(raw["tasks"].raw), data, videos))
    return rows


def _inside(root: Path) -> str:
    """A hint where datasets lie one folder further down."""
    below = sorted(path.parent.parent.name for path in root.glob("*/meta/info.json"))
    return f" Inside it there is: {', '.join(below)}." if below else ""
