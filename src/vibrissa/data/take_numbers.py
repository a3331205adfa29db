"""The numbers of takes. Each is given once, whatever became of the take that had it.

They are kept beside the dataset, a line for each take that was born, because the journal goes
when everything is stored. A folder that still bears a number counts too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vibrissa.data.disk import Appender, Disk
from vibrissa.data.features import OURS
from vibrissa.data.layout import JOURNAL, LEFTOVER

# Hidden: the digest of a dataset does not change because somebody recorded and kept nothing.
GIVEN = OURS / ".takes"
_NUMBER = re.compile(r"([0-9]{6,})(\D.*)?", re.DOTALL)


class TakeNumbers:
    """Gives the next number. Whoever uses it holds the claim of the folder.

    `next` only counts; `note` writes the number down, and `sync` brings it to the disk.
    """

    def __init__(self, root: Path, disk: Disk):
        self._path, self._disk = root / GIVEN, disk
        self._file: Appender | None = None
        self._unsynced = False
        self._last = max((*_noted(self._path), *_in_names(root)), default=0)
        disk.make_folder(self._path.parent)

    def next(self) -> int:
        self._last += 1
        return self._last

    def note(self, number: int) -> None:
        """Raises OSError as the disk does."""
        if self._file is None:
            self._file = self._disk.append(self._path)
        self._file.write(f"\n{number}\n".encode())  # a cut may have left half a line before
        self._unsynced = True

    def sync(self) -> None:
        """Never raises: the take that has the number meets the same disk, and says so."""
        if self._file is not None and self._unsynced:
            self._unsynced = False
            with suppress(OSError):
                self._file.sync()
                self._disk.sync_folder(self._path.parent)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _noted(path: Path) -> Iterator[int]:
    """Whole lines; a cut may have left others."""
    content = path.read_bytes() if path.is_file() else b""
    for line in content.split(b"\n")[:-1]:
        if line.isdigit():
            yield int(line)


def _in_names(root: Path) -> Iterator[int]:
    """The numbers of everything that a take left: its folder, its birth, what was put aside."""
    for folder in (root / JOURNAL, root / LEFTOVER):
        for path in folder.glob("*"):
            if match := _NUMBER.fullmatch(path.name):
                yield int(match[1])
