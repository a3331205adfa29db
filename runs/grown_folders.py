"""Folders of eval that grow and are compared each time: false alarms, and what an interval covers.

    uv run python runs/grown_folders.py [--trials 20000]      → runs/results/grown_folders.json

Two pilots of one rate, for several rates and correlations; their folders grow by ten episodes up to
200. The anytime test over the pairs in the order of their seeds, as `compare` has it, beside
McNemar's test each time. The Wilson interval of one folder that is stopped when somebody likes it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from vibrissa.bench.compare import Judged, compare_two
from vibrissa.bench.outcomes import Row
from vibrissa.core.anytime import bounds
from vibrissa.core.power import pair_ends
from vibrissa.core.stats import clopper_pearson, wilson

RESULT = Path(__file__).parent / "results" / "grown_folders.json"
MOST, EVERY, LEVEL = 200, 10, 0.95
LOOKS = np.arange(EVERY, MOST + 1, EVERY)
RATES, ALIKE = (0.2, 0.5, 0.8, 0.95), (0.0, 0.5, 0.9)
CHECKED = 40  # of the trials, through `compare` itself

Ends = NDArray[np.bool_]  # (trials, MOST)


def play(rng: np.random.Generator, rate: float, alike: float, trials: int) -> tuple[Ends, Ends]:
    """What two equally good pilots make of each seed."""
    ends = pair_ends(rate, rate, alike)
    drawn = rng.random((trials, MOST))
    first = drawn < ends.only_first + ends.both
    second = (drawn >= ends.only_first) & (drawn < 1 - ends.neither)
    return first, second


def anytime(first: Ends, second: Ends) -> Ends:
    """Whether the test has decided by each look, (trials, looks)."""
    won, lost = (first & ~second).cumsum(1), (second & ~first).cumsum(1)
    over = np.maximum(won, lost) >= np.array(bounds(MOST, LEVEL))[won + lost]
    return np.maximum.accumulate(over, axis=1)[:, LOOKS - 1]


def plain(first: Ends, second: Ends) -> Ends:
    """Whether McNemar's test calls them different at each look, (trials, looks)."""
    won = (first & ~second).cumsum(1)[:, LOOKS - 1]
    lost = (second & ~first).cumsum(1)[:, LOOKS - 1]
    return 2 * binom.cdf(np.minimum(won, lost), won + lost, 0.5) <= 1 - LEVEL


def stop_where(first: Ends, second: Ends) -> Mapping[str, NDArray[np.int64]]:
    """At which look somebody stops and reads the verdict, (trials,), by what is seen until then.

    The last rule knows the whole of the other folder, which was judged before.
    """
    rate = first.cumsum(1)[:, LOOKS - 1] / LOOKS
    lead = rate - second.cumsum(1)[:, LOOKS - 1] / LOOKS
    ahead = lead >= 0.1
    ahead[:, -1] = True
    beats = rate > second.mean(axis=1, keepdims=True) + 0.05
    beats[:, -1] = True
    return {
        "both grow, stopped where the first leads by 10 points": ahead.argmax(1),
        "both grow, stopped where the first leads most": lead.argmax(1),
        "one grows, stopped where its own rate is highest": rate.argmax(1),
        "one grows, stopped where it beats the other's 200": beats.argmax(1),
    }


def false_alarms(rng: np.random.Generator, trials: int) -> list[dict[str, Any]]:
    told = []
    for rate in RATES:
        for alike in ALIKE:
            first, second = play(rng, rate, alike, trials)
            now, then = anytime(first, second), plain(first, second)
            rules = {"compared after every ten": (now.any(1), then.any(1))}
            at = np.arange(trials)
            for name, look in stop_where(first, second).items():
                rules[name] = (now[at, look], then[at, look])
            told += [
                {
                    "rate": rate,
                    "correlation": alike,
                    "rule": name,
                    "anytime": share(ours),
                    "McNemar": share(theirs),
                }
                for name, (ours, theirs) in rules.items()
            ]
    return told


def same_as_compare(rng: np.random.Generator) -> int:
    """In how many looks `compare` says otherwise than the fast test above."""
    odd = 0
    for _ in range(CHECKED):
        first, second = play(rng, 0.5, 0.5, 1)
        fast = anytime(first, second)[0]
        for look, many in enumerate(LOOKS[::4]):
            one, other = (
                Judged(label, _rows(label, ends[0, :many]), stopped=True)
                for label, ends in (("one", first), ("other", second))
            )
            found = compare_two(one, other, LEVEL, brief=True)
            odd += found.test != "anytime"
            odd += (found.word != "not separated") != bool(fast[4 * look])
    return odd


def _rows(label: str, ends: Any) -> tuple[Row, ...]:
    words = {True: ("success", "SUCCESS"), False: ("timeout", "TIMEOUT")}
    return tuple(Row(seed, label, "", *words[bool(end)], 9) for seed, end in enumerate(ends))  # type: ignore[arg-type]


def coverage(rng: np.random.Generator, trials: int, rate: float) -> dict[str, Any]:
    """How often Wilson's interval holds the true rate: of 200, and stopped at the highest rate."""
    ends = rng.random((trials, MOST)) < rate
    wins = ends.cumsum(1)[:, LOOKS - 1]
    best = (wins / LOOKS).argmax(1)
    at = np.arange(trials)

    def covers(many: NDArray[np.int64], of: NDArray[np.int64]) -> dict[str, Any]:
        found = {(k, n): wilson(k, n) for k, n in {*zip(many.tolist(), of.tolist(), strict=True)}}
        spans = (found[key] for key in zip(many.tolist(), of.tolist(), strict=True))
        return share(np.array([low <= rate <= high for low, high in spans]))

    return {
        "rate": rate,
        "fixed, 200": covers(wins[:, -1], np.full(trials, MOST)),
        "stopped where the rate was highest": covers(wins[at, best], LOOKS[best]),
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
    rng, began_s = np.random.default_rng(20_261_130), time.perf_counter()
    alarms = false_alarms(rng, args.trials)
    worst = {
        name: max(alarms, key=lambda row: row[name]["share"]) for name in ("anytime", "McNemar")
    }
    told = {
        "what": __doc__.splitlines()[0] if __doc__ else "",
        "level": LEVEL,
        "episodes": f"by {EVERY} up to {MOST}",
        "worst": {
            name: {
                "rule": row["rule"],
                "rate": row["rate"],
                "correlation": row["correlation"],
                **row[name],
            }
            for name, row in worst.items()
        },
        "looks in which compare says otherwise": same_as_compare(rng),
        "false alarms": alarms,
        "Wilson's interval": [coverage(rng, args.trials, rate) for rate in (0.5, 0.8, 0.95)],
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "wall_s": round(time.perf_counter() - began_s, 1),
    }
    args.result.parent.mkdir(parents=True, exist_ok=True)
    args.result.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(told["worst"], indent=2), told["looks in which compare says otherwise"])


if __name__ == "__main__":
    main()
