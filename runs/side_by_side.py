"""`vibrissa teleop` and `record` beside `lerobot-teleoperate` and `lerobot-record`, on one twin.

    uv run python runs/side_by_side.py [--minutes 5] [--quick]

The twin's leader waves; two 640 x 480 cameras serve ready-made frames; everybody runs at 30 Hz, in
turns, each in its usual settings. Latency is the twin's own: from *a joint of the leader passes x*
to *the goal register of the follower holds x*, sampling included. A pause is the longest time in
which the follower was told nothing. Then each recorder is killed (SIGKILL, with all its children)
in its third episode, and what is left is opened with LeRobot. --quick takes 20 s for each.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.bench.page import machine
from vibrissa.real.rig import load_rig
from vibrissa.twin.control import ask
from vibrissa.twin.log import latency
from vibrissa.twin.spawned import spawned

RESULT = Path(__file__).parent / "results" / "side_by_side.json"
BIN = Path(sys.executable).parent
FPS, ROUNDS, EPISODES = 30, 2, 4
SETTLE_S = 2.0  # after the first goal: the follower comes to where the leader is
FLUSH_S = 1.5  # the twin writes its log every second
LIMIT_S = 120.0  # beyond what a program was asked for: imports, and what it does at its end
TARGET = 1 / 3
# Opens a dataset with unmodified LeRobot, decodes the last frame of every episode, counts.
READ = """
import json, sys
from lerobot.datasets.lerobot_dataset import LeRobotDataset
found = LeRobotDataset("local/set", root=sys.argv[1], video_backend="pyav")
for index in range(found.num_episodes):
    found[int(found.meta.episodes[index]["dataset_to_index"]) - 1]
print(json.dumps([found.num_episodes, found.num_frames]))
"""


@dataclass(frozen=True)
class Desk:
    """The twin, and the flags by which a program is told of it."""

    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "twin.log"

    @property
    def rig(self) -> Path:
        return self.folder / "rig.yaml"

    def lerobot(self) -> list[str]:
        """Follower, leader and cameras in the words of LeRobot's own types."""
        told = []
        for arm, kind in (("follower", "robot"), ("leader", "teleop")):
            told += [f"--{kind}.type=so101_{arm}", f"--{kind}.port={self.folder / arm}"]
            told += [f"--{kind}.id={arm}"]
            told += [f"--{kind}.calibration_dir={self.folder / 'calibration' / arm}"]
        cameras = ", ".join(
            f"{c.name}: {{type: zmq, server_address: 127.0.0.1, camera_name: {c.name}, "
            f"port: {c.device.split('/')[2].split(':')[1]}, width: {c.width}, "
            f"height: {c.height}, fps: {c.fps}}}"
            for c in load_rig(self.rig).cameras
        )
        return [*told, f"--robot.cameras={{{cameras}}}"]


@dataclass(frozen=True)
class Program:
    """One contender: its command line for so many seconds, writing to a folder if it records."""

    name: str
    words: Callable[[Desk, Path, float], list[str]]
    records: bool
    ours: bool


