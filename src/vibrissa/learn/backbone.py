"""What a camera policy's backbone knows before its first step: nothing, a lesson, or ImageNet.

Whatever it was given is kept in the run folder, so that a run that is gone on with need not
learn it twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from vibrissa.core.errors import CheckpointError, UsageError
from vibrissa.learn.recipes import Recipe
from vibrissa.learn.run import RunFolder, write_json
from vibrissa.learn.sight import Seen
from vibrissa.learn.views import camera_name

AXES = tuple(f"{joint}{axis}" for joint in "._" for axis in "xyz")
WEIGHTS, TOLD = "backbone.safetensors", "backbone.json"


def prepare(
    backbone: nn.Module,
    recipe: Recipe,
    run: RunFolder,
    teach: Callable[[], tuple[Seen, ...]],
) -> None:
    """Give `backbone` what the recipe's `start` says, from the run folder if it is there.

    `teach` holds the lesson, where one is wanted. Raises UsageError where ImageNet's weights cannot
    be had, CheckpointError where the run folder's file cannot be read.
    """
    file = run.path / WEIGHTS
    if recipe.start == "fresh":
        return
    if file.is_file():
        _load(backbone, file)
        return
    began_s, seen = time.monotonic(), ()
    if recipe.start == "imagenet":
        from_imagenet(backbone, recipe.act.vision_backbone)
    else:
        seen = teach()
    known = {
        "start": recipe.start,
        "seconds": round(time.monotonic() - began_s, 1),
        "steps": recipe.teaching.steps if seen else 0,
        "cameras": [asdict(camera) for camera in seen],
    }
    write_json(run.path / TOLD, known)
    partial = file.with_suffix(".partial")
    save_file({k: v.contiguous() for k, v in backbone.state_dict().items()}, partial)
    partial.replace(file)


def told(run: RunFolder) -> list[str]:
    """What the run's backbone was taught to tell, a line a camera; empty without a lesson."""
    file = run.path / TOLD
    if not file.is_file():
        return []
    cameras = json.loads(file.read_text(encoding="utf-8"))["cameras"]
    return [f"{camera_name(camera['camera'])} tells {_errors(camera)}" for camera in cameras]


def from_imagenet(backbone: nn.Module, variant: str) -> None:
    """ImageNet's weights as torchvision publishes them, fetched once into its cache.

    Raises UsageError where they can neither be found there nor fetched.
    """
    weights: Any = torchvision.models.get_model_weights(variant)["IMAGENET1K_V1"]
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"ImageNet's weights cannot be had from {weights.url} ({error}). Connect to the "
            "network once, or train with --backbone taught or --backbone fresh."
        ) from error
    wanted = backbone.state_dict()
    backbone.load_state_dict({name: value for name, value in state.items() if name in wanted})


NO_LESSON = (
    "a taught backbone learns from the privileged pose, observation.environment_state, which only "
    "a simulated arm records. Here: --backbone imagenet (fetched once) or --backbone fresh."
)


def _errors(camera: Mapping[str, Any]) -> str:
    """The median errors of the places, in mm: in the world, then from the gripper's tip."""
    places = {n: error for n, error in camera["median"].items() if n.endswith(AXES)}
    each = ", ".join(f"{name} {1000 * error:.1f}" for name, error in places.items())
    return f"{each} mm (median error, {camera['rows']} pictures not taught)"


def _load(backbone: nn.Module, file: Any) -> None:
    try:
        backbone.load_state_dict(load_file(file))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(
            f"{file} cannot be read: {error}. Remove it to teach anew."
        ) from error
