"""A policy that sees: ACT from two cameras, judged on 200 held-out scenes.

python runs/seeing.py --work /tmp/seeing                → runs/results/seeing_small.json
python runs/seeing.py --work /tmp/seeing --size full    → runs/results/seeing_full.json, on a GPU

It is `vibrissa demo --vision` at the sizes below, from the first demonstration to the report; then
the same checkpoint is judged in scenes that vary (`--randomise`).
Stopped, it goes on with the same command; the times are then those of all its parts.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from vibrissa.core.stats import rate_text

RESULTS = Path(__file__).parent / "results"
# Demonstrations, picture (width, height), recipe.
SIZES = {"small": (300, (96, 96), "act"), "full": (500, (224, 224), "act-full")}


@dataclass(frozen=True)
class Config:
    work: Path
    """Where demonstrations, run and report are made."""
    size: Literal["small", "full"] = "small"
    """small for two CPU cores, full for a CUDA GPU."""
    episodes: int = 200
    """Held-out scenes."""
    seed: int = 0
    """Training seed."""
    demonstrations: int | None = None
    """Where the size's number does not suit (for a trial)."""
    steps: int | None = None
    """Likewise."""
    device: str = "auto"
    result: Path | None = None


def main(cfg: Config) -> None:
    report = _demo(cfg)
    run = cfg.work / "run"
    told = {
        "what": (__doc__ or "").splitlines()[0],
        "success": report["success"],
        "episodes": report["episodes"],
        "interval": report["interval"],
        "classes": report["classes"],
        "beside": {name: r["success"] for name, r in report["beside"].items()},
        "wall_s": report["wall_s"],
        "seconds": report["seconds"],
        "chunk_boundary": {k: report["policy"][f"mean_{k}"] for k in ("jump", "stride")},
        "backbone": json.loads((run / "backbone.json").read_text(encoding="utf-8")),
        "recipe": json.loads((run / "run.json").read_text(encoding="utf-8"))["recipe"],
        "settings": report["settings"],
        "carries_to": {name: _carried(cfg, name) for name in ("light", "strong")},
        "command": report["command"].replace(str(cfg.work), "WORK"),
        "machine": {**report["machine"], "processor": _processor(cfg.device)},
    }
    file = cfg.result or RESULTS / f"seeing_{cfg.size}.json"
    file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(f"{rate_text(told['success'], told['episodes'])} in {told['wall_s']:.0f} s: {file}")


def _demo(cfg: Config) -> dict[str, Any]:
    demonstrations, size, recipe = SIZES[cfg.size]
    words = [sys.executable, "-m", "vibrissa.cli", "demo", "--vision", "--json"]
    words += ["--out", str(cfg.work), "--recipe", recipe, "--seed", str(cfg.seed)]
    words += ["--demonstrations", str(cfg.demonstrations or demonstrations)]
    words += ["--camera-size", *map(str, size), "--episodes", str(cfg.episodes)]
    words += ["--device", cfg.device] + (["--steps", str(cfg.steps)] if cfg.steps else [])
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def _carried(cfg: Config, randomisation: str) -> dict[str, Any]:
    """The same checkpoint, on the same seeds, in scenes that vary."""
    words = [sys.executable, "-m", "vibrissa.cli", "eval", str(cfg.work / "run"), "--alone"]
    words += ["--randomise", randomisation, "--episodes", str(cfg.episodes), "--json"]
    done = subprocess.run([*words, "--device", cfg.device], stdout=subprocess.PIPE, text=True)
    told = json.loads(done.stdout)
    return {name: told[name] for name in ("success", "episodes", "interval", "classes")}


def _processor(device: str) -> str:
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
