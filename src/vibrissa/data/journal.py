"""The journal of the open episode: on disk within a fraction of a second, whole up to any kill.

A take is a folder: `log`, records that each carry a checksum, and a Matroska film a camera. The
log holds, in this order, what the episode is (JSON), its rows as they come, and how it ended
(JSON). Between them stand marks: up to which byte a film had been written, and the checksum of
what was written since the last mark. What does not add up is where a cut took place, and nothing
behind it is believed.
"""

from __future__ import annotations

import json
import struct
import threading
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
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
from vibrissa.data.layout import LOG
from vibrissa.data.rows import Rows, row_type

FILM_SUFFIX = ".mkv"
FORMAT = 2
UNMARKED = 1  # the format before rows had the health of their joints
HEAD, ROW, MARK, END = 1, 2, 3, 4
_LEAD, _SUM, _MARK = struct.Struct("<BI"), struct.Struct("<I"), struct.Struct("<BQI")


class Reel:
    """A film's file; it notes what was written up to where, for the log."""

    def __init__(self, file: Appender):
        self._file = file
        self._size = 0
        self.marks: deque[tuple[int, int]] = deque()  # (bytes so far, checksum of the last part)

    def write(self, content: bytes) -> int:
        content = bytes(content)
        self._file.write(content)
        self._size += len(content)
        self.marks.append((self._size, zlib.crc32(content)))
        return len(content)

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.sync()
        self._file.close()


class Take:
    """An episode being recorded into `folder`.

    `add` is the loop's share: it copies. `flush` is the journal thread's: it writes and waits
    for the disk. Nothing is made on the disk before the first tick.
    """

    def __init__(
        self,
        folder: Path,
        start: Start,
        head: Mapping[str, Any],
        fps: int,
        patience_s: float,
        disk: Disk,
    ):
        self.folder, self.start = folder, start
        self.rows = Rows(start.contract, start.sim_state)
        self.head = {"journal": FORMAT, **head, **_told(start)}
        self._disk, self._lock = disk, threading.Lock()
        self._log: Appender | None = None
        self._written, self._named = 0, 0  # rows in the log; files whose names are on the disk
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
        seen, missing = step.observation, []
        for name, film in self.films.items():
            picture = None if seen.health.get(name) == "missing" else seen.images.get(name)
            if picture is None or not film.fits(picture):
                missing.append(name)
                film.repeat()
            else:
                film.add(picture)
        self.rows.add(step, missing)

    def check(self) -> None:
        if self._trouble is not None:
            raise DatasetError(f"cannot write {self.folder}: {reason(self._trouble)}.")

    def flush(self, *, sync: bool = True) -> None:
        """Bring everything so far to the disk. Never raises: the next `add` tells."""
        with self._lock:
            if self._trouble is not None or (self._log is None and not self.rows.count):
                return
            try:
                self._flush(b"", sync)
            except OSError as error:
                self._trouble = error

    def finish(self, told: Mapping[str, Any]) -> dict[str, NDArray]:
        """Close films and log, whose last record says how it ended: `told`.

        Returns of each film the pictures that its statistics are made of. Raises DatasetError
        where anything of it could not be written.
        """
        for film in self.films.values():
            film.stop()
        with self._lock:
            if self._trouble is None and self.rows.count:
                try:
                    self._flush(record(END, json.dumps(told, default=plain).encode()), True)
                except OSError as error:
                    self._trouble = error
            if self._log is not None:
                self._log.close()
        self.check()
        return {name: film.finish() for name, film in self.films.items() if film.frames}

    def _flush(self, last: bytes, sync: bool) -> None:
        parts = []
        if self._log is None:
            self._disk.make_folder(self.folder)
            self._log = self._disk.append(self.folder / LOG)
            parts.append(record(HEAD, json.dumps(self.head, default=plain).encode()))
        count = self.rows.count
        parts += [record(ROW, row.tobytes()) for row in self.rows.read(self._written, count)]
        reels = [(i, self._reels[n]) for i, n in enumerate(self.films) if n in self._reels]
        for number, reel in reels:
            while reel.marks:
                parts.append(record(MARK, _MARK.pack(number, *reel.marks.popleft())))
        if parts or last:
            self._log.write(b"".join((*parts, last)))
        self._written = count
        if sync:
            for _, reel in reels:
                reel.sync()
            self._log.sync()
            if len(reels) + 1 != self._named:
                self._disk.sync_folder(self.folder)
                self._named = len(reels) + 1

    def _reel(self, name: str) -> Reel:
        self._disk.make_folder(self.folder)
        reel = Reel(self._disk.append(self.folder / f"{name}{FILM_SUFFIX}"))
        self._reels[name] = reel
        return reel


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


def read_take(folder: Path) -> Taken:
    """What is whole of the take in `folder`, a byte at a time if need be.

    Raises DatasetError where not even its head can be read.
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
        raise DatasetError(f"{folder} holds no readable journal: its first record was cut off.")
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


def record(kind: int, payload: bytes) -> bytes:
    """Kind, length, payload, and the checksum of all three."""
    body = _LEAD.pack(kind, len(payload)) + payload
    return body + _SUM.pack(zlib.crc32(body))


def records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The records of a log, up to the first one that is not whole."""
    at = 0
    while at + _LEAD.size + _SUM.size <= len(content):
        kind, length = _LEAD.unpack_from(content, at)
        end = at + _LEAD.size + length
        if end + _SUM.size > len(content):
            return
        if zlib.crc32(content[at:end]) != _SUM.unpack_from(content, end)[0]:
            return
        yield kind, content[at + _LEAD.size : end]
        at = end + _SUM.size


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
