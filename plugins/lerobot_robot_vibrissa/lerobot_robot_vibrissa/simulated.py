"""`--robot.type=vibrissa_sim`: the simulated arm as one of LeRobot's robots.

One pass of LeRobot's loop is one tick of the simulation: an action is sent, and the next
observation is what it led to 1 / rate_hz later. So a recording is true in its own time however
slow the computer draws; the loop's rate (`--dataset.fps`, `--fps`) should be `rate_hz`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lerobot.robots import Robot, RobotConfig
from lerobot.utils.errors import DeviceAlreadyConnectedError, DeviceNotConnectedError

from vibrissa.core.contract import CameraSpec
from vibrissa.core.units import JOINTS, from_rad, to_rad

KEYS = tuple(f"{joint}.pos" for joint in JOINTS)  # what LeRobot's SO-101 calls them
HOME_RAD = 0.15  # how close to the home pose every joint must be for a new scene
HOME_S = 1.0


@RobotConfig.register_subclass("vibrissa_sim")
@dataclass(kw_only=True)
class VibrissaSimConfig(RobotConfig):
    """The scene: a task by name or file, what of it is filmed, and the first seed."""

    task: str = "pick-place"
    views: list[str] = field(default_factory=lambda: ["overhead", "wrist"])
    width: int = 640
    height: int = 480
    rate_hz: float = 30.0
    randomise: str = "none"
    seed: int = 0


class VibrissaSim(Robot):
    """Joints in LeRobot's names and degrees, gripper 0 (closed) to 100 (open), and pictures.

    A scene that is done (or lost) makes way for that of the next seed once the arm has been
    home for a second: LeRobot tells a robot nothing about episodes.
    """

    config_class = VibrissaSimConfig
    name = "vibrissa_sim"

    def __init__(self, config: VibrissaSimConfig):
        super().__init__(config)
        self.config = config
        self._arm: Any = None
        self._specs = _specs(config)
        self.cameras = {spec.name: spec for spec in self._specs}  # LeRobot counts them
        self._seed = config.seed

    @property
    def observation_features(self) -> dict[str, Any]:
        pictures = {s.name: (s.height, s.width, 1 if s.depth else 3) for s in self._specs}
        return {**self.action_features, **pictures}

    @property
    def action_features(self) -> dict[str, Any]:
        return dict.fromkeys(KEYS, float)

    @property
    def is_connected(self) -> bool:
        return self._arm is not None

    @property
    def is_calibrated(self) -> bool:
        return True

    def connect(self, calibrate: bool = True) -> None:
        """Raises a VibrissaError where there is no OpenGL to draw with."""
        from vibrissa.sim import gl
        from vibrissa.sim.arm import SimArm
        from vibrissa.sim.tasks import make_task

        if self._arm is not None:
            raise DeviceAlreadyConnectedError(f"{self} is already connected.")
        if self._specs:
            gl.require()
        scene = _scene(self.config)
        self._arm = SimArm(scene, cameras=tuple(self.config.views))
        self._task = make_task(self.config.task, scene)
        self._home = np.asarray(scene.home_rad)
        self._begin(self.config.seed)

    def calibrate(self) -> None:
        return None

    def configure(self) -> None:
        return None

    def get_observation(self) -> dict[str, Any]:
        arm = self._connected()
        seen = arm.observe()
        self._verdict = self._verdict or self._task.judge(seen)
        at_home = np.abs(seen.state - self._home).max() < HOME_RAD
        self._ticks_home = self._ticks_home + 1 if at_home else 0
        if self._verdict and self._ticks_home > HOME_S * self.config.rate_hz:
            self._begin(self._seed + 1)
            seen = arm.observe()
        degrees = from_rad(seen.state, "deg")  # (6,)
        joints = {key: float(value) for key, value in zip(KEYS, degrees, strict=True)}
        pictures = {spec.name: _picture(seen.images[spec.name]) for spec in self._specs}
        return {**joints, **pictures}

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        """Returns what the arm's limits left of it. Raises KeyError for a missing joint."""
        asked = np.array([float(action[key]) for key in KEYS], np.float32)
        sent = from_rad(self._connected().send(to_rad(asked, "deg")), "deg")
        return {key: float(value) for key, value in zip(KEYS, sent, strict=True)}

    def disconnect(self) -> None:
        arm = self._connected()
        arm.hold()
        arm.close()
        self._arm = None

    def _begin(self, seed: int) -> None:
        self._seed, self._verdict, self._ticks_home = seed, None, 0
        self._arm.reset(seed)
        self._task.reset()

    def _connected(self) -> Any:
        if self._arm is None:
            raise DeviceNotConnectedError(f"{self} is not connected.")
        return self._arm


def _scene(cfg: VibrissaSimConfig) -> Any:
    from vibrissa.sim.randomise import preset
    from vibrissa.sim.tasks import make_scene

    return make_scene(
        cfg.task,
        camera_size=(cfg.width, cfg.height),
        rate_hz=cfg.rate_hz,
        random=preset(cfg.randomise),
    )


def _specs(cfg: VibrissaSimConfig) -> tuple[CameraSpec, ...]:
    from vibrissa.sim.views import chosen

    return tuple(view.spec for view in chosen(_scene(cfg), tuple(cfg.views)))


def _picture(picture: Any) -> Any:
    """(H, W, 3) uint8, or depth as LeRobot's cameras give it: (H, W, 1) uint16 mm."""
    if picture.dtype == np.uint8:
        return picture
    return np.round(picture * 1000).astype(np.uint16)[..., None]
