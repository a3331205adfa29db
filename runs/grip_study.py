"""What a grip holds: pad friction and grip force against drops, for the brick and the cube.

    uv run python runs/grip_study.py [--quick] [--seeds 20]

Every trial is one grasp of the expert's arm with the jaws commanded a little past first contact:
how far past is the grip's strength. The object is lifted, held for 10 s, shaken, and swung to the
side. Beside it stands the least force that friction allows, m g / (2 mu), and a pull test: how
hard the object must be pulled before it slips. The plot goes to docs/pictures/grip.png.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.stats import wilson
from vibrissa.core.units import GRIPPER
from vibrissa.show.progress import progress
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.grip import slip_of
from vibrissa.sim.scene import STICKY, ContactCfg
from vibrissa.sim.tasks import BRICK, CUBE, make_scene

RESULT = Path(__file__).parent / "results" / "grip_study.json"
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "grip.png"

RATE_HZ, GRAVITY = 30.0, 9.81
OBJECTS = {"brick": BRICK, "cube": CUBE}
FRICTIONS = (0.3, 0.5, 0.7, 1.0, 1.5, 2.0)
STICKY_NAME = "sticky"
# Past first contact, rad; less than 0 is a jaw that opens again a little. At 100 N m/rad the servo
# is at its limit of 3.35 N m from 0.034 on.
PAST_RAD = (-0.003, -0.002, -0.0015, -0.001, 0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.034)
CLOSING_RAD, FIRM_TICKS = 0.01, 10  # a tick; ticks before the arm lifts
HOLD_S, SHAKE_S, SHAKE_HZ, SHAKE_RAD = 10.0, 3.0, 2.5, 0.10
SWING_RAD, SWING_S = 1.2, 1.0
LOST_M = 0.03  # farther from the tip than this beyond its own size
STAGES = ("lift", "hold", "shake", "swing")
# The pull grows by so much a second, until the object has slipped so far.
PULL_N_S, MOST_PULL_N, SLIPPED_M = 10.0, 150.0, 0.002
PULLED_RAD, PULLED_SEEDS = (0.001, 0.008, 0.034), 5
ENOUGH = 0.95  # of the seeds: the grip is said to hold
SEED = 5000

Job = tuple[str, str, float, int]  # object, friction ("1.0" or "sticky"), past contact, seed


@dataclass(frozen=True)
class Trial:
    """One grasp. dropped: the stage in which the object was lost, "" if never.

    force_n: on the weaker pad, mean over the hold (over the lift, where it got no further).
    creep_m: in the hold; slip_m: in shake and swing; accelerated: the tip's greatest
    acceleration in m/s² while shaken or swung.
    """

    dropped: str
    force_n: float
    creep_m: float = 0.0
    slip_m: float = 0.0
    accelerated: float = 0.0


class Lost(Exception):
    """The object is no longer between the jaws."""


class Bench:
    """An arm with a grip of a given strength; `go` moves it and looks after the object."""

    def __init__(self, thing: str, friction: str, past_rad: float):
        scene = make_scene("lift", object=OBJECTS[thing], rate_hz=RATE_HZ, contact=pads(friction))
        self.arm, self.past_rad = SimArm(scene), past_rad
        self.jaw_rad: float | None = None
        self.seen: list[Mapping[str, Any]] = []

    def grasp(self, seed: int) -> None:
        """The expert's approach and lift, with our own closing of the jaws. Raises Lost."""
        expert, arm = Expert(self.arm.cfg), self.arm
        arm.reset(seed)
        expert.reset(seed)
        self.jaw_rad, self.seen = None, []
        seen = arm.observe()
        for _ in range(round(12 * RATE_HZ)):
            action = expert.decide(seen).action.copy()
            if expert.phase == "close" and self.jaw_rad is None:
                self.close(action)
            if self.jaw_rad is not None:
                action[GRIPPER] = self.jaw_rad
                if expert.phase in ("rise", "hover"):
                    raise Lost
            arm.send(action)
            seen = arm.observe()
            if expert.phase == "lift":
                self.seen.append(seen.truth)
            if expert.phase == "rest":
                return
        raise Lost

    def close(self, action: NDArray[np.float32]) -> None:
        """Bring the jaws together slowly until both pads press, then to their strength."""
        action = action.copy()
        action[GRIPPER] = self.arm.observe().state[GRIPPER]
        seen = self.arm.observe()
        for _ in range(120):
            if (seen.truth["pad_force_n"] > 0).all():
                break
            action[GRIPPER] -= CLOSING_RAD
            self.arm.send(action)
            seen = self.arm.observe()
        self.jaw_rad = float(seen.state[GRIPPER] - self.past_rad)
        action[GRIPPER] = self.jaw_rad
        for _ in range(FIRM_TICKS):
            self.arm.send(action)
            self.arm.observe()

    def go(self, path: Iterator[NDArray[np.float32]]) -> list[Mapping[str, Any]]:
        """Send a path of targets (6,); the truth of every tick. Raises Lost."""
        self.seen = []
        for target in path:
            self.arm.send(target)
            truth = self.arm.observe().truth
            away_m = np.linalg.norm(truth["object_position"] - truth["tip_position"])
            if not truth["touching"] or away_m > LOST_M + self.arm.cfg.object.half_size_m[0]:
                raise Lost
            self.seen.append(truth)
        return self.seen

    @property
    def target(self) -> NDArray[np.float32]:
        assert self.arm.target is not None
        return self.arm.target.copy()


