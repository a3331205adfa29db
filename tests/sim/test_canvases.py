"""Canvases serve many scenes and episodes: none is kept for ever, none shows another's mesh."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import numpy as np

from vibrissa.sim import pictures
from vibrissa.sim.arm import SimArm
from vibrissa.sim.gl import mujoco
from vibrissa.sim.randomise import RandomCfg
from vibrissa.sim.sample import Sample
from vibrissa.sim.scene import ObjectCfg, SceneCfg
from vibrissa.sim.tasks import make_scene
from vibrissa.sim.things import packed

HALF_M = (0.02, 0.01, 0.01)


def brick_mesh() -> str:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * HALF_M
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in sides for face in ((a, b, c), (a, c, d))]
    return packed((corners.astype(np.float32), np.array(faces, np.int32)))[0]


def scene_with_mesh() -> SceneCfg:
    thing = ObjectCfg("thing", HALF_M, 0.03, 2, 0.6, shape="mesh", mesh=brick_mesh())
    random = RandomCfg(name="sizes", size=(0.5, 2.0))
    return make_scene("pick-place", object=thing, camera_size=(96, 96), random=random)


def seen(arm: SimArm, factor: float) -> np.ndarray:
    """The overhead picture with the object this many times its size."""
    x, y, z = (factor * half for half in HALF_M)
    arm.reset(3, sample=Sample(size=(x, y, z)))
    return arm.observe().images["overhead"].astype(int)


def red(picture: np.ndarray) -> int:
    return int((picture[..., 0] - picture[..., 1] > 60).sum())


def test_a_mesh_is_drawn_in_the_size_that_was_sampled(opengl: None) -> None:
    arm = SimArm(scene_with_mesh(), cameras=("overhead",))
    small, usual, large = (red(seen(arm, factor)) for factor in (0.5, 1.0, 2.0))
    assert large > 3 * usual > 6 * small > 0


def test_arms_that_share_a_canvas_see_each_its_own_mesh(opengl: None) -> None:
    cfg = scene_with_mesh()
    one, other = (SimArm(cfg, cameras=("overhead",)) for _ in range(2))
    before = seen(one, 2.0)
    seen(other, 0.5)
    np.testing.assert_array_equal(one.observe().images["overhead"], before)


def test_a_canvas_that_was_long_not_used_is_gone(opengl: None, monkeypatch) -> None:
    """Each takes tens of megabytes: a program that goes through many scenes must not keep all."""
    made: list[weakref.ref[pictures.Canvas]] = []

    class Counted(pictures.Canvas):
        def __init__(self, model: mujoco.MjModel):
            super().__init__(model)
            made.append(weakref.ref(self))

    monkeypatch.setattr(pictures, "Canvas", Counted)
    first = make_scene("lift", camera_size=(16, 16), table_rgb=(0.3, 0.3, 0.3))
    before = look(first)
    for i in range(10):
        look(dataclasses.replace(first, table_rgb=(0.1 * i, 0.2, 0.2)))
    gc.collect()
    assert made[0]() is None
    assert len([one for one in made if one() is not None]) <= 8
    np.testing.assert_array_equal(look(first), before)


def look(cfg: SceneCfg) -> np.ndarray:
    arm = SimArm(cfg, cameras=("overhead",))
    arm.reset(0)
    return arm.observe().images["overhead"]
