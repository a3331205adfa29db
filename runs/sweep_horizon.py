"""How much of a chunk is executed, and temporal ensembling: the same seeds for every setting.

python runs/sweep_horizon.py --work /tmp/sweep-horizon      → runs/results/sweep_horizon.json

A state policy is trained on few demonstrations, so that there is something to lose, with chunks of
100 actions. Each row has jump (how far the sent action moves where a chunk begins) and stride (from
tick to tick elsewhere). Of some seeds every tick is looked at: how much of the time the arm stands
still at the end, and how far the first action of a chunk lies from where the arm is. A run that was
stopped goes on; its time is then not told.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from vibrissa import cli
from vibrissa.bench.page import machine, versions
from vibrissa.bench.sweeps import slug
from vibrissa.commands.eval import HELD_OUT
from vibrissa.commands.train import train_policy
from vibrissa.core.stats import rate_text
from vibrissa.learn.recipes import Recipe, recipe_named

RESULT = Path(__file__).parent / "results" / "sweep_horizon.json"
CHUNK = 100
LOOKED_AT = 12  # episodes of each setting
LAST, STILL_RAD = 50, 0.003  # ticks; twice a step of the servo's encoder
KEPT = (
    *("cell", "success", "episodes", "interval", "versus", "classes", "dropped", "picked"),
    *("mean_steps", "mean_jump", "mean_stride", "asks_per_s", "answers_per_s", "mean_inferences"),
    "mean_latency_s",
)


@dataclass(frozen=True)
class Config:
    work: Path
    """Where demonstrations, run and rows go."""
    demonstrations: int = 40
    """How many of the expert's successes it learns from."""
    steps: int = 2500
    """Training steps."""
    horizons: tuple[int, ...] = (1, 5, 10, 20, 50, 100)
    """Executed parts of a chunk."""
    episodes: int = 100
    """Seeds of every setting."""
    result: Path = RESULT


def main(cfg: Config) -> None:
    began_s, fresh = time.perf_counter(), not cfg.work.exists()
    run = _train(cfg)
    trained_s = time.perf_counter() - began_s
    told = _sweep(cfg, run)
    summary = {
        "what": __doc__.splitlines()[0] if __doc__ else "",
        "policy": f"{cfg.demonstrations} demonstrations, {cfg.steps} steps, chunks of {CHUNK}",
        "task": told["task"],
        "seeds": told["seeds"],
        "baseline": told["baseline"],
        "cells": [{name: cell[name] for name in KEPT} for cell in told["cells"]],
        "beside": {
            n: {k: b[k] for k in ("success", "episodes")} for n, b in told["beside"].items()
        },
        "standing": {cell["cell"]: _standing(cfg, cell["cell"]) for cell in told["cells"]},
        "train_s": round(trained_s, 1) if fresh else None,
        "wall_s": round(time.perf_counter() - began_s, 1) if fresh else None,
        "machine": machine(),
        "versions": versions(),
    }
    cfg.result.parent.mkdir(parents=True, exist_ok=True)
    cfg.result.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    for cell in summary["cells"]:
        print(f"{cell['cell']:<24} {rate_text(cell['success'], cell['episodes'])}")
    print(cfg.result)


def _train(cfg: Config) -> Path:
    """The run's folder; what is there already is not made again."""
    run, demonstrations = cfg.work / "run", cfg.work / "demonstrations"
    if not demonstrations.exists():
        words = ["record", "--out", str(demonstrations), "--episodes", str(cfg.demonstrations)]
        assert cli.main(words) == 0
    if not (run / "checkpoints" / "last").exists():
        train_policy(_recipe(cfg), demonstrations, run, device="cpu", cache=cfg.work / "cache")
    return run


def _recipe(cfg: Config) -> Recipe:
    """`act-state` with longer chunks, half of which it executes unless told otherwise."""
    recipe = recipe_named("act-state", steps=cfg.steps, save_every=cfg.steps)
    act = replace(recipe.act, chunk_size=CHUNK, n_action_steps=CHUNK // 2)
    return replace(recipe, act=act)


def _sweep(cfg: Config, run: Path) -> Mapping[str, Any]:
    horizons = ",".join(map(str, cfg.horizons))
    words = [sys.executable, "-m", "vibrissa.cli", "eval", str(run), "--json", "--device", "cpu"]
    words += ["--sweep", f"horizon={horizons}", "--sweep", "ensemble=off,0.01"]
    words += ["--episodes", str(cfg.episodes), "--out", str(cfg.work / "sweep")]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(done.returncode)
    return json.loads(done.stdout)


def _standing(cfg: Config, cell: str) -> dict[str, Any]:
    """How the episodes of some seeds end: medians over them, from every tick of each.

    still: the share of the last ticks in which no joint moved by `STILL_RAD`. lead_rad: from where
    the arm is to the first action of a chunk, the farthest joint, median over the chunks.
    """
    folder = cfg.work / "ticks" / slug(cell)
    if not folder.exists():
        words = ["eval", "--from", str(cfg.work / "sweep" / "cells" / slug(cell))]
        for seed in range(HELD_OUT, HELD_OUT + LOOKED_AT):
            words += ["--only-seed", str(seed)]
        assert cli.main([*words, "--rollouts", str(folder)]) == 0
    still, lead = [], []
    for path in sorted(folder.iterdir()):
        ticks = json.loads(path.read_text(encoding="utf-8"))["ticks"]
        states = np.array([tick["state"] for tick in ticks])  # (T, 6) rad
        moved = np.abs(np.diff(states, axis=0)).max(axis=1)
        still.append(float((moved[-LAST:] < STILL_RAD).mean()))
        first = [np.subtract(t["chunk"][0], t["state"]) for t in ticks if "chunk" in t]
        lead.append(float(np.median(np.abs(first).max(axis=1))))
    told = {"still": float(np.median(still)), "lead_rad": round(float(np.median(lead)), 4)}
    return {"episodes": len(still), **told}


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