def pads(friction: str) -> ContactCfg:
    if friction == STICKY_NAME:
        return STICKY
    return ContactCfg("study", (float(friction), 0.02, 0.0001), 4, 0.6)


def stay(target: NDArray[np.float32], seconds: float) -> Iterator[NDArray[np.float32]]:
    for _ in range(round(seconds * RATE_HZ)):
        yield target


def shake(target: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Sideways and up and down together, swelling so that nothing starts with a jerk."""
    for tick in range(round(SHAKE_S * RATE_HZ)):
        time_s, moved = tick / RATE_HZ, target.copy()
        swell = min(1.0, time_s)
        moved[[0, 2]] += swell * SHAKE_RAD * np.sin(2 * np.pi * SHAKE_HZ * time_s)
        yield moved


def swing(target: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Round the shoulder to the other side, as a transport does."""
    side = -1.0 if target[0] > 0 else 1.0
    ticks = round(SWING_S * RATE_HZ)
    for tick in range(1, ticks + 1):
        moved = target.copy()
        moved[0] += side * SWING_RAD * (1 - np.cos(np.pi * tick / ticks)) / 2
        yield moved


def play(job: Job) -> tuple[Job, Trial]:
    thing, friction, past_rad, seed = job
    bench = Bench(thing, friction, past_rad)
    stage, force_n, creep_m, slip_m, accelerated = "lift", 0.0, 0.0, 0.0, 0.0
    try:
        bench.grasp(seed)
        stage = "hold"
        held = bench.go(stay(bench.target, HOLD_S))
        force_n, creep_m = grip_n(held), slip_of(held).distance_m
        stage = "shake"
        moved = bench.go(shake(bench.target))
        stage = "swing"
        moved = [*moved, *bench.go(swing(bench.target))]
        stage, slip_m, accelerated = "", slip_of(moved).distance_m, acceleration(moved)
    except Lost:
        force_n = force_n or grip_n(bench.seen)
    return job, Trial(stage, force_n, creep_m, slip_m, accelerated)


def pull(job: Job) -> tuple[Job, tuple[float, float] | None]:
    """The downward pull (N) at which the object slips, its weight included, and the grip (N).

    None where the grip does not even lift it.
    """
    thing, friction, past_rad, seed = job
    bench, pulled_n = Bench(thing, friction, past_rad), 0.0
    try:
        bench.grasp(seed)
        force_n = grip_n(bench.go(stay(bench.target, 0.5)))
    except Lost:
        return job, None
    first, target = bench.seen[-1], bench.target
    body = bench.arm.model.body("object").id
    try:
        while pulled_n < MOST_PULL_N:
            pulled_n += PULL_N_S / RATE_HZ
            bench.arm.data.xfrc_applied[body, 2] = -pulled_n
            now = bench.go(stay(target, 1 / RATE_HZ))[-1]
            if slip_of([first, now]).distance_m > SLIPPED_M:
                break
    except Lost:
        pass  # pulled out within one tick: this is the force
    return job, (pulled_n + GRAVITY * bench.arm.cfg.object.mass_kg, force_n)


def grip_n(ticks: list[Mapping[str, Any]]) -> float:
    """Normal force on the weaker pad, mean over these ticks."""
    forces = [truth["pad_force_n"] for truth in ticks]
    return float(np.mean(forces, axis=0).min()) if forces else 0.0


def acceleration(ticks: list[Mapping[str, Any]]) -> float:
    """The tip's greatest acceleration, m/s²."""
    tip_m = np.stack([truth["tip_position"] for truth in ticks])
    return float(np.linalg.norm(np.diff(tip_m, 2, axis=0), axis=1).max() * RATE_HZ**2)


def summary(trials: list[Trial]) -> dict[str, Any]:
    """One cell: what share was kept, at what force, and how far it crept."""
    kept = [t for t in trials if not t.dropped]
    low, high = wilson(len(trials) - len(kept), len(trials))
    told: dict[str, Any] = {
        "dropped": len(trials) - len(kept),
        "n": len(trials),
        "interval": [round(low, 4), round(high, 4)],
        "lost_in": {s: sum(t.dropped == s for t in trials) for s in STAGES},
        "grip_n_median": round(statistics.median(t.force_n for t in trials), 3),
    }
    if kept:
        told |= {
            "creep_mm": spread([1000 * t.creep_m for t in kept]),
            "moved_slip_mm": spread([1000 * t.slip_m for t in kept]),
            "acceleration_m_s2": round(max(t.accelerated for t in kept), 2),
        }
    return told


def spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 4), "most": round(max(values), 4)}


