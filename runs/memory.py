"""Resident memory over 500 short two-camera episodes in one session.

uv run python runs/memory.py
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from vibrissa.core.contract import CameraSpec, Channel, Contract
from vibrissa.core.episode import Decision, Episode, Observation, Outcome, Start, Step
from vibrissa.data.layout import takes
from vibrissa.data.recorder import Recorder

RESULT = Path(__file__).parent / "results" / "memory.json"
TICKS, WARM_UP, LOOK_EVERY = 30, 20, 20
CODE = (Channel("code", "count"),)
CAMERAS = (CameraSpec("overhead", 160, 120), CameraSpec("wrist", 160, 120))
CONTRACT = Contract("counting", CODE, CODE, 30.0, cameras=CAMERAS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    from vibrissa.bench.page import machine

    began_s = time.monotonic()
    seen = grown(args.episodes)
    told = {
        "what": f"resident memory of a session of {TICKS}-tick episodes, two cameras",
        "n": args.episodes,
        "grown_mb": round(seen[-2][1] - seen[0][1], 1),  # the last one is after closing
        "most_mb_above_first": round(max(size for _, size in seen) - seen[0][1], 1),
        "resident_mb": [(number, round(size, 1)) for number, size in seen],
        "wall_s": round(time.monotonic() - began_s),
        "machine": machine(),
    }
    args.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in told.items() if k != "machine"}))


def grown(episodes: int) -> list[tuple[int, float]]:
    """Resident megabytes after so many episodes, from the first ones on."""
    folder, seen = Path(tempfile.mkdtemp(prefix="memory-")), []
    noise = np.random.default_rng(0).integers(0, 255, (8, 120, 160, 3), np.uint8)
    try:
        with Recorder(folder / "set") as recorder:
            for number in range(episodes + 1):
                play(recorder, number, noise)
                while len(takes(recorder.out)) > 1:  # as on a real arm, which takes its time
                    time.sleep(0.01)
                if number >= WARM_UP and (number - WARM_UP) % LOOK_EVERY == 0:
                    seen.append((number, resident_mb()))
        return [*seen, (episodes, resident_mb())]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def play(recorder: Recorder, number: int, noise: np.ndarray) -> None:
    start = Start(CONTRACT, "count", "Count", number)
    recorder.on_start(start)
    for tick in range(TICKS):
        code = np.array([tick], np.float32)
        images = {c.name: noise[(tick + i) % len(noise)] for i, c in enumerate(CAMERAS)}
        seen = Observation(tick, tick / 30, code, images=images)
        recorder.on_step(Step(seen, Decision(code, "human"), code, time.time()))
    recorder.on_end(Episode(start, Outcome("success", TICKS)))


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
