"""The backbone's lesson: labels that are true, a network that learns them, weights that stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import FrozenBatchNorm2d

from vibrissa.core import kinematics
from vibrissa.learn.recipes import Teaching
from vibrissa.learn.sight import NEAR_M, Labels, Lesson, labels_of, teach

NAMES = ("block.x", "block.y", "block.z", "block.sin2yaw", "block.cos2yaw")
angle = st.floats(-1.2, 1.2)


def backbone() -> IntermediateLayerGetter:
    resnet = torchvision.models.resnet18(weights=None, norm_layer=FrozenBatchNorm2d)
    return IntermediateLayerGetter(resnet, return_layers={"layer4": "feature_map"})


@given(st.lists(angle, min_size=6, max_size=6), st.floats(-3, 3))
def test_what_lies_in_the_jaws_is_at_the_tip_and_turns_with_it(q: list[float], yaw: float) -> None:
    joints = np.array([q])
    tip = kinematics.forward(joints)[0]
    pose = np.array([[*tip[:3, 3], np.sin(2 * yaw), np.cos(2 * yaw)]])
    labels = labels_of(NAMES, pose, joints)
    told = dict(zip(labels.names, labels.values[0], strict=True))
    assert [told[f"block.tip_{axis}"] for axis in "xyz"] == pytest.approx([0, 0, 0], abs=1e-6)
    heading = np.arctan2(tip[1, 0], tip[0, 0])
    assert told["block.tip_sin2yaw"] == pytest.approx(np.sin(2 * (yaw - heading)), abs=1e-5)
    assert told["block.tip_cos2yaw"] == pytest.approx(np.cos(2 * (yaw - heading)), abs=1e-5)
    assert [told[name] for name in NAMES] == pytest.approx(pose[0], abs=1e-5)


@given(st.lists(st.floats(-2, 2), min_size=3, max_size=3))
def test_far_places_are_drawn_near_and_near_ones_hardly_move(place: list[float]) -> None:
    joints = np.zeros((1, 6))
    tip = kinematics.forward(joints)[0]
    world = tip[:3, :3] @ np.array(place) + tip[:3, 3]
    labels = labels_of(NAMES[:3], world[None], joints)
    drawn = np.array([labels.values[0][labels.names.index(f"block.tip_{a}")] for a in "xyz"])
    away = float(np.linalg.norm(place))
    assert np.linalg.norm(drawn) <= NEAR_M + 1e-6
    if 1e-3 < away < NEAR_M / 5:
        assert drawn == pytest.approx(place, rel=0.02, abs=1e-6)
    if away > 1e-3:
        assert drawn / np.linalg.norm(drawn) == pytest.approx(np.array(place) / away, abs=1e-3)


def test_what_is_no_place_is_told_as_it_is() -> None:
    labels = labels_of(("door.angle", "block.x"), np.array([[1.0, 2.0]]), np.zeros((1, 6)))
    assert labels.names == ("door.angle", "block.x")
    assert labels.values.tolist() == [[1.0, 2.0]]


def spots(count: int, side: int = 32) -> tuple[torch.Tensor, np.ndarray]:
    """Black pictures with one bright spot each, (N, 3, side, side), and where it is, (N, 2)."""
    rng = np.random.default_rng(0)
    places = rng.integers(4, side - 4, (count, 2))
    pictures = torch.zeros(count, 3, side, side)
    for picture, (y, x) in zip(pictures, places, strict=True):
        picture[:, y - 2 : y + 2, x - 2 : x + 2] = 2.0
    return pictures, places / side


def test_it_learns_to_tell_and_the_frozen_backbone_sees_the_same() -> None:
    torch.manual_seed(0)
    pictures, places = spots(160)
    other = pictures.flip(1)  # a second camera, that sees the same
    labels = Labels(("y", "x"), places.astype(np.float32))
    held_out = np.arange(160) >= 128
    taught = backbone()
    told: list[tuple[int, float]] = []
    seen = teach(
        taught,
        lambda rows: {"one": pictures[rows], "two": other[rows]},
        ("one", "two"),
        Lesson(labels, held_out),
        Teaching(steps=60, batch_size=16, lr=2e-3, bfloat16=False),
        variant="resnet18",
        device="cpu",
        report=lambda step, loss: told.append((step, loss)),
    )
    assert [camera.camera for camera in seen] == ["one", "two"]
    blind = float(np.median(np.abs(places[held_out] - places[~held_out].mean(0))))
    for camera in seen:
        assert camera.rows == 32
        assert max(camera.median.values()) < blind / 2  # far better than the mean
        assert all(camera.worst_tenth[n] >= camera.median[n] for n in ("y", "x"))
    assert told[-1][0] == 60
    running = taught.state_dict()["bn1.running_var"]
    assert not torch.equal(running, torch.ones_like(running))  # the statistics came along
    taught.eval()
    one, two = taught(pictures[:2])["feature_map"]
    assert (one - two).abs().max() > 0.01  # other pictures, other maps
