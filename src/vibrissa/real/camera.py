"""One camera: a thread that reads, a latest frame that nobody waits for, and its health.

The thread opens the device, reads, decodes, and opens it again when it was lost; the loop only
takes what is there. A picture that cannot be used is marked, counted and reported, and the next one
is read. It is a thread and not a fork: a forked camera is a dead one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.episode import Health, Picture
from vibrissa.core.errors import VibrissaError
from vibrissa.real.camera_message import BadFrame, plain, require_size
from vibrissa.real.rig import CameraCfg
from vibrissa.real.sight import exposure, fingerprint, sampled
from vibrissa.real.sources import CameraTrouble, Grabbed, Source

FIRST_S = 5.0  # a first frame takes a webcam one or two seconds
READ_S = 0.25  # how long a read waits before the thread looks whether it is to stop
AGAIN_S = 0.5  # between two tries to open a device
LATE_FRAMES = 2.0  # older than so many of its own frames is late
GONE_S = 1.0  # without a frame for so long, it is missing; and its device is opened anew
FROZEN_S = 0.5  # the same pixels for so long
MOVED_RAD = np.deg2rad(2.0)  # an arm that moved that far must show in a picture
TELL_S = 0.5  # what is wrong for about so long is said
BAD_AGAIN_S = 30.0  # between two lines about single pictures that cannot be used


@dataclass(frozen=True)
class Frame:
    """One frame. captured_s: when it was grabbed, on `time.perf_counter`'s clock.

    depth: (H, W) float32 m, of a camera that measures it, of the same moment.
    """

    picture: Picture
    captured_s: float
    sequence: int
    health: Health = "ok"
    depth: NDArray[np.float32] | None = None

    def of_depth(self) -> Frame:
        """The depth as a frame of its own."""
        assert self.depth is not None
        return replace(self, picture=self.depth, depth=None)


@dataclass(frozen=True)
class _Kept:
    """The newest frame, with what the thread found out about it."""

    frame: Frame
    print: int
    same_since_s: float  # captured_s of the first of a row of equal pictures


class Camera:
    """Reads `source()` in a thread. `noisy`: whether two equal pictures must be one."""

    def __init__(
        self,
        cfg: CameraCfg,
        source: Callable[[], Source],
        *,
        say: Callable[[str], None],
        now: Callable[[], float] = time.perf_counter,
    ):
        self.cfg = cfg
        self._source, self._say, self._now = source, say, now
        self._stop = threading.Event()
        self._first = threading.Event()
        self._thread: threading.Thread | None = None
        self._kept: _Kept | None = None
        self._trouble = ""  # why there is no picture now; empty while there is one
        self._noisy = cfg.kind != "zmq"  # what comes by wire may be drawn, and drawn twice alike
        self._print_seen = 0
        self._state_then: NDArray[np.float32] | None = None  # where the arm was at that picture
        self._began_s = now()
        self._news = _News(f"camera {cfg.name!r}", say)
        self._bad = _Bad(f"camera {cfg.name!r}")
        self.settings: dict[str, float] = {}
        self.count = 0  # frames read since the start

    def start(self) -> None:
        """Start reading; `wait_for_first` says whether anything came."""
        self._began_s = self._now()
        self._thread = threading.Thread(target=self._run, name=f"camera {self.cfg.name}")
        self._thread.daemon = True
        self._thread.start()

    def wait_for_first(self, limit_s: float = FIRST_S) -> str:
        """Why there was no frame in time; empty if there was one, or if none is needed."""
        if self._first.wait(limit_s):
            return ""
        trouble = self._trouble or f"no frame within {limit_s:g} s from {self.cfg.device}."
        told = f"camera {self.cfg.name!r}: {trouble}"
        if not self.cfg.optional:
            return told
        self._say(f"{told} It is optional: on without it.")
        return ""

    def latest(self, state: NDArray[np.float32] | None = None) -> Frame:
        """The newest frame and its health; black where there never was one. Never waits.

        state (S,) rad is where the arm is: a picture that stays while the arm moves is frozen,
        even where equal pictures are natural.
        """
        now_s, kept = self._now(), self._kept
        if kept is None:
            frame = Frame(_black(self.cfg), self._began_s, -1, "missing", _no_depth(self.cfg))
        else:
            frame = replace(kept.frame, health=self._health(kept, now_s, state))
        self._news.hear(frame.health, self._trouble, now_s)
        if line := self._bad.line(now_s, reported=self._news.reports("missing")):
            self._say(line)
        return frame

    @property
    def bad(self) -> int:
        """How many pictures could not be used, since the start."""
        return self._bad.count

    @property
    def unusable(self) -> str:
        """Why the newest picture cannot be used; empty where none came, or a good one."""
        return self._trouble if self._bad.now else ""

    def age_s(self) -> float:
        """How old the newest frame is; since the start where there is none."""
        kept = self._kept
        return self._now() - (kept.frame.captured_s if kept else self._began_s)

    def stop(self) -> None:
        self._stop.set()

    def join(self, limit_s: float = 2.0) -> None:
        """Wait for the thread; one that hangs in its driver is left behind, it is a daemon."""
        if self._thread is not None:
            self._thread.join(limit_s)

    def _health(self, kept: _Kept, now_s: float, state: NDArray[np.float32] | None) -> Health:
        age_s = now_s - kept.frame.captured_s
        if age_s > GONE_S or self._bad.now:
            return "missing"
        if age_s > LATE_FRAMES / self.cfg.fps:
            return "late"
        if kept.frame.health != "ok":
            return kept.frame.health
        return "frozen" if self._frozen(kept, state) else "ok"

    def _frozen(self, kept: _Kept, state: NDArray[np.float32] | None) -> bool:
        if kept.print != self._print_seen or self._state_then is None:
            self._print_seen, self._state_then = kept.print, state
        if kept.frame.captured_s - kept.same_since_s < FROZEN_S:
            return False
        if self._noisy or state is None or self._state_then is None:
            return self._noisy
        return bool(np.abs(state - self._state_then).max() > MOVED_RAD)

    def _run(self) -> None:
        """Open, read until it fails, close, wait a little, again."""
        while not self._stop.is_set():
            try:
                source = self._source()
                try:
                    self.settings = source.settings()
                    self._read(source)
                finally:
                    source.close()
            except VibrissaError as trouble:
                self._trouble = str(trouble).removeprefix(f"camera {self.cfg.name!r}: ")
            except BaseException as bug:  # a driver is foreign code: no thread ends in silence
                self._spoilt(f"its reader failed: {type(bug).__name__}: {plain(str(bug))}.")
            self._stop.wait(AGAIN_S)

    def _read(self, source: Source) -> None:
        """Take frames until told to stop. Raises CameraTrouble when there are none any more."""
        heard_s, bad_s = self._now(), -np.inf
        while not self._stop.is_set():
            try:
                grabbed = source.read(READ_S)
                if grabbed is not None:
                    self._take(grabbed)
                    heard_s = self._now()
                    continue
            except BadFrame as bad:
                self._spoilt(str(bad))
                bad_s = self._now()
            silent_s = self._now() - max(heard_s, bad_s)
            if self._now() - heard_s > max(GONE_S, FIRST_S if self._kept is None else 0.0):
                if silent_s < GONE_S:
                    raise CameraTrouble(self._trouble)
                self._bad.over()  # nothing comes any more, good or bad
                raise CameraTrouble(f"no frame for {silent_s:.1f} s.")

    def _spoilt(self, why: str) -> None:
        """There is no picture now, and what came cannot be used."""
        self._trouble = why
        self._bad.add(why)

    def _take(self, grabbed: Grabbed) -> None:
        height, width = grabbed.picture.shape[:2]
        require_size(width, height, (self.cfg.width, self.cfg.height))
        sample, last = sampled(grabbed.picture), self._kept
        print_ = fingerprint(sample)
        same = last is not None and last.print == print_
        since_s = last.same_since_s if last is not None and same else grabbed.captured_s
        sequence = grabbed.sequence
        if sequence is None:
            sequence = last.frame.sequence + 1 if last is not None else 0
        picture = grabbed.picture
        picture.flags.writeable = False  # everybody gets this one
        frame = Frame(picture, grabbed.captured_s, sequence, exposure(sample), grabbed.depth)
        self._kept, self._trouble = _Kept(frame, print_, since_s), ""
        self._bad.over()
        self.count += 1
        self._first.set()


class _News:
    """Says what is wrong with a camera once it lasts, and when it is well again.

    A camera that is too slow is late at most ticks and well at some: ill time counts in full,
    well time by half, up to `TELL_S`.
    """

    def __init__(self, who: str, say: Callable[[str], None]):
        self._who, self._say = who, say
        self._ill_s = self._heard_s = 0.0
        self._said: Health = "ok"

    def reports(self, health: Health) -> bool:
        """Whether this was said last, and not yet that it is over."""
        return self._said == health

    def hear(self, health: Health, trouble: str, now_s: float) -> None:
        passed_s = min(now_s - self._heard_s, 0.1)
        self._heard_s = now_s
        change_s = passed_s if health != "ok" else -passed_s / 2
        self._ill_s = float(np.clip(self._ill_s + change_s, 0, TELL_S))
        if self._ill_s == TELL_S and health not in ("ok", self._said):
            self._said = health
            told = _WORDS[health]
            if trouble and health == "missing":
                told = f"{told.rstrip('.')}: {trouble}"
            self._say(f"{self._who}: {told}")
        elif self._ill_s == 0 and self._said != "ok":
            self._said = "ok"
            self._say(f"{self._who} is well again.")


class _Bad:
    """Pictures that could not be used: a line once the next good one is there.

    One that is followed by a good one is reported here; where they stay away, `_News` reports it.
    """

    def __init__(self, who: str):
        self._who = who
        self.count = 0
        self.now = False  # whether the newest picture is one of them
        self._new, self._why = 0, ""
        self._said_s = -np.inf

    def add(self, why: str) -> None:
        self.count, self._new, self._why, self.now = self.count + 1, self._new + 1, why, True

    def over(self) -> None:
        """A good one came."""
        self.now = False

    def line(self, now_s: float, *, reported: bool) -> str:
        """What is to be said now, empty if nothing; `reported`: `_News` has said why already."""
        if reported:
            self._new = 0
        if self.now or not self._new or now_s - self._said_s < BAD_AGAIN_S:
            return ""
        new, self._new, self._said_s = self._new, 0, now_s
        pictures = "1 picture" if new == 1 else f"{new} pictures"
        return f"{self._who}: {pictures} could not be used and marked missing: {self._why}"


_WORDS: dict[Health, str] = {
    "black": "its pictures are black. Is the lens covered?",
    "frozen": "its picture does not change any more. Unplug it and plug it in again.",
    "overexposed": "its pictures are over-exposed. Lower its exposure or the light.",
    "late": "its pictures come late, or fewer than it should give.",
    "missing": "its pictures stay away.",
}


def _black(cfg: CameraCfg) -> NDArray[np.uint8]:
    return np.zeros((cfg.height, cfg.width, 3), np.uint8)


def _no_depth(cfg: CameraCfg) -> NDArray[np.float32] | None:
    return np.zeros((cfg.height, cfg.width), np.float32) if cfg.depth else None
