"""The same judging, on every core: worker processes that share one queue of seeds."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from typing import Any

from vibrissa.bench.evaluate import Rows, Setup, evaluate
from vibrissa.core.errors import VibrissaError

POLL_S = 1.0
WORTH_IT = 60  # episodes a worker: below, starting it costs more than it gains


def worth(episodes: int, cores: int) -> int:
    """How many workers pay for themselves; 1 means none beside this process."""
    return max(1, min(cores, episodes // WORTH_IT))


def evaluate_in_workers(build: Callable[[], Setup], seeds: Sequence[int], workers: int) -> Rows:
    """As `evaluate`, in `workers` processes; `build` is called in each and must be picklable.

    An episode depends on its seed alone, so the rows are those of one process in another order.
    Raises what a worker raised: a VibrissaError as itself, a bug as RuntimeError with its
    traceback.
    """
    context = multiprocessing.get_context("spawn")
    todo, done = context.Queue(), context.Queue()
    for seed in [*seeds, *[None] * workers]:
        todo.put(seed)
    team = [
        context.Process(target=_work, args=(build, todo, done), daemon=True) for _ in range(workers)
    ]
    try:
        for worker in team:
            worker.start()
        yield from _collect(done, team, len(seeds))
    finally:
        for worker in team:
            if worker.is_alive():
                worker.terminate()
        for worker in team:
            if worker.pid is not None:
                worker.join()
        for channel in (todo, done):
            channel.cancel_join_thread()
            channel.close()


def _collect(done: Any, team: Sequence[BaseProcess], expected: int) -> Rows:
    rows = 0
    while rows < expected:
        try:
            told = done.get(timeout=POLL_S)
        except queue.Empty:
            dead = [w.exitcode for w in team if w.exitcode not in (None, 0)]
            if dead:
                raise RuntimeError(f"an evaluation worker died (exit code {dead[0]}).") from None
            continue
        if isinstance(told, BaseException):
            raise told
        rows += 1
        yield told


def _work(build: Callable[[], Setup], todo: Any, done: Any) -> None:
    """The life of one worker. Ctrl-C is the parent's: it ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for row in evaluate(build(), iter(todo.get, None)):
            done.put(row)
    except VibrissaError as error:
        done.put(error)
    except BaseException:
        done.put(RuntimeError("an evaluation worker failed:\n" + traceback.format_exc()))
        raise
