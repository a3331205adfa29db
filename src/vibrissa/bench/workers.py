"""The same judging on every core: this process and helpers beside it, each with its own arms."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from queue import Empty, SimpleQueue
from typing import Any

from vibrissa.bench import helpers
from vibrissa.bench.evaluate import Rows, Setup, Watch, evaluate
from vibrissa.bench.helpers import DONE, Helper, WorkerLost, no_memory, watching
from vibrissa.bench.outcomes import Row
from vibrissa.core.errors import VibrissaError

POLL_S = 0.1
LEAVE_S = 2.0  # how long helpers that have no seed left may take to say so
# Episodes a process: below, the seconds that a helper takes to start are worth more.
WORTH_SCRIPTED, WORTH_STATE, WORTH_CAMERAS = 60, 150, 10
WORTH_STANDING = 8  # for one that was begun before: it has loaded, or soon will have
NEED_SCRIPTED_BYTES, NEED_POLICY_BYTES = 300_000_000, 1_600_000_000  # of one more process


def prepare(episodes: int, workers: int = 0) -> None:
    """Begin the helpers with which a checkpoint will be judged: they load while this process does.

    workers: how many processes were asked for; 0 takes what suits.
    """
    count = workers or min(episodes // WORTH_STANDING, _room(NEED_POLICY_BYTES))
    helpers.prepare(count - 1, helpers.POLICIES)


def worth(episodes: int, cores: int, setup: Setup | None = None) -> int:
    """How many processes pay for themselves; 1 means none beside this one."""
    least = WORTH_SCRIPTED
    if setup is not None and setup.policy is not None:
        least = WORTH_CAMERAS if setup.policy.contract.cameras else WORTH_STATE
    begun = min(1 + helpers.standing(), episodes // WORTH_STANDING)
    return max(1, min(cores, max(begun, episodes // least)))


def affordable(setup: Setup) -> int:
    """How many processes there are cores and memory for, this one included.

    A GPU must have room for the copies of the policy, too.
    """
    if setup.policy is None:
        return _room(NEED_SCRIPTED_BYTES)
    copies = getattr(setup.policy, "room_for_copies", None)  # of CheckpointPolicy
    room = _room(NEED_POLICY_BYTES)
    return room if copies is None else max(1, min(room, 1 + copies()))


def pays_beside(setup: Setup, processes: int, room: int) -> bool:
    """Whether inference in a thread, beside the physics, saves time: with a processor to spare.

    The passes of a policy without cameras are too short to be worth handing over.
    """
    policy = setup.policy
    if policy is None or not policy.contract.cameras or not setup.rows:
        return False
    return processes < room or getattr(policy, "on_gpu", False)


def _room(need_bytes: int) -> int:
    """How many processes of so much memory there are cores and memory for; 1 at the least.

    Those that stand already have most of theirs.
    """
    import psutil

    cores = psutil.Process().cpu_affinity() if hasattr(psutil.Process, "cpu_affinity") else None
    most = 1 + helpers.standing() + psutil.virtual_memory().available // need_bytes
    return max(1, min(len(cores) if cores else os.cpu_count() or 1, int(most)))


def can_travel(*what: object) -> bool:
    """Whether it can be handed to another process; closures cannot."""
    try:
        ForkingPickler.dumps(what)
    except (pickle.PicklingError, AttributeError, TypeError, VibrissaError):
        return False
    return True


def itself(setup: Setup) -> Setup:
    """What `evaluate_in_workers` calls in each process, for a setup that can travel."""
    return setup


def evaluate_in_workers(
    build: Callable[[], Setup], seeds: Sequence[int], workers: int, watches: Sequence[Watch] = ()
) -> Rows:
    """As `evaluate`, in `workers` processes of which this is one; `build` is called in each.

    This one begins at once, the helpers join when they have loaded, and stay for the next call.
    An episode depends on its seed alone, so the rows are those of one process in another order.
    Raises what a helper raised: a VibrissaError as itself, a bug as RuntimeError with its
    traceback; WorkerLost where one was killed at its work or ran out of memory.
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
    except MemoryError as error:
        raise WorkerLost(no_memory(error)) from error
    finally:
        own.close()
        crew.close(over=not left)


class _Crew:
    """The helpers, the seeds that nobody has begun yet, and the rows that have come.

    Each helper has a pipe of its own and no lock is shared: one that is killed holds nobody up.
    A thread hands out seeds and takes rows, so that no helper waits for an episode of ours.
    """

    def __init__(
        self,
        build: Callable[[], Setup],
        seeds: Sequence[int],
        count: int,
        watches: Sequence[Watch],
    ):
        self._work, self._count = helpers.packed(build, watches), count
        self._todo, self._lock = deque(seeds), threading.Lock()
        self._told: SimpleQueue[Row | BaseException] = SimpleQueue()
        self._team: dict[Any, Helper] = {}  # by its pipe
        self._lent = 0
        self._over, self._failed = threading.Event(), False
        self._thread = threading.Thread(target=self._serve, name="helpers", daemon=True)

    def start(self) -> None:
        """Have enough helpers begun; each is lent as soon as it has loaded."""
        helpers.prepare(self._count)
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

    def close(self, *, over: bool) -> None:
        """Let the helpers go; where it is not `over`, they end, whatever they are at."""
        if self._thread.is_alive():
            self._thread.join(LEAVE_S if over else 0)
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        for helper in self._team.values():
            helper.end()

    def _next_seed(self) -> int | None:
        with self._lock:
            return self._todo.popleft() if self._todo else None

    def _serve(self) -> None:
        """The thread's life: until all is over, or no seed is left and nobody at work."""
        while not self._over.is_set() and not self._failed and (self._todo or self._team):
            self._join_in()
            if not self._team:
                self._over.wait(POLL_S)
                continue
            for pipe in wait(list(self._team), timeout=POLL_S):
                if not self._hear(self._team[pipe]):
                    del self._team[pipe]

    def _join_in(self) -> None:
        """Whoever has loaded by now begins, while there is anything to do."""
        if not self._todo or self._lent == self._count:
            return
        for helper in helpers.lend(self._count - self._lent):
            try:
                helper.begin(self._work)
            except OSError:  # it ended while it stood: nothing is lost
                helper.end()
                continue
            self._lent += 1
            self._team[helper.pipe] = helper

    def _hear(self, helper: Helper) -> bool:
        """One message of a helper, answered with seeds; False where it was the last."""
        try:
            told: Any = helper.pipe.recv()
            if told == DONE:
                helpers.give_back(helper)
                return False
            if isinstance(told, BaseException):
                self._fail(helper, told)
                return False
            if isinstance(told, Row):
                self._told.put(told)
            self._supply(helper, told if isinstance(told, int) else 1)
        except (EOFError, OSError):
            helper.process.join()
            self._fail(helper, WorkerLost(_how_it_ended(helper.process.exitcode)))
            return False
        return True

    def _fail(self, helper: Helper, error: BaseException) -> None:
        helper.end()
        self._failed = True
        self._told.put(error)

    def _supply(self, helper: Helper, count: int) -> None:
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
    return f"a worker process {how}. Fewer need less: vibrissa eval --workers 1."
