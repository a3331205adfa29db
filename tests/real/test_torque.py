"""Torque comes on where the arm is: from outside its range it goes back slowly, or not at all."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from twin.waiting import until

from vibrissa.core.errors import ArmFault
from vibrissa.core.units import JOINTS
from vibrissa.real.arm import HAND_RAD_S, RealArm
from vibrissa.real.greet import HAND_TICKS_S
from vibrissa.real.leader import Leader
from vibrissa.real.rig import Rig
from vibrissa.twin.calibration import write_calibration
from vibrissa.twin.servo import Servo
from vibrissa.twin.twin import Twin

A_DEGREE = 4096 / 360
PAN, ROLL = JOINTS.index("shoulder_pan"), JOINTS.index("wrist_roll")


def _here(twin: Twin, joint: int, arm: str = "follower") -> float:
    """Where a joint's servo counts itself, past its seam too."""
    servo, angles = twin.servos[arm][joint], twin.stations[arm].body.angles
    return servo.mount + angles[joint] * 4096 / (2 * np.pi) - servo.memory["Homing_Offset"]


def _calibrate(twin: Twin, change: Callable[[Servo], None], joint: int, arm: str) -> None:
    """Other numbers in a servo and in the arm's file."""
    with twin.stations[arm].lock:
        servo = twin.servos[arm][joint]
        change(servo)
        servo.changed()
        write_calibration(twin.folder, arm, twin.servos[arm])


def _limits(twin: Twin, low: int, high: int, joint: int = PAN) -> None:
    def change(servo: Servo) -> None:
        servo.memory["Min_Position_Limit"], servo.memory["Max_Position_Limit"] = low, high

    _calibrate(twin, change, joint, "follower")


def _shift(twin: Twin, ticks: int, joint: int, arm: str) -> None:
    """A servo that was homed elsewhere: it counts `ticks` further."""

    def change(servo: Servo) -> None:
        offset = servo.memory["Homing_Offset"] - ticks
        servo.memory["Homing_Offset"] = (offset + 2048) % 4096 - 2048

    _calibrate(twin, change, joint, arm)


@contextlib.contextmanager
def _watched(twin: Twin, joint: int) -> Iterator[list[tuple[float, float]]]:
    """Where a joint is meanwhile: (s of the twin's time, ticks)."""
    seen: list[tuple[float, float]] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            with twin.stations["follower"].lock:
                seen.append((twin.follower.time_s, _here(twin, joint)))

    thread = threading.Thread(target=look)
    thread.start()
    yield seen
    over.set()
    thread.join()


def _fastest_deg_s(seen: list[tuple[float, float]]) -> float:
    """Over a tenth of a second."""
    speeds = [0.0]
    last = seen[0]
    for now in seen:
        if now[0] - last[0] >= 0.1:
            speeds.append(abs(now[1] - last[1]) / (now[0] - last[0]) / A_DEGREE)
            last = now
    return max(speeds)


def _torques(twin: Twin) -> list[int]:
    return [servo.memory["Torque_Enable"] for servo in twin.servos["follower"]]


@pytest.mark.parametrize("side", [1, -1])
def test_a_joint_outside_its_range_goes_back_at_a_hand_s_speed(
    rig: Rig, twin: Twin, said: list[str], side: int
) -> None:
    end = round(_here(twin, PAN)) + side * round(20 * A_DEGREE)
    _limits(twin, min(end, end + side * 1500), max(end, end + side * 1500))
    with _watched(twin, PAN) as seen, RealArm(rig, 30, say=said.append, warning_s=0) as arm:
        arm.reset(0)
        assert (end - _here(twin, PAN)) * side < 6 * A_DEGREE
        assert all(_torques(twin))
        assert not any(s.memory["Goal_Velocity"] for s in twin.servos["follower"])
    assert said[0] == (
        "arm 'follower': shoulder_pan stands 20° outside its calibrated range and goes back into "
        "it slowly. Keep clear of it."
    )
    assert 5 < _fastest_deg_s(seen) < 1.5 * HAND_TICKS_S / A_DEGREE


def test_a_joint_that_something_keeps_outside_its_range_is_named(
    rig: Rig, twin: Twin, said: list[str]
) -> None:
    end = round(_here(twin, PAN)) + round(20 * A_DEGREE)
    _limits(twin, end, end + 1500)
    station = twin.stations["follower"]
    at = station.body.angles
    with station.lock:
        station.body.hand = lambda _: at  # type: ignore[assignment]
    with (
        pytest.raises(ArmFault, match=r"shoulder_pan did not get back into its calibrated range"),
        RealArm(rig, 30, say=said.append, warning_s=0),
    ):
        pass
    assert not any(_torques(twin))


def test_every_servo_gets_its_goal_before_its_torque(rig: Rig, twin: Twin) -> None:
    """A servo turns to whatever goal it was left with, as soon as it has torque."""
    left = {joint: 1000 + 300 * i for i, joint in enumerate(JOINTS)}
    at_torque: dict[str, int] = {}
    for servo in twin.servos["follower"]:
        servo.memory["Goal_Position"] = left[servo.joint]
        _note_goal_at_torque(servo, at_torque)
    with RealArm(rig, 30, say=lambda _: None, warning_s=0) as arm:
        arm.link.bus.read_all("Lock")  # answered after what connecting wrote
        assert at_torque == {
            joint: pytest.approx(_here(twin, i), abs=2 * A_DEGREE) for i, joint in enumerate(JOINTS)
        }


