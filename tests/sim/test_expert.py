"""The expert succeeds, recovers, varies with its seed alone, and gives up in peace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibrissa.control.drive import run_episode
from vibrissa.core.episode import Decision, Episode, Observation
from vibrissa.core.protocols import Pilot
from vibrissa.core.units import HIGH_RAD, LOW_RAD
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.reach import Pose, Reach, jaw_direction
from vibrissa.sim.scene import SceneCfg, SpawnCfg
from vibrissa.sim.tasks import make_scene, make_task


def episodes(task: str, cfg: SceneCfg, expert: Pilot, seeds: range) -> list[Episode]:
    arm, judge = SimArm(cfg), make_task(task, cfg)
    return [run_episode(arm, expert, judge, seed=seed) for seed in seeds]


@pytest.mark.parametrize(
    ("task", "site"),
    [("pick-place", "first"), ("pick-place", "second"), ("lift", "near"), ("lift", "far")],
)
def test_nearly_all_succeed_and_none_fumbles(task: str, site: str) -> None:
    cfg = make_scene(task, site=site)
    ends = [e.outcome.failure_class for e in episodes(task, cfg, Expert(cfg), range(10))]
    assert ends.count("SUCCESS") >= 9


def test_noise_on_the_way_is_recovered_from() -> None:
    cfg = make_scene("pick-place", start_noise_rad=0.2)
    expert = Expert(cfg, action_noise_rad=0.03)
    ends = episodes("pick-place", cfg, expert, range(10))
    assert sum(e.outcome.success for e in ends) >= 9


def test_an_episode_depends_on_its_seed_alone() -> None:
    cfg = make_scene("lift")
    forth = [e.outcome for e in episodes("lift", cfg, Expert(cfg), range(4))]
    back = [e.outcome for e in episodes("lift", cfg, Expert(cfg), range(3, -1, -1))]
    assert forth == back[::-1]
    assert forth[0] != episodes("lift", cfg, Expert(cfg, seed=1), range(1))[0].outcome


class Robbed:
    """The expert, with the object put back on the table once it is in the air."""

    def __init__(self, arm: SimArm, expert: Expert):
        self._arm, self._expert, self._done = arm, expert, False

    def reset(self, seed: int) -> None:
        self._expert.reset(seed)

    def asks(self, observation: Observation) -> None:
        return None

    def take(self, chunk: np.ndarray, asked_tick: int, latency_s: float) -> None:
        raise AssertionError

    def decide(self, observation: Observation) -> Decision:
        if self._expert.phase == "carry" and not self._done:
            self._done = True
            at = self._arm.model.joint("object").qposadr[0]
            self._arm.data.qpos[at : at + 3] = (0.22, 0.20, 0.0096)
            self._arm.data.qvel[-6:] = 0.0
        return self._expert.decide(observation)


def test_what_was_lost_on_the_way_is_fetched_again() -> None:
    cfg = make_scene("pick-place")
    arm = SimArm(cfg)
    pilot = Robbed(arm, Expert(cfg))
    outcome = run_episode(arm, pilot, make_task("pick-place", cfg), seed=3).outcome
    assert (outcome.reason, outcome.failure_class) == ("success", "FUMBLED")


def test_it_goes_on_from_wherever_it_is_handed_the_arm() -> None:
    cfg = make_scene("pick-place")
    arm, first, second = SimArm(cfg), Expert(cfg), Expert(cfg, seed=5)
    arm.reset(2)
    first.reset(2)
    seen = arm.observe()
    while first.phase != "carry":
        arm.send(first.decide(seen).action)
        seen = arm.observe()
    second.reset(2)
    phases = []
    judge, verdict = make_task("pick-place", cfg), None
    while verdict is None and len(phases) < 200:
        arm.send(second.decide(seen).action)
        phases.append(second.phase)
        seen = arm.observe()
        verdict = judge.judge(seen)
    assert verdict == "success"
    assert "hover" not in phases


def test_an_object_out_of_reach_is_left_alone() -> None:
    cfg = make_scene("lift", spawn=SpawnCfg((0.7, 0.0), 0.0))
    (episode,) = episodes("lift", cfg, Expert(cfg), range(1))
    assert (episode.outcome.reason, episode.outcome.failure_class) == ("timeout", "NEVER_PICKED_UP")


def test_what_it_sends_is_what_the_arm_takes() -> None:
    cfg = make_scene("pick-place")
    arm, expert = SimArm(cfg), Expert(cfg)
    arm.reset(0)
    expert.reset(0)
    for _ in range(100):
        action = expert.decide(arm.observe()).action
        assert (action >= LOW_RAD).all()
        assert (action <= HIGH_RAD).all()
        assert np.array_equal(arm.send(action), action)  # never faster than the servos


@settings(max_examples=25, deadline=None)
@given(st.floats(0.15, 0.36), st.floats(-1.0, 1.0), st.floats(0.02, 0.12), st.floats(-np.pi, np.pi))
def test_joint_angles_that_are_found_meet_what_was_asked(
    radius: float, bearing: float, z: float, heading: float
) -> None:
    cfg = make_scene("lift")
    reach = Reach(cfg.servo, cfg.contact)
    place = (0.0388 + radius * np.cos(bearing), radius * np.sin(bearing), z)
    pose = Pose(place, heading_rad=heading)
    found = reach.least_tilt([pose], np.array([-bearing, -0.3, 0.5, 1.2, 0]))
    if found is None:
        return  # a roll beyond its limits
    tilt, (q,) = found
    arm = SimArm(cfg)
    arm.reset(0)
    truth = truth_at(arm, q)
    assert np.linalg.norm(truth["tip_position"] - place) < 5e-4
    down = -truth["tip_rotation"][:, 2]
    assert np.degrees(np.arccos(np.clip(-down[2], -1, 1))) == pytest.approx(
        abs(np.degrees(tilt)), abs=2.5
    )
    face = np.array([np.cos(heading), np.sin(heading), 0.0])
    off = np.arccos(np.clip(truth["tip_rotation"][:, 0] @ face, -1, 1))
    told = jaw_direction(tilt, float(q[0]), heading)
    along = np.array([-face[1], face[0], 0.0])
    seen = truth["tip_rotation"][:, 0] @ np.stack([face, along, [0, 0, 1]], axis=1)
    assert np.abs(told - seen).max() < 0.06  # the model's wrist is not quite square
    for turn in (-0.15, 0.15):  # no other roll lies nearer to the face
        rolled = q + turn * np.eye(5)[4]
        across = truth_at(arm, rolled)["tip_rotation"][:, 0]
        assert np.arccos(np.clip(across @ face, -1, 1)) >= off - 0.02


def truth_at(arm: SimArm, q: np.ndarray) -> dict:
    arm.data.qpos[:5] = q
    arm.refresh()
    return dict(arm.observe().truth)
