"""The servos: the same as ever by default, and as late, as soft and as askew as they are told."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibrissa.core.errors import ContractError
from vibrissa.core.units import HIGH_RAD, LOW_RAD
from vibrissa.sim.arm import SimArm
from vibrissa.sim.scene import SceneCfg, build
from vibrissa.sim.servo import PER_JOINT, CommandLine, ServoCfg
from vibrissa.sim.snapshot import restore, save
from vibrissa.sim.tasks import make_scene

ODD = ServoCfg(
    kp=(18.0, 20.0, 22.0, 17.0, 15.0, 12.0),
    friction_nm=0.1,
    delay_s=0.05,
    reading_scale=(0.97, 0.98, 1.02, 1.0, 1.0, 0.9),
    reading_offset_rad=(0.05, -0.03, 0.02, 0.0, 0.1, 0.0),
)


def moved(servo: ServoCfg, ticks: int) -> np.ndarray:
    """The states (ticks, 6) after one step of the target by 0.3 rad."""
    arm = SimArm(make_scene("pick-place", servo=servo))
    arm.reset(0)
    assert arm.target is not None
    aim, seen = (arm.target + 0.1).astype(np.float32), []
    for _ in range(ticks):
        arm.send(aim)
        seen.append(arm.observe().state)
    return np.stack(seen)


def test_the_defaults_are_the_model_s_own_numbers() -> None:
    model = build(make_scene("pick-place"))
    joints = slice(0, 6)
    assert (model.dof_damping[joints] == 0.6).all()
    assert (model.dof_frictionloss[joints] == 0.052).all()
    assert (model.dof_armature[joints] == 0.028).all()
    assert (model.actuator_gainprm[:, 0] == 100).all()
    assert ServoCfg().reads_true


def test_every_number_reaches_the_model_joint_by_joint() -> None:
    six = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    servo = ServoCfg(kp=six, kv=six, force_nm=six, friction_nm=six, damping=six, armature=six)
    model = build(make_scene("pick-place", servo=servo))
    for got in (
        model.actuator_gainprm[:, 0],
        -model.actuator_biasprm[:, 1],
        -model.actuator_biasprm[:, 2],
        model.actuator_forcerange[:, 1],
        model.dof_frictionloss[:6],
        model.dof_damping[:6],
        model.dof_armature[:6],
    ):
        np.testing.assert_allclose(got, six)


def test_one_number_for_all_is_the_same_number_six_times() -> None:
    six = dataclasses.replace(ServoCfg(), **{n: (getattr(ServoCfg(), n),) * 6 for n in PER_JOINT})
    np.testing.assert_array_equal(moved(six, 10), moved(ServoCfg(), 10))


@pytest.mark.parametrize("ticks", [1, 2, 3])
def test_a_delay_of_whole_ticks_shifts_the_motion_by_them(ticks: int) -> None:
    late = moved(ServoCfg(delay_s=ticks / 30), 12)
    at_once = moved(ServoCfg(), 12 - ticks)
    resting = SimArm(make_scene("pick-place"))
    resting.reset(0)
    assert np.abs(late[:ticks] - resting.observe().state).max() < 2e-3
    np.testing.assert_allclose(late[ticks:], at_once, atol=2e-3)


def test_a_delay_within_a_tick_lies_between() -> None:
    now, half, later = (moved(ServoCfg(delay_s=s), 1)[0] for s in (0.0, 1 / 60, 1 / 30))
    assert (half - later > 0.01).all()
    assert (now - half > 0.01).all()


@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=20),
    st.integers(0, 40),
)
def test_targets_arrive_in_order_and_on_time(plan: list[tuple[int, bool]], delay: int) -> None:
    line, now, sent, got = CommandLine(delay), 0, {}, {}
    for pause, sends in plan:
        if sends:
            sent[now] = np.full(6, now, np.float32)
            line.send(sent[now])
        left = pause
        while True:
            target = line.arrived()
            if target is not None:
                got[now] = target
            if left == 0:
                break
            steps = line.quiet(left)
            assert 0 < steps <= left
            line.wait(steps)
            now, left = now + steps, left - steps
    due = {at + delay: target for at, target in sent.items() if at + delay <= now}
    assert got.keys() == due.keys()
    assert all(np.array_equal(got[at], due[at]) for at in due)


def test_what_is_on_its_way_is_part_of_a_snapshot() -> None:
    cfg = make_scene("pick-place", servo=ServoCfg(delay_s=0.08))
    arm, other = SimArm(cfg), SimArm(cfg)
    arm.reset(0)
    rng = np.random.default_rng(0)
    for _ in range(4):
        arm.send(rng.uniform(LOW_RAD, HIGH_RAD).astype(np.float32))
        arm.observe()
    kept = save(arm)
    assert len(kept.waiting) == 2
    restore(other, kept)
    aim = np.zeros(6, np.float32)
    for _ in range(6):
        for each in (arm, other):
            each.send(aim)
        np.testing.assert_array_equal(arm.observe().state, other.observe().state)


def test_an_episode_forgets_what_was_on_its_way() -> None:
    arm = SimArm(make_scene("pick-place", servo=ServoCfg(delay_s=0.3)))
    arm.reset(0)
    arm.send(np.zeros(6, np.float32))
    arm.observe()
    arm.reset(0)
    assert arm.line.waiting == ()


def test_readings_and_joints_are_inverse() -> None:
    q = np.linspace(LOW_RAD, HIGH_RAD, 9, dtype=np.float64)
    np.testing.assert_allclose(ODD.joints(ODD.readings(q)), q, atol=1e-12)
    np.testing.assert_allclose(ODD.readings(q)[:, 0], 0.97 * q[:, 0] + 0.05)


def test_an_arm_of_another_calibration_is_told_and_reads_its_own_numbers() -> None:
    askew = dataclasses.replace(ServoCfg(), reading_offset_rad=0.1, reading_scale=0.9)
    arm = SimArm(make_scene("pick-place", servo=askew))
    arm.reset(0)
    home = np.array(arm.cfg.home_rad)
    assert arm.target is not None
    np.testing.assert_allclose(arm.target, 0.9 * home + 0.1, atol=1e-6)
    np.testing.assert_allclose(arm.observe().state, 0.9 * home + 0.1, atol=0.02)
    seen = arm.observe().state
    aim = seen + np.float32(0.05)
    for _ in range(20):
        arm.send(aim)
        seen = arm.observe().state
    np.testing.assert_allclose(seen, aim, atol=0.02)
    arm.hold()
    np.testing.assert_allclose(arm.data.ctrl, askew.joints(seen), atol=1e-6)


def test_the_expert_knows_what_its_arm_reads() -> None:
    from vibrissa.control.drive import run_episode
    from vibrissa.sim.expert import Expert
    from vibrissa.sim.tasks import make_task

    servo = ServoCfg(reading_scale=0.95, reading_offset_rad=0.03)
    scene = make_scene("pick-place", servo=servo)
    for seed in (1, 2):
        episode = run_episode(
            SimArm(scene), Expert(scene), make_task("pick-place", scene), [], seed=seed
        )
        assert episode.outcome.success


def test_a_scene_with_such_servos_goes_through_json() -> None:
    cfg = make_scene("lift", servo=ODD)
    assert SceneCfg.from_dict(json.loads(json.dumps(cfg.to_dict()))) == cfg


def test_a_scene_from_before_there_were_these_fields_is_read() -> None:
    raw = make_scene("lift").to_dict()
    raw["servo"] = {"kp": 100.0, "kv": 2.0, "force_nm": 3.35, "most_rad_s": 4.7}
    assert SceneCfg.from_dict(raw) == make_scene("lift")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"kp": (1.0, 2.0)}, "one for each of shoulder_pan"),
        ({"kp": 0.0}, "above 0"),
        ({"friction_nm": -1.0}, "at least 0"),
        ({"reading_offset_rad": float("nan")}, "finite"),
        ({"delay_s": 2.0}, "between 0 and 1"),
        ({"delay_s": -0.1}, "between 0 and 1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(asked: dict, told: str) -> None:
    with pytest.raises(ContractError, match=told):
        ServoCfg(**asked)


def test_the_expert_aims_soft_servos_against_gravity() -> None:
    """Servos as soft as a real arm's, with its friction: the brick is still picked and placed."""
    from vibrissa.control.drive import run_episode
    from vibrissa.sim.expert import Expert
    from vibrissa.sim.tasks import make_task

    servo = ServoCfg(kp=(9.9, 7.8, 8.8, 9.5, 9.1, 8.3), kv=0.2, friction_nm=0.2)
    scene = make_scene("pick-place", servo=servo)
    arm, expert, task = SimArm(scene), Expert(scene), make_task("pick-place", scene)
    outcomes = [run_episode(arm, expert, task, [], seed=seed).outcome for seed in range(4)]
    assert sum(outcome.success for outcome in outcomes) >= 3
