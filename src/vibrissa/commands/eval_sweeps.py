"""`vibrissa eval` over several settings: a sweep, a panel, sites, or all checkpoints of a run."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vibrissa.commands.eval_told import exit_code, settings
from vibrissa.core.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from vibrissa.bench.outcomes import Row, Summary
    from vibrissa.bench.pages import Page
    from vibrissa.bench.picking import LeftOut
    from vibrissa.bench.sweeps import Cell, Judged
    from vibrissa.bench.trials import Loader, Trial
    from vibrissa.commands.eval import Config

STRENGTHS = {"light": ("light",), "strong": ("strong",), "both": ("light", "strong")}
_CHUNKS = ("horizon=", "ensemble=")


@dataclass(frozen=True)
class Asked:
    """One call: the options, what is tried before any setting is changed, and how it is run."""

    cfg: Config
    trial: Trial
    seeds: Sequence[int]
    loader: Loader
    own_horizon: int | None  # of the checkpoint; None of a scripted pilot
    cautions: Sequence[str] = ()


def run(cfg: Config) -> int:
    asked = _asked_of_run(cfg) if cfg.all_checkpoints else _asked(cfg)
    asked.loader(asked.trial)  # what does not fit is told before anything is made
    if cfg.all_checkpoints:
        return _pick(asked)
    _begin(asked)
    if cfg.sites:
        return _sites(asked)
    return _panel(asked) if cfg.panel else _sweep(asked)


def _asked(cfg: Config) -> Asked:
    from vibrissa.bench.trials import Loader
    from vibrissa.commands.eval_trial import trial_of

    trial, policy = trial_of(cfg)
    seeds = cfg.only_seed or range(cfg.seeds, cfg.seeds + cfg.episodes)
    own = policy.horizon if policy is not None else None
    return Asked(cfg, trial, seeds, Loader(trial, policy), own)


def _asked_of_run(cfg: Config) -> Asked:
    """The same with the last checkpoint that is whole: a run may have been killed while it saved.

    Raises CheckpointError where the run has no two.
    """
    from vibrissa.commands.eval_trial import several_checkpoints
    from vibrissa.learn.run import PRETRAINED

    found = several_checkpoints(cfg)
    from vibrissa.learn.loading import require_readable

    last = found[-1]
    for path in reversed(found):
        try:
            require_readable(path / PRETRAINED)
        except CheckpointError:
            continue  # told when it is left out
        last = path
        break
    return replace(_asked(replace(cfg, checkpoint=last)), cfg=cfg)


def _cautious(asked: Asked, cells: Sequence[Cell] = ()) -> Asked:
    """The same, knowing what is odd before the first episode; it is told.

    cells: settings whose scenes differ, each of which is looked at; without them, the trial.
    """
    from vibrissa.bench.first_look import odd_from
    from vibrissa.bench.source import never_seen
    from vibrissa.core.seeds import HELD_OUT

    if asked.trial.checkpoint is None:
        return asked
    looks = [(f"{cell.name}: ", cell.trial) for cell in cells] or [("", asked.trial)]
    odd = [
        f"{name}{line}"
        for name, trial in looks
        for line in odd_from(asked.loader(trial), asked.seeds)
    ]
    if not never_seen(asked.trial.checkpoint, asked.seeds):
        odd.append(
            f"Demonstrations may have come from these very seeds, {min(asked.seeds)} and up (held "
            f"out are those from {HELD_OUT} on): this is no test of what was learnt."
        )
    for line in odd:
        _warn(line)
    return replace(asked, cautions=odd)


def _warn(line: str) -> None:
    print(f"warning {line}", file=sys.stderr)


def _sweep(asked: Asked) -> int:
    from vibrissa.bench.sweep_page import headline
    from vibrissa.bench.sweeps import cells_of, verdicts

    cfg = asked.cfg
    if asked.own_horizon is None and any(axis.startswith(_CHUNKS) for axis in cfg.sweep):
        raise UsageError("a scripted pilot has no chunks: sweep its offset, min or clip.")
    cells = cells_of(asked.trial, cfg.sweep, own_horizon=asked.own_horizon)
    asked = _cautious(asked)
    rows, beside = _judge_beside(asked, cells, "sweep")
    judged = verdicts(cells, rows)
    told = (
        f"{_span(asked, 'a row')}, against {cells[0].name}. Choose by this and report on other "
        "seeds: the best of several rows flatters."
    )
    return _tell(asked, judged, "sweep", headline(judged), told, beside)


def _panel(asked: Asked) -> int:
    from vibrissa.bench.outcomes import summarise
    from vibrissa.bench.panel import (
        NOMINAL,
        beside_experts,
        felt,
        headline,
        panel_cells,
        whose,
        worst_first,
    )
    from vibrissa.bench.sweeps import verdicts

    cells, left_out = panel_cells(asked.trial, STRENGTHS[asked.cfg.panel])
    asked = _cautious(asked)
    others = [(cell, "expert") for cell in felt(cells)] + [(cells[0], "zero")]
    rows, theirs = _judge(asked, cells, "panel", [] if _stands_alone(asked) else others)
    judged = worst_first(beside_experts(verdicts(cells, rows), theirs))
    beside = {pilot: summarise(r) for (cell, pilot), r in theirs.items() if cell == NOMINAL}
    notes = whose(judged)
    if left_out:
        notes.append(f"Left out, because this pilot sees no pictures: {', '.join(left_out)}.")
    told = f"With nothing varied it solves {judged[0].told.text}. {_span(asked, 'a row')}, "
    told += "each with one factor varied alone in the same scenes, worst first."
    return _tell(asked, judged, "panel", headline(judged), told, beside, notes)


def _sites(asked: Asked) -> int:
    from vibrissa.bench.judge import BESIDE
    from vibrissa.bench.outcomes import summarise
    from vibrissa.bench.sites import headline, site_cells, where
    from vibrissa.bench.sweeps import verdicts

    cells = site_cells(asked.trial, asked.cfg.sites)
    asked = _cautious(asked, cells)
    others = () if _stands_alone(asked) else BESIDE
    pairs = [(cell, name) for cell in cells for name in others]
    rows, theirs = _judge(asked, cells, "sites", pairs)
    told = {key: summarise(r) for key, r in theirs.items()}
    judged = [
        replace(one, beside={name: told[one.cell.name, name] for name in others})
        for one in verdicts(cells, rows, paired=False)
    ]
    beside = {f"{cell}, {name}": summary for (cell, name), summary in told.items()}
    about = f"{_span(asked, 'at each site')}. Starts: {where(cells)}."
    return _tell(asked, judged, "sites", headline(judged), about, beside, maps=True)


def _pick(asked: Asked) -> int:
    from vibrissa.bench.picking import LeftOut, Picked, candidates, choose, readable, require_apart
    from vibrissa.bench.sweep_page import lines, picked_page, wrong_with
    from vibrissa.bench.sweeps import verdicts
    from vibrissa.learn.run import PRETRAINED, checkpoints_of

    cfg = asked.cfg
    assert cfg.checkpoint is not None
    first = range(cfg.pick_seeds, cfg.pick_seeds + len(asked.seeds))
    require_apart(first, asked.seeds)
    asked = _cautious(asked)
    every = candidates(asked.trial, checkpoints_of(cfg.checkpoint), PRETRAINED)
    left_out = LeftOut(len(every), _warn)
    cells = readable(every, left_out)
    _begin(asked)
    rows, _ = _judge(asked, cells, "choosing", seeds=first, leave_out=left_out)
    cells, rows = [c for c, r in zip(cells, rows, strict=True) if r], [r for r in rows if r]
    winner = choose(cells, rows)
    final = [winner] if winner is cells[-1] else [cells[-1], winner]
    again, beside = _judge_beside(asked, final, "reporting")
    judged = verdicts(final, again)
    last = judged[0] if len(judged) > 1 else None
    chosen = verdicts(cells, rows)
    picked = Picked(chosen, first, asked.seeds, judged[-1], last)
    odd = [*left_out.lines, *asked.cautions, *wrong_with(chosen, {}), *wrong_with(judged, beside)]
    told = {
        **picked.to_dict(),
        "beside": {name: one.to_dict() for name, one in beside.items()},
        "cautions": odd,
    }
    if cfg.json:
        print(json_.dumps(told, indent=2))
    else:
        counts = ", ".join(f"{j.cell.name} {j.told.success}/{j.told.episodes}" for j in chosen)
        print(f"chosen by  {counts} (seeds {first[0]} to {first[-1]})")
        print("\n".join([*lines(judged, beside), picked.sentence]))
    _write(
        asked, picked_page(picked, settings(cfg, asked.seeds), beside=beside, cautions=odd), told
    )
    broke = exit_code([row for part in (*rows, *again) for row in part], _gifts(beside))
    return max(broke, int(bool(left_out.lines)))


def _judge(
    asked: Asked,
    cells: Sequence[Cell],
    what: str,
    beside: Sequence[tuple[Cell, str]] = (),
    *,
    seeds: Sequence[int] | None = None,
    leave_out: LeftOut | None = None,
) -> tuple[list[list[Row]], dict[tuple[str, str], list[Row]]]:
    """The rows of every cell, and those of scripted pilots `beside`, by cell and pilot."""
    from vibrissa.bench.page import versions
    from vibrissa.bench.sites import beside as standing_beside
    from vibrissa.bench.sweeps import run_cells

    cfg = asked.cfg
    more = [standing_beside(cell, name) for cell, name in beside]
    rows = run_cells(
        [*cells, *more],
        asked.seeds if seeds is None else seeds,
        what=what,
        setup_of=asked.loader,
        folder=cfg.out,
        versions=versions(),
        slots=cfg.slots,
        workers=cfg.workers,
        fleet=cfg.fleet,
        leave_out=leave_out,
        say=_warn,
    )
    whom = [(cell.name, name) for cell, name in beside]
    return rows[: len(cells)], dict(zip(whom, rows[len(cells) :], strict=True))


def _judge_beside(
    asked: Asked, cells: Sequence[Cell], what: str
) -> tuple[list[list[Row]], dict[str, Summary]]:
    """The rows of every cell, and what expert and zero pilot come to on the same seeds."""
    from vibrissa.bench.judge import BESIDE
    from vibrissa.bench.outcomes import summarise

    others = () if _stands_alone(asked) else BESIDE
    rows, theirs = _judge(asked, cells, what, [(cells[0], name) for name in others])
    return rows, {name: summarise(r) for (_, name), r in theirs.items()}


def _tell(
    asked: Asked,
    judged: Sequence[Judged],
    what: str,
    headline: str,
    sentence: str,
    beside: Mapping[str, Summary],
    notes: Sequence[str] = (),
    maps: bool = False,
) -> int:
    from vibrissa.bench.sweep_page import lines, page, told_of, wrong_with

    cfg = asked.cfg
    odd = [*asked.cautions, *wrong_with(judged, beside)]
    told = {
        "what": what,
        "task": asked.trial.place.task,
        "seeds": [asked.seeds[0], asked.seeds[-1]],
        "episodes": len(asked.seeds),
        "headline": headline,
        "baseline": next(j.cell.name for j in judged if j.versus is None),
        "cells": told_of(judged, maps=maps),
        "beside": {name: summary.to_dict() for name, summary in beside.items()},
        "notes": list(notes),
        "cautions": odd,
    }
    if cfg.json:
        print(json_.dumps(told, indent=2))
    else:
        print("\n".join([*lines(judged, beside), *notes]))
    made = page(
        judged,
        title=what,
        headline=headline,
        sentence=sentence,
        beside=beside,
        settings=settings(cfg, asked.seeds),
        notes=notes,
        maps=maps,
        cautions=odd,
    )
    _write(asked, made, told)
    return exit_code([row for j in judged for row in j.rows], _gifts(beside))


def _gifts(beside: Mapping[str, Summary]) -> int:
    """How often the zero pilot succeeded, wherever it stood beside."""
    return sum(one.success for name, one in beside.items() if name.endswith("zero"))


def _write(asked: Asked, page: Page, told: Mapping[str, Any]) -> None:
    from vibrissa.bench.pages import write_page

    cfg = asked.cfg
    if cfg.out is None:
        return
    path = write_page(page, cfg.out, told)
    if not cfg.json:
        print(f"report  {path}")


def _begin(asked: Asked) -> None:
    """Take --out, or see that it holds this very sweep."""
    from vibrissa.bench.page import versions
    from vibrissa.bench.trials import SWEEP, require_same

    cfg = asked.cfg
    if cfg.out is None:
        return
    told = {
        "trial": asked.trial.to_dict(),
        "seeds": list(asked.seeds),
        "sweep": list(cfg.sweep),
        "sites": list(cfg.sites),
        "panel": cfg.panel,
        "pick_seeds": cfg.pick_seeds if cfg.all_checkpoints else None,
    }
    require_same(cfg.out, told, versions(), SWEEP)


def _stands_alone(asked: Asked) -> bool:
    return asked.cfg.alone or asked.trial.checkpoint is None


def _span(asked: Asked, where: str) -> str:
    seeds = asked.seeds
    return f"{len(seeds)} episodes {where} (seeds {seeds[0]} to {seeds[-1]})"
