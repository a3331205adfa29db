"""Light meshes: few triangles, the same shape, kept in a cache that may be spoilt or missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibrissa.core.errors import ArmFault
from vibrissa.sim import meshes
from vibrissa.sim.gl import mujoco
from vibrissa.sim.scene import build
from vibrissa.sim.silhouettes import overlaps, random_poses
from vibrissa.sim.tasks import make_scene


def test_every_part_is_light_and_as_large_as_it_was() -> None:
    light = meshes.light()
    full = {p.stem: p for p in (meshes.model_folder() / "assets").glob("*.stl")}
    assert set(light) == set(full)
    assert sum(len(faces) for _, faces in light.values()) < 12_000
    for name in ("moving_jaw_so101_v1", "base_so101_v2", "under_arm_so101_v1"):
        before, _ = meshes.read_stl(full[name])
        after, faces = light[name]
        assert faces.min() >= 0
        assert faces.max() < len(after)
        assert np.abs(after.min(0) - before.min(0)).max() < 0.002
        assert np.abs(after.max(0) - before.max(0)).max() < 0.002


def test_the_cache_is_used_and_a_spoilt_one_is_made_again(tmp_path: Path) -> None:
    made = meshes.light(tmp_path)
    (file,) = tmp_path.iterdir()
    stamp = file.stat().st_mtime_ns
    assert_same(meshes.light(tmp_path), made)
    assert file.stat().st_mtime_ns == stamp
    file.write_bytes(file.read_bytes()[:1000])
    assert_same(meshes.light(tmp_path), made)
    assert [f.name for f in tmp_path.iterdir()] == [file.name]


def test_without_a_place_for_the_cache_there_are_meshes_all_the_same(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    assert "base_so101_v2" in meshes.light(blocked / "cache")


def test_a_truncated_stl_is_named(tmp_path: Path) -> None:
    path = next((meshes.model_folder() / "assets").glob("*.stl"))
    short = tmp_path / "short.stl"
    short.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ArmFault, match=r"short\.stl"):
        meshes.read_stl(short)


@given(st.integers(0, 2**32 - 1))
def test_clustering_moves_nothing_farther_than_a_cell(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vertices = rng.uniform(0, 0.1, (60, 3)).astype(np.float32)
    faces = rng.integers(0, 60, (80, 3)).astype(np.int32)
    fewer, kept = meshes.cluster((vertices, faces), 0.02)
    assert len(fewer) <= 60
    assert len(kept) <= 80
    away = np.linalg.norm(fewer[:, None] - vertices[None], axis=-1).min(axis=1)
    assert away.max() <= 0.02 * np.sqrt(3)
    assert all(len(set(face)) == 3 for face in kept.tolist())


def test_full_meshes_change_the_picture_and_not_the_physics() -> None:
    light, full = build(make_scene("lift")), build(make_scene("lift", meshes="full"))
    assert full.mesh_facenum.sum() > 25 * light.mesh_facenum.sum()
    places = []
    for model in (light, full):
        data = mujoco.MjData(model)
        mujoco.mj_step(model, data, nstep=200)
        places.append(data.qpos.copy())
    assert np.array_equal(*places)


def assert_same(some: dict[str, meshes.Mesh], others: dict[str, meshes.Mesh]) -> None:
    assert set(some) == set(others)
    for name in some:
        assert all(np.array_equal(a, b) for a, b in zip(some[name], others[name], strict=True))


@pytest.mark.parametrize("camera", ["overhead", "wrist"])
def test_light_meshes_keep_the_silhouette(opengl: None, camera: str) -> None:
    scene = make_scene("pick-place")
    found = overlaps(scene, random_poses(scene, 8, seed=4), camera)
    assert len(found) >= 6
    assert found.mean() >= 0.98
    assert found.min() >= 0.965
