"""One line at the bottom of the terminal: what runs, how long still, how fast, which keys.

The loop only leaves numbers here; a thread draws them four times a second, so a terminal that
is slow slows nothing. Where there is no terminal there is no such line, and the rest is the same.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TextIO

from vibrissa.core.episode import Episode, Start, Step

EVERY_S = 0.25
RATE_OVER = 30  # ticks that the shown rate is taken over
_CLEAR = "\r\x1b[2K"


class StatusLine:
    """An observer that draws; `say` prints a whole line above what is drawn.

    `keys` tells what can be pressed in each phase. Use it as a context manager, or call `close`.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        keys: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.perf_counter,
    ):
        self._stream = sys.stderr if stream is None else stream
        self._keys, self._now = dict(keys or {}), now
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._phase, self._number, self._total, self._seconds = "", 0, 0, 0.0
        self._began_s = 0.0
        self._ticks: deque[float] = deque(maxlen=RATE_OVER)
        self._health: Mapping[str, str] = {}
        self.note = ""  # whatever else is to be seen
        self._drawn = False
        self._thread: threading.Thread | None = None
        if self._stream.isatty():
            self._thread = threading.Thread(target=self._run, name="status line", daemon=True)
            self._thread.start()

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def announce(self, phase: str, number: int, total: int, seconds: float) -> None:
        """What is next: a phase by name, the which of how many, its time limit (inf: none)."""
        self._phase, self._number, self._total = phase, number, total
        self._seconds, self._began_s = seconds, self._now()
        self._ticks.clear()

    def say(self, line: str) -> None:
        """A line that stays."""
        with self._lock:
            self._write(f"{_CLEAR if self._drawn else ''}{line}\n")
            self._drawn = False

    def on_start(self, start: Start) -> None:
        self._health = {camera.name: "ok" for camera in start.contract.cameras}
        self._began_s = self._now()

    def on_step(self, step: Step) -> None:
        self._ticks.append(self._now())
        self._health = {name: step.observation.health.get(name, "ok") for name in self._health}

    def on_end(self, episode: Episode) -> None:
        return None

    def close(self) -> None:
        """Wipe the line away."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * EVERY_S)
        with self._lock:
            if self._drawn:
                self._write(_CLEAR)
                self._drawn = False

    def text(self) -> str:
        """What the line says now, empty before the first phase."""
        if not self._phase:
            return ""
        parts = [self._phase if not self._total else f"{self._phase} {self._number}/{self._total}"]
        used_s = self._now() - self._began_s
        if self._seconds != float("inf"):
            parts.append(f"{max(0.0, self._seconds - used_s):.0f} s left")
        else:
            parts.append(f"{used_s:.0f} s")
        ticks = list(self._ticks)
        if len(ticks) > 1 and ticks[-1] > ticks[0]:
            parts.append(f"{(len(ticks) - 1) / (ticks[-1] - ticks[0]):.1f} Hz")
        parts += [
            name if health == "ok" else f"{name} {health.upper()}"
            for name, health in self._health.items()
        ]
        parts += [self.note, self._keys.get(self._phase, "")]
        return "   ".join(part for part in parts if part)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            text = self.text()
            if not text:
                continue
            with self._lock:
                self._write(_CLEAR + text[: shutil.get_terminal_size().columns - 1])
                self._drawn = True

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal was closed; there is nobody to tell
            self._drawn = False