def onset(cells: list[dict[str, Any]], mass_kg: float, friction: str) -> dict[str, Any]:
    """The weakest grip from which on all stronger ones hold, beside what friction demands."""
    told: dict[str, Any] = {}
    if friction != STICKY_NAME:
        hardest = max(
            (c["acceleration_m_s2"] for c in cells if "acceleration_m_s2" in c), default=0
        )
        told["least_n_at_rest"] = round(mass_kg * GRAVITY / (2 * float(friction)), 3)
        told["least_n_moved"] = round(mass_kg * (GRAVITY + hardest) / (2 * float(friction)), 3)
    holds = [1 - c["dropped"] / c["n"] >= ENOUGH for c in cells]
    first = next((i for i in range(len(cells)) if all(holds[i:])), None)
    if first is not None:
        told |= {"past_rad": cells[first]["past_rad"], "grip_n": cells[first]["grip_n_median"]}
    return told


def pulled(rows: list[tuple[float, float]]) -> dict[str, Any]:
    """The friction that a grip shows: pull / (2 x normal force)."""
    if not rows:
        return {"n": 0}
    shown = [pull_n / (2 * max(force_n, 1e-9)) for pull_n, force_n in rows]
    return {
        "n": len(rows),
        "grip_n_median": round(statistics.median(f for _, f in rows), 3),
        "pull_n_median": round(statistics.median(p for p, _ in rows), 3),
        "shown_friction": spread(shown) | {"least": round(min(shown), 4)},
        "more_than_was_tried": sum(p >= MOST_PULL_N for p, _ in rows),
    }


def study(frictions: list[str], past_rad: tuple[float, ...], seeds: int) -> dict[str, Any]:
    grid = [(t, f, p) for t in OBJECTS for f in frictions for p in past_rad]
    jobs: list[Job] = [(*cell, SEED + i) for cell in grid for i in range(seeds)]
    pulls: list[Job] = [
        (t, f, p, SEED + i)
        for t in OBJECTS
        for f in frictions
        for p in PULLED_RAD
        for i in range(min(seeds, PULLED_SEEDS))
    ]
    trials: dict[tuple[str, str, float], list[Trial]] = {cell: [] for cell in grid}
    drawn: dict[tuple[str, str, float], list[tuple[float, float]]] = {j[:3]: [] for j in pulls}
    with (
        multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool,
        progress("grips", len(jobs) + len(pulls), "trials") as tell,
    ):
        for done, (job, trial) in enumerate(pool.imap(play, jobs, 4), 1):
            trials[job[:3]].append(trial)
            tell(done, "")
        for done, (job, result) in enumerate(pool.imap(pull, pulls, 4), 1 + len(jobs)):
            drawn[job[:3]] += [] if result is None else [result]
            tell(done, "pulled")
    told: dict[str, Any] = {}
    for thing, made in OBJECTS.items():
        told[thing] = {}
        for friction in frictions:
            cells = [{"past_rad": p, **summary(trials[thing, friction, p])} for p in past_rad]
            told[thing][friction] = {
                "starts_to_hold": onset(cells, made.mass_kg, friction),
                "grips": cells,
                "pulled": [
                    {"past_rad": p, **pulled(drawn[thing, friction, p])} for p in PULLED_RAD
                ],
            }
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="grasps of every cell")
    parser.add_argument("--quick", action="store_true", help="4 seeds, every other strength")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    asked = parser.parse_args()
    seeds = 4 if asked.quick else asked.seeds
    past_rad = PAST_RAD[::2] if asked.quick else PAST_RAD
    frictions = [*(f"{f:g}" for f in FRICTIONS), STICKY_NAME]
    began_s = time.perf_counter()
    told = study(frictions, past_rad, seeds)
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}",
        "seeds": [SEED, SEED + seeds - 1],
        "hold_s": HOLD_S,
        "shake": {"s": SHAKE_S, "hz": SHAKE_HZ, "rad": SHAKE_RAD},
        "swing": {"s": SWING_S, "rad": SWING_RAD},
        "mass_kg": {name: thing.mass_kg for name, thing in OBJECTS.items()},
        "wall_s": round(time.perf_counter() - began_s, 1),
        "objects": told,
    }
    asked.out.parent.mkdir(exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    import grip_plot  # beside this script

    grip_plot.draw(told, asked.picture)
    for thing, frictions_told in told.items():
        for friction, row in frictions_told.items():
            print(f"{thing:6s} {friction:7s} {row['starts_to_hold']}")
    print(asked.out)
    print(asked.picture)


if __name__ == "__main__":
    main()
