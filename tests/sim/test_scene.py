"""The scene's description: exact, complete, and refused where it makes no sense."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibrissa.core.errors import ContractError, UsageError
from vibrissa.sim.scene import SceneCfg, SpawnCfg, build
from vibrissa.sim.tasks import TASKS, make_scene


@pytest.mark.parametrize("task", TASKS)
def test_a_scene_goes_through_json_and_comes_back_equal(task: str) -> None:
    for site in TASKS[task].sites:
        cfg = make_scene(task, site=site, friction="sticky", camera_size=(96, 96))
        assert SceneCfg.from_dict(json.loads(json.dumps(cfg.to_dict()))) == cfg


@given(
    st.floats(0.0, 1.0),
    st.floats(0.0, 0.2),
    st.tuples(*[st.floats(0.0, 1.0)] * 3),
    st.sampled_from([1.0, 5.0, 10.0, 15.0, 30.0, 50.0, 60.0]),
)
def test_any_numbers_survive_the_round_trip(
    x: float, noise: float, rgb: tuple[float, float, float], rate_hz: float
) -> None:
    cfg = make_scene(
        "lift",
        spawn=SpawnCfg((x, 0.0), 0.01),
        start_noise_rad=noise,
        table_rgb=rgb,
        rate_hz=rate_hz,
    )
    assert SceneCfg.from_dict(json.loads(json.dumps(cfg.to_dict()))) == cfg


def test_a_scene_with_a_missing_or_an_unknown_field_is_refused_by_name() -> None:
    raw = make_scene("lift").to_dict()
    del raw["object"]["mass_kg"]
    with pytest.raises(ContractError, match="mass_kg"):
        SceneCfg.from_dict(raw)
    with pytest.raises(ContractError, match="gravity"):
        SceneCfg.from_dict({**make_scene("lift").to_dict(), "gravity": 1})


@pytest.mark.parametrize("rate_hz", [7.0, 29.97, 45.0, 0.0, -30.0, 1200.0])
def test_a_tick_that_is_no_whole_number_of_substeps_is_refused(rate_hz: float) -> None:
    with pytest.raises(ContractError, match="whole number"):
        make_scene("pick-place", rate_hz=rate_hz)


def test_a_tick_is_as_long_as_it_says() -> None:
    for task in TASKS:
        cfg = make_scene(task)
        assert cfg.substeps * build(cfg).opt.timestep == pytest.approx(1 / cfg.rate_hz, rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(-0.225, 0.0))
def test_spawns_stand_clear_of_the_tray(seed: int, y: float) -> None:
    cfg = make_scene("pick-place", spawn=SpawnCfg((0.217, y), 0.10))
    assert cfg.tray is not None
    x, y, yaw = cfg.draw_spawn(np.random.default_rng(seed))
    away = np.abs(np.array([x, y]) - cfg.tray.centre_m)
    assert away.max() >= cfg.tray_margin_m > cfg.tray.half_m
    assert np.abs(np.array([x, y]) - cfg.spawn.centre_m).max() <= cfg.spawn.half_m
    assert -np.pi <= yaw <= np.pi


def test_a_spawn_that_lies_wholly_in_the_tray_is_refused() -> None:
    with pytest.raises(ContractError, match="tray"):
        make_scene("pick-place", spawn=SpawnCfg((0.217, -0.225), 0.03))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"site": "moon"}, "first, second"),
        ({"friction": "icy"}, "plausible, sticky"),
        ({"gravity": 3}, "rate_hz"),
    ],
)
def test_an_unknown_name_is_answered_with_those_that_exist(asked: dict, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make_scene("pick-place", **asked)


def test_the_sticky_variant_is_another_scene_with_the_old_friction() -> None:
    plausible, sticky = make_scene("pick-place"), make_scene("pick-place", friction="sticky")
    assert plausible != sticky
    assert sticky.contact.name == "sticky"
    pads = [build(cfg).geom("static_pad") for cfg in (plausible, sticky)]
    assert [pad.friction[0] for pad in pads] == [1.0, 100.0]
    assert [int(pad.condim[0]) for pad in pads] == [4, 6]


def test_equal_scenes_share_a_model() -> None:
    assert build(make_scene("lift")) is build(make_scene("lift"))


def test_a_narrow_picture_keeps_what_lies_at_the_sides() -> None:
    overhead = make_scene("pick-place").cameras[0]
    square = overhead.resized(96, 96)
    half_width = np.tan(np.radians(overhead.fovy_deg) / 2) * overhead.width / overhead.height
    assert np.tan(np.radians(square.fovy_deg) / 2) == pytest.approx(half_width, rel=1e-4)
    assert overhead.resized(128, 96).fovy_deg == pytest.approx(overhead.fovy_deg)
    assert overhead.resized(160, 90).fovy_deg == pytest.approx(overhead.fovy_deg)


def test_two_cameras_of_one_name_are_refused() -> None:
    cameras = make_scene("lift").cameras
    twice = (cameras[0], dataclasses.replace(cameras[1], name=cameras[0].name))
    with pytest.raises(ContractError, match="overhead, overhead"):
        make_scene("lift", cameras=twice)
