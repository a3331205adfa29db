"""Every fault of the twin, struck while teleop, record or deploy runs: what is seen, what is kept.

    python runs/faults.py [--only TEXT] [--again] [--table]

Each command is a process of its own (forked from one that has the libraries loaded), and so is
the twin; what the follower was told comes from the twin's own log. --only takes the faults whose
name holds TEXT (or one of TEXT|TEXT), --again also those that were tried before, --table only
writes docs/faults.md anew from results/faults.json, --checkpoint takes a policy of an earlier call.
All commands under all faults take a quarter of an hour.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vibrissa.core.units import JOINTS
from vibrissa.twin.calibration import calibrated
from vibrissa.twin.control import ask
from vibrissa.twin.spawned import spawned

ROOT = Path(__file__).parents[1]
RESULT, PAGE = ROOT / "runs" / "results" / "faults.json", ROOT / "docs" / "faults.md"
COMMANDS = ("teleop", "record", "deploy")
UNDER_WAY_S = 1.5  # an episode has run for so long when a fault strikes
PATIENCE_S = 90.0  # a command that has not ended by itself after so long hangs
FLUSHED_S = 1.5  # until what was logged is in the file
STILL_S = 4.0  # without a new goal before its end: a command that goes on, with an arm that holds
BEFORE_BYTES = 200_000  # of the log: some seconds


@dataclass(frozen=True)
class Case:
    """One fault: what it befalls, its kind as the twin knows it, and how the table tells it."""

    where: str  # bus, camera, leader
    kind: str
    told: str
    request: dict[str, Any] = field(default_factory=dict)
    before: bool = False  # it is there when the command begins
    prepare: Callable[[Path], None] | None = None  # instead of a fault of the twin's own

    @property
    def name(self) -> str:
        return f"{self.where}: {self.kind}, {self.told}"

    def strike(self, folder: Path) -> None:
        if self.prepare is not None:
            self.prepare(folder)
            return
        more = {"arm": "leader"} if self.where == "leader" else {}
        ask(folder, {"do": "fault", "kind": self.kind, **self.request, **more})


def camera(kind: str, told: str, **request: Any) -> Case:
    return Case("camera", kind, told, {"camera": "wrist", **request})


def weak_servos(folder: Path) -> None:
    """Servos that bear 8 V, on the twin's 12 V."""
    weak = {joint: {"Max_Voltage_Limit": 80} for joint in JOINTS}
    ask(folder, {"do": "set", "arm": "follower", "registers": weak})


def outside(folder: Path) -> None:
    """A calibrated range 20 degrees away from where shoulder_pan stands, on the side with room."""
    servos = ask(folder, {"do": "status"})["arms"]["follower"]["servos"]
    here, away, wide = servos["shoulder_pan"]["ticks"], round(20 * 4096 / 360), 1800
    low = here + away if here < 2048 else here - away - wide
    limits = {"Min_Position_Limit": low, "Max_Position_Limit": low + wide}
    registers = {"shoulder_pan": limits}
    ask(folder, {"do": "set", "arm": "follower", "registers": registers})


def seam(folder: Path) -> None:
    """The leader was homed with its wrist turned by half a turn: its count ends in the middle."""
    offset = calibrated("leader")["wrist_roll"]["Homing_Offset"]
    registers = {"wrist_roll": {"Homing_Offset": (offset + 2048 + 2048) % 4096 - 2048}}
    ask(folder, {"do": "set", "arm": "leader", "registers": registers})


SELDOM = {"rate": 0.01}  # a hundred times what a sound cable has
CASES = (
    Case("bus", "lost", "one answer in 100", SELDOM),
    Case("bus", "lost", "all answers for 1 s", {"for_s": 1.0}),
    Case("bus", "late", "all answers 0.08 s late"),
    Case("bus", "truncated", "one answer in 100", SELDOM),
    Case("bus", "corrupted", "one answer in 100", SELDOM),
    Case("bus", "unheard", "one instruction in 100", SELDOM),
    Case("bus", "silent", "elbow_flex", {"joint": "elbow_flex"}),
    Case("bus", "silent", "all servos"),
    Case("bus", "gone", "for 3 s", {"for_s": 3.0}),
    Case("bus", "gone", "for good"),
    Case("bus", "firmware", "another one on gripper", {"joint": "gripper"}, before=True),
    Case("bus", "overload", "shoulder_lift", {"joint": "shoulder_lift"}),
    Case("bus", "voltage", "sags to 3.8 V"),
    Case("bus", "voltage", "none for 0.2 s", {"amount": 0.0, "for_s": 0.2}),
    Case("bus", "supply", "12 V for servos that bear 8 V", before=True, prepare=weak_servos),
    Case("bus", "outside", "shoulder_pan, by 20°", before=True, prepare=outside),
    Case("leader", "seam", "wrist_roll, in its middle", before=True, prepare=seam),
    Case("leader", "silent", "gripper", {"joint": "gripper"}),
    Case("leader", "gone", "for good"),
    camera("black", "for good"),
    camera("overexposed", "for good"),
    camera("resolution", "half the size"),
    camera("frozen", "for good"),
    camera("late", "0.3 s"),
    camera("slow", "5 pictures a second"),
    camera("gone", "for 2 s", for_s=2.0),
)


