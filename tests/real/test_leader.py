"""The leader arm, on the twin."""

from __future__ import annotations

import numpy as np
import pytest
from twin.waiting import until

from vibrissa.core.protocols import Pilot
from vibrissa.real.leader import Leader


@pytest.fixture
def leader(rig):
    with Leader(rig.leader) as made:
        yield made


def test_it_says_where_it_stands_and_is_not_held(leader, twin) -> None:
    here = twin.stations["leader"].body.angles
    np.testing.assert_allclose(leader.read(), here, atol=0.02)
    servos = twin.stations["leader"].bus.servos
    assert not any(servo.memory["Torque_Enable"] for servo in servos)


def test_it_leads_the_follower(leader, arm) -> None:
    arm.reset(0)
    assert isinstance(leader, Pilot)
    observation = arm.observe()
    decision = leader.decide(observation)
    assert decision.source == "human"
    assert arm.send(decision.action).shape == decision.action.shape


def test_what_its_servos_report_in_their_answers_is_said_once(rig, twin) -> None:
    said: list[str] = []
    with Leader(rig.leader, retries=20, say=said.append) as leader:
        for servo in twin.servos["leader"]:
            servo.memory["Max_Voltage_Limit"] = 80
        until(lambda: leader.read() is not None and said)
        for _ in range(20):
            leader.read()
    (line,) = said
    assert line.startswith("leader 'leader': every servo reports a voltage outside its limits")
