"""Looks at a disk: its mount, its room, whether it takes a file, what caches hold."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
import time
from pathlib import Path

from vibrissa.machine.facts import Cache, Disk, Mount
from vibrissa.machine.mounts import holding, is_remote, parse, visible

TEST_BYTES = 16_000_000
MOST_FILES = 200_000  # counted of a cache; more would take long


def disk(folder: Path, table: Path) -> Disk:
    """The disk behind `folder`, which need not exist yet: then its nearest parent is looked at.

    `table` is a mount table as in /proc/mounts; on systems without one, room and the test of
    writing are all there is. Raises OSError where the disk cannot be asked.
    """
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    folder = folder.resolve()
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, not a folder")
    usage = shutil.disk_usage(folder)
    mounts = _table(table)
    mine = holding(mounts, str(folder))
    written, unwritable = write_test(folder)
    others = tuple(sized(m) for m in visible(mounts) if m != mine and not is_remote(m))
    return Disk(
        folder=str(folder),
        total_bytes=usage.total,
        free_bytes=usage.free,
        mount=mine,
        others=_distinct(others, mine),
        written=written,
        unwritable=unwritable,
    )


def write_test(folder: Path) -> tuple[float, str]:
    """Bytes a second of a file written there and made to last, or why it could not be."""
    block = os.urandom(TEST_BYTES)
    began_s = time.perf_counter()
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".vibrissa-doctor-") as file:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
            spent_s = time.perf_counter() - began_s
    except OSError as error:
        return 0.0, (error.strerror or str(error)).lower()
    return TEST_BYTES / spent_s, ""


def sized(mount: Mount) -> Mount:
    """The mount with its size; without one where the system will not tell."""
    with contextlib.suppress(OSError):
        usage = shutil.disk_usage(mount.point)
        return dataclasses.replace(mount, total_bytes=usage.total, free_bytes=usage.free)
    return mount


def cache(name: str, folder: Path) -> Cache:
    """What lies in `folder`; nothing where it is not there."""
    total, count = 0, 0
    for root, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, file)).st_size
        count += len(files)
        if count > MOST_FILES:
            return Cache(name, str(folder), total, whole=False)
    return Cache(name, str(folder), total)


def _table(table: Path) -> tuple[Mount, ...]:
    with contextlib.suppress(OSError):
        return parse(table.read_text(encoding="utf-8", errors="replace"))
    return ()


def _distinct(mounts: tuple[Mount, ...], mine: Mount | None) -> tuple[Mount, ...]:
    """One mount a device, one that can be written before one that cannot.

    Containers get single files mounted, too: of use to nobody, but where they are read-only they
    stand in every listing with the size of the whole disk behind them, and are kept to be named.
    """
    others = [m for m in mounts if mine is None or m.device != mine.device]
    places = [m for m in others if m.read_only or Path(m.point).is_dir()]
    found: dict[tuple[str, int], Mount] = {}
    for mount in sorted(places, key=lambda m: m.read_only):
        found.setdefault((mount.device, mount.total_bytes), mount)
    return tuple(found.values())
