"""A microphone: its own thread, its newest seconds, and when each block was heard.

Sound is never waited for. A microphone that stops leaves silence and one sentence.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import av.logging
import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import UsageError

RATE_HZ = 48_000
KEPT_S = 10.0  # what a film that nobody feeds may fall behind
OPEN_S, CLOSE_S = 3.0, 1.0
SILENT_S = 2.0  # without a block for so long, a microphone is dead
SYSTEMS = {"linux": "alsa", "darwin": "avfoundation", "win32": "dshow"}
# The ALSA library inside PyAV's wheel looks for its configuration where it was built.
ALSA = Path("/usr/share/alsa")


@dataclass(frozen=True)
class Block:
    """Samples (N,) float32 in -1..1 at RATE_HZ, the first of them heard at `start_s`."""

    start_s: float
    samples: NDArray[np.float32]


class Microphone:
    """Listens from `open` to `close`. Times are those of `now`, the host's monotonic clock.

    device: "default", a name of the system's own sound input such as hw:1,0, or FORMAT:DEVICE
    for any other input that FFmpeg knows (`lavfi:sine=frequency=440,arealtime` is a test tone).
    """

    def __init__(self, device: str, *, now: Callable[[], float] = time.monotonic):
        self.device, self._now = device, now
        self._format, self._name = _input_of(device)
        self._blocks: deque[Block] = deque()
        self._lock = threading.Lock()
        self._heard_s: float | None = None
        self._first, self._stop = threading.Event(), threading.Event()
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="microphone", daemon=True)

    def open(self) -> Microphone:
        """Return once it is heard. Raises UsageError where nothing comes within OPEN_S."""
        self._thread.start()
        self._first.wait(OPEN_S)
        if self._heard_s is None:
            self.close()
            why = self._trouble or f"not a sound for {OPEN_S:g} s"
            raise UsageError(
                f"the microphone {self.device!r} cannot be used: {why}. See `arecord -L` for "
                "names such as plughw:1,0, or leave out --microphone."
            )
        return self

    def take(self) -> list[Block]:
        """What was heard since the last call, at most the newest KEPT_S seconds."""
        with self._lock:
            taken = list(self._blocks)
            self._blocks.clear()
        return taken

    @property
    def trouble(self) -> str | None:
        """One sentence if it no longer hears, else None."""
        if self._trouble is not None:
            return f"the microphone {self.device!r} fell silent: {self._trouble}."
        heard_s = self._heard_s
        if heard_s is not None and self._now() - heard_s > SILENT_S:
            return f"the microphone {self.device!r} has sent nothing for {SILENT_S:g} s."
        return None

    def close(self) -> None:
        """Stop listening; a device that does not return is left to itself after CLOSE_S."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        av.logging.set_level(av.logging.PANIC)
        if self._format == "alsa" and ALSA.is_dir():
            os.environ.setdefault("ALSA_CONFIG_DIR", str(ALSA))
            os.environ.setdefault("ALSA_CONFIG_PATH", str(ALSA / "alsa.conf"))
        try:
            with av.open(self._name, format=self._format) as container:
                self._listen(container)
        except (OSError, av.error.FFmpegError, ValueError, IndexError) as error:
            self._trouble = getattr(error, "strerror", None) or str(error)
        finally:
            self._first.set()

    def _listen(self, container: av.container.InputContainer) -> None:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
        for frame in container.decode(audio=0):
            if self._stop.is_set():
                return
            samples = [_samples(part) for part in resampler.resample(frame)]
            heard = np.concatenate(samples) if samples else np.zeros(0, np.float32)
            self._heard_s = self._now()
            block = Block(self._heard_s - len(heard) / RATE_HZ, heard)
            with self._lock:
                self._blocks.append(block)
                while self._blocks[0].start_s < self._heard_s - KEPT_S:
                    self._blocks.popleft()
            self._first.set()
        self._trouble = "its sound ended"


def _input_of(device: str) -> tuple[str, str]:
    """FFmpeg's input format and the device's name there. Raises UsageError for an unknown one."""
    system = SYSTEMS.get(sys.platform, "alsa")
    kind, colon, name = device.partition(":")
    if colon and kind in av.formats_available:
        return kind, name
    if not device:
        raise UsageError("--microphone wants a name: default, or one such as plughw:1,0.")
    return system, ":default" if (system, device) == ("avfoundation", "default") else device


def _samples(frame: Any) -> NDArray[np.float32]:
    return np.asarray(frame.to_ndarray(), np.float32).reshape(-1)
