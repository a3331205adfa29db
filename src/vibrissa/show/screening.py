"""Films that are there already, in rerun's viewer or in a file for it."""

from __future__ import annotations

from pathlib import Path

from vibrissa.core.errors import UsageError
from vibrissa.show.live import JPEG_QUALITY, open_stream, require_screen
from vibrissa.show.video import frame_rate, read_frames


class Screening:
    """Shows one film after another, each under its own name.

    `file` None: in a viewer; else into that new .rrd file. Raises UsageError where there is no
    screen for a viewer, and where the file exists already.
    """

    def __init__(self, file: Path | None = None):
        if file is None:
            require_screen("--show", "The list names every film: open it on another computer.")
        elif file.exists():
            raise UsageError(f"{file} exists already. Name another one.")
        self._stream = open_stream(file)

    def show(self, film: Path) -> None:
        """Every picture of `film`, by its time in it. Raises UsageError for one that is none."""
        import rerun as rr

        rate_hz = frame_rate(film)
        for number, picture in enumerate(read_frames(film)):
            self._stream.set_time("film", duration=number / rate_hz)
            self._stream.log(
                f"films/{film.stem}", rr.Image(picture).compress(jpeg_quality=JPEG_QUALITY)
            )
        self._stream.flush()
