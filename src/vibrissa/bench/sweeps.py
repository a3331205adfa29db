"""Sweeps: the same seeds under several settings, each with its interval and a paired verdict."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from vibrissa.bench.judge import judge
from vibrissa.bench.options import KEYS, PilotOptions
from vibrissa.bench.outcomes import Paired, Row, RowFile, Summary, compare_paired, summarise
from vibrissa.bench.trials import SetupOf, Trial, open_rows
from vibrissa.core.errors import UsageError
from vibrissa.core.stats import Interval, newcombe
from vibrissa.show.progress import progress

CELLS = "cells"
LEVEL = 0.05
Verdict = Literal["better", "worse", "not separated"]


@dataclass(frozen=True)
class Cell:
    """One setting: its name within the sweep, and who is tried where."""

    name: str
    trial: Trial

    @property
    def slug(self) -> str:
        """Its folder's name: no sign that a file system minds."""
        return re.sub(r"[^\w.,=+-]+", "_", self.name)


@dataclass(frozen=True)
class Versus:
    """A cell against the baseline. pair: on common seeds, None where scenes differ.

    p: exact McNemar, or where the scenes differ of no test; p_holm: over all cells of the sweep.
    difference: of the rates, with its interval (Newcombe's, which takes no account of pairs and
    so is wide rather than narrow).
    """

    difference: float
    interval: Interval
    pair: Paired | None = None
    p_holm: float | None = None

    @property
    def verdict(self) -> Verdict:
        if self.p_holm is None:
            apart = self.interval[0] > 0 or self.interval[1] < 0
        else:
            apart = self.p_holm <= LEVEL
        if not apart:
            return "not separated"
        return "better" if self.difference > 0 else "worse"


@dataclass(frozen=True)
class Judged:
    """A cell with its rows and what they say. versus: None of the baseline itself."""

    cell: Cell
    rows: Sequence[Row]
    told: Summary
    versus: Versus | None = None
    beside: Mapping[str, Summary] = field(default_factory=dict)

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
        if self.versus is None:
            return {**told, "versus": None}
        versus = self.versus
        pair = versus.pair
        return {
            **told,
            "versus": {
                "verdict": versus.verdict,
                "difference": versus.difference,
                "interval": list(versus.interval),
                "p_holm": versus.p_holm,
                "p": None if pair is None else pair.p,
                "only_this": None if pair is None else pair.only_first,
                "only_baseline": None if pair is None else pair.only_second,
                "seeds": None if pair is None else pair.seeds,
            },
        }


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
) -> list[list[Row]]:
    """The rows of every cell for all `seeds`, in order, with one bar over the whole sweep.

    folder: where each cell keeps its own `eval.json` and `outcomes.jsonl`; rows that are there
    already are not made again, so a sweep that was stopped goes on. slots, workers: see `judge`.
    """
    judged: list[list[Row]] = []
    with progress(what, len(cells) * len(seeds), "episodes") as tell:
        for number, cell in enumerate(cells, start=1):
            before = (number - 1) * len(seeds)
            note = f"{cell.name} ({number} of {len(cells)})"
            file = None
            if folder is not None:
                file = open_rows(folder / CELLS / cell.slug, cell.trial, versions or {})
            watched = _Watched(file, seeds, lambda done, b=before, n=note: tell(b + done, n))
            kept = {"known": watched.known(cell.trial.name), "keep": watched.keep}
            shape = {"slots": slots, "workers": workers, "quiet": True}
            judged.append(judge(setup_of(cell.trial), seeds, **kept, **shape))
    return judged


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
    cells: Sequence[Cell],
    judged: Sequence[Sequence[Row]],
    *,
    paired: bool = True,
    baseline: int = 0,
) -> list[Judged]:
    """What became of every cell, each but the baseline compared with it.

    paired: whether a seed is the same scene in every cell. Then the exact McNemar test decides,
    with Holm's correction over the cells; otherwise the interval of the difference does.
    """
    base = judged[baseline]
    pairs = [
        compare_paired(rows, base) if paired and i != baseline else None
        for i, rows in enumerate(judged)
    ]
    corrected = holm([pair.p if pair else None for pair in pairs])
    out = []
    for i, (cell, rows) in enumerate(zip(cells, judged, strict=True)):
        mine, other = summarise(rows), summarise(base)
        versus = None
        if i != baseline:
            difference = (mine.rate or 0.0) - (other.rate or 0.0)
            span = newcombe(mine.success, mine.episodes, other.success, other.episodes)
            versus = Versus(difference, span, pairs[i], corrected[i])
        out.append(Judged(cell, rows, mine, versus))
    return out


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Several p, each corrected for there being several (Holm 1979); None stays None."""
    known = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    least = 0.0
    for rank, (p, i) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        corrected[i] = least
    return corrected


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
