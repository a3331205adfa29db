"""What varies varies by its own factor alone, comes from the seed, and can be had again."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibrissa.control.drive import run_episode
from vibrissa.core import kinematics
from vibrissa.core.errors import ContractError, UsageError
from vibrissa.core.units import HIGH_RAD, LOW_RAD
from vibrissa.sim import floors, robot
from vibrissa.sim.arm import SimArm
from vibrissa.sim.clutter import CLEAR_M, Distractor, taken
from vibrissa.sim.expert import Expert
from vibrissa.sim.randomise import (
    FIELDS,
    LIGHT,
    NONE,
    PATTERNS,
    PRESETS,
    STRONG,
    RandomCfg,
    preset,
)
from vibrissa.sim.sample import DISTINCT, FACTORS, NOTHING, SEEN, Sample, draw
from vibrissa.sim.scene import SceneCfg, build
from vibrissa.sim.snapshot import restore, save
from vibrissa.sim.tasks import TASKS, make_scene, make_task
from vibrissa.sim.varied import model_of

SEED = 9  # its strong sample has every factor at work; see the first test
# Every array of MjModel that a factor may change: what is set, and what MuJoCo makes of it.
_WEIGHTS = {
    *("body_mass", "body_inertia", "body_subtreemass", "body_invweight0", "dof_invweight0"),
    *("dof_M0", "actuator_acc0", "cam_poscom0", "light_poscom0"),
}
_SHAPE = {
    *("geom_size", "geom_rbound", "geom_aabb", "bvh_aabb", "body_pos", "qpos0", "qpos_spring"),
    *("cam_pos0", "light_pos0", "dof_length"),
}
TOUCHED: dict[str, set[str]] = {
    "camera": {"cam_pos", "cam_quat", "cam_pos0", "cam_poscom0", "cam_mat0"},
    "fovy": {"cam_fovy"},
    "light": {"light_dir", "light_dir0", "light_diffuse"},
    "colour": {"geom_rgba", "mat_rgba"},
    "floor": {"geom_matid"},
    "friction": {"geom_friction"},
    "mass": _WEIGHTS,
    "size": _WEIGHTS | _SHAPE,
}


def varied(**fields: Any) -> SceneCfg:
    random = dataclasses.replace(STRONG, **fields)
    return make_scene("pick-place", camera_size=(64, 48), random=random)


def off(*factors: str) -> dict[str, Any]:
    return {field: getattr(NONE, field) for name in factors for field in FIELDS[name]}


STRONGLY = varied()


def arrays(model: Any) -> dict[str, np.ndarray]:
    """Every numeric array of a compiled model."""
    found = {name: getattr(model, name) for name in dir(model) if not name.startswith("_")}
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}


def changed(sample: Sample) -> set[str]:
    before, after = arrays(build(STRONGLY)), arrays(model_of(STRONGLY, sample))
    return {name for name in before if not np.array_equal(before[name], after[name])}


@functools.cache
def actions() -> np.ndarray:
    """What the expert does in the scene as it is, up to the lift: (T, A)."""
    arm, expert = SimArm(STRONGLY), Expert(STRONGLY, variety=0.0)
    arm.reset(SEED, sample=NOTHING)
    expert.reset(SEED)
    done = []
    while expert.phase != "carry":
        done.append(expert.decide(arm.observe()).action)
        arm.send(done[-1])
    return np.array(done)


@functools.cache
def lived(sample: Sample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same actions with this sample: positions (T, 13), readings (T, 6), pictures."""
    arm = SimArm(STRONGLY, cameras=("overhead", "wrist"))
    arm.reset(SEED, sample=sample)
    moved, read, seen = [], [], []
    for tick, action in enumerate(actions()):
        o = arm.observe()
        moved.append(o.sim_state[:13])
        read.append(o.state)
        if tick % 30 == 20:
            seen.append([o.images[name] for name in ("overhead", "wrist")])
        arm.send(action)
    return np.array(moved), np.array(read), np.array(seen, float)


def test_every_factor_of_the_presets_is_drawn() -> None:
    sample = draw(STRONGLY, SEED)
    assert all(getattr(sample, name) is not None for name in FACTORS)
    assert sample.distractors
    assert sample.camera_latency
    assert sample.floor != floors.PLAIN
    assert set(FIELDS) == set(FACTORS)


