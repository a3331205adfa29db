"""The same judging on every core: this process and helpers beside it, each with its own arms."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from queue import Empty, SimpleQueue
from typing import Any

from vibrissa.bench.evaluate import Rows, Setup, Watch, evaluate
from vibrissa.bench.outcomes import Row
from vibrissa.control.clock import settle_memory
from vibrissa.core.errors import VibrissaError
from vibrissa.core.protocols import Arm, Observer

POLL_S = 0.2
AHEAD = 2  # seeds a helper has waiting, so that it need not wait for this process
# Episodes a process: below, the seconds that a helper takes to start are worth more.
WORTH_SCRIPTED, WORTH_STATE, WORTH_CAMERAS = 60, 150, 10
NEED_SCRIPTED_BYTES, NEED_POLICY_BYTES = 300_000_000, 1_600_000_000  # of one more process


class WorkerLost(VibrissaError):
    """A worker process is gone, or has no memory left; the rows it gave before are kept."""


def worth(episodes: int, cores: int, setup: Setup | None = None) -> int:
    """How many processes pay for themselves; 1 means none beside this one."""
    least = WORTH_SCRIPTED
    if setup is not None and setup.policy is not None:
        least = WORTH_CAMERAS if setup.policy.contract.cameras else WORTH_STATE
    return max(1, min(cores, episodes // least))


def affordable(setup: Setup) -> int:
    """How many processes there are cores and memory for, this one included.

    A policy on a GPU is served by one: its arms need little beside it.
    """
    import psutil

    cores = psutil.Process().cpu_affinity() if hasattr(psutil.Process, "cpu_affinity") else None
    need = NEED_SCRIPTED_BYTES if setup.policy is None else NEED_POLICY_BYTES
    most = 1 + psutil.virtual_memory().available // need
    return max(1, min(len(cores) if cores else os.cpu_count() or 1, int(most)))


def can_travel(*what: object) -> bool:
    """Whether it can be handed to another process; closures cannot."""
    try:
        ForkingPickler.dumps(what)
    except (pickle.PicklingError, AttributeError, TypeError, VibrissaError):
        return False
    return True


def watching(watches: Sequence[Watch]) -> Watch | None:
    """One watch for all of them."""

    def watch(seed: int, arm: Arm) -> list[Observer]:
        return [observer for each in watches for observer in each(seed, arm)]

    return watch if watches else None


def itself(setup: Setup) -> Setup:
    """What `evaluate_in_workers` calls in each process, for a setup that can travel."""
    return setup


def evaluate_in_workers(
    build: Callable[[], Setup], seeds: Sequence[int], workers: int, watches: Sequence[Watch] = ()
) -> Rows:
    """As `evaluate`, in `workers` processes of which this is one; `build` is called in each.

    This one begins at once, the helpers join when they have started. An episode depends on its
    seed alone, so the rows are those of one process in another order. Raises what a helper
    raised: a VibrissaError as itself, a bug as RuntimeError with its traceback; WorkerLost where
    one was killed or ran out of memory.
    """
    crew = _Crew(build, seeds, workers - 1, watches)
    own = evaluate(build(), crew.seeds(), watching(watches))
    left = len(seeds)
    try:
        crew.start()
        for row in own:
            left -= 1
            yield row
            for other in crew.arrived():
                left -= 1
                yield other
        while left:
            yield crew.next_row()
            left -= 1
    except MemoryError:
        raise WorkerLost(NO_MEMORY) from None
    finally:
        own.close()
        crew.close()


NO_MEMORY = "there is no memory left to judge with. Take fewer: --workers 1, --slots 1."


@dataclass
class _Helper:
    """A worker process and our end of the pipe to it."""

    process: BaseProcess
    pipe: Connection
    told_end: bool = False


class _Crew:
    """The helpers, the seeds that nobody has begun yet, and the rows that have come.

    Each helper has a pipe of its own and no lock is shared: one that is killed holds nobody up.
    A thread hands out seeds and takes rows, so that no helper waits for an episode of ours.
    """

    def __init__(
        self,
        build: Callable[[], Setup],
        seeds: Sequence[int],
        helpers: int,
        watches: Sequence[Watch],
    ):
        self._build, self._count, self._watches = build, helpers, tuple(watches)
        self._todo, self._lock = deque(seeds), threading.Lock()
        self._told: SimpleQueue[Row | BaseException] = SimpleQueue()
        self._team: list[_Helper] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="helpers", daemon=True)

    def start(self) -> None:
        """Start the helpers; their first message asks for seeds."""
        context = multiprocessing.get_context("spawn")
        for _ in range(self._count):
            pipe, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._team.append(_Helper(process, pipe))
            pipe.send((self._build, self._watches))
        self._thread.start()

    def seeds(self) -> Iterator[int]:
        """Those that this process takes."""
        while (seed := self._next_seed()) is not None:
            yield seed

    def arrived(self) -> Iterator[Row]:
        """The rows that have come by now. Raises what a helper raised."""
        while True:
            try:
                told = self._told.get_nowait()
            except Empty:
                return
            yield _row(told)

    def next_row(self) -> Row:
        """The next row, waited for."""
        return _row(self._told.get())

    def close(self) -> None:
        """End the helpers, whatever they are at."""
        self._over.set()
        for helper in self._team:
            if helper.process.is_alive():
                helper.process.terminate()
        if self._thread.is_alive():
            self._thread.join()
        for helper in self._team:
            helper.process.join()
            helper.pipe.close()

    def _next_seed(self) -> int | None:
        with self._lock:
            return self._todo.popleft() if self._todo else None

    def _serve(self) -> None:
        """The thread's life: until all is over, or nobody is left."""
        team = {helper.pipe: helper for helper in self._team}
        while team and not self._over.is_set():
            for pipe in wait(list(team), timeout=POLL_S):
                helper = team[pipe]  # type: ignore[index]
                if not self._hear(helper):
                    del team[helper.pipe]

    def _hear(self, helper: _Helper) -> bool:
        """One message of a helper, answered with seeds; False where it was the last."""
        try:
            told: Any = helper.pipe.recv()
            if isinstance(told, BaseException):
                self._told.put(told)
                return False
            if isinstance(told, Row):
                self._told.put(told)
            self._supply(helper, told if isinstance(told, int) else 1)
        except (EOFError, OSError):
            helper.process.join()
            if helper.process.exitcode != 0 and not self._over.is_set():
                self._told.put(WorkerLost(_how_it_ended(helper.process.exitcode)))
            return False
        return True

    def _supply(self, helper: _Helper, count: int) -> None:
        for _ in range(count):
            if helper.told_end:
                return
            seed = self._next_seed()
            helper.told_end = seed is None
            helper.pipe.send(seed)


def _row(told: Row | BaseException) -> Row:
    if isinstance(told, BaseException):
        raise told
    return told


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        memory = " (out of memory, most likely)" if name == "SIGKILL" else ""
        how = f"was killed by {name}{memory}"
    else:
        how = f"ended by itself (exit code {code})"
    return f"a worker process {how}. Take fewer: --workers 1."


def _work(pipe: Connection) -> None:
    """The life of one helper. Ctrl-C is the parent's: it ends its helpers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        build, watches = pipe.recv()
        setup = build()
        settle_memory()
        pipe.send(setup.slots + AHEAD)
        for row in evaluate(setup, iter(pipe.recv, None), watching(watches)):
            pipe.send(row)
    except (EOFError, BrokenPipeError):
        return  # the parent is gone: nobody wants a row
    except VibrissaError as error:
        pipe.send(error)
    except MemoryError:
        pipe.send(WorkerLost(NO_MEMORY))
    except BaseException:
        pipe.send(RuntimeError("an evaluation worker failed:\n" + traceback.format_exc()))
        raise
