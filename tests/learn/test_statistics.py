"""Statistics within old weights: taken out, applied exactly once, and never invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from learn.strangers import aged
from safetensors.torch import load_file, save_file

from vibrissa.core.errors import CheckpointError
from vibrissa.core.units import JOINTS
from vibrissa.learn.loading import load_learner
from vibrissa.learn.policy import load_policy
from vibrissa.learn.statistics import statistics_of


def test_old_weights_act_as_the_same_weights_with_processors(copied: Path, tmp_path: Path) -> None:
    from learn.test_policy import observations

    old = aged(copied, tmp_path / "old")
    assert sorted(p.name for p in old.iterdir()) == ["config.json", "model.safetensors"]
    seen, contract = observations(3), load_policy(copied).contract
    new = load_policy(copied, slots=3).act(seen)
    assert np.array_equal(load_policy(old, slots=3, dataset=contract).act(seen), new)


def test_the_statistics_are_those_of_the_dataset(copied: Path, dataset: Path) -> None:
    from vibrissa.data.dataset import open_dataset

    told = statistics_of(load_learner(copied, "cpu"))
    stored = open_dataset(dataset).stats
    for key in ("observation.state", "action"):
        assert told[key]["mean"].shape == (len(JOINTS),)
        np.testing.assert_allclose(told[key]["mean"], stored[key]["mean"], rtol=1e-5)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("lost", "no std of observation.state within the weights"),
        ("empty", "were never filled"),
        ("foreign", "statistics of 'observation_effort', and config.json has no such feature"),
    ],
)
def test_statistics_that_are_not_whole_are_one_line(
    copied: Path, tmp_path: Path, damage: str, told: str
) -> None:
    old = aged(copied, tmp_path / "old")
    stored = load_file(old / "model.safetensors")
    name = "normalize_inputs.buffer_observation_state.std"
    if damage == "lost":
        del stored[name]
    elif damage == "empty":
        stored[name] = stored[name] * float("inf")
    else:
        stored["normalize_inputs.buffer_observation_effort.mean"] = stored[name].clone()
    save_file(stored, old / "model.safetensors")
    with pytest.raises(CheckpointError, match=told):
        load_learner(old, "cpu")
