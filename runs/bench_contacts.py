"""What it costs to know the grip: expert episodes with and without forces being read.

    uv run python runs/bench_contacts.py

The same seeds are played by two arms in turns. One reads who touches the object and nothing more;
the other also solves for the pads' forces and measures the grip, as every episode does.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from vibrissa.control.drive import run_episode
from vibrissa.sim.arm import SimArm
from vibrissa.sim.contacts import Contacts, Touch
from vibrissa.sim.expert import Expert
from vibrissa.sim.tasks import TASKS, make_scene, make_task

ROUNDS, SEEDS = 15, 4
RESULT = Path(__file__).parent / "results" / "bench_contacts.json"


class Unfelt(Contacts):
    """Who touches the object, but not how hard: no forces, and so no grip to measure."""

    def read(self, model: Any, data: Any) -> Touch:
        pads, self._pad_of = self._pad_of, np.zeros_like(self._pad_of)
        touch = super().read(model, data)
        self._pad_of = pads
        return dataclasses.replace(touch, elsewhere=True)


def seconds(arm: SimArm, task: str) -> tuple[float, int]:
    """Wall time and ticks of the expert's episodes on the first seeds."""
    expert, judge, ticks = Expert(arm.cfg), make_task(task, arm.cfg), 0
    began_s = time.perf_counter()
    for seed in range(SEEDS):
        ticks += run_episode(arm, expert, judge, seed=seed).outcome.ticks
    return time.perf_counter() - began_s, ticks


def compare(task: str) -> dict[str, Any]:
    cfg = make_scene(task)
    felt, unfelt = SimArm(cfg), SimArm(cfg)
    unfelt._contacts = Unfelt(unfelt.model)
    rates: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(ROUNDS):
        ticks = set()
        for name, arm in (("with", felt), ("without", unfelt)):
            spent_s, count = seconds(arm, task)
            ticks.add(count)
            rates[name].append(count / spent_s)
        assert len(ticks) == 1, "looking at the forces changed an episode"
    ratios = [a / b for a, b in zip(rates["with"], rates["without"], strict=True)]
    return {
        "steps_per_s": {name: round(statistics.median(r), 1) for name, r in rates.items()},
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
        "rounds": ROUNDS,
        "episodes_a_round": SEEDS,
    }


def main() -> None:
    told = {task: compare(task) for task in TASKS}
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}",
        "load_average": round(os.getloadavg()[0], 2),
        "tasks": told,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    for task, row in told.items():
        print(f"{task:12s} {row['steps_per_s']}  ratio {row['ratio_median']} {row['ratio_range']}")
    print(RESULT)


if __name__ == "__main__":
    main()
