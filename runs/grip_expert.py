"""The expert with the gripper as it is on a desk: weaker, and with pads that slide more easily.

    uv run python runs/grip_expert.py [--episodes 200]

The simulated gripper closes with up to 3.35 N m. LeRobot limits a real SO-101's to half of what its
servo has: 19.5 kg cm at 7.4 V (datasheet), so 0.96 N m.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

from vibrissa.control.drive import run_episode
from vibrissa.core.stats import wilson
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.scene import PLAUSIBLE, STICKY, ContactCfg
from vibrissa.sim.servo import ServoCfg
from vibrissa.sim.tasks import make_scene, make_task

RESULT = Path(__file__).parent / "results" / "grip_expert.json"
FIRST_SEED, SHARE = 7000, 25
FULL_NM, HALF_NM = 3.35, 0.96
CONTACTS = {
    "sticky": STICKY,
    "plausible": PLAUSIBLE,
    "bare plastic, 0.5": ContactCfg("bare", (0.5, 0.02, 0.0001), 4, 0.6),
    "slick, 0.3": ContactCfg("slick", (0.3, 0.02, 0.0001), 4, 0.6),
}
MEASURES = ("static_pad_mean_n", "moving_pad_mean_n", "slip_m", "both_pads_share")

Job = tuple[str, str, float, int, int]  # task, contact, gripper's torque (N m), first seed, count
Row = tuple[str, dict[str, float]]


def play(job: Job) -> tuple[Job, list[Row]]:
    task, contact, torque_nm, first, count = job
    servo = ServoCfg(force_nm=(FULL_NM,) * 5 + (torque_nm,))
    cfg = make_scene(task, contact=CONTACTS[contact], servo=servo)
    arm, expert, judge = SimArm(cfg), Expert(cfg), make_task(task, cfg)
    ends = [run_episode(arm, expert, judge, seed=s).outcome for s in range(first, first + count)]
    return job, [(end.failure_class, dict(end.measures)) for end in ends]


def summary(rows: list[Row]) -> dict[str, Any]:
    clean = sum(name == "SUCCESS" for name, _ in rows)
    told: dict[str, Any] = {
        "clean_success": clean,
        "fumbled": sum(name == "FUMBLED" for name, _ in rows),
        "n": len(rows),
        "interval_of_clean": [round(v, 4) for v in wilson(clean, len(rows))],
    }
    held = [m for _, m in rows if m.get("held_ticks")]
    return told | {
        f"{name}_median": round(statistics.median(m[name] for m in held), 5) for name in MEASURES
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=200)
    asked = parser.parse_args()
    began_s, played = time.perf_counter(), {}
    jobs: list[Job] = [
        (task, contact, torque_nm, first, min(SHARE, FIRST_SEED + asked.episodes - first))
        for task in ("pick-place", "lift")
        for contact in CONTACTS
        for torque_nm in (FULL_NM, HALF_NM)
        for first in range(FIRST_SEED, FIRST_SEED + asked.episodes, SHARE)
    ]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for (task, contact, torque_nm, *_), rows in pool.imap(play, jobs):
            name = f"{task}, {contact}, {torque_nm:g} N m"
            played.setdefault(name, []).extend(rows)
            if len(played[name]) == asked.episodes:
                print(f"{name:42s} {summary(played[name])}", flush=True)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}",
        "seeds": [FIRST_SEED, FIRST_SEED + asked.episodes - 1],
        "wall_s": round(time.perf_counter() - began_s, 1),
        "grippers": {name: summary(rows) for name, rows in played.items()},
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(RESULT)


if __name__ == "__main__":
    main()
