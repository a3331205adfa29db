"""Judged episodes on tape: every tick as JSON, to be looked into or played again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vibrissa.core.episode import Episode, Start, Step
from vibrissa.core.errors import UsageError
from vibrissa.core.protocols import Arm

DIGITS = 6


class Tape:
    """Keeps one episode and writes it into `folder` when it ends, whole or not at all; one that
    was broken off is not written. Raises UsageError where the disk refuses.

    The file holds contract, scene, sampled values and outcome, and for each tick the state (S,),
    the privileged channels (P,), what was asked and sent (A,), the source, the object's true place
    where the arm tells one, and the chunk (K, A) on the tick that inferred it. Units are the
    contract's.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def on_start(self, start: Start) -> None:
        self._start = start
        self._ticks: list[dict[str, Any]] = []

    def on_step(self, step: Step) -> None:
        seen, decision = step.observation, step.decision
        tick = {
            "time_s": round(seen.time_s, DIGITS),
            "state": _plain(seen.state),
            "privileged": _plain(seen.privileged),
            "asked": _plain(decision.action),
            "sent": _plain(step.sent),
            "source": decision.source,
        }
        if "object_position" in seen.truth:
            tick["object_position"] = _plain(seen.truth["object_position"])
        if decision.chunk is not None:
            tick["chunk"] = _plain(decision.chunk)
        self._ticks.append(tick)

    def on_end(self, episode: Episode) -> None:
        if episode.outcome.reason == "aborted":
            return
        told = {
            "seed": episode.seed,
            "task": self._start.task,
            "outcome": asdict(episode.outcome),
            "contract": self._start.contract.to_dict(),
            "scene": dict(self._start.scene),
            "sampled": dict(self._start.sampled),
            "ticks": self._ticks,
        }
        path = self._folder / f"seed_{episode.seed:06d}_{episode.outcome.failure_class}.json"
        partial = path.with_suffix(".partial")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(told), encoding="utf-8")
            os.replace(partial, path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise UsageError(f"cannot write {path}: {error.strerror}.") from error


def tape_into(folder: Path) -> Callable[[int, Arm], Sequence[Tape]]:
    """A watch for `evaluate`: a file of every episode, named by its seed and its class.

    Worker processes can be given it.
    """
    return partial(_tapes, folder)


def _tapes(folder: Path, _seed: int, _arm: Arm) -> list[Tape]:
    return [Tape(folder)]


def _plain(values: NDArray) -> list[Any]:
    return values.astype(float).round(DIGITS).tolist()
