"""`vibrissa eval` over several settings: a sweep, a panel, sites, or all checkpoints of a run."""

from __future__ import annotations

import json as json_
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from vibrissa.commands.eval_told import exit_code
from vibrissa.core.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from vibrissa.bench.outcomes import Row, Summary
    from vibrissa.bench.pages import Page
    from vibrissa.bench.sweeps import Cell, Judged
    from vibrissa.bench.trials import Loader, Trial
    from vibrissa.commands.eval import Config

SWEEP = "sweep.json"
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


def run(cfg: Config) -> int:
    if cfg.all_checkpoints:
        _require_checkpoints(cfg)
    asked = _asked(cfg)
    _begin(asked)
    if cfg.all_checkpoints:
        return _pick(asked)
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


def _sweep(asked: Asked) -> int:
    from vibrissa.bench.sweeps import cells_of, verdicts

    cfg = asked.cfg
    if asked.own_horizon is None and any(axis.startswith(_CHUNKS) for axis in cfg.sweep):
        raise UsageError("a scripted pilot has no chunks: sweep its offset, min or clip.")
    cells = cells_of(asked.trial, cfg.sweep, own_horizon=asked.own_horizon)
    rows, beside = _judge(asked, cells, "sweep")
    judged = verdicts(cells, rows)
    apart = [j for j in judged if j.versus is not None and j.versus.verdict != "not separated"]
    headline = f"{len(apart)} of {len(cells) - 1} settings differ from {cells[0].name}"
    return _tell(asked, judged, "sweep", headline, _sentence(asked, cells[0].name), beside)


def _panel(asked: Asked) -> int:
    from vibrissa.bench.panel import panel_cells, worst_first
    from vibrissa.bench.sweeps import verdicts

    cells, left_out = panel_cells(asked.trial, STRENGTHS[asked.cfg.panel])
    rows, beside = _judge(asked, cells, "panel")
    judged = worst_first(verdicts(cells, rows))
    hurt = [j for j in judged if j.versus is not None and j.versus.verdict == "worse"]
    headline = f"{len(hurt)} of {len(cells) - 1} factors cost it successes"
    notes = []
    if left_out:
        notes.append(f"Left out, because this pilot sees no pictures: {', '.join(left_out)}.")
    told = _sentence(asked, cells[0].name) + " Each row varies one factor alone, worst first."
    return _tell(asked, judged, "panel", headline, told, beside, notes)


def _sites(asked: Asked) -> int:
    from vibrissa.bench.outcomes import summarise
    from vibrissa.bench.sites import beside as standing_beside
    from vibrissa.bench.sites import site_cells
    from vibrissa.bench.sweeps import verdicts

    cells = site_cells(asked.trial, asked.cfg.sites)
    experts = [] if _stands_alone(asked) else [standing_beside(cell, "expert") for cell in cells]
    rows, _ = _judge(asked, [*cells, *experts], "sites", beside=False)
    judged = verdicts(cells, rows[: len(cells)], paired=False)
    for i, more in enumerate(rows[len(cells) :]):
        judged[i] = replace(judged[i], beside={"expert": summarise(more)})
    beside = {
        f"{j.cell.name}, {name}": summary for j in judged for name, summary in j.beside.items()
    }
    told = [f"{j.told.text} at {j.cell.name}" for j in judged]
    return _tell(
        asked, judged, "sites", ", ".join(told), _sentence(asked, cells[0].name), beside, maps=True
    )


