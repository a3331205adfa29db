"""Simulator states of judged episodes, kept whole: from any of them the episode can go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from vibrissa.core.episode import Episode, Start, Step
from vibrissa.core.errors import UsageError
from vibrissa.core.protocols import Arm
from vibrissa.sim.arm import SimArm
from vibrissa.sim.snapshot import Snapshot, save
from vibrissa.sim.snapshot_file import write


class Stills:
    """Keeps the state at every `every`-th tick of one episode, after what was sent at it.

    The first tick is always among them. They are written into `folder` when the episode ends,
    unless it was broken off. Raises UsageError where the disk refuses.
    """

    def __init__(self, arm: SimArm, folder: Path, every: int = 1):
        self._arm, self._folder, self._every = arm, folder, every

    def on_start(self, start: Start) -> None:
        self._kept: list[Snapshot] = []

    def on_step(self, step: Step) -> None:
        if step.observation.tick % self._every == 0:
            self._kept.append(save(self._arm))

    def on_end(self, episode: Episode) -> None:
        outcome = episode.outcome
        if not self._kept or outcome.reason == "aborted":
            return
        about = {
            "seed": episode.seed,
            "task": episode.start.task,
            "reason": outcome.reason,
            "failure_class": outcome.failure_class,
            "ticks": outcome.ticks,
            "every": self._every,
        }
        name = f"seed_{episode.seed:06d}_{outcome.failure_class}.npz"
        path = self._folder / name
        try:
            write(path, self._kept, about)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}.") from error


def stills_into(folder: Path, every: int = 1) -> Callable[[int, Arm], Sequence[Stills]]:
    """A watch for `evaluate`: a file of every episode, named by its seed and its class.

    Worker processes can be given it.
    """
    return partial(_stills, folder, every)


def _stills(folder: Path, every: int, _seed: int, arm: Arm) -> list[Stills]:
    assert isinstance(arm, SimArm), "only the simulated arm can be kept whole"
    return [Stills(arm, folder, every)]
