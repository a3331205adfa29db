"""One servo on the simulated arm, time in its own steps: what its registers do to the motor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vibrissa.core.units import JOINTS
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.calibration import calibrated, kept, make_servos
from vibrissa.twin.hand import Motion
from vibrissa.twin.registers import BY_NAME
from vibrissa.twin.servo import CURRENT, HEAT, OVERLOAD, Servo
from vibrissa.twin.world import SimulatedBody

NOWHERE = Path("/nonexistent")
PAN, ELBOW, ROLL = 0, 2, 4


@pytest.fixture
def body() -> SimulatedBody:
    """An arm at home, with torque."""
    made = SimulatedBody(make_servos(NOWHERE, "follower"), make_scene("lift"))
    made.advance(0.01)
    for servo in made.servos:
        put(servo, Acceleration=254, P_Coefficient=16, Torque_Enable=1)
    made.advance(1.0)
    return made


def put(servo: Servo, **values: int) -> None:
    """Write registers as the bus does."""
    for name, value in values.items():
        assert servo.write(BY_NAME[name].address, BY_NAME[name].encode(value))


def seen(servo: Servo, name: str) -> int:
    register = BY_NAME[name]
    return register.decode(servo.read(register.address, register.size))


def held(body: SimulatedBody) -> None:
    """A hand takes every joint where it is, and does not let go."""
    body.hand = Motion(np.zeros(1), body.angles[None], holds=True)


def test_time_in_any_portions_is_the_same_time() -> None:
    ends = []
    for portions in ([2.0], [0.3] * 6 + [0.2], [0.0013] * 1538 + [0.0006]):
        body = SimulatedBody(make_servos(NOWHERE, "follower"), make_scene("lift"))
        for portion in portions:
            body.advance(portion)
        ends.append(body.angles)
    assert ends[0] == pytest.approx(ends[1], abs=1e-12)
    assert ends[0] == pytest.approx(ends[2], abs=1e-3)


def test_torque_on_holds_where_it_is_and_never_jumps_to_an_old_goal(body) -> None:
    roll = body.servos[ROLL]
    put(roll, Goal_Position=2500)
    body.advance(2.0)
    put(roll, Torque_Enable=0)
    body.hand = Motion(np.zeros(1), np.where(np.arange(6) == ROLL, 0.2, np.nan)[None], holds=True)
    body.advance(2.0)
    body.hand = None
    there = seen(roll, "Present_Position")
    put(roll, Torque_Enable=1)
    body.advance(1.0)
    assert seen(roll, "Present_Position") == pytest.approx(there, abs=3)
    assert seen(roll, "Goal_Position") == pytest.approx(there, abs=3)


def test_integral_takes_the_sag_away(body) -> None:
    elbow = body.servos[ELBOW]
    sag = seen(elbow, "Goal_Position") - seen(elbow, "Present_Position")
    put(elbow, I_Coefficient=60)
    body.advance(8.0)
    assert abs(seen(elbow, "Goal_Position") - seen(elbow, "Present_Position")) < abs(sag) / 2


def test_the_torque_limit_is_a_limit_of_the_load(body) -> None:
    pan = body.servos[PAN]
    held(body)
    put(pan, Torque_Limit=300, Goal_Position=seen(pan, "Present_Position") + 800)
    body.advance(0.5)
    assert seen(pan, "Present_Load") == pytest.approx(300, abs=5)


def test_loads_have_the_sign_of_the_push(body) -> None:
    pan = body.servos[PAN]
    held(body)
    here = seen(pan, "Present_Position")
    for push in (300, -300):
        put(pan, Goal_Position=here + push)
        body.advance(0.6)
        assert np.sign(seen(pan, "Present_Load")) == np.sign(push)


def test_wheel_mode_turns_at_the_speed_asked(body) -> None:
    roll = body.servos[ROLL]
    put(roll, Operating_Mode=1, Goal_Velocity=-500)
    body.advance(0.5)
    assert seen(roll, "Present_Velocity") == pytest.approx(-500, rel=0.1)
    assert seen(roll, "Moving")
    put(roll, Goal_Velocity=0)
    body.advance(0.5)
    assert not seen(roll, "Moving")


def test_too_much_current_for_too_long_takes_the_torque(body) -> None:
    pan = body.servos[PAN]
    held(body)
    put(pan, Overload_Torque=254, Protection_Current=200, Over_Current_Protection_Time=50)
    put(pan, Goal_Position=seen(pan, "Present_Position") + 800)
    body.advance(0.4)
    assert pan.status == 0
    body.advance(0.3)
    assert pan.status == CURRENT
    body.advance(0.1)
    assert seen(pan, "Present_Load") == 0
    put(pan, Torque_Enable=0)
    assert pan.status == 0


def test_a_stalled_motor_gets_hot_and_gives_up(body) -> None:
    pan = body.servos[PAN]
    held(body)
    put(pan, Overload_Torque=254, Protection_Current=511)
    put(pan, Goal_Position=seen(pan, "Present_Position") + 1000)
    body.advance(8.0)
    assert seen(pan, "Present_Temperature") > 27
    pan.heat_c = 71.0
    body.advance(0.1)
    assert pan.status & HEAT
    assert seen(pan, "Present_Load") == 0


def test_an_overload_that_nobody_unloads_for_changes_nothing(body) -> None:
    pan = body.servos[PAN]
    put(pan, Unloading_Condition=0, Protection_Time=10)
    held(body)
    put(pan, Goal_Position=seen(pan, "Present_Position") + 800)
    body.advance(2.0)
    assert not pan.status & OVERLOAD
    assert seen(pan, "Present_Load") > 900


def test_what_all_draw_pulls_the_supply_down(body) -> None:
    before = body.servos[0].volts
    held(body)
    for servo in body.servos[:3]:
        put(servo, Goal_Position=max(0, seen(servo, "Present_Position") - 700))
    body.advance(0.5)
    assert body.servos[5].volts < before - 0.3


def test_a_plug_that_is_pulled_takes_torque_and_sram(body) -> None:
    elbow = body.servos[ELBOW]
    elbow.plug(False)
    body.advance(0.1)
    assert elbow.volts == 0
    elbow.plug(True)
    assert seen(elbow, "Torque_Enable") == 0
    assert seen(elbow, "Acceleration") == 0
    assert seen(elbow, "P_Coefficient") == 16


def test_a_brown_out_is_a_restart(body) -> None:
    body.volts = 3.0
    body.advance(0.1)
    assert not any(servo.powered for servo in body.servos)
    body.volts = 12.0
    body.advance(0.1)
    assert all(servo.powered for servo in body.servos)
    assert [seen(servo, "Torque_Enable") for servo in body.servos] == [0] * 6


def test_turns_are_counted_only_where_phase_says_so(body) -> None:
    roll = body.servos[ROLL]
    assert seen(roll, "Phase") & 0x10 == 0
    put(roll, Homing_Offset=-2000)
    assert 0 <= seen(roll, "Present_Position") < 4096
    put(roll, Phase=12 | 0x10)
    assert roll.ticks(6.0) > 4096


def test_calibrated_servos_read_the_models_angles() -> None:
    servos = make_servos(NOWHERE, "leader", "calibrated")
    for servo, joint in zip(servos, JOINTS, strict=True):
        entry = calibrated("leader")[joint]
        middle = (entry["Min_Position_Limit"] + entry["Max_Position_Limit"]) / 2
        angle = 0.78540 if joint == "gripper" else 0.0
        assert servo.ticks(angle) == pytest.approx(middle, abs=1.0)
    assert kept(NOWHERE) == {}
