"""Episodes side by side: who can go on, who waits for an answer, and batches of one shape."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np

from vibrissa.control.rollout import Answer, Rollout, each
from vibrissa.core.episode import Episode, Observation
from vibrissa.core.errors import PolicyFault, UsageError, VibrissaError
from vibrissa.core.protocols import Policy

Reply = Answer | PolicyFault | None
Replies = dict[int, Answer | PolicyFault]  # slot → what it is answered
Batch = dict[int, Observation]  # slot → what it asks, in the order of the rows


@dataclass(frozen=True)
class Finished:
    """One seed's episode, or the fault that ended it."""

    seed: int
    slot: int
    result: Episode | VibrissaError


class Slots:
    """The episodes that are under way, one a slot, each either ready to go on or waiting.

    `start(slot, seed)` gives a rollout on that slot's own arm. With `looks`, the pictures that
    the policy wants are taken as soon as an episode asks, in the thread that runs it.
    """

    def __init__(
        self,
        seeds: Iterable[int],
        start: Callable[[int, int], Rollout],
        policy: Policy | None,
        slots: int,
        *,
        looks: bool = False,
    ):
        self._seeds, self._start, self._policy, self._looks = iter(seeds), start, policy, looks
        self._free = deque(range(slots))
        self._live: dict[int, tuple[int, Rollout]] = {}
        self._ready: deque[tuple[int, Reply]] = deque()
        self._asked: Batch = {}

    def find_ready(self) -> bool:
        """Whether any episode can go on; where none can, the next seed's is begun."""
        return bool(self._ready) or self._begin()

    @property
    def asked(self) -> int:
        """How many episodes wait for an answer."""
        return len(self._asked)

    def go_on(self) -> Iterator[Finished]:
        """Run the one that is ready longest up to its next question, or to its end: given out."""
        slot, reply = self._ready.popleft()
        seed, episode = self._live[slot]
        try:
            if isinstance(reply, PolicyFault):
                episode.throw(reply)
            question = episode.send(reply if isinstance(reply, Answer) else None)
            while question is None:
                question = episode.send(None)
            if self._looks and self._policy is not None:
                self._look(episode, question)
            self._asked[slot] = question
            return
        except StopIteration as end:
            result = end.value
        except VibrissaError as fault:
            result = fault
        del self._live[slot]
        self._free.appendleft(slot)
        yield Finished(seed, slot, result)

    def take(self, rows: int) -> Batch:
        """At most `rows` questions, the oldest first; they count as asked no longer."""
        return {slot: self._asked.pop(slot) for slot in list(self._asked)[:rows]}

    def answer(self, batch: Batch, replies: Replies) -> None:
        """Who asked can go on, or learns that the policy broke on its question."""
        self._ready.extend((slot, replies[slot]) for slot in batch)

    def close(self, error: BaseException) -> None:
        """End whatever is under way, as aborted, because of `error`, which the caller raises.

        Every arm holds, whatever another one's end raises: that becomes a note of `error`, and is
        raised where nobody would read it.
        """
        trouble = each([episode.close for _, episode in self._live.values()], error)
        if trouble is not None and trouble is not error:
            raise trouble

    def _begin(self) -> bool:
        """Give a free slot the next seed, if there is any."""
        if not self._free:
            return False
        seed = next(self._seeds, None)
        if seed is None:
            self._free.clear()
            return False
        slot = self._free.popleft()
        self._live[slot] = (seed, self._start(slot, seed))
        self._ready.append((slot, forget(self._policy, slot)))
        return True

    def _look(self, episode: Rollout, question: Observation) -> None:
        try:
            look(question, self._policy)
        except BaseException as fault:  # the episode's to report, and its arm holds first
            episode.throw(fault)


