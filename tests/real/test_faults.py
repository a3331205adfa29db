"""Every fault of a bus, made on purpose: what the arm says of it, that it holds, how it ends.

How long things take is bounded by what the arm promises, many times over: a busy computer is
slower than an arm.
"""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from twin.waiting import until

from vibrissa.control.clock import WallClock
from vibrissa.control.drive import run_episode
from vibrissa.control.keys import NoKeys
from vibrissa.control.session import HumanTask
from vibrissa.core.episode import Episode
from vibrissa.core.errors import ArmFault
from vibrissa.core.units import JOINTS
from vibrissa.real import link
from vibrissa.real.arm import RealArm
from vibrissa.real.leader import Leader
from vibrissa.twin.faults import BusFault


@pytest.fixture
def station(twin):
    return twin.stations["follower"]


@pytest.fixture
def ready(arm):
    arm.reset(0)
    return arm


def _fault(arm: RealArm) -> str:
    """Run ticks until one fails; what it said."""

    def tick() -> bool:
        arm.send(arm.observe().state)
        return False

    with pytest.raises(ArmFault) as caught:
        until(tick)
    told = str(caught.value)
    assert "\n" not in told
    return told


def _goals(station) -> list[int]:
    return [servo.memory["Goal_Position"] for servo in station.bus.servos]


def _torques(station) -> list[int]:
    return [servo.memory["Torque_Enable"] for servo in station.bus.servos]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (BusFault("silent", joint="elbow_flex"), "no answer from elbow_flex. It holds its last"),
        (BusFault("silent"), "no answer from shoulder_pan, shoulder_lift, elbow_flex, wrist_flex"),
        (BusFault("lost"), "no answer from shoulder_pan"),
        (BusFault("late", amount=0.2), "It holds its last target"),
        (BusFault("truncated"), "no answer from shoulder_pan"),
        (BusFault("corrupted"), "no answer from shoulder_pan"),
        (BusFault("unheard"), "no answer from shoulder_pan"),
        (BusFault("gone"), "vanished. Check cable, hub and power."),
        (BusFault("overload", joint="elbow_flex"), "elbow_flex gives way by itself: overloaded"),
    ],
    ids=lambda value: value.kind if isinstance(value, BusFault) else "",
)
def test_a_fault_that_stays_ends_the_episode_and_the_arm_holds(ready, station, fault, told) -> None:
    station.fault(fault)
    assert told in _fault(ready)
    goals = _goals(station)
    ready.hold()  # has nothing to add, and nobody to tell
    station.heal()
    assert all(_torques(station))
    assert _goals(station) == goals  # nobody moved it
    until(station.port.link.exists)
    ready.reset(1)
    assert ready.observe().tick == 0


@pytest.mark.parametrize("kind", ["lost", "truncated", "corrupted", "late", "unheard"])
def test_a_packet_now_and_then_costs_a_moment_and_no_wrong_reading(ready, station, kind) -> None:
    still = ready.observe().state
    rate = 0.05 if kind == "unheard" else 0.01  # of instructions, of which there are fewer
    station.fault(BusFault(kind, rate=rate, amount=0.03 if kind == "late" else None))

    def tick() -> bool:
        ready.send(still)
        observation = ready.observe()
        np.testing.assert_allclose(observation.state, still, atol=0.02)
        return observation.tick > 60 and (ready.link.bus.trouble > 0 or kind == "late")

    until(tick)


def test_a_silent_servo_keeps_nobody_else_s_torque_and_the_port_is_closed(
    ready, station, said
) -> None:
    station.fault(BusFault("silent", joint="elbow_flex"))
    ready.close()
    assert _torques(station) == [0, 0, 1, 0, 0, 0]
    assert not ready.link.bus.is_open
    assert said == [
        "arm 'follower': its torque goes off now, hold the arm!",
        "arm 'follower': elbow_flex does not answer and may still hold",
    ]