@pytest.mark.parametrize("name", FACTORS)
def test_a_factor_that_is_off_leaves_the_scene_and_the_other_draws_alone(name: str) -> None:
    without = draw(varied(**off(name)), SEED)
    assert getattr(without, name) is None
    assert without.with_(draw(STRONGLY, SEED).only(name)) == draw(STRONGLY, SEED)


@pytest.mark.parametrize("name", FACTORS)
def test_a_factor_changes_its_own_part_of_the_model_and_no_other(name: str) -> None:
    if name == "distractors":
        return  # new bodies; see below
    told = changed(draw(STRONGLY, SEED).only(name))
    assert told <= TOUCHED.get(name, set())
    assert bool(told) == (name in TOUCHED)


@pytest.mark.parametrize("name", SEEN)
def test_what_is_only_seen_changes_pictures_and_nothing_else(name: str, opengl: None) -> None:
    plain, other = lived(NOTHING), lived(draw(STRONGLY, SEED).only(name))
    np.testing.assert_array_equal(plain[0], other[0])
    np.testing.assert_array_equal(plain[1], other[1])
    assert np.abs(plain[2] - other[2]).mean() > 0.5


@pytest.mark.parametrize("name", ["friction", "mass", "size", "start", "action_latency"])
def test_what_is_felt_changes_the_motion(name: str, opengl: None) -> None:
    plain, other = lived(NOTHING), lived(draw(STRONGLY, SEED).only(name))
    assert np.abs(plain[0] - other[0]).max() > 1e-4


def test_joint_noise_is_in_the_readings_alone(opengl: None) -> None:
    sample = draw(STRONGLY, SEED).only("joint_noise")
    assert sample.joint_noise is not None
    plain, other = lived(NOTHING), lived(sample)
    np.testing.assert_array_equal(plain[0], other[0])
    np.testing.assert_array_equal(plain[2], other[2])
    assert (other[1] - plain[1]).std() == pytest.approx(sample.joint_noise.sd, rel=0.15)


def test_distractors_are_seen_and_leave_arm_and_object_alone(opengl: None) -> None:
    plain, other = lived(NOTHING), lived(draw(STRONGLY, SEED).only("distractors"))
    assert (np.abs(plain[2] - other[2]).max(axis=-1) > 30).sum() >= 10  # pixels
    np.testing.assert_allclose(plain[0], other[0], atol=1e-6)


def test_a_distractor_in_the_way_is_pushed_and_an_empty_place_stays_where_it_is() -> None:
    arm = SimArm(make_scene("lift", random=RandomCfg(distractors=(0, 2))))
    pan = np.array(arm.cfg.home_rad) + np.array([0.8, 0, 0, 0, 0, 0])
    x, y, _ = kinematics.forward(pan)[:3, 3]
    post = Distractor("box", (0.015, 0.015, 0.10), (1.0, 0.5, 0.0), (float(x), float(y)), 0.0)
    arm.reset(0, sample=Sample(distractors=(post,)))
    before = after = arm.observe().sim_state[13:]
    for _ in range(20):
        arm.send(pan.astype(np.float32))
        after = arm.observe().sim_state[13:]
    assert np.abs(after[:3] - before[:3]).max() > 0.01
    np.testing.assert_array_equal(after[7:], before[7:])
    assert before[9] < -0.4


def test_cameras_show_the_tick_they_say(opengl: None) -> None:
    sample = Sample(camera_latency=3)
    slow, quick = (SimArm(STRONGLY, cameras=("wrist",)) for _ in range(2))
    slow.reset(SEED, sample=sample)
    quick.reset(SEED, sample=NOTHING)
    shown: list[np.ndarray] = []
    for tick in range(8):
        late, now = slow.observe(), quick.observe()
        shown.append(now.images["wrist"])
        np.testing.assert_array_equal(late.images["wrist"], shown[max(0, tick - 3)])
        assert late.captured_s == {"wrist": max(0, tick - 3) / 30}
        assert now.captured_s == {"wrist": now.time_s}
        for arm in (slow, quick):
            arm.send(actions()[20 + tick])
    assert not np.array_equal(shown[-1], shown[-4])


def test_actions_arrive_as_late_as_sampled() -> None:
    arm = SimArm(STRONGLY)
    arm.reset(SEED, sample=Sample(action_latency=2.5 / 30))
    home = arm.data.ctrl.copy()
    first = arm.send((home + 0.1).astype(np.float32))
    for _ in range(2):
        arm.observe()
        arm.send((home + 0.2).astype(np.float32))
        np.testing.assert_array_equal(arm.data.ctrl, home)
    arm.observe()
    np.testing.assert_array_equal(arm.data.ctrl, first)


