"""`--robot.type=vibrissa_twin`: LeRobot's own SO-101 follower on the port of a running twin.

The driver, the leader and the cameras are LeRobot's, unchanged; all that is ours is where the
twin says they are: the rig file that `vibrissa twin` writes.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lerobot.cameras import CameraConfig
from lerobot.cameras.zmq import ZMQCamera, ZMQCameraConfig
from lerobot.robots import RobotConfig
from lerobot.robots.so_follower import SO101Follower
from lerobot.robots.so_follower.config_so_follower import SOFollowerRobotConfig
from lerobot.teleoperators import TeleoperatorConfig
from lerobot.teleoperators.so_leader import SO101Leader
from lerobot.teleoperators.so_leader.config_so_leader import SOLeaderTeleopConfig

from vibrissa.core.errors import UsageError
from vibrissa.real.rig import CameraCfg, Rig, load_rig


def default_rig() -> Path:
    """Where `vibrissa twin` writes its rig file unless told otherwise."""
    return Path(tempfile.gettempdir()) / f"vibrissa-twin-{os.getuid()}" / "rig.yaml"


@CameraConfig.register_subclass("vibrissa_twin")
@dataclass
class VibrissaTwinCameraConfig(ZMQCameraConfig):
    """One of the twin's cameras by its name; address, size and rate come from the rig file."""

    server_address: str = ""
    camera_name: str = "overhead"
    rig: Path = field(default_factory=default_rig)

    def __post_init__(self) -> None:
        rig = _rig(self.rig)
        found = {camera.name: camera for camera in rig.cameras}
        if self.camera_name not in found:
            raise UsageError(
                f"the twin has no camera {self.camera_name!r}. There is: "
                f"{', '.join(found) or 'none'}."
            )
        camera = found[self.camera_name]
        self.server_address, self.port = _address(camera)
        self.width, self.height, self.fps = camera.width, camera.height, camera.fps
        super().__post_init__()


class VibrissaTwinCamera(ZMQCamera):
    """LeRobot's ZMQ camera."""


@RobotConfig.register_subclass("vibrissa_twin")
@dataclass
class VibrissaTwinConfig(SOFollowerRobotConfig):
    """The follower of the twin whose rig file this is, and its cameras unless some are named."""

    port: str = ""
    rig: Path = field(default_factory=default_rig)

    def __post_init__(self) -> None:
        rig = _rig(self.rig)
        self.port = self.port or rig.arm.port
        self.id = self.id or _calibration(rig.arm).stem
        self.calibration_dir = self.calibration_dir or _calibration(rig.arm).parent
        self.cameras = self.cameras or {
            camera.name: VibrissaTwinCameraConfig(camera_name=camera.name, rig=self.rig)
            for camera in rig.cameras
        }
        super().__post_init__()


class VibrissaTwin(SO101Follower):
    """LeRobot's SO-101 follower."""

    config_class = VibrissaTwinConfig
    name = "so_follower"  # what its recordings say they are of, as those of a real arm do


@TeleoperatorConfig.register_subclass("vibrissa_leader")
@dataclass
class VibrissaLeaderConfig(SOLeaderTeleopConfig):
    """The leader of the twin whose rig file this is."""

    port: str = ""
    rig: Path = field(default_factory=default_rig)

    def __post_init__(self) -> None:
        leader = _rig(self.rig).leader
        if leader is None:
            raise UsageError(f"{self.rig} has no leader. Start the twin with one.")
        self.port = self.port or leader.port
        self.id = self.id or _calibration(leader).stem
        self.calibration_dir = self.calibration_dir or _calibration(leader).parent


class VibrissaLeader(SO101Leader):
    """LeRobot's SO-101 leader."""

    config_class = VibrissaLeaderConfig
    name = "so_leader"


def _rig(path: Path) -> Rig:
    if not Path(path).is_file():
        raise UsageError(f"no twin has left its rig file at {path}. Start one: vibrissa twin")
    return load_rig(Path(path))


def _calibration(part: Any) -> Path:
    """The calibration file of an arm or leader of the rig."""
    if part.calibration is None:
        raise UsageError(f"{part.id!r} of the rig names no calibration file; the twin writes one.")
    return Path(part.calibration)


def _address(camera: CameraCfg) -> tuple[str, int]:
    """`tcp://host:port/name` → host, port."""
    host, _, port = camera.device.removeprefix("tcp://").partition("/")[0].rpartition(":")
    return host, int(port)
