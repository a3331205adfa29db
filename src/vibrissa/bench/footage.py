"""The films of a deployment on its report, one of each way in which rollouts ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vibrissa.bench.logbook import film_of, place, read_all, read_told, write_report
from vibrissa.bench.outcomes import Row
from vibrissa.bench.report import Clip
from vibrissa.core.errors import UsageError
from vibrissa.show.video import read_frames, spread, strip, to_height, to_png_bytes

MOST_BYTES = 4_000_000  # of a film: a page is still to be opened on a phone
STRIP_PICTURES, STRIP_HEIGHT, EVERY = 6, 120, 5


def with_films(folder: Path, wall_s: float = 0.0) -> None:
    """Write the report of `folder` once more, its films in it. Raises UsageError."""
    rows = read_all(folder)
    clips = clips_of(folder, rows)
    if clips:
        told, contract = read_told(folder)
        write_report(folder, told, rows, contract, wall_s, clips)


def clips_of(folder: Path, rows: Sequence[Row]) -> list[Clip]:
    """The first film of each class that is neither too long nor broken."""
    clips: dict[str, Clip] = {}
    for row in rows:
        film = film_of(folder, place(row))
        if row.failure_class in clips or not film.is_file():
            continue
        if 0 < film.stat().st_size <= MOST_BYTES:
            picture = _strip(film)
            if picture:
                clips[row.failure_class] = Clip(row, film.read_bytes(), picture)
    return list(clips.values())


def _strip(film: Path) -> bytes:
    """Some pictures from its first to its last as a PNG; nothing for a film that is broken."""
    try:
        frames = [to_height(frame, STRIP_HEIGHT) for frame in read_frames(film, every=EVERY)]
    except UsageError:
        return b""
    if not frames:
        return b""
    return to_png_bytes(strip([frames[i] for i in spread(STRIP_PICTURES, len(frames))]))
