"""One film in the making: pictures and sound in, an mp4 that can be played at any moment.

The file is written in fragments of half a second, so that whatever ends the program leaves a
film without its last moment. Encoding happens in a thread of this process; nobody waits for it:
a full queue costs pictures, never a tick, and `finish` returns within seconds, whatever hangs.
"""

from __future__ import annotations

import queue
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
import av.logging
import numpy as np
from numpy.typing import NDArray

from vibrissa.show.sound import RATE_HZ, Block

Picture = NDArray[np.uint8]  # (H, W, 3) RGB, both sides even

FRAGMENT_S = 0.5
QUEUED = 30  # pictures that wait
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
VIDEO = {"preset": "veryfast", "tune": "zerolatency", "crf": "23", "threads": "1"}
SLACK_S = 0.05  # blocks of sound may come so early or late and still be joined without a gap
AWAITED_S = 0.5  # sound older than this that never came is silence


@dataclass(frozen=True)
class _Shot:
    """What the film shows from `time_s` on."""

    time_s: float
    make: Callable[[], Picture]


class Reel:
    """A film that begins at `start_s`, at fixed `fps`; times are all of one clock.

    `hear` gives the blocks of sound since it was last asked; without it the film is silent.
    `trouble` says in one sentence what the film lacks, if anything.
    """

    def __init__(
        self,
        path: Path,
        fps: float,
        start_s: float,
        hear: Callable[[], Sequence[Block]] | None = None,
    ):
        self.path, self.fps, self._start_s, self._hear = path, fps, start_s, hear
        self.frames, self.dropped = 0, 0
        self.trouble: str | None = None
        self._queue: queue.Queue[_Shot | float] = queue.Queue(QUEUED)
        self._last: Picture | None = None
        self._thread = threading.Thread(target=self._run, name=f"film {path.name}", daemon=True)
        self._thread.start()

    def add(self, time_s: float, make: Callable[[], Picture]) -> None:
        """Show what `make` gives from `time_s` on. It is called later, in another thread."""
        try:
            self._queue.put_nowait(_Shot(time_s, make))
        except queue.Full:
            self.dropped += 1

    def finish(self, end_s: float, patience_s: float = 5.0) -> str | None:
        """End the film at `end_s` and return its trouble, after `patience_s` at the latest."""
        until_s = time.monotonic() + patience_s
        with suppress(queue.Full):
            self._queue.put(end_s, timeout=patience_s)
        self._thread.join(max(0.0, until_s - time.monotonic()))
        if self._thread.is_alive():
            seconds = self.frames / self.fps
            self.trouble = (
                f"{self.path}: the encoder does not answer; the film has its first {seconds:.1f} s."
            )
        elif self.trouble is None and self.dropped:
            self.trouble = f"{self.path}: {self.dropped} pictures came too fast for the encoder."
        return self.trouble

    def _run(self) -> None:
        """Encode until the end. After a fault the queue is emptied on, so that it stays small."""
        av.logging.set_libav_level(av.logging.PANIC)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with av.open(
                str(self.path.absolute()), "w", format="mp4", options=FRAGMENTED
            ) as container:
                self._encode(container)
        except (OSError, av.error.FFmpegError) as error:
            why = getattr(error, "strerror", None) or error
            seconds = self.frames / self.fps
            self.trouble = f"{self.path}: {why}; the film ends after {seconds:.1f} s."
            with suppress(OSError):
                cut_to_whole(self.path)
            while isinstance(self._queue.get(), _Shot):
                pass

    def _encode(self, container: av.container.OutputContainer) -> None:
        """A picture is shown from its own place up to the next one's."""
        screen, track, shown = None, None, None
        while isinstance(item := self._queue.get(), _Shot):
            picture = item.make()
            if screen is None or shown is None:
                screen = _Screen(container, self.fps, picture)
                track = _Track(container, self._start_s) if self._hear is not None else None
            else:
                screen.show_until(self._place(item.time_s), shown)
            shown = picture
            self._sound(track, item.time_s)
            self.frames = screen.shown
        if screen is None or shown is None:
            self.trouble = f"{self.path}: there was no picture to film."
            return
        screen.show_until(max(screen.shown + 1, self._place(item)), shown)
        self._sound(track, item)
        screen.end()
        if track is not None:
            track.end(self._start_s + screen.shown / self.fps)
        self.frames = screen.shown

    def _place(self, time_s: float) -> int:
        return round((time_s - self._start_s) * self.fps)

    def _sound(self, track: _Track | None, now_s: float) -> None:
        if track is not None and self._hear is not None:
            track.lay(self._hear(), now_s)
            track.reach(now_s - AWAITED_S)


