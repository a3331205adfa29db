"""Video nodes: which of a camera's several /dev/video files gives pictures, and its lasting name.

The kernel is asked itself (VIDIOC_QUERYCAP and VIDIOC_ENUM_FMT, linux/videodev2.h), which starts no
stream. Where it cannot be (a recorded tree), the first node of a camera is taken for the one.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vibrissa.machine.ports import Holder, holders, link_to

QUERYCAP, ENUM_FMT = 0x80685600, 0xC0405602
CAPABILITY = struct.Struct("16s32s32sIII12x")  # driver, card, bus, version, all, this node's
FORMAT = struct.Struct("III32s4s16x")  # index, type, flags, description, pixel format
VIDEO_CAPTURE, DEVICE_CAPS = 0x00000001, 0x80000000
MOST_FORMATS = 64
DEPTH = "Z16"
CLASS = "class/video4linux"


@dataclass(frozen=True)
class Capability:
    """What a node says of itself. capture: whether it gives pictures (not metadata)."""

    card: str
    capture: bool
    formats: tuple[str, ...] = ()


@dataclass(frozen=True)
class VideoNode:
    """One /dev/videoN. capability: None where the node could not be asked."""

    path: str
    card: str = ""
    index: int = 0
    by_id: str = ""
    by_path: str = ""
    capability: Capability | None = None
    may_open: bool = True
    holders: tuple[Holder, ...] = ()

    @property
    def node(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def captures(self) -> bool:
        return self.capability.capture if self.capability else self.index == 0

    @property
    def depth(self) -> bool:
        return self.capability is not None and DEPTH in self.capability.formats

    @property
    def stable(self) -> str:
        return self.by_id or self.by_path or self.path


def video_nodes(root: Path = Path("/")) -> tuple[VideoNode, ...]:
    """Every video node below `root`/dev, in the order of their numbers."""
    paths = [p for p in root.joinpath("dev").glob("video*") if p.name[5:].isdigit()]
    paths.sort(key=lambda path: int(path.name[5:]))
    names = _names(root)
    held = holders(root, tuple(f"/dev/{path.name}" for path in paths))
    return tuple(
        VideoNode(
            path=f"/dev/{path.name}",
            card=names.get(path.name, ("", 0))[0],
            index=names.get(path.name, ("", 0))[1],
            by_id=link_to(root, "dev/v4l/by-id", path.name),
            by_path=link_to(root, "dev/v4l/by-path", path.name),
            capability=capability(path),
            may_open=os.access(path, os.R_OK | os.W_OK),
            holders=held.get(f"/dev/{path.name}", ()),
        )
        for path in paths
    )


def named(device: str, nodes: Sequence[VideoNode]) -> VideoNode | None:
    """The node of that name, lasting or not, or of that number; None where there is none."""
    names = {device, f"/dev/video{device}" if device.isdigit() else device}
    return next((n for n in nodes if names & {n.path, n.by_id, n.by_path}), None)


def capability(path: Path) -> Capability | None:
    """What the node tells; None where it may not be opened or is no video device."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        node = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        told = bytearray(CAPABILITY.size)
        fcntl.ioctl(node, QUERYCAP, told)
        formats = tuple(_formats(node))
    except OSError:
        return None
    finally:
        os.close(node)
    return parse_capability(bytes(told), formats)


def parse_capability(told: bytes, formats: tuple[str, ...] = ()) -> Capability:
    """struct v4l2_capability, 104 bytes. `device_caps` speaks of this node, where it is given."""
    _, card, _, _, everything, own = CAPABILITY.unpack(told)
    flags = own if everything & DEVICE_CAPS else everything
    return Capability(_words(card), bool(flags & VIDEO_CAPTURE), formats)


def _formats(node: int) -> Iterator[str]:
    """The pixel formats (YUYV, MJPG, Z16, …) until the kernel has no more."""
    import fcntl

    for index in range(MOST_FORMATS):
        asked = bytearray(FORMAT.pack(index, VIDEO_CAPTURE, 0, b"", b""))
        try:
            fcntl.ioctl(node, ENUM_FMT, asked)
        except OSError:
            return
        yield _words(FORMAT.unpack(asked)[4])


def _names(root: Path) -> dict[str, tuple[str, int]]:
    """node → the camera's name and the node's number within it, as sysfs has them."""
    found = {}
    folders = [
        *root.joinpath("sys", CLASS).glob("video*"),
        *root.joinpath("sys/bus/usb/devices").glob("*/video4linux/video*"),
    ]
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):
            name = (folder / "name").read_text("utf-8", "replace").strip()
            found[folder.name] = (name, int((folder / "index").read_text("ascii")))
    return found


def _words(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("ascii", "replace").strip()
