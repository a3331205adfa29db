"""Who serves a rollout with chunks: one episode, many at once, or one that must not wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.clock import Clock
from vibrissa.control.meter import Laps
from vibrissa.control.rollout import Answer, Rollout, rollout
from vibrissa.core.episode import Episode, Observation
from vibrissa.core.errors import PolicyFault, UsageError, VibrissaError
from vibrissa.core.protocols import Arm, Observer, Pilot, Policy, Task


@dataclass(frozen=True)
class Finished:
    """One seed's episode, or the fault that ended it."""

    seed: int
    slot: int
    result: Episode | VibrissaError


def run_episode(
    arm: Arm,
    pilot: Pilot,
    task: Task,
    observers: Sequence[Observer] = (),
    *,
    seed: int = 0,
    policy: Policy | None = None,
    clock: Clock | None = None,
    laps: Laps | None = None,
) -> Episode:
    """One episode from start to end; inference happens within the tick that asks for it."""

    def start(_slot: int, seed: int) -> Rollout:
        return rollout(arm, pilot, task, observers, seed=seed, clock=clock, laps=laps)

    result = next(run_many([seed], start, policy)).result
    if isinstance(result, VibrissaError):
        raise result
    return result


def run_many(
    seeds: Iterable[int],
    start: Callable[[int, int], Rollout],
    policy: Policy | None = None,
    *,
    slots: int = 1,
) -> Iterator[Finished]:
    """Episodes for all `seeds`, `slots` of them side by side, as they finish.

    `start(slot, seed)` gives a rollout on that slot's own arm. The policy always sees `slots`
    observations, slot i in row i; a row nobody asked for repeats one that was asked, and its
    answer is thrown away. A VibrissaError ends its own episode and is handed out as its result;
    anything else is a bug and goes up, after every other episode has been closed.
    """
    waiting = iter(seeds)
    live: dict[int, tuple[int, Rollout]] = {}
    asked: dict[int, Observation] = {}
    try:
        while True:
            for slot in range(slots):
                while slot not in asked and _begin(slot, waiting, live, start, policy):
                    yield from _go_on(slot, live, asked, None)
            if not asked:
                return
            answers = _infer(policy, asked, slots)
            for slot in list(asked):
                del asked[slot]
                reply = answers if isinstance(answers, PolicyFault) else answers[slot]
                yield from _go_on(slot, live, asked, reply)
    finally:
        for _, episode in live.values():
            episode.close()


def run_behind(episode: Rollout, policy: Policy) -> Episode:
    """One episode whose inference runs in a thread, while the arm plays the tail of its chunk.

    For arms that cannot wait. The pictures of a question are taken before it is handed over.
    The answer enters at the first tick after it is ready (see `ChunkPlayer`'s `lead`).
    """
    pending: Future[NDArray[np.float32]] | None = None
    asked_tick, asked_s, reply = 0, 0.0, None
    policy.reset([0])
    with ThreadPoolExecutor(1, thread_name_prefix="inference") as pool:
        while True:
            try:
                question = episode.send(reply)
            except StopIteration as end:
                return end.value
            reply = None
            if question is not None:
                _look(question, policy)
                asked_tick, asked_s = question.tick, time.perf_counter()
                pending = pool.submit(policy.act, [question])
            if pending is not None and pending.done():
                try:
                    chunk = pending.result()[0]
                except Exception as error:  # a policy is foreign code: its failure ends the episode
                    episode.throw(_fault(error))
                    raise AssertionError("an episode went on after a fault") from error
                reply, pending = Answer(chunk, asked_tick, time.perf_counter() - asked_s), None


def _begin(
    slot: int,
    waiting: Iterator[int],
    live: dict[int, tuple[int, Rollout]],
    start: Callable[[int, int], Rollout],
    policy: Policy | None,
) -> bool:
    """Make sure that `slot` has an episode; False when there is none left to run."""
    if slot in live:
        return True
    seed = next(waiting, None)
    if seed is None:
        return False
    if policy is not None:
        policy.reset([slot])
    live[slot] = (seed, start(slot, seed))
    return True


def _go_on(
    slot: int,
    live: dict[int, tuple[int, Rollout]],
    asked: dict[int, Observation],
    reply: Answer | PolicyFault | None,
) -> Iterator[Finished]:
    """Run the slot's episode up to its next question or to its end, which is handed out."""
    seed, episode = live[slot]
    try:
        if isinstance(reply, PolicyFault):
            episode.throw(reply)
        question = episode.send(reply if isinstance(reply, Answer) else None)
        while question is None:
            question = episode.send(None)
        asked[slot] = question
    except StopIteration as end:
        del live[slot]
        yield Finished(seed, slot, end.value)
    except VibrissaError as fault:
        del live[slot]
        yield Finished(seed, slot, fault)


def _infer(
    policy: Policy | None, asked: dict[int, Observation], slots: int
) -> dict[int, Answer] | PolicyFault:
    """One inference at the fixed shape (slots, …); a failure is a fault of everyone asked."""
    if policy is None:
        raise UsageError("this pilot asks for chunks, and there is no policy to answer.")
    filler = next(iter(asked.values()))
    began_s = time.perf_counter()
    try:
        chunks = policy.act([asked.get(slot, filler) for slot in range(slots)])
    except Exception as error:  # a policy is foreign code: its failure is a fault, not ours
        return _fault(error)
    if np.ndim(chunks) != 3 or len(chunks) != slots:
        return PolicyFault(f"chunks of shape {np.shape(chunks)}; wanted ({slots}, K, A).")
    latency_s = time.perf_counter() - began_s
    return {slot: Answer(chunks[slot], o.tick, latency_s) for slot, o in asked.items()}


def _fault(error: Exception) -> PolicyFault:
    if isinstance(error, PolicyFault):
        return error
    fault = PolicyFault(f"the policy raised {type(error).__name__}: {error}")
    fault.__cause__ = error
    return fault


def _look(question: Observation, policy: Policy) -> None:
    for name in policy.contract.camera_names:
        question.images[name]
