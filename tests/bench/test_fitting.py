"""A fit finds the servos that made a recording, and says what it cannot tell."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vibrissa.bench.fit_judge import split
from vibrissa.bench.fitting import PARAMETERS, Search, fit
from vibrissa.bench.retrace import courses_at, simulated, tracked
from vibrissa.core.errors import UsageError
from vibrissa.core.units import GRIPPER, HIGH_RAD, LOW_RAD
from vibrissa.sim.follow import Course, Follower
from vibrissa.sim.servo import STANDARD, ServoCfg

RATE_HZ = 30.0
ODD = dataclasses.replace(
    STANDARD,
    kp=(14.0, 11.0, 12.5, 10.0, 12.0, 11.0),
    kv=(0.2, 0.5, 0.3, 0.4, 0.2, 0.3),
    friction_nm=(0.2, 0.25, 0.3, 0.12, 0.1, 0.2),
    delay_s=0.03,
)


def wandering(seed: int, ticks: int = 90) -> np.ndarray:
    """Targets (ticks, 6) that go somewhere, rest, and go on, as people drive an arm."""
    rng = np.random.default_rng(seed)
    middle, reach = (LOW_RAD + HIGH_RAD) / 2, (HIGH_RAD - LOW_RAD) / 4
    stops = middle + rng.uniform(-1, 1, (5, 6)) * reach
    at = np.clip(np.linspace(0, 5, ticks) % 1 * 2, 0, 1)[:, None]
    which = np.minimum(np.linspace(0, 5, ticks).astype(int), 4)
    way = stops[np.maximum(which - 1, 0)] * (1 - at) + stops[which] * at
    return way.astype(np.float32)


def recorded(servo: ServoCfg, episodes: int) -> list[Course]:
    """What an arm with these servos does when it is told to wander."""
    courses = []
    for seed in range(episodes):
        action = wandering(seed)
        blank = Course(np.repeat(action[:1], len(action), axis=0), action)
        courses.append(Course(simulated([blank], RATE_HZ, servo)[0], action))
    return courses


def free_rms(servo: ServoCfg, courses: list[Course]) -> float:
    motions = simulated(courses, RATE_HZ, servo)
    return tracked(courses, motions, RATE_HZ, np.random.default_rng(0))[-1].rms_deg


def test_the_follower_goes_where_the_whole_arm_goes() -> None:
    servo = dataclasses.replace(ODD, reading_scale=0.95, reading_offset_rad=0.02)
    courses = recorded(ODD, 2)
    followed = Follower(courses, RATE_HZ).follow(servo)
    for one, other in zip(followed, simulated(courses, RATE_HZ, servo), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)


def test_odd_servos_are_found_and_unseen_motions_followed() -> None:
    courses = recorded(ODD, 6)
    found = fit(courses[:4], RATE_HZ, structure="friction", rng=np.random.default_rng(0))
    servo = found.servo
    assert servo.delay_s == pytest.approx(0.03, abs=0.004)
    np.testing.assert_allclose(servo.each("kp"), ODD.each("kp"), rtol=0.15)
    drag, true = (s.each("kv") + s.each("damping") for s in (servo, ODD))
    np.testing.assert_allclose(drag, true, rtol=0.15)
    np.testing.assert_allclose(servo.each("friction_nm"), ODD.each("friction_nm"), rtol=0.2)
    low, high = found.intervals["delay_s"]
    assert low[0] <= servo.delay_s <= high[0]
    assert free_rms(servo.rounded(), courses[4:]) < 0.1
    assert free_rms(STANDARD, courses[4:]) > 2.0


def test_standard_servos_are_found_again_and_nothing_gets_worse() -> None:
    courses = recorded(STANDARD, 5)
    servo = fit(courses[:3], RATE_HZ, structure="friction", rng=np.random.default_rng(0)).servo
    assert servo.delay_s == pytest.approx(0.0, abs=0.002)
    np.testing.assert_allclose(servo.each("kp"), 100.0, rtol=0.1)
    drag = servo.each("kv") + servo.each("damping")
    np.testing.assert_allclose(drag, 2.6, rtol=0.1)
    assert free_rms(servo.rounded(), courses[3:]) < 0.05


def test_jaws_round_an_object_do_not_bend_the_servos() -> None:
    """In a third of every episode the gripper is held at where it was, as by a block."""
    courses, held = recorded(ODD, 4), []
    for course in courses:
        state = course.state.copy()
        state[60:, GRIPPER] = state[60, GRIPPER] + 0.4
        held.append((state, np.asarray(course.action)))
    seen = courses_at(held, RATE_HZ)
    share = [1 - c.free[62:, GRIPPER].mean() for c in seen if c.free is not None]
    assert np.mean(share) > 0.5
    assert all(c.free is not None and c.free[:40, :GRIPPER].all() for c in seen)
    servo = fit(seen, RATE_HZ, structure="friction", rng=np.random.default_rng(0)).servo
    ratio, true = (s.each("kp") / (s.each("kv") + s.each("damping")) for s in (servo, ODD))
    np.testing.assert_allclose(ratio[:GRIPPER], true[:GRIPPER], rtol=0.1)
    assert ratio[GRIPPER] == pytest.approx(true[GRIPPER], rel=0.35)


def test_parameters_go_to_a_servo_and_back() -> None:
    courses = recorded(STANDARD, 1)
    search = Search(courses, RATE_HZ, STANDARD, tuple(PARAMETERS))
    for servo in (STANDARD, ODD):
        again = search.servo_of(search.theta_of(servo))
        for name in ("kp", "kv", "damping", "friction_nm", "armature", "reading_offset_rad"):
            np.testing.assert_allclose(again.each(name), servo.each(name), rtol=1e-9, atol=1e-12)
        assert again.delay_s == servo.delay_s


def test_what_a_motion_does_not_show_keeps_a_wide_interval() -> None:
    """An arm that hardly moves tells little of its gains, and the interval says so."""
    still = [Course(c.state[:20], c.action[:20]) for c in recorded(ODD, 4)]
    moving = recorded(ODD, 4)
    widths = []
    for courses in (still, moving):
        found = fit(courses, RATE_HZ, structure="gains", rng=np.random.default_rng(0))
        low, high = found.intervals["kp"]
        widths.append(float(np.log(high / low).mean()))
    assert widths[0] > 2 * widths[1]


def test_the_split_is_drawn_by_its_seed_and_covers_every_episode() -> None:
    fit_to, held_out = split(50, None, 0)
    assert (len(fit_to), len(held_out)) == (40, 10)
    assert sorted(fit_to + held_out) == list(range(50))
    assert split(50, None, 0) == (fit_to, held_out)
    assert split(50, None, 1) != (fit_to, held_out)


@pytest.mark.parametrize(("episodes", "held_out"), [(4, None), (10, 0), (10, 8), (0, None)])
def test_too_few_episodes_are_told(episodes: int, held_out: int | None) -> None:
    with pytest.raises(UsageError, match="at least"):
        split(episodes, held_out, 0)
