"""The journal of the open episode: on disk within a fraction of a second, whole up to any kill.

A take is a folder: `log`, records that each carry a checksum, and a Matroska film a camera. The
log holds, in this order, what the episode is (JSON), its rows as they come, and how it ended
(JSON). Between them stand marks: up to which byte a film had been written, and the checksum of
what was written since the last mark. What does not add up is where a cut took place, and nothing
behind it is believed.
"""

from __future__ import annotations

import errno
import json
import os
import struct
import threading
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import Contract
from vibrissa.core.episode import SOURCES, Start, Step
from vibrissa.core.errors import ContractError, DatasetError
from vibrissa.data.disk import Appender, Disk, plain, reason
from vibrissa.data.film import Film
from vibrissa.data.film_file import Reel
from vibrissa.data.journal_lag import Lag, TickClock
from vibrissa.data.layout import LOG, UNBORN
from vibrissa.data.log_records import END, HEAD, MARK, ROW, record, records
from vibrissa.data.rows import Rows, row_type

FILM_SUFFIX = ".mkv"
FORMAT = 2
UNMARKED = 1  # the format before rows had the health of their joints
_MARK = struct.Struct("<BQI")  # camera, size of its film, checksum of what was added to it


class Take:
    """An episode being recorded into `folder`.

    `add` is the loop's share: it copies. `write` and `sync` are called by two other threads, so
    that rows reach the file system whatever a sync does. Nothing is made on the disk before the
    first tick. Then the folder is made aside, its log with the head in it, and named at one
    instant; films are made after that. So a folder that has its name can be read, or was cut off
    by a power cut before anything of it was synced. `at_birth` is called just before.
    """

    def __init__(
        self,
        folder: Path,
        start: Start,
        head: Mapping[str, Any],
        fps: int,
        patience_s: float,
        disk: Disk,
        at_birth: Callable[[], None] = lambda: None,
    ):
        self.folder, self.start = folder, start
        self.rows = Rows(start.contract, start.sim_state)
        self.head = {"journal": FORMAT, **head, **_told(start)}
        self.clock = TickClock(fps)
        self._disk, self._at_birth = disk, at_birth
        self._lock, self._syncing = threading.Lock(), threading.Lock()
        self._log: Appender | None = None
        self._added_s: list[float] = []  # when each row was
        self._written, self._synced = 0, 0  # rows in the log; rows that a power cut leaves
        self._named = 0  # files whose names are on the disk
        self._ended = self._closed = False
        self._trouble: OSError | None = None
        self._reels: dict[str, Reel] = {}
        self.films = {
            camera.name: Film(
                folder / f"{camera.name}{FILM_SUFFIX}",
                camera,
                fps,
                patience_s,
                sink=lambda name=camera.name: self._reel(name),
            )
            for camera in start.contract.cameras
        }

    @property
    def can_be_had_again(self) -> bool:
        """Whether its seed gives the same episode: a simulated arm, and nobody's hand on it."""
        human = SOURCES.index("human")
        sources = self.rows.read(0, self.rows.count)["source"]
        return bool(self.start.sim_state) and human not in sources

    def add(self, step: Step) -> None:
        """Copy a tick. A picture that could not be had is marked; the last one stands for it.

        Raises DatasetError where the disk refused something, or an encoder is behind.
        """
        self.check()
        try:
            missing = self._film(step)
        except DatasetError:
            self.check()  # where the disk refused it, the disk's own words
            raise
        self._added_s.append(self.clock.tick())
        self.rows.add(step, missing)

    def check(self) -> None:
        """Raise DatasetError where the disk has refused something."""
        refused = [self._trouble, *(reel.trouble for reel in self._reels.copy().values())]
        for trouble in refused:
            if trouble is not None:
                raise DatasetError(f"cannot write {self.folder}: {reason(trouble)}.")

    def lag(self) -> Lag:
        """How far the disk is behind now."""
        now_s, ages = self.clock.tick(), [0.0]
        for reel in self._reels.copy().values():
            began_s = reel.began_s
            ages.append(0.0 if began_s is None else now_s - began_s)
        return Lag(max(*ages, self._age_s(self._written, now_s)), self._age_s(self._synced, now_s))

    def write(self) -> None:
        """Hand everything so far to the file system. Never raises: the next `add` tells."""
        with self._lock:
            if self._closed or self._trouble is not None or not self.rows.count:
                return
            try:
                self._write()
            except OSError as error:
                self._trouble = self._trouble or error

    def sync(self) -> None:
        """Bring what was written to the disk. Never raises: the next `add` tells."""
        with self._syncing:
            try:
                self._sync()
            except OSError as error:
                self._trouble = self._trouble or error

    def flush(self) -> None:
        """Write and sync."""
        self.write()
        self.sync()

    def end(self, told: Mapping[str, Any]) -> None:
        """Stop the films and write how it ended, `told`. Once is enough; waits for no sync."""
        if self._ended:
            return
        self._ended = True
        for film in self.films.values():
            film.stop()
        with self._lock:
            if self._trouble is None and self.rows.count:
                try:
                    self._write(record(END, json.dumps(told, default=plain).encode()))
                except OSError as error:
                    self._trouble = self._trouble or error

    def finish(self, told: Mapping[str, Any]) -> dict[str, NDArray]:
        """End it, sync and close films and log.

        Returns of each film the pictures that its statistics are made of. Raises DatasetError
        where anything of it could not be written.
        """
        self.end(told)
        self.sync()
        with self._lock:
            self._closed = True
            for reel in self._reels.values():
                reel.release()
            if self._log is not None:
                self._log.close()
        self.check()
        return {name: film.finish() for name, film in self.films.items() if film.frames}

    def _film(self, step: Step) -> list[str]:
        """Hand the pictures to the encoders; the cameras whose picture could not be had."""
        seen, missing = step.observation, []
        for name, film in self.films.items():
            picture = None if seen.health.get(name) == "missing" else seen.images.get(name)
            if picture is None or not film.fits(picture):
                missing.append(name)
                film.repeat()
            else:
                film.add(picture)
        return missing

    def _age_s(self, row: int, now_s: float) -> float:
        return now_s - self._added_s[row] if row < len(self._added_s) else 0.0

    def _write(self, last: bytes = b"") -> None:
        log = self._born()
        count = self.rows.count
        parts = [record(ROW, row.tobytes()) for row in self.rows.read(self._written, count)]
        for number, name in enumerate(self.films):
            marks = self._reels[name].marks if name in self._reels else deque()
            while marks:
                parts.append(record(MARK, _MARK.pack(number, *marks.popleft())))
        if parts or last:
            log.write(b"".join((*parts, last)))
        self._written = count

    def _sync(self) -> None:
        with self._lock:
            log, written, reels = self._log, self._written, list(self._reels.values())
        if log is None or self._closed or self._trouble is not None:
            return
        for file in (*reels, log):
            file.sync()
        if len(reels) + 1 != self._named:
            self._disk.sync_folder(self.folder)
            self._disk.sync_folder(self.folder.parent)
            self._named = len(reels) + 1
        self._synced = written

    def _born(self) -> Appender:
        """The log. Made where there is none yet, with its head in it, and the folder with it."""
        if self._log is None:
            if os.path.lexists(self.folder):
                raise FileExistsError(errno.EEXIST, "there is such a folder already")
            self._disk.make_folder(self.folder.parent)
            self._at_birth()
            aside = self.folder.with_name(self.folder.name + UNBORN)
            self._disk.new_folder(aside)
            head = self._disk.create(aside / LOG)
            try:
                head.write(record(HEAD, json.dumps(self.head, default=plain).encode()))
            finally:
                head.close()
            self._disk.rename(aside, self.folder)
            self._log = self._disk.append(self.folder / LOG)
        return self._log

    def _reel(self, name: str) -> Reel:
        """A film's file, for the thread that encodes it; the log is there before."""
        with self._lock:
            if self._trouble is not None:  # the first thing that the disk refused is what is said
                raise self._trouble
            try:
                self._born()
                file = self._disk.create(self.folder / f"{name}{FILM_SUFFIX}")
            except OSError as error:
                self._trouble = self._trouble or error
                raise
            self._reels[name] = Reel(file, self.clock)
            return self._reels[name]


