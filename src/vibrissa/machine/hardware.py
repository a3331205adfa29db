"""What hangs on this computer: looked at once, then judged as facts, like the rest of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vibrissa.machine.calibrations import (
    judge_calibration,
    judge_calibrations,
    parse_calibration,
)
from vibrissa.machine.camera_checks import (
    Pace,
    WantedCamera,
    check_pace,
    check_video,
    check_wanted,
)
from vibrissa.machine.facts import System, Trouble
from vibrissa.machine.lines import Line, broken, warning
from vibrissa.machine.port_checks import check_arm_port, check_ports
from vibrissa.machine.ports import (
    Port,
    group_of,
    holders,
    linux_ports,
    makers_of,
    meddlers,
    named_ports,
)
from vibrissa.machine.servos import Servos, check_servos
from vibrissa.machine.usb import UsbDevice, owner_of, read_usb
from vibrissa.machine.usb_checks import check_usb
from vibrissa.machine.video import VideoNode, named, video_nodes

SETUP_DO = "vibrissa setup calibrates an arm and keeps the file"


@dataclass(frozen=True)
class WantedArm:
    """An arm of a rig, as a command found it. port: as it was looked up. makers: who serves it,
    where it is a pseudo-terminal. servos: what they said, None where they were not asked.
    file: the name of its calibration; text: what stands there, None where it is missing."""

    name: str
    given: str
    port: Port | Trouble
    makers: tuple[int, ...] = ()
    servos: Servos | Trouble | None = None
    file: str = ""
    text: str | None = None

    @property
    def usable(self) -> bool:
        """Whether its servos may be asked: the port is there, and nobody else talks on it."""
        checked = check_arm_port(self.name, self.given, self.port, self.makers)
        return all(line.state != "broken" for line in checked)


@dataclass(frozen=True)
class Hardware:
    """All that `examine_hardware` looks at.

    rig: whether one was named; then only what it uses can be missing. calibrations: name → text of
    the files found. paces: what each camera of the rig gave when it was read for a moment.
    """

    system: System
    usb: tuple[UsbDevice, ...] | Trouble
    ports: tuple[Port, ...] = ()
    meddlers: tuple[str, ...] = ()
    video: tuple[VideoNode, ...] = ()
    calibrations: Mapping[str, str] = field(default_factory=dict)
    rig: bool = False
    arms: tuple[WantedArm, ...] = ()
    cameras: tuple[WantedCamera, ...] = ()
    paces: Mapping[str, Pace | Trouble] = field(default_factory=dict)


def look(system: System, root: Path = Path("/")) -> Hardware:
    """What is plugged in. root: another one for a recorded tree."""
    linux = system.name == "Linux"
    return Hardware(
        system=system,
        usb=read_usb(root / "sys") if linux else Trouble(f"not looked at on {system.name}"),
        ports=linux_ports(root) if linux else named_ports(),
        meddlers=meddlers(root) if linux else (),
        video=video_nodes(root) if linux else (),
    )


def look_arm(name: str, given: str, system: System) -> WantedArm:
    """The port behind a name: a device, a link to one, or Windows' COM7."""
    if system.name == "Windows":
        known = {port.path: port for port in named_ports()}
        names = ", ".join(known) or "none"
        return WantedArm(
            name, given, known.get(given) or Trouble(f"no such port; there is: {names}")
        )
    try:
        real = Path(given).resolve(strict=True)
        mode = real.stat().st_mode
    except (OSError, RuntimeError, ValueError):
        return WantedArm(name, given, Trouble("does not exist"))
    if not stat.S_ISCHR(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "file"
        return WantedArm(name, given, Trouble(f"is a {kind}, not a serial port"))
    if not _may_be_terminal(real):
        return WantedArm(name, given, Trouble("is a device, but not a serial port"))
    root, path = Path("/"), str(real)
    port = next((port for port in linux_ports(root) if port.path == path), None) or Port(
        path=path,
        group=group_of(real),
        may_open=os.access(real, os.R_OK | os.W_OK),
        holders=holders(root, (path,)).get(path, ()),
    )
    makers = makers_of(root, path) if path.startswith("/dev/pts/") else ()
    return WantedArm(name, given, port, makers)


def _may_be_terminal(path: Path) -> bool:
    """False only for what was opened and is none: a port of somebody else may be one."""
    try:
        opened = os.open(path, os.O_RDWR | os.O_NONBLOCK | getattr(os, "O_NOCTTY", 0))
    except OSError:
        return True
    try:
        return os.isatty(opened)
    finally:
        os.close(opened)


def examine_hardware(facts: Hardware) -> list[Line]:
    """Every check's lines, in the order in which one would read them."""
    usb = () if isinstance(facts.usb, Trouble) else facts.usb
    lines = _plugged(facts, usb)
    for arm in facts.arms:
        lines += _arm(arm)
    for camera in facts.cameras:
        lines += _camera(camera, facts, usb)
    lines += _twice("port", {arm.name: _real(arm) for arm in facts.arms})
    lines += _twice("device", {camera.name: camera.device for camera in facts.cameras})
    usb_lines = check_usb(usb, _owners(facts, usb), _compressing(facts, usb))
    return [*lines, *usb_lines, *_calibrations(facts)]


def examine_tree(facts: Hardware) -> list[Line]:
    """The lines about a recorded tree, which knows nothing of arms, rigs and this computer."""
    usb = () if isinstance(facts.usb, Trouble) else facts.usb
    return [*_plugged(facts, usb), *check_usb(usb)]


def readable(facts: Hardware) -> list[VideoNode]:
    """The nodes that may be read for a moment: with pictures and a lasting name, and in no use.

    A RealSense is left alone: its nodes are for its own library.
    """
    usb = () if isinstance(facts.usb, Trouble) else facts.usb
    owners = {node.node: owner_of(usb, node.node) for node in facts.video}
    return [
        node
        for node in facts.video
        if node.captures and node.may_open and not node.holders and node.stable != node.path
        if (owner := owners[node.node]) is None or not owner.is_realsense
    ]


def calibration_files(place: Path) -> dict[str, str]:
    """One file, or every JSON file below a folder: name (below the folder) → text."""
    files = sorted(place.rglob("*.json")) if place.is_dir() else [place]
    base = place if place.is_dir() else place.parent
    return {
        file.relative_to(base).as_posix(): file.read_text(encoding="utf-8", errors="replace")
        for file in files
        if file.is_file()
    }


def _plugged(facts: Hardware, usb: tuple[UsbDevice, ...]) -> list[Line]:
    """What is there. With a rig, that nothing is plugged in is no news: what it wants is below."""
    lines = check_ports(facts.ports, usb, facts.system, facts.meddlers)
    if facts.rig and not facts.ports:
        lines = [line for line in lines if line.state == "broken"]
    return lines if facts.rig and not facts.video else [*lines, *check_video(facts.video, usb)]


def _arm(arm: WantedArm) -> list[Line]:
    """Its port, its servos and its calibration."""
    lines = check_arm_port(arm.name, arm.given, arm.port, arm.makers)
    about = f"{arm.name} calibration"
    found = None
    if arm.text is None:
        told = "is a folder, not a file" if os.path.isdir(arm.file) else "does not exist"
        lines.append(broken(about, f"{arm.file} {told}", SETUP_DO))
    else:
        lines += [Line(about, *_but_about(line)) for line in judge_calibration(arm.text, arm.file)]
        found = parse_calibration(arm.text)
    if isinstance(arm.servos, Trouble):
        do = "see port, cable and supply; then vibrissa doctor --hardware again"
        lines.append(broken(arm.name, arm.servos.why, do))
    elif arm.servos is not None:
        file = None if isinstance(found, Trouble) else found
        lines += check_servos(arm.name, arm.servos, file)
    return lines


def _camera(camera: WantedCamera, facts: Hardware, usb: tuple[UsbDevice, ...]) -> list[Line]:
    lines = check_wanted(camera, facts.video, usb)
    if camera.name in facts.paces and not any(line.state == "broken" for line in lines):
        lines += check_pace(camera, facts.paces[camera.name])
    return lines


def _twice(what: str, given: Mapping[str, str]) -> list[Line]:
    """Two that were given the same thing, under whatever names."""
    seen: dict[str, str] = {}
    lines = []
    for name, one in given.items():
        if one in seen:
            told = f"{seen[one]} and {name} have the same {what}, {one}"
            lines.append(broken("rig", told, f"give each its own {what}: vibrissa setup"))
        seen.setdefault(one, name)
    return lines


def _real(arm: WantedArm) -> str:
    return arm.port.path if isinstance(arm.port, Port) else arm.given


def _but_about(line: Line) -> tuple:
    return line.state, f"{line.about}: {line.told}", line.do


def _owners(facts: Hardware, usb: tuple[UsbDevice, ...]) -> dict[str, WantedCamera]:
    """USB device → what the rig asks of it."""
    found = {}
    for camera in facts.cameras:
        node = named(camera.device, facts.video) if camera.kind == "opencv" else None
        owner = owner_of(usb, node.node) if node else None
        if camera.kind == "realsense":
            owner = next((device for device in usb if device.is_realsense), None)
        if owner is not None:
            found[owner.name] = camera
    return found


def _compressing(facts: Hardware, usb: tuple[UsbDevice, ...]) -> frozenset[str]:
    """The USB devices that say they can send MJPG."""
    found = [
        owner_of(usb, node.node)
        for node in facts.video
        if node.capability is not None and "MJPG" in node.capability.formats
    ]
    return frozenset(owner.name for owner in found if owner is not None)


def _calibrations(facts: Hardware) -> list[Line]:
    if facts.calibrations or facts.rig:
        return judge_calibrations(facts.calibrations)
    return [warning("calibration", "no calibration file is known here", SETUP_DO)]
