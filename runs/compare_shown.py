"""vibrissa compare on policies in the middle of the scale: better, worse, and not separated.

    uv run python runs/compare_shown.py --work /tmp/data-study
                                                → runs/results/compare_shown.json

State policies from 10 and from 160 demonstrations of pick-place, and an early checkpoint of either.
They learnt where the block starts within ±4 cm, and are judged there and within ±8 cm. Runs are
those of runs/data_study.py: what is there in --work is taken over, which is said, and what is not
is made. A comparison that was stopped goes on; its time is then not told.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from vibrissa.bench.page import machine, versions

RESULT = Path(__file__).parent / "results" / "compare_shown.json"
TOLD = ("success", "episodes", "interval", "faults", "letters", "classes")


@dataclass(frozen=True)
class Config:
    work: Path
    """Where datasets, runs and comparisons are, or are made."""
    few: int = 10
    """Demonstrations of the one run."""
    many: int = 160
    """Demonstrations of the other one."""
    steps: int = 2000
    """Training steps of each."""
    early: int = 1000
    """The step of the early checkpoints."""
    episodes: int = 96
    """Seeds at most."""
    spawn_half: float = 0.08
    """Half the side of the wider square in which the block starts, m."""
    result: Path = RESULT


def main(cfg: Config) -> None:
    began_s, taken_over = time.monotonic(), []
    few, many = (_trained(cfg, count, taken_over) for count in (cfg.few, cfg.many))
    trained_s = time.monotonic() - began_s
    contests = {
        "few against many, wide": [f"few={few}", f"many={many}", "--spawn-half", cfg.spawn_half],
        "many against its early checkpoint": [f"many={many}", f"early={_early(cfg, many)}"],
        "few against its early checkpoint": [f"few={few}", f"early={_early(cfg, few)}"],
    }
    told = {name: _compared(cfg, name, words) for name, words in contests.items()}
    result = {
        "what": __doc__.splitlines()[0] if __doc__ else "",
        "demonstrations": {"few": cfg.few, "many": cfg.many},
        "steps": {"whole": cfg.steps, "early": cfg.early},
        "spawn_half_m": {"wide": cfg.spawn_half, "as learnt": 0.04},
        "taken over": taken_over,
        "contests": told,
        "seconds": {
            "train": None if taken_over else round(trained_s, 1),
            "all": round(time.monotonic() - began_s, 1),
        },
        "note": "one training seed each: the verdicts speak of these policies",
        "machine": machine(),
        "versions": versions(),
    }
    cfg.result.parent.mkdir(parents=True, exist_ok=True)
    cfg.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if taken_over:
        print(f"taken over: {', '.join(taken_over)}")
    print(f"in {time.monotonic() - began_s:.0f} s: {cfg.result}")


def _trained(cfg: Config, demonstrations: int, taken_over: list[str]) -> Path:
    """A run of the state recipe; made, with its demonstrations, unless it is there."""
    data = cfg.work / f"data-{demonstrations}"
    run = cfg.work / f"run-{demonstrations}-{cfg.steps}"
    if run.exists():
        taken_over.append(run.name)
        return run
    cfg.work.mkdir(parents=True, exist_ok=True)
    if not data.exists():
        _vibrissa("record", "--out", data, "--episodes", demonstrations)
    _vibrissa("train", "act-state", data, "--out", run, "--steps", cfg.steps, "--device", "cpu")
    return run


def _early(cfg: Config, run: Path) -> Path:
    return run / "checkpoints" / f"{cfg.early:06d}"


def _compared(cfg: Config, name: str, words: Sequence[object]) -> dict[str, Any]:
    """What a comparison came to. wall_s: None where a part of it was there before."""
    out = cfg.work / "compared" / name.replace(", ", "-").replace(" ", "-")
    fresh, began_s = not out.exists(), time.monotonic()
    _vibrissa("compare", *words, "--episodes", cfg.episodes, "--device", "cpu", "--out", out)
    told = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    del told["terms"]  # a whole scene each; what differs stands above
    told["contenders"] = {
        label: {key: one[key] for key in TOLD} for label, one in told["contenders"].items()
    }
    return {**told, "wall_s": round(time.monotonic() - began_s, 1) if fresh else None}


def _vibrissa(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "vibrissa.cli", *map(str, words)], check=True)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
