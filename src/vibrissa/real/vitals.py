"""How hot and how loaded the servos are, told while somebody leads the arm, and at the end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vibrissa.core.episode import Episode, Start, Step
from vibrissa.core.units import JOINTS
from vibrissa.real.joints import Senses

# register → what it is, its unit, and what one of its steps is in that unit
_TOLD = {
    "Present_Load": ("load", "%", 0.1),
    "Present_Temperature": ("temperature", "°C", 1.0),
    "Present_Voltage": ("voltage", "V", 0.1),
}


class Vitals:
    """Keeps what the arm's servos feel; `note` gets a line of it every `every` ticks.

    senses: what came along with the last positions (see `Joints`); nothing is asked for it.
    """

    def __init__(
        self, senses: Callable[[], Senses], note: Callable[[str], None], *, every: int = 30
    ):
        self._senses, self._note, self._every = senses, note, every
        self._ticks = 0
        self._most: dict[str, tuple[float, str]] = {}

    def on_start(self, start: Start) -> None:
        return None

    def on_step(self, step: Step) -> None:
        senses = self._senses()
        told = [self._take(name, senses[name]) for name in _TOLD if name in senses]
        if self._ticks % self._every == 0:
            self._note("  ".join(told))
        self._ticks += 1

    def on_end(self, episode: Episode) -> None:
        return None

    def told(self) -> str:
        """The worst of the session: most load and heat, least voltage, and where."""
        parts = [f"{what} {worst}" for what, (_, worst) in self._most.items()]
        return "servos: " + (", ".join(parts) or "nothing read")

    def _take(self, register: str, values: np.ndarray) -> str:
        what, unit, scale = _TOLD[register]
        sign, sizes = (-1.0 if what == "voltage" else 1.0), np.abs(values) * scale
        worst = int(np.argmax(sign * sizes))
        reading = float(sizes[worst])
        text = f"{reading:.3g} {unit} ({JOINTS[worst]})"
        if what not in self._most or sign * reading > self._most[what][0]:
            self._most[what] = (sign * reading, text)
        return f"{what} {text}"
