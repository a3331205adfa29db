"""The rig: one YAML file that says which hardware stands on the desk, for every command."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from vibrissa.control.marked import Marked, read_marked
from vibrissa.core.contract import depth_name
from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS

ArmKind = Literal["so101", "simulated"]
LeaderKind = Literal["so101", "keyboard", "gamepad"]
CameraKind = Literal["opencv", "zmq", "realsense"]
RIG_KEYS = ("arm", "leader", "cameras", "home_deg", "rest_deg", "operator", "light")
# What a webcam's `exposure` may set, automatic ones first: a camera takes a value of its own only
# once its automatic is off. auto_exposure is 1 for manual and 3 for automatic, as V4L2 has it.
CONTROLS = (
    *("auto_exposure", "auto_white_balance", "auto_focus"),
    *("exposure", "gain", "white_balance", "focus"),
    *("brightness", "contrast", "saturation", "sharpness"),
)
_SIZES, _DEGREES = (16, 8192), (-360.0, 360.0)


@dataclass(frozen=True)
class ArmCfg:
    """The follower; degrees are those of the joints, the gripper's too. See docs/real-arm.md."""

    kind: ArmKind = "so101"
    port: str = ""
    id: str = "follower"
    calibration: Path | None = None  # None: where LeRobot keeps the one of this id
    max_step_deg: float = 20.0  # between two targets
    max_speed_deg_s: float = 270.0  # of a target: the STS3215's own 45 rpm
    read_retries: int = 2  # per read, as LeRobot's own default
    p: int = 16  # the servos' gains, as LeRobot writes them
    i: int = 0
    d: int = 32
    gripper_torque: int = 500  # of 1000: a gripper that is blocked burns


@dataclass(frozen=True)
class LeaderCfg:
    """Whoever leads by hand."""

    kind: LeaderKind = "so101"
    port: str = ""
    id: str = "leader"
    calibration: Path | None = None


@dataclass(frozen=True)
class CameraCfg:
    """One camera. device: a by-id path; tcp://host:port/name (zmq); a serial number (realsense)."""

    name: str
    kind: CameraKind = "opencv"
    device: str = ""
    width: int = 640
    height: int = 480
    fps: int = 30
    optional: bool = False
    depth: bool = False
    fovy_deg: float | None = None
    exposure: dict[str, int] = field(default_factory=dict)  # of CONTROLS, set at start


@dataclass(frozen=True)
class Rig:
    """All of it. home_deg, rest_deg: joint → LeRobot's degrees, the gripper 0 (closed) to 100."""

    arm: ArmCfg = ArmCfg(kind="simulated")
    leader: LeaderCfg | None = None
    cameras: tuple[CameraCfg, ...] = ()
    home_deg: dict[str, float] | None = None
    rest_deg: dict[str, float] | None = None  # where it goes before its torque goes off
    operator: str = ""
    light: str = ""


def load_rig(path: Path) -> Rig:
    """The rig that a YAML file describes. Raises UsageError with file and line.

    A command whose own options stand in the same file reads it with `read_marked` and takes the
    rig's part with `rig_from`.
    """
    document = read_marked(path)
    return rig_from(document.fields("the rig", allowed=RIG_KEYS), path.parent)


def rig_from(found: Mapping[str, Marked], folder: Path) -> Rig:
    """The rig among a file's entries; relative calibration paths are of `folder`."""
    return Rig(
        arm=_arm(found["arm"], folder) if "arm" in found else Rig.arm,
        leader=_leader(found["leader"], folder) if "leader" in found else None,
        cameras=_cameras(found["cameras"]) if "cameras" in found else (),
        home_deg=_pose(found["home_deg"], "home_deg") if "home_deg" in found else None,
        rest_deg=_pose(found["rest_deg"], "rest_deg") if "rest_deg" in found else None,
        operator=found["operator"].text("operator") if "operator" in found else "",
        light=found["light"].text("light") if "light" in found else "",
    )


def save_rig(rig: Rig, path: Path) -> None:
    """Write `rig` so that `load_rig` gives it back; what equals a default is left out."""
    told: dict[str, Any] = {"arm": {"kind": rig.arm.kind, **_told(rig.arm)}}
    if rig.leader is not None:
        told["leader"] = {"kind": rig.leader.kind, **_told(rig.leader)}
    if rig.cameras:
        told["cameras"] = {
            camera.name: {"kind": camera.kind, **_told(camera, but=("name",))}
            for camera in rig.cameras
        }
    told |= _told(rig, but=("arm", "leader", "cameras"))
    text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, default_flow_style=None)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error


def _arm(node: Marked, folder: Path) -> ArmCfg:
    found = node.fields("arm", allowed=_names(ArmCfg))
    read: dict[str, Any] = {
        "kind": lambda v: v.choice("arm.kind", get_args(ArmKind)),
        "port": lambda v: _path_text(v, "arm.port"),
        "id": lambda v: _id(v, "arm.id"),
        "calibration": lambda v: _path(v, "arm.calibration", folder),
        "max_step_deg": lambda v: v.number("arm.max_step_deg", 0.1, 360),
        "max_speed_deg_s": lambda v: v.number("arm.max_speed_deg_s", 1, 1000),
        "read_retries": lambda v: v.whole("arm.read_retries", 0, 20),
        "p": lambda v: v.whole("arm.p", 1, 254),
        "i": lambda v: v.whole("arm.i", 0, 254),
        "d": lambda v: v.whole("arm.d", 0, 254),
        "gripper_torque": lambda v: v.whole("arm.gripper_torque", 1, 1000),
    }
    arm = ArmCfg(**{name: read[name](value) for name, value in found.items()})
    if arm.kind == "so101" and not arm.port:
        raise node.error("arm lacks 'port', such as /dev/serial/by-id/usb-1a86_…")
    return arm


