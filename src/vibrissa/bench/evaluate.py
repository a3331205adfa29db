"""Judging: a pilot tries the same task from many seeds, and every end becomes a row."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.bench.outcomes import Row, Spawn
from vibrissa.control.drive import Finished, run_many
from vibrissa.control.rollout import Rollout, rollout
from vibrissa.core.episode import Episode, Observation, Start, Step
from vibrissa.core.errors import VibrissaError
from vibrissa.core.protocols import Arm, Observer, Pilot, Policy, Task

Watch = Callable[[int, Arm], Sequence[Observer]]


class NotKept(VibrissaError):
    """What an observer saw of an episode cannot be kept; the episode's row is a row like any."""


@dataclass(frozen=True)
class Setup:
    """Who is judged, and where: makers of the arm, the task and the pilot of one slot.

    name: what the rows call the pilot. policy: who answers the pilot's questions, if it asks
    any; one for all slots. slots: how many arms stand side by side. rows: the size of every
    batch the policy sees, as many as slots unless given; with it, and not with the number of
    arms, an answer may change in its last bit. beside: inference in a thread (see `run_many`).
    A setup whose makers can be pickled can be handed to worker processes.
    """

    name: str
    make_arm: Callable[[], Arm]
    make_task: Callable[[], Task]
    make_pilot: Callable[[Arm], Pilot]
    policy: Policy | None = None
    slots: int = 1
    rows: int = 0
    beside: bool = False


Rows = Generator[Row, None, None]


def evaluate(setup: Setup, seeds: Iterable[int], watch: Watch | None = None) -> Rows:
    """One row for each seed, as the episodes end.

    A fault (NaN from the policy, an arm that cannot go on) ends its own episode and is a row of
    its own, so that nothing breaks in silence. `watch(seed, arm)` gives further observers of
    an episode. Whoever stops early keeps the rows so far; arms are closed in any case. Raises
    NotKept, after the row, where an observer had trouble at the end of a sound episode.
    """
    seats: dict[int, _Seat] = {}

    def start(slot: int, seed: int) -> Rollout:
        if slot not in seats:
            arm = setup.make_arm()
            seats[slot] = _Seat(arm, setup.make_task(), setup.make_pilot(arm), Meter(setup.name))
        seat = seats[slot]
        seat.meter.row = None
        observers = [seat.meter, *(watch(seed, seat.arm) if watch else ())]
        return rollout(seat.arm, seat.pilot, seat.task, observers, seed=seed)

    shape = {"slots": setup.slots, "rows": setup.rows, "beside": setup.beside}
    episodes = run_many(seeds, start, setup.policy, **shape)
    try:
        for finished in episodes:
            row = _row(finished, seats[finished.slot])
            yield row
            if isinstance(finished.result, VibrissaError) and row.reason != "fault":
                raise NotKept(str(finished.result)) from finished.result
    finally:
        episodes.close()  # type: ignore[attr-defined]
        for seat in seats.values():
            seat.arm.close()


class Meter:
    """Watches one episode and makes its row."""

    def __init__(self, pilot: str):
        self.pilot = pilot
        self.row: Row | None = None

    def on_start(self, start: Start) -> None:
        self.row = None
        self._spawn: Spawn | None = None
        self._latencies_s: list[float] = []
        self._sent: list[NDArray[np.float32]] = []  # (A,) each
        self._fresh: list[bool] = []  # whether a chunk began at this tick
        self._late = 0

    def on_step(self, step: Step) -> None:
        if step.observation.tick == 0:
            self._spawn = spawn_of(step.observation)
        if step.decision.chunk is not None:
            self._latencies_s.append(step.decision.latency_s)
        self._late += step.decision.late
        self._sent.append(step.sent)
        self._fresh.append(step.decision.chunk is not None)

    def on_end(self, episode: Episode) -> None:
        outcome, waits = episode.outcome, self._latencies_s
        low, high = _range(self._sent)
        jump, stride = jump_of(self._sent, self._fresh)
        self.row = Row(
            seed=episode.seed,
            pilot=self.pilot,
            task=episode.start.task,
            reason=outcome.reason,
            failure_class=outcome.failure_class or outcome.reason.upper(),
            ticks=outcome.ticks,
            spawn=self._spawn,
            measures={name: float(value) for name, value in outcome.measures.items()},
            inferences=len(waits),
            late=self._late,
            latency_s=(sum(waits) / len(waits), max(waits)) if waits else (0.0, 0.0),
            action_low=low,
            action_high=high,
            jump=jump,
            stride=stride,
            wall_s=round(episode.wall_s, 4),
            detail=outcome.detail,
            sampled=dict(episode.start.sampled),
        )


def jump_of(
    sent: Sequence[NDArray[np.float32]], fresh: Sequence[bool]
) -> tuple[float | None, float | None]:
    """How far actions (A,) move from a tick to the next: where a chunk begins, and elsewhere.

    Root mean squares over joints and ticks, in the arm's unit. Chunks that agree with what was
    played before them jump no farther than any other tick; ones that do not are seen as shaking.
    None for a kind of tick that there is not.
    """
    if len(sent) < 2:
        return None, None
    moved = np.square(np.diff(np.stack(sent).astype(np.float64), axis=0)).mean(axis=1)  # (T - 1,)
    begins = np.asarray(fresh[1:], np.bool_)
    return _root_mean(moved[begins]), _root_mean(moved[~begins])


def _root_mean(squares: NDArray[np.float64]) -> float | None:
    return round(float(np.sqrt(squares.mean())), 6) if squares.size else None


def _range(sent: Sequence[NDArray[np.float32]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The lowest and the highest of each entry of actions (A,); empty where none was sent."""
    if not sent:
        return (), ()
    actions = np.stack(sent)  # (T, A)
    low, high = actions.min(axis=0), actions.max(axis=0)
    return tuple(round(float(x), 4) for x in low), tuple(round(float(x), 4) for x in high)


def spawn_of(observation: Observation) -> Spawn | None:
    """Where the object stands, from the simulator's truth; None where nobody knows."""
    truth = observation.truth
    if "object_position" not in truth or "object_yaw" not in truth:
        return None
    x, y = truth["object_position"][:2]
    return round(float(x), 5), round(float(y), 5), round(float(truth["object_yaw"]), 5)


@dataclass(frozen=True)
class _Seat:
    """What one slot holds for all its episodes."""

    arm: Arm
    task: Task
    pilot: Pilot
    meter: Meter


def _row(finished: Finished, seat: _Seat) -> Row:
    row = seat.meter.row
    if row is not None and row.seed == finished.seed:
        return row
    # The fault came before anybody was told of a start: there is no episode, only its end.
    assert isinstance(finished.result, VibrissaError)
    detail = f"{type(finished.result).__name__}: {finished.result}"
    return Row(finished.seed, seat.meter.pilot, seat.task.name, "fault", "FAULT", 0, detail=detail)
