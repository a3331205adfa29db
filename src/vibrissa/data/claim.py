"""Who records into a folder: one process at a time, and everybody can see that it does."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

NAME = "recording"  # the file in the journal's folder that is held


class Claim:
    """One process alone has a folder, as long as it lives: a kill gives it back."""

    def __init__(self, path: Path):
        """Raises BlockingIOError where another process has it."""
        self.path = path
        self._file = path.open("ab")
        try:
            _lock(self._file.fileno())
            if not self._is_the_named_one():  # who had it took the name away just now
                raise OSError(f"{path} was given back at this instant")
        except OSError as error:
            self._file.close()
            raise BlockingIOError(str(error)) from error

    def give_back(self, *, remove: bool = False) -> None:
        """Give it back; with `remove`, take its file away before anybody else can have it."""
        if remove and os.name != "nt":
            self.path.unlink(missing_ok=True)
        self._file.close()
        if remove and os.name == "nt":  # which refuses to remove what somebody has open
            with suppress(PermissionError):
                self.path.unlink(missing_ok=True)

    def _is_the_named_one(self) -> bool:
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(self._file.fileno())
        return (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino)


def claimed(path: Path) -> bool:
    """Whether another process has the claim `path` right now."""
    if not path.is_file():
        return False
    try:
        Claim(path).give_back()
    except BlockingIOError:
        return True
    except OSError:
        return False  # a folder that may only be read is nobody's to write
    return False


def _lock(number: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
