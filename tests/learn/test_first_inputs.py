"""What a policy is fed at first: within what it was trained on, or told, by name and number."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data.recordings import contract, steps
from learn.test_policy import observations
from learn.tiny import EYES, quiet
from safetensors.torch import load_file, save_file

from vibrissa.commands.train import train_policy
from vibrissa.core.episode import Observation
from vibrissa.learn.first_inputs import odd_inputs
from vibrissa.learn.policy import CheckpointPolicy, load_policy
from vibrissa.learn.recipes import recipe_named


@pytest.fixture(scope="module")
def sees(filmed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("it sees")
    few = replace(recipe_named("debug"), steps=1)
    train_policy(few, filmed, folder / "run", threads=1, cache=folder / "c", say=quiet)
    return folder / "run"


def seen() -> Observation:
    return steps(contract(EYES), 1, seed=1)[0].observation


def test_what_it_was_trained_on_is_not_odd(trained: Path, sees: Path) -> None:
    assert odd_inputs(load_policy(trained, slots=3), observations(3)) == []
    assert odd_inputs(load_policy(sees), [seen()]) == []


def test_the_worst_of_a_channel_is_told_with_value_unit_and_what_is_usual(trained: Path) -> None:
    given = observations(3)
    far = given[1].state.copy()
    far[2] = 40.0  # as if degrees came in where radians belong
    (line,) = odd_inputs(
        load_policy(trained, slots=3), [given[0], replace(given[1], state=far), given[2]]
    )
    assert line.startswith(
        "observation.state: elbow_flex.pos is 2292 deg at the start; in training"
    )
    assert "beyond ±10" in line


def test_privileged_channels_and_nan_are_told_too(trained: Path) -> None:
    (one,) = observations(1)
    lost = replace(one, privileged=np.array([np.nan, 50.0], np.float32))
    lines = odd_inputs(load_policy(trained), [lost])
    assert [line.split(":")[0] for line in lines] == ["observation.environment_state"] * len(lines)
    assert "brick.x is nan m" in lines[0]


def test_a_black_camera_and_one_that_was_black_in_training_are_told(
    sees: Path, tmp_path: Path
) -> None:
    dark = {**seen().images, "wrist": np.zeros((32, 48, 3), np.uint8)}
    (line,) = odd_inputs(load_policy(sees), [replace(seen(), images=dark)])
    assert line.startswith("camera 'wrist' shows one flat shade at the start (std 0.0000")
    policy = _blind_in_training(sees)
    lines = odd_inputs(policy, [seen()])
    assert any("camera 'front' hardly changed in training (std 0.0020" in line for line in lines)
    assert any("pictures of camera 'front' reach" in line for line in lines)


def _blind_in_training(run: Path) -> CheckpointPolicy:
    """The same policy, its picture statistics those of a camera that was covered."""
    from vibrissa.learn.run import pretrained_folder

    folder = pretrained_folder(run)
    for file in folder.glob("*normalizer*.safetensors"):
        stored = load_file(file)
        for name in [n for n in stored if n.startswith("observation.images.front.std")]:
            stored[name] = stored[name] * 0 + 0.002
        save_file(stored, file)
    kept = folder / "vibrissa" / "statistics.json"  # what it was trained with, so it says the same
    told = json.loads(kept.read_text())
    told["observation.images.front"]["std"] = [0.002] * 3
    kept.write_text(json.dumps(told))
    return load_policy(run)
