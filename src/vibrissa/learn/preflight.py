"""What is checked before a long run, so that it does not fail at its end."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lerobot.utils.constants import OBS_ENV_STATE

from vibrissa.core.errors import DatasetError, UsageError
from vibrissa.learn.act import Features, inputs_of
from vibrissa.learn.backbone import NO_LESSON
from vibrissa.learn.recipes import Recipe


def device_named(asked: str) -> str:
    """The device to train on: "auto" takes a GPU where there is one.

    Raises UsageError for a device that is not there; there is no silent change to another.
    """
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked == "cpu":
        return asked
    try:
        if torch.tensor(0, device=asked).device.type in ("cuda", "mps"):
            return asked
    except (RuntimeError, AssertionError):
        pass  # torch's way to say that there is none; said in our words below
    have = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    raise UsageError(f"no device {asked!r} here. There is: {', '.join(have)}; or auto.")


def check_dataset(recipe: Recipe, features: Features, frames: int) -> None:
    """Raise DatasetError where this recipe cannot train on a dataset with these features."""
    if frames < 1:
        raise DatasetError("the dataset has no frames.")
    inputs = inputs_of(recipe, features)
    sees = any(features.get(key, {}).get("dtype") in ("video", "image") for key in inputs)
    if recipe.start == "taught" and sees and OBS_ENV_STATE not in features:
        raise DatasetError(f"recipe {recipe.name}: {NO_LESSON}")


def check_disk(folder: Path, model_bytes: int, recipe: Recipe) -> None:
    """Raise UsageError where the checkpoints to be kept would not fit on the disk."""
    count, one = recipe.disk_need(model_bytes)
    need = count * one
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if need > free:
        raise UsageError(
            f"{count} checkpoints need {_mb(need)} and {folder} has {_mb(free)} left. "
            "Free some space, or give a smaller --keep."
        )


def check_resume(manifest: Mapping[str, Any], dataset_digest: str) -> None:
    """Raise UsageError where a run would go on with other data than it began with."""
    began = manifest.get("dataset", {}).get("digest")
    if began != dataset_digest:
        raise UsageError(
            f"the dataset has changed since this run began (digest {began}, now "
            f"{dataset_digest}). Start a new run with --out."
        )


def _mb(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
