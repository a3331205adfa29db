"""Who serves a rollout with chunks: one episode, many at once, or one that must not wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.clock import Clock
from vibrissa.control.meter import Laps
from vibrissa.control.rollout import Answer, Rollout, rollout
from vibrissa.control.slots import Finished, Slots, fault_of, forget, in_turns, look, side_by_side
from vibrissa.core.episode import Episode, Observation
from vibrissa.core.errors import PolicyFault, VibrissaError
from vibrissa.core.protocols import Arm, Observer, Pilot, Policy, Task

HANGS_S = 5.0  # how long the end of an episode waits for an inference that is on its way


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
    led_on: bool = False,
) -> Episode:
    """One episode from start to end; inference happens within the tick that asks for it."""

    def start(_slot: int, seed: int) -> Rollout:
        timed = {"seed": seed, "clock": clock, "laps": laps}
        return rollout(arm, pilot, task, observers, led_on=led_on, **timed)

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
    rows: int = 0,
    beside: bool = False,
) -> Iterator[Finished]:
    """Episodes for all `seeds`, `slots` of them side by side, as they finish.

    `start(slot, seed)` gives a rollout on that slot's own arm. The policy always sees `rows`
    observations (as many as slots unless given), whoever asks; which row an episode gets changes
    from one answer to the next. `beside`: inference runs in a thread, and the episodes that do
    not wait for it go on meanwhile; with twice as many slots as rows nobody is idle. A
    VibrissaError ends its own episode and is handed out as its result; anything else is a bug
    and goes up, after every other episode has been closed: each arm holds, whatever another one
    raises.
    """
    beside = beside and policy is not None
    running = Slots(seeds, start, policy, slots, looks=beside)
    try:
        if beside and policy is not None:
            yield from side_by_side(running, policy, rows or slots)
        else:
            yield from in_turns(running, policy, rows or slots)
    except BaseException as error:
        running.close(error)
        raise


def run_behind(episode: Rollout, policy: Policy) -> Episode:
    """One episode whose inference runs in a thread, while the arm plays the tail of its chunk.

    For arms that cannot wait. The pictures of a question are taken before it is handed over.
    The answer enters at the first tick after it is ready (see `ChunkPlayer`'s `lead`).
    """
    inference = _Inference(policy)
    try:
        if fault := forget(policy, 0):
            raise fault
        return _served(episode, policy, inference)
    except BaseException as error:
        episode.throw(error)  # struck here and not in the loop: the arm holds first
        raise
    finally:
        inference.close()


def _served(episode: Rollout, policy: Policy, inference: _Inference) -> Episode:
    """Play the episode to its end; a question is handed over, and its answer when it is ready."""
    asked_tick, asked_s, reply = 0, 0.0, None
    while True:
        try:
            question = episode.send(reply)
        except StopIteration as end:
            return end.value
        reply = None
        if question is not None:
            look(question, policy)
            asked_tick, asked_s = question.tick, time.perf_counter()
            inference.ask(question)
        answer = inference.answer()
        if isinstance(answer, (PolicyFault, MemoryError)):
            raise answer
        if answer is not None:
            reply = Answer(answer, asked_tick, time.perf_counter() - asked_s)


class _Inference:
    """One policy's answers, worked out in a thread that no program has to wait for at its end."""

    def __init__(self, policy: Policy):
        self._policy = policy
        self._questions: SimpleQueue[Observation | None] = SimpleQueue()
        self._answer: Future[NDArray[np.float32]] | None = None
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    def ask(self, question: Observation) -> None:
        if self._thread.ident is None:
            self._thread.start()
        self._answer = Future()
        self._questions.put(question)

    def answer(self) -> NDArray[np.float32] | PolicyFault | MemoryError | None:
        """The chunk (K, A), once, when it is ready; or why there is none."""
        if self._answer is None or not self._answer.done():
            return None
        answer, self._answer = self._answer, None
        try:
            return answer.result()[0]
        except MemoryError as error:  # the computer's trouble, and no failure of the policy
            return error
        except Exception as error:  # a policy is foreign code: its failure ends the episode
            return fault_of(error)

    def close(self) -> None:
        """Let the last inference end, so that two never run at once; one that hangs is left."""
        self._questions.put(None)
        if self._thread.ident is not None:
            self._thread.join(HANGS_S)

    def _run(self) -> None:
        while (question := self._questions.get()) is not None:
            answer = self._answer
            assert answer is not None
            try:
                answer.set_result(self._policy.act([question]))
            except BaseException as error:  # handed over: the loop must not wait for ever
                answer.set_exception(error)
