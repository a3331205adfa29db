"""Joint by joint: a press moves one for a moment, within its limits, from where the arm is."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import CONTRACT, OneJoint, Reach, Tape

from vibrissa.control.drive import run_episode
from vibrissa.control.forward import Readable
from vibrissa.control.jog import JOG_KEYS, MOST_RAD_S, PRESS_S, Jog, KeySpeeds
from vibrissa.control.keys import ScriptedKeys, split
from vibrissa.control.session import WORDS
from vibrissa.core.episode import Observation
from vibrissa.core.errors import ArmFault, UsageError


class _Now:
    s = 0.0

    def __call__(self) -> float:
        return self.s


def _here(q: float = 0.0) -> Observation:
    return Observation(0, 0.0, np.array([q], np.float32))


def test_a_press_moves_its_joint_for_a_moment() -> None:
    now = _Now()
    speeds = KeySpeeds(ScriptedKeys(["w", None, "d", "w", "x"]), 6, now=now)
    np.testing.assert_array_equal(speeds(), [0, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(speeds(), [0, -1, -1, 0, 0, 0])  # the last word counts
    now.s += PRESS_S + 0.001
    assert not speeds().any()


def test_it_starts_where_the_arm_is_and_stays_within_the_limits() -> None:
    now = _Now()
    pilot = Jog(KeySpeeds(ScriptedKeys(["q"] * 500), 1, now=now), CONTRACT, now=now)
    pilot.reset(0)
    with pytest.raises(ArmFault):
        pilot.read()
    assert isinstance(pilot, Readable)
    decision = pilot.decide(_here(0.3))
    assert (decision.source, float(decision.action[0])) == ("human", pytest.approx(0.3))
    now.s += 0.1
    assert float(pilot.read()[0]) == pytest.approx(0.3 + 0.1 * MOST_RAD_S)
    for _ in range(100):
        now.s += 0.1
        pilot._speeds = lambda: np.ones(1, np.float32)
        assert float(pilot.read()[0]) <= CONTRACT.action[0].high


@pytest.mark.parametrize(("keeps", "then"), [(True, 0.3), (False, -0.2)])
def test_an_episode_begins_where_the_last_one_ended_or_where_the_arm_stands(keeps, then) -> None:
    pilot = Jog(lambda: np.zeros(1, np.float32), CONTRACT, keeps=keeps)
    for place in (0.3, -0.2):
        pilot.reset(0)
        decision = pilot.decide(_here(place))
    assert float(decision.action[0]) == pytest.approx(then)
    pilot.part()
    assert float(pilot.decide(_here(-0.2)).action[0]) == pytest.approx(-0.2)


def test_somebody_at_the_keys_solves_a_task() -> None:
    now, tape = _Now(), Tape()
    arm = OneJoint()

    class Pressing:
        def poll(self) -> str | None:
            self.turn = not getattr(self, "turn", False)
            return "q" if self.turn else None

    def tick(_: float) -> None:
        now.s += 1 / 30

    pilot = Jog(KeySpeeds(Pressing(), 1, now=now), CONTRACT, now=now)
    from vibrissa.control.clock import WallClock

    clock = WallClock(30, now=now, sleep=tick)
    assert run_episode(arm, pilot, Reach(), [tape], clock=clock).outcome.success


def test_the_keys_that_lead_are_not_those_that_judge() -> None:
    assert not JOG_KEYS & set(WORDS)
    keys, rest = split(ScriptedKeys(["q", "s", "right", "a", "esc"]), JOG_KEYS)
    assert rest.poll() == "s"
    assert [keys.poll(), keys.poll(), keys.poll()] == ["q", "a", None]
    assert [rest.poll(), rest.poll(), rest.poll()] == ["right", "esc", None]


def test_an_arm_of_too_many_joints_is_one_line() -> None:
    with pytest.raises(UsageError, match="6 joints at most"):
        KeySpeeds(ScriptedKeys([]), 7)


def test_a_joint_moves_for_the_time_between_two_reads_and_stops_at_the_low_limit() -> None:
    now = _Now()
    now.s = 5.0
    pilot = Jog(lambda: -np.ones(1, np.float32), CONTRACT, now=now)
    pilot.reset(0)
    assert float(pilot.decide(_here(0.3)).action[0]) == pytest.approx(0.3)
    for reads in (1, 2):
        now.s += 0.1
        assert float(pilot.read()[0]) == pytest.approx(0.3 - reads * 0.1 * MOST_RAD_S)
    now.s += 60
    assert float(pilot.read()[0]) == CONTRACT.action[0].low
