"""What hangs on which USB port, at what speed: Linux's own account of it under /sys.

Names, speeds and powers are as the kernel writes them (Documentation/ABI/testing/sysfs-bus-usb).
The folder is an argument, so a tree that was recorded elsewhere is read like this machine's own.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from vibrissa.machine.facts import Trouble

DEVICES = "bus/usb/devices"
SELF_POWERED = 0x40  # bmAttributes, USB 2.0 table 9-10
HUB, VIDEO = "09", "0e"
REALSENSE_VENDOR = "8086"
# Chips that stand between USB and a servo bus: CH340, CH341, CH343, CH9102; CP210x; FTDI.
SERIAL_CHIPS = {
    "1a86": ("7523", "7522", "5523", "55d3", "55d4"),
    "10c4": ("ea60",),
    "0403": ("6001", "6014", "6015"),
}


@dataclass(frozen=True)
class Interface:
    """One function of a device. kind: its class in two hex digits. nodes: ttyACM0, video2, …"""

    kind: str
    driver: str
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class UsbDevice:
    """One device or hub. name: sysfs's (`usb1` a root hub, `1-2.3` port 3 of the hub in port 2)."""

    name: str
    vendor: str
    chip: str
    product: str
    serial: str
    mbps: float
    bus: int
    ports: int = 0
    power_ma: int = 0
    self_powered: bool = False
    kind: str = ""
    interfaces: tuple[Interface, ...] = ()

    @property
    def parent(self) -> str:
        """The hub that it is plugged into; "" for a root hub."""
        if self.is_root:
            return ""
        return self.name.rsplit(".", 1)[0] if "." in self.name else f"usb{self.bus}"

    @property
    def is_root(self) -> bool:
        return self.name.startswith("usb")

    @property
    def is_hub(self) -> bool:
        return self.kind == HUB or self.ports > 0

    @property
    def is_realsense(self) -> bool:
        return "realsense" in self.product.lower()

    @property
    def is_camera(self) -> bool:
        return self.is_realsense or any(i.kind == VIDEO for i in self.interfaces)

    @property
    def is_serial(self) -> bool:
        """A serial adapter, by what the kernel made of it or by its chip."""
        known = self.chip in SERIAL_CHIPS.get(self.vendor, ())
        return known or any(node.startswith("tty") for node in self.nodes)

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(node for interface in self.interfaces for node in interface.nodes)

    @property
    def told(self) -> str:
        return self.product or f"{self.vendor}:{self.chip}"


def read_usb(sys: Path) -> tuple[UsbDevice, ...] | Trouble:
    """Every USB device and hub below `sys`: /sys, or a recorded one."""
    folder = sys / DEVICES
    if not folder.is_dir():
        return Trouble(f"{folder} does not exist: this system has no USB, or does not show it")
    entries = sorted(folder.iterdir(), key=lambda path: path.name)
    devices = [_device(path, entries) for path in entries if ":" not in path.name]
    return tuple(device for device in devices if device is not None)


def on_bus(devices: tuple[UsbDevice, ...], hub: str) -> list[UsbDevice]:
    """The devices behind `hub`, at any depth."""
    near = [device for device in devices if device.parent == hub]
    return [one for device in near for one in (device, *on_bus(devices, device.name))]


def owner_of(devices: tuple[UsbDevice, ...], node: str) -> UsbDevice | None:
    """The device of a node such as ttyACM0 or video2."""
    return next((device for device in devices if node in device.nodes), None)


def _device(path: Path, entries: list[Path]) -> UsbDevice | None:
    """None for what was unplugged while it was looked at."""
    vendor = _text(path / "idVendor")
    if not vendor:
        return None
    own = [entry for entry in entries if entry.name.startswith(f"{path.name}:")]
    return UsbDevice(
        name=path.name,
        vendor=vendor,
        chip=_text(path / "idProduct"),
        product=_text(path / "product"),
        serial=_text(path / "serial"),
        mbps=_number(_text(path / "speed")),
        bus=int(_number(_text(path / "busnum"))),
        ports=int(_number(_text(path / "maxchild"))),
        power_ma=int(_number(_text(path / "bMaxPower").removesuffix("mA"))),
        self_powered=bool(int(_text(path / "bmAttributes") or "0", 16) & SELF_POWERED),
        kind=_text(path / "bDeviceClass"),
        interfaces=tuple(_interface(entry) for entry in own),
    )


def _interface(path: Path) -> Interface:
    """Its nodes lie below it: `tty/ttyACM0`, `ttyUSB0`, `video4linux/video0`."""
    nodes = [
        child.name
        for folder in ("tty", "video4linux", ".")
        if (path / folder).is_dir()
        for child in sorted((path / folder).iterdir(), key=lambda child: child.name)
        if folder != "." or child.name.startswith("ttyUSB")
    ]
    driver = path / "driver"
    name = driver.readlink().name if driver.is_symlink() else ""
    return Interface(_text(path / "bInterfaceClass"), name, tuple(dict.fromkeys(nodes)))


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _number(text: str) -> float:
    with contextlib.suppress(ValueError):
        return float(text)
    return 0.0
