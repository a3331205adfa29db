"""Does a policy reproduce the actions of a dataset? The first thing to ask of one that fails.

It answers stored observations, and its chunks are held against what was really done. A policy
that is no better than the dataset's mean action was trained on other recordings, or hardly at all:
that its weights and processors are whole was checked when it was loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vibrissa.core.errors import DatasetError, PolicyFault
from vibrissa.learn.policy import CheckpointPolicy


@dataclass(frozen=True)
class OpenLoop:
    """Mean absolute errors per joint, in stored units, over `actions` compared actions.

    `mean_error` is that of always doing the dataset's mean action.
    """

    joints: tuple[str, ...]
    units: tuple[str, ...]
    error: tuple[float, ...]
    mean_error: tuple[float, ...]
    actions: int
    samples: int

    @property
    def ratio(self) -> float:
        """The error as a part of the mean action's: 0 is perfect, 1 is no better than that.

        The mean over the joints that move at all.
        """
        parts = [e / m for e, m in zip(self.error, self.mean_error, strict=True) if m > 1e-6]
        return sum(parts) / len(parts) if parts else 0.0

    def to_dict(self) -> dict[str, Any]:
        rows = zip(self.joints, self.units, self.error, self.mean_error, strict=True)
        return {
            "joints": [
                {"joint": j, "unit": u, "error": e, "mean_action_error": m} for j, u, e, m in rows
            ],
            "ratio": self.ratio,
            "actions": self.actions,
            "samples": self.samples,
        }


def open_loop(policy: CheckpointPolicy, batches: Iterable[Mapping[str, Tensor]]) -> OpenLoop:
    """Compare the executed part of each chunk with the recorded actions.

    `batches` are a loader's: inputs in stored units, `action` (B, K, A), `action_is_pad` (B, K).
    Raises DatasetError where there is nothing to compare, PolicyFault for NaN.
    """
    errors, done, samples = [], [], 0
    for batch in batches:
        inputs = {k: v for k, v in batch.items() if k.startswith("observation")}
        recorded = batch["action"][:, : policy.horizon]  # (B, H, A)
        valid = ~batch["action_is_pad"][:, : policy.horizon]  # (B, H)
        predicted = policy.predict(inputs)[:, : policy.horizon]
        errors.append((predicted - recorded).abs()[valid])
        done.append(recorded[valid])
        samples += len(recorded)
    if not errors:
        raise DatasetError("there are no samples to compare the policy with.")
    error, actions = torch.cat(errors), torch.cat(done)  # (M, A)
    if not error.isfinite().all():
        raise PolicyFault("the policy gave NaN or infinity; is an input far out of range?")
    baseline = (actions - actions.mean(0)).abs().mean(0)
    channels = policy.contract.action
    return OpenLoop(
        joints=tuple(channel.name for channel in channels),
        units=tuple(channel.unit for channel in channels),
        error=tuple(error.mean(0).tolist()),
        mean_error=tuple(baseline.tolist()),
        actions=len(actions),
        samples=samples,
    )
