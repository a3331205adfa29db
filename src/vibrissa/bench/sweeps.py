"""Sweeps: the same seeds under several settings, each with its interval and a paired verdict."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vibrissa.bench.fleet import connected
from vibrissa.bench.judge import CutShort, judge
from vibrissa.bench.options import KEYS, PilotOptions
from vibrissa.bench.outcomes import Row, RowFile, Summary, summarise
from vibrissa.bench.trials import CELLS, SetupOf, Trial, open_rows
from vibrissa.core.errors import CheckpointError, UsageError
from vibrissa.core.letters import holm
from vibrissa.core.power import seen_apart, seen_by_mcnemar
from vibrissa.core.stats import (
    Interval,
    Pairs,
    barnard,
    correlation,
    mcnemar,
    newcombe,
    newcombe_paired,
)
from vibrissa.show.progress import progress

LEVEL = 0.05
Verdict = Literal["better", "worse", "not separated"]


@dataclass(frozen=True)
class Cell:
    """One setting: its name within the sweep, and who is tried where."""

    name: str
    trial: Trial

    @property
    def slug(self) -> str:
        """Its folder's name."""
        return slug(self.name)


def slug(name: str) -> str:
    """A cell's name without the signs that a file system minds."""
    return re.sub(r"[^\w.,=+-]+", "_", name)


def named(names: Sequence[str], most: int = 4) -> str:
    """Cells by their names, with blanks where they may break: light: mass, horizon=5, grip=…"""
    told = [re.sub(r"([:,])(?=[a-z])", r"\1 ", name) for name in names[:most]]
    return "; ".join(told) + f" and {len(names) - most} more" * (len(names) > most)


@dataclass(frozen=True)
class Versus:
    """A cell against the baseline. pairs: on common seeds; None where their scenes differ.

    p: exact McNemar of pairs, Barnard of separate scenes; p_holm: with the number of cells taken
    into account. difference: of the rates, with its 95 % interval (Newcombe, paired or not).
    seen: the smallest difference that would have been found four times in five; None for none.
    """

    difference: float
    interval: Interval
    p: float
    p_holm: float
    seen: float | None = None
    pairs: Pairs | None = None

    @property
    def verdict(self) -> Verdict:
        if self.p_holm > LEVEL:
            return "not separated"
        return "better" if self.difference > 0 else "worse"

    def to_dict(self) -> dict[str, Any]:
        told = {"verdict": self.verdict, **asdict(self), "interval": list(self.interval)}
        if self.pairs is not None:
            told["correlation"] = correlation(self.pairs)
        return told


@dataclass(frozen=True)
class Judged:
    """A cell with its rows and what they say. versus: None of the baseline itself.

    beside: what scripted pilots came to in the cell's own scenes. lost: how many of the scenes
    that the baseline solved this cell did not, and how many of those the expert did not either;
    None where no expert tried them.
    """

    cell: Cell
    rows: Sequence[Row]
    told: Summary
    versus: Versus | None = None
    beside: Mapping[str, Summary] = field(default_factory=dict)
    lost: tuple[int, int] | None = None

    @property
    def asks_per_s(self) -> float | None:
        """Inferences in a second of the arm's time: what the policy must be able to answer."""
        ticks = sum(row.ticks for row in self.rows)
        asked = sum(row.inferences for row in self.rows)
        return self.cell.trial.place.scene.rate_hz * asked / ticks if asked and ticks else None

    @property
    def answers_per_s(self) -> float | None:
        """Inferences in a second of this machine's time, one batch after another."""
        return 1 / self.told.mean_latency_s if self.told.mean_latency_s else None

    def to_dict(self) -> dict[str, Any]:
        told = {
            "cell": self.cell.name,
            "options": self.cell.trial.options.text,
            "asks_per_s": self.asks_per_s,
            "answers_per_s": self.answers_per_s,
            **self.told.to_dict(),
        }
        if self.beside:
            told["beside"] = {name: summary.to_dict() for name, summary in self.beside.items()}
        if self.lost is not None:
            told["lost"] = {"scenes": self.lost[0], "by_the_expert_too": self.lost[1]}
        return {**told, "versus": None if self.versus is None else self.versus.to_dict()}


def cells_of(trial: Trial, axes: Sequence[str], *, own_horizon: int | None) -> list[Cell]:
    """Every combination of `axes`, such as `horizon=1,5,10` and `ensemble=off,0.01`.

    The first cell is the baseline: the checkpoint played its own way, as `trial` says. An
    ensemble uses no horizon, so that it is one cell whatever the horizons are. Raises UsageError.
    """
    named = [_axis(text) for text in axes]
    keys = [key for key, _ in named]
    if len(set(keys)) < len(keys):
        raise UsageError(f"a sweep over {', '.join(keys)}: each of them once.")
    base = replace(trial, options=_own(trial.options, own_horizon))
    unchanged = "as it is" if own_horizon is None else f"horizon={own_horizon} (its own)"
    own = base.options.text or unchanged
    cells = {base.options.text: Cell(own, base)}
    for values in itertools.product(*(values for _, values in named)):
        told = dict(zip(keys, values, strict=True))
        if told.get("ensemble", "off") != "off":
            told["horizon"] = "off"
        options = _own(trial.options.with_(dict.fromkeys(told, "off")).with_(told), own_horizon)
        cells.setdefault(
            options.text, Cell(options.text or unchanged, replace(trial, options=options))
        )
    if len(cells) < 2:
        raise UsageError(f"a sweep over {' '.join(axes)} has nothing but the checkpoint's own way.")
    return list(cells.values())


