"""Whether every row has its picture: the times that rows want against those that films have.

Nothing is decoded: the times stand beside the coded pictures in a film. One line says where a
row's picture is missing, and one where ours are other pictures than LeRobot's own reader gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import DatasetError
from vibrissa.data.dataset import Dataset
from vibrissa.data.features import camera_specs
from vibrissa.data.frame_times import OUT_OF_ORDER, FilmTimes, comes_in_order, film_times
from vibrissa.data.layout import EpisodeRow
from vibrissa.data.spans import TOLERANCE_S, Wanted, named, no_picture


@dataclass(frozen=True)
class _Filmed:
    """One episode before one camera. A film that cannot be read is `trouble`."""

    key: str
    row: EpisodeRow
    wanted: Wanted
    film: FilmTimes | None
    trouble: str = ""


def rows_without_pictures(dataset: Dataset) -> list[str]:
    """Rows that would be refused where their picture is decoded; a line for each camera."""
    lines: list[str] = []
    for key in dataset.info.video_keys:
        filmed = list(_filmed(dataset, key))
        there = [f for f in filmed if f.row.videos[f.key].path.is_file()]  # others are problems
        lines += dict.fromkeys(f.trouble for f in there if f.trouble)
        lines += _missing(dataset, filmed)
    return lines


def spoilt_episodes(dataset: Dataset, key: str) -> set[int]:
    """The episodes of which `rows_without_pictures` reports something."""
    return {f.row.index for f in _filmed(dataset, key) if f.trouble or _lacking(f).size}


def doubtful_films(dataset: Dataset, keys: Collection[str] | None = None) -> list[str]:
    """Films that are read, and not as LeRobot reads them or not as the tables describe them.

    keys: of these cameras only.
    """
    lines: list[str] = []
    numbered: list[_Filmed] = []
    for key in dataset.info.video_keys:
        if keys is not None and key not in keys:
            continue
        filmed = list(_filmed(dataset, key))
        numbered += [f for f in filmed if f.wanted.by_number]
        lines += _refused_by_lerobot(dataset, filmed)
        lines += _spans(dataset, filmed)
        lines += _sizes(dataset, key, filmed)
    return [*lines, *_by_number(numbered)]


def _filmed(dataset: Dataset, key: str) -> Iterator[_Filmed]:
    """Every episode that this camera filmed and that has rows."""
    for row in dataset.episodes:
        if key not in row.videos or row.index not in dataset.spans:
            continue
        path = row.videos[key].path
        try:
            wanted, film = dataset.wanted_times(key, row.index), film_times(path)
            place = path.relative_to(dataset.root)
            trouble = "" if comes_in_order(path) else f"{place}: {OUT_OF_ORDER}"
            yield _Filmed(key, row, wanted, film, trouble)
        except DatasetError as error:
            yield _Filmed(key, row, Wanted(np.zeros(0)), None, dataset.shortened(error))


def _missing(dataset: Dataset, filmed: list[_Filmed]) -> Iterator[str]:
    """The first row without a picture, and how many there are."""
    first, lacking = "", 0
    for f in filmed:
        begins = f.row.videos[f.key].from_s >= -TOLERANCE_S  # if not, the tables have a problem
        if f.film is None or f.trouble or not begins:
            continue
        rows = _lacking(f)
        lacking += len(rows)
        if len(rows) and not first:
            nearest_s = f.film.nearest(f.wanted.times_s)
            at, path = int(rows[0]), f.row.videos[f.key].path.relative_to(dataset.root)
            place = (path, f.key, f.row.index, at, f.wanted.times_s[at], nearest_s[at])
            first = no_picture(*place)
    if first:
        yield f"{first} ({lacking} of {sum(f.row.length for f in filmed)} rows have no picture.)"


def _lacking(filmed: _Filmed) -> NDArray[np.intp]:
    """The rows that have no picture in a film that can be read."""
    if filmed.film is None:
        return np.zeros(0, np.intp)
    return np.flatnonzero(~filmed.film.has(filmed.wanted.times_s))


def _refused_by_lerobot(dataset: Dataset, filmed: list[_Filmed]) -> Iterator[str]:
    """Rows that have their picture here, and that LeRobot's own reader refuses."""
    first, refused = "", 0
    for f in filmed:
        stamps = dataset.stamps(f.row.index)
        if f.film is None or f.wanted.by_number or stamps is None:
            continue
        rows = np.flatnonzero(
            f.film.has(f.wanted.times_s)
            & ~lerobot_finds(f.row.videos[f.key].from_s + stamps, f.film.times_s)
        )
        refused += len(rows)
        if len(rows) and not first:
            first = f"episode {f.row.index}, row {rows[0]}"
    if first:
        yield (
            f"{filmed[0].key}: LeRobot's own loader refuses {refused} rows, first {first}. Its "
            "float32 times or the clock of this film are too coarse for its 0.1 ms; here these "
            "rows get the nearest picture."
        )


def lerobot_finds(wanted_s: NDArray[np.float64], times_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether LeRobot's PyAV reader takes a picture for each wanted time: it counts in float32."""
    if not len(times_s):
        return np.zeros(len(wanted_s), np.bool_)
    wanted, times = wanted_s.astype(np.float32), times_s.astype(np.float32)
    after = np.searchsorted(times, wanted).clip(0, len(times) - 1)
    before = np.maximum(after - 1, 0)
    away = np.minimum(np.abs(times[after] - wanted), np.abs(times[before] - wanted))
    return away < np.float32(TOLERANCE_S)


def _spans(dataset: Dataset, filmed: list[_Filmed]) -> Iterator[str]:
    """Ends that do not fit the rows: LeRobot's loader does not use them, its editing tools do."""
    half_s = 0.5 / dataset.fps
    wrong: dict[str, list[int]] = {}
    for f in filmed:
        span, times_s = f.row.videos[f.key], f.wanted.times_s
        if not len(times_s) or not np.isfinite(times_s).all() or np.isposinf(span.to_s):
            continue
        end_s = float(times_s.max()) + 2 * half_s
        if np.isnan(span.to_s):
            wrong.setdefault("has no end (to_timestamp is null or NaN)", []).append(f.row.index)
        elif span.to_s < end_s - half_s:
            wrong.setdefault("ends before its rows do", []).append(f.row.index)
        elif span.to_s > end_s + half_s or times_s.min() > span.from_s + half_s:
            wrong.setdefault("is longer than its rows", []).append(f.row.index)
    for what, episodes in wrong.items():
        yield (
            f"{filmed[0].key}: by from_timestamp and to_timestamp the film of {named(episodes)} "
            f"{what}. Pictures are taken by from_timestamp and timestamp."
        )


def _sizes(dataset: Dataset, key: str, filmed: list[_Filmed]) -> Iterator[str]:
    """Films of another size than info.json says."""
    (spec,) = camera_specs({key: dataset.features[key]})
    size = (spec.width, spec.height)
    found = {(f.film.width, f.film.height) for f in filmed if f.film is not None} - {size}
    if found:
        told = ", ".join(f"{width} x {height}" for width, height in sorted(found))
        yield f"{key}: films of {told}, and info.json says {size[0]} x {size[1]}."


def _by_number(filmed: list[_Filmed]) -> Iterator[str]:
    """That row numbers stand in for timestamps; once for a dataset."""
    episodes = list(dict.fromkeys(f.row.index for f in filmed))
    if episodes:
        yield (
            f"the timestamps of {named(episodes)} lie neither on k/fps nor on their pictures: row "
            "k is taken for picture k of its episode. LeRobot's own loader refuses such rows."
        )
