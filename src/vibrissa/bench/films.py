"""Episodes to be looked at: films of a spectator's camera, and picture strips."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vibrissa.bench.evaluate import Setup, evaluate
from vibrissa.bench.outcomes import Row
from vibrissa.bench.report import Clip
from vibrissa.core.episode import Episode, Start, Step
from vibrissa.core.outcomes import CLASSES
from vibrissa.core.protocols import Arm
from vibrissa.show.video import spread, strip, to_png_bytes, write_mp4

EVERY = 2  # film every second tick: half the rendering, and still smooth
SIZE = (400, 300)
STRIP_PICTURES, STRIP_EVERY_PX = 6, 2


class Rendering(Protocol):
    """An arm that any camera can look at: the simulated one."""

    def render(self, camera: str, width: int, height: int) -> NDArray[np.uint8]: ...


class Film:
    """Films one episode through a camera of the scene; `done` is given the frames at its end."""

    def __init__(
        self,
        arm: Rendering,
        done: Callable[[Episode, list[NDArray[np.uint8]], float], None],
        *,
        camera: str = "side",
    ):
        self._arm, self._done, self._camera = arm, done, camera

    def on_start(self, start: Start) -> None:
        self._fps = start.contract.rate_hz / EVERY
        self._frames: list[NDArray[np.uint8]] = []  # (H, W, 3) each

    def on_step(self, step: Step) -> None:
        if step.observation.tick % EVERY == 0:
            self._frames.append(self._arm.render(self._camera, *SIZE))

    def on_end(self, episode: Episode) -> None:
        if self._frames and episode.outcome.reason != "aborted":
            self._done(episode, self._frames, self._fps)


def film_into(folder: Path) -> Callable[[int, Arm], Sequence[Film]]:
    """A watch for `evaluate`: an mp4 of every episode, named by its seed and its class.

    Worker processes can be given it.
    """
    return partial(_films, folder)


def choose(rows: Iterable[Row]) -> list[Row]:
    """One row of every class that occurred, in the order of `CLASSES`: the most usual in length."""
    by_class: dict[str, list[Row]] = {}
    for row in rows:
        by_class.setdefault(row.failure_class, []).append(row)
    order = [c for c in CLASSES if c in by_class] + sorted(set(by_class) - set(CLASSES))
    return [sorted(by_class[c], key=lambda r: r.ticks)[len(by_class[c]) // 2] for c in order]


def clips(setup: Setup, rows: Sequence[Row]) -> list[Clip]:
    """The episodes of `rows` once more, from their seeds, with the camera running.

    Each clip carries the row of what is seen in it. An episode that breaks before its first
    tick has nothing to show and is left out.
    """
    made: dict[int, tuple[bytes, bytes]] = {}

    def keep(episode: Episode, frames: list[NDArray[np.uint8]], fps: float) -> None:
        made[episode.seed] = (_mp4(frames, fps), _strip(frames))

    def watch(_seed: int, arm: Arm) -> list[Film]:
        return [Film(_rendering(arm), keep)]

    again = {row.seed: row for row in evaluate(setup, [row.seed for row in rows], watch)}
    return [
        Clip(replace(again[row.seed], pilot=row.pilot), *made[row.seed])
        for row in rows
        if row.seed in made
    ]


def _films(folder: Path, _seed: int, arm: Arm) -> list[Film]:
    def save(episode: Episode, frames: list[NDArray[np.uint8]], fps: float) -> None:
        name = f"seed_{episode.seed:06d}_{episode.outcome.failure_class}.mp4"
        write_mp4(folder / name, frames, fps)

    return [Film(_rendering(arm), save)]


def _mp4(frames: Sequence[NDArray[np.uint8]], fps: float) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_mp4(Path(folder) / "film.mp4", frames, fps, crf=28).read_bytes()


def _strip(frames: Sequence[NDArray[np.uint8]]) -> bytes:
    chosen = [frames[i] for i in spread(STRIP_PICTURES, len(frames))]
    return to_png_bytes(strip([f[::STRIP_EVERY_PX, ::STRIP_EVERY_PX] for f in chosen]))


def _rendering(arm: Arm) -> Rendering:
    assert hasattr(arm, "render"), "only the simulated arm can be filmed"
    return arm  # type: ignore[return-value]
