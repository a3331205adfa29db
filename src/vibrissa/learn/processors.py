"""The processors held against config.json, tried on a sample.

What goes in is normalised once, as config.json says, and what comes out is unnormalised by the
same statistics. A network whose actions are never unnormalised has the right shapes and solves
nothing, so it is refused before it is judged.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs import FeatureType, NormalizationMode, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.processor import NormalizerProcessorStep, UnnormalizerProcessorStep
from lerobot.utils.constants import ACTION

from vibrissa.core.errors import CheckpointError
from vibrissa.learn.act import Learner
from vibrissa.learn.statistics import KINDS, Values, statistics_in, statistics_of

PREPROCESSOR, POSTPROCESSOR = "policy_preprocessor.json", "policy_postprocessor.json"
PROCESSORS = (PREPROCESSOR, POSTPROCESSOR)
# What each mode divides by: the statistics it needs, and what they become.
NEEDS = {
    NormalizationMode.IDENTITY: (),
    NormalizationMode.MEAN_STD: ("mean", "std"),
    NormalizationMode.MIN_MAX: ("min", "max"),
    NormalizationMode.QUANTILES: ("q01", "q99"),
    NormalizationMode.QUANTILE10: ("q10", "q90"),
}
EPS = 1e-8  # LeRobot adds it to a standard deviation
TRIED = (-1.0, 0.25, 0.75)  # what the sample is once normalised; a sample in each mode's own range
AGAIN = "Copy the whole pretrained_model folder again, or train again."
Known = Mapping[str, Values]  # the statistics of one feature
Wrong = Callable[[str, PolicyFeature, NormalizationMode, Known], str]
_WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError)


def require_statistics(learner: Learner, pretrained: Path) -> None:
    """Raise CheckpointError for statistics that are missing, misshapen or not finite."""
    _require(learner, pretrained, _lack)


def require_sound(learner: Learner, pretrained: Path) -> None:
    """Raise CheckpointError unless the processors of `learner` do what its config.json says.

    Statistics that no recording has are refused too.
    """
    _require(learner, pretrained, _contradiction)
    _require_normalised(learner, pretrained)
    _require_unnormalised(learner, pretrained)


def mode_of(config: ACTConfig, feature: PolicyFeature) -> NormalizationMode:
    """How config.json says that this feature is normalised: not at all where it says nothing."""
    return NormalizationMode(
        config.normalization_mapping.get(feature.type.name, NormalizationMode.IDENTITY)
    )


def _require(learner: Learner, pretrained: Path, wrong: Wrong) -> None:
    """Raise CheckpointError for what `wrong` says of the statistics of a feature."""
    config, known = learner.policy.config, statistics_of(learner)
    for key, feature in {**(config.input_features or {}), **(config.output_features or {})}.items():
        told = wrong(key, feature, mode_of(config, feature), known.get(key, {}))
        if told:
            raise CheckpointError(
                f"the statistics in {pretrained} cannot be right: {told}. {AGAIN}"
            )


def _lack(key: str, feature: PolicyFeature, mode: NormalizationMode, known: Known) -> str:
    size = int(feature.shape[0])
    broken = [kind for kind, values in known.items() if not np.isfinite(values).all()]
    lacking = [kind for kind in NEEDS[mode] if kind not in known]
    misshapen = [kind for kind in KINDS if kind in known and len(known[kind]) != size]
    if broken:
        return f"its {', '.join(broken)} of {key} hold NaN or infinity"
    if lacking:
        return (
            f"config.json says {feature.type.name} {mode.name}, and there is no "
            f"{' and '.join(lacking)} of {key}"
        )
    if misshapen:
        kind = misshapen[0]
        return f"its {kind} of {key} has {len(known[kind])} numbers, and {key} has {size}"
    return ""


def _contradiction(key: str, feature: PolicyFeature, mode: NormalizationMode, known: Known) -> str:
    """What no recorded numbers have: least above greatest, or more spread than their range.

    Pictures go by ImageNet's mean and spread, whatever theirs were.
    """
    if mode is NormalizationMode.MEAN_STD and not (
        (known["std"] >= 0).all() and known["std"].any()
    ):
        return f"its std of {key} is {known['std'].min():.4g}: more than 0 is wanted"
    if mode is NormalizationMode.IDENTITY or feature.type is FeatureType.VISUAL:
        return ""
    order = [k for k in ("min", "q01", "q10", "q50", "q90", "q99", "max") if k in known]
    span = known["max"] - known["min"] if {"min", "max"} <= set(known) else None
    slack = 1e-4 + 0.02 * np.abs(span) if span is not None else 1e-4
    for below, above in itertools.pairwise(order):
        wrong = known[below] > known[above] + slack
        if wrong.any():
            i = int(wrong.argmax())
            return (
                f"its {below} of {key}[{i}], {known[below][i]:.4g}, is above its {above}, "
                f"{known[above][i]:.4g}"
            )
    return _spread(key, known, span) if span is not None and "std" in NEEDS[mode] else ""


def _spread(key: str, known: Known, span: Values) -> str:
    """Of n numbers the std is at most half their range, and at least range / sqrt(2 n)."""
    mean, std = known["mean"], known["std"]
    moves = (span > 1e-3) & (std != 1.0)  # a channel that never moves is left unscaled: std 1
    rows = float(known["count"].max()) if "count" in known else np.inf
    for wrong, what in (
        (moves & (std > 0.525 * span + 1e-4), "more than half its range"),
        (moves & (std < 0.95 * span / np.sqrt(2 * rows) - 1e-6), "less than its range allows"),
        (moves & (std == 0), "0 although it moves"),
    ):
        if wrong.any():
            i = int(wrong.argmax())
            return (
                f"its std of {key}[{i}] is {std[i]:.4g}, {what} ({known['min'][i]:.4g} to "
                f"{known['max'][i]:.4g})"
            )
    outside = (mean < known["min"] - 0.02 * span - 1e-3) | (
        mean > known["max"] + 0.02 * span + 1e-3
    )
    if outside.any():
        i = int(outside.argmax())
        ends = f"{known['min'][i]:.4g} to {known['max'][i]:.4g}"
        return f"its mean of {key}[{i}], {mean[i]:.4g}, lies outside its range, {ends}"
    return ""


def _require_normalised(learner: Learner, pretrained: Path) -> None:
    config, known = learner.policy.config, statistics_of(learner)
    given = {
        key: _raw(feature, mode_of(config, feature), known.get(key, {}))  # (N, *shape)
        for key, feature in (config.input_features or {}).items()
    }
    ready = _tried(lambda: learner.preprocessor(dict(given)), PREPROCESSOR, pretrained)
    for key, feature in (config.input_features or {}).items():
        mode = mode_of(config, feature)
        got = ready.get(key)
        wanted = _normalised(given[key], mode, known.get(key, {}))
        if got is None or not _alike(_flat(got), _flat(wanted), torch.tensor(1e-3)):
            said = f"{feature.type.name} {mode.name}"
            seen = " is gone" if got is None else _difference(given[key], got, wanted)
            raise CheckpointError(
                f"{pretrained}: config.json says {said}, and {PREPROCESSOR} does not do that"
                f"{_steps_told(learner.preprocessor, NormalizerProcessorStep, feature, mode)}: "
                f"{key}{seen}. {AGAIN}"
            )


def _require_unnormalised(learner: Learner, pretrained: Path) -> None:
    """By the statistics that the preprocessor has of the action, where it has them."""
    config: ACTConfig = learner.policy.config
    feature = config.action_feature
    assert feature is not None  # `read_config` has looked
    mode = mode_of(config, feature)
    known = statistics_in(learner.preprocessor).get(ACTION) or statistics_in(
        learner.postprocessor
    ).get(ACTION, {})
    wanted = _raw(feature, mode, known)
    given = _normalised(wanted, mode, known)
    got = _tried(lambda: learner.postprocessor(given.clone()), POSTPROCESSOR, pretrained)
    _, scale = _line(mode, known, len(wanted[0]))
    near = 1e-3 * torch.from_numpy(scale) + 1e-5 * wanted.abs() + 1e-6  # float32
    if not _alike(_flat(got), wanted, near):
        raise CheckpointError(
            f"{pretrained}: config.json says ACTION {mode.name}, and {POSTPROCESSOR} does not undo "
            f"it{_steps_told(learner.postprocessor, UnnormalizerProcessorStep, feature, mode)}: "
            f"{ACTION}{_difference(given, got, wanted)}. {AGAIN}"
        )


def _raw(feature: PolicyFeature, mode: NormalizationMode, known: Known) -> torch.Tensor:
    """A sample (N, *shape) in stored units that lies within what was recorded."""
    middle, scale = _line(mode, known, int(feature.shape[0]))
    values = np.stack([middle + at * scale for at in TRIED]).astype(np.float32)  # (N, C)
    shape = (*values.shape, *(1 for _ in feature.shape[1:]))
    return torch.from_numpy(values.reshape(shape)).expand(-1, *feature.shape).contiguous()


def _normalised(raw: torch.Tensor, mode: NormalizationMode, known: Known) -> torch.Tensor:
    """What config.json's mode makes of `raw`, written down independently of LeRobot's step."""
    if mode is NormalizationMode.IDENTITY:
        return raw
    middle, scale = _line(mode, known, raw.shape[1])
    still = scale == 0
    by = np.where(still, 1.0, scale + EPS * (mode is NormalizationMode.MEAN_STD))
    # LeRobot makes -1 of what never moves, where it goes by a range.
    at = middle + still * (mode is not NormalizationMode.MEAN_STD)
    shape = (1, -1, *(1 for _ in raw.shape[2:]))
    return (
        (raw.double() - torch.from_numpy(at).reshape(shape)) / torch.from_numpy(by).reshape(shape)
    ).float()


def _line(mode: NormalizationMode, known: Known, size: int) -> tuple[Values, Values]:
    """Where the normalised 0 lies, and how far from it 1 is: (C,) each. As it is: within 0..1."""
    if mode is NormalizationMode.IDENTITY:
        return np.full(size, 0.5), np.full(size, 0.25)
    first, second = (known[kind] for kind in NEEDS[mode])
    if mode is NormalizationMode.MEAN_STD:
        return first, second
    return (first + second) / 2, (second - first) / 2


def _tried(step: Any, name: str, pretrained: Path) -> Any:
    try:
        with torch.inference_mode():
            return step()
    except _WRONG as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(
            f"{pretrained}: {name} cannot be used, tried on a sample: {told}. {AGAIN}"
        ) from error


def _flat(values: torch.Tensor) -> torch.Tensor:
    """(N, C): pictures are of one shade, so that any size of them is the same."""
    values = values.detach().float().cpu()
    return values.flatten(2).mean(dim=2) if values.ndim > 2 else values


def _alike(got: torch.Tensor, wanted: torch.Tensor, near: torch.Tensor) -> bool:
    return got.shape == wanted.shape and bool(((got - wanted).abs() <= near).all())


def _difference(given: torch.Tensor, got: torch.Tensor, wanted: torch.Tensor) -> str:
    came, goes, should = (_flat(values) for values in (got, given, wanted))
    if came.shape != should.shape:
        return f" comes out as {tuple(came.shape)}, not {tuple(should.shape)}"
    row = len(TRIED) - 1
    i = int((came[row] - should[row]).abs().argmax())
    return f"[{i}] {goes[row, i]:.4g} comes out as {came[row, i]:.4g}, not {should[row, i]:.4g}"


def _steps_told(pipeline: Any, kind: type, feature: PolicyFeature, mode: NormalizationMode) -> str:
    """What of its steps explains it, in brackets; empty where nothing obvious does."""
    steps = [step for step in pipeline.steps if isinstance(step, kind)]
    if len(steps) != 1:
        return f" (it has {len(steps) or 'no'} step{'s' * (len(steps) > 1)} that does it)"
    said = steps[0].norm_map.get(feature.type, NormalizationMode.IDENTITY)
    return "" if said == mode else f" (its step says {NormalizationMode(said).name})"
