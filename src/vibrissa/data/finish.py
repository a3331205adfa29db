"""From a journal to the dataset: an episode that has ended is stored, or thrown away, at once.

One thread does it, behind the arm's back, and in the order in which the episodes ended.
"""

from __future__ import annotations

import ctypes
import errno
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av.error
import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import Contract
from vibrissa.core.episode import Episode
from vibrissa.core.errors import DatasetError, VibrissaError
from vibrissa.data.disk import Disk, reason
from vibrissa.data.features import CONTRACT_FILE, RECORDING_FILE, SCENE_FILE, stored_contract
from vibrissa.data.journal import Take
from vibrissa.data.layout import GONE
from vibrissa.data.reels import to_mp4
from vibrissa.data.rows import columns_of, doubtful_of, timing_of, unwell_of
from vibrissa.data.writer import Writer

BEHIND = 16  # episodes that may wait to be stored
STUCK_S = 300.0  # for one episode; a disk that takes 5 s for every sync needs two minutes
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TRIM_EVERY = 10  # episodes


@dataclass(frozen=True)
class Filmed:
    """A camera's film in a journal, and the small pictures that its statistics are made of.

    size: how many of its bytes are whole, where it was cut off.
    """

    path: Path
    shots: NDArray
    size: int | None = None


def store(
    writer: Writer,
    head: Mapping[str, Any],
    rows: NDArray[np.void],
    films: Mapping[str, Filmed],
    end: Mapping[str, Any],
) -> int:
    """Add a journalled episode to the dataset, and return its index.

    Raises DatasetError for a film that holds fewer pictures than there are rows, OSError as the
    disk does.
    """
    contract = Contract.from_dict(head["contract"])
    for name, film in films.items():
        frames = to_mp4(film.path, writer.film_path(name), writer.fps, len(rows), film.size)
        if frames != len(rows):
            raise DatasetError(f"{name}: {frames} pictures for {len(rows)} rows.")
    if not writer.episodes:
        writer.write_ours(CONTRACT_FILE, stored_contract(contract).to_dict())
        writer.write_ours(SCENE_FILE, head["scene"])
    note = {
        **{key: head[key] for key in ("seed", "task")},
        **end,
        "sampled": head["sampled"],
        **timing_of(rows, contract.rate_hz),
        **head.get("told", {}),
        "take": head["take"],
        "session": _session(writer, head["session"]),
    }
    unwell = unwell_of(contract, rows)
    if unwell:
        note["pictures"] = unwell
    doubtful = doubtful_of(rows)
    if doubtful:
        note["joints"] = doubtful
    shots = {name: film.shots for name, film in films.items()}
    instruction = head["instruction"] or head["task"]
    return writer.add_episode(columns_of(contract, rows), instruction, shots, note)


def _session(writer: Writer, session: Mapping[str, Any]) -> int:
    """The place of `session` among those noted in `recording.json`; noted there where it is new."""
    known = list(writer.read_ours(RECORDING_FILE).get("sessions", ()))
    for index, other in enumerate(known):
        if other["id"] == session["id"]:
            return index
    writer.write_ours(RECORDING_FILE, {"sessions": [*known, session]})
    return len(known)


def told_end(episode: Episode) -> dict[str, Any]:
    """How an episode ended, for its journal and its note."""
    outcome = episode.outcome
    return {
        "reason": outcome.reason,
        "failure_class": outcome.failure_class,
        "detail": outcome.detail,
        "ticks": outcome.ticks,
        "wall_s": round(episode.wall_s, 3),
        "measures": {name: float(value) for name, value in outcome.measures.items()},
    }


def throw_away(disk: Disk, folder: Path) -> None:
    """A take's folder. It loses its name at one instant, so that a cut leaves all of it or none."""
    if folder.is_dir():
        gone = folder.with_name(folder.name + GONE)
        disk.rename(folder, gone)
        disk.sync_folder(folder.parent)
        disk.remove(gone)


