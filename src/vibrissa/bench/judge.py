"""Judging in use: a bar, worker processes where they pay, and only the seeds still to be done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial

from vibrissa.bench.evaluate import Rows, Setup, Watch, evaluate
from vibrissa.bench.outcomes import Row
from vibrissa.bench.setups import Place, scripted
from vibrissa.bench.workers import evaluate_in_workers, worth
from vibrissa.show.progress import progress

BESIDE = ("expert", "zero")


def judge(
    setup: Setup,
    seeds: Sequence[int],
    *,
    known: Iterable[Row] = (),
    keep: Callable[[Row], None] = lambda _: None,
    watches: Sequence[Watch] = (),
    place: Place | None = None,
) -> list[Row]:
    """The rows of `setup` for all `seeds`, in their order.

    known: rows of an earlier call; their seeds are not tried again. keep: called with every new
    row at once, so that an interruption loses nothing. watches: who else sees the episodes
    (`film_into`, `tape_into`). place: where a scripted pilot's worker processes find their arm;
    without it, or with watches, all happens in this process.
    """
    rows = {row.seed: row for row in known if row.pilot == setup.name}
    todo = [seed for seed in seeds if seed not in rows]
    told = progress(f"judging {setup.name}", len(seeds), "episodes")
    with told as tell, closing(_rows(setup, todo, watches, place)) as fresh:
        tell(len(seeds) - len(todo), "")
        for row in fresh:
            keep(row)
            rows[row.seed] = row
            done = [rows[s] for s in seeds if s in rows]
            tell(len(done), f"{sum(r.success for r in done)} solved")
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
    return {
        name: judge(scripted(bare, name), seeds, known=known, keep=keep, place=bare)
        for name in BESIDE
    }


def _rows(
    setup: Setup, seeds: Sequence[int], watches: Sequence[Watch], place: Place | None
) -> Rows:
    workers = worth(len(seeds), os.cpu_count() or 1)
    if workers > 1 and place is not None and not watches:
        return evaluate_in_workers(partial(scripted, place, setup.name), seeds, workers)
    return evaluate(setup, seeds, lambda seed, arm: [o for w in watches for o in w(seed, arm)])