def _pick(asked: Asked) -> int:
    from vibrissa.bench.picking import Picked, candidates, choose, require_apart
    from vibrissa.bench.sweep_page import lines, picked_page
    from vibrissa.bench.sweeps import verdicts
    from vibrissa.learn.run import PRETRAINED, RunFolder

    cfg = asked.cfg
    assert cfg.checkpoint is not None
    first = range(cfg.pick_seeds, cfg.pick_seeds + len(asked.seeds))
    require_apart(first, asked.seeds)
    cells = candidates(asked.trial, RunFolder.open(cfg.checkpoint).checkpoints(), PRETRAINED)
    rows, _ = _judge(asked, cells, "choosing", seeds=first, beside=False)
    winner = choose(cells, rows)
    final = [winner] if winner is cells[-1] else [cells[-1], winner]
    again, _ = _judge(asked, final, "reporting", beside=False)
    judged = verdicts(final, again)
    last = judged[0] if len(judged) > 1 else None
    chosen = verdicts(cells, rows)
    picked = Picked(chosen, first, asked.seeds, judged[-1], last)
    if cfg.json:
        print(json_.dumps(picked.to_dict(), indent=2))
    else:
        counts = ", ".join(f"{j.cell.name} {j.told.success}/{j.told.episodes}" for j in chosen)
        print(f"chosen by  {counts} (seeds {first[0]} to {first[-1]})")
        print("\n".join([*lines(judged, {}), picked.sentence]))
    _write(asked, picked_page(picked, _settings(cfg)), picked.to_dict())
    return exit_code([row for rows in again for row in rows])


def _judge(
    asked: Asked,
    cells: Sequence[Cell],
    what: str,
    *,
    seeds: Sequence[int] | None = None,
    beside: bool = True,
) -> tuple[list[list[Row]], dict[str, Summary]]:
    """The rows of every cell, and what expert and zero pilot come to on the same seeds."""
    from vibrissa.bench.judge import BESIDE
    from vibrissa.bench.outcomes import summarise
    from vibrissa.bench.page import versions
    from vibrissa.bench.sites import beside as standing_beside
    from vibrissa.bench.sweeps import run_cells

    cfg = asked.cfg
    others = BESIDE if beside and not _stands_alone(asked) else ()
    more = [standing_beside(cells[0], name) for name in others]
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
    )
    told = {name: summarise(r) for name, r in zip(others, rows[len(cells) :], strict=True)}
    return rows[: len(cells)], told


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
    from vibrissa.bench.sweep_page import lines, page

    cfg = asked.cfg
    told = {
        "what": what,
        "task": asked.trial.place.task,
        "seeds": [asked.seeds[0], asked.seeds[-1]],
        "episodes": len(asked.seeds),
        "headline": headline,
        "baseline": next(j.cell.name for j in judged if j.versus is None),
        "cells": [j.to_dict() for j in judged],
        "beside": {name: summary.to_dict() for name, summary in beside.items()},
        "notes": list(notes),
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
        settings=_settings(cfg),
        notes=notes,
        maps=maps,
    )
    _write(asked, made, told)
    return exit_code([row for j in judged for row in j.rows])


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
    from vibrissa.bench.trials import require_same

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


def _require_checkpoints(cfg: Config) -> None:
    """Raise where the run has no two checkpoints to choose from."""
    from vibrissa.learn.run import RunFolder

    assert cfg.checkpoint is not None
    found = RunFolder.open(cfg.checkpoint).checkpoints()
    if not found:
        raise CheckpointError(f"the run {cfg.checkpoint} has no checkpoint yet.")
    if len(found) == 1:
        raise CheckpointError(
            f"the run {cfg.checkpoint} has kept one checkpoint, {found[0].name}: there is nothing "
            "to choose from. Train with a larger --keep."
        )


def _stands_alone(asked: Asked) -> bool:
    return asked.cfg.alone or asked.trial.checkpoint is None


def _sentence(asked: Asked, baseline: str) -> str:
    seeds = asked.seeds
    return (
        f"{len(seeds)} episodes a row, seeds {seeds[0]} to {seeds[-1]}, against {baseline}. "
        "Choose by this and report on other seeds: the best of several rows flatters."
    )


def _settings(cfg: Config) -> dict[str, str]:
    from vibrissa.commands.eval import UNTOLD

    told = {f.name: getattr(cfg, f.name) for f in fields(cfg)}
    return {name: str(value) for name, value in told.items() if name not in UNTOLD and value}
