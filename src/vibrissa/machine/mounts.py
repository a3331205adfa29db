"""Mount tables: which disk a folder lies on, and whether it is one to work on."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from vibrissa.machine.facts import Mount

# What holds no files of anybody: the kernel's own windows.
PSEUDO = (
    *("proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "mqueue", "debugfs", "tracefs"),
    *("securityfs", "pstore", "bpf", "configfs", "fusectl", "hugetlbfs", "autofs", "binfmt_misc"),
    *("rpc_pipefs", "nsfs", "efivarfs", "selinuxfs", "ramfs", "squashfs"),
)
MEMORY = ("tmpfs",)
# Asking one of these for its size may hang for minutes, where the other side is gone.
NETWORK = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "v9fs", "drvfs"),
    *("ceph", "glusterfs", "lustre", "beegfs"),
)
WINDOWS = ("9p", "v9fs", "drvfs")  # a Windows disk seen from WSL


def parse(table: str) -> tuple[Mount, ...]:
    """The mounts of a table as in /proc/mounts (`man 5 proc`, `man 5 fstab`), in its order.

    A line that is none is left out.
    """
    rows = [line.split(" ") for line in table.split("\n")]
    return tuple(
        Mount(_plain(row[0]), _plain(row[1]), row[2], tuple(row[3].split(",")))
        for row in rows
        if len(row) >= 4 and row[1].startswith("/")
    )


def holding(mounts: tuple[Mount, ...], folder: str) -> Mount | None:
    """The mount on which an absolute `folder` lies: the longest, and of equals the last."""
    path, found = PurePosixPath(folder), None
    for mount in mounts:
        if path.is_relative_to(mount.point) and (
            found is None or len(mount.point) >= len(found.point)
        ):
            found = mount
    return found


def visible(mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Those that hold files and are not hidden by a later mount on the same point."""
    last = {mount.point: mount for mount in mounts}
    return tuple(m for m in last.values() if m.kind not in PSEUDO)


def is_remote(mount: Mount) -> bool:
    return mount.kind in NETWORK or mount.kind.startswith("fuse")


def _plain(field: str) -> str:
    r"""A field of the table, whose spaces and tabs are written as \040 and \011."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
