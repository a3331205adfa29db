"""The anytime test under the null and where there is a difference, against what others need.

    uv run python runs/anytime.py [--trials 20000]      → runs/results/anytime.json

False positives: two pilots of one rate, for several rates and correlations, each looked at under
several stopping rules. Effort: 70 against 80 %, up to 500 pairs, beside O'Brien–Fleming's ten
looks; and a plain z-test looked at every ten episodes, which is what goes wrong without it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from vibrissa.bench.contest import BLOCK
from vibrissa.core.anytime import bounds, first_crossing
from vibrissa.core.power import anytime_effort, pair_ends
from vibrissa.core.stats import clopper_pearson

RESULT = Path(__file__).parent / "results" / "anytime.json"
CAP, LEVEL = 500, 0.95
RATES, ALIKE = (0.2, 0.5, 0.8, 0.95), (0.0, 0.5, 0.9)
OBRIEN_FLEMING = 2.087  # ten looks, two-sided 5 % (Jennison & Turnbull 2000, table 2.3)

Counts = NDArray[Any]  # (trials, CAP): after each pair, the pairs that one of them alone won
Rule = Callable[[Counts, Counts], Any]  # what it calls different, (trials,)


def play(
    rng: np.random.Generator, first: float, second: float, alike: float, trials: int
) -> tuple[Counts, Counts]:
    """Pairs of pilots with these rates: the running counts won by one alone, (trials, CAP) each."""
    ends = pair_ends(first, second, alike)
    drawn = rng.random((trials, CAP))
    won, lost = drawn < ends.only_first, drawn >= 1 - ends.only_second
    return np.cumsum(won, axis=1), np.cumsum(lost, axis=1)


def enough(won: Counts, lost: Counts) -> NDArray[np.bool_]:
    """Where e stands at 1/α or above, (trials, looks)."""
    reach = np.array(bounds(CAP, LEVEL))
    return np.maximum(won, lost) >= reach[won + lost]


def paired_z(won: Counts, lost: Counts) -> NDArray[np.float64]:
    return np.abs(won - lost) / np.sqrt(np.maximum(won + lost, 1))


def at_each(every: int) -> Rule:
    """Stop as soon as e is enough, looking after `every` pairs."""
    return lambda won, lost: enough(won, lost)[:, every - 1 :: every].any(axis=1)


def at_the_end(won: Counts, lost: Counts) -> NDArray[np.bool_]:
    return enough(won, lost)[:, -1]


def when_it_looks(z: float) -> Rule:
    """Stop where a plain z first exceeds `z`, after 10 pairs at least; read e there alone."""

    def rule(won: Counts, lost: Counts) -> NDArray[np.bool_]:
        tempting = paired_z(won, lost) > z
        tempting[:, :10], tempting[:, -1] = False, True
        at = tempting.argmax(axis=1)
        return enough(won, lost)[np.arange(len(at)), at]

    return rule


def when_ahead(lead: int) -> Rule:
    """Stop when one is `lead` wins ahead, and read e there alone."""

    def rule(won: Counts, lost: Counts) -> NDArray[np.bool_]:
        ahead = np.abs(won - lost) >= lead
        ahead[:, -1] = True
        at = ahead.argmax(axis=1)
        return enough(won, lost)[np.arange(len(at)), at]

    return rule


def while_behind(won: Counts, lost: Counts) -> NDArray[np.bool_]:
    """Ask for 100 pairs more whenever the first one does not lead; read e at the end of each."""
    at = np.full(len(won), 99)
    for more in range(199, CAP, 100):
        behind = (won[np.arange(len(at)), at] <= lost[np.arange(len(at)), at]) & (at == more - 100)
        at = np.where(behind, more, at)
    return enough(won, lost)[np.arange(len(at)), at]


RULES: Mapping[str, Rule] = {
    "after every pair, stop when decided (vibrissa compare)": at_each(1),
    "after every 10 pairs": at_each(10),
    "after every 50 pairs": at_each(50),
    "once, after 500": at_the_end,
    "where a plain z first exceeds 1.96": when_it_looks(1.96),
    "when one is 8 wins ahead": when_ahead(8),
    "100 more as long as the first one does not lead": while_behind,
}


def false_positives(rng: np.random.Generator, trials: int) -> list[dict[str, Any]]:
    told = []
    for rate in RATES:
        for alike in ALIKE:
            won, lost = play(rng, rate, rate, alike, trials)
            for name, rule in RULES.items():
                told.append(
                    {"rate": rate, "correlation": alike, "rule": name, **share(rule(won, lost))}
                )
    return told


def plain_z(rng: np.random.Generator, trials: int, rate: float) -> dict[str, Any]:
    """Two independent samples of one rate, a two-sample z-test every ten episodes up to 200."""
    one, two = (np.cumsum(rng.random((trials, 200)) < rate, axis=1)[:, 9::10] for _ in range(2))
    n = np.arange(10, 201, 10)
    pooled = (one + two) / (2 * n)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * 2 / n, 1e-12))
    return {"rate": rate, **share((np.abs(one - two) / n / spread > norm.ppf(0.975)).any(axis=1))}


def effort(rng: np.random.Generator, trials: int, alike: float) -> dict[str, Any]:
    """70 against 80 %: mean pairs and power, exact and simulated, every pair and in blocks."""
    ends = pair_ends(0.8, 0.7, alike)
    exact = anytime_effort(0.1, ends.only_first + ends.only_second, CAP)
    short = anytime_effort(0.1, ends.only_first + ends.only_second, 200)
    won, lost = play(rng, 0.8, 0.7, alike, trials)
    over = enough(won, lost)
    looks = np.arange(49, CAP, 50)
    ends_at = np.append(np.arange(BLOCK, CAP, BLOCK), CAP)
    z = paired_z(won, lost)[:, looks]
    fleming = z > OBRIEN_FLEMING * np.sqrt(10 / np.arange(1, 11))
    return {
        "correlation": alike,
        "exact": {"mean_pairs": round(exact.mean_pairs, 1), "power": round(exact.power, 4)},
        "exact, at most 200": {
            "mean_pairs": round(short.mean_pairs, 1),
            "power": round(short.power, 4),
        },
        "simulated": used(over, np.arange(1, CAP + 1)),
        f"every pair looked at, stopped after each {BLOCK} (vibrissa compare)": used(
            np.maximum.accumulate(over, axis=1)[:, ends_at - 1], ends_at
        ),
        "O'Brien-Fleming, 10 looks": used(fleming, looks + 1),
    }


def used(over: NDArray[np.bool_], looks: NDArray[np.int64]) -> dict[str, Any]:
    """Mean pairs, with its 95 % interval, and power of stopping at the first look that is over."""
    found = over.any(axis=1)
    pairs = np.where(found, looks[over.argmax(axis=1)], CAP)
    half = 1.96 * pairs.std() / np.sqrt(len(pairs))
    return {
        "mean_pairs": round(float(pairs.mean()), 1),
        "mean_pairs_interval": [round(float(pairs.mean() + s * half), 1) for s in (-1, 1)],
        "power": share(found)["share"],
        "power_interval": share(found)["interval"],
    }


def share(found: Any) -> dict[str, Any]:
    """How often, with its n and its exact 95 % interval."""
    k, n = int(found.sum()), len(found)
    low, high = clopper_pearson(k, n)
    return {"share": round(k / n, 5), "of": n, "interval": [round(low, 5), round(high, 5)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--result", type=Path, default=RESULT)
    args = parser.parse_args()
    rng, began_s = np.random.default_rng(20_261_121), time.perf_counter()
    null = false_positives(rng, args.trials)
    worst = max(null, key=lambda row: row["share"])
    told = {
        "what": __doc__.splitlines()[0] if __doc__ else "",
        "level": LEVEL,
        "cap": CAP,
        "trials": args.trials,
        "worst false positives": worst,
        "exact false positives, after every pair": {
            f"{n} differing pairs": round(float(first_crossing(0.5, n, LEVEL).sum()), 4)
            for n in (50, 250, 1000)
        },
        "false positives": null,
        "plain z, two samples, every 10 up to 200": [
            plain_z(rng, args.trials, rate) for rate in (0.5, 0.7, 0.8)
        ],
        "70 against 80 %": [effort(rng, args.trials, alike) for alike in (0.3, 0.5, 0.7)],
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "wall_s": round(time.perf_counter() - began_s, 1),
    }
    args.result.parent.mkdir(parents=True, exist_ok=True)
    args.result.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(f"worst: {worst}")
    for row in told["70 against 80 %"]:
        print(row)
    print(told["plain z, two samples, every 10 up to 200"], args.result)


if __name__ == "__main__":
    main()
