"""Does every joint go where it is sent? One that stays away is blocked, limp, or not turned at all.

A servo lags a fast target by some tenths of a second and sags under a load by a few degrees. The
limits here are beyond both. A gripper is left out: it is there to be stopped by what it holds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.units import GRIPPER, JOINTS

AWAY_RAD = np.deg2rad(15.0)
FOR_S = 1.0
AGAIN_S = 30.0  # the same line about the same joint is not said more often


class Following:
    """Looks at where the joints are and where they were sent. behind: those that do not follow."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """A new episode."""
        self.behind = np.zeros(len(JOINTS), bool)
        self._since = np.full(len(JOINTS), np.inf)  # on one side of its target, and far from it
        self._side = np.zeros(len(JOINTS))
        self._said_s = np.full(len(JOINTS), -np.inf)

    def look(
        self, state: NDArray[np.float32], target: NDArray[np.float32], now_s: float
    ) -> list[str]:
        """Judge one tick, both (6,) rad; the lines that are to be said."""
        off = target - state
        side = np.where(np.abs(off) > AWAY_RAD, np.sign(off), 0.0)
        side[GRIPPER] = 0.0
        same = (side == self._side) & (side != 0)
        self._since = np.where(same, self._since, np.where(side != 0, now_s, np.inf))
        self._side = side
        self.behind = now_s - self._since >= FOR_S
        if not self.behind.any():
            return []
        due = self.behind & (now_s - self._said_s >= AGAIN_S)
        self._said_s[due] = now_s
        return [
            f"{JOINTS[j]} does not follow: it has been {FOR_S:.0f} s or more away from its "
            f"target, now {np.rad2deg(abs(off[j])):.0f}°. See what blocks it, and its cables."
            for j in np.flatnonzero(due)
        ]
