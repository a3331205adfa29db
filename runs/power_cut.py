"""A power cut at every point of a recording: the write and fsync log is replayed, cut, recovered.

    uv run python runs/power_cut.py

All that a recording does to the disk is logged. For every prefix of that log the disks are built
that a power cut there could leave: what was synced is there; of what was not, everything, nothing,
or, by chance, some names and some torn beginnings or holes. Each one is recovered and must hold
every episode that had ended, whole, and every row that had been brought to the disk.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vibrissa.core.contract import CameraSpec, Channel, Contract
from vibrissa.core.episode import Decision, Episode, Observation, Outcome, Start, Step
from vibrissa.core.errors import DatasetError
from vibrissa.data.dataset import Dataset, open_dataset
from vibrissa.data.disk import Appender, Disk
from vibrissa.data.journal import Take
from vibrissa.data.recorder import Recorder
from vibrissa.data.recover import recover

RESULT = Path(__file__).parent / "results" / "power_cut.json"
EPISODES, TICKS, FLUSH_EVERY = 3, 12, 4
CODE = (Channel("code", "count"),)
CAMERAS = (CameraSpec("overhead", 64, 48), CameraSpec("wrist", 48, 64))
Op = tuple[str, Any, Any]


@dataclass
class LoggedDisk(Disk):
    """A disk that notes what is asked of it, in order."""

    ops: list[Op] = field(default_factory=list)
    lock: Any = field(default_factory=threading.RLock)  # what is done and noted is one thing

    def note(self, kind: str, what: Any, more: Any = None) -> None:
        with self.lock:
            self.ops.append((kind, what, more))

    def append(self, path: Path) -> Appender:
        with self.lock:
            if not path.exists():
                self.note("create", path)
            return _LoggedFile(path, self)

    def write(self, path: Path, content: bytes) -> None:
        super().write(path, content)  # calls `made`

    def made(self, path: Path) -> None:
        super().made(path)
        self.note("create", path)
        self.note("write", path, path.read_bytes())
        self.note("sync", path)

    def cut(self, path: Path, size: int) -> None:
        super().cut(path, size)
        self.note("cut", path, size)
        self.note("sync", path)

    def make_folder(self, path: Path) -> None:
        with self.lock:
            if path.is_dir():
                return
            self.make_folder(path.parent)
            path.mkdir()
            self.note("folder", path)
            self.sync_folder(path.parent)

    def new_folder(self, path: Path) -> None:
        with self.lock:
            super().new_folder(path)
            self.note("folder", path)

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self.note("rename", old, new)

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self.note("names", path)

    def remove(self, path: Path) -> None:
        super().remove(path)
        self.note("remove", path)


class _LoggedFile(Appender):
    def __init__(self, path: Path, disk: LoggedDisk):
        super().__init__(path)
        self._disk = disk

    def write(self, content: bytes) -> int:
        with self._disk.lock:
            written = super().write(content)
            self._disk.note("write", self.path, bytes(content))
            return written

    def sync(self) -> None:
        with self._disk.lock:
            super().sync()
            self._disk.note("sync", self.path)


@dataclass
class _File:
    """A file's changes, and how many of them are on the disk for certain."""

    changes: list[bytes | int] = field(default_factory=list)
    synced: int = 0

    def content(self, chance: random.Random | None, *, everything: bool) -> bytes:
        content = b""
        for change in self.changes[: None if everything else self.synced]:
            content = content[:change] if isinstance(change, int) else content + change
        if chance is None or everything:
            return content
        tail = b"".join(c for c in self.changes[self.synced :] if isinstance(c, bytes))
        tail = tail[: chance.randint(0, len(tail))]
        if tail and chance.random() < 0.5:  # a block that never arrived
            hole = chance.randint(0, len(tail) - 1)
            tail = tail[:hole] + bytes(min(512, len(tail) - hole)) + tail[hole + 512 :]
        return content + tail


