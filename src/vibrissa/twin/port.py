"""A pseudo-terminal at a stable path, as a serial port is: it can be opened, vanish and be back."""

from __future__ import annotations

import os
import termios
import tty
from pathlib import Path

# The servos' Baud_Rate values (LeRobot's table) by the speed that a terminal is set to. 250000 and
# 128000 have no name of their own in termios: both are "another".
_NAMES = ((1000000, 0), (500000, 1), (115200, 4), (57600, 5), (38400, 6), (19200, 7))
BAUD = {getattr(termios, f"B{speed}", -speed): {value} for speed, value in _NAMES}
ANOTHER = 0o10000  # BOTHER: the speed is in a field that Python does not read


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
        """A new terminal at 1 Mbaud, and the link to it."""
        self._ours, self._theirs = os.openpty()  # theirs stays open: a client may come and go
        tty.setraw(self._theirs)
        settings = termios.tcgetattr(self._theirs)
        settings[4] = settings[5] = termios.B1000000
        termios.tcsetattr(self._theirs, termios.TCSANOW, settings)
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

    def baud(self) -> frozenset[int]:
        """Which values of Baud_Rate fit the speed that the other side is set to."""
        speed = termios.tcgetattr(self._ours)[5]
        return frozenset({2, 3} if speed == ANOTHER else BAUD.get(speed, set()))

    def read(self) -> bytes:
        """What has come; nothing where nothing has."""
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