def cut_to_whole(path: Path) -> None:
    """Cut a fragmented mp4 behind its last whole fragment: half of one would stop a player.

    A box is its size (4 bytes, big-endian; 1: the next 8 hold it), its name (4) and what is in it
    (ISO/IEC 14496-12, 4.2); a fragment is a moof and the mdat behind it.
    """
    whole, at, end = 0, 0, path.stat().st_size
    with path.open("rb+") as file:
        while at + 8 <= end:
            file.seek(at)
            size, name = struct.unpack(">I4s", file.read(8))
            if size == 1 and at + 16 <= end:
                (size,) = struct.unpack(">Q", file.read(8))
            at += size
            if size < 8 or at > end:
                break
            if name in (b"moov", b"mdat"):
                whole = at
        file.truncate(whole)


class _Screen:
    """The film's pictures, one for every 1 / fps s: what comes late or never is bridged."""

    def __init__(self, container: av.container.OutputContainer, fps: float, like: Picture):
        self._rate = Fraction(fps).limit_denominator(1001)
        options = VIDEO | {"g": str(max(1, round(fps * FRAGMENT_S)))}
        self._container = container
        self._stream = container.add_stream("h264", rate=self._rate, options=options)
        self._stream.height, self._stream.width = like.shape[:2]
        self._stream.pix_fmt = "yuv420p"
        self.shown = 0

    def show_until(self, place: int, picture: Picture) -> None:
        """Fill every place before `place` with `picture`."""
        while self.shown < place:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = self.shown, 1 / self._rate
            self._container.mux(self._stream.encode(frame))
            self.shown += 1

    def end(self) -> None:
        self._container.mux(self._stream.encode())


class _Track:
    """The film's sound: blocks laid where they were heard, silence where nothing was."""

    def __init__(self, container: av.container.OutputContainer, start_s: float):
        self._container, self._start_s = container, start_s
        self._stream = container.add_stream("aac", rate=RATE_HZ)
        self._stream.layout = "mono"
        self._waiting = np.zeros(0, np.float32)
        self._early: list[Block] = []
        self._laid = self._coded = 0  # samples

    def lay(self, blocks: Sequence[Block], now_s: float) -> None:
        """Lay what begins before `now_s`; the rest waits, so that sound never outlasts pictures."""
        slack = round(SLACK_S * RATE_HZ)
        known = [*self._early, *blocks]
        self._early = [block for block in known if block.start_s >= now_s]
        for block in (block for block in known if block.start_s < now_s):
            at = self._sample(block.start_s)
            if abs(at - self._laid) <= slack:
                at = self._laid
            heard = block.samples[max(0, self._laid - at) :]
            if len(heard):
                self._silence(at)
                self._append(heard)

    def reach(self, time_s: float) -> None:
        """Silence up to `time_s`, where nothing was heard."""
        self._silence(self._sample(time_s))

    def end(self, time_s: float) -> None:
        self._silence(self._sample(time_s))
        self._container.mux(self._stream.encode())

    def _sample(self, time_s: float) -> int:
        return round((time_s - self._start_s) * RATE_HZ)

    def _silence(self, until: int) -> None:
        if until > self._laid:
            self._append(np.zeros(until - self._laid, np.float32))

    def _append(self, samples: NDArray[np.float32]) -> None:
        self._laid += len(samples)
        self._waiting = np.concatenate([self._waiting, samples])
        size = self._stream.codec_context.frame_size or 1024
        while len(self._waiting) >= size:
            now, self._waiting = self._waiting[:size], self._waiting[size:]
            frame = av.AudioFrame.from_ndarray(now[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = RATE_HZ, self._coded
            frame.time_base = Fraction(1, RATE_HZ)
            self._container.mux(self._stream.encode(frame))
            self._coded += size
