"""How much memory there is, on each system by its own means."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup/memory.max")


def look(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> tuple[int, int]:
    """Bytes in all and bytes free, as far as this process may have them; 0 for not known."""
    if hasattr(os, "sysconf"):
        total, free = _posix(meminfo)
    else:
        total, free = _windows()
    most = _most(cgroup)
    return (min(total, most), min(free, most)) if most else (total, free)


def _posix(meminfo: Path) -> tuple[int, int]:
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = meminfo.read_text(encoding="ascii").splitlines()
        rows = {name: int(rest.split()[0]) * 1024 for name, rest in (s.split(":") for s in lines)}
        return rows.get("MemTotal", 0), rows.get("MemAvailable", 0)
    with contextlib.suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), 0
    return 0, 0


def _windows() -> tuple[int, int]:
    """GlobalMemoryStatusEx (learn.microsoft.com, sysinfoapi.h): nine numbers, sizes in bytes."""
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            ("total", ctypes.c_uint64),
            ("free", ctypes.c_uint64),
            ("others", ctypes.c_uint64 * 5),
        )

    status = Status(length=ctypes.sizeof(Status))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):  # type: ignore[attr-defined]
        return 0, 0
    return status.total, status.free


def _most(cgroup: Path) -> int:
    """What a container may have, from cgroup v2's memory.max; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        return int(cgroup.read_text(encoding="ascii"))  # "max" is no number
    return 0
