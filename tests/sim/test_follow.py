"""The arm that stands in for a recorded one starts there, at rest, with nothing in its way."""

from __future__ import annotations

import numpy as np

from vibrissa.sim.arm import SimArm
from vibrissa.sim.follow import Course, Follower, RecordedStart
from vibrissa.sim.servo import ServoCfg
from vibrissa.sim.tasks import make_scene

STATE = np.array([0.2, -0.5, 0.3, 0.9, 0.1, 0.4], np.float32)
SOFT = ServoCfg(kp=9.0, kv=0.2, friction_nm=0.25)


def test_it_starts_at_rest_where_the_recorded_arm_did_and_has_not_sagged() -> None:
    arm = RecordedStart(make_scene("pick-place", servo=SOFT), STATE, STATE + np.float32(0.1))
    for seed in (0, 1):
        arm.reset(seed)
        np.testing.assert_allclose(arm.observe().state, STATE, atol=1e-6)
        assert not arm.data.qvel.any()
        np.testing.assert_allclose(arm.target, STATE + 0.1, atol=1e-6)  # type: ignore[arg-type]


def test_the_table_is_not_in_its_way_and_the_shared_model_stays_as_it_was() -> None:
    scene = make_scene("pick-place")
    below = np.array([0.0, 0.9, 0.0, 0.9, 0.0, 0.3], np.float32)  # through the table's top
    heights = []
    for arm in (SimArm(scene), RecordedStart(scene, STATE, STATE), SimArm(scene)):
        arm.reset(0)
        for _ in range(60):
            arm.send(below)
            arm.observe()
        heights.append(float(arm.observe().truth["tip_position"][2]))
    assert heights[1] < -0.05
    assert heights[0] == heights[2] > -0.01


def test_a_delay_between_two_physics_steps_lies_between_them() -> None:
    action = np.repeat(STATE[None], 30, axis=0)
    action[5:] += 0.3
    follower = Follower([Course(action, action)], 30.0)
    early, half, late = (
        follower.follow(ServoCfg(kp=9.0, delay_s=steps / 600))[0] for steps in (10, 10.5, 11)
    )
    np.testing.assert_allclose(half, (early + late) / 2, atol=1e-4)
    assert np.abs(early - late).max() > 1e-3


def test_gravity_pulls_at_the_joints_that_lift_and_not_at_the_upright_axis() -> None:
    follower = Follower([Course(STATE[None], STATE[None])], 30.0)
    out = np.array([[0.0, 1.2, -1.2, 0.0, 0.0, 0.0], [0.5, 1.2, -1.2, 0.0, 0.0, 0.0]])
    pull = follower.gravity_nm(out)
    assert np.abs(pull[:, 0]).max() < 1e-6
    assert np.abs(pull[:, 1]).min() > 0.5
    np.testing.assert_allclose(pull[0], pull[1], atol=1e-6)