def in_turns(slots: Slots, policy: Policy | None, rows: int) -> Iterator[Finished]:
    """Episodes and inference take turns: an inference as soon as a batch is full."""
    while True:
        if slots.asked < rows and slots.find_ready():
            yield from slots.go_on()
        elif slots.asked:
            batch = slots.take(rows)
            slots.answer(batch, infer(policy, batch, rows))
        else:
            return


def side_by_side(slots: Slots, policy: Policy, rows: int) -> Iterator[Finished]:
    """Inference in a thread, while the episodes that do not wait for it go on.

    Which episodes share a batch then depends on time; what a row gets does not depend on that.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="inference") as thread:
        try:
            yield from _beside(slots, policy, rows, thread)
        except BaseException as error:
            slots.close(error)  # before the inference under way is waited for
            raise


def _beside(
    slots: Slots, policy: Policy, rows: int, thread: ThreadPoolExecutor
) -> Iterator[Finished]:
    under_way: tuple[Batch, Future[Replies]] | None = None
    while True:
        if under_way is not None and under_way[1].done():
            slots.answer(under_way[0], under_way[1].result())
            under_way = None
        if under_way is None and (slots.asked >= rows or (slots.asked and not slots.find_ready())):
            batch = slots.take(rows)
            under_way = batch, thread.submit(infer, policy, batch, rows)
        if slots.find_ready():
            yield from slots.go_on()
        elif under_way is not None:
            wait([under_way[1]])
        elif not slots.asked:
            return


def infer(policy: Policy | None, batch: Batch, rows: int) -> Replies:
    """One inference at the fixed shape (rows, …). Where it fails, each question is asked once more
    alone: what breaks on one observation costs that episode, and none beside it.

    A row nobody asked for repeats the first one, and its answer is thrown away.
    """
    if policy is None:
        raise UsageError("this pilot asks for chunks, and there is no policy to answer.")
    questions = list(batch.values())
    began_s = time.perf_counter()
    try:
        chunks = policy.act([*questions, *[questions[0]] * (rows - len(questions))])
    except MemoryError:
        raise  # the computer's trouble, and of every episode to come
    except Exception as error:  # a policy is foreign code: its failure is a fault, not ours
        return _alone(policy, batch, rows, error)
    if np.ndim(chunks) != 3 or len(chunks) != rows:
        shape = PolicyFault(f"chunks of shape {np.shape(chunks)}; wanted ({rows}, K, A).")
        return dict.fromkeys(batch, shape)
    latency_s = time.perf_counter() - began_s
    return {
        slot: Answer(chunks[row], seen.tick, latency_s)
        for row, (slot, seen) in enumerate(batch.items())
    }


def _alone(policy: Policy, batch: Batch, rows: int, error: Exception) -> Replies:
    """Each question by itself, after the policy raised `error` on all of them.

    Where none of them fails alone, nobody knows whose fault it was, and it is everybody's.
    """
    faults: Replies = {slot: fault_of(error) for slot in batch}
    if len(batch) == 1:
        return faults
    replies: Replies = {}
    for slot, question in batch.items():
        replies |= infer(policy, {slot: question}, rows)
    return replies if any(isinstance(r, PolicyFault) for r in replies.values()) else faults


def forget(policy: Policy | None, slot: int) -> PolicyFault | None:
    """The policy begins anew in this slot; why it cannot, which is its episode's to report."""
    try:
        if policy is not None:
            policy.reset([slot])
    except MemoryError:
        raise  # the computer's trouble, and of every episode to come
    except Exception as error:  # a policy is foreign code: its failure is a fault, not ours
        return fault_of(error)
    return None


def fault_of(error: Exception) -> PolicyFault:
    """What a policy raised, as the fault it is."""
    if isinstance(error, PolicyFault):
        return error
    fault = PolicyFault(f"the policy raised {type(error).__name__}: {error}")
    fault.__cause__ = error
    return fault


def look(question: Observation, policy: Policy | None) -> None:
    """Take the pictures that `policy` will want of it."""
    for name in policy.contract.camera_names if policy is not None else ():
        question.images[name]
