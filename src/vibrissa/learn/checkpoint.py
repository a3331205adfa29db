"""Checkpoints in LeRobot's own layout, with the contract inside.

    pretrained_model/  config.json  model.safetensors  policy_{pre,post}processor.json + state
                       train_config.json  vibrissa/contract.json  vibrissa/statistics.json
    training_state/    optimizer, scheduler, random generators, step, sampler

JSON and safetensors only: a pickle is neither written nor read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from lerobot.common.train_utils import load_training_state, save_training_state
from lerobot.configs.default import DatasetConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot.optim import AdamWConfig
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.utils.constants import HF_LEROBOT_HOME
from safetensors import SafetensorError
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from vibrissa.core.contract import Contract
from vibrissa.core.errors import CheckpointError, ContractError
from vibrissa.learn.act import Learner
from vibrissa.learn.recipes import Recipe
from vibrissa.learn.run import PRETRAINED, TRAINING_STATE, write_json
from vibrissa.learn.statistics import Statistics, statistics_of
from vibrissa.learn.weights import load_weights

CONTRACT = Path("vibrissa") / "contract.json"
STATISTICS = CONTRACT.with_name("statistics.json")  # what the processors must normalise with
SAMPLER = "sampler.json"


@dataclass(frozen=True)
class State:
    """What moves while training goes on, beside the weights."""

    optimizer: Optimizer
    scheduler: LRScheduler


def save(
    folder: Path,
    step: int,
    learner: Learner,
    state: State,
    *,
    contract: Contract,
    recipe: Recipe,
    dataset: Path,
    sampler: Mapping[str, Any],
    seed: int,
) -> None:
    """Fill `folder` with a checkpoint that stock LeRobot can load."""
    pretrained = folder / PRETRAINED
    learner.policy.save_pretrained(pretrained)
    learner.preprocessor.save_pretrained(pretrained)
    learner.postprocessor.save_pretrained(pretrained)
    _train_config(recipe, dataset, learner.policy.config, seed).save_pretrained(pretrained)
    (pretrained / CONTRACT).parent.mkdir()
    write_json(pretrained / CONTRACT, contract.to_dict())
    known = statistics_of(learner)
    told = {key: {kind: v.tolist() for kind, v in one.items()} for key, one in known.items()}
    write_json(pretrained / STATISTICS, told)
    batch = recipe.batch_size
    save_training_state(folder, step, state.optimizer, state.scheduler, batch_size=batch)
    write_json(folder / TRAINING_STATE / SAMPLER, {"step": step, **sampler})


def restore(folder: Path, learner: Learner, state: State) -> tuple[int, dict[str, Any]]:
    """Put weights, optimizer, schedule and random generators back: (step, sampler's state).

    Raises CheckpointError where anything is missing or cut short.
    """
    load_weights(learner.policy, folder / PRETRAINED)
    try:
        step, _, _ = load_training_state(folder, state.optimizer, state.scheduler)
        sampler = json.loads((folder / TRAINING_STATE / SAMPLER).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"the training state in {folder} cannot be read: {error}") from error
    return step, sampler


def own_contract(pretrained: Path) -> Contract | None:
    """The contract in a checkpoint; None where it was written by somebody else."""
    return _read_contract(pretrained / CONTRACT)


def stored_contract(pretrained: Path) -> Contract | None:
    """The same, or that of the dataset that it names.

    A checkpoint of stock `lerobot-train` on one of our datasets names the dataset's folder in
    its train_config.json, and the contract is found there.
    """
    root, _ = named_dataset(pretrained)
    of_dataset = None if root is None else root / "meta" / CONTRACT
    return own_contract(pretrained) or (of_dataset and _read_contract(of_dataset))


def own_statistics(pretrained: Path) -> Statistics:
    """What a checkpoint of ours was trained with; empty where nothing says it.

    Raises CheckpointError for a file that cannot be read.
    """
    return _read_statistics(pretrained / STATISTICS)


def recorded_statistics(pretrained: Path) -> tuple[Statistics, Path | None]:
    """Those of the dataset that its train_config.json names, and that dataset's folder.

    Empty where it is not there any more, or keeps none of the whole. Raises CheckpointError.
    """
    root, _ = named_dataset(pretrained)
    return (_read_statistics(root / "meta" / "stats.json") if root else {}), root


def _read_statistics(file: Path) -> Statistics:
    if not file.is_file():
        return {}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return {
            key: {kind: np.asarray(v, np.float64).reshape(-1) for kind, v in one.items()}
            for key, one in told.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error


def _read_contract(place: Path) -> Contract | None:
    if not place.is_file():
        return None
    try:
        return Contract.from_dict(json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError, ContractError) as error:
        raise CheckpointError(f"{place} cannot be read: {error}") from error


def named_dataset(pretrained: Path) -> tuple[Path | None, str]:
    """The dataset that train_config.json names: its folder, and its name.

    The folder is the one that it says, or where LeRobot keeps a dataset of that name by itself.
    """
    try:
        told = json.loads((pretrained / "train_config.json").read_text(encoding="utf-8"))["dataset"]
        root, name = told.get("root"), told.get("repo_id")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, ""  # no such file: there is nothing more to ask
    if isinstance(root, str):
        return Path(root), str(name or "")
    kept = HF_LEROBOT_HOME / name if isinstance(name, str) and name else None
    return (kept if kept is not None and kept.is_dir() else None), str(name or "")


def _train_config(
    recipe: Recipe, dataset: PurePath, config: ACTConfig, seed: int
) -> TrainPipelineConfig:
    # A repository id has one slash and no backslash, whatever the paths of this system look like.
    return TrainPipelineConfig(
        dataset=DatasetConfig(
            repo_id=f"local/{dataset.name}", root=str(dataset), video_backend="pyav"
        ),
        policy=config,
        job_name=recipe.name,
        seed=seed,
        batch_size=recipe.batch_size,
        steps=recipe.steps,
        save_freq=recipe.save_every,
        log_freq=recipe.log_every,
        optimizer=AdamWConfig(
            lr=recipe.lr, weight_decay=recipe.weight_decay, grad_clip_norm=recipe.grad_clip
        ),
    )
