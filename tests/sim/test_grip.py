"""The grip: forces obey Newton, slip is a motion in the jaws, and looking moves nothing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibrissa.control.drive import run_episode
from vibrissa.control.pilots import Zero
from vibrissa.core.kinematics import matrix, quaternion
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.gl import mujoco
from vibrissa.sim.grip import GripTrack, slip_of
from vibrissa.sim.scene import PLAUSIBLE, STICKY
from vibrissa.sim.snapshot import restore, save
from vibrissa.sim.tasks import make_scene, make_task

metres = st.floats(-1, 1)
places = st.tuples(metres, metres, metres).map(np.array)
turns = st.tuples(*[st.floats(-1, 1)] * 4).map(np.array).filter(lambda q: np.linalg.norm(q) > 0.1)


def truth(
    place: Any = (0, 0, 0), turn: Any = (1, 0, 0, 0), force: Any = (5, 5), carried: bool = True
) -> dict[str, Any]:
    """An object in a gripper that stands at the origin."""
    return {
        "object_position": np.array(place, float),
        "object_quaternion": np.array(turn, float),
        "tip_position": np.zeros(3),
        "tip_rotation": np.eye(3),
        "pad_force_n": np.array(force, float),
        "carried": carried,
    }


def moved(seen: dict[str, Any], shift: np.ndarray, turn: np.ndarray) -> dict[str, Any]:
    """Gripper and object, carried elsewhere together."""
    rotation = matrix(turn)
    return seen | {
        "object_position": rotation @ seen["object_position"] + shift,
        "object_quaternion": quaternion(rotation @ matrix(seen["object_quaternion"])),
        "tip_position": rotation @ seen["tip_position"] + shift,
        "tip_rotation": rotation @ seen["tip_rotation"],
    }


def held(task: str = "pick-place", ticks: int = 30, **scene: Any) -> SimArm:
    """An arm that has lifted the object clear of the table and holds still."""
    arm = SimArm(make_scene(task, **scene))
    expert = Expert(arm.cfg, variety=0.0)
    arm.reset(11)
    expert.reset(11)
    while expert.phase not in ("carry", "rest"):
        arm.send(expert.decide(arm.observe()).action)
    assert arm.target is not None
    for _ in range(ticks):
        arm.send(arm.target)
        arm.observe()
    return arm


@given(places, turns, places, turns)
def test_what_is_carried_along_does_not_slip(
    place: np.ndarray, turn: np.ndarray, shift: np.ndarray, rotation: np.ndarray
) -> None:
    first = truth(place, turn)
    slip = slip_of([first, moved(first, shift, rotation)])
    assert slip.distance_m < 1e-9
    assert slip.angle_rad < 1e-6


@given(places, turns, places, st.floats(0, 3.1))
def test_slip_is_the_way_in_the_jaws_wherever_they_are(
    shift: np.ndarray, rotation: np.ndarray, way: np.ndarray, angle: float
) -> None:
    spun = (np.cos(angle / 2), 0, 0, np.sin(angle / 2))
    ticks = [truth(), truth(way, spun), truth(way / 2)]  # there, and half the way back
    slip = slip_of([moved(t, shift * i, rotation) for i, t in enumerate(ticks)])
    assert slip.distance_m == pytest.approx(np.linalg.norm(way), abs=1e-9)
    assert slip.angle_rad == pytest.approx(angle, abs=1e-6)


def test_holds_are_added_and_what_lies_on_the_table_counts_for_nothing() -> None:
    track = GripTrack()
    assert track.measures() == {"held_ticks": 0.0}
    for seen in (
        truth(force=(99, 99), carried=False),
        truth(force=(4, 6)),
        truth((0.01, 0, 0), force=(8, 0)),
        truth((0.5, 0, 0), carried=False),  # dropped
        truth((0.5, 0, 0), force=(6, 6)),
        truth((0.5, 0.02, 0), force=(6, 8)),
    ):
        track.add(seen)
    assert track.measures() == pytest.approx(
        {
            "held_ticks": 4,
            "static_pad_mean_n": 6,
            "static_pad_max_n": 8,
            "moving_pad_mean_n": 5,
            "moving_pad_max_n": 8,
            "both_pads_share": 0.75,
            "slip_m": 0.03,
            "slip_rad": 0,
        }
    )


def test_a_truth_without_forces_adds_nothing() -> None:
    track = GripTrack()
    track.add({"object_position": np.zeros(3), "touching": True})
    assert track.measures() == {"held_ticks": 0.0}


def test_the_forces_of_a_held_object_bear_its_weight() -> None:
    """Newton: all contact forces on an object at rest add up to its weight, pointing up."""
    arm = held()
    seen, ours = arm.observe().truth, arm.model.geom("object").id
    total, wrench = np.zeros(3), np.zeros(6)
    for index, contact in enumerate(arm.data.contact):
        if ours in contact.geom:
            mujoco.mj_contactForce(arm.model, arm.data, index, wrench)
            on_second = contact.frame.reshape(3, 3).T @ wrench[:3]
            total += on_second if contact.geom[1] == ours else -on_second
    assert total == pytest.approx([0, 0, 0.030 * 9.81], abs=0.01)
    assert seen["carried"]
    friction, force_n = arm.cfg.contact.pad_friction[0], seen["pad_force_n"]
    assert friction * force_n.sum() >= 0.030 * 9.81
    # 3.35 N m at the pads, 60 to 80 mm from the jaw's axis
    assert 3.35 / 0.09 < force_n.min() <= force_n.max() < 3.35 / 0.05


def test_a_closed_empty_gripper_feels_nothing() -> None:
    arm = SimArm(make_scene("lift"))
    arm.reset(0)
    closed = np.array(arm.cfg.home_rad, np.float32)
    closed[5] = -0.1
    for _ in range(20):
        arm.send(closed)
        arm.observe()
    seen = arm.observe().truth
    assert not seen["carried"]
    assert (seen["pad_force_n"] == 0).all()


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 100))
def test_looking_does_not_change_what_follows(seed: int) -> None:
    """An arm that is looked at five times a tick goes the way of one that is only stepped."""
    cfg = make_scene("lift")
    often, never = SimArm(cfg), SimArm(cfg)
    expert = Expert(cfg, action_noise_rad=0.02)
    expert.reset(seed)
    for arm in (often, never):
        arm.reset(seed)
    for _ in range(60):
        action = expert.decide([often.observe() for _ in range(5)][-1]).action
        for arm in (often, never):
            arm.send(action)
        mujoco.mj_step(never.model, never.data, nstep=cfg.substeps)
    assert often.observe().truth["grasped"]
    assert np.array_equal(often.data.qpos, never.data.qpos)
    assert np.array_equal(often.data.qvel, never.data.qvel)


def test_the_forces_of_a_state_put_back_are_the_same_bit_for_bit() -> None:
    arm = held()
    kept, first = save(arm), arm.observe().truth["pad_force_n"]
    arm.send(np.array(arm.cfg.home_rad, np.float32))
    assert not np.array_equal(arm.observe().truth["pad_force_n"], first)
    for other in (arm, SimArm(arm.cfg)):
        restore(other, kept)
        assert np.array_equal(other.observe().truth["pad_force_n"], first)


def test_every_episode_is_told_how_it_was_held() -> None:
    cfg = make_scene("pick-place")
    arm, task = SimArm(cfg), make_task("pick-place", cfg)
    numbers = run_episode(arm, Expert(cfg), task, seed=0).outcome.measures
    assert numbers["held_ticks"] > 30
    assert numbers["both_pads_share"] > 0.9
    assert 0 < numbers["slip_m"] < 0.005
    idle = run_episode(arm, Zero(), task, seed=0).outcome.measures
    assert idle["held_ticks"] == 0
    assert "slip_m" not in idle


def study() -> Any:
    """The grip study of `runs/`, as a module."""
    path = Path(__file__).resolve().parents[2] / "runs" / "grip_study.py"
    spec = importlib.util.spec_from_file_location("grip_study", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["grip_study"] = module  # where its dataclasses look for their own names
    spec.loader.exec_module(module)
    return module


def test_a_lazy_grip_that_sticky_pads_hold_is_lost_by_plausible_ones() -> None:
    """A jaw that gives way a little after contact holds a cube when shaken only if it sticks."""
    runs = study()
    assert runs.pads("1").pad_friction == PLAUSIBLE.pad_friction
    assert runs.pads("sticky") == STICKY
    lazy_rad, firm_rad, seeds = -0.0015, 0.016, range(runs.SEED, runs.SEED + 3)
    ends = {
        (friction, past): [runs.play(("cube", friction, past, seed))[1] for seed in seeds]
        for friction, past in (("sticky", lazy_rad), ("1", lazy_rad), ("1", firm_rad))
    }
    assert [t.dropped for t in ends["sticky", lazy_rad]] == ["", "", ""]
    assert [t.dropped for t in ends["1", lazy_rad]] == ["shake"] * 3
    assert [t.dropped for t in ends["1", firm_rad]] == ["", "", ""]
    assert max(t.force_n for t in ends["1", lazy_rad]) < 4
    assert min(t.force_n for t in ends["1", firm_rad]) > 10


def test_pads_without_rubber_need_a_firm_grip() -> None:
    """What friction 1.0 forgives and 0.3 does not: a few newtons are no grip for bare plastic."""
    runs = study()
    lost, kept = (runs.play(("brick", "0.3", past, runs.SEED))[1] for past in (0.001, 0.034))
    assert lost.dropped
    assert not kept.dropped
    assert kept.creep_m < 0.0005
    _, (pull_n, force_n) = runs.pull(("brick", "0.5", 0.008, runs.SEED))
    assert 0.3 < pull_n / (2 * force_n) <= 0.55  # never more than friction allows
