"""Hands: gently, no faster than told, through whole ranges, and along what was recorded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vibrissa.core.errors import UsageError
from vibrissa.core.units import GRIPPER, HIGH_RAD, JOINTS, LOW_RAD
from vibrissa.twin.hand import SCRIPTS, alone, along, scripted, through

poses = arrays(np.float64, 6, elements=st.floats(-1.5, 1.5)).map(
    lambda pose: np.clip(pose, LOW_RAD, HIGH_RAD).astype(np.float64)
)


@settings(deadline=None, max_examples=30)
@given(poses, st.sampled_from(sorted(SCRIPTS)), st.floats(0.3, 3.0))
def test_every_script_starts_where_the_arm_is_and_keeps_its_speed_and_range(start, name, rad_s):
    motion = scripted(name, start, rad_s)
    assert motion(0.0) == pytest.approx(start)
    moment = np.linspace(0, min(motion.length_s, 60), 3000)
    path = np.array([motion(t) for t in moment])
    speeds = np.abs(np.diff(path, axis=0)) / np.diff(moment)[:, None]
    assert np.nanmax(speeds) < 1.1 * rad_s
    assert (path > LOW_RAD - 1e-3).all()
    assert (path < HIGH_RAD + 1e-3).all()


def test_the_sweep_reaches_both_ends_of_every_joint() -> None:
    path = scripted("sweep", np.zeros(6)).path
    assert path.min(axis=0) == pytest.approx(LOW_RAD)
    assert path.max(axis=0) == pytest.approx(HIGH_RAD)


def test_the_circle_has_no_end_and_no_jump() -> None:
    motion = scripted("circle", np.zeros(6))
    assert motion.loop_s is not None
    for t in (motion.length_s, 3 * motion.length_s, 1e4):
        assert motion(t + 0.001) == pytest.approx(motion(t - 0.001), abs=0.01)
    assert not motion.over(1e6)


def test_a_hand_lets_go_unless_it_holds() -> None:
    motion = through(np.zeros(6), [np.ones(6)])
    assert np.isnan(motion(motion.length_s + 1)).all()
    assert motion.over(motion.length_s + 1)


def test_one_joint_alone_in_the_units_of_lerobot() -> None:
    stop = alone("gripper", 100.0)
    assert stop[GRIPPER] == pytest.approx(HIGH_RAD[GRIPPER], abs=1e-4)
    assert np.isnan(stop[:GRIPPER]).all()
    assert alone("elbow_flex", 45.0)[2] == pytest.approx(np.pi / 4, abs=1e-4)
    with pytest.raises(UsageError, match="shoulder_pan"):
        alone("tail", 0.0)


def test_a_recorded_path_is_followed_at_its_own_times() -> None:
    path = np.linspace(0, 0.5, 50)[:, None] * np.ones(6)
    motion = along(np.full(6, 0.1), (np.arange(50) / 30).tolist(), path)
    way_s = motion.length_s - 49 / 30
    assert motion(way_s) == pytest.approx(path[0], abs=1e-6)
    assert motion(way_s + 10 / 30) == pytest.approx(path[10], abs=1e-6)


@pytest.mark.parametrize(
    ("times", "shape"), [([0.0], (1, 6)), ([0.0, 0.0], (2, 6)), ([0.0, 1.0], (2, 5))]
)
def test_what_is_no_path_is_refused(times, shape) -> None:
    with pytest.raises(UsageError, match=f"{len(JOINTS)} joints"):
        along(np.zeros(6), times, np.zeros(shape))
