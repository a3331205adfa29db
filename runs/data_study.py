"""More demonstrations or more steps? Every pair, judged on the same held-out scenes.

    python runs/data_study.py --work /tmp/data-study      → runs/results/data_study.json

Each cell is a training of its own, with its own learning-rate schedule; the smaller sets are the
first episodes of the larger ones. What is finished in --work is not done again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from vibrissa.bench.outcomes import compare_paired, read_rows
from vibrissa.bench.page import machine
from vibrissa.core.stats import newcombe, rate_text, wilson

RESULT = Path(__file__).parent / "results" / "data_study.json"


@dataclass(frozen=True)
class Config:
    work: Path
    """Where datasets, runs and judged episodes are kept."""
    demonstrations: tuple[int, ...] = (10, 40, 160)
    steps: tuple[int, ...] = (500, 2000)
    episodes: int = 100
    """Held-out scenes for each cell."""
    result: Path = RESULT


def main(cfg: Config) -> None:
    cells = {(n, s): _cell(cfg, n, s) for n in cfg.demonstrations for s in cfg.steps}
    for (n, s), cell in cells.items():
        print(f"{n} demonstrations, {s} steps: {rate_text(cell['success'], cell['episodes'])}")
    fewest, most = min(cfg.demonstrations), max(cfg.demonstrations)
    short, long = min(cfg.steps), max(cfg.steps)
    told = {
        "what": (__doc__ or "").splitlines()[0],
        "cells": list(cells.values()),
        "more_data": _difference(cfg, (most, short), (fewest, short)),
        "more_steps": _difference(cfg, (fewest, long), (fewest, short)),
        "both": _difference(cfg, (most, long), (fewest, short)),
        "data_against_steps": _difference(cfg, (most, short), (fewest, long)),
        "note": "one training seed a cell: the intervals speak of these policies",
        "machine": machine(),
    }
    cfg.result.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(cfg.result)


def _cell(cfg: Config, demonstrations: int, steps: int) -> dict[str, Any]:
    rows = read_rows(_judged(cfg, demonstrations, steps))
    mine = [row for row in rows if row.pilot == "policy"]
    success = sum(row.success for row in mine)
    return {
        "demonstrations": demonstrations,
        "steps": steps,
        "success": success,
        "episodes": len(mine),
        "interval": [round(v, 4) for v in wilson(success, len(mine))],
    }


def _judged(cfg: Config, demonstrations: int, steps: int) -> Path:
    """The outcomes of one cell; recorded, trained and judged where that was not done before."""
    data = cfg.work / f"data-{demonstrations}"
    run = cfg.work / f"run-{demonstrations}-{steps}"
    out = cfg.work / f"judged-{demonstrations}-{steps}"
    if not data.exists():
        _vibrissa("record", "--pilot", "expert", "--task", "pick-place", "--out", str(data),
                  "--episodes", str(demonstrations))  # fmt: skip
    if not run.exists():
        _vibrissa("train", "act-state", str(data), "--out", str(run), "--steps", str(steps),
                  "--device", "cpu")  # fmt: skip
    if not (out / "report.json").exists():
        _vibrissa("eval", str(run), "--out", str(out), "--episodes", str(cfg.episodes), "--alone")
    return out / "outcomes.jsonl"


def _difference(cfg: Config, first: tuple[int, int], second: tuple[int, int]) -> dict[str, Any]:
    """Rates of two cells, their difference with its interval, and the paired p."""
    a, b = (
        [r for r in read_rows(_judged(cfg, *cell)) if r.pilot == "policy"]
        for cell in (first, second)
    )
    wins = [sum(r.success for r in rows) for rows in (a, b)]
    low, high = newcombe(wins[0], len(a), wins[1], len(b))
    return {
        "first": {"demonstrations": first[0], "steps": first[1]},
        "second": {"demonstrations": second[0], "steps": second[1]},
        "difference": round(wins[0] / len(a) - wins[1] / len(b), 4),
        "interval_unpaired": [round(low, 4), round(high, 4)],
        "p_paired": compare_paired(a, b).p,
    }


def _vibrissa(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "vibrissa.cli", *words], check=True)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
