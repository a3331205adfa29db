"""How often the expert, doing nothing and chance solve the tasks that are shipped as files.

    uv run python runs/task_files.py [--episodes 200] [--quick]

Every site, the usual one also with noise on the expert's targets, as demonstrations have it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import time
from pathlib import Path

from expert import FIRST_SEED, Row, play, summary

from vibrissa.sim.task_file import shipped
from vibrissa.sim.tasks import task_named

RESULT = Path(__file__).parent / "results" / "task_files.json"
SHARE, QUICK = 20, 40  # seeds a job; episodes with --quick


def wanted() -> list[tuple[str, str, str, float]]:
    """task, site, pilot, noise (rad)"""
    told = []
    for task in shipped():
        sites = list(task_named(task).sites)
        told += [(task, site, "expert", 0.0) for site in sites]
        told += [(task, sites[0], "expert", 0.03)]
        told += [(task, sites[0], name, 0.0) for name in ("zero", "random")]
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} episodes, nothing written")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    episodes, began_s = QUICK if asked.quick else asked.episodes, time.perf_counter()
    jobs = [
        (*what, first, min(SHARE, FIRST_SEED + episodes - first))
        for what in wanted()
        for first in range(FIRST_SEED, FIRST_SEED + episodes, SHARE)
    ]
    played: dict[str, list[Row]] = {}
    with multiprocessing.get_context("spawn").Pool(asked.workers) as pool:
        for (task, site, pilot, noise_rad, *_), rows in pool.imap(play, jobs):
            name = f"{task} {site} {pilot}" + (f" noise {noise_rad:g} rad" if noise_rad else "")
            played.setdefault(name, []).extend(rows)
            if len(played[name]) == episodes:
                told = summary(played[name])
                low, high = told["interval"]
                print(f"{name:36s} {told['success']:4d}/{episodes} ({low:.1%} to {high:.1%})")
    if asked.quick:
        return
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}",
        "seeds": [FIRST_SEED, FIRST_SEED + episodes - 1],
        "wall_s": round(time.perf_counter() - began_s, 1),
        "pilots": {name: summary(rows) for name, rows in played.items()},
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(RESULT)


if __name__ == "__main__":
    main()
