"""The statistics that a checkpoint normalises with: in its processors, or within old weights.

Until the autumn of 2025 LeRobot kept them as buffers of the network, and saved them with its
weights: `normalize_inputs.buffer_observation_state.mean`, dots turned into underscores. Since
then they lie in the processors beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from lerobot.processor import NormalizerProcessorStep, UnnormalizerProcessorStep
from lerobot.utils.constants import ACTION
from numpy.typing import NDArray
from torch import Tensor

from vibrissa.core.errors import CheckpointError
from vibrissa.learn.act import Learner

Statistics = dict[str, dict[str, NDArray[np.float64]]]

_MODULES = ("normalize_inputs.", "normalize_targets.", "unnormalize_outputs.")
_BUFFER = "buffer_"
_NORMALIZERS = (NormalizerProcessorStep, UnnormalizerProcessorStep)


def within(stored: Mapping[str, Tensor]) -> list[str]:
    """The names in old weights that are statistics; empty for weights of today."""
    return [name for name in stored if name.startswith(_MODULES)]


def taken_out(stored: Mapping[str, Tensor], keys: Iterable[str]) -> dict[str, dict[str, Tensor]]:
    """The statistics within old weights, for the features `keys` that the network has.

    Raises CheckpointError for one of another feature, and for one that was never filled.
    """
    known = {key.replace(".", "_"): key for key in keys}
    told: dict[str, dict[str, Tensor]] = {}
    for name in within(stored):
        flat, _, kind = name.split(".", 1)[1].removeprefix(_BUFFER).rpartition(".")
        if flat not in known:
            raise CheckpointError(
                f"the weights hold statistics of {flat!r}, and config.json has no such feature."
            )
        if not stored[name].isfinite().all():
            raise CheckpointError(f"the statistics {name} within the weights were never filled.")
        told.setdefault(known[flat], {})[kind] = stored[name]
    return told


def statistics_of(learner: Learner) -> Statistics:
    """What `learner` normalises with, by feature: mean, std, and min, max where it has them."""
    told: Statistics = {}
    for step in (*learner.preprocessor.steps, *learner.postprocessor.steps):
        if not isinstance(step, _NORMALIZERS):
            continue
        for key, values in (getattr(step, "stats", None) or {}).items():
            if key in told and key != ACTION:
                continue  # a postprocessor carries the inputs' along, and does not use them
            told[key] = {k: np.asarray(v, np.float64).reshape(-1) for k, v in values.items()}
    return told
