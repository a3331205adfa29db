"""When a row wants its picture: where its episode begins in the film, plus the row's timestamp.

That is LeRobot's rule (`from_timestamp + timestamp`, `lerobot.datasets.dataset_reader`), with one
difference: a timestamp that float32 rounded is taken for the k/fps that it means. Nothing here
looks into a film; `frame_times` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vibrissa.data.layout import EpisodeRow, VideoSpan

TOLERANCE_S = 1e-4  # LeRobot's `tolerance_s`
ROUNDED = 2.0**-23  # the relative error of a float32, twice

Stamps = Callable[[int], NDArray[np.float64] | None]


@dataclass(frozen=True)
class Wanted:
    """When the rows of an episode want their pictures: (n,) s in the film.

    by_number: their timestamps fit nothing, and row k is taken for picture k.
    """

    times_s: NDArray[np.float64]
    by_number: bool = False


def meant(stamps: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """Timestamps with k/fps in place of its float32."""
    grid = np.round(stamps * fps) / fps
    return np.where(np.abs(stamps - grid) <= ROUNDED * np.abs(stamps), grid, stamps)


def is_regular(stamps: NDArray[np.float64], fps: float) -> bool:
    """Whether all timestamps lie on k/fps, as near as a picture must be."""
    near = np.abs(np.round(stamps * fps) / fps - stamps) < TOLERANCE_S + ROUNDED * np.abs(stamps)
    return bool(near.all())


def numbered(rows: int, span: VideoSpan, fps: float) -> NDArray[np.float64]:
    """When row k wants its picture if it is the k-th of its episode."""
    return span.from_s + np.arange(rows) / fps


def no_picture(
    film: Path, key: str, episode: int, row: int, wanted_s: float, nearest_s: float
) -> str:
    """That a row has no picture in `film`, in a line."""
    when = f"at {wanted_s:.4f} s" if np.isfinite(wanted_s) else "at a time that is null or NaN"
    near = f"the nearest is at {nearest_s:.4f} s" if np.isfinite(nearest_s) else "it has none near"
    return (
        f"episode {episode}, row {row} wants its picture of {key} {when} in "
        f"{film}, and {near}. Film and rows do not fit: record or convert this "
        "episode again, or leave it out."
    )


def span_problems(
    keys: Sequence[str], episodes: Sequence[EpisodeRow], stamps: Stamps, fps: float
) -> list[str]:
    """What is wrong with where the tables put the episodes in their films, a line for each kind."""
    lines = []
    for key in keys:
        filmed = [row for row in episodes if key in row.videos]
        unknown = [row.index for row in filmed if not row.videos[key].from_s >= -TOLERANCE_S]
        if unknown:
            lines.append(
                f"{named(unknown)}: from_timestamp of {key} is null, NaN or negative, so that "
                "nobody knows where the pictures begin. Correct meta/episodes."
            )
        lines += _shared(key, [row for row in filmed if row.index not in unknown], stamps, fps)
    return lines


def _shared(key: str, episodes: Sequence[EpisodeRow], stamps: Stamps, fps: float) -> Iterator[str]:
    """Episodes that use the same pictures; a line for a camera."""
    spans = sorted(
        (
            (row.videos[key].path, *_extent(row.videos[key], stamps(row.index), row.length, fps), n)
            for n, row in enumerate(episodes)
            if row.length > 0
        ),
        key=lambda span: (span[0], span[1], span[3]),
    )
    shared = [(a, b) for a, b in pairwise(spans) if a[0] == b[0] and b[1] < a[2] + 0.5 / fps]
    if shared:
        (_, _, last_s, one), (_, first_s, _, other) = shared[0]
        more = f" So do {len(shared) - 1} more pairs." if len(shared) > 1 else ""
        yield (
            f"episodes {episodes[one].index} and {episodes[other].index} use the same pictures of "
            f"{key} ({first_s:.3f} to {last_s:.3f} s in one film): a from_timestamp or timestamps "
            f"are wrong.{more} Correct meta/episodes or record again."
        )


def _extent(
    span: VideoSpan, stamps: NDArray[np.float64] | None, rows: int, fps: float
) -> tuple[float, float]:
    """The first and the last time at which an episode wants a picture, s in its film."""
    if stamps is None or not is_regular(stamps, fps):
        times_s = numbered(rows, span, fps)
    else:
        times_s = span.from_s + meant(stamps, fps)
    return float(times_s.min()), float(times_s.max())


def named(episodes: Sequence[int]) -> str:
    """Episodes in words: `episode 3`, `episodes 0, 1 and 4 more`."""
    few = ", ".join(map(str, episodes[:6]))
    more = f" and {len(episodes) - 6} more" if len(episodes) > 6 else ""
    return f"episode{'s' if len(episodes) > 1 else ''} {few}{more}"