@dataclass
class Measured:
    """What was seen of a program, over its rounds."""

    passages_s: list[NDArray[np.float64]] = field(default_factory=list)
    never_sent: int = 0
    pause_most_s: float = 0.0
    jitter_s: list[float] = field(default_factory=list)
    overruns: int = 0
    ticks: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        late_ms = np.concatenate(self.passages_s) * 1e3 if self.passages_s else np.empty(0)
        return {
            "latency_median_ms": _figure(late_ms, 50),
            "latency_p99_ms": _figure(late_ms, 99),
            "passages": len(late_ms),
            "never_sent": self.never_sent,
            "pause_most_ms": round(self.pause_most_s * 1e3, 1),
            "tick_jitter_p99_ms": _figure(np.array(self.jitter_s) * 1e3, 99),
            "overruns": self.overruns,
            "ticks": self.ticks,
            "cpu_s": round(self.cpu_s, 1),
            "wall_s": round(self.wall_s, 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    seconds, rounds = (20.0, 1) if given.quick else (given.minutes * 60, ROUNDS)
    seen = {program.name: Measured() for program in PROGRAMS}
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as scratch:
        desk = Desk(Path(scratch) / "twin")
        flags = ["--cameras", "ready", "--camera-port", "0", "--log", str(desk.log)]
        with spawned(desk.folder, flags):
            ask(desk.folder, {"do": "move", "arm": "leader", "script": "circle"})
            for turn in range(rounds):
                for program in PROGRAMS:
                    out = Path(scratch) / f"{program.name.replace(' ', '-')}-{turn}"
                    _measure(program, desk, out, seconds / rounds, seen[program.name])
                    print(program.name, json.dumps(seen[program.name].to_dict()), flush=True)
            episode_s = min(20.0, seconds / EPISODES)
            kills = {
                program.name: _kill(program, desk, Path(scratch) / "killed", episode_s)
                for program in PROGRAMS
                if program.records
            }
    result = {
        "what": __doc__.splitlines()[0] if __doc__ else "",
        "machine": machine(),
        "seconds_each": seconds,
        "rounds": rounds,
        "rate_hz": FPS,
        "cameras": "2 x 640 x 480, ready-made frames",
        "how": {
            "tick_jitter": "LeRobot: times between two goals; ours: as its own summary tells",
            "overruns": "LeRobot: goals more than 1.25 periods apart; ours: every deadline missed",
            "kill": "SIGKILL to the whole program in the third episode",
        },
        "measured": {name: measured.to_dict() for name, measured in seen.items()},
        "killed": kills,
        "target": _judged({name: m.to_dict() for name, m in seen.items()}),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["killed"], indent=1))
    print(json.dumps(result["target"], indent=1))
    print(given.out)


def _lerobot_teleop(desk: Desk, out: Path, seconds: float) -> list[str]:
    words = [str(BIN / "lerobot-teleoperate"), *desk.lerobot()]
    return [*words, f"--fps={FPS}", f"--teleop_time_s={seconds}"]


def _lerobot_record(*more: str) -> Callable[[Desk, Path, float], list[str]]:
    def words(desk: Desk, out: Path, seconds: float) -> list[str]:
        return [
            str(BIN / "lerobot-record"),
            *desk.lerobot(),
            *("--dataset.repo_id=local/set", f"--dataset.root={out}", f"--dataset.fps={FPS}"),
            *("--dataset.single_task=Wave", f"--dataset.num_episodes={EPISODES}"),
            f"--dataset.episode_time_s={seconds / EPISODES:g}",
            *("--dataset.reset_time_s=0", "--dataset.push_to_hub=false", "--play_sounds=false"),
            *more,
        ]

    return words


def _our_teleop(desk: Desk, out: Path, seconds: float) -> list[str]:
    words = [str(BIN / "vibrissa"), "teleop", "--config", str(desk.rig), "--json"]
    return [*words, "--rate", f"{FPS}", "--seconds", f"{seconds:g}"]


def _our_record(desk: Desk, out: Path, seconds: float) -> list[str]:
    return [
        *(str(BIN / "vibrissa"), "record", "--config", str(desk.rig), "--json"),
        *("--out", str(out), "--instruction", "Wave", "--rate", f"{FPS}"),
        *("--episodes", f"{EPISODES}", "--seconds", f"{seconds / EPISODES:g}"),
        *("--reset-seconds", "0"),
    ]


PROGRAMS = (
    Program("lerobot-teleoperate", _lerobot_teleop, records=False, ours=False),
    Program("vibrissa teleop", _our_teleop, records=False, ours=True),
    Program("lerobot-record", _lerobot_record(), records=True, ours=False),
    Program(
        "lerobot-record streaming",
        _lerobot_record("--dataset.streaming_encoding=true", "--dataset.encoder_threads=2"),
        records=True,
        ours=False,
    ),
    Program("vibrissa record", _our_record, records=True, ours=True),
)


def _measure(program: Program, desk: Desk, out: Path, seconds: float, into: Measured) -> None:
    """Run it once, and add what was seen to `into`."""
    began_ns, began_s = time.monotonic_ns(), time.monotonic()
    told = out.with_suffix(".out")
    process = _start(program.words(desk, out, seconds), told)
    status, used = _wait(process, seconds + LIMIT_S)
    if status:
        raise SystemExit(f"{program.name} failed: {told.read_text()[-2000:]}")
    into.cpu_s += used.ru_utime + used.ru_stime
    into.wall_s += time.monotonic() - began_s
    time.sleep(FLUSH_S)
    goals = _led(desk.log, began_ns)  # (N,) ns
    first, last = int(goals[0] + SETTLE_S * 1e9), int(goals[-1])
    found = latency(desk.log, since_ns=first, until_ns=last)
    into.passages_s.append(found.passages_s)
    into.never_sent += found.lost
    goals = goals[goals >= first]
    between_s = np.diff(goals) * 1e-9
    into.pause_most_s = max(into.pause_most_s, float(between_s.max()))
    if program.ours:
        (line,) = (line for line in told.read_text().splitlines() if line.startswith("{"))
        timing = json.loads(line)["timing"]
        into.jitter_s.append(timing["jitter_p99_ms"] * 1e-3)
        into.overruns += timing["overruns"]
        into.ticks += timing["ticks"]
    else:
        into.jitter_s += np.abs(between_s - 1 / FPS).tolist()
        into.overruns += int((between_s > 1.25 / FPS).sum())
        into.ticks += len(goals)


def _kill(program: Program, desk: Desk, out: Path, episode_s: float) -> dict[str, Any]:
    """Kill it in its third episode; what LeRobot then reads of it, and what is brought back."""
    folder = out.with_name(f"{out.name}-{program.name.replace(' ', '-')}")
    told = folder.with_suffix(".out")
    began_ns = time.monotonic_ns()
    process = _start(program.words(desk, folder, episode_s * EPISODES), told)
    if program.ours:
        while not len(led := _led(desk.log, began_ns)):
            time.sleep(0.2)
        started_s = led[0] * 1e-9
        time.sleep(max(0.0, started_s + 2.5 * episode_s - time.monotonic()))
    else:
        end_s = time.monotonic() + LIMIT_S + 10 * episode_s
        while "Recording episode 2" not in told.read_text() and time.monotonic() < end_s:
            time.sleep(0.05)
        time.sleep(0.5 * episode_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left: dict[str, Any] = {"finished": 2, "seconds_of_the_open_one": round(0.5 * episode_s, 1)}
    left["as_it_was_left"] = _read(folder)
    if program.ours:
        words = [str(BIN / "vibrissa"), "data", "recover", str(folder), "--json"]
        subprocess.run(words, check=False, capture_output=True)
        left["recovered"] = _read(folder)
    return left


def _read(folder: Path) -> dict[str, Any]:
    """Episodes and frames that unmodified LeRobot reads; or what it says instead."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    words = [sys.executable, "-c", READ, str(folder)]
    found = subprocess.run(words, check=False, capture_output=True, text=True, env=env)
    if found.returncode:
        lines = found.stderr.strip().splitlines()
        return {"episodes": 0, "frames": 0, "says": lines[-1][:200] if lines else "nothing"}
    episodes, frames = json.loads(found.stdout.splitlines()[-1])
    return {"episodes": episodes, "frames": frames}


def _start(words: Sequence[str], told: Path) -> subprocess.Popen[bytes]:
    """In a session of its own: it looks for no keys, and is killed as a whole."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"}
    with told.open("wb") as file:
        return subprocess.Popen(
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )


def _wait(process: subprocess.Popen[bytes], limit_s: float) -> tuple[int, Any]:
    """Its exit status and what it and its children used; killed where it does not end."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, used
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    raise SystemExit(f"{process.args} did not end within {limit_s:.0f} s")


def _led(log: Path, since_ns: int) -> NDArray[np.int64]:
    """When the first joint's goal was written since leading began, (N,) ns.

    A driver may write a single goal when it connects, long before anybody is followed.
    """
    found = []
    with log.open(encoding="ascii") as lines:
        for line in lines:
            words = line.split(None, 3)
            if len(words) == 4 and words[1:3] == ["G", "0"] and int(words[0]) >= since_ns:
                found.append(int(words[0]))
    goals = np.array(found, np.int64)
    steady = np.flatnonzero(goals[10:] - goals[:-10] < 1e9)  # ten within a second
    return goals[steady[0] :] if len(steady) else goals[:0]


def _judged(seen: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Our p99 latency beside LeRobot's, for leading and for recording."""
    told = {}
    for ours, theirs in (
        ("vibrissa teleop", "lerobot-teleoperate"),
        ("vibrissa record", "lerobot-record"),
        ("vibrissa record", "lerobot-record streaming"),
    ):
        ratio = seen[ours]["latency_p99_ms"] / seen[theirs]["latency_p99_ms"]
        told[f"{ours} / {theirs}"] = {"p99_ratio": round(ratio, 3), "held": ratio <= TARGET}
    return told


def _figure(values: NDArray[np.float64], q: float) -> float:
    return round(float(np.percentile(values, q)), 2) if len(values) else float("nan")


if __name__ == "__main__":
    main()
