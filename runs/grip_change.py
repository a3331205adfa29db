"""A lazy grip, and what offset and minimum squeeze make of it, on the same seeds.

python runs/grip_change.py      → runs/results/grip_change.json

Lazy is the expert whose jaws close to 0.25 rad: they meet the brick, 32 mm wide, at 0.26. In
the scene as it is, and with friction, mass and size drawn from the strong ranges.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from vibrissa.bench.evaluate import Setup
from vibrissa.bench.judge import judge
from vibrissa.bench.options import grip_of
from vibrissa.bench.outcomes import Row, summarise
from vibrissa.bench.page import machine, versions
from vibrissa.bench.setups import Place, place_for
from vibrissa.commands.eval import HELD_OUT
from vibrissa.control.grip import GripChange, OtherGrip
from vibrissa.core.letters import holm
from vibrissa.core.protocols import Arm, Pilot
from vibrissa.core.stats import Pairs, mcnemar, newcombe_paired, rate_text
from vibrissa.sim.expert import Expert
from vibrissa.sim.tasks import make_task

RESULT = Path(__file__).parent / "results" / "grip_change.json"
LAZY = "clip=0.25:1.74"
CHANGES = ("", "offset=-0.02", "offset=-0.1", "min=0.02", "min=0.1")
SCENES = ("none", "strong:friction,mass,size")
TOLD = ("mean_grip_n", "mean_slip_m", "both_pads_share", "picked", "dropped")


@dataclass(frozen=True)
class Config:
    episodes: int = 100
    """Seeds of every row."""
    result: Path = RESULT


def main(cfg: Config) -> None:
    began_s = time.perf_counter()
    scenes = {name: _scene(cfg, name) for name in SCENES}
    told = {
        "what": __doc__.splitlines()[0] if __doc__ else "",
        "lazy": LAZY,
        "seeds": [HELD_OUT, HELD_OUT + cfg.episodes - 1],
        "scenes": scenes,
        "wall_s": round(time.perf_counter() - began_s, 1),
        "machine": machine(),
        "versions": versions(),
    }
    cfg.result.parent.mkdir(parents=True, exist_ok=True)
    cfg.result.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(cfg.result)


def _scene(cfg: Config, randomise: str) -> list[dict[str, Any]]:
    """A row for each change, compared with the lazy grip as it is."""
    place = place_for(None, task="pick-place", randomise=randomise)
    seeds = range(HELD_OUT, HELD_OUT + cfg.episodes)
    judged = [judge(_setup(place, grip_of(change)), seeds) for change in CHANGES]
    pairs = [_pairs(rows, judged[0]) for rows in judged]
    corrected = holm([mcnemar(p.only_first, p.only_second) for p in pairs[1:]])
    rows = []
    for change, mine, pair, p in zip(CHANGES, judged, pairs, [None, *corrected], strict=True):
        summary = summarise(mine)
        grip_n = 0.0 if summary.mean_grip_n is None else summary.mean_grip_n
        print(f"{randomise:<26} {change or 'lazy':<14} {summary.text:<22} {grip_n:.1f} N")
        rows.append(
            {
                "change": change,
                "success": summary.success,
                "episodes": summary.episodes,
                "text": rate_text(summary.success, summary.episodes),
                "classes": dict(summary.classes),
                **{name: summary.to_dict()[name] for name in TOLD},
                "only_this": pair.only_first,
                "only_lazy": pair.only_second,
                "difference": list(newcombe_paired(pair)),
                "p_holm": p,
            }
        )
    return rows


def _setup(place: Place, change: GripChange) -> Setup:
    task = partial(make_task, place.task, place.scene)
    return Setup(f"lazy {change}", place.make_arm, task, partial(_lazy, place, change))


def _lazy(place: Place, change: GripChange, arm: Arm) -> Pilot:
    """The lazy expert, and what is made of its grip."""
    lazy = OtherGrip(Expert(place.scene), grip_of(LAZY), arm.contract)
    return OtherGrip(lazy, change, arm.contract)


def _pairs(rows: list[Row], base: list[Row]) -> Pairs:
    return Pairs.of((a.success, b.success) for a, b in zip(rows, base, strict=True))


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
