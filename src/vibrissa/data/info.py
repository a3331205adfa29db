"""What `meta/info.json` and `meta/stats.json` may hold: LeRobot's own keys and types, checked once.

A key that LeRobot does without (`data_path`, `chunks_size`, …) may be left out here too. What
LeRobot cannot read is a DatasetError that names the key.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vibrissa.core.errors import DatasetError
from vibrissa.data.values import Value

VERSIONS = ("v2.0", "v2.1", "v3.0")
PICTURES = ("video", "image")
# Where files lie when info.json does not say so, of v3.0 and of what came before.
DATA_V3 = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_V3 = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
DATA_V2 = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_V2 = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
V3_PLACES = frozenset(("chunk_index", "file_index", "video_key"))
V2_PLACES = frozenset(("episode_chunk", "episode_index", "video_key"))
FIELD = re.compile(r"\{(\w+)(:0?\d{0,2}d)?\}")
CHUNKS_SIZE = 1000
SLOWEST_FPS, FASTEST_FPS = 1e-3, 1e5
LONGEST_SIDE, MOST_NUMBERS = 2**16, 2**20  # of a feature's shape; numbers in a row of a vector


@dataclass(frozen=True)
class Info:
    """`meta/info.json`, checked. `features` are LeRobot's own dicts, their shapes as tuples.

    A template is empty where there are no such files. total_frames is None where it is left out.
    raw: the file as it is, other keys included.
    """

    version: str
    fps: float
    features: Mapping[str, Mapping[str, Any]]
    total_episodes: int
    total_frames: int | None
    robot: str
    chunks_size: int
    data_path: str
    video_path: str
    raw: Mapping[str, Any]

    @property
    def is_v3(self) -> bool:
        return self.version == "v3.0"

    @property
    def video_keys(self) -> tuple[str, ...]:
        """The features that are stored as video."""
        return tuple(key for key, feature in self.features.items() if feature["dtype"] == "video")


def checked_info(file: Path, raw: Mapping[str, Any], *, is_finished: bool = True) -> Info:
    """`raw`, the content of `file`. Raises DatasetError for what LeRobot cannot read.

    A recording that was cut off may have no episodes yet: it is not finished.
    """
    top = Value(file, "", raw)
    version = _version(top["codebase_version"])
    new = version == "v3.0"
    for key in ("data_files_size_in_mb", "video_files_size_in_mb"):
        if not top[key].is_missing:
            top[key].whole(1)
    return Info(
        version=version,
        fps=_fps(top["fps"]),
        features=_features(top["features"]),
        total_episodes=_episodes(top["total_episodes"]) if is_finished else 0,
        total_frames=None if top["total_frames"].is_missing else top["total_frames"].whole(),
        robot=str(raw.get("robot_type") or "unknown"),
        chunks_size=CHUNKS_SIZE if top["chunks_size"].is_missing else top["chunks_size"].whole(1),
        # LeRobot finds the rows of v3.0 without a template.
        data_path=_usual(
            top["data_path"], *((DATA_V3, V3_PLACES) if new else (DATA_V2, V2_PLACES))
        ),
        video_path=_video_path(top["video_path"], new),
        raw=raw,
    )


def checked_stats(root: Path, raw: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The statistics of the dataset in `root`: of each feature named tables of numbers, or NaN."""
    top = Value(root / "meta" / "stats.json", "", raw)
    for feature in raw:
        for name in top[feature].mapping():
            value = top[feature][name]
            try:
                numbers = np.array(value.raw)
            except ValueError:
                numbers = np.array(None)
            if numbers.dtype.kind not in "iuf":
                raise value.refused("numbers, in lists of equal length")
    return raw


def kind_of(dtype: str) -> pa.DataType | None:
    """The Arrow type that info.json's `dtype` means; None for pictures and for no known type."""
    try:
        return pa.type_for_alias(dtype)
    except ValueError:
        return None


def _version(value: Value) -> str:
    found = re.fullmatch(r"[vV]?(\d+)(?:\.(\d+))?(?:\.0)*", value.text().strip())
    version = f"v{found[1]}.{found[2] or 0}" if found else ""
    if version not in VERSIONS:
        raise DatasetError(
            f"{value.file} says codebase_version {value.raw!r}; known are {', '.join(VERSIONS)}."
        )
    return version


def _fps(value: Value) -> float:
    is_number = isinstance(value.raw, int | float) and not isinstance(value.raw, bool)
    if is_number and SLOWEST_FPS <= value.raw <= FASTEST_FPS:
        return float(value.raw)
    raise value.refused("a number above 0, such as 30")


def _episodes(value: Value) -> int:
    count = value.whole()
    if not count:
        raise DatasetError(
            f"{value.file} says total_episodes 0: nothing was recorded, or the recording was cut "
            "off before its first episode was stored."
        )
    return count


def _features(value: Value) -> dict[str, dict[str, Any]]:
    if not value.mapping():
        raise value.refused("an object that names at least one feature")
    return {key: _feature(value[key]) for key in value.mapping()}


def _feature(value: Value) -> dict[str, Any]:
    """LeRobot's dict of one feature; what depth is read by is checked too."""
    told = value.mapping()
    dtype = value["dtype"].text()
    for part in ("info", "video_info"):
        if not value[part].is_absent:
            _check_depth(value[part])
    return {**told, "dtype": dtype, "shape": _shape(value["shape"], dtype)}


def _shape(value: Value, dtype: str) -> tuple[int, ...]:
    allowed = f"a list of 1 to 5 whole numbers from 1 to {LONGEST_SIDE}, such as [6]"
    shape = value.raw
    if not isinstance(shape, list | tuple) or not 1 <= len(shape) <= 5:
        raise value.refused(allowed)
    if not all(type(n) is int and 1 <= n <= LONGEST_SIDE for n in shape):
        raise value.refused(allowed)
    if dtype not in PICTURES and math.prod(shape) > MOST_NUMBERS:
        raise value.refused(f"a shape of at most {MOST_NUMBERS} numbers in all")
    return tuple(shape)


def _check_depth(info: Value) -> None:
    for key in ("video.depth_min", "video.depth_max", "video.shift"):
        if not info[key].is_absent:
            info[key].number()
    unit = info["depth_unit"]
    if not unit.is_absent and unit.raw not in ("m", "mm"):
        raise unit.refused('"m" or "mm"')


def _usual(value: Value, usual: str, places: frozenset[str]) -> str:
    """The template, or the `usual` one where this is none of its format's style."""
    try:
        return usual if value.is_absent else _template(value, places)
    except DatasetError:
        return usual


def _video_path(value: Value, new: bool) -> str:
    if value.raw is None:
        return ""
    if new and not value.is_missing:
        return _template(value, V3_PLACES)
    return VIDEO_V3 if new else _usual(value, VIDEO_V2, V2_PLACES)


def _template(value: Value, places: frozenset[str]) -> str:
    """A path below the dataset's folder, in which only `places` are left open."""
    text = value.text()
    numbered = places - {"video_key"}
    rest = FIELD.sub(lambda f: "" if f[1] in (numbered if f[2] else places) else f[0], text)
    away = text.startswith(("/", "~")) or ".." in Path(text).parts
    if not text or away or set(rest) & set("{}\0"):
        named = ", ".join(f"{{{place}}}" for place in sorted(places))
        raise value.refused(f"a path inside the dataset's folder; it may name {named}")
    return text