def test_noise_belongs_to_its_tick(opengl: None) -> None:
    arm = SimArm(STRONGLY, cameras=True)
    arm.reset(SEED, sample=draw(STRONGLY, SEED).only("joint_noise", "image_noise"))
    one = arm.observe()
    late, early = one.images["overhead"], one.images["wrist"]
    two = arm.observe()
    np.testing.assert_array_equal(one.state, two.state)
    np.testing.assert_array_equal(two.images["wrist"], early)
    np.testing.assert_array_equal(two.images["overhead"], late)
    assert not np.array_equal(late, arm.render("overhead", 64, 48))


def test_an_episode_is_the_same_again_from_its_stored_sample(opengl: None) -> None:
    """On an arm of another history, with the values gone through JSON."""
    rng = np.random.default_rng(0)
    wild = rng.uniform(LOW_RAD, HIGH_RAD, (25, 6)).astype(np.float32)

    def play(arm: SimArm, sample: Sample | None) -> list[Any]:
        arm.reset(SEED, sample=sample)
        told = []
        for action in wild:
            o = arm.observe()
            told.append((o.sim_state, o.state, o.images["wrist"], arm.data.qvel.copy()))
            arm.send(action)
        return told

    arm, other = SimArm(STRONGLY, cameras=True), SimArm(STRONGLY, cameras=True)
    first = play(arm, None)
    stored = json.loads(json.dumps(dict(arm.sampled)))
    other.reset(SEED + 1)
    for again in (play(other, Sample.from_dict(stored)), play(arm, None)):
        for a, b in zip(first, again, strict=True):
            assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    only = Sample.from_dict(stored).only("friction", "mass")
    assert set(only.to_dict()) == {"friction", "mass"}
    assert not np.array_equal(play(other, only)[-1][0], first[-1][0])


def test_a_snapshot_carries_its_sample() -> None:
    """Into an arm of another episode, with a target on its way."""
    arm, other = SimArm(STRONGLY), SimArm(STRONGLY)
    arm.reset(SEED, sample=Sample(action_latency=0.05, mass=0.05, camera_latency=2))
    other.reset(SEED + 1)
    for action in actions()[:10]:
        arm.observe()
        arm.send(action)
    restore(other, save(arm))
    for _ in range(5):
        np.testing.assert_array_equal(arm.observe().sim_state, other.observe().sim_state)
        np.testing.assert_array_equal(np.array(arm.past), np.array(other.past))
        for each in (arm, other):
            each.send(actions()[10])


def test_the_contract_says_the_nominal_scene() -> None:
    plain = SimArm(make_scene("pick-place", camera_size=(64, 48)), cameras=True)
    varying = SimArm(STRONGLY, cameras=True)
    varying.reset(SEED)
    assert varying.contract.digest == plain.contract.digest
    assert plain.sampled == {}
    plain.reset(SEED)
    assert plain.model is build(plain.cfg)


def test_the_printed_parts_are_what_is_painted() -> None:
    sample = draw(STRONGLY, SEED).only("colour")
    assert sample.colour is not None
    before, after = build(STRONGLY).mat_rgba, model_of(STRONGLY, sample).mat_rgba
    printed = np.isclose(before[:, :3], robot.PRINTED_RGB, atol=1e-3).all(axis=1)
    assert printed.sum() > 5
    np.testing.assert_allclose(after[printed, :3], [sample.colour.robot] * printed.sum(), rtol=1e-6)
    np.testing.assert_array_equal(after[~printed], before[~printed])


