"""Judging in use: a bar, worker processes where they pay, and only the seeds still to be done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

from vibrissa.bench.evaluate import NotKept, Rows, Setup, Watch, evaluate
from vibrissa.bench.helpers import WorkerLost, no_memory, watching
from vibrissa.bench.outcomes import Row
from vibrissa.bench.row_folder import BESIDE
from vibrissa.bench.setups import Place, scripted
from vibrissa.bench.workers import (
    affordable,
    can_travel,
    evaluate_in_workers,
    itself,
    pays_beside,
    worth,
)
from vibrissa.control.clock import settle_memory
from vibrissa.core.errors import UsageError
from vibrissa.show.progress import progress

SETTLED_FROM = 20  # episodes: then what is loaded is not searched for garbage again and again


class CutShort(WorkerLost):
    """Judging ended before its time; `rows` are what there is of it, in the order of the seeds."""

    def __init__(self, told: str, rows: Sequence[Row]):
        super().__init__(told)
        self.rows = list(rows)


def judge(
    setup: Setup,
    seeds: Sequence[int],
    *,
    known: Iterable[Row] = (),
    keep: Callable[[Row], None] = lambda _: None,
    watches: Sequence[Watch] = (),
    slots: int = 0,
    workers: int = 0,
    fleet: str = "",
    quiet: bool = False,
) -> list[Row]:
    """The rows of `setup` for all `seeds`, in their order.

    known: rows of an earlier call; their seeds are not tried again. keep: called with every new
    row at once, so that an interruption loses nothing. watches: who else sees the episodes
    (`film_into`, `tape_into`). slots, workers: arms side by side in a process, and processes;
    0 takes what suits. fleet: a Ray cluster's address, or local (see `fleet`); workers are its
    actors then. No outcome depends on any of them. quiet: without a bar of its own, where `keep`
    draws one. Raises CutShort, with the rows so far, where a worker process is lost, there is no
    memory left, or what is watched cannot be kept.
    """
    rows = {row.seed: row for row in known if row.pilot == setup.name}
    todo = [seed for seed in seeds if seed not in rows]
    had = len(seeds) - len(todo)
    told = progress(f"judging {setup.name}", len(seeds), "episodes", done=had, quiet=quiet)
    setup = replace(setup, slots=slots) if slots else setup
    rows_of = partial(_rows, setup, watches=watches, workers=workers, fleet=fleet, widens=not slots)
    if len(todo) >= SETTLED_FROM:
        settle_memory()
    try:
        with told as tell, closing(rows_of(todo)) as fresh:
            for row in fresh:
                keep(row)
                rows[row.seed] = row
                done = [rows[s] for s in seeds if s in rows]
                tell(len(done), f"{sum(r.success for r in done)} solved")
    except (WorkerLost, NotKept, MemoryError) as lost:
        done = [rows[seed] for seed in seeds if seed in rows]
        why = no_memory(lost) if isinstance(lost, MemoryError) else lost
        raise CutShort(f"{why} {len(done)} of {len(seeds)} episodes are judged.", done) from lost
    return [rows[seed] for seed in seeds]


def judge_beside(
    place: Place,
    seeds: Sequence[int],
    *,
    known: Iterable[Row] = (),
    keep: Callable[[Row], None] = lambda _: None,
) -> dict[str, list[Row]]:
    """Expert and zero pilot on the same seeds: what can be reached here, and what is a gift."""
    known = list(known)
    bare = Place(place.task, place.scene)  # neither of them looks
    return {name: judge(scripted(bare, name), seeds, known=known, keep=keep) for name in BESIDE}


def _rows(
    setup: Setup,
    seeds: Sequence[int],
    *,
    watches: Sequence[Watch],
    workers: int,
    fleet: str,
    widens: bool,
) -> Rows:
    """By a fleet, or by as many processes as were asked for, or as pay.

    widens: more arms may stand in a process than a batch has rows.
    """
    if fleet:
        from vibrissa.bench.fleet import evaluate_on_fleet

        shape = {"slots": setup.slots, "actors": workers, "watches": watches}
        return evaluate_on_fleet(partial(itself, setup), seeds, fleet, **shape)
    room = affordable(setup)
    count = min(workers or worth(len(seeds), room, setup), len(seeds))
    if widens and pays_beside(setup, count, room):
        setup = replace(setup, beside=True, slots=2 * setup.rows)
    if count > 1 and can_travel(setup, watches):
        return evaluate_in_workers(partial(itself, setup), seeds, count, watches)
    if count > 1 and workers:
        raise UsageError(
            f"what is judged, {setup.name}, cannot be handed to other processes: --workers 1."
        )
    return evaluate(setup, seeds, watching(watches))
