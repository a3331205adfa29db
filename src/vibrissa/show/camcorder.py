"""Films rollouts as they happen, one file each, and never stops one for it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vibrissa.core.episode import Episode, Start, Step
from vibrissa.show.inset import Framing
from vibrissa.show.reel import Reel
from vibrissa.show.sound import Block, Microphone

COMPARED = 60  # ticks that tell how the arm's clock stands to the microphone's


class Camcorder:
    """An observer that films what `frame` says into `path(number)`, counted from `number`.

    Whoever leaves a number out sets `number` before the rollout.
    Pictures stand at the time they were captured, by the arm's clock; sound, heard on the host's,
    is moved to it. What a film lacks is said once through `say` and kept in `troubles`.
    """

    def __init__(
        self,
        path: Callable[[int], Path],
        frame: Framing,
        *,
        microphone: Microphone | None = None,
        number: int = 0,
        say: Callable[[str], None] = lambda _: None,
        patience_s: float = 5.0,
        now: Callable[[], float] = time.monotonic,
    ):
        self.films: list[Path] = []
        self.troubles: list[str] = []
        self._path, self._frame, self._microphone = path, frame, microphone
        self.number, self._say, self._patience_s, self._now = number, say, patience_s, now
        self._reel: Reel | None = None

    def on_start(self, start: Start) -> None:
        self._fps = start.contract.rate_hz
        self._apart_s: deque[float] = deque(maxlen=COMPARED)
        self._offset_s = self._last_s = 0.0
        self._reel = None
        if self._microphone is not None:
            self._microphone.take()  # what was heard between the rollouts

    def on_step(self, step: Step) -> None:
        seen = step.observation
        self._apart_s.append(self._now() - seen.time_s)
        # The smallest of late is the true one: whatever delays a tick makes it larger.
        self._offset_s = min(self._apart_s)
        self._last_s = seen.time_s
        if self._reel is None:
            self._reel = self._begin(seen.time_s)
        pictures = {name: np.array(seen.images[name]) for name in self._frame.cameras}
        captured_s = seen.captured_s.get(self._frame.background, seen.time_s)
        self._reel.add(captured_s, lambda: self._frame.compose(pictures))

    def on_end(self, episode: Episode) -> None:
        if self._reel is None:
            return
        trouble = self._reel.finish(self._last_s + 1 / self._fps, self._patience_s)
        self._reel = None
        if trouble is not None:
            self._tell(trouble)
        if self._microphone is not None and self._microphone.trouble is not None:
            self._tell(f"{self._microphone.trouble} The films go on without sound.")

    def _begin(self, start_s: float) -> Reel:
        path = self._path(self.number)
        self.number += 1
        self.films.append(path)
        hear = self._heard if self._microphone is not None else None
        return Reel(path, self._fps, start_s, hear)

    def _heard(self) -> Sequence[Block]:
        """The blocks since the last call, on the arm's clock."""
        assert self._microphone is not None
        moved_s = self._offset_s
        return [replace(b, start_s=b.start_s - moved_s) for b in self._microphone.take()]

    def _tell(self, trouble: str) -> None:
        if trouble not in self.troubles:
            self.troubles.append(trouble)
            self._say(trouble)
