"""Serial ports: what they are called, who may open them, who has them open already."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATTERNS = ("ttyACM*", "ttyUSB*")
MEDDLERS = ("ModemManager", "brltty")  # programs that open serial ports which nobody gave them


@dataclass(frozen=True)
class Holder:
    """A process that has a port open."""

    pid: int
    name: str


@dataclass(frozen=True)
class Port:
    """One serial port. path: as the kernel calls it (/dev/ttyACM0, COM7, /dev/cu.usbmodem…).

    by_id, by_path: its stable names, "" where it has none. group: who may open it beside root;
    may_open: whether this process may. holders: who has it open.
    """

    path: str
    product: str = ""
    by_id: str = ""
    by_path: str = ""
    group: str = ""
    may_open: bool = True
    holders: tuple[Holder, ...] = ()

    @property
    def node(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def stable(self) -> str:
        """The name to put into a rig."""
        return self.by_id or self.by_path or self.path


def linux_ports(root: Path = Path("/")) -> tuple[Port, ...]:
    """The serial ports below `root`/dev that a USB adapter made."""
    dev = root / "dev"
    nodes = sorted(node for pattern in PATTERNS for node in dev.glob(pattern))
    held = holders(root, tuple(f"/dev/{node.name}" for node in nodes))
    return tuple(
        Port(
            path=f"/dev/{node.name}",
            by_id=link_to(root, "dev/serial/by-id", node.name),
            by_path=link_to(root, "dev/serial/by-path", node.name),
            group=group_of(node),
            may_open=os.access(node, os.R_OK | os.W_OK),
            holders=held.get(f"/dev/{node.name}", ()),
        )
        for node in nodes
    )


def named_ports() -> tuple[Port, ...]:
    """macOS and Windows: what pyserial finds there. cu., not tty.: the latter waits for a modem."""
    from serial.tools import list_ports

    found = [(port.device, port) for port in list_ports.comports()]
    return tuple(
        Port(path=name, product=port.description or "")
        for name, port in sorted(found)
        if port.vid is not None
    )


def link_to(root: Path, folder: str, node: str) -> str:
    """The link in `folder` that leads to `node`, as an absolute path; "" where there is none."""
    for link in sorted(root.joinpath(folder).glob("*")):
        with contextlib.suppress(OSError):
            if link.readlink().name == node:
                return f"/{folder}/{link.name}"
    return ""


def group_of(path: Path) -> str:
    """The group that may open it, dialout or uucp as a rule; "" where it has no name."""
    try:
        return path.group()
    except (OSError, KeyError, NotImplementedError):
        return ""


def holders(root: Path, paths: tuple[str, ...]) -> dict[str, tuple[Holder, ...]]:
    """Who has these files open, this process left out; of other users' processes only root sees."""
    found: dict[str, list[Holder]] = {}
    if paths:
        for pid, path in _open_files(root):
            if path in paths and pid != os.getpid():
                holder = Holder(pid, name_of(root, pid))
                if holder not in found.setdefault(path, []):
                    found[path].append(holder)
    return {path: tuple(who) for path, who in found.items()}


def meddlers(root: Path = Path("/")) -> tuple[str, ...]:
    """Which of the programs run that open serial ports on their own."""
    names = {name_of(root, pid) for pid in _pids(root)}
    return tuple(name for name in MEDDLERS if name[:15] in names)


def name_of(root: Path, pid: int) -> str:
    """A process's own name, as the kernel cuts it: 15 letters."""
    with contextlib.suppress(OSError):
        return (root / "proc" / str(pid) / "comm").read_text("utf-8", "replace").strip()
    return ""


def makers_of(root: Path, pty: str) -> tuple[int, ...]:
    """The processes that serve a pseudo-terminal: they hold its other end.

    The kernel tells it in `fdinfo` of the master (`man 5 proc`): tty-index.
    """
    number = pty.rsplit("/", 1)[-1]
    return tuple(
        pid
        for pid in _pids(root)
        for line in _fdinfo(root, pid)
        if line.split() == ["tty-index:", number]
    )


def _pids(root: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return sorted(int(entry) for entry in os.listdir(root / "proc") if entry.isdigit())
    return []


def _open_files(root: Path) -> Iterator[tuple[int, str]]:
    for pid in _pids(root):
        folder = root / "proc" / str(pid) / "fd"
        with contextlib.suppress(OSError):
            for number in os.listdir(folder):
                with contextlib.suppress(OSError):
                    yield pid, os.readlink(folder / number)


def _fdinfo(root: Path, pid: int) -> Iterator[str]:
    folder = root / "proc" / str(pid) / "fdinfo"
    with contextlib.suppress(OSError):
        for number in os.listdir(folder):
            with contextlib.suppress(OSError):
                yield from (folder / number).read_text("ascii", "replace").splitlines()
