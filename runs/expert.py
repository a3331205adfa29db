"""How often the expert, doing nothing and chance succeed, on the same seeds of every task.

    uv run python runs/expert.py [--episodes 600]

The expert must win nearly always and doing nothing never: otherwise scene or judge are broken.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any

from vibrissa.control.drive import run_episode
from vibrissa.control.pilots import Random, Zero
from vibrissa.core.stats import wilson
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.tasks import TASKS, make_scene, make_task

RESULT = Path(__file__).parent / "results" / "expert.json"
FIRST_SEED, SHARE = 0, 50  # seeds a job: many small jobs keep both cores busy to the end

Job = tuple[str, str, str, float, int, int]  # task, site, pilot, noise (rad), first seed, how many
Row = tuple[str, int]  # failure class, ticks


def play(job: Job) -> tuple[Job, list[Row]]:
    """The outcomes of some seeds, in order."""
    task, site, name, noise_rad, first, count = job
    cfg = make_scene(task, site=site, start_noise_rad=0.2 if noise_rad else 0.0)
    arm, judge = SimArm(cfg), make_task(task, cfg)
    pilot = {
        "expert": lambda: Expert(cfg, action_noise_rad=noise_rad),
        "zero": Zero,
        "random": lambda: Random(arm.contract),
    }[name]()
    ends = [run_episode(arm, pilot, judge, seed=s).outcome for s in range(first, first + count)]
    return job, [(end.failure_class, end.ticks) for end in ends]


def jobs(episodes: int) -> list[Job]:
    """Every site with the expert, shaken as well; the usual site with the two that must fail."""
    wanted = []
    for task, known in TASKS.items():
        sites = list(known.sites)
        wanted += [(task, site, "expert", 0.0) for site in sites]
        wanted += [(task, sites[0], "expert", 0.03)]
        wanted += [(task, sites[0], name, 0.0) for name in ("zero", "random")]
    return [
        (*what, first, min(SHARE, FIRST_SEED + episodes - first))
        for what in wanted
        for first in range(FIRST_SEED, FIRST_SEED + episodes, SHARE)
    ]


def summary(rows: list[Row]) -> dict[str, Any]:
    classes = Counter(name for name, _ in rows)
    good = [ticks for name, ticks in rows if name in ("SUCCESS", "FUMBLED")]
    return {
        "success": len(good),
        "episodes": len(rows),
        "interval": [round(bound, 4) for bound in wilson(len(good), len(rows))],
        "classes": dict(classes.most_common()),
        "ticks_of_successes": [min(good), statistics.median(good), max(good)] if good else [],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    began_s, played = time.perf_counter(), {}
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for (task, site, pilot, noise_rad, *_), rows in pool.imap(play, jobs(asked.episodes)):
            name = f"{task} {site} {pilot}" + (f" noise {noise_rad:g} rad" if noise_rad else "")
            played.setdefault(name, []).extend(rows)
            if len(played[name]) == asked.episodes:
                told = summary(played[name])
                low, high = told["interval"]
                print(
                    f"{name:36s} {told['success']:4d}/{told['episodes']} ({low:.1%} to {high:.1%})"
                )
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}",
        "seeds": [FIRST_SEED, FIRST_SEED + asked.episodes - 1],
        "wall_s": round(time.perf_counter() - began_s, 1),
        "pilots": {name: summary(rows) for name, rows in played.items()},
    }
    asked.out.parent.mkdir(exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    print(asked.out)


if __name__ == "__main__":
    main()
