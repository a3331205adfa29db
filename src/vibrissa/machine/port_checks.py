"""Serial ports judged: can the arm be reached, under a name that stays, by this user alone?"""

from __future__ import annotations

from collections.abc import Sequence

from vibrissa.machine.facts import System, Trouble
from vibrissa.machine.lines import Line, broken, ok, warning
from vibrissa.machine.ports import Holder, Port
from vibrissa.machine.usb import UsbDevice, owner_of

RULE = "/etc/udev/rules.d/99-vibrissa.rules"
MOST = 3  # holders named in a line
STABLE_DO = "a number changes when something is plugged in"


def check_ports(
    ports: tuple[Port, ...],
    usb: tuple[UsbDevice, ...],
    system: System,
    meddlers: tuple[str, ...] = (),
) -> list[Line]:
    """A line for each port, and for adapters that have none.

    usb: the tree, empty where it is not known. meddlers: programs that open ports on their own.
    """
    lines = [_port_line(port, owner_of(usb, port.node)) for port in ports]
    lines += _adapters_without_port(usb)
    lines += _same_names(ports)
    if not ports and not lines:
        lines.append(warning("ports", "no serial port: no arm is plugged in", absent_do(system)))
    return [*lines, *_meddlers(ports, usb, meddlers)]


def check_arm_port(arm: str, given: str, port: Port | Trouble, makers: Sequence[int]) -> list[Line]:
    """The port that a rig gives its `arm`. makers: the processes behind a pseudo-terminal."""
    about = f"{arm} port"
    if isinstance(port, Trouble):
        do = "plug the arm in, or name another port: vibrissa doctor --hardware lists them"
        return [broken(about, f"{given}: {port.why}", do)]
    if not port.may_open:
        return [broken(about, f"{given}: this user may not open it", _permission_do(port))]
    others = [holder for holder in port.holders if holder.pid not in makers]
    if others:
        return [broken(about, f"{given} is open in {_who(others)}", _stop_do(others))]
    if makers:
        return [ok(about, f"{given}, a pseudo-terminal: an emulated arm")]
    if given == port.path and port.stable != given:
        do = f"{STABLE_DO}: write {port.stable} into the rig"
        return [warning(about, f"{given} works today", do)]
    return [ok(about, given)]


def absent_do(system: System) -> str:
    """Where to look when nothing is there, on each system."""
    if system.name == "Linux" and "microsoft" in system.release.lower():
        return (
            "in Windows, as administrator: usbipd list, usbipd bind --busid N, then usbipd attach "
            "--wsl --busid N; again after each replug (or --auto-attach)"
        )
    if system.name == "Darwin":
        return "plug it in; it appears as /dev/cu.usbmodem…, and macOS asks to allow the accessory"
    if system.name == "Windows":
        return "plug it in; if Device Manager shows no COM port, install the CH343 driver of WCH"
    return "plug in USB and power; dmesg tells whether the computer saw it; a cable may only charge"


def _port_line(port: Port, device: UsbDevice | None) -> Line:
    product = device.told if device else port.product
    told = " ".join(word for word in (port.path, f"({product})" if product else "") if word)
    if port.stable != port.path:
        told += f" = {port.stable}"
    if not port.may_open:
        return warning("ports", f"{told}: this user may not open it", _permission_do(port))
    if port.holders:
        return warning("ports", f"{told} is open in {_who(port.holders)}", _stop_do(port.holders))
    return ok("ports", told)


def _adapters_without_port(usb: tuple[UsbDevice, ...]) -> list[Line]:
    """A chip that is seen, but of which the kernel made no port."""
    lines = []
    for device in usb:
        if not device.is_serial or any(node.startswith("tty") for node in device.nodes):
            continue
        about = "ports"
        if any(interface.driver == "usbfs" for interface in device.interfaces):
            told = f"{device.told} ({device.name}) was taken by a program, as brltty does"
            do = "sudo apt-get remove brltty, unless a Braille display is used; then plug in again"
        else:
            told = f"{device.told} ({device.name}) has no port: the kernel has no driver for it"
            do = "sudo modprobe cdc_acm ch341 cp210x ftdi_sio; in WSL, wsl --update"
        lines.append(broken(about, told, do))
    return lines


def _same_names(ports: tuple[Port, ...]) -> list[Line]:
    """Adapters without a serial number share one by-id name: udev keeps the last one plugged in."""
    shadowed = [port for port in ports if not port.by_id and port.by_path]
    if not shadowed or len(ports) < 2:
        return []
    told = f"{', '.join(p.path for p in shadowed)}: no name of its own by id (no serial number)"
    do = f"use {', '.join(p.by_path for p in shadowed)}: it names the socket, so keep to it"
    return [warning("ports", told, do)]


def _meddlers(
    ports: tuple[Port, ...], usb: tuple[UsbDevice, ...], names: tuple[str, ...]
) -> list[Line]:
    lines = []
    if "ModemManager" in names and any(port.node.startswith("ttyACM") for port in ports):
        chips = {(d.vendor, d.chip) for d in usb if d.is_serial} or {("1a86", "55d3")}
        rules = "; ".join(
            f'ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{chip}", '
            'ENV{ID_MM_DEVICE_IGNORE}="1"'
            for vendor, chip in sorted(chips)
        )
        told = "ModemManager runs: it talks to a new port for some seconds, as if to a modem"
        lines.append(warning("ports", told, f"in {RULE}: {rules}"))
    if "brltty" in names and not any(
        line.state == "broken" for line in _adapters_without_port(usb)
    ):
        told = "brltty runs: it takes adapters with CH340 and CP210x chips for Braille displays"
        lines.append(warning("ports", told, "sudo apt-get remove brltty, unless it is used"))
    return lines


def _permission_do(port: Port) -> str:
    group = port.group or "dialout"
    if group == "root":
        return f'its group is root; in {RULE}: KERNEL=="tty[AU]*", GROUP="dialout", MODE="0660"'
    return f"sudo usermod -aG {group} $USER, then log out and in again (groups must name {group})"


def _who(holders: Sequence[Holder]) -> str:
    """The first few of them; a port has one, but who knows what a rig calls a port."""
    first = [f"{holder.name or 'a program'} (process {holder.pid})" for holder in holders[:MOST]]
    more = len(holders) - MOST
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def _stop_do(holders: Sequence[Holder]) -> str:
    pids = " ".join(str(holder.pid) for holder in holders[:MOST])
    return f"two programs on one bus disturb each other: stop it, or kill {pids}"
