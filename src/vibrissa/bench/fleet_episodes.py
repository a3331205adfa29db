"""Whole episodes played by a fleet, and told here as if this process had played them.

An actor plays a seed from start to end and sends everything an observer is told of it, pictures
included. Here they are told in the order of the seeds, whoever was done first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vibrissa.bench.evaluate import Setup
from vibrissa.bench.fleet import LOCAL, Share, connected, cores, unpacked, work_off
from vibrissa.control.drive import run_episode
from vibrissa.core.episode import Decision, Episode, Observation, Picture, Start, Step
from vibrissa.core.errors import VibrissaError
from vibrissa.core.protocols import Observer

AHEAD = 2  # episodes, beside one for each actor, that may be under way or wait for their turn

Wanted = Callable[[Episode], bool]


@dataclass(frozen=True)
class Played:
    """What an observer of a seed's episode was told; nothing where it could not even begin.

    steps: empty for an episode that is not wanted. error: what it ended with, if anything.
    """

    seed: int
    start: Start | None = None
    steps: Sequence[Step] = ()
    episode: Episode | None = None
    error: VibrissaError | None = None

    def tell(self, observer: Observer) -> None:
        """Tell it all again. Raises what the episode ended with."""
        if self.start is not None and self.episode is not None:
            observer.on_start(self.start)
            for step in self.steps:
                observer.on_step(step)
            observer.on_end(self.episode)
        if self.error is not None:
            raise self.error


def play_on_fleet(
    build: Callable[[], Setup], seeds: Sequence[int], address: str, wanted: Wanted, actors: int = 0
) -> Generator[Played, None, None]:
    """The episodes of all `seeds`, in their order, by Ray actors at `address`, or `local`.

    Of a setup only its makers are used: its pilot is a script, or asks no policy. actors: at most
    so many; 0 for one a core. Not more than `AHEAD` episodes more than there are actors are in
    memory at a time. Raises as `fleet.evaluate_on_fleet` does.
    """
    shares: list[Share] = [(seed,) for seed in seeds]
    early: dict[int, Played] = {}
    turns = iter(seeds)
    turn = next(turns, None)
    with connected(address) as ray:
        team = min(actors or len(shares), cores(ray))
        actor = ray.remote(num_cpus=1, max_restarts=0)(_Player)
        told = ray.cloudpickle.dumps((build, wanted))
        make = partial(actor.remote, told, tuple(sys.path) if address == LOCAL else ())
        for played in work_off(ray, make, shares, team, ahead=team + AHEAD):
            early[played.seed] = played
            del played  # its pictures are large: nobody holds it longer than it takes
            while turn in early:
                yield early.pop(turn)
                turn = next(turns, None)


class _Player:
    """What one actor holds: arm, pilot and task of its own, made with its first seed."""

    def __init__(self, told: bytes, path: Sequence[str]):
        self._told, self._path = told, path
        self._made: tuple[Any, ...] | None = None

    def work(self, seeds: Share) -> Played:
        if self._made is None:
            build, wanted = unpacked(self._told, self._path)
            setup = build()
            arm = setup.make_arm()
            self._made = arm, setup.make_pilot(arm), setup.make_task(), wanted
        arm, pilot, task, wanted = self._made
        (seed,) = seeds
        heard = _Listener()
        try:
            run_episode(arm, pilot, task, [heard], seed=seed)
        except VibrissaError as error:  # told when its turn comes, which may be never
            return heard.played(seed, wanted, error)
        return heard.played(seed, wanted)


class _Listener:
    """Copies what it is told: an arm's pictures and numbers are its own until the next tick."""

    def __init__(self) -> None:
        self._start: Start | None = None
        self._steps: list[Step] = []
        self._episode: Episode | None = None

    def on_start(self, start: Start) -> None:
        self._start = start

    def on_step(self, step: Step) -> None:
        self._steps.append(_copied(step))

    def on_end(self, episode: Episode) -> None:
        self._episode = episode

    def played(self, seed: int, wanted: Wanted, error: VibrissaError | None = None) -> Played:
        keep = self._episode is not None and wanted(self._episode)
        steps = tuple(self._steps) if keep else ()
        return Played(seed, self._start, steps, self._episode, error)


def _copied(step: Step) -> Step:
    """What a recorder takes of it; no history, and nothing that only judges may read."""
    seen, decision = step.observation, step.decision
    images: dict[str, Picture] = {name: picture.copy() for name, picture in seen.images.items()}
    observation = Observation(
        seen.tick,
        seen.time_s,
        seen.state.copy(),
        seen.privileged.copy(),
        images,
        dict(seen.captured_s),
        dict(seen.sequence),
        dict(seen.health),
        sim_state=seen.sim_state.copy(),
    )
    asked = Decision(decision.action.copy(), decision.source)
    return Step(observation, asked, step.sent.copy(), step.wall_time_s)
