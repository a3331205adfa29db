"""vibrissa compare on policies that are far from 100 %: few demonstrations, early checkpoints.

    uv run python runs/compare_shown.py --work /tmp/compare-shown
                                                → runs/results/compare_shown.json

State policies from 10 and from 50 demonstrations of pick-place, an early and a late checkpoint of
each, judged where the block starts within ±8 cm, twice as far out as in any demonstration. A run
that was stopped goes on.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from vibrissa.bench.page import machine, versions

RESULT = Path(__file__).parent / "results" / "compare_shown.json"
EARLY = 300  # steps


@dataclass(frozen=True)
class Config:
    work: Path
    """Where datasets, runs and comparisons are made."""
    few: int = 10
    """Demonstrations of the one run."""
    many: int = 50
    """Demonstrations of the other one."""
    steps: tuple[int, int] = (900, 2400)
    """Training steps of either."""
    episodes: int = 200
    """Seeds at most."""
    spawn_half: float = 0.08
    """Half the side of the square in which the block starts, m."""
    result: Path = RESULT


def main(cfg: Config) -> None:
    began_s = time.monotonic()
    cfg.work.mkdir(parents=True, exist_ok=True)
    few = _trained(cfg.work, "few", cfg.few, cfg.steps[0], first_seed=0)
    many = _trained(cfg.work, "many", cfg.many, cfg.steps[1], first_seed=1000)
    trained_s = time.monotonic() - began_s
    contests = {
        "two checkpoints of one run": [f"few-early={_at(few, EARLY)}", f"few={few}"],
        "few demonstrations against many": [f"few={few}", f"many={many}"],
        "all four": [
            *(f"few-early={_at(few, EARLY)}", f"few={few}"),
            *(f"many-early={_at(many, EARLY)}", f"many={many}"),
        ],
    }
    told = {name: _compared(cfg, name, words) for name, words in contests.items()}
    cfg.result.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "what": __doc__.splitlines()[0] if __doc__ else "",
        "demonstrations": {"few": cfg.few, "many": cfg.many},
        "steps": {"few": [EARLY, cfg.steps[0]], "many": [EARLY, cfg.steps[1]]},
        "spawn_half_m": cfg.spawn_half,
        "contests": told,
        "seconds": {"train": round(trained_s, 1), "all": round(time.monotonic() - began_s, 1)},
        "machine": machine(),
        "versions": versions(),
    }
    cfg.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"in {time.monotonic() - began_s:.0f} s: {cfg.result}")


def _trained(work: Path, name: str, episodes: int, steps: int, first_seed: int) -> Path:
    """A run of the state recipe, unless it is there already."""
    data, run = work / f"{name}-set", work / f"{name}-run"
    if not data.exists():
        _vibrissa("record", "--out", data, "--episodes", episodes, "--seeds", first_seed)
    if not run.exists():
        words = ["--steps", steps, "--save-every", EARLY, "--keep", steps // EARLY + 1]
        _vibrissa("train", "act-state", data, "--out", run, "--device", "cpu", *words)
    return run


def _at(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"{step:06d}"


def _compared(cfg: Config, name: str, words: list[str]) -> dict[str, Any]:
    out = cfg.work / name.replace(" ", "-")
    more = ["--episodes", cfg.episodes, "--spawn-half", cfg.spawn_half, "--device", "cpu"]
    began_s = time.monotonic()
    _vibrissa("compare", *words, *more, "--out", out)
    told = json.loads((out / "compare.json").read_text(encoding="utf-8"))
    for contender in told["contenders"].values():
        del contender["summary"], contender["what"]
    return {**told, "wall_s": round(time.monotonic() - began_s, 1)}


def _vibrissa(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "vibrissa.cli", *map(str, words)], check=True)


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
