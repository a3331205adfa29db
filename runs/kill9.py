"""Kill -9 of a two-camera recording, often in the first moments of an episode; all is compared.

    uv run python runs/kill9.py --kills 300

A folder is recorded into by one session after the other, each at 30 Hz in a process of its own,
each killed: a part of them within the first 0.3 s of an episode, the others anywhere. The next
session resumes the folder, sometimes after `recover`. Every tick has a number that nothing else
has, and both pictures show it in blocks. A session reports every start, tick and end through a
pipe, which outlives it, so that what is missing can be counted in seconds before the kill. At the
end every row is compared with its tick, and every picture of every row with its row. Folders are
recorded into `--at-once` at a time, so that a session has the others' load beside it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
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
RATE_HZ, TICKS, BITS, BLOCK_PX = 30, 36, 16, 16
CAMERAS = (CameraSpec("overhead", 320, 240), CameraSpec("wrist", 320, 240))
CODE = (Channel("code", "count"),)
CONTRACT = Contract("painted", CODE, CODE, float(RATE_HZ), cameras=CAMERAS)
EVENT = struct.Struct("<IId")  # episode, tick (or one of those below), monotonic s
STARTED, ENDED = 1000, 1001
PROMISE_S, EARLY_S = 1.0, 0.3
SESSIONS, EPISODES = 10, 20  # sessions into a folder; at most so many episodes in each
LOOKED_AT = 5  # rows an episode that stock LeRobot is asked for


@dataclass(frozen=True)
class Kill:
    """One kill. into_s: how long before it its episode had begun; finished: episodes before it.

    lost_s: how long before it the first tick was that is not there; 0 for none. An episode that
    was cut off within half a second is not kept, and counts as lost since its first tick.
    """

    aimed_early: bool
    into_s: float
    finished: int
    finished_lost: int
    lost_s: float
    ticks: int = 0


@dataclass(frozen=True)
class Folder:
    """One folder after all its sessions. wrong: rows, and pictures, that are not their tick's."""

    kills: tuple[Kill, ...]
    episodes: int
    recovered: int
    rows: int
    pictures: int
    wrong: int
    left: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--longest-s", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    began_s = time.monotonic()
    tasks = [
        (args.seed * 10_000 + done, min(SESSIONS, args.kills - done), args.longest_s)
        for done in range(0, args.kills, SESSIONS)
    ]
    folders = []
    with multiprocessing.get_context("fork").Pool(args.at_once) as pool:
        for folder in pool.imap(one_folder, tasks, chunksize=1):
            folders.append(folder)
            print(json.dumps(asdict(folder)), file=sys.stderr, flush=True)
    from vibrissa.bench.page import machine  # not before the forks: it brings threads along
    from vibrissa.core.stats import wilson

    told = summary(folders) | {"seed": args.seed, "folders_at_once": args.at_once}
    told |= {"asked_for": args.kills}
    told["finished_lost_interval"] = wilson(told["finished_episodes_lost"], told["finished"])
    told["lost_more_than_1_s_interval"] = wilson(told["lost_more_than_1_s"], told["n"])
    told["machine"], told["wall_s"] = machine(), round(time.monotonic() - began_s)
    args.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in told.items() if k not in ("machine", "folders")}))


def summary(folders: list[Folder]) -> dict[str, Any]:
    kills = [kill for folder in folders for kill in folder.kills]
    lost = sorted(kill.lost_s for kill in kills)
    return {
        "what": f"kill -9 of a recording, {len(CAMERAS)} cameras "
        f"{CAMERAS[0].width} x {CAMERAS[0].height}, {RATE_HZ} Hz; the next session resumes",
        "n": len(kills),
        "in_the_first_0.3_s": sum(kill.into_s <= EARLY_S for kill in kills),
        "finished": sum(kill.finished for kill in kills),
        "finished_episodes_lost": sum(kill.finished_lost for kill in kills),
        "recovered_episodes": sum(folder.recovered for folder in folders),
        "rows_compared": sum(folder.rows for folder in folders),
        "pictures_compared": sum(folder.pictures for folder in folders),
        "wrong": sum(folder.wrong for folder in folders),
        "left_behind": sorted({folder.left for folder in folders if folder.left}),
        "lost_s": {"median": lost[len(lost) // 2], "most": lost[-1]},
        "lost_more_than_1_s": sum(kill.lost_s > PROMISE_S for kill in kills),
        "folders": [asdict(folder) for folder in folders],
    }


def one_folder(task: tuple[int, int, float]) -> Folder:
    """Sessions into one folder, each killed, then recovered and compared."""
    seed, sessions, longest_s = task
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="kill9-"))
    out, answer = folder / "set", folder / "answer.json"
    killed = []
    try:
        for session in range(sessions):
            early = chance.random() < 0.5
            killed.append((early, *kill_once(out, session, chance, early, longest_s)))
            if chance.random() < 0.3:
                _in_process(lambda: _recover(out))
        _in_process(lambda: answer.write_text(json.dumps(asdict(_judge(out, killed)))))
        told = json.loads(answer.read_text())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Folder(**{**told, "kills": tuple(Kill(**kill) for kill in told["kills"])})