def run_cells(
    cells: Sequence[Cell],
    seeds: Sequence[int],
    *,
    what: str,
    setup_of: SetupOf,
    folder: Path | None = None,
    versions: Mapping[str, str] | None = None,
    slots: int = 0,
    workers: int = 0,
    fleet: str = "",
    leave_out: Callable[[Cell, CheckpointError], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[list[Row]]:
    """The rows of every cell for all `seeds`, in order, with one bar over the whole sweep.

    folder: where each cell keeps its own `eval.json` and `outcomes.jsonl`; rows that are there
    already are not made again, so a sweep that was stopped goes on. slots, workers, fleet: see
    `judge`; a local fleet is started once for all cells. leave_out: is told of a cell whose
    checkpoint cannot be read, which then has no rows; without it that ends the sweep. say: called
    with a line where a row is cut short.
    """
    judged: list[list[Row]] = []
    bar = progress(what, len(cells) * len(seeds), "episodes")
    with connected(fleet) if fleet else nullcontext(), bar as tell:
        for number, cell in enumerate(cells, start=1):
            before = (number - 1) * len(seeds)
            note = f"{cell.name} ({number} of {len(cells)})"
            file = None
            if folder is not None:
                file = open_rows(folder / CELLS / cell.slug, cell.trial, versions or {})
                if file.cut:
                    say(file.cut)
            watched = _Watched(file, seeds, lambda done, b=before, n=note: tell(b + done, n))
            kept = {"known": watched.known(cell.trial.name), "keep": watched.keep}
            shape = {"slots": slots, "workers": workers, "fleet": fleet, "quiet": True}
            try:
                judged.append(judge(setup_of(cell.trial), seeds, **kept, **shape))
            except CheckpointError as error:
                if leave_out is None:
                    raise
                leave_out(cell, error)
                judged.append([])
            except CutShort as cut:
                raise CutShort(f"{note}: {cut} {_kept_told(folder)}", cut.rows) from cut
    return judged


def _kept_told(folder: Path | None) -> str:
    if folder is None:
        return "With --out, what was judged before such an end is kept."
    return f"They and those before are in {folder / CELLS}: the same command goes on with them."


class _Watched:
    """Keeps the rows of one cell and tells how many of its seeds are done."""

    def __init__(self, file: RowFile | None, seeds: Sequence[int], tell: Callable[[int], None]):
        self._file, self._seeds, self._tell = file, set(seeds), tell
        self._done = 0

    def known(self, pilot: str) -> list[Row]:
        rows = [] if self._file is None else self._file.of(pilot)
        self._done = len({row.seed for row in rows} & self._seeds)
        self._tell(self._done)
        return rows

    def keep(self, row: Row) -> None:
        if self._file is not None:
            self._file.add(row)
        self._done += 1
        self._tell(self._done)


def verdicts(
    cells: Sequence[Cell], judged: Sequence[Sequence[Row]], *, paired: bool = True
) -> list[Judged]:
    """What became of every cell, each compared with the first one, the baseline.

    paired: whether a seed is the same scene in every cell. Whatever is concluded is corrected for
    the number of cells (Holm).
    """
    compared = [_versus(rows, judged[0], paired, len(cells) - 1) for rows in judged[1:]]
    corrected = holm([versus.p for versus in compared])
    told = [replace(v, p_holm=p) for v, p in zip(compared, corrected, strict=True)]
    return [
        Judged(cell, rows, summarise(rows), versus)
        for cell, rows, versus in zip(cells, judged, [None, *told], strict=True)
    ]


def unseen(judged: Sequence[Judged], what: str) -> str:
    """How large a difference from the baseline may be there all the same. what: it, in a word."""
    seen = [j.versus.seen for j in judged if j.versus is not None]
    known = [one for one in seen if one is not None]
    if len(known) < len(seen) or not known:
        return f"so few episodes could not have shown any {what}"
    return f"a {what} below {100 * max(known):.0f} points may have gone unseen"


def _versus(rows: Sequence[Row], base: Sequence[Row], paired: bool, cells: int) -> Versus:
    """One of `cells` cells against the baseline, p not yet corrected."""
    strict = 1 - LEVEL / cells  # what Holm asks of the smallest p
    if paired:
        other = {row.seed: row.success for row in base}
        ends = [(row.success, other[row.seed]) for row in rows if row.seed in other]
        pairs = Pairs.of(ends)
        p = mcnemar(pairs.only_first, pairs.only_second)
        # One more seed on which they differ: with none seen, some could still be there.
        differing = (pairs.discordant + 1) / (pairs.seeds + 2)
        seen = seen_by_mcnemar(pairs.seeds, differing, level=strict)
        return Versus(pairs.difference, newcombe_paired(pairs), p, p, seen, pairs)
    k, n = sum(row.success for row in rows), len(rows)
    k0, n0 = sum(row.success for row in base), len(base)
    p = barnard(k, n, k0, n0)
    span = newcombe(k, n, k0, n0)
    return Versus(k / n - k0 / n0, span, p, p, seen_apart(n, n0, k0 / n0, level=strict))


def _axis(text: str) -> tuple[str, list[str]]:
    key, sign, values = text.partition("=")
    given = [value.strip() for value in values.split(",") if value.strip()]
    if not sign or key not in KEYS or not given:
        raise UsageError(
            f"--sweep {text}: want a name and its values, such as horizon=1,5,10 or "
            f"ensemble=off,0.01. There is: {', '.join(KEYS)}."
        )
    return key, given


def _own(options: PilotOptions, horizon: int | None) -> PilotOptions:
    """The same, where naming the checkpoint's own horizon is not naming one."""
    return replace(options, horizon=None) if options.horizon == horizon else options
