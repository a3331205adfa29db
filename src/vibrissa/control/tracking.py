"""How closely one arm follows another's recorded motion: the numbers behind `vibrissa replay`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.episode import Episode, Observation, Reason, Start, Step
from vibrissa.core.errors import UsageError
from vibrissa.core.protocols import Verdict

MOST_LAG_S = 0.3  # a servo that is later than this is broken
RESTS_RAD = np.radians(2)  # a joint that moves less rests: no shift of it fits better than another
# A joint is held up where it stands still for as long as this though its target is further away
# than this; what happens just before and after is the fall into the hold and out of it.
STILL_S, STILL_RAD, FAR_RAD, AROUND_S = 0.3, np.radians(0.35), np.radians(3.0), 0.5


@dataclass(frozen=True)
class JointError:
    """One joint's distance between two motions, in degrees.

    lag_s is by how much the second motion comes later, where shifting it fits best; None where the
    first motion does not move, so that nothing can be said of it.
    """

    joint: str
    rms_deg: float
    max_deg: float
    lag_s: float | None


def joint_errors(
    names: Sequence[str],
    recorded: NDArray[np.floating],
    followed: NDArray[np.floating],
    rate_hz: float,
) -> tuple[JointError, ...]:
    """The error of each joint between `recorded` and `followed`, both (T, A) rad at `rate_hz`.

    Raises UsageError where their shapes differ.
    """
    if recorded.shape != followed.shape or recorded.ndim != 2 or len(recorded) == 0:
        raise UsageError(f"motions of shapes {recorded.shape} and {followed.shape}; wanted equal.")
    apart = np.degrees(np.asarray(followed, np.float64) - recorded)
    return tuple(
        JointError(
            name.removesuffix(".pos"),
            _rms(apart[:, i]),
            float(np.abs(apart[:, i]).max()),
            _lag_s(recorded[:, i], followed[:, i], rate_hz),
        )
        for i, name in enumerate(names)
    )


def held_up(
    state: NDArray[np.floating],
    action: NDArray[np.floating],
    rate_hz: float,
    sag_rad: NDArray[np.floating] | float = 0.0,
) -> NDArray[np.bool_]:
    """Where a joint does not follow because something is in its way, (T, A): told by the recording.

    `state` and `action` are (T, A) rad. Jaws round an object and a folded arm at its stop stand
    still far from their target, and no servo setting explains that. sag_rad: how far from its
    reading gravity lets a weak servo's target be, with its sign, (T, A).
    """
    half, around = round(STILL_S / 2 * rate_hz), round(AROUND_S * rate_hz)
    gap = np.asarray(action, np.float64) - state
    beyond = np.maximum(gap - np.maximum(sag_rad, 0), -gap + np.minimum(sag_rad, 0))
    moved = _over(state, half, np.max) - _over(state, half, np.min)
    stuck = (moved < STILL_RAD) & (_over(beyond, half, np.min) > FAR_RAD)
    return _over(stuck, around, np.max)


def resample(values: NDArray[np.floating], from_hz: float, to_hz: float) -> NDArray[np.float32]:
    """`values` (T, A) given at `from_hz`, on the line between their rows, at `to_hz`.

    The last row is never passed: what lasted (T - 1) / from_hz seconds lasts no longer.
    """
    if from_hz == to_hz:
        return np.asarray(values, np.float32)
    length = int(np.floor((len(values) - 1) / from_hz * to_hz + 1e-9)) + 1
    at = np.arange(length) / to_hz * from_hz
    rows = np.arange(len(values))
    columns = [np.interp(at, rows, values[:, i]) for i in range(values.shape[1])]
    return np.stack(columns, axis=1).astype(np.float32)


class Watched:
    """An observer that keeps the motion: state and what was asked and sent, rad, tick by tick."""

    def on_start(self, start: Start) -> None:
        self._steps: list[tuple[NDArray, NDArray, NDArray]] = []

    def on_step(self, step: Step) -> None:
        asked = np.array(step.decision.action)
        self._steps.append((np.array(step.observation.state), asked, np.array(step.sent)))

    def on_end(self, episode: Episode) -> None:
        pass

    @property
    def state(self) -> NDArray[np.float32]:
        return np.stack([state for state, _, _ in self._steps])

    @property
    def limited(self) -> int:
        """In how many ticks the arm's limits changed what was asked."""
        return sum(not np.allclose(asked, sent, atol=1e-5) for _, asked, sent in self._steps)


class Unjudged:
    """A task that is over when its `ticks` are: nobody says whether it was done."""

    name = "replay"

    def __init__(self, ticks: int, instruction: str = ""):
        self.max_ticks, self.instruction = ticks, instruction

    def reset(self) -> None:
        pass

    def judge(self, observation: Observation) -> Verdict | None:
        return None

    def failure_class(self, reason: Reason) -> str:
        return ""

    def measures(self) -> Mapping[str, float]:
        return {}


def _over(values: NDArray, ticks: int, what: Callable[..., NDArray]) -> NDArray:
    """`what` (max, min) of `values` (T, A) within `ticks` before and after each row."""
    edge = np.pad(values, ((ticks, ticks), (0, 0)), mode="edge")
    return what(np.lib.stride_tricks.sliding_window_view(edge, 2 * ticks + 1, axis=0), axis=-1)


def _rms(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _lag_s(
    first: NDArray[np.floating], later: NDArray[np.floating], rate_hz: float
) -> float | None:
    """The shift, within ±MOST_LAG_S, after which `later` lies best on `first`; None if it rests."""
    most = min(round(MOST_LAG_S * rate_hz), len(first) // 4)
    if np.ptp(first) < RESTS_RAD:
        return None
    size = len(first) - 2 * most
    middle = np.asarray(first[most : most + size], np.float64)
    misfit = [_rms(later[most + k : most + k + size] - middle) for k in range(-most, most + 1)]
    return (int(np.argmin(misfit)) - most) / rate_hz
