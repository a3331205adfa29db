"""What LeRobot's commands find here: the simulated arm, the twin with its cameras, and our tasks.

LeRobot imports this module because of its distribution's name; the imports below register every
type. It then looks for the class `Foo` of a config `FooConfig` in this very module.
"""

from lerobot_robot_vibrissa.environment import VibrissaEnvConfig
from lerobot_robot_vibrissa.simulated import VibrissaSim, VibrissaSimConfig
from lerobot_robot_vibrissa.twin import (
    VibrissaLeader,
    VibrissaLeaderConfig,
    VibrissaTwin,
    VibrissaTwinCamera,
    VibrissaTwinCameraConfig,
    VibrissaTwinConfig,
)
from lerobot_robot_vibrissa.wave import VibrissaWave, VibrissaWaveConfig

__all__ = [
    "VibrissaEnvConfig",
    "VibrissaLeader",
    "VibrissaLeaderConfig",
    "VibrissaSim",
    "VibrissaSimConfig",
    "VibrissaTwin",
    "VibrissaTwinCamera",
    "VibrissaTwinCameraConfig",
    "VibrissaTwinConfig",
    "VibrissaWave",
    "VibrissaWaveConfig",
]
