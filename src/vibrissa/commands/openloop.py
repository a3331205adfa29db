"""Does a policy reproduce the actions of a dataset, better than the mean action would?"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from vibrissa.commands.train import CACHE
from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.learn.openloop import OpenLoop


@dataclass(frozen=True)
class Config:
    """A policy, and recordings to hold it against."""

    checkpoint: Positional[Path]
    """A run folder, a checkpoint, or a pretrained_model folder."""
    dataset: Positional[Path]
    """The folder of a LeRobot v3.0 dataset."""
    samples: int = 512
    """How many frames to ask about, drawn evenly over the dataset."""
    device: str = "auto"
    cache: Path = CACHE
    """Where decoded pictures are kept."""
    json: bool = False
    """Print what a program can read."""


def run(cfg: Config) -> int:
    told = measured(cfg)
    print(json.dumps(told.to_dict(), indent=2) if cfg.json else _table(told))
    return 0


def measured(cfg: Config) -> OpenLoop:
    """Load both and compare them."""
    import numpy as np

    from vibrissa.core.contract import require_match
    from vibrissa.data.cache import Pictures
    from vibrissa.data.dataset import open_dataset
    from vibrissa.data.film_checks import doubtful_films
    from vibrissa.data.loader import Loader, Sampling
    from vibrissa.learn.checkpoint import stored_contract
    from vibrissa.learn.openloop import open_loop
    from vibrissa.learn.policy import load_policy
    from vibrissa.learn.preflight import device_named
    from vibrissa.learn.run import pretrained_folder

    if cfg.samples < 1:
        raise UsageError(f"{cfg.samples} samples: at least 1 is needed.")
    dataset = open_dataset(cfg.dataset)
    device = device_named(cfg.device)
    contract = stored_contract(pretrained_folder(cfg.checkpoint)) or dataset.contract
    policy = load_policy(cfg.checkpoint, device=device, dataset=contract)
    require_match(policy.contract, dataset.contract, "the checkpoint", f"dataset {cfg.dataset}")
    for line in doubtful_films(dataset, policy.inputs):
        print(f"warning: {line}", file=sys.stderr)
    pictures = Pictures(cfg.cache.expanduser(), policy.picture)
    loader = Loader(dataset, policy.inputs, Sampling(policy.chunk, 32), pictures)
    count = min(cfg.samples, loader.frames)
    rows = np.linspace(0, loader.frames - 1, count).round().astype(np.int64)
    return open_loop(policy, (loader.gather(part) for part in np.split(rows, range(32, count, 32))))


def _table(told: OpenLoop) -> str:
    lines = [f"{'joint':<24}{'error':>10}{'mean action':>14}  unit"]
    rows = zip(told.joints, told.error, told.mean_error, told.units, strict=True)
    lines += [f"{j:<24}{e:>10.3f}{m:>14.3f}  {u}" for j, e, m, u in rows]
    lines.append(
        f"The error is {told.ratio:.0%} of the mean action's "
        f"({told.actions} actions of {told.samples} samples)."
    )
    if told.ratio > 0.9:
        lines.append(
            "On these recordings it is no better than their mean action. Was it trained on others, "
            "or for a few steps only? Its weights and processors are what was saved."
        )
    return "\n".join(lines)
