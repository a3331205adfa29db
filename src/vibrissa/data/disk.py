"""A disk that may be full, a cable that may be pulled, a program that may be interrupted.

What must survive a power cut is written through a `Disk`: its few verbs are all there is to
replay when a cut at every point is tried out.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import av.error

from vibrissa.core.errors import DatasetError

NOTHING_LEFT = "Nothing was left under that name."


class Appender:
    """A file that only grows. `write` may be lost by a power cut until `sync` has returned."""

    def __init__(self, path: Path):
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()  # another thread syncs than writes and closes

    def write(self, content: bytes) -> int:
        rest = memoryview(content)
        while rest:  # a disk that fills up may take a part
            if self._file.closed:
                raise OSError(errno.EBADF, "its file was closed before")
            rest = rest[self._file.write(rest) :]
        return len(content)

    def sync(self) -> None:
        with self._lock:
            if not self._file.closed:
                flush_to_disk(self._file.fileno())

    def close(self) -> None:
        with self._lock:
            self._file.close()


class Disk:
    """Files and folders that are there after a power cut. Raises OSError as the system does."""

    def append(self, path: Path) -> Appender:
        return Appender(path)

    def create(self, path: Path) -> Appender:
        """A new file that only grows. Raises FileExistsError rather than add to what is there."""
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, f"{path.name} is there already")
        return self.append(path)

    def write(self, path: Path, content: bytes) -> None:
        """A whole new file, on the disk when this returns; its name is, after `sync_folder`."""
        with path.open("wb") as file:
            file.write(content)
        self.made(path)

    def made(self, path: Path) -> None:
        """See to it that a file which somebody else wrote is on the disk."""
        with path.open("rb+") as file:
            flush_to_disk(file.fileno())

    def cut(self, path: Path, size: int) -> None:
        """Shorten a file to its first `size` bytes."""
        with path.open("rb+") as file:
            file.truncate(size)
            flush_to_disk(file.fileno())

    def make_folder(self, path: Path) -> None:
        """`path` and what is missing above it, names included."""
        if path.is_dir():
            return
        self.make_folder(path.parent)
        path.mkdir(exist_ok=True)
        self.sync_folder(path.parent)

    def new_folder(self, path: Path) -> None:
        """A folder that was not there; its name is on the disk after `sync_folder`."""
        path.mkdir()

    def rename(self, old: Path, new: Path) -> None:
        """Give `old` the name `new`, in place of what bore it, at one instant."""
        os.replace(old, new)

    def sync_folder(self, path: Path) -> None:
        """The names in `path` are on the disk when this returns (where a system can say so)."""
        if os.name == "nt":
            return
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def remove(self, path: Path) -> None:
        """A file, a link, or a folder with all that is in it; gone already is no trouble."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


class HastyDisk(Disk):
    """For what is thrown away if it is not finished: waits for no disk."""

    def write(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)

    def made(self, path: Path) -> None:
        return None

    def sync_folder(self, path: Path) -> None:
        return None


def flush_to_disk(number: int) -> None:
    """fsync that means it: on macOS the plain one leaves the bytes in the drive's own memory."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(number, fcntl.F_FULLFSYNC)
    else:
        os.fsync(number)


def plain(value: Any) -> Any:
    """Numpy values as JSON has them."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


@contextmanager
def writing(out: Path, left: str = NOTHING_LEFT) -> Iterator[None]:
    """What the disk refuses inside becomes one DatasetError that names `out` and what is left."""
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        raise DatasetError(f"cannot write {out}: {reason(error)}. {left}") from error


def reason(error: Exception) -> str:
    """Why the system refused, in its own words."""
    return getattr(error, "strerror", None) or str(error)


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
