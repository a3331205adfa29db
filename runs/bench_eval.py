"""Where the time of an evaluation goes, and what of it could not be had for less.

    uv run python runs/bench_eval.py [--folder DIR] [--episodes 8] [--rounds 5]

The policies are those of `bench_checkpoints.py`. An evaluation in one process is timed in turns
with its unavoidable parts alone: the very same forward passes, the same physics steps under the
same actions, the same pictures. Then the same with a second process, beside two processes that do
nothing but count, and the memory of it all. `bench_stock_eval.py` compares with `lerobot-eval` on
the same checkpoints.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import psutil
from bench_checkpoints import SIZE, TASK, checkpoints
from numpy.typing import NDArray

from vibrissa.bench import helpers
from vibrissa.bench.evaluate import Setup, evaluate
from vibrissa.bench.page import machine
from vibrissa.bench.setups import Place, learnt, place_for
from vibrissa.bench.workers import evaluate_in_workers, itself, prepare
from vibrissa.control.clock import settle_memory
from vibrissa.core.episode import Episode, Observation, Start, Step
from vibrissa.core.protocols import Arm, Policy
from vibrissa.sim.arm import SimArm

RESULT = Path(__file__).parent / "results" / "bench_eval.json"
FIRST_SEED, LIMIT = 2_000_000, 1.4
EPISODES = {"state": 8, "cameras": 1, "seeing": 4}  # times --episodes
MEMORY_EPISODES = 60


def setup_of(checkpoint: Path, **shape: Any) -> tuple[Place, Setup]:
    from vibrissa.learn.policy import load_policy

    policy = load_policy(checkpoint, device="cpu")
    place = place_for(policy.contract, task=TASK)
    return place, learnt(place, policy, **shape)


# -- the parts alone -------------------------------------------------------------------------------


@dataclass
class Heard:
    """One episode: what was sent (A,) at each tick, every state (Q,), where it looked."""

    seed: int = 0
    sent: list[NDArray[np.float32]] = field(default_factory=list)
    states: list[NDArray[np.float64]] = field(default_factory=list)
    looked: list[int] = field(default_factory=list)

    def on_start(self, start: Start) -> None:
        self.seed = start.seed

    def on_step(self, step: Step) -> None:
        if step.decision.chunk is not None:
            self.looked.append(step.observation.tick)
        self.sent.append(step.sent)
        self.states.append(step.observation.sim_state)

    def on_end(self, episode: Episode) -> None:
        return None


class Counted:
    """A policy that keeps every batch that it was asked."""

    def __init__(self, policy: Policy):
        self.contract, self.history, self._policy = policy.contract, policy.history, policy
        self.batches: list[list[Observation]] = []

    def reset(self, slots: Sequence[int]) -> None:
        self._policy.reset(slots)

    def act(self, observations: Sequence[Observation]) -> NDArray[np.float32]:
        self.batches.append(list(observations))
        return self._policy.act(observations)


def parts_of(place: Place, setup: Setup, seeds: Sequence[int]) -> dict[str, Callable[[], None]]:
    """What an evaluation of these seeds cannot do without, each to be done again by itself."""
    heard: list[Heard] = []
    assert setup.policy is not None
    policy, counted = setup.policy, Counted(setup.policy)

    def watch(_seed: int, _arm: Arm) -> list[Heard]:
        heard.append(Heard())
        return [heard[-1]]

    list(evaluate(replace(setup, policy=counted), seeds, watch))
    arm = place.make_arm()

    def forward() -> None:
        for batch in counted.batches:
            policy.act(batch)

    def physics() -> None:
        for one in heard:
            arm.reset(one.seed)
            for tick, sent in enumerate(one.sent):
                assert tick or np.array_equal(arm.data.qpos, one.states[0])
                arm.data.ctrl[:] = sent
                mujoco.mj_step(arm.model, arm.data, nstep=arm.cfg.substeps)
            assert np.isfinite(arm.data.qpos).all()

    def renders() -> None:
        for one in heard:
            states = np.stack(one.states)
            for tick in one.looked:
                pictures = arm.show(states, tick)
                for name in place.cameras:
                    assert pictures[name].shape == (*SIZE[::-1], 3)

    parts = {"forward": forward, "physics": physics}
    return {**parts, "renders": renders} if place.cameras else parts


def decompose(checkpoint: Path, episodes: int, rounds: int) -> dict[str, Any]:
    """The whole and its parts in turns: seconds of wall and of processor, and their ratio."""
    place, setup = setup_of(checkpoint)
    seeds = range(FIRST_SEED, FIRST_SEED + episodes)
    rows = list(evaluate(setup, seeds))  # warms all up
    settle_memory()  # as `judge` does
    parts = {"whole": lambda: [*evaluate(setup, seeds)] and None, **parts_of(place, setup, seeds)}
    wall_s: dict[str, list[float]] = {name: [] for name in parts}
    cpu_s: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, part in parts.items():
            began_s, used_s = time.perf_counter(), time.process_time()
            part()
            wall_s[name].append(time.perf_counter() - began_s)
            cpu_s[name].append(time.process_time() - used_s)
    names = [name for name in parts if name != "whole"]
    ratios = {
        kind: [
            whole / sum(times[name][i] for name in names) for i, whole in enumerate(times["whole"])
        ]
        for kind, times in (("wall", wall_s), ("cpu", cpu_s))
    }
    return {
        "n": episodes,
        "rounds": rounds,
        "ticks": sum(row.ticks for row in rows),
        "inferences": sum(row.inferences for row in rows),
        "rows_a_batch": setup.rows,
        "slots": setup.slots,
        "wall_s": {name: spread(times) for name, times in wall_s.items()},
        "cpu_s": {name: spread(times) for name, times in cpu_s.items()},
        "whole_to_parts_wall": spread(ratios["wall"]),
        "whole_to_parts_cpu": spread(ratios["cpu"]),
        "limit": LIMIT,
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 4),
        "least": round(min(values), 4),
        "most": round(max(values), 4),
    }


# -- more processes, more slots, memory ------------------------------------------------------------


def in_processes(checkpoint: Path, episodes: int, workers: int) -> dict[str, Any]:
    """Wall time of an evaluation in so many processes that have loaded, as this one has."""
    _, setup = setup_of(checkpoint)
    build = partial(itself, setup)
    prepare(episodes, workers)
    while helpers.loaded() < helpers.standing():
        time.sleep(0.05)
    began_s = time.perf_counter()
    rows = list(evaluate_in_workers(build, range(FIRST_SEED, FIRST_SEED + episodes), workers))
    wall_s = time.perf_counter() - began_s
    return {"n": len(rows), "workers": workers, "wall_s": round(wall_s, 2)}


def second_core(kind: str, rounds: int = 3, seconds: float = 4.0) -> dict[str, Any]:
    """How much more two processes do than one, where neither waits for anything: at most 2."""
    context = multiprocessing.get_context("spawn")
    gains = []
    for _ in range(rounds):
        done = {}
        for count in (1, 2):
            together, told = context.Barrier(count), context.SimpleQueue()
            words = (kind, seconds, together, told)
            team = [context.Process(target=_toil, args=words) for _ in range(count)]
            for process in team:
                process.start()
            done[count] = sum(told.get() for _ in team)
            for process in team:
                process.join()
        gains.append(done[2] / done[1])
    return {"work": kind, "rounds": rounds, "times_as_much": spread(gains)}


def _toil(kind: str, seconds: float, together: Any, told: Any) -> None:
    """Physics steps of an arm at rest, or products of matrices in one thread, for `seconds`."""
    import torch

    from vibrissa.sim.tasks import task_named

    torch.set_num_threads(1)
    arm = SimArm(task_named(TASK).scene)
    arm.reset(0)
    matrix = torch.ones(512, 512)

    def once() -> None:
        if kind == "physics":
            mujoco.mj_step(arm.model, arm.data, nstep=20)
        else:
            torch.mm(matrix, matrix)

    once()
    together.wait()
    end_s, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < end_s:
        once()
        count += 1
    told.put(count)


def memory(checkpoint: Path, slots: int, episodes: int) -> dict[str, Any]:
    """Resident memory of a process that judges with `slots` arms, along the episodes (MB)."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_weigh, args=(checkpoint, slots, episodes, there))
    process.start()
    told = here.recv()
    process.join()
    return {"slots": slots, "n": episodes, **told}


