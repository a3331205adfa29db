"""A disk to work on: writable, lasting, with room for the checkpoints that are to come.

Rented machines have taught this list: a root that is an overlay and vanishes with its container,
disks of terabytes in the listing that turn out to be read-only mounts of a driver.
"""

from __future__ import annotations

from vibrissa.machine.facts import Disk, Facts, Mount, Trouble
from vibrissa.machine.lines import Line, broken, ok, size, warning
from vibrissa.machine.mounts import MEMORY, WINDOWS

LITTLE_BYTES = 2e9  # a dataset with cameras, a run and a report
LARGE_BYTES = 20e9  # a mount worth to be named
SLOW_BYTES_S = 20e6


def check_disk(facts: Facts) -> list[Line]:
    """Room, kind of file system, a test of writing, checkpoints, and the other mounts."""
    disk = facts.disk
    if isinstance(disk, Trouble):
        return [broken("disk", disk.why, "name a folder that exists: vibrissa doctor FOLDER")]
    better = _better(disk)
    return [
        _writing(disk, better),
        _room(disk, better),
        *_file_system(disk, better),
        *_checkpoints(facts, disk, better),
        *_decoys(disk),
    ]


def _writing(disk: Disk, better: str) -> Line:
    if disk.unwritable:
        why = "a read-only mount" if disk.mount and disk.mount.read_only else disk.unwritable
        return broken("disk", f"{disk.folder} cannot be written: {why}", f"work elsewhere{better}")
    told = f"{disk.folder}: a test file was written, {size(disk.written)}/s"
    if disk.written < SLOW_BYTES_S:
        return warning("disk", told, f"slow: recording and checkpoints will wait for it{better}")
    return ok("disk", told)


def _room(disk: Disk, better: str) -> Line:
    told = f"{size(disk.free_bytes)} of {size(disk.total_bytes)} free"
    if disk.free_bytes < LITTLE_BYTES:
        return warning("space", told, f"little: free some{better}")
    return ok("space", told)


def _file_system(disk: Disk, better: str) -> list[Line]:
    mount = disk.mount
    if mount is None:
        return []
    told = f"{mount.kind} on {mount.point} ({mount.device})"
    if mount.kind == "overlay":
        do = f"what is written here is gone with the container: keep results elsewhere{better}"
        return [warning("file system", told, do)]
    if mount.kind in MEMORY:
        return [warning("file system", told, f"this is memory, gone at the next boot{better}")]
    if mount.kind in WINDOWS:
        do = "a Windows disk is slow from WSL: work below your Linux home (~)"
        return [warning("file system", told, do)]
    return [ok("file system", told)]


def _checkpoints(facts: Facts, disk: Disk, better: str) -> list[Line]:
    """Whether the checkpoints of a run would fit, recipe by recipe; the largest alone is told."""
    if not facts.needs:
        return []
    need = max(facts.needs, key=lambda n: n.bytes)
    told = (
        f"a run of {need.recipe} keeps {need.checkpoints} of {size(need.checkpoint_bytes)} "
        f"at most: {size(need.bytes)}"
    )
    if need.bytes > disk.free_bytes:
        return [warning("checkpoints", told, f"they do not fit: a smaller --keep{better}")]
    return [ok("checkpoints", told)]


def _decoys(disk: Disk) -> list[Line]:
    """Mounts that look like room and are none."""
    decoys = [m for m in disk.others if m.read_only and m.total_bytes >= LARGE_BYTES]
    if not decoys:
        return []
    named = ", ".join(f"{m.point} ({size(m.total_bytes)})" for m in decoys[:3])
    more = f" and {len(decoys) - 3} more" if len(decoys) > 3 else ""
    return [ok("other disks", f"read-only, no place to work: {named}{more}")]


def _better(disk: Disk) -> str:
    """The roomiest other disk that can be written, as the end of a sentence."""
    able = [m for m in disk.others if _lasts(m) and m.free_bytes >= LARGE_BYTES]
    if not able:
        return ""
    best = max(able, key=lambda m: m.free_bytes)
    return f"; {best.point} has {size(best.free_bytes)} free"


def _lasts(mount: Mount) -> bool:
    return not mount.read_only and mount.kind not in MEMORY and mount.kind != "overlay"
