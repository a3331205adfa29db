"""Where a LeRobot dataset keeps what: formats v2.0, v2.1 and v3.0, read as they lie on disk.

Nothing here asks a network or needs torch; a file that is missing, cut off, or only a Git LFS
pointer is a DatasetError that says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vibrissa.core.errors import DatasetError
from vibrissa.data.claim import NAME as CLAIM
from vibrissa.data.claim import claimed

# Our recorder's folder, where something is not stored yet; the file of an episode in it.
JOURNAL, LOG = "journal", "log"
VERSIONS = ("v2.0", "v2.1", "v3.0")
LFS_MARK = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class VideoSpan:
    """Where an episode lies in a video file, in seconds."""

    path: Path
    from_s: float
    to_s: float


@dataclass(frozen=True)
class EpisodeRow:
    """One episode as the dataset's own tables tell it. `videos` is keyed by the whole feature."""

    index: int
    length: int
    tasks: tuple[str, ...]
    data: Path
    videos: Mapping[str, VideoSpan]


def read_info(root: Path) -> dict[str, Any]:
    """`meta/info.json`. Raises DatasetError where it is missing, broken or of an unknown format."""
    if not root.exists():
        raise DatasetError(f"no dataset at {root}: there is no such folder.")
    if not root.is_dir():
        raise DatasetError(f"{root} is a file; a dataset is a folder with meta/info.json in it.")
    path = root / "meta" / "info.json"
    if not path.is_file() and told_left(root):
        raise DatasetError(f"{root} holds no finished episode. {told_left(root)}")
    if not path.is_file():
        raise DatasetError(
            f"{root} is no LeRobot dataset: it has no meta/info.json.{_inside(root)}"
        )
    info = read_json(path)
    version = info.get("codebase_version")
    if version not in VERSIONS:
        raise DatasetError(
            f"{root} says codebase_version {version!r}; known are {', '.join(VERSIONS)}."
        )
    lacking = [key for key in ("features", "fps", "total_episodes") if not info.get(key)]
    if lacking:
        raise DatasetError(f"{path} has no {', '.join(lacking)}: the recording never finished.")
    return info


def read_episodes(root: Path, info: Mapping[str, Any]) -> tuple[EpisodeRow, ...]:
    """The episodes' table, in order."""
    rows = (
        _episodes_v3(root, info) if info["codebase_version"] == "v3.0" else _episodes_v2(root, info)
    )
    return tuple(sorted(rows, key=lambda row: row.index))


def is_open(root: Path) -> bool:
    """Whether our recorder is at work on `root`, or was cut off there."""
    return (root / JOURNAL).is_dir()


def takes(root: Path) -> tuple[Path, ...]:
    """The folders of the episodes that lie in the journal of `root`, in order."""
    return tuple(sorted(log.parent for log in (root / JOURNAL).glob(f"*/{LOG}")))


def told_left(root: Path) -> str:
    """What there is to be said of the journal of `root`, in a line; empty where it has none."""
    if claimed(root / JOURNAL / CLAIM):
        return f"{root} is being recorded right now."
    left = len(takes(root))
    if not left:
        return ""
    what = "1 episode lies" if left == 1 else f"{left} episodes lie"
    return (
        f"{what} in the journal of {root} and not in the dataset: the recording was cut off. "
        f"Bring back what there is: vibrissa data recover {root}"
    )


def read_tasks(root: Path, info: Mapping[str, Any]) -> tuple[str, ...]:
    """The instructions, by task_index."""
    if info["codebase_version"] != "v3.0":
        rows = read_jsonl(root / "meta" / "tasks.jsonl")
        return tuple(str(row["task"]) for row in sorted(rows, key=lambda row: row["task_index"]))
    table = read_table(root / "meta" / "tasks.parquet").to_pylist()
    # pandas stores the instruction as its index, under one of two names.
    named = [(row["task_index"], row.get("task", row.get("__index_level_0__"))) for row in table]
    return tuple(str(name) for _, name in sorted(named))