def _weigh(checkpoint: Path, slots: int, episodes: int, pipe: Any) -> None:
    me = psutil.Process()

    def resident_mb() -> float:
        return round(me.memory_info().rss / 1e6, 1)

    _, setup = setup_of(checkpoint, slots=slots)
    seen = [("ready", resident_mb())]
    rows = evaluate(setup, range(FIRST_SEED, FIRST_SEED + episodes))
    for number, _ in enumerate(rows, start=1):
        if number in (slots, 2 * slots, episodes // 2, episodes):
            seen.append((f"{number} episodes", resident_mb()))
    peak = Path("/proc/self/status")
    most = [line for line in peak.read_text().splitlines() if line.startswith("VmHWM")]
    pipe.send(
        {"resident_mb": dict(seen), "peak_mb": round(int(most[0].split()[1]) * 1024 / 1e6, 1)}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--episodes", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--policies", nargs="+", default=list(EPISODES))
    parser.add_argument("--memory", type=int, default=MEMORY_EPISODES)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="bench-eval-"))
    made = checkpoints(folder, tuple(args.policies))
    counts = {name: EPISODES[name] * args.episodes for name in made}
    told: dict[str, Any] = {"machine": machine(), "load_average": round(os.getloadavg()[0], 2)}
    for name, checkpoint in made.items():
        told[name] = decompose(checkpoint, counts[name], args.rounds)
        print(name, json.dumps(told[name]["wall_s"]), told[name]["whole_to_parts_wall"], flush=True)
    for name, checkpoint in made.items():
        told[name]["processes"] = [
            in_processes(checkpoint, 3 * counts[name], workers) for workers in (1, 2)
        ]
        told[name]["memory"] = [memory(checkpoint, slots, args.memory) for slots in (4, 16)]
        print(name, told[name]["processes"], told[name]["memory"], flush=True)
    told["second_core"] = [second_core(kind) for kind in ("physics", "matrices")]
    print(told["second_core"], flush=True)
    args.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(args.out)


if __name__ == "__main__":
    main()
