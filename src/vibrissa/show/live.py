"""A live view of whatever the loop does, in rerun's viewer or in a file for it.

The loop only hands over numbers and, when the last ones have been drawn, pictures; a thread does
the rest. A viewer that is slow, or gone, costs the loop nothing: it misses pictures, and in the
end numbers, never a tick.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import Contract
from vibrissa.core.episode import Episode, Picture, Start, Step
from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    import rerun as rr

APPLICATION = "vibrissa"
BEHIND = 600  # ticks a slow viewer may be behind before it misses the oldest
JPEG_QUALITY = 80
VIEWER_S, FILE_S = 5.0, 60.0  # how long the end waits for a viewer, and for a disk
INSTEAD = (
    "With --live-file view.rrd the same goes into a file, which `rerun view.rrd` shows on another "
    "computer."
)
VIEWER_MEMORY = "1GB"  # what the viewer keeps; the oldest goes first


@dataclass(frozen=True)
class _Tick:
    """The numbers of a step. joints: (3, A) state, asked, sent, in the contract's unit."""

    at_s: float
    tick: int
    joints: NDArray[np.float32]
    age_s: Mapping[str, float]
    health: Mapping[str, str]


@dataclass(frozen=True)
class _Line:
    at_s: float
    text: str


class Live:
    """Shows what it observes. `file` None: in a viewer of its own; else into that new .rrd file.

    Use it as a context manager, or call `close`. Raises UsageError where there is no screen for
    a viewer, and where the file exists already.
    """

    def __init__(self, file: Path | None = None):
        if file is None:
            require_screen("--live", INSTEAD)
        elif file.exists():
            raise UsageError(f"--live-file {file} exists already. Name another one.")
        self._ticks: deque[_Tick | _Line] = deque(maxlen=BEHIND)
        self._pictures: Mapping[str, Picture] | None = None
        self._contract: Contract | None = None
        self._healths: dict[str, str] = {}
        self._news, self._stop = threading.Event(), threading.Event()
        self._stream, self._patience_s = open_stream(file), VIEWER_S if file is None else FILE_S
        self._began_s = time.perf_counter()
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)
        self._thread.start()

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def on_start(self, start: Start) -> None:
        self._contract = start.contract
        self._say(f"{start.task}: {start.instruction or 'it begins'} (seed {start.seed})")

    def on_step(self, step: Step) -> None:
        """Hand over; pictures only when the last ones have been drawn."""
        seen = step.observation
        joints = np.stack([seen.state, step.decision.action, step.sent]).astype(np.float32)
        age_s = {name: seen.time_s - at_s for name, at_s in seen.captured_s.items()}
        now_s = time.perf_counter() - self._began_s
        self._ticks.append(_Tick(now_s, seen.tick, joints, age_s, dict(seen.health)))
        if self._pictures is None:
            self._pictures = {name: seen.images[name].copy() for name in seen.images}
        self._news.set()

    def on_end(self, episode: Episode) -> None:
        outcome = episode.outcome
        detail = f": {outcome.detail}" if outcome.detail else ""
        self._say(f"{episode.start.task}: {outcome.reason} after {outcome.ticks} ticks{detail}")

    def close(self) -> None:
        """Show what waits, and let go."""
        self._stop.set()
        self._news.set()
        self._thread.join(self._patience_s)

    def _say(self, text: str) -> None:
        self._ticks.append(_Line(time.perf_counter() - self._began_s, text))
        self._news.set()

    def _run(self) -> None:
        stream = self._stream
        laid_out: Contract | None = None
        while True:
            self._news.wait()
            self._news.clear()
            over = self._stop.is_set()
            if self._contract is not None and self._contract is not laid_out:
                laid_out = self._contract
                stream.send_blueprint(_layout(laid_out))
            while self._ticks:
                self._show(stream, self._ticks.popleft())
            if self._pictures is not None:
                self._show_pictures(stream, self._pictures)
                self._pictures = None
            if over:
                stream.flush(timeout_sec=self._patience_s)
                stream.disconnect()
                return

    def _show(self, stream: rr.RecordingStream, news: _Tick | _Line) -> None:
        import rerun as rr

        stream.set_time("session", duration=news.at_s)
        if isinstance(news, _Line):
            stream.log("told", rr.TextLog(news.text))
            return
        assert self._contract is not None  # on_start came first
        stream.set_time("tick", sequence=news.tick)
        for channel, values in zip(self._contract.action, news.joints.T, strict=True):
            shown = np.rad2deg(values) if channel.unit == "rad" else values
            stream.log(f"joints/{channel.name.removesuffix('.pos')}", rr.Scalars(shown))
        for name, age_s in news.age_s.items():
            stream.log(f"age_ms/{name}", rr.Scalars(age_s * 1e3))
        for name, health in news.health.items():
            if self._healths.get(name, "ok") != health:
                level = rr.TextLogLevel.INFO if health == "ok" else rr.TextLogLevel.WARN
                stream.log("told", rr.TextLog(f"camera {name}: {health}", level=level))
            self._healths[name] = health

    def _show_pictures(self, stream: rr.RecordingStream, pictures: Mapping[str, Picture]) -> None:
        import rerun as rr

        for name, picture in pictures.items():
            if picture.ndim == 2:
                shown: Any = rr.DepthImage(picture, meter=1.0)
            else:
                shown = rr.Image(picture).compress(jpeg_quality=JPEG_QUALITY)
            stream.log(f"cameras/{name}", shown)


def open_stream(file: Path | None) -> rr.RecordingStream:
    """To a viewer of its own, or into a file. Raises UsageError where it cannot be written."""
    import rerun as rr

    stream = rr.RecordingStream(APPLICATION)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            stream.save(file)
        except (OSError, RuntimeError) as error:  # the latter is rerun's own
            raise UsageError(f"{file} cannot be written: {error}.") from error
    else:
        stream.spawn(memory_limit=VIEWER_MEMORY)
    return stream


def _layout(contract: Contract) -> Any:
    """Cameras above, a plot a joint below, what was told beside them."""
    import rerun as rr
    import rerun.blueprint as blueprint

    names = [channel.name.removesuffix(".pos") for channel in contract.action]
    lines = rr.SeriesLines(names=["state", "asked", "sent"])
    joints = [
        blueprint.TimeSeriesView(
            origin=f"joints/{name}", name=name, overrides={f"joints/{name}": lines}
        )
        for name in names
    ]
    told = blueprint.TextLogView(origin="told", name="told")
    cameras = [
        blueprint.Spatial2DView(origin=f"cameras/{camera.name}", name=camera.name)
        for camera in contract.cameras
    ]
    ages = [blueprint.TimeSeriesView(origin="age_ms", name="age of pictures, ms")]
    above = blueprint.Horizontal(*cameras, told) if cameras else told
    below = blueprint.Grid(*joints, *(ages if cameras else []))
    return blueprint.Blueprint(blueprint.Vertical(above, below), collapse_panels=True)


def require_screen(flag: str, instead: str) -> None:
    """Raise UsageError, with what to do instead, where no viewer could open a window."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in screens):
        raise UsageError(f"{flag} needs a screen, and there is none here. {instead}")
