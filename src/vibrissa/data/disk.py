"""Writing to a disk that may be full, in a program that may be interrupted."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import av.error

from vibrissa.core.errors import DatasetError


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """What the disk refuses inside becomes one DatasetError that names `out`."""
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        why = error.strerror or str(error)
        raise DatasetError(
            f"cannot write {out}: {why}. Nothing was left under that name."
        ) from error


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C inside is heard at the end: the few milliseconds in which files would not agree.

    Only the main thread hears Ctrl-C; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard and callable(before):
        before(*heard[0])


def require_writable(out: Path) -> None:
    """Raise DatasetError where `out` could not be made; looked at before hours of work, not after.

    Nothing is left: a nameless file comes and goes in the nearest folder that exists.
    """
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    with writing(out), tempfile.TemporaryFile(dir=folder):
        pass


def require_absent(out: Path) -> None:
    """Raise DatasetError where `out` exists; nothing there is ever touched."""
    if out.exists() or out.is_symlink():
        raise DatasetError(f"{out} exists already. Name another --out, or move it away first.")
