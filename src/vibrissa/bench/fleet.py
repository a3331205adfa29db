"""The same judging over many computers: Ray actors, each with arms of its own.

`pip install 'vibrissa[fleet]'` brings Ray. Each actor judges a few seeds at a time; one that is
lost in mid-run is replaced and its seeds are done again, so that the rows are those of one process.
What an actor is handed (scene, policy) names its files: a checkpoint must lie at the same path on
every computer of the fleet.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from vibrissa.bench.evaluate import Rows, Setup, Watch, evaluate
from vibrissa.bench.helpers import WorkerLost, watching
from vibrissa.bench.outcomes import Row
from vibrissa.core.errors import OutOfMemory, UsageError, VibrissaError

LOCAL = "local"
TRIES = 3  # of one share of the seeds; whatever kills three actors would kill a fourth
SEEDS_A_SLOT = 2  # an actor is asked for so many seeds a slot at a time

Share = tuple[int, ...]


def evaluate_on_fleet(
    build: Callable[[], Setup],
    seeds: Sequence[int],
    address: str,
    *,
    slots: int = 1,
    actors: int = 0,
    watches: Sequence[Watch] = (),
) -> Rows:
    """As `evaluate`, by `actors` Ray actors (0: one a core) at `address`, or `local`.

    `build` is called once in each. Raises UsageError, in one line, where Ray is not installed or
    no cluster answers; what an actor raised of ours as itself; WorkerLost where one share of the
    seeds has cost three actors their life.
    """
    size = SEEDS_A_SLOT * slots
    shares = [tuple(seeds[i : i + size]) for i in range(0, len(seeds), size)]
    with connected(address) as ray:
        actor = ray.remote(num_cpus=1, max_restarts=0)(_Judge)
        told = ray.cloudpickle.dumps((build, tuple(watches)))
        path = tuple(sys.path) if address == LOCAL else ()
        make = partial(actor.remote, told, path)
        for rows in work_off(ray, make, shares, actors or cores(ray)):
            yield from rows


class _Judge:
    """What one actor holds: a setup of its own, made with its first seeds.

    What was `told` is read no earlier, so that whatever is wrong with it is raised as it is.
    `path` is where a local actor finds modules, beside its own places.
    """

    def __init__(self, told: bytes, path: Sequence[str]):
        self._told, self._path = told, path
        self._made: tuple[Setup, Watch | None] | None = None

    def work(self, seeds: Share) -> list[Row]:
        if self._made is None:
            build, watches = unpacked(self._told, self._path)
            self._made = build(), watching(watches)
        setup, watch = self._made
        return list(evaluate(setup, seeds, watch))


def work_off(
    ray: Any, make: Callable[[], Any], shares: Sequence[Share], actors: int, ahead: int = 0
) -> Iterator[Any]:
    """What `actor.work(share)` gives for every share, as it comes; lost ones are done again.

    ahead: only the first that is still out and those within so many places of it are under way, so
    that a caller who wants them in order keeps few; 0 for no such bound.
    """
    todo = deque((number, share, 1) for number, share in enumerate(shares))
    under_way: dict[Any, tuple[Any, int, Share, int]] = {}
    idle = [make() for _ in range(min(actors, len(shares)))]
    team = list(idle)
    try:
        while todo or under_way:
            out = [number for number, *_ in todo] + [number for _, number, *_ in under_way.values()]
            end = min(out) + (ahead or len(shares))
            while todo and idle and todo[0][0] < end:
                number, share, tried = todo.popleft()
                actor = idle.pop()
                under_way[actor.work.remote(share)] = (actor, number, share, tried)
            done, _ = ray.wait(list(under_way), num_returns=1)
            actor, number, share, tried = under_way.pop(done[0])
            try:
                told = ray.get(done[0])
            except ray.exceptions.RayTaskError as error:
                raise _what_it_raised(error) from error
            except _losses(ray) as error:
                todo.appendleft((number, share, _once_more(share, tried, error)))
                team.append(make())
                idle.append(team[-1])
            else:
                idle.append(actor)
                yield told
                del told  # it may be large
    except ray.exceptions.RayError as error:
        raise WorkerLost(f"Ray itself broke down ({_first_line(error)}).") from error
    finally:
        for actor in team:
            ray.kill(actor)


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The module `ray`, connected; a local one is started, and stopped again at the end."""
    ray = _ray()
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, address)
    try:
        yield ray
    finally:
        if ours:
            ray.shutdown()