def kill_once(
    out: Path, session: int, chance: random.Random, early: bool, longest_s: float
) -> tuple[list[tuple[int, int, float]], float]:
    """Record, and kill that; what it reported, and when it was killed.

    An early kill comes within 0.3 s after the start of its first, second or third episode.
    """
    read, write = os.pipe()
    child = _fork(lambda: record(out, session, write))
    os.close(write)
    events: list[tuple[int, int, float]] = []
    which = session * EPISODES + (chance.randrange(3) if early else 0)
    while not events or (events[-1][0], events[-1][1]) != (which, STARTED):
        content = os.read(read, EVENT.size)
        if not content:
            raise SystemExit(f"session {session} ended by itself after {events[-1:]}")
        events.append(EVENT.unpack(content))
    time.sleep(chance.uniform(0.0, EARLY_S if early else longest_s))
    killed_s = time.monotonic()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    content = b""
    while part := os.read(read, 65536):
        content += part
    os.close(read)
    events += EVENT.iter_unpack(content[: len(content) // EVENT.size * EVENT.size])
    return events, killed_s


def record(out: Path, session: int, pipe: int) -> None:
    """Episodes at 30 Hz; every start, tick and end reported through `pipe`."""

    def report(number: int, what: int) -> None:
        os.write(pipe, EVENT.pack(number, what, time.monotonic()))

    clock = WallClock(RATE_HZ)
    recorder = Recorder(out, patience_s=0.0, extend=session > 0)
    for number in range(session * EPISODES, (session + 1) * EPISODES):
        start = Start(CONTRACT, "count", "Count", number)
        recorder.on_start(start)
        report(number, STARTED)
        clock.start()
        for tick in range(TICKS):
            recorder.on_step(step_of(number, tick))
            report(number, tick)
            clock.wait()
        recorder.on_end(Episode(start, Outcome("success", TICKS)))
        report(number, ENDED)


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


def _recover(out: Path) -> None:
    if (out / "journal").is_dir():
        recover(out)


def _judge(out: Path, killed: list[tuple[bool, list[tuple[int, int, float]], float]]) -> Folder:
    _recover(out)
    left = ", ".join(sorted(p.name for p in out.iterdir() if p.name in ("journal", "leftover")))
    have, recovered, pictures, wrong = _rows(out) if _stored(out) else ({}, 0, 0, 0)
    kills = tuple(_kill(early, events, killed_s, have) for early, events, killed_s in killed)
    rows = sum(have.values())
    return Folder(kills, len(have), recovered, rows, pictures, wrong, left)


def _stored(out: Path) -> bool:
    return (out / "meta" / "info.json").is_file()


def _kill(
    early: bool, events: list[tuple[int, int, float]], killed_s: float, have: dict[int, int]
) -> Kill:
    ticks = [(e, t, s) for e, t, s in events if t < STARTED]
    missing = [s for e, t, s in ticks if t >= have.get(e, 0)]
    ended = {e: s for e, t, s in events if t == ENDED}
    sure = [e for e, s in ended.items() if s < killed_s - PROMISE_S]
    began_s = [s for _, t, s in events if t == STARTED][-1]
    return Kill(
        early,
        round(killed_s - began_s, 3),
        len(sure),
        sum(have.get(e, 0) < TICKS for e in sure),
        round(killed_s - min(missing, default=killed_s), 3),
        len(ticks),
    )


def _rows(out: Path) -> tuple[dict[int, int], int, int, int]:
    """Episode → its rows; how many were recovered; pictures compared; and how many are wrong."""
    ours, have = open_dataset(out), {}
    recovered = pictures = wrong = 0
    stock = LeRobotDataset("local/set", root=out, video_backend="pyav")
    assert stock.num_episodes == len(ours.episodes)
    for row in ours.episodes:
        note, span = ours.notes[row.index], ours.rows(row.index)
        number = note["seed"]
        assert number not in have
        recovered += bool(note.get("recovered"))
        codes = ours.column("observation.state").reshape(-1)[span].astype(int)
        wrong += int((codes != number * TICKS + np.arange(row.length)).sum())
        for i, camera in enumerate(CAMERAS):
            key = f"observation.images.{camera.name}"
            seen = [read_code(p) - i for p in ours.pictures(key, row.index, range(row.length))]
            wrong += sum(a != b for a, b in zip(seen, codes, strict=True))
            pictures += len(seen)
            for k in np.linspace(span.start, span.stop - 1, LOOKED_AT).astype(int):
                item: Any = stock[int(k)]
                wrong += read_code(item[key].numpy()) - i != int(item["observation.state"])
        have[number] = row.length
    return have, recovered, pictures, int(wrong)


def _in_process(work: Callable[[], Any]) -> None:
    os.waitpid(_fork(work), 0)


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