@dataclass(frozen=True)
class Cell:
    """What became of one command under one fault. holds_s: None where it went on all the same."""

    where: str
    kind: str
    told: str
    command: str
    exit: int | None
    sees: list[str]
    kept: str
    holds_s: float | None
    torque: str

    @property
    def name(self) -> str:
        return f"{self.where}: {self.kind}, {self.told}"


class Running:
    """A command in a process of its own, and what it prints, with the time of each line."""

    def __init__(self, words: Sequence[str], folder: Path):
        self.lines: list[tuple[int, str]] = []
        pipe = folder / f"told-{time.monotonic_ns()}"
        os.mkfifo(pipe)
        context = multiprocessing.get_context("forkserver")
        self.process = context.Process(target=run_command, args=(list(words), str(pipe)))
        self.process.start()
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    @property
    def runs(self) -> bool:
        return self.process.is_alive()

    def has(self, pattern: str) -> bool:
        return any(re.search(pattern, line) for _, line in list(self.lines))

    def finish(self) -> None:
        """Kill what does not end by itself."""
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self._thread.join(5)

    def _read(self, pipe: Path) -> None:
        with pipe.open() as stream:
            for line in stream:
                self.lines.append((time.monotonic_ns(), line.rstrip()))


def run_command(words: list[str], pipe: str) -> None:
    """In the new process: the command, its words into `pipe`."""
    told = os.open(pipe, os.O_WRONLY)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(told, 1)
    os.dup2(told, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    sys.stdin = os.fdopen(0, closefd=False)
    from vibrissa import cli

    code = cli.main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def words_of(command: str, folder: Path, out: Path, checkpoint: Path) -> list[str]:
    rig = ["--config", str(folder / "rig.yaml")]
    at_arm = ["--seconds", "4", "--reset-seconds", "0"]
    if command == "teleop":
        return ["teleop", *rig, "--seconds", "12"]
    if command == "record":
        told = ["--instruction", "Follow the hand", "--episodes", "3"]
        return ["record", *rig, "--out", str(out), *told, *at_arm]
    told = ["--rollouts", "3", "--video", "--device", "cpu", "--accept", "calibration"]
    return ["deploy", str(checkpoint), *rig, "--out", str(out), *told, *at_arm]


def try_cell(case: Case, command: str, folder: Path, out: Path, checkpoint: Path) -> Cell:
    """One command under one fault, from its start to its end."""
    ask(folder, {"do": "heal"})
    for arm in ("follower", "leader"):
        ask(folder, {"do": "set", "arm": arm})
    time.sleep(1.0)
    if case.before:
        case.strike(folder)
    log = folder / "log"
    begun_at, struck_ns = log.stat().st_size, time.monotonic_ns()
    running = Running(words_of(command, folder, out, checkpoint), folder)
    try:
        if not case.before and under_way(running, command, folder):
            begun_at, struck_ns = log.stat().st_size, time.monotonic_ns()
            case.strike(folder)
        running.process.join(PATIENCE_S)
        hung, ended_ns = running.runs, time.monotonic_ns()
        torque = torque_told(folder)
    finally:
        running.finish()
    time.sleep(FLUSHED_S)
    code = None if hung else running.process.exitcode
    sees = seen([line for ns, line in running.lines if ns >= struck_ns])
    held_s: float | None = round(holds_s(log, begun_at, struck_ns, ended_ns), 3)
    if code == 0 and (ended_ns - struck_ns) * 1e-9 - held_s < STILL_S:
        held_s = None
    kept = KEPT[command](out)
    return Cell(case.where, case.kind, case.told, command, code, sees, kept, held_s, torque)


def under_way(running: Running, command: str, folder: Path) -> bool:
    """Wait for the middle of the second episode (teleop: until it moves); False if it ended."""
    first = {"record": r"episode 1 of 3:", "deploy": r"rollout 1 of 3:"}
    before = goals(folder)
    while running.runs:
        begun = running.has(first[command]) if command in first else goals(folder) != before
        if begun:
            time.sleep(UNDER_WAY_S)
            return running.runs
        time.sleep(0.05)
    return False


def goals(folder: Path) -> list[int]:
    servos = ask(folder, {"do": "status"})["arms"]["follower"]["servos"]
    return [servo["goal"] for servo in servos.values()]


def torque_told(folder: Path) -> str:
    servos = ask(folder, {"do": "status"})["arms"]["follower"]["servos"]
    on = [joint for joint, servo in servos.items() if servo["torque"]]
    return "off" if not on else "on" if len(on) == len(servos) else f"on in {', '.join(on)}"


ORDINARY = re.compile(
    r"^\s*$|^(rollout|episode) \d+ of"
    r"|^(policy|speed|actions|success|late|timing|film|report|dataset)\b"
    r"|^\s{4,}|^keys|^forwarding|^reset|the rig names no home_deg|^\d+ episodes|^→"
    r"|^costliest|^servos:|^timing"
    r"|its torque goes off now"
)


MOST_LINES = 3


def seen(lines: Sequence[str]) -> list[str]:
    """The lines that are about the fault: each once, the last one last."""
    kept: list[str] = []
    last = next((k for k in reversed(lines) if k.startswith("vibrissa: ")), "")
    for line in lines:
        if line.startswith("fault: ") and last.removeprefix("vibrissa: ") in line:
            continue  # a session says it at once, and the last line says it again
        line = re.sub(r"/tmp/\S*?/(follower|leader|out|set)", r"…/\1", line.replace("\r", ""))
        if not ORDINARY.search(line) and line not in kept:
            kept.append(line)
    return [*kept[:MOST_LINES], *[k for k in kept[MOST_LINES:] if k.startswith("vibrissa: ")]]


def kept_by_record(out: Path) -> str:
    from vibrissa.core.episode import HEALTHS
    from vibrissa.core.errors import VibrissaError
    from vibrissa.data.dataset import open_dataset

    if not (out / "meta" / "info.json").is_file():
        return "nothing was begun"
    try:
        dataset = open_dataset(out)
    except VibrissaError as error:
        return f"UNREADABLE: {error}"
    count = len(dataset.episodes)
    told = f"{count} episode{'s' * (count != 1)}, {dataset.frames} frames"
    for name in sorted(key for key in dataset.features if key.endswith(".health")):
        marks = np.asarray(dataset.column(name)).reshape(-1)
        counts = {HEALTHS[int(m)]: int((marks == m).sum()) for m in np.unique(marks) if m}
        if counts:
            words = ", ".join(f"{n} {health}" for health, n in counts.items())
            told += f"; {name.split('.')[1]}: {words}"
    left = [p for p in (out / "journal").rglob("*") if p.is_file()] if out.is_dir() else []
    return told + ("; the open one in the journal" if left else "")


def kept_by_deploy(out: Path) -> str:
    from vibrissa.bench.outcomes import read_rows
    from vibrissa.show.video import read_frames

    if not (out / "outcomes.jsonl").is_file():
        return "nothing was begun"
    rows = read_rows(out / "outcomes.jsonl")
    reasons = ", ".join(row.failure_class.lower() for row in rows)
    films = sorted((out / "recordings").glob("*.mp4"))
    lengths = ", ".join(f"{sum(1 for _ in read_frames(f, every=1)) / 30:.1f} s" for f in films)
    return f"{len(rows)} rows ({reasons}); films of {lengths}"


KEPT: dict[str, Callable[[Path], str]] = {
    "teleop": lambda out: "–",
    "record": kept_by_record,
    "deploy": kept_by_deploy,
}


def holds_s(log: Path, begun_at: int, struck_ns: int, ended_ns: int) -> float:
    """How long after the blow the follower was last told to go somewhere else, s.

    The log is read from the byte `begun_at` on, less what tells which goals there were before.
    """
    goals: dict[str, str] = {}
    last_ns = struck_ns
    with log.open("rb") as file:
        file.seek(max(0, begun_at - BEFORE_BYTES))
        lines = file.read().decode("ascii").splitlines()[1:]
    for words in map(str.split, lines):
        if len(words) == 4 and words[1] == "G":
            now_ns = int(words[0])
            moved = goals.get(words[2], words[3]) != words[3]
            if moved and struck_ns < now_ns <= ended_ns:
                last_ns = now_ns
            goals[words[2]] = words[3]
    return (last_ns - struck_ns) * 1e-9


def try_case(case: Case, folder: Path, checkpoint: Path) -> Iterator[Cell]:
    """All commands under one fault."""
    for command in COMMANDS:
        if case.where == "leader" and command == "deploy":
            continue  # nobody leads
        with tempfile.TemporaryDirectory(prefix="kept-") as kept:
            cell = try_cell(case, command, folder, Path(kept) / "out", checkpoint)
        print(f"{case.name} × {command}: {cell.exit} {cell.holds_s} {cell.sees}", flush=True)
        yield cell


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[None]:
    """A twin whose leader is led in circles."""
    flags = ["--cameras", "ready", "--camera-port", "0", "--servos", "calibrated"]
    with spawned(folder, [*flags, "--log", str(folder / "log")]):
        ask(folder, {"do": "move", "arm": "leader", "script": "circle"})
        yield


def make_checkpoint(folder: Path) -> Path:
    """A policy that was shown the circle: recorded on the twin, trained for a few steps."""
    cli = [sys.executable, "-m", "vibrissa.cli"]
    with serving(folder / "twin"):
        words = words_of("record", folder / "twin", folder / "set", folder)
        subprocess.run([*cli, *words], check=True, stdin=subprocess.DEVNULL)
    words = ["train", "debug", str(folder / "set"), "--out", str(folder / "run"), "--device", "cpu"]
    subprocess.run([*cli, *words], check=True)
    return folder / "run"


HEAD = """# What goes wrong, and what then

Every fault that the [twin](twin.md) knows, struck in the middle of the second episode of
`vibrissa record` and of [`vibrissa deploy`](deploy.md) (three episodes of 4 s are asked for, with
two cameras of 640 × 480 at 30 Hz) and in `vibrissa teleop` (12 s). Nobody is at the keys: with
somebody there, `record` and `teleop` ask whether to connect again. A camera's fault is the wrist
camera's; `teleop` opens none unless it is to show them. *Until the arm holds*: from the blow to
the last change of any goal register, by the
twin's own log. *Torque*: the follower's, when the command has ended; on the way out every one of
them says that its torque goes off now, which is left out here. The policy of `deploy` hardly moves
the arm, so a picture that stays the same is nothing unusual to it.
MISSING
Made by `runs/faults.py` on MACHINE.

| fault | command | what the user sees | what is kept | until the arm holds | exit, torque |
|---|---|---|---|---|---|
"""


def page(result: dict[str, Any]) -> str:
    """docs/faults.md."""
    order = [case.name for case in CASES]
    cells = [Cell(**raw) for raw in result["cells"]]
    cells.sort(key=lambda cell: (order.index(cell.name), COMMANDS.index(cell.command)))
    head = HEAD.replace("MACHINE", result["machine"]).replace("MISSING", missing(cells))
    return head + "".join(map(row, cells))


def missing(cells: Sequence[Cell]) -> str:
    """Which rows are not there, and why, as a paragraph; empty where all are."""
    there = {(cell.name, cell.command) for cell in cells}
    wanted = ((c, command) for c in CASES for command in COMMANDS)
    names = [
        f"{case.name} × {command}"
        for case, command in wanted
        if (case.where != "leader" or command != "deploy") and (case.name, command) not in there
    ]
    if not names:
        return ""
    return f"\nNot measured, for the computer was too busy for them: {'; '.join(names)}.\n"


def row(cell: Cell) -> str:
    sees = "<br>".join(line.replace("|", "\\|") for line in cell.sees) or "nothing: it goes on"
    holds = "it goes on" if cell.holds_s is None else f"{cell.holds_s:.2f} s"
    code = "hangs" if cell.exit is None else str(cell.exit)
    told = [cell.name, cell.command, sees, cell.kept, holds, f"{code}, {cell.torque}"]
    return f"| {' | '.join(told)} |\n"


def try_all(
    result: dict[str, Any], asked: argparse.Namespace, folder: Path, checkpoint: Path
) -> None:
    """Every case that is asked for; written after each."""
    texts = asked.only.split("|")
    for case in (c for c in CASES if any(text in c.name for text in texts)):
        known = [c for c in result["cells"] if Cell(**c).name == case.name]
        if known and not asked.again:
            continue
        fresh = [asdict(cell) for cell in try_case(case, folder, checkpoint)]
        result["cells"] = [c for c in result["cells"] if c not in known] + fresh
        RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--checkpoint", type=Path)
    asked = parser.parse_args()
    result: dict[str, Any] = {"cells": []}
    if RESULT.is_file():
        result = json.loads(RESULT.read_text())
    result["machine"] = f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}"
    if not asked.table:
        with tempfile.TemporaryDirectory(prefix="faults-") as temporary:
            folder = Path(temporary)
            checkpoint = asked.checkpoint or make_checkpoint(folder)
            multiprocessing.set_forkserver_preload(["vibrissa.learn.policy", "vibrissa.real.arm"])
            with serving(folder / "twin"):
                try_all(result, asked, folder / "twin", checkpoint)
    PAGE.write_text(page(result), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