@dataclass
class _Name:
    """A change of a folder's names: a file or folder (None) gets one, or loses it."""

    kind: str
    path: Path
    file: _File | None
    old: Path | None = None
    durable: bool = False
    folder: Path = Path()  # where it is now: a folder that is renamed takes its names along

    def __post_init__(self) -> None:
        self.folder = self.path.parent


def disk_after(ops: Sequence[Op], root: Path, chance: random.Random | None, everything: bool):
    """What a cut behind `ops` leaves of `root`: relative path → content (None for a folder)."""
    live: dict[Path, _File] = {}
    names: list[_Name] = []
    for kind, path, more in ops:
        if kind == "create":
            live[path] = _File()
            names.append(_Name("put", path, live[path]))
        elif kind == "folder":
            names.append(_Name("put", path, None))
        elif kind in ("write", "cut") and path in live:
            live[path].changes.append(more)
        elif kind == "sync" and path in live:
            live[path].synced = len(live[path].changes)
        elif kind == "rename":
            for inner in [p for p in live if p.is_relative_to(path)]:
                live[more / inner.relative_to(path)] = live.pop(inner)
            for name in names:
                if name.folder.is_relative_to(path):
                    name.folder = more / name.folder.relative_to(path)
            names.append(_Name("put", more, live.get(more), old=path))
        elif kind == "remove":
            names.append(_Name("drop", path, None))
        elif kind == "names":
            for name in names:
                name.durable |= name.folder == path
    tree: dict[Path, _File | None] = {root: None}
    for name in names:
        if not (everything or name.durable or (chance and chance.random() < 0.5)):
            continue
        if name.kind == "drop":
            tree = {p: f for p, f in tree.items() if not p.is_relative_to(name.path)}
        elif name.old is not None and name.file is None:
            tree = _folder_moved(tree, name.old, name.path)
        elif name.path.parent in tree:
            tree[name.path] = name.file
            if name.old is not None and tree.get(name.old) is name.file:
                tree.pop(name.old)
    return {
        path.relative_to(root): file and file.content(chance, everything=everything)
        for path, file in tree.items()
    }


def _folder_moved(tree: dict[Path, Any], old: Path, new: Path) -> dict[Path, Any]:
    """A folder under its new name, with all of it that is there; nothing where it is not."""
    return {
        new / path.relative_to(old) if path.is_relative_to(old) else path: file
        for path, file in tree.items()
    }


def recorded(root: Path, cameras: tuple[CameraSpec, ...]) -> LoggedDisk:
    """A short recording, with notes in its log of what was promised when."""
    disk = LoggedDisk()
    of = Contract("counting", CODE, CODE, 30.0, cameras=cameras)
    recorder = Recorder(root, disk=disk)
    finish = Take.finish

    def finished(take: Take, told: Any) -> Any:
        shots = finish(take, told)
        disk.note("ended", take.start.seed)
        return shots

    Take.finish = finished  # type: ignore[method-assign]
    try:
        for seed in range(EPISODES):
            start = Start(of, "count", "Count", seed)
            recorder.on_start(start)
            for tick in range(TICKS):
                recorder.on_step(step_of(cameras, seed, tick))
                take = recorder._take
                if take is not None and tick % FLUSH_EVERY == FLUSH_EVERY - 1:
                    take.flush()
                    disk.note("rows", seed, tick + 1 if not cameras else 0)
            recorder.on_end(Episode(start, Outcome("success", TICKS)))
    finally:
        recorder.close()
        Take.finish = finish  # type: ignore[method-assign]
    return disk


def step_of(cameras: tuple[CameraSpec, ...], seed: int, tick: int) -> Step:
    code = np.array([seed * TICKS + tick], np.float32)
    level = 40 + 4 * (seed * TICKS + tick)
    images = {c.name: np.full((c.height, c.width, 3), level, np.uint8) for c in cameras}
    seen = Observation(tick, tick / 30, code, images=images)
    return Step(seen, Decision(code, "human"), code, 1000.0 + tick / 30)


