"""A hand that moves an arm: to a place, through a script, or along a recorded motion.

A motion is keyframes: when, and where each joint is then (NaN where the hand does not touch it).
It starts wherever the arm is, and no joint is moved faster than it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import UsageError
from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD, from_rad, to_rad

A = len(JOINTS)
BRISK_RAD_S = 1.5
SLOWEST_RAD_S, FASTEST_RAD_S = 0.01, 100.0
FARTHEST_RAD, LONGEST_S = 10.0, 86400.0
STEP_S = 0.01  # of the way between two keyframes
_LOW, _HIGH = LOW_RAD.astype(np.float64), HIGH_RAD.astype(np.float64)
MIDDLE_RAD = np.array([0.0, 0.0, 0.0, 0.0, 0.0, (_LOW[5] + _HIGH[5]) / 2])
# A joint that is swept to its end must not press the arm into the table: what the others do then.
_ASIDE: dict[str, dict[str, float]] = {
    "shoulder_lift": {"elbow_flex": -1.0, "wrist_flex": -1.6},
    "elbow_flex": {"shoulder_lift": -0.8, "wrist_flex": -1.6},
    "wrist_flex": {"shoulder_lift": -0.2, "elbow_flex": -1.2},
}


@dataclass(frozen=True)
class Motion:
    """Where a hand holds the joints: `times_s` (T,) from 0 on, `path` (T, 6) rad.

    start_s: when it begins, on the body's clock. holds: the hand stays at the end, otherwise it
    lets go. loop_s: instead it goes on from there, without an end; the path is there as at its end.
    """

    times_s: NDArray[np.float64]
    path: NDArray[np.float64]
    start_s: float = 0.0
    holds: bool = False
    loop_s: float | None = None

    @property
    def length_s(self) -> float:
        return float(self.times_s[-1])

    def __call__(self, time_s: float) -> NDArray[np.float64]:
        """The joints (6,) at `time_s`, NaN where nobody holds them."""
        at = time_s - self.start_s
        if self.loop_s is not None and at > self.length_s:
            at = self.loop_s + (at - self.loop_s) % (self.length_s - self.loop_s)
        if at > self.length_s and not self.holds:
            return np.full(A, np.nan)
        i = int(np.searchsorted(self.times_s, at, "right"))
        if i == 0 or i == len(self.times_s):
            return self.path[min(i, len(self.path) - 1)]
        before, after = self.times_s[i - 1], self.times_s[i]
        share = (at - before) / (after - before)
        return self.path[i - 1] * (1 - share) + self.path[i] * share

    def over(self, time_s: float) -> bool:
        """Whether nothing moves any more."""
        return self.loop_s is None and time_s - self.start_s > self.length_s


def speed(rad_s: float | None) -> float:
    """How fast a hand may move a joint, rad/s; `BRISK_RAD_S` by itself.

    Raises UsageError where it is no speed: a very slow one would be a path without an end.
    """
    if rad_s is None:
        return BRISK_RAD_S
    if isinstance(rad_s, bool) or not SLOWEST_RAD_S <= rad_s <= FASTEST_RAD_S:
        raise UsageError(f"a speed of {rad_s} rad/s: from {SLOWEST_RAD_S} to {FASTEST_RAD_S:g}.")
    return float(rad_s)


def through(
    start_rad: NDArray[np.float64],
    stops: Sequence[NDArray[np.float64]],
    *,
    rad_s: float = BRISK_RAD_S,
) -> Motion:
    """From `start_rad` (6,) to each of `stops` (6,), gently away and gently there."""
    times, path = [0.0], [np.where(np.isfinite(stops[0]), start_rad, np.nan)]
    for stop in stops:
        far = np.nanmax(np.abs(np.append(stop - path[-1], 0.0)))
        seconds = max(0.05, float(far) * np.pi / 2 / rad_s)  # a cosine is fastest in its middle
        steps = max(2, round(seconds / STEP_S))
        share = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, steps + 1) / steps)
        here, began = path[-1], times[-1]
        path += [here + (stop - here) * part for part in share]
        times += [began + seconds * k / steps for k in range(1, steps + 1)]
    return Motion(np.array(times), np.array(path))


def along(
    start_rad: NDArray[np.float64],
    times_s: Sequence[float],
    path_rad: NDArray[np.float64],
) -> Motion:
    """A recorded path (T, 6) at `times_s` (T,), after a gentle way to where it starts.

    Raises UsageError where it is no path.
    """
    times, path = np.asarray(times_s, np.float64), np.asarray(path_rad, np.float64)
    if path.shape != (len(times), A) or len(times) < 2 or not (np.diff(times) > 0).all():
        raise UsageError(
            f"a motion of shape {path.shape} at {len(times)} times: wanted are at least two "
            f"rows of {A} joints at times that grow."
        )
    if not (np.abs(path) <= FARTHEST_RAD).all() or not times[-1] - times[0] <= LONGEST_S:
        raise UsageError(f"a motion must stay within ±{FARTHEST_RAD:g} rad, and within a day.")
    return _after(through(start_rad, [path[0]]), times - times[0], path)


def alone(joint: str, reading: float) -> NDArray[np.float64]:
    """One joint at `reading` (LeRobot's degrees, the gripper 0 to 100), the others let alone."""
    if joint not in JOINTS:
        raise UsageError(f"no joint {joint!r}. There is: {', '.join(JOINTS)}.")
    if not np.isfinite(reading):
        raise UsageError(f"{joint} cannot be moved to {reading}.")
    i = JOINTS.index(joint)
    readings = from_rad(MIDDLE_RAD, "deg").astype(np.float64)
    readings[i] = reading
    stop = np.full(A, np.nan)
    stop[i] = np.clip(to_rad(readings, "deg")[i], _LOW[i], _HIGH[i])
    return stop


def middle(start_rad: NDArray[np.float64], rad_s: float) -> Motion:
    """Every joint to the middle of its range: where a calibration begins."""
    return through(start_rad, [MIDDLE_RAD], rad_s=rad_s)


def sweep(start_rad: NDArray[np.float64], rad_s: float) -> Motion:
    """Joint by joint through its whole range and back: what a calibration wants to see."""
    stops = [MIDDLE_RAD]
    for i, joint in enumerate(JOINTS):
        aside = MIDDLE_RAD.copy()
        for other, angle in _ASIDE.get(joint, {}).items():
            aside[JOINTS.index(other)] = angle
        for end in (_LOW[i], _HIGH[i]):
            there = aside.copy()
            there[i] = end
            stops += [aside, there]
        stops += [aside, MIDDLE_RAD]
    return through(start_rad, stops, rad_s=rad_s)


def circle(start_rad: NDArray[np.float64], rad_s: float) -> Motion:
    """All joints to and fro without an end, each at a phase of its own."""
    centre = np.array([0.0, -0.5, 0.6, 0.5, 0.0, 0.6])
    reach = np.array([0.5, 0.3, 0.3, 0.3, 0.6, 0.4])
    phase = np.arange(A) * np.pi / 3
    seconds = 2 * np.pi * float(reach.max()) / rad_s
    turn = np.linspace(0, 2 * np.pi, max(50, round(seconds / STEP_S)) + 1)[:, None]
    path = centre + reach * np.sin(turn + phase)
    way = through(start_rad, [path[0]], rad_s=rad_s)
    return replace(_after(way, turn[:, 0] / (2 * np.pi) * seconds, path), loop_s=way.length_s)


def pick(start_rad: NDArray[np.float64], rad_s: float) -> Motion:
    """Reach down, close the jaws, lift, and put it back: as somebody demonstrates a task."""
    above = np.array([0.1, 0.2, -0.2, 1.1, 0.0, 1.0])
    down = np.array([0.1, 0.65, -0.25, 0.95, 0.0, 1.0])
    shut, lifted = down.copy(), above.copy()
    shut[5] = lifted[5] = 0.05
    home = np.array([0.0, -1.2, 1.0, 0.9, 0.0, 0.5])
    return through(
        start_rad, [home, above, down, shut, lifted, shut, down, above, home], rad_s=rad_s
    )


SCRIPTS: dict[str, Callable[[NDArray[np.float64], float], Motion]] = {
    "middle": middle,
    "sweep": sweep,
    "circle": circle,
    "pick": pick,
}


def scripted(name: str, start_rad: NDArray[np.float64], rad_s: float = BRISK_RAD_S) -> Motion:
    """A script by its name. Raises UsageError with the names that exist."""
    if name not in SCRIPTS:
        raise UsageError(f"no motion {name!r}. There is: {', '.join(SCRIPTS)}.")
    return SCRIPTS[name](start_rad, rad_s)


def _after(way: Motion, times_s: NDArray[np.floating], path: NDArray[np.float64]) -> Motion:
    """A way, and then a path that begins where it ends, at times from 0 on."""
    later = (way.length_s + times_s[1:]).astype(np.float64)
    times = np.concatenate([way.times_s, later])
    return Motion(times, np.concatenate([way.path, path[1:]]))
