"""What a policy is fed at first, held against the statistics that it normalises with.

A wrong unit, a cover on a lens, statistics of a camera that was black: all of them give inputs
of the right shape that the network has never seen the like of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from lerobot.utils.constants import OBS_STATE
from numpy.typing import NDArray
from torch import Tensor

from vibrissa.core.contract import Channel
from vibrissa.core.episode import Observation
from vibrissa.learn.act import NEAR_ZERO_STD
from vibrissa.learn.policy import CheckpointPolicy
from vibrissa.learn.statistics import Statistics, statistics_of
from vibrissa.learn.views import camera_of

FAR = 10.0  # standard deviations: nothing that a dataset holds lies so far from its mean
FLAT = 0.01  # of 0..1: a picture, or a dataset of pictures, that shows next to nothing


def odd_inputs(policy: CheckpointPolicy, observations: Sequence[Observation]) -> list[str]:
    """One sentence for every input that lies beyond what the policy was trained on.

    `observations` are as many as the policy has slots. Raises PolicyFault where the policy
    cannot be fed with them at all.
    """
    batch = policy.feed(observations)
    ready = policy.normalised(batch)
    stats = statistics_of(policy.learner)
    told: list[str] = []
    for key in policy.inputs:
        if key in policy.learner.policy.config.image_features:
            name = camera_of(policy.contract, key)
            told += _odd_pictures(name, batch[key], ready[key], stats.get(key, {}))
        else:
            told += _odd_numbers(key, _channels(policy, key), batch[key], ready[key], stats)
    return told


def _odd_numbers(
    key: str, channels: Sequence[Channel], given: Tensor, ready: Tensor, stats: Statistics
) -> list[str]:
    """given, ready: (B, S). The worst of each channel that is too far away.

    What the network is fed as it is (ACT's privileged channels) is held against the statistics
    all the same.
    """
    known = stats.get(key, {})
    if torch.equal(given, ready):
        if "mean" not in known or "std" not in known:
            return []
        mean, std = (torch.as_tensor(known[k], dtype=given.dtype) for k in ("mean", "std"))
        ready = (given - mean) / std.clamp(min=NEAR_ZERO_STD)
    worst = ready.abs().nan_to_num(torch.inf).max(dim=0)  # values, indices (S,)
    told = []
    for i, channel in enumerate(channels):
        if worst.values[i] <= FAR:
            continue
        value = float(given[worst.indices[i], i])
        usual = ""
        if "mean" in known and "std" in known:
            usual = f"; in training {known['mean'][i]:.4g} ± {known['std'][i]:.2g}"
        told.append(
            f"{key}: {channel.name} is {value:.4g} {channel.unit} at the start{usual}. "
            f"Normalised that is {float(ready[worst.indices[i], i]):.3g}, beyond ±{FAR:g}: is it "
            "another unit, another calibration, or another quantity?"
        )
    return told


def _odd_pictures(
    name: str, given: Tensor, ready: Tensor, stats: Mapping[str, NDArray[np.float64]]
) -> list[str]:
    """given: (B, 3, H, W) in 0..1; ready: the same, normalised and maybe resized."""
    told = []
    spread = float(given.flatten(1).std(dim=1).min())
    if spread < FLAT:
        told.append(
            f"camera {name!r} shows one flat shade at the start (std {spread:.4f} of 0..1): is it "
            "black, covered, or switched off?"
        )
    std = torch.as_tensor(stats["std"]).min() if "std" in stats else torch.tensor(1.0)
    if float(std) < FLAT:
        told.append(
            f"camera {name!r} hardly changed in training (std {float(std):.4f} of 0..1): what the "
            "policy makes of its pictures is magnified noise."
        )
    most = float(ready.abs().max())
    if not most <= FAR:
        told.append(
            f"pictures of camera {name!r} reach {most:.3g} once normalised, beyond ±{FAR:g}: they "
            "are not of the kind that it was trained on."
        )
    return told


def _channels(policy: CheckpointPolicy, key: str) -> Sequence[Channel]:
    """Whose numbers the feature `key` holds: without privileged channels, the joints' again."""
    contract = policy.contract
    return contract.state if key == OBS_STATE else contract.privileged or contract.state
