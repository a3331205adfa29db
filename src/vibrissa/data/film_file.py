"""The file of a film in a journal: what was written, up to where, and whether the disk took it."""

from __future__ import annotations

import zlib
from collections import deque

from vibrissa.data.disk import Appender
from vibrissa.data.journal_lag import TickClock


class Reel:
    """A film's file; it notes what was written up to where, for the log.

    `clock` is asked when a write begins, so that one which does not return is seen.
    """

    def __init__(self, file: Appender, clock: TickClock):
        self._file, self._clock = file, clock
        self._size = 0
        self.marks: deque[tuple[int, int]] = deque()  # (bytes so far, checksum of the last part)
        self.began_s: float | None = None  # when the write that is going on was begun
        self.trouble: OSError | None = None

    def write(self, content: bytes) -> int:
        content = bytes(content)
        self.began_s = self._clock.time_s
        try:
            self._file.write(content)
        except OSError as error:  # noted here: the encoder's library tells it in words of its own
            self.trouble = error
            raise
        finally:
            self.began_s = None
        self._size += len(content)
        self.marks.append((self._size, zlib.crc32(content)))
        return len(content)

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        """The encoder has written its last: `release` closes, when what it wrote is synced."""

    def release(self) -> None:
        self._file.close()
