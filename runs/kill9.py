"""Kill -9 at random instants of a two-camera recording; what `recover` brings back is judged.

    uv run python runs/kill9.py --kills 200

Each recording runs at 30 Hz in a process of its own, in short episodes, and paints the tick into
both pictures. It tells every tick and every end through a pipe, which outlives it, so that what
is missing afterwards can be counted in seconds before the kill.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from vibrissa.control.clock import WallClock
from vibrissa.core.contract import CameraSpec, Channel, Contract
from vibrissa.core.episode import Decision, Episode, Observation, Outcome, Start, Step
from vibrissa.data.dataset import open_dataset
from vibrissa.data.recorder import Recorder
from vibrissa.data.recover import recover

RESULT = Path(__file__).parent / "results" / "kill9.json"
RATE_HZ, TICKS, BITS, BLOCK_PX = 30, 45, 16, 16
CAMERAS = (CameraSpec("overhead", 320, 240), CameraSpec("wrist", 320, 240))
CODE = (Channel("code", "count"),)
CONTRACT = Contract("painted", CODE, CODE, float(RATE_HZ), cameras=CAMERAS)
EVENT = struct.Struct("<IId")  # episode, tick (or TICKS for its end), monotonic s
PROMISE_S = 1.0
LOOKED_AT = 5  # rows an episode that stock LeRobot is asked for


@dataclass(frozen=True)
class Judged:
    """One kill. lost_s: how long before it the first tick was that is not there; 0 for none."""

    after_s: float
    episodes: int
    ended: int
    finished_lost: int
    lost_s: float
    out_of_step: int
    fates: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest-s", type=float, default=8.0)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    began_s = time.monotonic()
    judged = kill_often(args.kills, args.seed, args.longest_s)
    from vibrissa.bench.page import machine  # not before the forks: it brings threads along

    told = summary(judged)
    told["machine"], told["wall_s"] = machine(), round(time.monotonic() - began_s)
    args.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in told.items() if k != "machine"}))


def kill_often(kills: int, seed: int, longest_s: float) -> list[Judged]:
    """One recording after another, each killed at another instant."""
    instants, judged = random.Random(seed), []
    for _ in range(kills):
        folder = Path(tempfile.mkdtemp(prefix="kill9-"))
        try:
            judged.append(kill_once(folder / "set", instants.uniform(0.05, longest_s)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(json.dumps(asdict(judged[-1])), file=sys.stderr)
    return judged


def summary(judged: list[Judged]) -> dict[str, Any]:
    lost = sorted(kill.lost_s for kill in judged)
    return {
        "what": f"kill -9 of a recording, {len(CAMERAS)} cameras "
        f"{CAMERAS[0].width} x {CAMERAS[0].height}, {RATE_HZ} Hz",
        "n": len(judged),
        "episodes_ended": sum(kill.ended for kill in judged),
        "finished_episodes_lost": sum(kill.finished_lost for kill in judged),
        "rows_out_of_step": sum(kill.out_of_step for kill in judged),
        "lost_s": {"median": lost[len(lost) // 2], "most": lost[-1]},
        "kills": [asdict(kill) for kill in judged],
    }


def kill_once(out: Path, after_s: float) -> Judged:
    """Record into `out`, kill that `after_s` after its first tick, recover, judge."""
    read, write = os.pipe()
    child = _fork(lambda: record(out, write))
    os.close(write)
    content = os.read(read, EVENT.size)  # its first tick
    time.sleep(after_s)
    killed_s = time.monotonic()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while part := os.read(read, 65536):
        content += part
    os.close(read)
    events = list(EVENT.iter_unpack(content[: len(content) // EVENT.size * EVENT.size]))
    answer = out.with_suffix(".json")
    judge = _fork(lambda: answer.write_text(json.dumps(asdict(_judge(out, events, killed_s)))))
    os.waitpid(judge, 0)
    told = json.loads(answer.read_text())
    return Judged(**{**told, "after_s": round(after_s, 3), "fates": tuple(told["fates"])})


def record(out: Path, pipe: int) -> None:
    """Episodes without end, at 30 Hz; every tick and every end told through `pipe`."""
    clock, recorder, number = WallClock(RATE_HZ), Recorder(out, patience_s=0.0), 0
    while True:
        start = Start(CONTRACT, "count", "Count", number)
        recorder.on_start(start)
        clock.start()
        for tick in range(TICKS):
            recorder.on_step(step_of(number, tick))
            os.write(pipe, EVENT.pack(number, tick, time.monotonic()))
            clock.wait()
        recorder.on_end(Episode(start, Outcome("success", TICKS)))
        os.write(pipe, EVENT.pack(number, TICKS, time.monotonic()))
        number += 1


def step_of(episode: int, tick: int) -> Step:
    """A tick whose number stands in its state and in both its pictures."""
    code = episode * TICKS + tick
    images = {camera.name: painted(camera, code + i) for i, camera in enumerate(CAMERAS)}
    now = np.array([code], np.float32)
    seen = Observation(tick, tick / RATE_HZ, now, images=images)
    return Step(seen, Decision(now, "human"), now, time.time())


def painted(camera: CameraSpec, code: int) -> np.ndarray:
    """`code` as a row of black and white blocks on grey."""
    picture = np.full((camera.height, camera.width, 3), 128, np.uint8)
    for bit in range(BITS):
        left = BLOCK_PX * bit
        picture[:BLOCK_PX, left : left + BLOCK_PX] = 255 * (code >> bit & 1)
    return picture


def read_code(picture: np.ndarray) -> int:
    """The inverse of `painted`, for (H, W, 3) uint8 or (3, H, W) floats in 0..1."""
    grey = picture.mean(axis=2) / 255 if picture.dtype == np.uint8 else picture.mean(axis=0)
    blocks = grey[:BLOCK_PX, : BLOCK_PX * BITS].reshape(BLOCK_PX, BITS, BLOCK_PX).mean(axis=(0, 2))
    return sum(int(block > 0.5) << bit for bit, block in enumerate(blocks))


def _judge(out: Path, events: list[tuple[int, int, float]], killed_s: float) -> Judged:
    told = recover(out)
    have = _rows(out) if (out / "meta" / "info.json").is_file() else {}
    missing = [(e, t, s) for e, t, s in events if t < TICKS and t >= have.get(e, (0, 0))[0]]
    ended = {e: s for e, t, s in events if t == TICKS}
    late = [e for e, s in ended.items() if s < killed_s - PROMISE_S]
    lost = [e for e in late if have.get(e, (0, 0))[0] < TICKS]
    first_s = min((s for *_, s in missing), default=killed_s)
    return Judged(
        0.0,
        len(have),
        len(ended),
        len(lost),
        round(killed_s - first_s, 3),
        sum(odd for _, odd in have.values()),
        tuple(left.fate for left in told.takes),
    )


def _rows(out: Path) -> dict[int, tuple[int, int]]:
    """Recorded episode → how many of its rows are there, and how many are out of step."""
    ours, have = open_dataset(out), {}
    stock = LeRobotDataset("local/set", root=out, video_backend="pyav")
    assert stock.num_episodes == len(ours.episodes)
    for row in ours.episodes:
        span, number = ours.rows(row.index), ours.notes[row.index]["seed"]
        codes = ours.column("observation.state").reshape(-1)[span].astype(int)
        odd = int((codes != number * TICKS + np.arange(row.length)).sum())
        for i, camera in enumerate(CAMERAS):
            key = f"observation.images.{camera.name}"
            seen = [read_code(p) - i for p in ours.pictures(key, row.index, range(row.length))]
            odd += sum(a != b for a, b in zip(seen, codes, strict=True))
            for k in np.linspace(span.start, span.stop - 1, LOOKED_AT).astype(int):
                item: Any = stock[int(k)]
                odd += read_code(item[key].numpy()) - i != int(item["observation.state"])
        have[number] = (row.length, int(odd))
    return have


def _fork(work: Callable[[], Any]) -> int:
    """`work` in a process of its own that has imported everything already."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
