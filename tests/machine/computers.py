"""Computers that nobody here owns, as facts; and mount tables as such machines print them."""

from __future__ import annotations

import dataclasses
from typing import Any

from vibrissa.machine.facts import (
    Disk,
    Drawing,
    Facts,
    Hub,
    Mount,
    Need,
    Package,
    Processor,
    System,
    Torch,
    Video,
)
from vibrissa.machine.lines import Line

CU130 = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")
CU124 = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")

GOOD = Facts(
    system=System("Linux", "6.8.0-45-generic", "x86_64", (3, 12, 4)),
    packages=(Package("torch", "2.11.0+cu130", "2.11.0"), Package("av", "15.1.0", "15.1.0")),
    torch=Torch("2.11.0+cu130", cuda="13.0", architectures=CU130, threads=8),
    drawing=Drawing("NVIDIA EGL (hardware, RTX 4090)", False, 900.0, "224 x 224"),
    video=Video("15.1.0", "0.11.1"),
    disk=Disk("/home/ada", 10**12, 5 * 10**11, Mount("/dev/sda2", "/", "ext4", ("rw",)), (), 5e8),
    hub=Hub({"HF_HUB_OFFLINE": "1"}, token=False),
    processor=Processor(8, 8, memory_bytes=32 * 10**9, free_bytes=20 * 10**9),
    needs=(Need("act", 4, 150_000_000),),
)

# A rented machine: the root is the container's own layer, the driver's files and programs are
# mounted read-only, one by one, and each shows the size of the disk behind it.
RENTED = """\
overlay / overlay rw,relatime,lowerdir=/var/lib/docker/overlay2/l/A:/l/B,upperdir=/u,workdir=/w 0 0
proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0
tmpfs /dev tmpfs rw,nosuid,size=65536k,mode=755 0 0
shm /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k 0 0
/dev/md0 /etc/hosts ext4 rw,relatime 0 0
/dev/mapper/ubuntu--vg-root /usr/bin/nvidia-smi ext4 ro,nosuid,nodev,relatime 0 0
/dev/mapper/ubuntu--vg-root /usr/lib/firmware/nvidia ext4 ro,nosuid,nodev,relatime 0 0
/dev/sdb1 /workspace\\040one xfs rw,relatime,prjquota 0 0
this line is none
"""
WSL = """\
/dev/sdc / ext4 rw,relatime,discard,errors=remount-ro,data=ordered 0 0
none /mnt/wsl tmpfs rw,relatime 0 0
C:\\134 /mnt/c 9p rw,noatime,dirsync,aname=drvfs;path=C:\\134;uid=1000 0 0
"""


def facts(**changes: Any) -> Facts:
    """A good machine, but for some facts; a dict changes fields within a fact."""
    made = {
        name: dataclasses.replace(getattr(GOOD, name), **value)
        if isinstance(value, dict)
        else value
        for name, value in changes.items()
    }
    return dataclasses.replace(GOOD, **made)


def about(lines: list[Line], name: str) -> Line:
    """The one line on this subject."""
    found = [line for line in lines if line.about == name]
    assert len(found) == 1, found
    return found[0]