def test_a_port_that_is_gone_at_the_end_is_told(ready, station, said) -> None:
    station.fault(BusFault("gone"))
    until(lambda: not station.port.link.exists())
    ready.close()
    assert len(said) == 1
    assert "is gone, so its torque is still on. Hold the arm and switch its power off." in said[0]


def test_a_port_that_came_back_is_used_to_let_go(ready, station) -> None:
    station.fault(BusFault("gone"))
    assert "vanished" in _fault(ready)
    station.heal()
    until(station.port.link.exists)
    ready.close()
    assert not any(_torques(station))


def test_what_went_wrong_at_the_end_does_not_mask_what_went_wrong_before(rig, station) -> None:
    error = ValueError("a recording's own")
    with contextlib.suppress(ValueError), RealArm(rig, 30, say=print, warning_s=0) as arm:
        arm.reset(0)
        station.fault(BusFault("silent", joint="gripper"))
        raise error
    assert error.__notes__ == ["arm 'follower': gripper does not answer and may still hold"]


def test_an_arm_that_does_not_come_back_is_told_in_the_end(ready, station, monkeypatch) -> None:
    monkeypatch.setattr(link, "COME_BACK_S", 0.5)
    station.fault(BusFault("gone"))
    until(lambda: not station.port.link.exists())
    with pytest.raises(ArmFault, match="there is no such port"):
        ready.reset(1)


def test_a_sagging_supply_makes_it_hold_and_go_on(ready, station, said) -> None:
    state = ready.observe().state
    asked = state + np.eye(len(JOINTS), dtype=np.float32)[0]
    station.fault(BusFault("voltage", amount=4.1))
    until(lambda: ready.observe() and any("holds: " in line for line in said))
    held = ready.send(state)
    np.testing.assert_array_equal(ready.send(asked), held)
    station.heal()
    until(lambda: ready.observe() and any("goes on: voltage" in line for line in said))
    assert ready.send(asked)[0] != held[0]


def test_other_firmware_is_told_before_the_arm_moves(rig, station, said) -> None:
    station.fault(BusFault("firmware", joint="gripper"))
    with (
        pytest.raises(ArmFault, match=r"different firmware: shoulder_pan 3\.10.*gripper 3\.9"),
        RealArm(rig, 30, say=said.append, warning_s=0),
    ):
        pass


def test_a_leader_that_falls_silent_ends_the_episode_and_the_arm_holds(
    rig, twin, ready, station
) -> None:
    ends: list[Episode] = []

    class Watcher:
        def on_start(self, start) -> None:
            twin.stations["leader"].fault(BusFault("silent", at_s=0.3))

        def on_step(self, step) -> None:
            return None

        def on_end(self, episode: Episode) -> None:
            ends.append(episode)

    with Leader(rig.leader) as leader:
        task = HumanTask("lead", seconds=60, rate_hz=30, keys=NoKeys())
        with pytest.raises(ArmFault, match="leader 'leader': no answer from shoulder_pan"):
            run_episode(ready, leader, task, [Watcher()], clock=WallClock(30))
    assert ends[0].outcome.reason == "fault"
    assert all(_torques(station))
    goals = _goals(station)
    np.testing.assert_allclose(
        ready.observe().state, ready.link.calibration.rad(np.array(goals)), atol=0.1
    )


@pytest.mark.parametrize("kind", ["silent", "gone"])
def test_a_leader_that_is_silent_is_told(rig, twin, kind) -> None:
    with Leader(rig.leader) as leader:
        here = leader.read()
        twin.stations["leader"].fault(BusFault(kind))
        until(lambda: kind != "gone" or not twin.stations["leader"].port.link.exists())
        with pytest.raises(ArmFault, match="leader 'leader': "):
            leader.read()
        twin.stations["leader"].heal()
        until(twin.stations["leader"].port.link.exists)
        leader.reset(0)
        np.testing.assert_allclose(leader.read(), here, atol=0.02)
