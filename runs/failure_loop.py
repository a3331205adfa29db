"""Do demonstrations recorded where `vibrissa failures` says help more than as many anywhere?

    uv run python runs/failure_loop.py --out failure-loop

A policy is trained on demonstrations that leave out a part of the spawn. Its failures name places
to record at; a second policy has those demonstrations too, a third as many more from all over the
spawn. All three are compared on seeds that none of this has seen. One training seed each: the
verdict is on these three policies, not on the method. A call that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from vibrissa import cli
from vibrissa.bench.outcomes import read_rows
from vibrissa.bench.page import machine
from vibrissa.control.targets import Target, to_yaml
from vibrissa.core.stats import rate_text
from vibrissa.data.dataset import open_dataset
from vibrissa.sim.goals import draw
from vibrissa.sim.tasks import make_scene

RESULT = Path(__file__).parent / "results" / "failure_loop.json"
# All of the demonstrations begin within this disc; the spawn is a square of ±4 cm about its own
# centre, so that its far corners have none.
DISC = "targets:\n- {count: 60, x_m: 0.205, y_m: 0.213, spread_m: 0.028}\n"
EPISODES, LOOKED_AT, FRESH = 150, 2_000_000, 2_200_000


def call(*words: str | Path) -> None:
    """One command of ours. Raises SystemExit where it fails."""
    if cli.main([str(word) for word in words]):
        raise SystemExit(f"failed: vibrissa {' '.join(map(str, words))}")


def anywhere(count: int) -> str:
    """As many places as the task itself would draw: all over its square, at any yaw."""
    rng = np.random.default_rng(0)
    poses = [draw(make_scene("pick-place").spawn, rng) for _ in range(count)]
    return to_yaml([Target(x, y, yaw, spread_rad=0.0) for x, y, yaw in poses])


def policy(folder: Path, dataset: Path, steps: int) -> Path:
    """Trained on `dataset`; the run's folder."""
    options = ("--steps", str(steps), "--device", "cpu")
    if folder.exists():
        return folder
    call("train", "act-state", dataset, "--out", folder, *options)
    return folder


def judge(run: Path, out: Path, first: int) -> list[Any]:
    """Its rows on `EPISODES` seeds from `first` on."""
    seeds = ("--seeds", str(first), "--episodes", str(EPISODES))
    call("eval", run, *seeds, "--alone", "--device", "cpu", "--out", out)
    return [row for row in read_rows(out / "outcomes.jsonl") if row.pilot == "policy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2500)
    args = parser.parse_args()
    out = args.out
    out.mkdir(parents=True, exist_ok=True)
    (out / "disc.yaml").write_text(DISC)
    sets = {name: out / f"set-{name}" for name in ("before", "targeted", "anywhere")}
    call("record", "--targets", out / "disc.yaml", "--out", sets["before"], "--resume")
    before = policy(out / "run-before", sets["before"], args.steps)
    judge(before, out / "judged-before", LOOKED_AT)
    call("failures", out / "judged-before", "--films", "0")
    told = json.loads((out / "judged-before" / "failures.json").read_text())
    for name in ("targeted", "anywhere"):
        if not sets[name].exists():
            shutil.copytree(sets["before"], sets[name])
    targets = out / "judged-before" / "targets.yaml"
    call("record", "--targets", targets, "--out", sets["targeted"], "--resume")
    more = len(open_dataset(sets["targeted"]).episodes) - len(open_dataset(sets["before"]).episodes)
    (out / "anywhere.yaml").write_text(anywhere(more))
    call("record", "--targets", out / "anywhere.yaml", "--out", sets["anywhere"], "--resume")
    runs = {"before": before}
    for name in ("targeted", "anywhere"):
        runs[name] = policy(out / f"run-{name}", sets[name], args.steps)
    judged = {name: judge(run, out / f"fresh-{name}", FRESH) for name, run in runs.items()}
    named = [f"{name}={out / f'fresh-{name}'}" for name in runs]
    call("compare", *named, "--out", out / "compared", "--no-films")
    compared = json.loads((out / "compared" / "compare.json").read_text())
    content = {
        "demonstrations": {"before": 60, "more": more},
        "steps": args.steps,
        "advice": [
            {key: one[key] for key in ("sentence", "is_finding", "p_alone", "p_searched")}
            for one in told["advice"]
        ],
        "failures_looked_at": f"{told['failures']}/{told['episodes']}",
        "fresh": {
            name: rate_text(sum(row.success for row in rows), len(rows))
            for name, rows in judged.items()
        },
        "comparisons": compared["comparisons"],
        "machine": machine(),
    }
    RESULT.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(content["fresh"], indent=1))


if __name__ == "__main__":
    main()
