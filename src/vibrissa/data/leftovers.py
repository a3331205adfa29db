"""What lies in a journal and is no episode: said, removed where it is nothing, else put aside.

A kill in the first moments of an episode, an older version, or a person may have left it. Only
what holds less than a moment of a recording is removed; everything else is moved out of the
journal, into the folder `leftover` beside it.
"""

from __future__ import annotations

from pathlib import Path

from vibrissa.core.errors import DatasetError
from vibrissa.data.disk import Disk
from vibrissa.data.journal import FILM_SUFFIX, NoHead, read_take
from vibrissa.data.layout import JOURNAL, LEFTOVER, LOG, in_journal, is_working_file, leftovers
from vibrissa.data.reels import frames_in

A_MOMENT = 30  # pictures: what a cut may cost anyway
A_LOG_BYTES = 65536  # more than the first record of one, which alone tells nothing


def sweep(root: Path, disk: Disk) -> None:
    """Remove what the recorder made for itself alone. The caller holds the claim."""
    for path in (root / JOURNAL).iterdir():
        if is_working_file(path):
            disk.remove(path)


def unreadable(root: Path) -> tuple[Path, ...]:
    """Everything in the journal of `root` that no episode can be read from."""
    found = leftovers(root)
    return (*found, *(p for p in in_journal(root) if p not in found and not _has_head(p)))


def clear(root: Path, path: Path, disk: Disk) -> str:
    """Remove what is no more than a moment, put aside what is; in words, with what was in it."""
    what = _contents(path)
    if _is_a_moment(path):
        disk.remove(path)
        return f"removed: {what}"
    return f"kept in {put_aside(root, path, disk)}: {what}"


def put_aside(root: Path, path: Path, disk: Disk) -> Path:
    """Out of the journal, into `leftover`, under a name that nothing has there."""
    folder, number = root / LEFTOVER, 1
    disk.make_folder(folder)
    names = {other.name for other in folder.iterdir()}
    name = path.name
    while name in names:
        number += 1
        name = f"{path.name}-{number}"
    disk.rename(path, folder / name)
    disk.sync_folder(folder)
    return folder / name


def foreign(take: Path) -> tuple[Path, ...]:
    """What lies in the folder of a take and was not put there by the recorder."""
    return tuple(path for path in sorted(take.iterdir()) if not _ours(path))


def _ours(path: Path) -> bool:
    plain = path.is_file() and not path.is_symlink()
    return plain and (path.name == LOG or path.suffix == FILM_SUFFIX or is_working_file(path))


def _has_head(take: Path) -> bool:
    try:
        read_take(take)
    except NoHead:
        return False
    except DatasetError:
        return True  # of another format, which another version can read
    return True


def _is_a_moment(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir() or foreign(path):
        return False
    log = path / LOG
    if log.is_file() and log.stat().st_size > A_LOG_BYTES:
        return False
    return all(_pictures(film) <= A_MOMENT for film in path.glob(f"*{FILM_SUFFIX}"))


def _contents(path: Path) -> str:
    if path.is_symlink():
        return f"a link to {path.readlink()}"
    if not path.is_dir():
        return f"a file of {_size(path)}"
    return ", ".join(_one(inner) for inner in sorted(path.iterdir())) or "an empty folder"


def _one(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return path.name
    film = f"{_pictures(path)} pictures, " if path.suffix == FILM_SUFFIX else ""
    return f"{path.name} ({film}{_size(path)})"


def _pictures(film: Path) -> int:
    return frames_in(film, film.stat().st_size)


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size} bytes" if size < 10_000 else f"{size / 1000:.0f} kB"
