"""How often chance alone looks like a place of failure, and how often a real one is found.

    uv run python runs/hotspots.py [--sets 300]

Episodes begin all over the spawn of pick-place. In the null sets success has nothing to do with
the place; in the others failures are more frequent in one corner, a ninth of the square.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from vibrissa.bench.hotspots import LEVEL, SHUFFLES, hotspots
from vibrissa.bench.page import machine
from vibrissa.core.stats import clopper_pearson

RESULT = Path(__file__).parent / "results" / "hotspots.json"
MIDDLE, HALF_M, PERIOD_RAD = (0.217, 0.225), 0.04, math.pi
NULL = [(60, 0.25), (100, 0.25), (200, 0.1), (200, 0.5)]  # episodes, failure rate
CORNER = [(100, 0.1, 0.6), (200, 0.1, 0.4), (200, 0.1, 0.6)]  # episodes, rate elsewhere, there


def judged(n: int, elsewhere: float, there: float, rng: np.random.Generator) -> dict[str, bool]:
    """Whether one set has a finding: by the scan, and by Fisher's test of the worst place alone."""
    places = rng.uniform(-HALF_M, HALF_M, (n, 2))
    corner = (places > HALF_M / 3).all(axis=1)
    failed = rng.uniform(size=n) < np.where(corner, there, elsewhere)
    yaws = rng.uniform(-math.pi, math.pi, n)
    spawns = [(x + MIDDLE[0], y + MIDDLE[1], yaw) for (x, y), yaw in zip(places, yaws)]
    found = hotspots(spawns, list(failed), half_m=HALF_M, period_rad=PERIOD_RAD, most=1)
    return {
        "finding": any(one.is_finding for one in found),
        "alone": any(one.p_alone <= LEVEL for one in found),
    }


def rates(n: int, elsewhere: float, there: float, sets: int) -> dict[str, Any]:
    """The shares over many sets, with exact 95 % intervals."""
    rng = np.random.default_rng((n, round(100 * elsewhere), round(100 * there)))
    ends = [judged(n, elsewhere, there, rng) for _ in range(sets)]
    told: dict[str, Any] = {"episodes": n, "failure_rate": elsewhere, "sets": sets}
    if there != elsewhere:
        told["failure_rate_in_corner"] = there
    for name in ("finding", "alone"):
        count = sum(end[name] for end in ends)
        low, high = clopper_pearson(count, sets)
        told[name] = {"sets": count, "interval": [round(low, 4), round(high, 4)]}
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=300)
    sets = parser.parse_args().sets
    began_s = time.perf_counter()
    told = {
        "level": LEVEL,
        "shuffles": SHUFFLES,
        "null": [rates(n, rate, rate, sets) for n, rate in NULL],
        "corner": [rates(n, elsewhere, there, sets) for n, elsewhere, there in CORNER],
        "machine": machine(),
        "wall_s": round(time.perf_counter() - began_s, 1),
    }
    RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