def give_memory_back() -> None:
    """glibc keeps what the encoders' threads have freed, each thread's apart: tens of megabytes."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True)
class Ended:
    """A take that waits to be stored, thrown away, or left in the journal."""

    take: Take
    end: Mapping[str, Any]
    fate: str  # keep | discard | leave

    @property
    def told(self) -> dict[str, Any]:
        """What the journal keeps of it."""
        return {**self.end, "fate": self.fate}


class Finisher:
    """Ends and stores episodes, in two threads. What goes wrong is raised by the next `check`.

    One writes how an episode ended, at once; the other one stores it, which takes a slow disk its
    time. `done` hears of a take that is about to be stored or thrown away. `patience_s` is how
    long `close` waits for a step that does not end.
    """

    def __init__(
        self,
        root: Path,
        disk: Disk,
        done: Callable[[Take], None] = lambda _: None,
        patience_s: float = STUCK_S,
    ):
        self._root, self._disk, self._done, self._patience_s = root, disk, done, patience_s
        self._ending: queue.Queue[Ended | None] = queue.Queue()
        self._storing: queue.Queue[Ended | None] = queue.Queue()
        self._writer: Writer | None = None
        self._trouble: list[Exception] = []
        self.left, self.failed, self.failed_frames = 0, 0, 0
        self.stuck = False  # a step did not end, and was left to itself
        self._step_s = time.monotonic()  # when the last step began
        self._threads = [
            threading.Thread(target=self._end, name="ender", daemon=True),
            threading.Thread(target=self._store, name="finisher", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        return self._ending.qsize() + self._storing.qsize()

    def put(self, ended: Ended) -> None:
        self._ending.put(ended)

    def check(self) -> None:
        """Raise, once, what has gone wrong since the last time."""
        if self._trouble:
            error = self._trouble.pop(0)
            what = f"cannot write {self._root}: {reason(error)}"
            if isinstance(error, VibrissaError):
                what = str(error).rstrip(".")
            first = "make room, then " if getattr(error, "errno", None) in NO_ROOM else ""
            raise DatasetError(
                f"{what}. Finished episodes are whole; what there is of this one lies in the "
                f"journal: {first}`vibrissa data recover {self._root}`."
            ) from error

    def wait_for_room(self, patience_s: float) -> None:
        """Raises DatasetError where episodes end faster than they can be stored."""
        until_s = time.monotonic() + patience_s
        while self.waiting >= BEHIND:
            if time.monotonic() >= until_s:
                raise DatasetError(
                    f"{self.waiting} episodes wait to be stored in {self._root}: the disk is too "
                    "slow. They are in the journal and will be stored; wait, then go on."
                )
            time.sleep(0.01)

    def close(self, session: Mapping[str, Any]) -> None:
        """Everything is stored when this returns, or `stuck` says that the disk does not answer.

        `session` is what came of it, for the notes.
        """
        self._ending.put(None)
        self._step_s = time.monotonic()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(0.2)
                if time.monotonic() - self._step_s > self._patience_s:
                    self.stuck = True
                    self._trouble.append(DatasetError(_no_answer(self._root, self._patience_s)))
                    return
        if self._writer is None:
            return
        try:
            self._note(self._writer, session)
            self._writer.close()
        except OSError as error:
            self._trouble.append(error)

    def _note(self, writer: Writer, session: Mapping[str, Any]) -> None:
        known = writer.read_ours(RECORDING_FILE).get("sessions", ())
        told = [session if other["id"] == session["id"] else other for other in known]
        writer.write_ours(RECORDING_FILE, {"sessions": told})

    def _end(self) -> None:
        """Write down how each episode ended, as soon as it has."""
        while (ended := self._ending.get()) is not None:
            self._step_s = time.monotonic()
            ended.take.end(ended.told)
            self._storing.put(ended)
        self._storing.put(None)

    def _store(self) -> None:
        while (ended := self._storing.get()) is not None:
            self._step_s = time.monotonic()
            self._done(ended.take)
            try:
                self._settle(ended)
            except (VibrissaError, OSError, av.error.FFmpegError) as error:
                if ended.fate == "keep":
                    self.failed += 1
                    self.failed_frames += ended.take.rows.count
                self._trouble.append(error)
                continue
            if ended.fate != "leave":
                self._throw_away(ended.take)

    def _settle(self, ended: Ended) -> None:
        take = ended.take
        if ended.fate != "keep":
            with suppress(DatasetError):  # the loop was told, and there is nothing to store
                take.finish(ended.told)
            self.left += ended.fate == "leave"
            return
        shots = take.finish(ended.told)
        if self._writer is None:
            contract, names = take.start.contract, take.start.sim_state
            self._writer = Writer(self._root, contract, names, self._disk)
        films = {name: Filmed(film.path, shots[name]) for name, film in take.films.items()}
        store(self._writer, take.head, take.rows.read(0, take.rows.count), films, ended.end)
        if self._writer.episodes % TRIM_EVERY == 0:
            give_memory_back()

    def _throw_away(self, take: Take) -> None:
        try:
            throw_away(self._disk, take.folder)
        except OSError as error:  # it is stored, or was discarded: `recover` sees that too
            self._trouble.append(error)


def _no_answer(root: Path, patience_s: float) -> str:
    return f"the disk of {root} has not answered for {patience_s:g} s"