def judge(out: Path, ops: Sequence[Op]) -> str:
    """Recover `out` and say what is wrong with it; empty where nothing is."""
    ended = {seed for kind, seed, _ in ops if kind == "ended"}
    rows = {seed: count for kind, seed, count in ops if kind == "rows"}
    if (out / "journal").is_dir():
        try:
            recover(out, shortest_s=0.0)
        except DatasetError as error:
            return f"not recovered: {error}"
    if not (out / "meta" / "info.json").is_file():
        return f"no dataset, and {sorted(ended)} had ended" if ended else ""
    try:
        dataset = open_dataset(out)
    except DatasetError as error:
        return f"not readable: {error}"
    have = {note["seed"]: row.length for note, row in zip(dataset.notes, dataset.episodes)}
    if len(have) != len(dataset.episodes):
        return f"episodes twice: {[note['seed'] for note in dataset.notes]}"
    lost = [seed for seed in ended if have.get(seed) != TICKS]
    short = [seed for seed, count in rows.items() if have.get(seed, 0) < count]
    if lost or short:
        return f"lost {lost}, short {short}, have {have}"
    return _out_of_step(dataset)


def _out_of_step(dataset: Dataset) -> str:
    codes = dataset.column("observation.state").reshape(-1)
    for note, row in zip(dataset.notes, dataset.episodes, strict=True):
        mine = codes[dataset.rows(row.index)]
        if not np.array_equal(mine, note["seed"] * TICKS + np.arange(row.length)):
            return f"rows of episode {row.index} are {mine}"
        for camera in dataset.contract.camera_names:
            shots = dataset.pictures(f"observation.images.{camera}", row.index, range(row.length))
            seen = np.array([float(shot.mean()) for shot in shots])
            if np.abs(seen - (40 + 4 * mine)).max() > 1.9:
                return f"pictures of episode {row.index} are {seen}"
    return ""


def cut_everywhere(
    cameras: tuple[CameraSpec, ...], every: int, seeds: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Cut behind every `every`-th entry; `seeds` random disks beside the two extremes."""
    wrong, disks = [], 0
    with tempfile.TemporaryDirectory(prefix="power-cut-") as folder:
        root = Path(folder) / "set"
        ops = recorded(root, cameras).ops
        for point in range(0, len(ops) + 1, every):
            kinds: list[tuple[str, random.Random | None, bool]] = [
                ("all", None, True),
                ("least", None, False),
                *((f"chance {s}", random.Random(s * 7919 + point), False) for s in range(seeds)),
            ]
            for kind, chance, everything in kinds:
                out = Path(folder) / f"{point}-{kind}"
                lay_out(out, disk_after(ops[:point], root, chance, everything))
                told = judge(out, ops[:point])
                disks += 1
                if told:
                    wrong.append(
                        f"cut {point} of {len(ops)} ({ops[point - 1][:2]}), {kind}: {told}"
                    )
                    say(wrong[-1])
    return {"entries": len(ops), "disks": disks, "wrong": wrong}


def lay_out(out: Path, tree: dict[Path, bytes | None]) -> None:
    out.mkdir()
    for path, content in sorted(tree.items()):
        if content is None:
            (out / path).mkdir(exist_ok=True)
        else:
            (out / path).write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    from vibrissa.bench.page import machine

    began_s = time.monotonic()
    told: dict[str, Any] = {"what": "power cut at every entry of the write and fsync log"}
    for name, cameras in (("rows", ()), ("two cameras", CAMERAS)):
        told[name] = cut_everywhere(cameras, args.every, args.seeds, lambda line: print(line))
    told |= {"machine": machine(), "wall_s": round(time.monotonic() - began_s)}
    args.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in told.items() if k != "machine"}))


if __name__ == "__main__":
    main()
