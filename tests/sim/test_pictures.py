"""Pictures: depth in metres, beside colours of the same moment; shadows; what stays as it was."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vibrissa.core.contract import DEPTH_MOST_M, Contract, differences
from vibrissa.core.errors import ContractError, UsageError
from vibrissa.sim import pictures
from vibrissa.sim.arm import SimArm
from vibrissa.sim.gl import mujoco
from vibrissa.sim.rigs import OVERHEAD, WRIST
from vibrissa.sim.sample import Sample
from vibrissa.sim.scene import SceneCfg, build
from vibrissa.sim.silhouettes import put, random_poses
from vibrissa.sim.tasks import make_scene

SIZE = (160, 120)


def rgbd(**fields) -> SceneCfg:
    return make_scene("pick-place", camera_size=SIZE, depth=("overhead", "wrist"), **fields)


def ray_depth(data: mujoco.MjData, camera: int, row: int, column: int) -> float:
    """How far along the camera's axis the ray through a pixel's middle meets what is drawn."""
    width, height = SIZE
    focal = height / 2 / np.tan(np.radians(data.model.cam_fovy[camera]) / 2)
    ray = np.array([column + 0.5 - width / 2, height / 2 - row - 0.5, -focal]) / focal
    ray = data.cam_xmat[camera].reshape(3, 3) @ ray
    length = float(np.linalg.norm(ray))
    drawn = np.array([1, 1, 1, 0, 0, 0], np.uint8)
    hit = np.zeros(1, np.int32)
    away = mujoco.mj_ray(data.model, data, data.cam_xpos[camera], ray / length, drawn, 1, -1, hit)
    metres = away / length
    return metres if 0 <= metres <= DEPTH_MOST_M else 0.0


@pytest.mark.parametrize("camera", ["overhead", "wrist"])
def test_depth_is_what_rays_measure(opengl: None, camera: str) -> None:
    arm = SimArm(rgbd(), cameras=True)
    arm.reset(3)
    metres = arm.observe().images[f"{camera}_depth"]
    assert metres.shape == SIZE[::-1]
    assert metres.dtype == np.float32
    rng = np.random.default_rng(0)
    places = np.stack([rng.integers(0, SIZE[1], 500), rng.integers(0, SIZE[0], 500)], axis=1)
    number = arm.model.camera(camera).id
    told = [ray_depth(arm.data, number, int(row), int(column)) for row, column in places]
    seen = metres[places[:, 0], places[:, 1]]
    off = np.abs(seen - np.array(told)) > 1e-4
    assert off.mean() <= 0.01  # a ray that grazes an edge may fall on its other side
    assert len(np.unique(np.round(seen, 2))) > 3
    if camera == "wrist":
        assert (seen == 0).any()  # the sky: nothing to measure


def test_depth_changes_no_colour_and_comes_of_the_same_rendering(
    opengl: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = SimArm(make_scene("pick-place", camera_size=SIZE), cameras=("overhead",))
    deep = SimArm(rgbd(), cameras=("overhead_depth", "overhead"))
    for arm in (plain, deep):
        arm.reset(5)
    colours = plain.observe().images["overhead"]
    renders = []
    render = mujoco.mjr_render
    monkeypatch.setattr(
        pictures.mujoco, "mjr_render", lambda *args: (renders.append(1), render(*args))
    )
    seen = deep.observe().images
    metres = seen["overhead_depth"]
    assert np.array_equal(seen["overhead"], colours)
    assert len(renders) == 1
    deep.send(np.zeros(6, np.float32))
    assert not np.shares_memory(deep.observe().images["overhead_depth"], metres)
    assert len(renders) == 2


def test_pictures_are_known_by_whole_declared_names(opengl: None) -> None:
    """`my_depth_view` is a camera for colours, and so is an `odd_depth` that says nothing else."""
    view = dataclasses.replace(WRIST, name="my_depth_view")
    odd = dataclasses.replace(WRIST, name="odd_depth")
    deep = dataclasses.replace(OVERHEAD, depth=True)
    scene = make_scene("pick-place", cameras=(view, odd, deep))
    arm = SimArm(scene, cameras=True)
    kinds = {camera.name: camera.depth for camera in arm.contract.cameras}
    assert kinds == {
        "my_depth_view": False,
        "odd_depth": False,
        "overhead": False,
        "overhead_depth": True,
    }
    arm.reset(0)
    seen = arm.observe().images
    assert {name: seen[name].ndim == 2 for name in seen} == kinds
    assert SimArm(scene, cameras=("overhead_depth",)).contract.camera_names == ("overhead_depth",)
    with pytest.raises(ContractError, match=r"no camera 'depth'\. This scene has: my_depth_view"):
        SimArm(scene, cameras=("depth",))


def test_a_camera_called_as_the_depth_of_another_is_refused() -> None:
    deep = dataclasses.replace(OVERHEAD, depth=True)
    twin = dataclasses.replace(WRIST, name="overhead_depth")
    with pytest.raises(ContractError, match="two cameras of one name: overhead, overhead_depth"):
        make_scene("pick-place", cameras=(deep, twin))


def test_depth_is_refused_where_colours_are_wanted_and_the_other_way_round() -> None:
    contract = SimArm(rgbd(), cameras=("overhead", "overhead_depth")).contract
    assert Contract.from_dict(contract.to_dict()) == contract
    colours, metres = contract.cameras
    swapped = dataclasses.replace(
        contract,
        cameras=(
            dataclasses.replace(metres, name="overhead"),
            dataclasses.replace(colours, name="overhead_depth"),
        ),
    )
    told = differences(contract, swapped)
    assert "camera 'overhead': wants colour, has depth in m" in told
    assert "camera 'overhead_depth': wants depth in m, has colour" in told


def test_a_contract_of_colours_is_written_as_it_was_before_there_was_depth() -> None:
    raw = SimArm(make_scene("pick-place"), cameras=True).contract.to_dict()
    assert [set(c) for c in raw["cameras"]] == [{"name", "width", "height", "fovy_deg"}] * 2


def test_the_rgbd_rig_sees_wider_and_the_contract_says_so() -> None:
    usual = SimArm(make_scene("pick-place"), cameras=True).contract
    deep = SimArm(make_scene("pick-place", rig="rgbd"), cameras=True).contract
    assert deep.camera_names == ("overhead", "overhead_depth", "wrist")
    assert differences(usual, deep) == ["camera 'overhead' field of view: wants 52°, has 58°"]
    scene = make_scene("pick-place", rig="rgbd")
    assert SceneCfg.from_dict(scene.to_dict()) == scene
    assert make_scene("pick-place", rig="rgb") == make_scene("pick-place")


@pytest.mark.parametrize(
    ("asked", "told"),
    [({"rig": "rgbx"}, "no rig 'rgbx'. There is: rgb, rgbd"), ({"depth": ("side",)}, "'side'")],
)
def test_an_unknown_rig_or_camera_is_answered_with_those_that_exist(asked: dict, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make_scene("pick-place", **asked)


def test_depth_is_as_late_as_the_colours_of_its_camera(opengl: None) -> None:
    arm = SimArm(rgbd(), cameras=True)
    arm.reset(0, sample=Sample(camera_latency=2))
    seen = []
    for _ in range(5):
        seen.append(arm.observe().images["wrist_depth"])
        arm.send(np.full(6, 0.1 * len(seen), np.float32))
    assert np.array_equal(seen[0], seen[2])
    assert not np.array_equal(seen[2], seen[4])


@pytest.mark.parametrize("camera", ["overhead", "side"])
def test_shadows_change_pixels_and_nothing_else(opengl: None, camera: str) -> None:
    arms = [SimArm(make_scene("pick-place", shadows=shadows)) for shadows in (False, True)]
    for arm in arms:
        arm.reset(1)
    lit, shaded = (arm.render(camera, *SIZE).astype(int) for arm in arms)
    darker = (shaded < lit - 10).any(axis=2)
    assert 0.003 < darker.mean() < 0.5
    assert (shaded > lit + 10).any(axis=2).mean() < 0.003
    assert np.array_equal(arms[0].data.qpos, arms[1].data.qpos)
    assert SceneCfg.from_dict(arms[1].cfg.to_dict()).shadows


def test_the_robot_is_told_from_all_else(opengl: None) -> None:
    scene = make_scene("pick-place")
    data = mujoco.MjData(build(scene))
    mujoco.mj_forward(data.model, data)
    mask = pictures.robot_mask(scene, data, "side", *SIZE)
    colours = pictures.draw(scene, data, "side", *SIZE)
    assert 0.01 < mask.mean() < 0.3
    printed = (colours[..., 0] > 150) & (colours[..., 2] < 80)  # the arm's yellow
    assert (printed & mask).sum() > 0.95 * printed.sum()
    assert np.array_equal(pictures.draw(scene, data, "side", *SIZE), colours)


def test_what_is_left_out_of_a_picture_was_not_in_it(
    opengl: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene("pick-place", camera_size=SIZE)
    poses = random_poses(scene, 40, seed=7)
    told: list[bool] = []
    shows_arm = pictures.Canvas._shows_arm

    def tell(self: pictures.Canvas, data: mujoco.MjData, aspect: float) -> bool:
        told.append(shows_arm(self, data, aspect))
        return told[-1]

    def films() -> list[np.ndarray]:
        data = mujoco.MjData(build(scene))
        seen = []
        for pose in poses:
            put(data, pose)
            seen += [pictures.draw(scene, data, c, *SIZE) for c in ("overhead", "wrist", "side")]
        return seen

    monkeypatch.setattr(pictures.Canvas, "_shows_arm", tell)
    quick = films()
    monkeypatch.setattr(pictures.Canvas, "_shows_arm", lambda *_: True)
    assert all(np.array_equal(a, b) for a, b in zip(quick, films(), strict=True))
    wrist = told[1::3]
    assert any(wrist)  # folded up, the arm is seen by its own wrist camera
    assert not all(wrist)
    assert all(told[2::3])
