"""A recorded real motion on the simulated arm: how far apart the two are, joint by joint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.drive import run_episode
from vibrissa.control.pilots import Replay
from vibrissa.control.tracking import Unjudged, Watched, held_up, joint_errors, resample
from vibrissa.core.protocols import Observer
from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD
from vibrissa.sim.follow import Course, Follower, RecordedStart
from vibrissa.sim.scene import SpawnCfg
from vibrissa.sim.servo import STANDARD, ServoCfg
from vibrissa.sim.tasks import make_scene

SIM_HZ = 30.0  # where a tick of the recorded rate is no whole number of physics steps
WEAKEST_NM_RAD = 8.0  # no servo that anybody drives an SO-101 with is softer
DRAWS, LEVEL = 2000, 0.95


@dataclass(frozen=True)
class Tracked:
    """One joint's distance between recorded and simulated, degrees, over some episodes.

    rms: over all ticks; free_rms: where nothing held the joint up; intervals (95 %) over the
    episodes drawn anew. lag_s: the median of the episodes in which the joint moves, None where it
    moves in none.
    """

    joint: str
    rms_deg: float
    rms_interval_deg: tuple[float, float]
    free_rms_deg: float
    free_rms_interval_deg: tuple[float, float]
    max_deg: float
    lag_s: float | None


def rate_for(recorded_hz: float) -> float:
    """The rate at which the simulated arm plays what was recorded at `recorded_hz`."""
    whole = float(make_scene("lift").physics_hz / recorded_hz).is_integer()
    return recorded_hz if whole else SIM_HZ


def courses_at(
    motions: Sequence[tuple[NDArray, NDArray]], recorded_hz: float, servo: ServoCfg = STANDARD
) -> list[Course]:
    """Recorded state and action (T, 6) rad as courses at the simulated rate.

    Marked is where a joint was held up; the calibration of `servo` says where gravity pulls.
    """
    rate_hz, courses = rate_for(recorded_hz), []
    for motion in motions:
        state, action = (resample(values, recorded_hz, rate_hz) for values in motion)
        sag = Follower([Course(state, action)], rate_hz).gravity_nm(servo.joints(state))
        stuck = held_up(state, action, rate_hz, sag / WEAKEST_NM_RAD)
        courses.append(Course(state, action, ~stuck))
    return courses


def arm_at(course: Course, rate_hz: float, servo: ServoCfg) -> RecordedStart:
    """The simulated arm where the real one started, and no object within reach."""
    home = tuple(float(q) for q in np.clip(course.state[0], LOW_RAD, HIGH_RAD))
    away = SpawnCfg((-3.0, 0.0), 0.0)
    scene = make_scene("lift", rate_hz=rate_hz, home_rad=home, spawn=away, servo=servo)
    return RecordedStart(scene, course.state[0], course.action[0])


def retrace(
    arm: RecordedStart, course: Course, instruction: str = "", others: Sequence[Observer] = ()
) -> Watched:
    """The one rollout, with the recorded actions as its pilot."""
    watched = Watched()
    task = Unjudged(len(course.action), instruction)
    run_episode(arm, Replay(course.action.astype(np.float32)), task, [watched, *others])
    return watched


def simulated(courses: Sequence[Course], rate_hz: float, servo: ServoCfg) -> list[NDArray]:
    """Where the simulated arm was at each tick of each course, (T, 6) rad."""
    return [retrace(arm_at(course, rate_hz, servo), course).state for course in courses]


def tracked(
    courses: Sequence[Course],
    motions: Sequence[NDArray],
    rate_hz: float,
    rng: np.random.Generator,
) -> tuple[Tracked, ...]:
    """Each joint's error, and a last row `all` with that of all joints together."""
    apart = [np.degrees(m.astype(np.float64) - c.state) for c, m in zip(courses, motions)]
    free = [np.ones(a.shape, bool) if c.free is None else c.free for a, c in zip(apart, courses)]
    errors = [joint_errors(JOINTS, c.state, m, rate_hz) for c, m in zip(courses, motions)]
    lags = [_median([of[i].lag_s for of in errors]) for i in range(len(JOINTS))]
    every = [_over_episodes([a[:, i] for a in apart], None, rng) for i in range(len(JOINTS))]
    unheld = [
        _over_episodes([a[:, i] for a in apart], [f[:, i] for f in free], rng)
        for i in range(len(JOINTS))
    ]
    most = np.max([np.abs(a).max(axis=0) for a in apart], axis=0)
    rows = [
        Tracked(joint, *every[i], *unheld[i], float(most[i]), lags[i])
        for i, joint in enumerate(JOINTS)
    ]
    together = Tracked(
        "all",
        *_over_episodes(apart, None, rng),
        *_over_episodes(apart, free, rng),
        float(most.max()),
        _median(lags),
    )
    return (*rows, together)


def _median(lags: Sequence[float | None]) -> float | None:
    """Of those that there are."""
    known = [lag for lag in lags if lag is not None]
    return float(np.median(known)) if known else None


def _over_episodes(
    apart: Sequence[NDArray], free: Sequence[NDArray] | None, rng: np.random.Generator
) -> tuple[float, tuple[float, float]]:
    """The rms over all ticks of all episodes, and its interval over episodes drawn anew."""
    weights = [np.ones(a.shape) if free is None else free[e] for e, a in enumerate(apart)]
    squares = np.array([(w * a**2).sum() for a, w in zip(apart, weights)])
    ticks = np.array([w.sum() for w in weights], np.float64)
    if ticks.sum() == 0:
        return float("nan"), (float("nan"), float("nan"))
    episodes = len(apart)
    counts = rng.multinomial(episodes, np.full(episodes, 1 / episodes), DRAWS)
    drawn = np.sqrt((counts @ squares) / np.maximum(counts @ ticks, 1))
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(np.sqrt(squares.sum() / ticks.sum())), (float(low), float(high))
