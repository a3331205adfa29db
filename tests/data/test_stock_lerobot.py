"""Unmodified LeRobot opens what we record, lists it, and trains on it. (Half a minute.)"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import recordings
from stock import TINY_ACT, Tool

from vibrissa.core.contract import CameraSpec
from vibrissa.data.dataset import open_dataset

CAMERAS = (CameraSpec("overhead", 32, 32), CameraSpec("wrist", 32, 32))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("a folder")
    return recordings.record(folder / "set", recordings.contract(CAMERAS), 3)


def test_lerobot_reads_what_we_read(recorded: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    ours = open_dataset(recorded)
    theirs = LeRobotDataset("local/set", root=recorded, video_backend="pyav")
    assert (theirs.num_episodes, theirs.num_frames, theirs.fps) == (3, 63, 30)
    assert theirs.meta.robot_type == "so101"
    columns, number = ours.episode(1), 20 + 13
    row: Any = theirs[number]
    assert row["task"] == "Pick up the block"
    for name in ("observation.state", "action", "observation.environment_state", "asked"):
        np.testing.assert_array_equal(row[name].numpy(), columns[name][13])
    for camera in CAMERAS:
        key = f"observation.images.{camera.name}"
        (shot,) = ours.pictures(key, 1, [13])
        seen = row[key].numpy().transpose(1, 2, 0) * 255
        np.testing.assert_allclose(seen, shot, atol=0.01)
        truth = recordings.picture(camera, 1, 13)
        assert abs(float(seen.mean()) - float(truth.mean())) < 1


def test_statistics_are_those_of_the_rows(recorded: Path) -> None:
    dataset = open_dataset(recorded)
    for name in ("observation.state", "action", "asked"):
        values, stats = dataset.column(name), dataset.stats[name]
        np.testing.assert_allclose(stats["mean"], values.mean(axis=0), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(stats["std"], values.std(axis=0), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(stats["max"], values.max(axis=0), rtol=1e-5)
    eye = dataset.stats["observation.images.wrist"]
    assert np.shape(eye["mean"]) == (3, 1, 1)
    shots = [recordings.picture(CAMERAS[1], s, t) for s in range(3) for t in range(20)]
    assert abs(float(np.mean(eye["mean"])) - np.mean(shots) / 255) < 0.02


@pytest.mark.timeout(280)
def test_unmodified_tools_list_it_and_train_two_steps(recorded: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    policy = [f"--policy.{name}={value}" for name, value in TINY_ACT.items()]
    train = Tool(
        "lerobot-train",
        "--dataset.repo_id=local/set",
        f"--dataset.root={recorded}",
        "--dataset.video_backend=pyav",
        *policy,
        f"--output_dir={out}",
        *("--steps=2", "--batch_size=2", "--num_workers=0", "--save_freq=2", "--log_freq=1"),
        "--wandb.enable=false",
    )
    edit = Tool(
        "lerobot-edit-dataset",
        "--repo_id=local/set",
        f"--root={recorded}",
        "--operation.type=info",
    )
    trained, listed = train.finish(), edit.finish()
    assert "step:2 " in trained
    assert "loss:nan" not in trained
    assert list(out.glob("checkpoints/000002/pretrained_model/model.safetensors"))
    assert "63" in listed
