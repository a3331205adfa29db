"""A fit, judged as a reader would: on episodes that it has not seen, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.bench.fitting import PARAMETERS, STRUCTURES, Fitted, Tell, fit
from vibrissa.bench.retrace import Tracked, courses_at, rate_for, simulated, tracked
from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS
from vibrissa.data.recordings import Recordings
from vibrissa.sim.follow import Course
from vibrissa.sim.profile import Profile, calibrated
from vibrissa.sim.servo import STANDARD

FEWEST = 5


@dataclass(frozen=True)
class Judged:
    """The profile, its held-out errors with the standard servos and with its own, and the motions.

    before, after: where the simulated arm was, (T, 6) rad for each held-out course.
    """

    profile: Profile
    errors_before: tuple[Tracked, ...]
    errors_after: tuple[Tracked, ...]
    held_out: tuple[Course, ...]
    names: tuple[str, ...]
    before: tuple[NDArray[np.floating], ...]
    after: tuple[NDArray[np.floating], ...]
    rate_hz: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.profile.name,
            "servo": asdict(self.profile.servo),
            "intervals": self.profile.intervals,
            "source": self.profile.source,
            "before": [asdict(row) for row in self.errors_before],
            "after": [asdict(row) for row in self.errors_after],
        }


def split(episodes: int, held_out: int | None, seed: int) -> tuple[list[int], list[int]]:
    """Which episodes are fitted to and which are held out, drawn by `seed`.

    Raises UsageError where there are too few of them.
    """
    if episodes < FEWEST:
        raise UsageError(
            f"{episodes} episodes are too few to fit on some and report on others: at least "
            f"{FEWEST}. Record more, or name further datasets of the same arm."
        )
    aside = max(1, episodes // 5) if held_out is None else held_out
    if not 1 <= aside <= episodes - 3:
        raise UsageError(
            f"--held-out {aside} of {episodes} episodes: at least 1, and at least 3 must be left "
            "to fit to."
        )
    order = np.random.default_rng(seed).permutation(episodes).tolist()
    return sorted(order[aside:]), sorted(order[:aside])


def fit_and_judge(
    recordings: Recordings,
    fit_to: Sequence[int],
    held_out: Sequence[int],
    *,
    name: str,
    seed: int = 0,
    structure: str = "friction",
    tell: Tell = lambda done, note: None,
) -> Judged:
    """Fit a profile called `name` to some motions; it and the standard servos are judged on others.

    fit_to, held_out: which motions, by number. seed: of the intervals' draws. Before is what
    anybody gets without a fit: standard servos, readings taken as they are.
    """
    base = STANDARD
    if any(recordings.calibrated_ticks):
        base = calibrated(STANDARD, recordings.calibrated_ticks)
    motions = [(motion.state, motion.action) for motion in recordings.motions]
    courses = courses_at(motions, recordings.rate_hz, base)
    rate_hz, rng = rate_for(recordings.rate_hz), np.random.default_rng(seed)
    found = fit(
        [courses[i] for i in fit_to], rate_hz, structure=structure, rng=rng, base=base, tell=tell
    )
    servo, unseen = found.servo.rounded(), tuple(courses[i] for i in held_out)
    before, after = (tuple(simulated(unseen, rate_hz, s)) for s in (STANDARD, servo))
    error_before, error_after = (
        tracked(unseen, m, rate_hz, np.random.default_rng(seed)) for m in (before, after)
    )
    profile = Profile(
        name,
        servo,
        recordings.calibrated_ticks,
        intervals=intervals_told(found),
        source={
            "datasets": sorted({episode.rsplit("/", 1)[0] for episode in recordings.names}),
            "digests": list(recordings.digests),
            "arm": recordings.arm,
            "unit": recordings.unit,
            "rate_hz": recordings.rate_hz,
            "structure": structure,
            "fitted": list(STRUCTURES[structure]),
            "seed": seed,
            "fit_episodes": [recordings.names[i] for i in fit_to],
            "held_out_episodes": [recordings.names[i] for i in held_out],
        },
        tracking=_tracking(error_before, error_after),
    )
    names = tuple(recordings.names[i] for i in held_out)
    return Judged(profile, error_before, error_after, unseen, names, before, after, rate_hz)


def intervals_told(found: Fitted) -> dict[str, Any]:
    """The 95 % interval of each fitted number, [low, high], by joint where each has its own."""
    told: dict[str, Any] = {}
    for name, ends in found.intervals.items():
        each = [[round(float(x), 4) for x in pair] for pair in zip(*ends, strict=True)]
        parameter = PARAMETERS[name]
        joints = [JOINTS[joint] for joint in parameter.joints]
        told[name] = each[0] if parameter.is_shared else dict(zip(joints, each, strict=True))
    return told


def _tracking(before: Sequence[Tracked], after: Sequence[Tracked]) -> dict[str, Any]:
    """Both tables as plain, short values for the profile."""
    return {
        row.joint: {
            "before_rms_deg": round(row.rms_deg, 3),
            "before_interval_deg": [round(x, 3) for x in row.rms_interval_deg],
            "after_rms_deg": round(then.rms_deg, 3),
            "after_interval_deg": [round(x, 3) for x in then.rms_interval_deg],
            "before_free_rms_deg": round(row.free_rms_deg, 3),
            "after_free_rms_deg": round(then.free_rms_deg, 3),
            "after_free_interval_deg": [round(x, 3) for x in then.free_rms_interval_deg],
        }
        for row, then in zip(before, after, strict=True)
    }


def typical(judged: Judged) -> int:
    """The held-out episode whose error after the fit is the median one, for a picture."""
    errors = [
        float(np.sqrt(np.mean(np.square(motion - course.state))))
        for motion, course in zip(judged.after, judged.held_out, strict=True)
    ]
    return int(np.argsort(errors)[(len(errors) - 1) // 2])
