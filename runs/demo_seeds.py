"""The demo with three training seeds, each judged on 200 held-out scenes.

python runs/demo_seeds.py --work /tmp/demo-seeds      → runs/results/demo_seeds.json

Each seed decides its demonstrations, first weights and sample order. A run that was stopped
goes on; the times of all parts are those of this machine, with nothing else running.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import tyro

from vibrissa.core.stats import rate_text, wilson

RESULT = Path(__file__).parent / "results" / "demo_seeds.json"


@dataclass(frozen=True)
class Config:
    work: Path
    """Where the demos are made."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Training seeds."""
    episodes: int = 200
    """Held-out scenes for each of them."""
    vision: bool = False
    """The demo with cameras."""
    result: Path = RESULT


def main(cfg: Config) -> None:
    reports = [_demo(cfg, seed) for seed in cfg.seeds]
    told = _summary(cfg, reports)
    cfg.result.parent.mkdir(parents=True, exist_ok=True)
    cfg.result.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    for seed, report in zip(cfg.seeds, reports, strict=True):
        print(f"seed {seed}: {rate_text(report['success'], report['episodes'])}")
    print(f"mean of {len(reports)} training seeds: {100 * told['mean_rate']:.1f} %: {cfg.result}")


def _demo(cfg: Config, seed: int) -> dict[str, Any]:
    out = cfg.work / f"seed_{seed}"
    words = [sys.executable, "-m", "vibrissa.cli", "demo", "--out", str(out), "--json"]
    words += ["--seed", str(seed), "--episodes", str(cfg.episodes)]
    words += ["--vision"] if cfg.vision else []
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def _summary(cfg: Config, reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    success = sum(r["success"] for r in reports)
    episodes = sum(r["episodes"] for r in reports)
    return {
        "what": __doc__.splitlines()[0] if __doc__ else "",
        "vision": cfg.vision,
        "mean_rate": mean(r["success"] / r["episodes"] for r in reports),
        "success": success,
        "episodes": episodes,
        # Pooled over seeds: scenes vary within it, training hardly (only as often as seeds).
        "interval": [round(v, 4) for v in wilson(success, episodes)],
        "runs": [
            {
                "seed": seed,
                **{k: r[k] for k in ("success", "episodes", "interval", "classes", "expert")},
                **{k: r[k] for k in ("zero", "wall_s", "seconds", "settings")},
            }
            for seed, r in zip(cfg.seeds, reports, strict=True)
        ],
        "machine": reports[0]["machine"],
        "versions": reports[0]["versions"],
    }


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