def unpacked(told: bytes, path: Sequence[str]) -> Any:
    """In an actor, what it was handed; `path` are further places of modules."""
    sys.path += [part for part in path if part not in sys.path]
    return _ray().cloudpickle.loads(told)


def cores(ray: Any) -> int:
    """How many cores the fleet has."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _ray() -> Any:
    # Before it is imported. It would report its use to its makers, give its actors way to every
    # other program on this computer, and under `uv run` install everything once more for each.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray  # pyright: ignore[reportMissingImports]  # the extra `fleet`
        import ray.exceptions  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UsageError(
            "--fleet needs Ray, which is not installed: pip install 'vibrissa[fleet]'."
        ) from None
    return ray


def _connect(ray: Any, address: str) -> None:
    where: dict[str, Any] = {"address": address}
    if address == LOCAL:
        where["include_dashboard"] = False
    with _TroubleInALine(ray, address):
        ray.init(**where, logging_level="error", log_to_driver=False, configure_logging=True)


class _TroubleInALine:
    """Turns what Ray raises where it does not start, or cannot be reached, into a UsageError.

    A node that is not up after 30 s is an Exception of no kind of its own (ray/_private/node.py,
    Ray 2.60): that very class is meant, and nothing that is derived from it.
    """

    def __init__(self, ray: Any, address: str):
        self._kinds = (*_UNREACHED, ray.exceptions.RayError)
        self._address = address

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, _trace: object) -> None:
        if error is None or not (kind is Exception or isinstance(error, self._kinds)):
            return
        told = _first_line(error)
        if self._address == LOCAL:
            raise UsageError(
                f"Ray does not start on this computer ({told}). Is it busy with something else, or "
                "short of memory? Try again then, or do without --fleet."
            ) from error
        raise UsageError(
            f"no Ray cluster at {self._address!r} ({told}). Use --fleet local, --fleet auto, or "
            "the address that `ray start --head` prints."
        ) from error


_UNREACHED = (ConnectionError, TimeoutError, RuntimeError, ValueError)


def _losses(ray: Any) -> tuple[type[Exception], ...]:
    """What Ray raises where an actor is gone, for whatever reason, and its share with it."""
    told = ray.exceptions
    return (
        told.RayActorError,
        told.OutOfMemoryError,  # Ray ends an actor before the computer has no memory left
        told.NodeDiedError,
        told.ObjectLostError,
    )


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _what_it_raised(error: Any) -> Exception:
    cause = error.cause
    if isinstance(cause, MemoryError):
        told = f"{cause} " * isinstance(cause, OutOfMemory)
        return WorkerLost(
            f"an actor of the fleet has no memory left. {told}Fewer arms an actor need less: "
            "--slots 1; so do fewer actors on a computer: --workers 1."
        )
    if isinstance(cause, VibrissaError):
        return cause
    return RuntimeError(f"an actor of the fleet failed:\n{error}")


def _once_more(share: Share, tried: int, error: Exception) -> int:
    if tried >= TRIES:
        which = f"seed {share[0]}" if len(share) == 1 else f"seeds {share[0]} to {share[-1]}"
        raise WorkerLost(
            f"{TRIES} actors died over the {which} ({_first_line(error).rstrip('.')}). Is there "
            "enough memory?"
        ) from error
    return tried + 1
