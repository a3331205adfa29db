"""LeRobot's unmodified command lines on the simulated arm and on our task. (Half a minute.)"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from stock import run, save_tiny_act

from vibrissa.commands.record import Config as RecordConfig
from vibrissa.commands.record import record
from vibrissa.data.dataset import open_dataset

SIZE = ("64", "48")


@pytest.fixture(scope="module")
def checkpoint(opengl: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stock LeRobot makes of our dataset."""
    folder = tmp_path_factory.mktemp("checkpoint")
    record(
        RecordConfig(
            out=folder / "set",
            pilot="zero",
            task="lift",
            episodes=1,
            cameras=("overhead", "wrist"),
            camera_size=(int(SIZE[0]), int(SIZE[1])),
            keep_failures=True,
        )
    )
    return save_tiny_act(folder / "set", folder / "model")


@pytest.mark.timeout(280)
def test_lerobot_eval_judges_a_checkpoint_on_our_task(checkpoint: Path, tmp_path: Path) -> None:
    told = run(
        "lerobot-eval",
        f"--policy.path={checkpoint}",
        "--policy.device=cpu",
        "--env.type=vibrissa",
        "--env.task=lift",
        f"--env.observation_width={SIZE[0]}",
        f"--env.observation_height={SIZE[1]}",
        *("--eval.n_episodes=2", "--eval.batch_size=2", "--eval.use_async_envs=false"),
        f"--output_dir={tmp_path / 'judged'}",
    )
    assert "End of eval" in told
    (task,) = json.loads((tmp_path / "judged" / "eval_info.json").read_text())["per_task"]
    assert task["metrics"]["successes"] == [False, False]
    assert len(list((tmp_path / "judged").rglob("*.mp4"))) == 2


@pytest.mark.timeout(280)
def test_lerobot_records_and_replays_on_the_simulated_arm(opengl: None, tmp_path: Path) -> None:
    robot = ("--robot.type=vibrissa_sim", "--robot.views=[wrist]", *_sizes("--robot"))
    where = ("--dataset.repo_id=local/wave", f"--dataset.root={tmp_path / 'wave'}")
    run(
        "lerobot-record",
        *robot,
        "--teleop.type=vibrissa_wave",
        *where,
        "--dataset.single_task=Wave",
        *("--dataset.num_episodes=2", "--dataset.episode_time_s=1"),
        *("--dataset.reset_time_s=0", "--dataset.push_to_hub=false", "--play_sounds=false"),
    )
    dataset = open_dataset(tmp_path / "wave")
    assert len(dataset.episodes) == 2
    episode = dataset.episode(0)
    assert np.abs(episode["observation.state"] - episode["action"]).max() < 60
    assert np.ptp(episode["observation.state"][:, 0]) > 1, "the arm never moved"
    (shot,) = dataset.pictures("observation.images.wrist", 0, [0])
    assert shot.std() > 5
    run("lerobot-replay", *robot, *where, "--dataset.episode=0", "--play_sounds=false")


def _sizes(of: str) -> tuple[str, str]:
    return f"{of}.width={SIZE[0]}", f"{of}.height={SIZE[1]}"
