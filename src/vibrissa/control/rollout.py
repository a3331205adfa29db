"""The control loop. There is one, and every command runs it.

`rollout` is a generator: once a tick it yields the observation that a policy must answer, or
None. So one driver serves one episode, another serves many simulated arms with one batched
inference, and a third lets inference run behind the arm's back, all through the same code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.clock import Clock, FreeClock
from vibrissa.control.meter import Laps, NoLaps
from vibrissa.core.episode import Episode, Observation, Outcome, Reason, Start, Step
from vibrissa.core.errors import VibrissaError
from vibrissa.core.protocols import Arm, Observer, Pilot, Simulated, Task


@dataclass(frozen=True)
class Answer:
    """A policy's chunk (K, A) for the observation of `asked_tick`."""

    chunk: NDArray[np.float32]
    asked_tick: int
    latency_s: float = 0.0


Rollout = Generator[Observation | None, Answer | None, Episode]


@dataclass
class _Count:
    """How far an episode has come, for whoever has to tell its end."""

    ticks: int = 0


def rollout(
    arm: Arm,
    pilot: Pilot,
    task: Task,
    observers: Sequence[Observer] = (),
    *,
    seed: int = 0,
    clock: Clock | None = None,
    laps: Laps | None = None,
    led_on: bool = False,
    wall_time: Callable[[], float] = time.time,
) -> Rollout:
    """One episode, to be driven by `drive.run_episode` or `drive.run_many`.

    Whatever ends it (a verdict, the time limit, Ctrl-C, any exception), the arm is told to hold
    and every observer that was started is told the end, even if another one raised. Exceptions
    go on to the caller afterwards. No memory left is no fault of the episode's: it is aborted.
    `laps` stops the time of every phase. An arm that is `led_on`, by somebody who goes on leading
    it, is told to hold only where something went wrong.
    """
    clock, laps = clock or FreeClock(), laps or NoLaps()
    start = Start(arm.contract, task.name, task.instruction, seed, arm.scene)
    began_s, count, started = time.perf_counter(), _Count(), []
    error: BaseException | None = None
    reason: Reason
    task.reset()
    try:
        arm.reset(seed)
        if isinstance(arm, Simulated):
            start = replace(start, sampled=arm.sampled, sim_state=arm.sim_state)
        pilot.reset(seed)
        for observer in observers:
            started.append(observer)
            observer.on_start(start)
        clock.start()
        laps.start()
        reason = yield from _ticks(arm, pilot, task, observers, clock, laps, wall_time, count)
    except (KeyboardInterrupt, GeneratorExit, MemoryError) as stop:
        reason, error = "aborted", stop
    except BaseException as fault:
        reason, error = "fault", fault
    outcome = _outcome(task, reason, count, error, laps)
    episode = Episode(start, outcome, time.perf_counter() - began_s)
    _leave(None if led_on and error is None else arm, started, episode, error)
    return episode


def _ticks(
    arm: Arm,
    pilot: Pilot,
    task: Task,
    observers: Sequence[Observer],
    clock: Clock,
    laps: Laps,
    wall_time: Callable[[], float],
    count: _Count,
) -> Generator[Observation | None, Answer | None, Reason]:
    """Observe, decide, send, tell, wait, observe, judge; until there is a verdict."""
    contract = arm.contract
    observation = arm.observe()
    verdict = task.judge(observation)
    laps.lap("observe")
    while verdict is None and count.ticks < task.max_ticks:
        answer = yield pilot.asks(observation)
        laps.lap("infer")
        if answer is not None:
            pilot.take(answer.chunk, answer.asked_tick, answer.latency_s)
        decision = pilot.decide(observation)
        laps.lap("decide")
        sent = arm.send(contract.check_action(decision.action))
        laps.lap("send")
        step = Step(observation, decision, sent, wall_time())
        count.ticks += 1
        for observer in observers:
            observer.on_step(step)
        laps.lap("observers")
        laps.waited(clock.wait())
        observation = arm.observe()
        verdict = task.judge(observation)
        laps.lap("observe")
    return verdict or "timeout"


def _outcome(
    task: Task, reason: Reason, count: _Count, error: BaseException | None, laps: Laps
) -> Outcome:
    detail = f"{type(error).__name__}: {error}" if error is not None else ""
    measures = {**task.measures(), **laps.measures()}
    return Outcome(reason, count.ticks, task.failure_class(reason), detail, measures)


def _leave(
    arm: Arm | None, observers: Sequence[Observer], episode: Episode, error: BaseException | None
) -> None:
    """Hold, tell everybody, then raise what went wrong first; later troubles become its notes."""
    leaving: list[Callable[[], None]] = [arm.hold] if arm is not None else []
    leaving += [lambda o=observer: o.on_end(episode) for observer in observers]
    for leave in leaving:
        try:
            leave()
        except BaseException as trouble:
            if error is None:
                error = trouble
            else:
                named = "" if isinstance(trouble, VibrissaError) else f"{type(trouble).__name__}: "
                error.add_note(f"and while leaving: {named}{trouble}")
    if error is not None:
        raise error
