from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from data import films
from learn.tiny import quiet

from vibrissa.commands import openloop
from vibrissa.commands.train import train_policy
from vibrissa.core.errors import ContractError, DatasetError, PolicyFault
from vibrissa.learn.openloop import open_loop
from vibrissa.learn.policy import load_policy
from vibrissa.learn.recipes import recipe_named


def test_training_brings_it_below_the_mean_action(dataset: Path, tmp_path: Path) -> None:
    longer = replace(recipe_named("debug"), steps=300, save_every=1, keep=400, lr=3e-3)
    train_policy(replace(longer, save_every=299), dataset, tmp_path / "run", threads=1, say=quiet)
    told = openloop.measured(openloop.Config(tmp_path / "run", dataset))
    assert told.ratio < 0.5
    assert told.samples == 63
    assert told.joints[0] == "shoulder_pan.pos"
    assert told.units == ("deg",) * 5 + ("percent",)


def test_the_mean_action_itself_scores_one(trained: Path) -> None:
    """A policy replaced by the mean of what is compared must get the ratio 1."""
    policy = load_policy(trained, slots=4)
    generator = torch.Generator().manual_seed(0)
    recorded = torch.randn(4, 10, 6, generator=generator)
    mean = recorded[:, : policy.horizon].flatten(0, 1).mean(0)
    policy.predict = lambda batch: mean.expand(4, 10, 6)  # type: ignore[method-assign]
    batch = {"action": recorded, "action_is_pad": torch.zeros(4, 10, dtype=torch.bool)}
    assert open_loop(policy, [batch]).ratio == pytest.approx(1.0)


def test_nothing_to_compare_is_said(trained: Path) -> None:
    with pytest.raises(DatasetError, match="no samples"):
        open_loop(load_policy(trained), [])


def test_nan_has_no_error_to_tell(trained: Path) -> None:
    policy = load_policy(trained, slots=4)
    policy.predict = lambda batch: torch.full((4, 10, 6), torch.nan)  # type: ignore[method-assign]
    recorded = torch.zeros(4, 10, 6)
    batch = {"action": recorded, "action_is_pad": torch.zeros(4, 10, dtype=torch.bool)}
    with pytest.raises(PolicyFault, match="NaN"):
        open_loop(policy, [batch])


def test_another_arms_dataset_is_refused(trained: Path, realdata: Path) -> None:
    other = realdata / "so101_bimanual_5ep_v30_video"
    with pytest.raises(ContractError, match="does not fit dataset"):
        openloop.measured(openloop.Config(trained, other))


def test_two_real_arms_with_cameras(realdata: Path, tmp_path: Path) -> None:
    """Real video and twelve joints: trained, and compared in the numbers that they have."""
    root = realdata / "so101_bimanual_5ep_v30_video"
    few = replace(recipe_named("debug"), steps=2, batch_size=2, picture=(16, 16))
    train_policy(few, root, tmp_path / "run", threads=1, cache=tmp_path, say=quiet)
    told = openloop.measured(
        openloop.Config(tmp_path / "run", root, samples=8, cache=tmp_path, device="cpu")
    )
    assert len(told.joints) == 12
    assert told.samples == 8
    assert 0.1 < told.ratio < 5


def test_what_is_unusual_about_the_films_is_printed(tmp_path: Path, capsys) -> None:
    root = films.write(tmp_path / "set", films.ends_early(films.made()))
    few = replace(recipe_named("debug"), steps=2, batch_size=2, picture=(16, 16))
    train_policy(few, root, tmp_path / "run", threads=1, cache=tmp_path / "c", say=quiet)
    openloop.measured(openloop.Config(tmp_path / "run", root, 4, "cpu", tmp_path / "c"))
    assert capsys.readouterr().err.count("warning: observation.images.front: by from_timest") == 1