@dataclass(frozen=True)
class Taken:
    """What a journal tells of an episode.

    films: camera → how many bytes of its film are known to be whole. end: how it ended, and what
    was to become of it (`fate`: keep, leave or discard); empty where a cut came first.
    """

    folder: Path
    head: Mapping[str, Any]
    rows: NDArray[np.void]
    films: Mapping[str, int] = field(default_factory=dict)
    end: Mapping[str, Any] = field(default_factory=dict)

    @property
    def contract(self) -> Contract:
        return Contract.from_dict(self.head["contract"])

    @property
    def take(self) -> str:
        """What the episode is known by, here and in the dataset's notes."""
        return str(self.head["take"])

    def film(self, camera: str) -> Path:
        return self.folder / f"{camera}{FILM_SUFFIX}"


class NoHead(DatasetError):
    """A folder in a journal whose log is not there, or cut off in its first record."""


def read_take(folder: Path) -> Taken:
    """What is whole of the take in `folder`, a byte at a time if need be.

    Raises NoHead where not even its head can be read, DatasetError where it is of another format.
    """
    head: dict[str, Any] = {}
    end: dict[str, Any] = {}
    rows: list[bytes] = []
    films: dict[str, int] = {}
    marks: dict[str, list[tuple[int, int]]] = {}
    log = folder / LOG
    content = log.read_bytes() if log.is_file() else b""
    for kind, payload in records(content):
        if kind == HEAD:
            head = json.loads(payload)
        elif kind == ROW:
            rows.append(payload)
        elif kind == END:
            end = json.loads(payload)
        elif kind == MARK and head:
            number, size, crc = _MARK.unpack(payload)
            name = head["contract"]["cameras"][number]["name"]
            marks.setdefault(name, []).append((size, crc))
    if not head:
        raise NoHead(f"{folder} holds no readable journal: its first record was cut off.")
    if head.get("journal") not in (FORMAT, UNMARKED):
        raise DatasetError(
            f"{folder} is a journal of format {head.get('journal')}; this Vibrissa reads "
            f"{FORMAT}. Recover it with the version that recorded it."
        )
    for name, noted in marks.items():
        films[name] = _whole_bytes(folder / f"{name}{FILM_SUFFIX}", noted)
    try:
        contract, marked = Contract.from_dict(head["contract"]), head["journal"] != UNMARKED
        kind_of_row = row_type(contract, head["sim_state"], marked=marked)
    except (ContractError, KeyError) as error:
        raise DatasetError(f"{folder} holds no readable journal: {error}.") from error
    return Taken(folder, head, np.frombuffer(b"".join(rows), kind_of_row), films, end)


def _whole_bytes(film: Path, marks: list[tuple[int, int]]) -> int:
    """How many bytes of `film` are as they were written."""
    whole = 0
    if not film.is_file():
        return whole
    with film.open("rb") as file:
        for size, crc in marks:
            part = file.read(size - whole)
            if len(part) != size - whole or zlib.crc32(part) != crc:
                break
            whole = size
    return whole


def _told(start: Start) -> dict[str, Any]:
    return {
        "contract": start.contract.to_dict(),
        "task": start.task,
        "instruction": start.instruction,
        "seed": start.seed,
        "scene": dict(start.scene),
        "sampled": dict(start.sampled),
        "sim_state": list(start.sim_state),
    }
