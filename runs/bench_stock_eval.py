"""`vibrissa eval` beside stock `lerobot-eval`: same checkpoints, same seeds, videos off and on.

    uv run python runs/bench_stock_eval.py [--folder DIR] [--episodes 48] [--policies …]

The checkpoints are those of `bench_checkpoints.py`. lerobot-eval runs through our plugin
(`--env.type=vibrissa`), unmodified but for how many episodes it films: none, or all, not ten.
It is tried with 1, 4 and 16 environments, in one process and, from 4 on, in one each, on 16 seeds
and without films; its best goes on to all of them. It renders every camera at every step, which is
its nature: a gymnasium environment cannot know when a policy looks. Both run in turns, and both are
timed without their imports: from the first reset to the last verdict, with our helpers as loaded as
this process is; then as whole commands, imports included. Whatever else the machine does meanwhile
falls on both; the load average is stated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_checkpoints import SIZE, TASK, checkpoints
from bench_eval import FIRST_SEED, setup_of

from vibrissa.bench import helpers
from vibrissa.bench.films import film_into
from vibrissa.bench.judge import judge
from vibrissa.bench.page import machine
from vibrissa.bench.workers import prepare

RESULT = Path(__file__).parent / "results" / "bench_stock_eval.json"
BATCHES = ((1, False), (4, False), (4, True), (16, False), (16, True))
STOCK = """
import sys
import lerobot.scripts.lerobot_eval as stock
if __name__ == "__main__":
    films, real = int(sys.argv.pop(1)), stock.eval_policy_all
    stock.eval_policy_all = lambda **told: real(**{**told, "max_episodes_rendered": films})
    stock.main()
"""


def stock(
    script: Path, checkpoint: Path, cameras: Sequence[str], episodes: int, batch: int, **how: bool
) -> dict[str, Any]:
    """Seconds of one lerobot-eval, and the success of each seed."""
    with tempfile.TemporaryDirectory() as out:
        words = [
            f"--policy.path={checkpoint}",
            "--policy.device=cpu",
            "--env.type=vibrissa",
            f"--env.task={TASK}",
            f"--env.cameras={json.dumps(list(cameras))}",
            f"--env.observation_width={SIZE[0]}",
            f"--env.observation_height={SIZE[1]}",
            f"--eval.n_episodes={episodes}",
            f"--eval.batch_size={batch}",
            f"--eval.use_async_envs={str(how['apart']).lower()}",
            f"--seed={FIRST_SEED}",
            f"--output_dir={out}/judged",
        ]
        films = str(episodes if how["films"] else 0)
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        began_s = time.perf_counter()
        done = subprocess.run(
            [sys.executable, str(script), films, *words],
            env=env,
            capture_output=True,
            text=True,
        )
        whole_s = time.perf_counter() - began_s
        if done.returncode:
            raise SystemExit(f"lerobot-eval failed:\n{done.stderr[-2000:]}")
        told = json.loads((Path(out) / "judged" / "eval_info.json").read_text())
    (task,) = told["per_task"]
    successes = [bool(won) for won in task["metrics"]["successes"]]
    wall_s = round(told["overall"]["eval_s"], 2)
    return {"wall_s": wall_s, "whole_s": round(whole_s, 2), "successes": successes}


def ours(checkpoint: Path, episodes: int, *, films: bool) -> dict[str, Any]:
    """Seconds of one evaluation as `vibrissa eval` does it, and the success of each seed."""
    _, setup = setup_of(checkpoint)
    seeds = range(FIRST_SEED, FIRST_SEED + episodes)
    with tempfile.TemporaryDirectory() as folder:
        watches = [film_into(Path(folder))] if films else []
        prepare(episodes)
        while helpers.loaded() < helpers.standing():
            time.sleep(0.05)
        began_s = time.perf_counter()
        rows = judge(setup, seeds, watches=watches)
        wall_s = time.perf_counter() - began_s
    return {"wall_s": round(wall_s, 2), "successes": [row.success for row in rows]}


def whole_command(checkpoint: Path, episodes: int, *, films: bool) -> float:
    """Seconds of one `vibrissa eval`, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["eval", str(checkpoint), "--task", TASK, "--episodes", str(episodes), "--alone"]
        words += ["--device", "cpu", *(["--video", folder] if films else [])]
        began_s = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "vibrissa.cli", *words], capture_output=True, text=True
        )
        wall_s = time.perf_counter() - began_s
    if done.returncode:
        raise SystemExit(f"vibrissa eval failed:\n{done.stderr[-2000:]}")
    return round(wall_s, 2)


def pretrained(checkpoint: Path) -> Path:
    from vibrissa.learn.run import pretrained_folder

    return pretrained_folder(checkpoint)


def compare(script: Path, checkpoint: Path, episodes: int, probe: int) -> dict[str, Any]:
    """Every way of running lerobot-eval on a few seeds; its best and ours in turns on all."""
    place, _ = setup_of(checkpoint)
    folder = pretrained(checkpoint)
    tried: dict[str, Any] = {}
    for batch, apart in BATCHES:
        name = f"batch {batch}{', a process each' if apart else ''}"
        run = stock(script, folder, place.cameras, probe, batch, apart=apart, films=False)
        tried[name] = run["wall_s"]
        print(name, run["wall_s"], flush=True)
    best = min(tried, key=lambda name: tried[name])
    batch, apart = BATCHES[list(tried).index(best)]
    told: dict[str, Any] = {
        "tried": {"n": probe, "wall_s": tried},
        "stock_best": best,
        "n": episodes,
    }
    for films in (False, True):
        mine = [ours(checkpoint, episodes, films=films)]
        theirs = stock(script, folder, place.cameras, episodes, batch, apart=apart, films=films)
        mine.append(ours(checkpoint, episodes, films=films))
        walls_s = [one["wall_s"] for one in mine]
        won, whole_s = mine[0]["successes"], whole_command(checkpoint, episodes, films=films)
        told["videos on" if films else "videos off"] = {
            "ours_wall_s": walls_s,
            "stock_wall_s": theirs["wall_s"],
            "times_as_fast": [round(theirs["wall_s"] / wall_s, 2) for wall_s in walls_s],
            "whole_commands_s": {"ours": whole_s, "stock": theirs["whole_s"]},
            "whole_commands_times_as_fast": round(theirs["whole_s"] / whole_s, 2),
            "ours_successes": sum(won),
            "stock_successes": sum(theirs["successes"]),
            "seeds_that_differ": sum(a != b for a, b in zip(won, theirs["successes"])),
        }
        print(json.dumps(told["videos on" if films else "videos off"]), flush=True)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--episodes", type=int, default=48)
    parser.add_argument("--probe", type=int, default=16)
    parser.add_argument("--policies", nargs="+", default=["cameras", "seeing", "state"])
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="bench-eval-"))
    made = checkpoints(folder, tuple(args.policies))
    script = folder / "stock.py"
    script.write_text(STOCK)
    told: dict[str, Any] = {"machine": machine(), "load_average": round(os.getloadavg()[0], 2)}
    for name in args.policies:
        told[name] = compare(script, made[name], args.episodes, args.probe)
    args.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(args.out)


if __name__ == "__main__":
    main()
