"""Contenders judged on the same seeds, some at a time, until it is decided who is better."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vibrissa.bench.compare import SEEDS, Comparisons, Judged, compare
from vibrissa.bench.evaluate import Setup
from vibrissa.bench.judge import BESIDE, CutShort, judge
from vibrissa.bench.outcomes import Row
from vibrissa.bench.setups import Place, scripted
from vibrissa.core.errors import UsageError
from vibrissa.show.progress import progress

BLOCK = 16  # seeds between two looks: two rounds of the eight arms that stand side by side


@dataclass(frozen=True)
class Entrant:
    """Who competes: a setup that can be judged here, or rows that are there already.

    scenes: what the seeds of its rows number; stopped: whether somebody may have ended it when
    enough of them were seen; scene: what they were played in; see `compare.Judged`. words: what it
    is. played: what else its outcomes come from, as plain values: weights, executed part. cautions:
    what a reader of its outcomes must know.
    """

    label: str
    words: str
    setup: Setup | None = None
    rows: tuple[Row, ...] = ()
    scenes: str = SEEDS
    stopped: bool = False
    scene: Mapping[str, Any] | None = None
    played: Mapping[str, Any] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """A contest that is over. beside: expert and zero pilot. ended: why it was.

    lost: what was lost of it, where a worker process was; the rows are those until then. cautions:
    what was odd before the first episode. terms: what it was held under (see `terms`).
    looks: after how many seeds a verdict was told, in all calls.
    """

    judged: tuple[Judged, ...]
    comparisons: Comparisons
    beside: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    ended: str = ""
    lost: str = ""
    cautions: Sequence[str] = ()
    terms: Mapping[str, Any] = field(default_factory=dict)
    looks: Sequence[int] = ()

    @property
    def broken(self) -> list[str]:
        """Contenders of whom nothing could be judged: every episode broke down."""
        return [one.label for one in self.judged if one.broken]

    @property
    def gifts(self) -> int:
        """How often the zero pilot succeeded: the judge is broken unless never."""
        return sum(row.success for row in self.beside.get("zero", ()))


def hold(
    entrants: Sequence[Entrant],
    seeds: Sequence[int],
    *,
    place: Place | None = None,
    known: Iterable[Row] = (),
    keep: Callable[[Row], None] = lambda _: None,
    level: float = 0.95,
) -> Held:
    """Judge whoever has a setup on `seeds`, in blocks, until every comparison is decided.

    A contender that is separated from all others rests, and so does one that always breaks down.
    Where a comparison is by a test that may be looked at but once, nobody else rests and nothing
    ends early. known: rows of an earlier call, by label; keep: called with each new one. place:
    where expert and zero pilot stand beside; None leaves them out. Seeds are tried in the order
    given, which must not depend on any outcome.
    """
    live = [one for one in entrants if one.setup is not None]
    used: dict[str, list[Row]] = {one.label: [] for one in entrants}
    if not live:
        judged = _judged(entrants, used)
        return Held(judged, compare(judged, level), ended="nothing was judged here")
    pilots = {} if place is None else {name: _pilot(place, name) for name in BESIDE}
    beside: dict[str, list[Row]] = {name: [] for name in pilots}
    table, lost = _Table(known, keep), ""
    ended, open_ = f"all {len(seeds)} seeds were tried", {one.label for one in live}
    with progress("comparing", len(seeds), "seeds") as tell:
        for start in range(0, len(seeds), BLOCK):
            block = seeds[start : start + BLOCK]
            try:
                for one in live:
                    if one.label in open_ and one.setup is not None:
                        setup = replace(one.setup, name=one.label)
                        used[one.label] += table.rows(setup, block, _saying(tell, start))
                for name, setup in pilots.items():
                    beside[name] += table.rows(setup, block, _saying(tell, start))
            except CutShort as cut:
                ended, lost = "it was cut short", str(cut)
                break
            judged = _judged(entrants, used)
            tell(start + len(block), _standing(judged))
            ended, open_ = _now(judged, level, ended)
            if not open_:
                break
    judged = _judged(entrants, used)
    return Held(judged, compare(judged, level), beside, ended, lost)


def common_seeds(entrants: Sequence[Entrant], first: int, episodes: int) -> list[int]:
    """The seeds that all are tried on: those of recorded outcomes, or `episodes` from `first`.

    Raises UsageError where recorded contenders have no seed in common with each other.
    """
    recorded = [one for one in entrants if one.setup is None and one.scenes == SEEDS]
    if not recorded or all(one.setup is None for one in entrants):
        return list(range(first, first + episodes))
    common = set.intersection(*({row.seed for row in one.rows} for one in recorded))
    if not common:
        names = ", ".join(one.label for one in recorded)
        raise UsageError(f"{names} have no seed in common, so nothing can be tried on them all.")
    return sorted(common)[:episodes]


def seeds_compared(entrants: Sequence[Entrant], known: Iterable[Row]) -> int:
    """On how many seeds an earlier call could compare somebody: they were seen, and count."""
    live = {one.label for one in entrants if one.setup is not None}
    tried = Counter(row.seed for row in known if row.pilot in live)
    enough = 1 if len(live) < len(entrants) else 2
    return sum(times >= enough for times in tried.values())


def looked_at(held: Held, before: Iterable[int]) -> Held:
    """The same, as one more look; `before`: after how many seeds there was one already.

    With a caution where that is more often than the test allows for.
    """
    seeds = len({row.seed for one in held.judged if one.live for row in one.rows})
    earlier = sorted({*before} - {seeds}) if seeds else []
    held = replace(held, looks=(*earlier, seeds) if seeds else ())
    if not earlier or held.comparisons.may_be_looked_at:
        return held
    told = (
        f"A verdict was told after {', '.join(map(str, earlier))} seeds already. Barnard's test "
        "may be looked at once only: its p is smaller than it should be."
    )
    return replace(held, cautions=[*held.cautions, told])


class _Table:
    """All rows by contender and seed: those of an earlier call, and what is judged now."""

    def __init__(self, known: Iterable[Row], keep: Callable[[Row], None]):
        self._keep = keep
        self._had: dict[str, dict[int, Row]] = {}
        for row in known:
            self._had.setdefault(row.pilot, {})[row.seed] = row

    def rows(self, setup: Setup, seeds: Sequence[int], say: Callable[[str], None]) -> list[Row]:
        """The rows of these seeds, in their order, judged where there are none yet."""
        had = self._had.setdefault(setup.name, {})

        def keep(row: Row) -> None:
            self._keep(row)
            had[row.seed] = row
            say(f"{setup.name} {sum(seed in had for seed in seeds)} of {len(seeds)}")

        if any(seed not in had for seed in seeds):
            judge(setup, seeds, known=list(had.values()), keep=keep, quiet=True)
        return [had[seed] for seed in seeds]


def _now(judged: Sequence[Judged], level: float, ended: str) -> tuple[str, set[str]]:
    """Why it may end here, and who is still open: nobody, where it does."""
    broken = {one.label for one in judged if one.broken}
    now = compare(judged, level, brief=True)
    open_ = {one.label for one in judged if one.live}
    if now.may_be_looked_at:
        found = [one for one in now.found if one.live and not one.unjudged]
        undecided = [one for one in found if one.word == "not separated"]
        open_ = {name for one in undecided for name in (one.first, one.second)}
    if open_ - broken:
        return ended, open_ - broken
    if broken:
        return f"every episode of {', '.join(sorted(broken))} broke down", set()
    return "every comparison was decided", set()


def _saying(tell: Callable[[int, str], None], done: int) -> Callable[[str], None]:
    """Says what goes on, with as many seeds done."""
    return lambda note: tell(done, note)


def _standing(judged: Sequence[Judged]) -> str:
    """How those who are judged here stand: too little for a verdict, enough for a watcher."""
    return ", ".join(f"{one.label} {one.success}/{len(one.rows)}" for one in judged if one.live)


def _judged(entrants: Sequence[Entrant], used: Mapping[str, Sequence[Row]]) -> tuple[Judged, ...]:
    return tuple(
        Judged(one.label, tuple(used[one.label]), live=True, scene=one.scene)
        if one.setup is not None
        else Judged(one.label, one.rows, one.scenes, stopped=one.stopped, scene=one.scene)
        for one in entrants
    )


def _pilot(place: Place, name: str) -> Setup:
    """Expert or zero pilot, neither of whom looks."""
    return scripted(Place(place.task, place.scene), name)
