"""A pseudo-terminal at a stable path, and the thread that serves one arm's bus on it.

Time is let pass before every answer, so what a servo says is what is, to the beat; and it passes
between packets too, so that an arm nobody asks still falls.
"""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from pathlib import Path

from vibrissa.twin.bus import Bus, split
from vibrissa.twin.world import Body

IDLE_S = 0.01  # the longest that time stands still between packets
MOST_BEHIND_S = 0.25  # a computer that slept longer has not moved the arm meanwhile


class Port:
    """A pseudo-terminal whose other side is found at `link`, a symbolic link."""

    def __init__(self, link: Path):
        self.link = link
        self._ours = self._theirs = -1

    @property
    def fd(self) -> int:
        """Our side, -1 while the port is gone."""
        return self._ours

    def open(self) -> None:
        """A new terminal, and the link to it."""
        self._ours, self._theirs = os.openpty()  # theirs stays open: a client may come and go
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        fresh = self.link.with_name(f".{self.link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._theirs))
        fresh.replace(self.link)

    def close(self) -> None:
        """The link and the terminal are gone; whoever has it open finds out."""
        if self._ours < 0:
            return
        self.link.unlink(missing_ok=True)
        os.close(self._theirs)
        os.close(self._ours)
        self._ours = self._theirs = -1

    def read(self) -> bytes:
        try:
            return os.read(self._ours, 4096)
        except (BlockingIOError, OSError):
            return b""

    def write(self, data: bytes) -> None:
        """Send; what a client that never reads leaves no room for is lost, as on a wire."""
        try:
            os.write(self._ours, data)
        except (BlockingIOError, OSError):
            return


class Station:
    """One arm served: its port, its bus, its body, one thread. Use it as a context."""

    def __init__(self, name: str, link: Path, bus: Bus, body: Body):
        self.name, self.bus, self.body = name, bus, body
        self.port = Port(link)
        self.lock = threading.RLock()  # around whatever touches bus or body
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"twin-{name}", daemon=True)
        self._now_s = 0.0

    def __enter__(self) -> Station:
        self.port.open()
        self._now_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.port.close()

    def _serve(self) -> None:
        waiting = bytearray()
        while not self._stop.is_set():
            ready, _, _ = select.select([self.port.fd], [], [], IDLE_S)
            with self.lock:
                self._catch_up()
                if not ready:
                    continue
                waiting += self.port.read()
                for packet in split(waiting):
                    answers = self.bus.answer(packet)
                    if answers:
                        self.port.write(b"".join(answer.data for answer in answers))

    def _catch_up(self) -> None:
        now_s = time.monotonic()
        self.body.advance(min(now_s - self._now_s, MOST_BEHIND_S))
        self._now_s = now_s
