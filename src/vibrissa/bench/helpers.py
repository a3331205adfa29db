"""Processes that stand ready: loaded once, lent to one evaluation after another.

A helper that judges a checkpoint loads torch and LeRobot first, which takes many seconds. So it is
begun before there is work (`prepare`), loads while this process does the same, and stays for the
next evaluation of this command. All end with this process.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler

from vibrissa.bench.evaluate import Setup, Watch, evaluate
from vibrissa.control.clock import settle_memory
from vibrissa.core.errors import OutOfMemory, VibrissaError
from vibrissa.core.protocols import Arm, Observer

AHEAD = 2  # seeds a helper has waiting, so that it need not wait for its parent
KEPT_SETUPS = 4  # with their policies, by a helper that may be asked for them again
POLICIES = ("vibrissa.learn.policy",)  # what judging a checkpoint loads
READY, DONE = "ready", "done"


class WorkerLost(VibrissaError):
    """A worker process is gone, or has no memory left; the rows it gave before are kept."""


def no_memory(error: MemoryError) -> str:
    """What to say where there is none left: what asked for it, if it told, and what needs less."""
    told = error if isinstance(error, OutOfMemory) else "there is no memory left to judge with."
    return f"{told} Fewer at a time need less: vibrissa eval --workers 1 --slots 1."


@dataclass
class Helper:
    """A process and our end of the pipe to it.

    told_end: it was told that no seed is left.
    """

    process: BaseProcess
    pipe: Connection
    told_end: bool = False

    def begin(self, work: bytes) -> None:
        """Hand it what to judge (see `packed`); its answer is how many seeds it wants."""
        self.told_end = False
        self.pipe.send_bytes(work)

    def end(self) -> None:
        """End it, whatever it is at."""
        if self.process.is_alive():
            self.process.terminate()
        self.process.join()
        self.pipe.close()


_standing: list[Helper] = []  # begun and not lent, ready or still loading


def prepare(count: int, load: Sequence[str] = ()) -> None:
    """See to it that `count` helpers stand, new ones loading the modules `load` right away.

    Fewer where the system begins no more of them (memory, processes): this one does their work.
    """
    with suppress(OSError):
        while len(_standing) < count:
            _standing.append(_begun(tuple(load)))


def standing() -> int:
    """How many are begun and not lent."""
    return len(_standing)


def loaded() -> int:
    """How many of these have nothing left to load."""
    return sum(helper.pipe.poll() for helper in _standing)


def lend(most: int) -> list[Helper]:
    """At most `most` of those that have loaded. One that died of it is not missed."""
    lent: list[Helper] = []
    for helper in list(_standing):
        loaded = _has_loaded(helper) if len(lent) < most else None
        if loaded is None:
            continue
        _standing.remove(helper)
        if loaded:
            lent.append(helper)
        else:
            helper.end()
    return lent


def _has_loaded(helper: Helper) -> bool | None:
    """None where it is still at it, False where it broke down."""
    try:
        return helper.pipe.recv() == READY if helper.pipe.poll() else None
    except (EOFError, OSError):
        return False


def give_back(helper: Helper) -> None:
    """It has said DONE, and may be lent again; its next word is READY."""
    _standing.append(helper)


def dismiss() -> None:
    """End all that stand."""
    while _standing:
        _standing.pop().end()


def packed(build: Callable[[], Setup], watches: Sequence[Watch]) -> bytes:
    """Work, for `Helper.begin`: what makes the setup, and who else watches."""
    made = bytes(ForkingPickler.dumps(build))
    return bytes(ForkingPickler.dumps((made, tuple(watches), os.getcwd())))


def watching(watches: Sequence[Watch]) -> Watch | None:
    """One watch for all of them."""

    def watch(seed: int, arm: Arm) -> list[Observer]:
        return [observer for each in watches for observer in each(seed, arm)]

    return watch if watches else None


def _begun(load: tuple[str, ...]) -> Helper:
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, load), daemon=True)
    try:
        with _no_ctrl_c():
            process.start()
    except OSError:
        pipe.close()
        raise
    finally:
        theirs.close()
    return Helper(process, pipe)


@contextmanager
def _no_ctrl_c() -> Iterator[None]:
    """What is begun here never hears of Ctrl-C: it is the parent's, who ends its helpers."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, load: tuple[str, ...]) -> None:
    """The life of one helper: load, then one piece of work after another."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    setups: dict[bytes, Setup] = {}
    try:
        for module in load:
            importlib.import_module(module)
        while True:
            pipe.send(READY)
            made, watches, folder = pickle.loads(pipe.recv_bytes())
            os.chdir(folder)
            _work(pipe, _setup(made, setups), watches)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone: nobody wants a row
    except MemoryError as error:
        pipe.send(WorkerLost(no_memory(error)))
    except VibrissaError as error:
        pipe.send(error)
    except BaseException:
        pipe.send(RuntimeError("an evaluation worker failed:\n" + traceback.format_exc()))
        raise


def _work(pipe: Connection, setup: Setup, watches: Sequence[Watch]) -> None:
    """Ask for seeds, send a row for each until there are no more, and say DONE."""
    settle_memory()
    pipe.send(setup.slots + AHEAD)
    for row in evaluate(setup, iter(pipe.recv, None), watching(watches)):
        pipe.send(row)
    pipe.send(DONE)


def _setup(made: bytes, setups: dict[bytes, Setup]) -> Setup:
    """The setup of these bytes, kept for when it is asked for again."""
    if made not in setups:
        while len(setups) >= KEPT_SETUPS:
            del setups[next(iter(setups))]
        setups[made] = pickle.loads(made)()
    return setups[made]
