"""`--teleop.type=vibrissa_wave`: a leader that nobody has to move; it waves round a pose."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from lerobot.teleoperators import Teleoperator, TeleoperatorConfig

from lerobot_robot_vibrissa.simulated import KEYS


@TeleoperatorConfig.register_subclass("vibrissa_wave")
@dataclass(kw_only=True)
class VibrissaWaveConfig(TeleoperatorConfig):
    """Every joint's sine round `centre_deg`, each a bit later than the one before it.

    fps: that of the loop which asks; a wave is counted in its passes, so that it is the same
    however slow the computer is.
    """

    centre_deg: list[float] = field(default_factory=lambda: [0.0, -60.0, 60.0, 60.0, 0.0, 40.0])
    amplitude_deg: float = 12.0
    period_s: float = 4.0
    fps: float = 30.0

    def __post_init__(self) -> None:
        if len(self.centre_deg) != len(KEYS):
            raise ValueError(f"centre_deg takes {len(KEYS)} numbers: {', '.join(KEYS)}.")


class VibrissaWave(Teleoperator):
    """Always the same motion, from the first action asked for."""

    config_class = VibrissaWaveConfig
    name = "vibrissa_wave"

    def __init__(self, config: VibrissaWaveConfig):
        super().__init__(config)
        self.config = config
        self._asked = 0
        self._connected = False

    @property
    def action_features(self) -> dict[str, Any]:
        return dict.fromkeys(KEYS, float)

    @property
    def feedback_features(self) -> dict[str, Any]:
        return {}

    @property
    def is_connected(self) -> bool:
        return self._connected

    @property
    def is_calibrated(self) -> bool:
        return True

    def connect(self, calibrate: bool = True) -> None:
        self._connected = True

    def calibrate(self) -> None:
        return None

    def configure(self) -> None:
        return None

    def get_action(self) -> dict[str, float]:
        """The next point of the wave; it starts in its centre."""
        cfg = self.config
        passed_s = self._asked / cfg.fps
        self._asked += 1
        return {
            key: centre + cfg.amplitude_deg * _swing(passed_s / cfg.period_s - place / 12)
            for place, (key, centre) in enumerate(zip(KEYS, cfg.centre_deg, strict=True))
        }

    def send_feedback(self, feedback: dict[str, Any]) -> None:
        return None

    def disconnect(self) -> None:
        self._connected = False


def _swing(turns: float) -> float:
    """A sine that begins when its turn comes."""
    return math.sin(2 * math.pi * turns) if turns > 0 else 0.0
