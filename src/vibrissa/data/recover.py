"""Brings back what a kill, a power cut or a full disk left in the journal of one of our datasets.

An episode that had ended is stored as if nothing had happened. An open one is cut where its last
whole row and pictures are, and stored with the reason `fault` unless it knew of another. Nothing
that is stored already is touched: the dataset only grows.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import suppress
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
from vibrissa.data.journal import NoHead, Taken, read_take
from vibrissa.data.layout import JOURNAL
from vibrissa.data.leftovers import clear, foreign, put_aside, sweep, unreadable
from vibrissa.data.reels import frames_in, shots_in
from vibrissa.data.take_numbers import GIVEN
from vibrissa.data.writer import Writer

Fate = Literal["stored", "finished", "discarded", "open", "unreadable", "leftover"]
SHORTEST_S = 0.5  # an episode that was cut off sooner demonstrates nothing; it is said, and removed
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


def recover(root: Path, disk: Disk | None = None, *, shortest_s: float = SHORTEST_S) -> Recovered:
    """Store everything that lies in the journal of `root`, and clear away what is no episode.

    An open episode that was cut off within `shortest_s` is removed. What else cannot be read is
    removed where it is no more than a moment, and put aside where it is (`leftovers`).
    Raises DatasetError where there is no journal, where somebody records there right now, and
    where the disk refuses; what was not stored by then is in the journal still.
    """
    if not layout.is_open(root):
        raise DatasetError(f"{root} has no journal: nothing was cut off there.")
    with writing(root, JOURNAL_KEPT):
        claim = claim_of(root)
    disk = disk or Disk()
    try:
        return settle(root, disk, whole_only=False, shortest_s=shortest_s)
    finally:
        tidy(root, disk, claim)
        gc.collect()  # a film's decoder waits for it, and its threads hang whatever is forked then


def claim_of(root: Path) -> Claim:
    """Nobody else records into `root` from here on. Raises DatasetError where somebody does."""
    try:
        (root / JOURNAL).mkdir(parents=True, exist_ok=True)  # who had it may just have cleared it
        return Claim(root / JOURNAL / CLAIM)
    except BlockingIOError as error:
        raise DatasetError(
            f"{root} is being recorded by another process right now. Stop that one first."
        ) from error


def settle(
    root: Path, disk: Disk, *, whole_only: bool, shortest_s: float = SHORTEST_S
) -> Recovered:
    """Store and throw away as the journal says; with `whole_only`, only what had ended.

    Open episodes and leftovers then stay where they are. The caller holds the claim.
    """
    with writing(root, JOURNAL_KEPT):
        sweep(root, disk)
    known = _stored(root)
    writer: Writer | None = None
    told: list[Left] = []
    for folder in layout.takes(root):
        try:
            taken = read_take(folder)
        except NoHead:
            continue  # a leftover
        except DatasetError as error:
            told.append(Left(folder.name, "unreadable", told=str(error)))
            continue
        fate = _fate(taken, known)
        if fate in ("stored", "discarded"):
            with writing(root, JOURNAL_KEPT):
                _remove(root, folder, disk)
            told.append(Left(folder.name, fate, len(taken.rows), episode=None))
        elif fate == "open" and not whole_only and _too_short(taken, shortest_s):
            with writing(root, JOURNAL_KEPT):
                gone = f"cut off within {shortest_s:g} s; {_gone(root, taken, disk)}"
            told.append(Left(folder.name, fate, len(taken.rows), told=gone))
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
    if not whole_only:
        with writing(root, JOURNAL_KEPT):
            for path in unreadable(root):
                told.append(Left(path.name, "leftover", told=clear(root, path, disk)))
    return Recovered(root, tuple(told))


def tidy(root: Path, disk: Disk, claim: Claim) -> None:
    """Give the claim back, and away with the journal, and with `root`, where nothing is in it."""
    journal = root / JOURNAL
    for folder in journal.glob("*"):
        _remove_empty(folder)
    settled = {path.name for path in journal.glob("*")} <= {CLAIM}
    if settled and not (root / "meta" / "info.json").is_file():
        disk.remove(root / GIVEN)
        for folder in (root / OURS, root / "meta"):
            _remove_empty(folder)
    claim.give_back(remove=True)
    for folder in (journal, root):
        _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # something is in it, or it has gone
        folder.rmdir()


def _remove(root: Path, take: Path, disk: Disk) -> str:
    """A take that is settled; what else somebody put into its folder is kept, and said."""
    kept = [str(put_aside(root, path, disk)) for path in foreign(take)]
    throw_away(disk, take)
    return f"kept: {', '.join(kept)}" if kept else ""


def _bring_back(writer: Writer, taken: Taken, fate: Fate, disk: Disk) -> Left:
    """Store a take as far as it is whole."""
    rows, frames = len(taken.rows), _frames(taken)
    most = min((rows, *frames.values()))
    short = [f"{name} ends after {n} pictures" for name, n in frames.items() if n < rows]
    told = f"{', '.join(short)}: cut to {most} of {rows} rows" if short else ""
    name = taken.folder.name
    if most == 0:
        if rows > writer.fps:
            return Left(name, fate, rows, told=f"{told}; {_kept(writer.root, taken, disk)}")
        return Left(name, fate, rows, told=f"not one whole row; {_gone(writer.root, taken, disk)}")
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
        told += f"; {_kept(writer.root, taken, disk)}"
    else:
        told = "; ".join(filter(None, (told, _remove(writer.root, taken.folder, disk))))
    return Left(name, fate, rows, most, episode, told)


def _kept(root: Path, taken: Taken, disk: Disk) -> str:
    return f"the whole of it is kept in {put_aside(root, taken.folder, disk)}"


def _gone(root: Path, taken: Taken, disk: Disk) -> str:
    return "; ".join(filter(None, ("removed", _remove(root, taken.folder, disk))))


def _too_short(taken: Taken, shortest_s: float) -> bool:
    return not taken.end and len(taken.rows) < shortest_s * taken.contract.rate_hz


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
