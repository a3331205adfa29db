"""Cameras judged: a name that lasts, the node that gives pictures, the rate that is reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vibrissa.machine.facts import Trouble
from vibrissa.machine.lines import Line, broken, ok, warning
from vibrissa.machine.usb import UsbDevice, owner_of
from vibrissa.machine.video import VideoNode, named

FEWEST = 0.9  # of the frames asked for
SILENT_DO = {
    "opencv": "see that nothing else has it open; pull its plug and put it in again",
    "zmq": "start what publishes there (vibrissa twin), or put the address right",
    "realsense": "see its driver, its cable and that nothing else has it open",
}


@dataclass(frozen=True)
class WantedCamera:
    """A camera of a rig: what `real/rig.py` has of it."""

    name: str
    kind: str
    device: str
    width: int = 640
    height: int = 480
    fps: int = 30
    depth: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Pace:
    """What a camera gave when it was read for a moment.

    told: its health, "" for a good one. gaps: frames that it counted and that never came.
    """

    fps: float
    width: int
    height: int
    told: str = ""
    gaps: int = 0


def check_video(nodes: tuple[VideoNode, ...], usb: tuple[UsbDevice, ...]) -> list[Line]:
    """A line for each camera that this computer has, under the name to write into a rig."""
    if not nodes:
        return _unseen(nodes, usb) or [ok("cameras", "none is plugged in")]
    lines = []
    for together in _cameras(nodes, usb):
        lines += _camera(together)
    return [*lines, *_unseen(nodes, usb)]


def check_wanted(
    camera: WantedCamera, nodes: tuple[VideoNode, ...], usb: tuple[UsbDevice, ...]
) -> list[Line]:
    """Is the camera that a rig names there, and is the name one that lasts?"""
    if camera.kind == "opencv":
        return _opencv(camera, nodes)
    if camera.kind == "realsense" and usb and not any(device.is_realsense for device in usb):
        told = f"no RealSense is plugged in (wanted: {camera.device})"
        return [_absent(camera, told, "plug it in, by its own cable, into a USB 3 socket")]
    return []


def check_pace(camera: WantedCamera, pace: Pace | Trouble) -> list[Line]:
    """What it really gave, beside what the rig asks for."""
    about = f"camera {camera.name}"
    if isinstance(pace, Trouble):
        return [_absent(camera, pace.why, SILENT_DO[camera.kind])]
    asked = f"{camera.width} × {camera.height} at {camera.fps}"
    told = f"{pace.width} × {pace.height} at {pace.fps:.1f} frames/s, asked {asked}"
    told += f", {pace.gaps} lost on the way" if pace.gaps else ""
    if (pace.width, pace.height) != (camera.width, camera.height):
        do = "write a size into the rig that the camera has: v4l2-ctl --list-formats-ext"
        return [broken(about, told, do)]
    if pace.told:
        do = "see lens cap, light, exposure and cable; the picture is in vibrissa setup"
        return [warning(about, f"{told}; {pace.told}", do)]
    if pace.fps < FEWEST * camera.fps:
        do = "more light (a long exposure halves the rate), a smaller picture, a bus of its own"
        return [warning(about, told, do)]
    return [ok(about, told)]


def _camera(together: list[VideoNode]) -> list[Line]:
    """One camera's nodes: those to use, and those that are no pictures."""
    card = next((n.capability.card for n in together if n.capability), "") or together[0].card
    use = [node for node in together if node.captures]
    rest = [node.node for node in together if not node.captures]
    if not use:
        told = f"{card}: none of {', '.join(rest)} gives pictures"
        return [warning("cameras", told, "pull its plug and put it in again")]
    closed = [node for node in use if not node.may_open]
    if closed:
        told = f"{card}: this user may not open {', '.join(node.path for node in closed)}"
        return [warning("cameras", told, "sudo usermod -aG video $USER, then log in again")]
    other = f" ({', '.join(rest)}: its metadata, no pictures)" if rest else ""
    return [_node(card, node, other) for node in use]


def _node(card: str, node: VideoNode, other: str) -> Line:
    formats = ", ".join(node.capability.formats) if node.capability else ""
    what = f"{card or 'a camera'}: {node.stable} = {node.node}"
    told = f"{what}{f', {formats}' if formats else ''}{' (depth)' if node.depth else ''}{other}"
    if node.holders:
        who = ", ".join(f"{holder.name} (process {holder.pid})" for holder in node.holders)
        do = "one program at a time gets its pictures: stop it, if it is not meant"
        return warning("cameras", f"{told}; open in {who}", do)
    if not node.by_id and node.by_path:
        do = "two alike without a serial number: the name is the socket's, so keep to the socket"
        return warning("cameras", told, do)
    return ok("cameras", told)


def _cameras(nodes: tuple[VideoNode, ...], usb: tuple[UsbDevice, ...]) -> list[list[VideoNode]]:
    """The nodes of each camera together, by the USB device that they belong to."""
    found: dict[str, list[VideoNode]] = {}
    for node in nodes:
        owner = owner_of(usb, node.node)
        found.setdefault(owner.name if owner else node.card or node.path, []).append(node)
    return list(found.values())


def _unseen(nodes: tuple[VideoNode, ...], usb: tuple[UsbDevice, ...]) -> list[Line]:
    """Cameras on the bus of which the kernel made no video node."""
    known = {node.node for node in nodes}
    dark = [d for d in usb if d.is_camera and not d.is_hub and not known & set(d.nodes)]
    do = "sudo modprobe uvcvideo; in WSL a kernel that has it (wsl --update)"
    return [
        warning(
            "cameras", f"{device.told} ({device.name}) is plugged in, but has no video node", do
        )
        for device in dark
        if not device.is_realsense  # its own library may drive it without the kernel
    ]


def _opencv(camera: WantedCamera, nodes: tuple[VideoNode, ...]) -> list[Line]:
    about = f"camera {camera.name}"
    node = named(camera.device, nodes)
    usable = [node.stable for node in nodes if node.captures]
    there = f"there is: {', '.join(usable)}" if usable else "no camera is plugged in now"
    if node is None:
        if not Path(camera.device).exists() or nodes:
            return [_absent(camera, f"{camera.device} is not there", f"plug it in; {there}")]
        return []
    if not node.captures:
        told = f"{camera.device} ({node.node}) gives metadata, no pictures"
        return [broken(about, told, there)]
    if camera.device == node.path and node.stable != node.path:
        do = f"another camera has that number after a replug: write {node.stable} into the rig"
        return [warning(about, f"{camera.device} is {node.card or 'a camera'} today", do)]
    return []


def _absent(camera: WantedCamera, told: str, do: str) -> Line:
    make = warning if camera.optional else broken
    return make(f"camera {camera.name}", told, do)
