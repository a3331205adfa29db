"""The control loop. There is one, and every command runs it.

`rollout` is a generator: once a tick it yields the observation that a policy must answer, or
None. So one driver serves one episode, another serves many simulated arms with one batched
inference, and a third lets inference run behind the arm's back, all through the same code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace

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


@dataclass(frozen=True)
class _Cast:
    """Who takes part in an episode."""

    arm: Arm
    pilot: Pilot
    task: Task
    observers: Sequence[Observer]
    clock: Clock
    laps: Laps
    wall_time: Callable[[], float]


@dataclass
class _Course:
    """How far an episode has come, for whoever has to report its end."""

    began_s: float
    start: Start | None = None
    ticks: int = 0
    started: list[Observer] = field(default_factory=list)


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

    Whatever ends it, from its making on (a verdict, the time limit, Ctrl-C, any exception, its
    driver that closes it before it began), the arm holds first; then every observer that was
    started gets the end, even if another one raised. Exceptions go on to the caller afterwards.
    No memory left is no fault of the episode's: it is aborted. `laps` stops the time of every
    phase. An arm that is `led_on`, by somebody who goes on leading it, holds only where something
    went wrong.
    """
    cast = _Cast(arm, pilot, task, observers, clock or FreeClock(), laps or NoLaps(), wall_time)
    promised = _promised(cast, seed, led_on)
    next(promised)  # nothing is done yet, but whatever ends it from now on makes the arm hold
    return promised


def each(
    leaving: Sequence[Callable[[], None]], error: BaseException | None
) -> BaseException | None:
    """Call every one of `leaving`, whatever it raises; what went wrong first, None if nothing did.

    `error` went wrong before; later troubles become its notes.
    """
    for leave in leaving:
        try:
            leave()
        except BaseException as trouble:
            error = _first(error, trouble)
    return error


def _promised(cast: _Cast, seed: int, led_on: bool) -> Rollout:
    """The whole episode and its end: hold, then everybody's `on_end`, then what went wrong."""
    course = _Course(time.perf_counter())
    error: BaseException | None = None
    reason: Reason = "fault"
    try:
        yield None
        reason = yield from _course(cast, seed, course)
    except (KeyboardInterrupt, GeneratorExit, MemoryError) as stop:
        reason, error = "aborted", stop
    except BaseException as fault:
        error = fault
    holds = error is not None or not led_on
    if holds:
        error = _hold(cast.arm, error)
    if course.start is None or (error is not None and not course.started):
        assert error is not None
        raise error  # nobody was started, so nobody waits for an end
    outcome, error = _outcome(cast, reason, course, error)
    episode = Episode(course.start, outcome, time.perf_counter() - course.began_s)
    error = each([lambda o=observer: o.on_end(episode) for observer in course.started], error)
    if error is not None:
        raise error if holds else _hold(cast.arm, error) or error
    return episode


def _course(
    cast: _Cast, seed: int, course: _Course
) -> Generator[Observation | None, Answer | None, Reason]:
    """Reset everybody, start the observers, then tick after tick."""
    arm, task = cast.arm, cast.task
    course.began_s = time.perf_counter()
    task.reset()
    start = Start(arm.contract, task.name, task.instruction, seed, arm.scene)
    arm.reset(seed)
    if isinstance(arm, Simulated):
        start = replace(start, sampled=arm.sampled, sim_state=arm.sim_state)
    course.start = start
    cast.pilot.reset(seed)
    for observer in cast.observers:
        course.started.append(observer)
        observer.on_start(start)
    cast.clock.start()
    cast.laps.start()
    return (yield from _ticks(cast, course))


def _ticks(cast: _Cast, course: _Course) -> Generator[Observation | None, Answer | None, Reason]:
    """Observe, decide, send, tell, wait, observe, judge; until there is a verdict."""
    arm, pilot, task, laps = cast.arm, cast.pilot, cast.task, cast.laps
    contract = arm.contract
    observation = arm.observe()
    verdict = task.judge(observation)
    laps.lap("observe")
    while verdict is None and course.ticks < task.max_ticks:
        answer = yield pilot.asks(observation)
        laps.lap("infer")
        if answer is not None:
            pilot.take(answer.chunk, answer.asked_tick, answer.latency_s)
        decision = pilot.decide(observation)
        laps.lap("decide")
        sent = arm.send(contract.check_action(decision.action))
        laps.lap("send")
        step = Step(observation, decision, sent, cast.wall_time())
        course.ticks += 1
        for observer in cast.observers:
            observer.on_step(step)
        laps.lap("observers")
        laps.waited(cast.clock.wait())
        observation = arm.observe()
        verdict = task.judge(observation)
        laps.lap("observe")
    return verdict or "timeout"


def _hold(arm: Arm, error: BaseException | None) -> BaseException | None:
    """Hold; once more where an impatient Ctrl-C broke it off."""
    trouble = each([arm.hold], None)
    if isinstance(trouble, KeyboardInterrupt):
        trouble = each([arm.hold], trouble)
    return error if trouble is None else _first(error, trouble)


def _outcome(
    cast: _Cast, reason: Reason, course: _Course, error: BaseException | None
) -> tuple[Outcome, BaseException | None]:
    """How it ended, and what went wrong first: a task that cannot say is a fault too."""
    try:
        measures = {**cast.task.measures(), **cast.laps.measures()}
        failure_class = cast.task.failure_class(reason)
    except BaseException as trouble:
        error, measures = _first(error, trouble), {}
        reason = "aborted" if reason == "aborted" else "fault"
        failure_class = reason.upper()
    detail = f"{type(error).__name__}: {error}" if error is not None else ""
    return Outcome(reason, course.ticks, failure_class, detail, measures), error


def _first(error: BaseException | None, trouble: BaseException) -> BaseException:
    """`error` with a later trouble as its note; the trouble itself where nobody would read that."""
    if error is None or isinstance(error, GeneratorExit):
        return trouble
    named = "" if isinstance(trouble, VibrissaError) else f"{type(trouble).__name__}: "
    error.add_note(f"and while leaving: {named}{trouble}")
    return error
