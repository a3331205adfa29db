"""What hangs on this computer: looked at once, then judged as facts, like the rest of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vibrissa.machine.calibrations import judge_calibrations
from vibrissa.machine.facts import System, Trouble
from vibrissa.machine.lines import Line, warning
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
from vibrissa.machine.usb import UsbDevice, read_usb


@dataclass(frozen=True)
class ArmPort:
    """A port that a rig names. makers: who serves it, where it is a pseudo-terminal."""

    arm: str
    given: str
    port: Port | Trouble
    makers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Hardware:
    """All that `examine_hardware` looks at. calibrations: name → text of the file."""

    system: System
    usb: tuple[UsbDevice, ...] | Trouble
    ports: tuple[Port, ...] = ()
    meddlers: tuple[str, ...] = ()
    arm_ports: tuple[ArmPort, ...] = ()
    calibrations: Mapping[str, str] = field(default_factory=dict)


def look(
    system: System,
    arms: Mapping[str, str],
    calibrations: Mapping[str, str],
    root: Path = Path("/"),
) -> Hardware:
    """The facts. arms: name → port, as the rig has them. root: another one for a recorded tree."""
    linux = system.name == "Linux"
    return Hardware(
        system=system,
        usb=read_usb(root / "sys") if linux else Trouble(f"not looked at on {system.name}"),
        ports=linux_ports(root) if linux else named_ports(),
        meddlers=meddlers(root) if linux else (),
        arm_ports=tuple(look_port(arm, given, system) for arm, given in arms.items()),
        calibrations=calibrations,
    )


def look_port(arm: str, given: str, system: System) -> ArmPort:
    """The port behind a name: a device, a link to one, or Windows' COM7."""
    if system.name == "Windows":
        known = {port.path: port for port in named_ports()}
        names = ", ".join(known) or "none"
        return ArmPort(arm, given, known.get(given) or Trouble(f"no such port; there is: {names}"))
    path = Path(given)
    try:
        real = path.resolve(strict=True)
        mode = real.stat().st_mode
    except (OSError, RuntimeError):
        return ArmPort(arm, given, Trouble("does not exist"))
    if not stat.S_ISCHR(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "file"
        return ArmPort(arm, given, Trouble(f"is a {kind}, not a serial port"))
    root = Path("/")
    pty = real.as_posix().startswith("/dev/pts/")
    port = next((port for port in linux_ports() if port.path == str(real)), None) or Port(
        path=str(real),
        group=group_of(real),
        may_open=os.access(real, os.R_OK | os.W_OK),
        holders=holders(root, (str(real),)).get(str(real), ()),
    )
    return ArmPort(arm, given, port, makers_of(root, str(real)) if pty else ())


def examine_hardware(facts: Hardware) -> list[Line]:
    """Every check's lines, in the order in which one would read them."""
    usb = () if isinstance(facts.usb, Trouble) else facts.usb
    lines = check_ports(facts.ports, usb, facts.system, facts.meddlers)
    for one in facts.arm_ports:
        lines += check_arm_port(one.arm, one.given, one.port, one.makers)
    return [*lines, *_calibrations(facts)]


def _calibrations(facts: Hardware) -> list[Line]:
    if not facts.calibrations:
        do = "vibrissa setup calibrates an arm and keeps the file"
        return [warning("calibration", "no calibration file is known here", do)]
    return judge_calibrations(facts.calibrations)


def calibration_files(place: Path) -> dict[str, str]:
    """One file, or every JSON file below a folder: name (below the folder) → text."""
    files = sorted(place.rglob("*.json")) if place.is_dir() else [place]
    base = place if place.is_dir() else place.parent
    return {
        file.relative_to(base).as_posix(): file.read_text(encoding="utf-8", errors="replace")
        for file in files
        if file.is_file()
    }