@pytest.mark.parametrize("floor", floors.materials(PATTERNS))
def test_every_floor_looks_different(floor: str, opengl: None) -> None:
    arm = SimArm(STRONGLY)
    arm.reset(0, sample=NOTHING)
    plain = arm.render("overhead", 96, 72).astype(int)
    arm.reset(0, sample=Sample(floor=floor))
    assert np.abs(arm.render("overhead", 96, 72) - plain).mean() > 2


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), st.sampled_from(list(TASKS)), st.sampled_from([LIGHT, STRONG]))
def test_samples_survive_json_and_keep_their_distance(
    seed: int, task: str, random: RandomCfg
) -> None:
    cfg = make_scene(task, random=random)
    sample = draw(cfg, seed)
    assert Sample.from_dict(json.loads(json.dumps(sample.to_dict()))) == sample
    assert draw(cfg, seed) == sample
    assert sample.colour is not None
    assert np.abs(np.subtract(sample.colour.object, sample.colour.table)).max() > DISTINCT
    for thing in sample.distractors or ():
        for centre, half in taken(cfg):
            away = np.abs(np.subtract(thing.place_m, centre)).max()
            assert away > half + thing.radius_m + CLEAR_M
    assert sample.size is not None
    x, y, _ = cfg.object.half_size_m
    assert (sample.size[0] == sample.size[1]) == (x == y)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_scene_that_varies_survives_json(seed: int) -> None:
    assert SceneCfg.from_dict(json.loads(json.dumps(STRONGLY.to_dict()))) == STRONGLY
    arm = SimArm(STRONGLY)
    arm.reset(seed)
    assert np.isfinite(arm.observe().state).all()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", PRESETS)
def test_the_expert_goes_by_the_sampled_size(task: str, name: str) -> None:
    cfg = make_scene(task, random=preset(name))
    arm, expert, judge = SimArm(cfg), Expert(cfg), make_task(task, cfg)
    won = [run_episode(arm, expert, judge, seed=s).outcome.success for s in range(6)]
    assert sum(won) >= 5


def test_a_factor_alone_draws_what_it_draws_among_the_others() -> None:
    assert tuple(FIELDS) == FACTORS
    whole = draw(make_scene("pick-place", random=STRONG), SEED)
    for name in FACTORS:
        alone = make_scene("pick-place", random=preset(f"strong:{name}"))
        assert alone.random.name == f"strong:{name}"
        assert draw(alone, SEED) == whole.only(name)
    two = make_scene("pick-place", random=preset("strong:mass,friction"))
    assert draw(two, SEED) == whole.only("mass", "friction")
    assert not preset("none:mass").is_on


def test_what_makes_no_sense_is_told() -> None:
    with pytest.raises(UsageError, match="none, light, strong"):
        preset("wild")
    with pytest.raises(UsageError, match=r"no factor 'colors'\. There is: camera, fovy"):
        NOTHING.only("colors")
    with pytest.raises(ContractError, match="gravity"):
        Sample.from_dict({"gravity": 9})
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"camera_m": -1.0}, "camera_m = -1.0; it must be not negative"),
        ({"mass": (2.0, 0.5)}, "the lower one first"),
        ({"floors": ("lava",)}, "checker, tiles"),
        ({"distractors": (0, 99)}, "at most 8"),
        ({"colour": 2.0}, "at most 1"),
    ]
    for fields, told in wrong:
        with pytest.raises(ContractError, match=told):
            RandomCfg(**fields)
    arm = SimArm(make_scene("lift"))
    with pytest.raises(ContractError, match="room for 0"):
        arm.reset(0, sample=draw(STRONGLY, SEED).only("distractors"))
    with pytest.raises(ContractError, match="There is: plain"):
        arm.reset(0, sample=Sample(floor="wood fine"))


def test_an_object_is_put_where_it_is_wanted_and_the_rest_stays() -> None:
    """`put` decides the object's place alone, and the sample gives the same episode again."""
    cfg = make_scene("pick-place", start_noise_rad=0.1, random=preset("light"))
    arm, place = SimArm(cfg), (0.23, 0.2, 0.7)
    arm.reset(SEED)
    usual, joints = dict(arm.sampled), arm.observe().state
    arm.put = place
    arm.reset(SEED)
    first = arm.observe()
    np.testing.assert_allclose(first.truth["object_position"][:2], place[:2], atol=1e-3)
    assert first.truth["object_yaw"] == pytest.approx(place[2], abs=1e-2)
    np.testing.assert_allclose(first.state, joints, atol=1e-5)
    assert arm.sampled == {**usual, "spawn": list(place)}
    again = SimArm(cfg)
    again.reset(SEED, sample=Sample.from_dict(arm.sampled))
    np.testing.assert_array_equal(again.observe().sim_state, first.sim_state)
    arm.put = None
    arm.reset(SEED)
    assert arm.sampled == usual


def test_a_put_object_leaves_the_model_shared() -> None:
    arm = SimArm(make_scene("pick-place"))
    model = arm.model
    arm.put = (0.23, 0.2, 0.7)
    arm.reset(1)
    assert arm.model is model
    assert arm.sampled == {"spawn": [0.23, 0.2, 0.7]}
