"""From a recipe and what a dataset offers to LeRobot's ACT and its two processors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors
from lerobot.processor import (
    ImageCropResizeProcessorStep,
    NormalizerProcessorStep,
    PolicyProcessorPipeline,
)
from lerobot.utils.constants import ACTION, IMAGENET_STATS, OBS_ENV_STATE, OBS_STATE
from numpy.typing import NDArray

from vibrissa.core.contract import Contract
from vibrissa.core.errors import DatasetError
from vibrissa.learn.recipes import Recipe
from vibrissa.learn.views import camera_name, camera_of

Stats = Mapping[str, Mapping[str, NDArray]]
Features = Mapping[str, Mapping[str, Any]]
NEAR_ZERO_STD = 1e-4


@dataclass(frozen=True)
class Learner:
    """The network and the processors that are saved with it."""

    policy: ACTPolicy
    preprocessor: PolicyProcessorPipeline
    postprocessor: PolicyProcessorPipeline


def new_learner(
    recipe: Recipe, features: Features, stats: Stats, contract: Contract, device: str
) -> Learner:
    """A fresh network for these inputs, initialised from torch's global generator.

    `features` are LeRobot feature dicts of exactly what is fed (see `inputs_of`); pictures are
    normalised with ImageNet's statistics, so that a dark camera cannot divide by zero.
    """
    config = _config(recipe, features, contract, device)
    safe = safe_stats(features, stats)
    tensors = {k: {s: torch.as_tensor(v) for s, v in d.items()} for k, d in safe.items()}
    before, after = make_pre_post_processors(config, dataset_stats=tensors)
    if recipe.picture and config.image_features:
        at = next(i for i, s in enumerate(before.steps) if isinstance(s, NormalizerProcessorStep))
        resize = ImageCropResizeProcessorStep(resize_size=recipe.picture)
        before.steps = [*before.steps[:at], resize, *before.steps[at:]]
    return Learner(ACTPolicy(config).to(device), before, after)


def inputs_of(recipe: Recipe, features: Features) -> tuple[str, ...]:
    """The keys of `features` that this recipe feeds, state first.

    A camera policy never sees the privileged channels, whatever the dataset holds. ACT must
    look at something beside the joints; where "any" finds nothing else, it asks for privileged
    channels all the same, and the loader gives the joints a second time.
    Raises DatasetError, naming what is missing.
    """
    have = ", ".join(features) or "nothing"
    if OBS_STATE not in features or ACTION not in features:
        raise DatasetError(f"training needs {OBS_STATE} and {ACTION}; this dataset has: {have}.")
    pictures = tuple(k for k, f in features.items() if _is_picture(f))
    truth = (OBS_ENV_STATE,) if OBS_ENV_STATE in features else ()
    if recipe.inputs == "privileged" and not truth:
        raise DatasetError(
            f"recipe {recipe.name} needs the privileged pose, {OBS_ENV_STATE}, which only a "
            f"simulated arm records; this dataset has: {have}. With cameras use: act."
        )
    if recipe.inputs == "cameras" and not pictures:
        raise DatasetError(
            f"recipe {recipe.name} needs at least one camera; this dataset has: {have}."
        )
    if recipe.inputs == "privileged":
        return (OBS_STATE, *truth)
    if recipe.inputs == "cameras":
        return (OBS_STATE, *pictures)
    return (OBS_STATE, *truth, *pictures) if truth or pictures else (OBS_STATE, OBS_ENV_STATE)


def used_contract(contract: Contract, keys: tuple[str, ...]) -> Contract:
    """`contract` less the cameras and privileged channels that are not fed."""
    names = {camera_of(contract, key) for key in keys}
    cameras = tuple(c for c in contract.cameras if c.name in names)
    privileged = contract.privileged if OBS_ENV_STATE in keys else ()
    return replace(contract, cameras=cameras, privileged=privileged)


def safe_stats(features: Features, stats: Stats) -> dict[str, dict[str, NDArray]]:
    """Statistics that can be divided by; those of pictures are ImageNet's.

    A channel that never moves has a standard deviation near zero; it is set to 1, so that the
    channel stays near 0 after normalisation instead of magnifying noise. Raises DatasetError
    where statistics are missing or not finite.
    """
    safe: dict[str, dict[str, NDArray]] = {}
    for key, feature in features.items():
        if _is_picture(feature):
            safe[key] = {k: np.asarray(v, np.float32) for k, v in IMAGENET_STATS.items()}
            continue
        mean, std = _mean_std(key, stats)
        known = {**stats[key], "mean": mean, "std": np.where(std < NEAR_ZERO_STD, 1.0, std)}
        safe[key] = {k: np.asarray(v, np.float32) for k, v in known.items()}
    return safe


def _mean_std(key: str, stats: Stats) -> tuple[NDArray, NDArray]:
    have = stats.get(key, {})
    if "mean" not in have or "std" not in have:
        raise DatasetError(f"the dataset's statistics have no mean and std of {key}.")
    mean, std = np.asarray(have["mean"], np.float64), np.asarray(have["std"], np.float64)
    if not (np.isfinite(mean).all() and np.isfinite(std).all()):
        raise DatasetError(f"the dataset's statistics of {key} hold NaN or infinity.")
    return mean, std


def _config(recipe: Recipe, features: Features, contract: Contract, device: str) -> ACTConfig:
    inputs = {k: _policy_feature(recipe, k, f, contract) for k, f in features.items()}
    action = inputs.pop(ACTION)
    return ACTConfig(
        **asdict(recipe.act),
        input_features=inputs,
        output_features={ACTION: action},
        pretrained_backbone_weights=None,  # it would be fetched from the network
        optimizer_lr=recipe.lr,
        optimizer_lr_backbone=recipe.lr,
        optimizer_weight_decay=recipe.weight_decay,
        device=device,
        push_to_hub=False,
    )


def _policy_feature(
    recipe: Recipe, key: str, feature: Mapping[str, Any], contract: Contract
) -> PolicyFeature:
    if _is_picture(feature):
        camera = contract.camera(camera_name(key))
        size = recipe.picture or (camera.height, camera.width)
        return PolicyFeature(FeatureType.VISUAL, (3, *size))
    kinds = {ACTION: FeatureType.ACTION, OBS_ENV_STATE: FeatureType.ENV}
    return PolicyFeature(kinds.get(key, FeatureType.STATE), tuple(feature["shape"]))


def _is_picture(feature: Mapping[str, Any]) -> bool:
    return feature.get("dtype") in ("video", "image")
