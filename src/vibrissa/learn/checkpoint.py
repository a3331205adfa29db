"""Checkpoints in LeRobot's own layout, with the contract inside.

    pretrained_model/  config.json  model.safetensors  policy_{pre,post}processor.json + state
                       train_config.json  vibrissa/contract.json
    training_state/    optimizer, scheduler, random generators, step, sampler

JSON and safetensors only: a pickle is neither written nor read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import draccus
from draccus.utils import ParsingError
from lerobot.common.train_utils import load_training_state, save_training_state
from lerobot.configs.default import DatasetConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot.optim import AdamWConfig
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors
from lerobot.processor import ProcessorStepRegistry
from safetensors import SafetensorError
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from vibrissa.core.contract import Contract
from vibrissa.core.errors import CheckpointError, ContractError
from vibrissa.learn.act import Learner
from vibrissa.learn.recipes import Recipe
from vibrissa.learn.run import PRETRAINED, TRAINING_STATE, write_json
from vibrissa.learn.weights import load_weights

CONTRACT = Path("vibrissa") / "contract.json"
SAMPLER = "sampler.json"
PROCESSORS = ("policy_preprocessor.json", "policy_postprocessor.json")


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


def load_learner(pretrained: Path, device: str) -> Learner:
    """The policy and the processors of a pretrained_model folder, every weight from its file.

    Raises CheckpointError in one line for whatever is missing, truncated, not ACT, or not safe.
    """
    config = _config(pretrained, device)
    with _quiet():
        policy = ACTPolicy(config)
    load_weights(policy, pretrained)
    for name in PROCESSORS:
        _check_processor(pretrained, name)
    on_device = {"device_processor": {"device": device}}
    try:
        before, after = make_pre_post_processors(
            config, pretrained_path=str(pretrained), preprocessor_overrides=on_device
        )
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        raise CheckpointError(
            f"the processors in {pretrained} cannot be loaded: {error}"
        ) from error
    policy.to(device).eval()
    return Learner(policy, before, after)


def stored_contract(pretrained: Path) -> Contract | None:
    """The contract in a checkpoint; None where it was written by somebody else.

    A checkpoint of stock `lerobot-train` on one of our datasets names the dataset's folder in
    its train_config.json, and the contract is found there.
    """
    places = [pretrained / CONTRACT]
    try:
        told = json.loads((pretrained / "train_config.json").read_text(encoding="utf-8"))
        places.append(Path(told["dataset"]["root"]) / "meta" / CONTRACT)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no such file, or one without a local dataset: there is nothing more to ask
    for place in places:
        if place.is_file():
            try:
                return Contract.from_dict(json.loads(place.read_text(encoding="utf-8")))
            except (ValueError, ContractError) as error:
                raise CheckpointError(f"{place} cannot be read: {error}") from error
    return None


def _config(pretrained: Path, device: str) -> ACTConfig:
    file = pretrained / "config.json"
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        kind = raw.pop("type", None)
        if kind != "act":
            raise CheckpointError(f"{file} is a policy of type {kind!r}. Known: act.")
        raw |= {"device": device, "pretrained_backbone_weights": None}
        return draccus.decode(ACTConfig, raw)
    except (OSError, ValueError, TypeError, ParsingError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error


def _check_processor(pretrained: Path, name: str) -> None:
    """Only LeRobot's own registered steps: a file must not choose which code is imported."""
    file = pretrained / name
    try:
        steps = json.loads(file.read_text(encoding="utf-8"))["steps"]
        names = [step.get("registry_name", step.get("class")) for step in steps]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} is missing or cannot be read: {error}") from error
    foreign = [n for n in names if n not in ProcessorStepRegistry.list()]
    if foreign:
        raise CheckpointError(f"{file} asks for steps that LeRobot does not have: {foreign}.")


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


@contextmanager
def _quiet():
    """Without LeRobot's remarks on the root logger while a network is built."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
