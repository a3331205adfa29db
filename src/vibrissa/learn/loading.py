"""A pretrained_model folder → network and processors: every weight from its file, or one line."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import draccus
from draccus.utils import ParsingError
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors
from lerobot.processor import ProcessorStepRegistry
from safetensors import SafetensorError
from torch import Tensor

from vibrissa.core.errors import CheckpointError
from vibrissa.learn.act import Learner
from vibrissa.learn.checkpoint import STATISTICS, own_statistics, recorded_statistics
from vibrissa.learn.memory import memory_told
from vibrissa.learn.processors import AGAIN, PROCESSORS, require_sound, require_statistics
from vibrissa.learn.statistics import KINDS, compared, statistics_of, taken_out, within
from vibrissa.learn.weights import load_weights, read_tensors, read_weights, require_whole

# What the other kinds of LeRobot's policies need before they could be judged here.
LACKING = {
    "diffusion": "the diffusers package, and two observations of history a question",
    "smolvla": "the transformers package, its vision-language model's weights and tokenizer",
    "pi0": "the transformers package, PaliGemma's gated tokenizer, actions padded to 32",
    "pi05": "the transformers package, PaliGemma's gated tokenizer, actions padded to 32",
}


def load_learner(pretrained: Path, device: str) -> Learner:
    """The policy and the processors of a pretrained_model folder, every weight from its file.

    One that LeRobot saved before there were processors has its statistics within its weights;
    the processors are then made of them. Raises CheckpointError in one line for whatever is
    missing, truncated, not ACT, or not safe, for processors that do not do what config.json says
    and for statistics that are not those it was trained with; OutOfMemory where it does not fit in.
    """
    config = read_config(pretrained, device)
    with memory_told("cpu"):
        learner = _read(pretrained, config, device)
        require_statistics(learner, pretrained)
        _require_own_statistics(learner, pretrained)
        require_sound(learner, pretrained)
    with memory_told(device):
        learner.policy.to(device).eval()
    return learner


def _read(pretrained: Path, config: ACTConfig, device: str) -> Learner:
    stored = read_weights(pretrained)
    policy = _network(config, pretrained)
    if within(stored) and not any((pretrained / name).is_file() for name in PROCESSORS):
        return _old(policy, config, stored, pretrained)
    load_weights(policy, pretrained, stored)
    return _with_processors(policy, config, pretrained, device)


def require_readable(pretrained: Path) -> None:
    """Raise CheckpointError for what can be seen at a glance: no network, or weights cut short.

    It takes milliseconds, whatever the size: of the weights only the header is looked at.
    """
    read_config(pretrained, "cpu")
    require_whole(pretrained)


def read_config(pretrained: Path, device: str) -> ACTConfig:
    """What config.json says. Raises CheckpointError; for another kind, with what it would need."""
    file = pretrained / "config.json"
    try:
        raw = dict(json.loads(file.read_text(encoding="utf-8")))
        _require_act(raw.pop("type", None), file)
        raw |= {"device": device, "pretrained_backbone_weights": None}
        config = draccus.decode(ACTConfig, raw)
    except (OSError, ValueError, TypeError, ParsingError, NotImplementedError) as error:
        raise CheckpointError(f"{file} cannot be read: {_line(error)}") from error
    if not config.input_features or not config.action_feature:
        raise CheckpointError(f"{file} does not say what goes into the network and what comes out.")
    return config


def _require_act(kind: object, file: Path) -> None:
    if kind == "act":
        return
    if kind is None:
        raise CheckpointError(
            f"{file} names no type of policy: LeRobot wrote such files until the end of 2024, "
            "and this one is too old to be read. Known: act."
        )
    lacks = LACKING.get(str(kind), "a loader of its own")
    raise CheckpointError(
        f"{file} is a policy of type {kind!r}. Known: act. What is missing for {kind}: {lacks}. "
        "LeRobot's own tools run it on our arms through the plugin lerobot_robot_vibrissa."
    )


def _require_own_statistics(learner: Learner, pretrained: Path) -> None:
    """Raise CheckpointError where the processors hold other statistics than it was trained with.

    Ours says which. Of others the dataset that it names says it, while it is the same dataset:
    as many rows, with the same least and greatest values.
    """
    known, own = statistics_of(learner), own_statistics(pretrained)
    off = compared(known, own, own, whose=f"{STATISTICS}'s") if own else None
    if off is None and not own:
        recorded, root = recorded_statistics(pretrained)
        config = learner.policy.config
        used = {**(config.input_features or {}), **(config.output_features or {})}
        numbers = [key for key in used if key not in config.image_features]
        ends = compared(known, recorded, numbers, kinds=("min", "max"))
        if ends is not None and ends.same and ends.rows:
            off = compared(known, recorded, numbers, whose=f"{root}'s")
    if off is not None and not off.same:
        raise CheckpointError(
            f"the processors in {pretrained} do not hold the statistics that it was trained with: "
            f"{off.told}. {AGAIN}"
        )


def _network(config: ACTConfig, pretrained: Path) -> ACTPolicy:
    try:
        with _quiet(), memory_told("cpu"):
            return ACTPolicy(config)
    except (ValueError, TypeError, KeyError, RuntimeError, AssertionError) as error:
        file = pretrained / "config.json"
        raise CheckpointError(f"{file} describes no network: {_line(error)}") from error


def _old(
    policy: ACTPolicy, config: ACTConfig, stored: dict[str, Tensor], pretrained: Path
) -> Learner:
    features = {**(config.input_features or {}), **(config.output_features or {})}
    stats = taken_out(stored, features)
    names = set(within(stored))
    load_weights(policy, pretrained, {n: t for n, t in stored.items() if n not in names})
    for key, feature in features.items():
        mode = config.normalization_mapping.get(feature.type.name)
        wants = {"MEAN_STD": ("mean", "std"), "MIN_MAX": ("min", "max")}
        absent = set(wants.get(mode.name, ()) if mode else ()) - set(stats.get(key, ()))
        if absent:
            raise CheckpointError(
                f"{pretrained}: no {' and '.join(sorted(absent))} of {key} within the weights, and "
                "there is no policy_preprocessor.json that has them."
            )
    return Learner(policy, *make_pre_post_processors(config, dataset_stats=stats))


def _with_processors(
    policy: ACTPolicy, config: ACTConfig, pretrained: Path, device: str
) -> Learner:
    for name in PROCESSORS:
        _check_processor(pretrained, name)
    on_device = {"device_processor": {"device": device}}
    try:
        with memory_told(device):
            before, after = make_pre_post_processors(
                config, pretrained_path=str(pretrained), preprocessor_overrides=on_device
            )
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        raise CheckpointError(
            f"the processors in {pretrained} cannot be loaded: {_line(error)}"
        ) from error
    return Learner(policy, before, after)


def _check_processor(pretrained: Path, name: str) -> None:
    """Only LeRobot's own registered steps: a file must not choose which code is imported."""
    file = pretrained / name
    if not file.is_file():
        raise CheckpointError(
            f"no {name} in {pretrained}: what its numbers are normalised with is not known. Copy "
            "the whole pretrained_model folder."
        )
    try:
        steps = json.loads(file.read_text(encoding="utf-8"))["steps"]
        names = [step.get("registry_name", step.get("class")) for step in steps]
        states = [step["state_file"] for step in steps if "state_file" in step]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} cannot be read: {_line(error)}") from error
    foreign = [n for n in names if n not in ProcessorStepRegistry.list()]
    if foreign:
        raise CheckpointError(f"{file} asks for steps that LeRobot does not have: {foreign}.")
    for state in states:
        _require_real_numbers(pretrained / Path(str(state)).name)


def _require_real_numbers(file: Path) -> None:
    """Statistics that were saved as whole numbers have lost what is behind the point."""
    whole = [
        name
        for name, values in (read_tensors(file) if file.is_file() else {}).items()
        if name.rpartition(".")[2] in KINDS and not values.is_floating_point()
    ]
    if whole:
        raise CheckpointError(f"{file} holds whole numbers as {', '.join(whole)}. {AGAIN}")


def _line(error: Exception) -> str:
    """The error's own words in one line, or those of what caused it, which know more."""
    while isinstance(error, ParsingError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Without LeRobot's remarks on the root logger while a network is built."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
