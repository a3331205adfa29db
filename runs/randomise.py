"""What randomisation costs and what it leaves possible: the expert's success, and seconds.

    uv run python runs/randomise.py [--quick]

The expert knows where everything is, so what it loses is what has become impossible or slippery,
not what is hard to see. Every set of ranges is played on the same seeds. Costs are measured side
by side, in turns: an episode's reset, a tick without pictures, an overhead picture of 224 x 224.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from vibrissa.control.drive import run_episode
from vibrissa.core.errors import ArmFault
from vibrissa.core.stats import rate_text, wilson
from vibrissa.sim import gl
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.randomise import PRESETS, preset
from vibrissa.sim.sample import draw
from vibrissa.sim.tasks import make_scene, make_task, task_names

RESULT = Path(__file__).parent / "results" / "randomise.json"
SEEDS, QUICK_SEEDS, SHARE = 200, 20, 20
ROUNDS, RESETS, STEPS, PICTURES, SIZE = 7, 5, 60, 10, (224, 224)

Job = tuple[str, str, str, int, int]  # task, preset, the only factor or "", first seed, how many


def play(job: Job) -> tuple[Job, list[str]]:
    """The failure classes of some seeds, in order."""
    task, name, factor, first, count = job
    cfg = make_scene(task, random=preset(name))
    arm, expert, judge = _arm(cfg, factor), Expert(cfg), make_task(task, cfg)
    ends = []
    for seed in range(first, first + count):
        try:
            ends.append(run_episode(arm, expert, judge, seed=seed).outcome.failure_class)
        except ArmFault:
            ends.append("FAULT")
    return job, ends


def _arm(cfg: Any, factor: str) -> SimArm:
    """An arm whose episodes take all sampled values, or those of one factor."""
    if not factor:
        return SimArm(cfg)

    class Single(SimArm):
        def reset(self, seed: int, *, sample: Any = None) -> None:
            super().reset(seed, sample=draw(self.cfg, seed).only(factor))

    return Single(cfg)


def jobs(seeds: int) -> list[Job]:
    """Every task with every preset; the first task also with each factor of `strong` alone."""
    felt = ["friction", "mass", "size", "start", "distractors"]
    felt += ["action_latency", "joint_noise"]
    wanted = [(task, name, "") for task in task_names() for name in PRESETS]
    wanted += [("pick-place", "strong", factor) for factor in felt]
    return [
        (*what, first, min(SHARE, seeds - first))
        for what in wanted
        for first in range(0, seeds, SHARE)
    ]


def success(seeds: int) -> dict[str, Any]:
    """Success by task, preset and factor."""
    ends: dict[str, list[str]] = {}
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for (task, name, factor, *_), told in pool.imap(play, jobs(seeds)):
            key = " ".join(filter(None, (task, name, factor and f"only {factor}")))
            ends.setdefault(key, []).extend(told)
            if len(ends[key]) == seeds:
                print(f"{key:40s} {rate_text(_won(ends[key]), seeds)}", flush=True)
    return {
        key: {
            "success": _won(told),
            "episodes": len(told),
            "interval": [round(bound, 4) for bound in wilson(_won(told), len(told))],
            "classes": dict(Counter(told).most_common()),
        }
        for key, told in ends.items()
    }


def _won(ends: list[str]) -> int:
    return sum(end in ("SUCCESS", "FUMBLED") for end in ends)


def costs(rounds: int) -> dict[str, Any]:
    """Milliseconds of a reset, a tick and a picture, by preset, measured in turns."""
    scenes = {n: make_scene("pick-place", camera_size=SIZE, random=PRESETS[n]) for n in PRESETS}
    arms = {name: SimArm(scene, cameras=("overhead",)) for name, scene in scenes.items()}
    spent: dict[str, dict[str, list[float]]] = {n: defaultdict(list) for n in arms}
    for round_ in range(rounds):
        for name, arm in arms.items():
            began_s = time.perf_counter()
            for seed in range(RESETS):
                arm.reset(RESETS * round_ + seed)
            reset_s = time.perf_counter() - began_s
            home = np.array(arm.cfg.home_rad, np.float32)
            for _ in range(STEPS):
                arm.send(home)
                arm.observe()
            tick_s = time.perf_counter() - began_s - reset_s
            spent[name]["reset"].append(1e3 * reset_s / RESETS)
            spent[name]["tick"].append(1e3 * tick_s / STEPS)
            if not gl.trouble():
                spent[name]["picture"].append(1e3 * _picture_s(arm))
    told = {}
    for name, kinds in spent.items():
        told[name] = {f"{kind}_ms": round(statistics.median(x), 3) for kind, x in kinds.items()}
        for kind, plain in spent["none"].items():
            ratios = [a / b for a, b in zip(kinds[kind], plain, strict=True)]
            told[name][f"{kind}_times_none"] = round(statistics.median(ratios), 2)
        print(f"{name:8s} {told[name]}", flush=True)
    return told


def _picture_s(arm: SimArm) -> float:
    """Seconds an observation's picture takes, latency and grain included."""
    began_s = time.perf_counter()
    for _ in range(PICTURES):
        assert arm.observe().images["overhead"].shape == (*SIZE, 3)
    return (time.perf_counter() - began_s) / PICTURES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SEEDS} seeds, 3 rounds")
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    seeds = QUICK_SEEDS if asked.quick else SEEDS
    began_s = time.perf_counter()
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}",
        "load_average": round(os.getloadavg()[0], 2),
        "seeds": [0, seeds - 1],
        "rounds": 3 if asked.quick else ROUNDS,
        "costs": costs(3 if asked.quick else ROUNDS),
        "expert": success(seeds),
    }
    result["wall_s"] = round(time.perf_counter() - began_s, 1)
    asked.out.parent.mkdir(exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    print(asked.out)


if __name__ == "__main__":
    main()