def read_stats(root: Path) -> dict[str, Any]:
    """`meta/stats.json`, or empty where there is none (v2.1 keeps statistics by episode)."""
    path = root / "meta" / "stats.json"
    return read_json(path) if path.is_file() else {}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises DatasetError that says what the file is instead."""
    try:
        content = json.loads(_text(path))
    except ValueError as error:
        raise DatasetError(f"{path} is cut off or no JSON: {error}.") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path} holds no JSON object.")
    return content


def read_jsonl(path: Path, most: int | None = None) -> list[dict[str, Any]]:
    """One JSON object a line; the first `most` of them where that is given."""
    try:
        lines = [line for line in _text(path).splitlines() if line.strip()]
        return [json.loads(line) for line in lines[:most]]
    except ValueError as error:
        raise DatasetError(f"{path} is cut off or no JSON lines: {error}.") from error


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A parquet file. Raises DatasetError where it is missing, a pointer, or cut off."""
    with _parquet(path) as file:
        return file.read(columns=columns)


def read_schema(path: Path) -> pa.Schema:
    """The columns of a parquet file. Raises like `read_table`."""
    with _parquet(path) as file:
        return file.schema_arrow


@contextmanager
def _parquet(path: Path) -> Iterator[pq.ParquetFile]:
    refuse_pointer(path)
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(
            f"{path} is cut off or no parquet file ({_first_line(error)}). Copy or record it again."
        ) from error


def refuse_pointer(path: Path) -> None:
    """Raise DatasetError unless `path` is a file with content of its own."""
    if not path.is_file():
        raise DatasetError(f"{path} is missing: the dataset was copied or downloaded in part.")
    with path.open("rb") as file:
        if file.read(len(LFS_MARK)) == LFS_MARK:
            raise DatasetError(
                f"{path} is a Git LFS pointer, not the file itself. Run `git lfs install` and "
                "`git lfs pull` in that clone."
            )


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


def _episodes_v3(root: Path, info: Mapping[str, Any]) -> list[EpisodeRow]:
    folder = root / "meta" / "episodes"
    files = sorted(folder.glob("*/*.parquet"))
    if not files:
        raise DatasetError(f"{folder} holds no parquet file: the dataset was copied in part.")
    rows = []
    for file in files:
        wanted = [name for name in read_schema(file).names if not name.startswith("stats/")]
        rows += read_table(file, wanted).to_pylist()
    return [_row_v3(root, info, raw) for raw in rows]


def _row_v3(root: Path, info: Mapping[str, Any], raw: Mapping[str, Any]) -> EpisodeRow:
    data = info["data_path"].format(
        chunk_index=raw["data/chunk_index"], file_index=raw["data/file_index"]
    )
    videos = {}
    for key in video_keys(info):
        if raw.get(f"videos/{key}/chunk_index") is None or not info.get("video_path"):
            continue
        path = info["video_path"].format(
            video_key=key,
            chunk_index=raw[f"videos/{key}/chunk_index"],
            file_index=raw[f"videos/{key}/file_index"],
        )
        span = (raw[f"videos/{key}/from_timestamp"], raw[f"videos/{key}/to_timestamp"])
        videos[key] = VideoSpan(root / path, *span)
    return EpisodeRow(
        int(raw["episode_index"]), int(raw["length"]), tuple(raw["tasks"]), root / data, videos
    )


def _episodes_v2(root: Path, info: Mapping[str, Any]) -> list[EpisodeRow]:
    rows = []
    for raw in read_jsonl(root / "meta" / "episodes.jsonl"):
        index, length = int(raw["episode_index"]), int(raw["length"])
        where = {"episode_chunk": index // info["chunks_size"], "episode_index": index}
        videos = {
            key: VideoSpan(
                root / info["video_path"].format(video_key=key, **where), 0.0, length / info["fps"]
            )
            for key in video_keys(info)
        }
        data = root / info["data_path"].format(**where)
        rows.append(EpisodeRow(index, length, tuple(raw.get("tasks", ())), data, videos))
    return rows


def video_keys(info: Mapping[str, Any]) -> list[str]:
    """The features that are stored as video."""
    return [key for key, feature in info["features"].items() if feature["dtype"] == "video"]


def _text(path: Path) -> str:
    refuse_pointer(path)
    return path.read_text(encoding="utf-8")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "empty"


def _inside(root: Path) -> str:
    """A hint where datasets lie one folder further down."""
    below = sorted(path.parent.parent.name for path in root.glob("*/meta/info.json"))
    return f" Inside it there is: {', '.join(below)}." if below else ""
