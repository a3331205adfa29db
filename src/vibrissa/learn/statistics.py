"""The statistics that a checkpoint normalises with, and whether they are a dataset's.

Until the autumn of 2025 LeRobot kept them as buffers of the network, and saved them with its
weights: `normalize_inputs.buffer_observation_state.mean`, dots turned into underscores. Since
then they lie in the processors beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from lerobot.processor import (
    NormalizerProcessorStep,
    PolicyProcessorPipeline,
    UnnormalizerProcessorStep,
)
from lerobot.utils.constants import ACTION
from numpy.typing import NDArray
from torch import Tensor

from vibrissa.core.errors import CheckpointError
from vibrissa.learn.act import NEAR_ZERO_STD, Learner

Values = NDArray[np.float64]
Statistics = Mapping[str, Mapping[str, Values]]

_MODULES = ("normalize_inputs.", "normalize_targets.", "unnormalize_outputs.")
_BUFFER = "buffer_"
QUANTILES = ("q01", "q10", "q50", "q90", "q99")
KINDS = ("mean", "std", "min", "max", *QUANTILES)
SAME, FAR = 0.02, 0.5  # of a standard deviation: rounding; another dataset
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
    after = statistics_in(learner.postprocessor)
    # A postprocessor carries the inputs' along, and does not use them.
    used = {ACTION: after[ACTION]} if ACTION in after else {}
    return {**after, **statistics_in(learner.preprocessor), **used}


def statistics_in(pipeline: PolicyProcessorPipeline[Any, Any]) -> Statistics:
    """Those that a pipeline's own steps hold."""
    return {
        key: {kind: np.asarray(v, np.float64).reshape(-1) for kind, v in values.items()}
        for step in pipeline.steps
        if isinstance(step, _NORMALIZERS)
        for key, values in (getattr(step, "stats", None) or {}).items()
    }


@dataclass(frozen=True)
class Off:
    """How far a dataset's statistics are from a checkpoint's, in words.

    same: it is the dataset. far: it is another one, or the statistics were changed. Between the
    two, the dataset was edited since, or it may be another one. rows: they were counted on as
    many rows, as far as both say it.
    """

    told: str
    same: bool
    far: bool
    rows: bool = False


def compared(
    ours: Statistics,
    theirs: Statistics,
    keys: Iterable[str],
    *,
    kinds: Sequence[str] = KINDS,
    whose: str = "the dataset's",
) -> Off | None:
    """The statistics of `keys` compared whole: what differs most; None where nothing is in both.

    Of as many rows they must be the same numbers. Of more or fewer, mean and spread may differ a
    little. theirs: the dataset's.
    """
    found: list[tuple[bool, float, str]] = []  # mean and spread first, which people know
    rows = True
    for key in keys:
        one, other = ours.get(key, {}), theirs.get(key, {})
        both = [kind for kind in kinds if kind in one and kind in other]
        rows = rows and (not both or _as_many(one, other))
        for kind in both:
            if len(one[kind]) != len(other[kind]):
                sizes = f"its {key} has {len(one[kind])} numbers, {whose} {len(other[kind])}"
                return Off(sizes, same=False, far=True)
            off = _off(kind, one, other)
            i = int(off.argmax())
            told = _told(f"its {kind} of {key}[{i}]", kind, one[kind][i], other[kind][i], whose)
            told += f", {off[i]:.2g} standard deviations away" * (kind != "std")
            found.append((kind in ("mean", "std") and off[i] > SAME, float(off[i]), told))
    if not found:
        return None
    moment, worst, told = max(found)
    return Off(told, worst <= SAME, (moment and worst > FAR) or (rows and worst > SAME), rows)


def _as_many(ours: Mapping[str, Values], theirs: Mapping[str, Values]) -> bool:
    """Whether both say how many rows they were counted on, and the same number."""
    known = "count" in ours and "count" in theirs
    return known and np.array_equal(ours["count"], theirs["count"])


def _off(kind: str, ours: Mapping[str, Values], theirs: Mapping[str, Values]) -> Values:
    """How far apart (C,): in standard deviations, or by which part one spread exceeds the other."""
    one, other = ours[kind], theirs[kind]
    if kind != "std":
        scale = ours["std"] if "std" in ours else np.ones_like(one)
        return np.nan_to_num(np.abs(one - other) / np.maximum(scale, 1e-3), nan=np.inf)
    still = (other < NEAR_ZERO_STD) & ((one < NEAR_ZERO_STD) | (one == 1.0))  # left unscaled
    low, high = np.minimum(one, other), np.maximum(one, other)
    return np.where(still, 0.0, high / np.maximum(low, NEAR_ZERO_STD / 10) - 1)


def _told(what: str, kind: str, one: float, other: float, whose: str) -> str:
    times = f", {one / other:.3g} times as much" if kind == "std" and min(one, other) > 0 else ""
    return f"{what} is {one:.4g}, {whose} {other:.4g}{times}"
