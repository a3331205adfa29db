"""Demonstrations from the places of a file of targets: which one is next, and how often still."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vibrissa.core.errors import DatasetError, UsageError
from vibrissa.core.seeds import TUNING

if TYPE_CHECKING:
    from vibrissa.commands.record import Config
    from vibrissa.control.targets import Pose, Target
    from vibrissa.core.protocols import Arm
    from vibrissa.data.dataset import Dataset
    from vibrissa.data.recorder import Recorder
    from vibrissa.sim.arm import SimArm
    from vibrissa.sim.scene import SceneCfg

STREAM = 78  # of the random poses, beside the file's digest
TRIES = 100  # poses of one target before it is given up
ATTEMPTS = 10  # episodes of one demonstration before it is given up

Trouble = Callable[[float, float, float], str]


@dataclass(frozen=True)
class Plan:
    """All demonstrations of a file in their order. trouble: what is wrong with a pose, if asked."""

    path: Path
    targets: tuple[Target, ...]
    digest: str
    trouble: Trouble = lambda *_: ""

    @property
    def total(self) -> int:
        return sum(target.count for target in self.targets)

    def target(self, number: int) -> Target:
        """Which target the demonstration of this number, from 0, is of."""
        for target in self.targets:
            if number < target.count:
                return target
            number -= target.count
        raise IndexError(number)

    def pose(self, number: int, attempt: int = 0) -> Pose:
        """Where its object goes. Raises UsageError where no pose of the target is possible."""
        target = self.target(number)
        rng = np.random.default_rng((int(self.digest, 16), STREAM, number, attempt))
        told = ""
        for _ in range(TRIES):
            pose = target.draw(rng)
            told = self.trouble(*pose)
            if not told:
                return pose
        raise UsageError(f"{self.path}: no place of the target can be used: {told}.")

    def poses(self) -> list[Pose]:
        return [self.pose(number) for number in range(self.total)]

    def told(self) -> dict[str, Any]:
        """What a recording notes of it; poses in m and degrees."""
        poses = [
            (round(x, 5), round(y, 5), round(math.degrees(yaw), 2)) for x, y, yaw in self.poses()
        ]
        return {"file": self.path.name, "digest": self.digest, "poses": poses}

    def done(self, dataset: Dataset) -> int:
        """How many of its demonstrations a dataset holds."""
        ours = {
            i
            for i, session in enumerate(dataset.sessions)
            if session.get("targets", {}).get("digest") == self.digest
        }
        return sum(note.get("session") in ours for note in dataset.notes)


def plan_of(path: Path, scene: SceneCfg | None = None) -> Plan:
    """The plan of a file. In a scene, no target's middle may be a place where none can start.

    Raises UsageError with file and line.
    """
    from vibrissa.control.targets import read_targets

    targets, marks = read_targets(path)
    places = [replace(target, why="").to_dict() for target in targets]
    digest = hashlib.sha256(repr(places).encode()).hexdigest()[:12]
    if scene is None:
        return Plan(path, tuple(targets), digest)
    from vibrissa.sim.starts import Starts

    starts = Starts(scene)
    for target, mark in zip(targets, marks, strict=True):
        told = starts.trouble(target.x_m, target.y_m, target.yaw_rad)
        if told:
            raise mark.error(f"{told}. Move the target.")
    return Plan(path, tuple(targets), digest, starts.trouble)


@dataclass(frozen=True)
class Course:
    """A plan under way: how many of it are done, the next one's seed, what the set holds."""

    plan: Plan
    done: int = 0
    there: int = 0
    seed: int = 0

    @property
    def to_come(self) -> int:
        return max(0, self.plan.total - self.done)

    def pose(self, number: int, attempt: int = 0) -> Pose:
        """Where the object goes for episode `number`, from 1, of the whole dataset."""
        return self.plan.pose(self.done + number - self.there - 1, attempt)

    def session(self) -> dict[str, Any]:
        """What the recording notes of it: the poses from the first that is to come."""
        told = self.plan.told()
        return {"targets": {**told, "poses": told["poses"][self.done :]}}


def course_of(cfg: Config, plan: Plan, scene: Mapping[str, Any] | None = None) -> Course:
    """How far the dataset of `cfg` has come with the plan. scene: of a simulated arm.

    Raises DatasetError where that scene is another one than the dataset's, UsageError for seeds
    that are kept for judging.
    """
    from vibrissa.data.dataset import open_dataset
    from vibrissa.data.features import OURS, SCENE_FILE
    from vibrissa.data.layout import read_json

    course = Course(plan, seed=cfg.seeds)
    if cfg.resume and (cfg.out / "meta" / "info.json").is_file():
        dataset = open_dataset(cfg.out)
        if scene is not None:
            _require_scene(cfg.out, read_json(cfg.out / OURS / SCENE_FILE), scene)
        after = 1 + max((note.get("seed", -1) for note in dataset.notes), default=-1)
        course = Course(plan, plan.done(dataset), len(dataset.episodes), max(cfg.seeds, after))
    if scene is not None and course.seed + ATTEMPTS * course.to_come > TUNING:
        raise UsageError(
            f"seeds from {course.seed} on would reach {TUNING}: those from there on are "
            "kept for tuning and judging. Choose smaller --seeds."
        )
    return course


def fill(recorder: Recorder, course: Course, arm: SimArm, play: Callable[[int], None]) -> None:
    """Every demonstration that is to come; `play(seed)` tries one, `recorder` says if it counts.

    A pose at which the pilot fails is drawn anew. Raises UsageError after `ATTEMPTS` of them.
    """
    from vibrissa.show.progress import progress

    seed = course.seed
    with progress("recording targets", course.to_come, "episodes") as tell:
        for kept in range(course.to_come):
            for attempt in range(ATTEMPTS):
                arm.put = course.pose(course.there + kept + 1, attempt)
                play(seed)
                seed += 1
                tell(recorder.kept, f"{recorder.discarded} failed" if recorder.discarded else "")
                if recorder.kept > kept:
                    break
            else:
                target = course.plan.target(course.done + kept)
                raise UsageError(
                    f"{course.plan.path}: {ATTEMPTS} episodes in a row failed at the target about "
                    f"({target.x_m:.3f}, {target.y_m:.3f}). Move it; the {recorder.kept} before "
                    "are kept, and --resume goes on from there."
                )


def _require_scene(out: Path, stored: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    names = sorted({*stored, *now} - {"cameras"})  # the contract speaks of those
    told = [name for name in names if stored.get(name) != now.get(name)]
    if told:
        raise DatasetError(
            f"{out} was recorded in another scene, with another {', '.join(told)}. Record with the "
            "same options, or into a new dataset."
        )


class Putting:
    """Before every episode, says where the object goes, and on a simulated arm puts it there."""

    def __init__(
        self,
        arm: Arm,
        say: Callable[[str], None],
        announce: Callable[[Literal["reset", "episode"], int, int, float], None],
    ):
        self._arm, self._say, self._announce = arm, say, announce
        self._course: Course | None = None
        self._told = 0

    def follow(self, course: Course | None) -> None:
        self._course = course

    def announce(
        self, phase: Literal["reset", "episode"], number: int, total: int, seconds: float
    ) -> None:
        """What a session announces goes on; the place is said once an episode."""
        from vibrissa.control.targets import in_words

        if self._course is not None and self._told != number:
            self._told = number
            pose = self._course.pose(number)
            if hasattr(self._arm, "put"):
                self._arm.put = pose  # type: ignore[attr-defined]
            self._say(f"episode {number} of {total}: {in_words(pose)}")
        self._announce(phase, number, total, seconds)
