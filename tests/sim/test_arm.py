"""The simulated arm: deterministic, limited, finite, and lazy about pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibrissa.core.episode import Observation
from vibrissa.core.errors import ArmFault, ContractError
from vibrissa.core.protocols import Arm
from vibrissa.core.units import HIGH_RAD, LOW_RAD
from vibrissa.sim.arm import SimArm
from vibrissa.sim.scene import SceneCfg, SpawnCfg
from vibrissa.sim.tasks import make_scene


@pytest.fixture
def cfg() -> SceneCfg:
    return make_scene("pick-place", camera_size=(64, 48))


def play(arm: SimArm, seed: int, ticks: int) -> list[Observation]:
    """An episode of wild but seeded targets."""
    rng = np.random.default_rng(99)
    arm.reset(seed)
    seen = [arm.observe()]
    for _ in range(ticks):
        arm.send(rng.uniform(LOW_RAD, HIGH_RAD).astype(np.float32))
        seen.append(arm.observe())
    return seen


def same(one: Observation, other: Observation) -> bool:
    equal = np.array_equal(one.state, other.state) and one.tick == other.tick
    equal &= np.array_equal(one.privileged, other.privileged)
    return equal and all(np.array_equal(one.truth[k], other.truth[k]) for k in one.truth)


def test_it_is_an_arm(cfg: SceneCfg) -> None:
    arm = SimArm(cfg)
    assert isinstance(arm, Arm)
    assert arm.contract.calibration == "so101_new_calib"
    assert [c.name for c in arm.contract.privileged][3:] == ["block.sin2yaw", "block.cos2yaw"]
    assert SceneCfg.from_dict(dict(arm.scene)) == cfg


def test_the_same_seed_is_the_same_episode_bit_for_bit(cfg: SceneCfg) -> None:
    arm, other = SimArm(cfg), SimArm(cfg)
    first = play(arm, 7, 40)
    play(arm, 8, 13)  # whatever came before
    for again in (play(arm, 7, 40), play(other, 7, 40)):
        assert all(same(a, b) for a, b in zip(first, again, strict=True))


def test_another_seed_is_another_episode(cfg: SceneCfg) -> None:
    arm = SimArm(cfg)
    assert not same(play(arm, 1, 0)[0], play(arm, 2, 0)[0])


def test_the_start_is_at_home_unless_noise_is_asked_for() -> None:
    still, shaken = SimArm(make_scene("lift")), SimArm(make_scene("lift", start_noise_rad=0.2))
    still.reset(3)
    shaken.reset(3)
    home = np.array(still.cfg.home_rad)
    assert np.abs(still.observe().state - home).max() < 0.02
    assert 0.03 < np.abs(shaken.observe().state - home).max() < 0.22


def test_observing_twice_does_not_move_time(cfg: SceneCfg) -> None:
    arm = SimArm(cfg)
    arm.reset(0)
    assert same(arm.observe(), arm.observe())
    arm.send(np.zeros(6, np.float32))
    assert (arm.observe().tick, arm.observe().tick) == (1, 1)
    assert arm.observe().time_s == pytest.approx(1 / 30)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=6, max_size=6))
def test_what_is_sent_is_in_the_box_and_no_faster_than_the_servo(action: list[float]) -> None:
    arm = SimArm(make_scene("pick-place"))
    arm.reset(0)
    before = np.array(arm.cfg.home_rad, np.float32)
    sent = arm.send(np.array(action, np.float32))
    assert (sent >= LOW_RAD).all()
    assert (sent <= HIGH_RAD).all()
    assert np.abs(sent - before).max() <= 4.7 / 30 + 1e-6


def test_an_action_that_is_none_is_refused(cfg: SceneCfg) -> None:
    arm = SimArm(cfg)
    arm.reset(0)
    with pytest.raises(ContractError, match="NaN"):
        arm.send(np.full(6, np.nan, np.float32))
    with pytest.raises(ContractError, match="shape"):
        arm.send(np.zeros(5, np.float32))


@pytest.mark.parametrize("where", ["qpos", "qvel", "ctrl"])
def test_a_nan_in_the_simulation_is_a_fault_with_its_tick(
    cfg: SceneCfg, where: str, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arm = SimArm(cfg)
    play(arm, 0, 4)
    arm.send(np.zeros(6, np.float32))
    getattr(arm.data, where)[2] = np.nan
    with pytest.raises(ArmFault, match="tick 5"):
        arm.observe()
    arm.hold()
    arm.reset(0)
    assert np.isfinite(arm.observe().state).all()
    assert list(tmp_path.iterdir()) == []  # no log file is left where somebody happens to stand


def test_an_arm_that_was_never_reset_says_so(cfg: SceneCfg) -> None:
    arm = SimArm(cfg)
    arm.hold()
    with pytest.raises(ArmFault, match="reset"):
        arm.observe()
    with pytest.raises(ArmFault, match="reset"):
        arm.send(np.zeros(6, np.float32))


def test_hold_stops_the_arm_where_it_is(cfg: SceneCfg) -> None:
    arm = SimArm(cfg)
    seen = play(arm, 0, 5)
    arm.hold()
    assert np.allclose(arm.data.ctrl, np.clip(seen[-1].state, LOW_RAD, HIGH_RAD))


def test_a_servo_under_gravity_is_within_a_hundredth_of_a_radian() -> None:
    arm = SimArm(make_scene("lift"))
    arm.reset(0)
    target = np.array([0.0, 0.6, -0.3, 0.2, 0.0, 0.3], np.float32)  # stretched out
    for _ in range(30):
        arm.send(target)
        arm.observe()
    assert np.abs(arm.observe().state - target).max() < 0.012


def test_pictures_are_made_when_looked_at_and_expire_with_their_tick(
    cfg: SceneCfg, opengl: None
) -> None:
    arm = SimArm(cfg, cameras=True)
    arm.reset(0)
    seen = arm.observe()
    assert arm.contract.camera_names == ("overhead", "wrist") == tuple(seen.images)
    picture = seen.images["overhead"]
    assert picture.shape == (48, 64, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 5
    arm.send(np.zeros(6, np.float32))
    arm.observe()
    assert seen.images["overhead"] is picture
    with pytest.raises(ArmFault, match="wrist"):
        seen.images["wrist"]


def test_a_picture_is_the_same_for_the_same_state(cfg: SceneCfg, opengl: None) -> None:
    arm, other = SimArm(cfg, cameras=("wrist",)), SimArm(cfg, cameras=("wrist",))
    assert arm.contract.camera("wrist").fovy_deg == 71.0
    for each in (arm, other):
        each.reset(5)
    one, two = arm.observe().images["wrist"], other.observe().images["wrist"]
    assert np.array_equal(one, two)
    assert arm.render("side", 80, 60).shape == (60, 80, 3)


def test_a_camera_that_is_not_there_is_named(cfg: SceneCfg, opengl: None) -> None:
    with pytest.raises(ContractError, match="overhead, wrist"):
        SimArm(cfg, cameras=("overhead_cam",))
    arm = SimArm(cfg)
    arm.reset(0)
    with pytest.raises(ArmFault, match="side"):
        arm.render("front", 64, 48)
    with pytest.raises(ArmFault, match="1280 x 960"):
        arm.render("side", 4000, 48)


def grip(arm: SimArm, seconds: float) -> list[Observation]:
    """The block in the closing jaws, lifted clear of the table, for some seconds."""
    from vibrissa.sim.expert import Expert

    expert = Expert(arm.cfg, variety=0.0)
    arm.reset(11)
    expert.reset(11)
    seen = [arm.observe()]
    while expert.phase != "carry":
        arm.send(expert.decide(seen[-1]).action)
        seen.append(arm.observe())
    target, held = arm.target, []
    assert target is not None
    for _ in range(round(seconds * 30)):
        arm.send(target)
        held.append(arm.observe())
    return held


def test_a_held_block_does_not_creep(cfg: SceneCfg) -> None:
    held = grip(SimArm(cfg), 11.0)[30:]  # after it has come to rest
    assert all(o.truth["grasped"] for o in held)

    def in_jaws(o: Observation) -> np.ndarray:
        return o.truth["tip_rotation"].T @ (o.truth["object_position"] - o.truth["tip_position"])

    assert np.linalg.norm(in_jaws(held[-1]) - in_jaws(held[0])) < 1e-4


def test_friction_decides_what_a_light_grip_can_hold() -> None:
    """Four newtons pull the block out of a light grip, but not when the pads are sticky."""
    kept = []
    for friction in ("plausible", "sticky"):
        arm = SimArm(make_scene("pick-place", friction=friction, spawn=SpawnCfg((0.25, 0.1), 0.0)))
        light = grip(arm, 0.1)[-1].state.copy()
        light[:5] = arm.data.ctrl[:5]
        light[5] += 0.012
        arm.data.xfrc_applied[arm.model.body("object").id, 2] = -4.0
        for _ in range(30):
            arm.send(light)
            arm.observe()
        kept.append(bool(arm.observe().truth["object_position"][2] > 0.05))
    assert kept == [False, True]
