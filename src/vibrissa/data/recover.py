"""Brings back what a kill, a power cut or a full disk left in the journal of one of our datasets.

An episode that had ended is stored as if nothing had happened. An open one is cut where its last
whole row and pictures are, and stored with the reason `fault` unless it knew of another. Nothing
that is stored already is touched: the dataset only grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from vibrissa.core.errors import DatasetError
from vibrissa.data import layout
from vibrissa.data.claim import NAME as CLAIM
from vibrissa.data.claim import Claim
from vibrissa.data.disk import Disk, writing
from vibrissa.data.features import EPISODES_FILE, OURS
from vibrissa.data.finish import Filmed, store, throw_away
from vibrissa.data.journal import Taken, read_take
from vibrissa.data.layout import JOURNAL, LOG
from vibrissa.data.reels import frames_in, shots_in
from vibrissa.data.writer import Writer

Fate = Literal["stored", "finished", "discarded", "open", "unreadable"]
JOURNAL_KEPT = "What is not stored yet lies in the journal still."


@dataclass(frozen=True)
class Left:
    """One take in a journal. `fate` is what it turned out to be; `episode` where it is now."""

    name: str
    fate: Fate
    rows: int = 0
    brought: int = 0
    episode: int | None = None
    told: str = ""


@dataclass(frozen=True)
class Recovered:
    """What became of a journal."""

    path: Path
    takes: tuple[Left, ...]

    @property
    def episodes(self) -> int:
        """How many are in the dataset now that were not before."""
        return sum(left.episode is not None for left in self.takes)

    @property
    def rows(self) -> int:
        return sum(left.brought for left in self.takes)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "path": str(self.path),
            "episodes": self.episodes,
            "rows": self.rows,
            "takes": [asdict(left) for left in self.takes],
        }


def recover(root: Path, disk: Disk | None = None) -> Recovered:
    """Store everything that lies in the journal of `root`.

    Raises DatasetError where there is no journal, where somebody records there right now, and
    where the disk refuses; what was not stored by then is in the journal still.
    """
    if not layout.is_open(root):
        raise DatasetError(f"{root} has no journal: nothing was cut off there.")
    with writing(root, JOURNAL_KEPT):
        claim = claim_of(root)
    disk = disk or Disk()
    try:
        return settle(root, disk, whole_only=False)
    finally:
        claim.give_back()
        tidy(root, disk)


def claim_of(root: Path) -> Claim:
    """Nobody else records into `root` from here on. Raises DatasetError where somebody does."""
    try:
        return Claim(root / JOURNAL / CLAIM)
    except BlockingIOError as error:
        raise DatasetError(
            f"{root} is being recorded by another process right now. Stop that one first."
        ) from error


def settle(root: Path, disk: Disk, *, whole_only: bool) -> Recovered:
    """Store and throw away as the journal says; with `whole_only`, leave open episodes there.

    The caller holds the claim.
    """
    known = _stored(root)
    writer: Writer | None = None
    told: list[Left] = []
    for folder in layout.takes(root):
        try:
            taken = read_take(folder)
        except DatasetError as error:
            told.append(Left(folder.name, "unreadable", told=str(error)))
            continue
        fate = _fate(taken, known)
        if fate in ("stored", "discarded"):
            throw_away(disk, folder)
            told.append(Left(folder.name, fate, len(taken.rows), episode=None))
        elif fate == "finished" or not whole_only:
            with writing(root, JOURNAL_KEPT):
                if writer is None:
                    names = taken.head["sim_state"]
                    writer = Writer(root, taken.contract, names, disk)
                told.append(_bring_back(writer, taken, fate, disk))
        else:
            told.append(Left(folder.name, fate, len(taken.rows)))
    if writer is not None:
        writer.close()
    return Recovered(root, tuple(told))


def tidy(root: Path, disk: Disk) -> None:
    """Away with folders in which nothing is left."""
    journal = root / JOURNAL
    disk.remove(journal / CLAIM)
    for folder in (*journal.glob("*"), journal, root):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _bring_back(writer: Writer, taken: Taken, fate: Fate, disk: Disk) -> Left:
    """Store a take as far as it is whole."""
    rows, frames = len(taken.rows), _frames(taken)
    most = min((rows, *frames.values()))
    short = [f"{name} ends after {n} pictures" for name, n in frames.items() if n < rows]
    told = f"{', '.join(short)}: cut to {most} of {rows} rows" if short else ""
    name = taken.folder.name
    if most == 0:
        return Left(name, fate, rows, told=told or "not one whole row")
    films = {
        camera.name: Filmed(
            taken.film(camera.name),
            shots_in(taken.film(camera.name), size, camera, most),
            size,
        )
        for camera in taken.contract.cameras
        for size in (taken.films[camera.name],)
    }
    episode = store(writer, taken.head, taken.rows[:most], films, _end(taken, most))
    if rows - most > writer.fps:  # more than a cut costs: a film is damaged, and its rows are not
        disk.rename(taken.folder / LOG, taken.folder / f"{LOG}.stored")
        told += f"; the whole of it stays in {taken.folder}"
    else:
        throw_away(disk, taken.folder)
    return Left(name, fate, rows, most, episode, told)


def _fate(taken: Taken, known: Mapping[str, int]) -> Fate:
    if taken.take in known:
        return "stored"
    given = taken.end.get("fate")
    return "discarded" if given == "discard" else "finished" if given == "keep" else "open"


def _frames(taken: Taken) -> dict[str, int]:
    """Camera → how many whole pictures there are of it."""
    return {
        camera.name: frames_in(taken.film(camera.name), taken.films.get(camera.name, 0))
        for camera in taken.contract.cameras
    }


def _end(taken: Taken, rows: int) -> dict[str, Any]:
    """How the episode ended, as far as anybody knows."""
    end = {key: value for key, value in taken.end.items() if key != "fate"}
    if end and rows == len(taken.rows):
        return end if taken.end["fate"] == "keep" else {**end, "recovered": True}
    span = taken.rows["wall_time_s"][:rows]
    cut = {
        "reason": "fault",
        "failure_class": "",
        "detail": "cut off",
        "ticks": rows,
        "wall_s": round(float(span[-1] - span[0]), 3),
        "measures": {},
    }
    return {**cut, **end, "ticks": rows, "recovered": True}


def _stored(root: Path) -> dict[str, int]:
    """Takes that are in the dataset: what they are known by → their episode."""
    notes = root / OURS / EPISODES_FILE
    if not notes.is_file() or not (root / "meta" / "info.json").is_file():
        return {}
    most = layout.read_info(root).total_episodes
    lines = layout.read_jsonl(notes, most)
    return {note["take"]: note["episode"] for note in lines if "take" in note}
