"""Unmodified LeRobot opens what we record, lists it, and trains on it. (Half a minute.)"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import recordings

from vibrissa.core.contract import CameraSpec
from vibrissa.data.dataset import open_dataset

CAMERAS = (CameraSpec("overhead", 32, 32), CameraSpec("wrist", 32, 32))
TINY_ACT = {
    "type": "act",
    "device": "cpu",
    "push_to_hub": "false",
    "pretrained_backbone_weights": "null",
    "dim_model": "16",
    "dim_feedforward": "16",
    "n_heads": "2",
    "n_encoder_layers": "1",
    "n_vae_encoder_layers": "1",
    "latent_dim": "4",
    "chunk_size": "4",
    "n_action_steps": "4",
}


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
    train = start(
        "lerobot-train",
        "--dataset.repo_id=local/set",
        f"--dataset.root={recorded}",
        "--dataset.video_backend=pyav",
        *policy,
        f"--output_dir={out}",
        *("--steps=2", "--batch_size=2", "--num_workers=0", "--save_freq=2", "--log_freq=1"),
        "--wandb.enable=false",
    )
    edit = start(
        "lerobot-edit-dataset",
        "--repo_id=local/set",
        f"--root={recorded}",
        "--operation.type=info",
    )
    trained, listed = (process.communicate(timeout=270)[0] for process in (train, edit))
    assert train.returncode == 0, trained[-2000:]
    assert "step:2 " in trained
    assert "loss:nan" not in trained
    assert list(out.glob("checkpoints/000002/pretrained_model/model.safetensors"))
    assert edit.returncode == 0, listed[-2000:]
    assert "63" in listed


def start(tool: str, *args: str) -> subprocess.Popen[str]:
    """One of LeRobot's own command lines, offline and on one thread."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    script = Path(sys.executable).parent / tool
    return subprocess.Popen(
        [str(script), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=env,
    )
