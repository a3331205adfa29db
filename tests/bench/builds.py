"""What tests hand to worker processes; a worker imports it by this module's name."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from fakes import OneJoint, Ramp, Reach

from vibrissa.bench.evaluate import Setup
from vibrissa.control.pilots import ChunkPlayer, Zero
from vibrissa.core.episode import Observation
from vibrissa.core.errors import UsageError
from vibrissa.core.protocols import Arm, Observer, Pilot, Task
from vibrissa.sim.arm import SimArm
from vibrissa.sim.scene import SceneCfg

PATIENCE_S = 60.0
TICKS = 40  # of a short episode: enough for ten inferences


def zero_setup() -> Setup:
    return Setup("zero", OneJoint, Reach, _zero)


def ramp_setup() -> Setup:
    return Setup("policy", OneJoint, Reach, _player, Ramp(), slots=2)


def deadly_setup(mark: Path, how: str) -> Setup:
    """In a helper its arm comes to grief, or works; ours waits until a helper has begun one."""
    return Setup("zero", partial(_deadly, mark, how), Reach, _zero)


def _deadly(mark: Path, how: str) -> Arm:
    if multiprocessing.parent_process() is None:
        return Waiting(mark)
    mark.write_text(how)
    if how == "well":
        return OneJoint()
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise {"memory": MemoryError, "bug": ZeroDivisionError, "user": UsageError}[how](
        "no such thing"
    )


class Waiting(OneJoint):
    """Begins no episode before the mark is there."""

    def __init__(self, mark: Path):
        super().__init__()
        self._mark = mark

    def reset(self, seed: int) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not self._mark.exists():
            assert time.monotonic() < end_s, "no helper ever began"
            time.sleep(0.01)
        super().reset(seed)


def marked_by(folder: Path, _seed: int, _arm: Arm) -> list[Observer]:
    """A watch that leaves a file named after the process which it sits in."""
    (folder / str(os.getpid())).touch()
    return []


def _zero(_arm: Arm) -> Pilot:
    return Zero()


def _player(_arm: Arm) -> Pilot:
    return ChunkPlayer(4)


class Mortal(OneJoint):
    """Ends its whole process at tick 7 of seed 5, the first time."""

    def __init__(self, mark: Path):
        super().__init__()
        self._mark = mark

    def reset(self, seed: int) -> None:
        super().reset(seed)
        self._dies = seed == 5 and not self._mark.exists()

    def observe(self) -> Observation:
        seen = super().observe()
        if self._dies and seen.tick == 7:
            self._mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return seen


class MortalSim(SimArm):
    """Ends its whole process at tick 7 of seed 5, the first time; nothing is drawn."""

    def __init__(self, mark: Path, scene: SceneCfg):
        super().__init__(scene)
        self._mark = mark

    def reset(self, seed: int, **more: Any) -> None:
        super().reset(seed, **more)
        self._dies = seed == 5 and not self._mark.exists()

    def observe(self) -> Observation:
        if self._dies and self.tick == 7:
            self._mark.write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().observe()


def mortal_setup(mark: Path) -> Setup:
    return Setup("policy", partial(Mortal, mark), Reach, _player, Ramp(), slots=2)


def once_a_helper_has_one(mark: Path, make: Callable[[], Arm]) -> Arm:
    """What `make` makes; in the process that starts helpers, not before one of them has its own."""
    if multiprocessing.parent_process() is not None:
        made = make()
        mark.write_text("")
        return made
    end_s = time.monotonic() + PATIENCE_S
    while not mark.exists():
        assert time.monotonic() < end_s, "no helper ever began"
        time.sleep(0.01)
    return make()


def short(make: Callable[[], Task]) -> Task:
    """What `make` makes, with a shorter time limit."""
    task = make()
    task.max_ticks = TICKS
    return task
