"""The USB tree judged: who is too slow, who shares a bus, who draws more than a hub can give.

Speeds in Mbit/s as the kernel has them. Of a 480 Mbit/s bus cameras may have four fifths together
(USB 2.0, 5.6.4), and what they do not use of their reservation is lost to the others: two
uncompressed 640 × 480 cameras at 30 frames a second are where it begins to fail, as a rule with
"No space left on device". A socket gives 500 mA, one of USB 3 900 mA.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vibrissa.machine.camera_checks import WantedCamera
from vibrissa.machine.lines import Line, ok, warning
from vibrissa.machine.usb import UsbDevice, on_bus

FULL_SPEED, HIGH_SPEED, SUPER_SPEED = 12, 480, 5000
BYTES_A_PIXEL = 2.0  # YUYV, and depth
MJPG_BYTES_A_PIXEL = 0.35  # what a webcam sends when it is asked for MJPG, as `real/` does
SHARE = {HIGH_SPEED: 0.4, SUPER_SPEED: 0.6}  # of the bus, before cameras disturb each other
USB2_MA, USB3_MA = 500, 900
USUAL = WantedCamera("", "opencv", "")
USB3_DO = (
    "put it into a USB 3 socket (blue, or SS) by its own cable, without a hub; the plug pushed in "
    "slowly makes USB 2 of it; lsusb -t must then say 5000M"
)


def check_usb(
    devices: tuple[UsbDevice, ...],
    wanted: Mapping[str, WantedCamera] | None = None,
    compressing: Collection[str] = (),
) -> list[Line]:
    """Lines on the whole tree.

    wanted: name of the device → the camera that a rig makes of it. compressing: the devices that
    can send MJPG; of the others pictures come as they are.
    """
    load = _Load(wanted or {}, compressing)
    lines = [*_slow(devices), *_shared(devices, load), *_hubs(devices, load)]
    if lines or not devices:
        return lines
    plugged = [device for device in devices if not device.is_hub]
    return [ok("USB", f"{len(plugged)} devices, none in another's way")] if plugged else []


def mbps(camera: WantedCamera, *, compressed: bool = False) -> float:
    """What its pictures take, in Mbit/s; depth is a stream of its own."""
    bytes_a_pixel = MJPG_BYTES_A_PIXEL if compressed else BYTES_A_PIXEL
    bytes_a_pixel += BYTES_A_PIXEL if camera.depth else 0.0
    return camera.width * camera.height * camera.fps * bytes_a_pixel * 8 / 1e6


@dataclass(frozen=True)
class _Load:
    """What the cameras are asked for, by the names of their devices."""

    wanted: Mapping[str, WantedCamera]
    compressing: Collection[str]

    def of(self, cameras: Sequence[UsbDevice]) -> float:
        """Mbit/s of all of them."""
        return sum(
            mbps(self.wanted.get(d.name, USUAL), compressed=d.name in self.compressing)
            for d in cameras
        )

    def told(self, cameras: Sequence[UsbDevice]) -> str:
        """In which form, and at which size."""
        packed = [camera for camera in cameras if camera.name in self.compressing]
        form = "MJPG" if len(packed) == len(cameras) else "in part MJPG" if packed else ""
        size = "as the rig has them" if self.wanted else "at 640 × 480 × 30"
        return f"{form or 'uncompressed'}, {size}"


def _slow(devices: tuple[UsbDevice, ...]) -> list[Line]:
    """A depth camera on USB 2; any camera below that. A servo adapter is content with 12."""
    lines = []
    for device in devices:
        if not device.is_camera or device.is_hub or not device.mbps:
            continue
        told = f"{device.told} ({device.name}) runs at {device.mbps:g} Mbit/s"
        if device.is_realsense and device.mbps < SUPER_SPEED:
            told += ", 5000 are meant: depth and colour together stall, or come small and slow"
            lines.append(warning("USB", told, USB3_DO))
        elif device.mbps < HIGH_SPEED:
            do = "another cable and socket, no old hub: a camera needs 480"
            lines.append(warning("USB", told, do))
    return lines


def _shared(devices: tuple[UsbDevice, ...], load: _Load) -> list[Line]:
    """Cameras that share one bus, and what they would send together."""
    lines = []
    for root in (device for device in devices if device.is_root):
        cameras = [d for d in on_bus(devices, root.name) if d.is_camera and not d.is_hub]
        share = SHARE[SUPER_SPEED if root.mbps >= SUPER_SPEED else HIGH_SPEED]
        need = load.of(cameras)
        if len(cameras) < 2 or not root.mbps or need <= share * root.mbps:
            continue
        told = (
            f"{_names(cameras)} share bus {root.bus} ({root.mbps:g} Mbit/s): {need:.0f} Mbit/s "
            f"{load.told(cameras)}"
        )
        do = (
            "give one a bus of its own (lsusb -t: another Bus number; a second socket is often "
            f"the same bus), or smaller pictures, or fewer: {share:.0%} of a bus is safe"
        )
        lines.append(warning("USB", told, do))
    return lines


def _hubs(devices: tuple[UsbDevice, ...], load: _Load) -> list[Line]:
    """What hangs behind one plug: power, and cameras beside servos."""
    lines = []
    for hub in (device for device in devices if device.is_hub and not device.is_root):
        behind = [device for device in on_bus(devices, hub.name) if not device.is_hub]
        line = _power(hub, behind) or _crowd(hub, behind, load)
        if line is not None:
            lines.append(line)
    return lines


def _power(hub: UsbDevice, behind: Sequence[UsbDevice]) -> Line | None:
    """More than a socket gives. What a device asks for is its worst case, but cameras mean it."""
    most = USB3_MA if hub.mbps >= SUPER_SPEED else USB2_MA
    need = sum(device.power_ma for device in behind) + (0 if hub.self_powered else hub.power_ma)
    if need <= most or not any(device.is_camera for device in behind):
        return None
    told = f"{_names(behind)} ask for {need} mA behind one hub ({_hub(hub)})"
    if hub.self_powered:
        return warning(
            "USB", told, f"plug the hub's own supply in: the socket gives only {most} mA"
        )
    do = f"a hub with a supply of its own, or other sockets: this one passes on {most} mA in all"
    return warning("USB", told, do)


def _crowd(hub: UsbDevice, behind: Sequence[UsbDevice], load: _Load) -> Line | None:
    """Cameras and servos behind one hub: whatever resets it takes them all away in mid-motion."""
    cameras = [device for device in behind if device.is_camera]
    servos = [device for device in behind if device.is_serial]
    if not servos or len(cameras) < 2:
        return None
    need = load.of(cameras)
    power = sum(device.power_ma for device in behind)
    told = (
        f"{_names([*cameras, *servos])} hang on one hub ({_hub(hub)}): {need:.0f} of "
        f"{hub.mbps:g} Mbit/s, {power} mA"
    )
    do = "put the arm into a socket of the computer: a hub that resets takes cameras and arm away"
    return warning("USB", told, do)


def _hub(hub: UsbDevice) -> str:
    supply = "own supply" if hub.self_powered else "no supply of its own"
    return f"{hub.told}, {hub.name}, {supply}"


def _names(devices: Sequence[UsbDevice]) -> str:
    names = [device.told for device in devices]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