def _leader(node: Marked, folder: Path) -> LeaderCfg:
    found = node.fields("leader", allowed=_names(LeaderCfg))
    read: dict[str, Any] = {
        "kind": lambda v: v.choice("leader.kind", get_args(LeaderKind)),
        "port": lambda v: _path_text(v, "leader.port"),
        "id": lambda v: _id(v, "leader.id"),
        "calibration": lambda v: _path(v, "leader.calibration", folder),
    }
    leader = LeaderCfg(**{name: read[name](value) for name, value in found.items()})
    if leader.kind == "so101" and not leader.port:
        raise node.error("leader lacks 'port', such as /dev/serial/by-id/usb-1a86_…")
    return leader


def _cameras(node: Marked) -> tuple[CameraCfg, ...]:
    return tuple(_camera(name, entry) for name, entry in node.entries("cameras").items())


def _camera(name: str, node: Marked) -> CameraCfg:
    what = f"camera {name!r}"
    found = node.fields(what, allowed=[n for n in _names(CameraCfg) if n != "name"])
    if not name.replace("_", "").replace("-", "").isalnum():
        raise node.error(f"{what}: a camera's name is letters, digits, _ and - only.")
    if name.endswith(depth_name("")):
        told = f"a name ending in {depth_name('')} is for a depth camera's depth (depth: true)"
        raise node.error(f"{what}: {told}.")
    read: dict[str, Any] = {
        "kind": lambda v: v.choice(f"{what}'s kind", get_args(CameraKind)),
        "device": lambda v: v.word(f"{what}'s device"),
        "width": lambda v: v.whole(f"{what}'s width", *_SIZES),
        "height": lambda v: v.whole(f"{what}'s height", *_SIZES),
        "fps": lambda v: v.whole(f"{what}'s fps", 1, 240),
        "optional": lambda v: v.flag(f"{what}'s optional"),
        "depth": lambda v: v.flag(f"{what}'s depth"),
        "fovy_deg": lambda v: v.number(f"{what}'s fovy_deg", 1, 179),
        "exposure": lambda v: _exposure(v, what),
    }
    camera = CameraCfg(name, **{key: read[key](value) for key, value in found.items()})
    if trouble := device_trouble(camera):
        raise found.get("device", node).error(f"{what}: {trouble}")
    if camera.depth and camera.kind != "realsense":
        raise found["depth"].error(f"{what}: only a realsense camera measures depth.")
    return camera


def device_trouble(camera: CameraCfg) -> str:
    """What is wrong with how the device is named; empty where nothing is.

    A number or /dev/videoN names whatever was plugged in first: after a replug it is another
    camera, and nothing tells.
    """
    device = camera.device
    if not device:
        wanted = {
            "opencv": "/dev/v4l/by-id/…",
            "zmq": "tcp://127.0.0.1:5555/" + camera.name,
            "realsense": "the serial number printed on it",
        }
        return f"it lacks 'device', such as {wanted[camera.kind]}."
    if camera.kind == "zmq":
        address, _, name = device.removeprefix("tcp://").partition("/")
        port = address.rpartition(":")[2]
        known = port.isdigit() and 0 < int(port) < 65536
        if not device.startswith("tcp://") or not name or not known:
            return f"{device!r} is no address such as tcp://127.0.0.1:5555/{camera.name}."
    if camera.kind == "opencv" and (device.isdigit() or device.startswith("/dev/video")):
        return f"{device!r} names another camera after a replug; {_there_is()}"
    return ""


def stable_cameras() -> list[str]:
    """The names of this computer's webcams that stay theirs after a replug."""
    return sorted(str(path) for path in Path("/dev/v4l/by-id").glob("*-index0"))


def _there_is() -> str:
    names = stable_cameras()
    return f"there is: {', '.join(names)}." if names else "/dev/v4l/by-id/… is stable (none now)."


def _exposure(node: Marked, what: str) -> dict[str, int]:
    found = node.fields(f"{what}'s exposure", allowed=CONTROLS)
    return {name: v.whole(f"{what}'s {name}", -(2**31), 2**31) for name, v in found.items()}


def _pose(node: Marked, what: str) -> dict[str, float]:
    found = node.fields(what, needed=JOINTS)
    return {name: found[name].number(f"{what}.{name}", *_DEGREES) for name in JOINTS}


def _id(node: Marked, what: str) -> str:
    """An arm's name, which is a file's name too."""
    name = node.word(what)
    if name.startswith(".") or set(name) & set("/\\"):
        raise node.error(f"{what} is {name!r}; it names a file, so it has no / and no leading dot.")
    return name


def _path_text(node: Marked, what: str) -> str:
    return os.path.expanduser(node.text(what))


def _path(node: Marked, what: str, folder: Path) -> Path:
    return folder / os.path.expanduser(node.text(what))


def _names(kind: type) -> list[str]:
    return [one.name for one in fields(kind)]


def _told(cfg: Any, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults, as plain YAML values."""
    told: dict[str, Any] = {}
    for one in fields(cfg):
        value = getattr(cfg, one.name)
        default = one.default if one.default_factory is MISSING else one.default_factory()
        if one.name not in but and value != default:
            told[one.name] = str(value) if isinstance(value, Path) else value
    return told