def _note_goal_at_torque(servo: Servo, at_torque: dict[str, int]) -> None:
    """Into `at_torque`, which goal the servo had when its torque was first switched on."""
    write = servo.write

    def noting(address: int, data: bytes) -> list[str]:
        goal = servo.memory["Goal_Position"]
        taken = write(address, data)
        if "Torque_Enable" in taken and servo.memory["Torque_Enable"]:
            at_torque.setdefault(servo.joint, goal)
        return taken

    servo.write = noting  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("beyond_deg", "told"),
    [(45, "outside its calibrated range: shoulder_pan by 45°"), (-45, "shoulder_pan by 45°")],
)
def test_a_joint_far_outside_its_range_gets_no_torque(rig, twin, said, beyond_deg, told) -> None:
    here, beyond = round(_here(twin, PAN)), round(abs(beyond_deg) * A_DEGREE)
    _limits(twin, *((here + beyond, here + beyond + 900)[:: 1 if beyond_deg > 0 else -1]))
    if beyond_deg < 0:
        _limits(twin, here - beyond - 900, here - beyond)
    with pytest.raises(ArmFault, match=told), RealArm(rig, 30, say=said.append, warning_s=0):
        pass
    assert not any(_torques(twin))


def test_a_joint_on_the_other_side_of_its_seam_gets_no_torque(rig, twin, said) -> None:
    """From there its servo would turn the long way round into its range."""
    _shift(twin, round(-10 - _here(twin, PAN)), PAN, "follower")
    _limits(twin, 100, 2100)
    with (
        pytest.raises(ArmFault, match=r"shoulder_pan stands beyond the end of its servo's count"),
        RealArm(rig, 30, say=said.append, warning_s=0),
    ):
        pass
    assert not any(_torques(twin))


def test_outside_the_model_s_limits_it_holds_there_and_its_next_move_is_slow(
    rig: Rig, twin: Twin, said: list[str]
) -> None:
    at = round(170 * 4095 / 360 + 2047.5)  # of wrist_roll, whose model ends at 163°
    _shift(twin, at - round(_here(twin, ROLL)), ROLL, "follower")
    with RealArm(rig, 30, say=said.append, warning_s=0) as arm:
        arm.reset(0)
        assert any("wrist_roll stands 7° outside its limits" in line for line in said)
        state, high = arm.observe().state, arm._limits.high[ROLL]
        assert np.rad2deg(state[ROLL]) == pytest.approx(170, abs=0.5)
        before, began_s = float(state[ROLL]), time.perf_counter()
        until(lambda: arm.send(state)[ROLL] <= high)
        assert before - high <= HAND_RAD_S * (time.perf_counter() - began_s + 0.3)


def test_a_servo_whose_power_dropped_is_noticed_and_takes_its_torque_where_it_is(
    arm: RealArm, twin: Twin
) -> None:
    arm.reset(0)
    with twin.stations["follower"].lock:
        for servo in twin.servos["follower"]:
            servo.power_on()
    asked = arm.observe().state
    asked[PAN] += 0.6

    def tick() -> bool:
        arm.observe()
        arm.send(asked)
        return False

    with pytest.raises(ArmFault, match=r"no torque in shoulder_pan, .*the power dropped"):
        until(tick)
    with _watched(twin, PAN) as seen:
        arm.reset(1)
    assert all(_torques(twin))
    assert _fastest_deg_s(seen) < 20


def test_a_follower_that_passes_its_seam_stops_there(rig: Rig, twin: Twin, said) -> None:
    with RealArm(rig, 30, say=said.append, warning_s=0) as arm:
        arm.reset(0)
        arm.observe()
        servo = twin.servos["follower"][ROLL]
        path = iter([4000, 4090, 10, 40, 40, 40, 40, 40, 40, 40])
        at = [4000]
        servo.ticks = lambda angle_rad: float(at[0])  # type: ignore[method-assign]
        arm.link.joints.forget()

        def passing() -> None:
            for at[0] in path:
                arm.observe()

        with pytest.raises(ArmFault, match="wrist_roll stands beyond the end of its servo's count"):
            passing()
        assert at[0] == 10
        until(lambda: servo.memory["Goal_Position"] == 10)
        arm.hold()
        arm.link.bus.read_all("Lock")  # answered after what hold() wrote
        assert servo.memory["Goal_Position"] in (0, 10)


def test_a_leader_that_passes_its_seam_goes_on_and_says_so(rig: Rig, twin: Twin, said) -> None:
    station = twin.stations["leader"]
    _shift(twin, round(40 - _here(twin, ROLL, "leader")), ROLL, "leader")
    assert rig.leader is not None
    with Leader(rig.leader, retries=20, say=said.append) as leader:
        first = float(leader.read()[ROLL])
        start = station.body.angles
        for turned_deg in np.arange(0, 40, 1.5):
            with station.lock:
                away = np.zeros(len(JOINTS))
                away[ROLL] = -np.deg2rad(turned_deg)
                station.body.hand = lambda _, away=away: start + away  # type: ignore[assignment]
            until(lambda: abs(leader.read()[ROLL] - first + np.deg2rad(turned_deg)) < 0.02)  # noqa: B023
    (line,) = said
    assert "leader 'leader': wrist_roll passed the end of its servo's count" in line


def test_where_a_leader_cannot_be_is_not_passed_on(rig: Rig, twin: Twin, said) -> None:
    assert rig.leader is not None
    with Leader(rig.leader, retries=20, say=said.append) as leader:
        before = leader.read()
        here = _here(twin, ROLL, "leader")
        servo = twin.servos["leader"][ROLL]
        servo.ticks = lambda angle_rad: here + 1500  # type: ignore[method-assign]
        np.testing.assert_allclose(leader.read(), before, atol=0.01)
    (line,) = said
    assert line.startswith("leader 'leader': wrist_roll read where it cannot be")
