"""The journal's two threads: one writes rows as they come, the other one waits for the disk.

They are two because a sync may take seconds (an SD card, a USB stick), and a row that is written
survives a kill without one.
"""

from __future__ import annotations

import threading

from vibrissa.data.journal import Take
from vibrissa.data.take_numbers import TakeNumbers

WRITE_WITHIN_S = 0.05  # without a new row: what encoders have written meanwhile is marked
WRITE_PAUSE_S = 0.005  # a simulated arm's ticks may come by the thousand
SYNC_EVERY_S = 0.2
LEFT_ALONE_S = 1.0  # how long the end waits for a sync that does not return


class Scribe:
    """Writes and syncs every take that it follows."""

    def __init__(self, numbers: TakeNumbers) -> None:
        self._numbers = numbers
        self._takes: tuple[Take, ...] = ()
        self._changing = threading.Lock()
        self._stop, self._due = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=run, name=f"journal: {name}", daemon=True)
            for name, run in (("write", self._write), ("sync", self._sync))
        ]
        for thread in self._threads:
            thread.start()

    def follow(self, take: Take) -> None:
        with self._changing:
            self._takes = (*self._takes, take)

    def let_go(self, take: Take) -> None:
        with self._changing:
            self._takes = tuple(other for other in self._takes if other is not take)

    def wake(self) -> None:
        """There is a new row."""
        self._due.set()

    def close(self) -> None:
        self._stop.set()
        self._due.set()
        for thread in self._threads:
            thread.join(LEFT_ALONE_S)

    def _write(self) -> None:
        while not self._stop.wait(WRITE_PAUSE_S):
            self._due.wait(WRITE_WITHIN_S)
            self._due.clear()
            for take in self._takes:
                take.write()

    def _sync(self) -> None:
        while not self._stop.wait(SYNC_EVERY_S):
            for take in self._takes:
                take.sync()
            self._numbers.sync()
