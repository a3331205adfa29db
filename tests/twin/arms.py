"""A twin whose time is moved on by the test, driven by LeRobot's unmodified classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lerobot.motors.feetech import FeetechMotorsBus
from lerobot.robots.so_follower import SO101Follower, SO101FollowerConfig
from lerobot.teleoperators.so_leader import SO101Leader, SO101LeaderConfig

from vibrissa.sim.tasks import make_scene
from vibrissa.twin.station import StoodStill
from vibrissa.twin.twin import Twin, TwinCfg

KEPT = TwinCfg()


def stood_still(folder: Path, cfg: TwinCfg = KEPT, **more: Any) -> Twin:
    """A twin in which time passes by `advance` only."""
    return Twin(folder, make_scene("lift"), cfg, clock=StoodStill(), **more)


def follower(twin: Twin, **more: Any) -> SO101Follower:
    folder = twin.calibration_file("follower").parent
    port = str(twin.folder / "follower")
    return SO101Follower(
        SO101FollowerConfig(port=port, id="follower", calibration_dir=folder, **more)
    )


def leader(twin: Twin) -> SO101Leader:
    folder = twin.calibration_file("leader").parent
    port = str(twin.folder / "leader")
    return SO101Leader(SO101LeaderConfig(port=port, id="leader", calibration_dir=folder))


def raw(bus: FeetechMotorsBus, register: str, joint: str, num_retry: int = 5) -> int:
    """A register as it is, asked again on a machine that is busy."""
    return int(bus.read(register, joint, normalize=False, num_retry=num_retry))
