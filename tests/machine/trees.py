"""USB trees that nobody has: devices as the kernel tells of them, and what their names lead to."""

from __future__ import annotations

from collections.abc import Mapping

from vibrissa.machine.usb_tree import ARROW

DEVICES = "sys/bus/usb/devices"
ROOT_2 = {"idVendor": "1d6b", "idProduct": "0002", "product": "xHCI Host Controller"}
ROOT_2 |= {"speed": "480", "busnum": "1", "maxchild": "8", "bDeviceClass": "09"}
ROOT_3 = {**ROOT_2, "idProduct": "0003", "speed": "5000", "busnum": "2"}
HUB = {"idVendor": "05e3", "idProduct": "0610", "product": "USB2.1 Hub", "speed": "480"}
HUB |= {"maxchild": "4", "bDeviceClass": "09", "bMaxPower": "100mA", "bmAttributes": "e0"}
C920 = {"idVendor": "046d", "idProduct": "082d", "product": "HD Pro Webcam C920"}
C920 |= {"serial": "AB12", "speed": "480", "maxchild": "0", "bMaxPower": "500mA"}
C920 |= {"bmAttributes": "80", "bDeviceClass": "ef"}
D405 = {"idVendor": "8086", "idProduct": "0b5b", "speed": "5000", "bMaxPower": "440mA"}
D405 |= {"product": "Intel(R) RealSense(TM) Depth Camera 405", "serial": "1274", "maxchild": "0"}
CH343 = {"idVendor": "1a86", "idProduct": "55d3", "product": "USB Single Serial"}
CH343 |= {"serial": "5A46", "speed": "12", "maxchild": "0", "bMaxPower": "134mA"}


def device(
    name: str,
    says: Mapping[str, str],
    *,
    nodes: Mapping[str, str] | None = None,
    driver: str = "",
    **other: str,
) -> dict[str, str]:
    """One device. nodes: video2 → its index, or ttyACM0 → "". driver: of its one interface."""
    bus = name.removeprefix("usb").split("-")[0]
    told = {"busnum": bus, **says, **other}
    found = {f"{DEVICES}/{name}/{key}": value for key, value in told.items()}
    if name.startswith("usb"):
        return found
    interface = f"{DEVICES}/{name}:1.0"
    video = any(node.startswith("video") for node in nodes or {})
    found[f"{interface}/bInterfaceClass"] = "0e" if video else "ff"
    if driver:
        found[f"{interface}/driver"] = f"{ARROW}drivers/{driver}"
    for node, index in (nodes or {}).items():
        found[f"dev/{node}"] = ""
        if node.startswith("video"):
            found[f"{interface}/video4linux/{node}/name"] = says["product"]
            found[f"{interface}/video4linux/{node}/index"] = index
        else:
            below = f"{node}/tty/{node}" if node.startswith("ttyUSB") else f"tty/{node}"
            found[f"{interface}/{below}/dev"] = ""
    return found


def link(folder: str, name: str, node: str) -> dict[str, str]:
    return {f"dev/{folder}/{name}": f"{ARROW}../../{node}"}


def desk() -> dict[str, str]:
    """An arm, its leader, a webcam on USB 2 and a depth camera on USB 3: nothing to complain of."""
    return {
        **device("usb1", ROOT_2),
        **device("usb2", ROOT_3),
        **device("1-1", CH343, nodes={"ttyACM0": ""}, driver="cdc_acm"),
        **device("1-2", CH343, nodes={"ttyACM1": ""}, driver="cdc_acm", serial="5A47"),
        **device("1-3", C920, nodes={"video0": "0", "video1": "1"}, driver="uvcvideo"),
        **device("2-1", D405, nodes={"video2": "0", "video3": "1"}, driver="uvcvideo"),
        **link("serial/by-id", "usb-1a86_USB_Single_Serial_5A46-if00", "ttyACM0"),
        **link("serial/by-id", "usb-1a86_USB_Single_Serial_5A47-if00", "ttyACM1"),
        **link("v4l/by-id", "usb-046d_HD_Pro_Webcam_C920_AB12-video-index0", "video0"),
        **link("v4l/by-id", "usb-046d_HD_Pro_Webcam_C920_AB12-video-index1", "video1"),
        **link("v4l/by-id", "usb-Intel_RealSense_405_1274-video-index0", "video2"),
    }
