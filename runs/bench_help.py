"""How long `vibrissa --help` takes, beside a Python that does nothing and `lerobot-train --help`.

    uv run python runs/bench_help.py

They take turns, so that whatever else the machine does falls on all alike.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from vibrissa.bench.page import machine

ROUNDS = 15
RESULT = Path(__file__).parent / "results" / "bench_help.json"
BIN = Path(sys.executable).parent
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "vibrissa --help": [str(BIN / "vibrissa"), "--help"],
    "vibrissa train --help": [str(BIN / "vibrissa"), "train", "--help"],
    "lerobot-train --help": [str(BIN / "lerobot-train"), "--help"],
}


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for round_number in range(ROUNDS):
        for name, words in COMMANDS.items():
            if name.startswith("lerobot") and round_number >= 3:
                continue  # three are enough of the slow one
            began_s = time.perf_counter()
            subprocess.run(words, capture_output=True, check=True)
            seconds[name].append(time.perf_counter() - began_s)
    told = {
        name: {
            "median_s": round(statistics.median(values), 3),
            "fastest_s": round(min(values), 3),
            "slowest_s": round(max(values), 3),
            "n": len(values),
        }
        for name, values in seconds.items()
    }
    result = {"what": "wall time of a help page", "machine": machine(), "seconds": told}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, row in told.items():
        span = f"{row['fastest_s']}–{row['slowest_s']}, n={row['n']}"
        print(f"{name:<24}{row['median_s']:.3f} s  ({span})")


if __name__ == "__main__":
    main()
