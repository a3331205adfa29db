"""Who drives when, of two policies on one arm: random, balanced, and told to nobody beside it.

Rollouts go in pairs that begin from the same placement, one by each policy, so that they can be
compared pair by pair. Who goes first in a pair is drawn for two pairs at a time, once each, so
that neither policy has the cooler motors or the fresher operator. Only the seed of the draw is
kept while it is blind: a glance at the folder tells nothing.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from vibrissa.core.errors import UsageError

ORDER = "order.json"
FIRST, SECOND, HIDDEN = "A", "B", "hidden"
PAIRS_A_BLOCK = 2


@dataclass(frozen=True)
class Order:
    """A draw by its seed. pairs: how many are planned. revealed: somebody was told who is who."""

    seed: int
    pairs: int
    revealed: bool = False

    def driver(self, rollout: int) -> str:
        """A or B, of the rollout of this number, from 0."""
        pair = rollout // 2
        rng = np.random.default_rng([self.seed, pair // PAIRS_A_BLOCK])
        first = (FIRST, SECOND)[int(rng.permutation(PAIRS_A_BLOCK)[pair % PAIRS_A_BLOCK])]
        if rollout % 2 == 0:
            return first
        return SECOND if first == FIRST else FIRST


def take_order(folder: Path, pairs: int, seed: int | None) -> Order:
    """The order of a deployment in `folder`, drawn now or as it was drawn before.

    Raises UsageError for another seed than it was drawn from, one below 0, and where it was
    revealed: what is tried after that is blind no longer.
    """
    if seed is not None and seed < 0:
        raise UsageError(f"--order-seed {seed}: from 0 on.")
    if not (folder / ORDER).is_file():
        drawn = Order(secrets.randbits(32) if seed is None else seed, pairs)
        write_order(folder, drawn)
        return drawn
    order = read_order(folder)
    if order.revealed:
        raise UsageError(
            f"{folder} was revealed: rollouts added now would not be blind. Name another --out."
        )
    if seed is not None and seed != order.seed:
        raise UsageError(f"{folder} was drawn from another --order-seed. Leave it out to go on.")
    order = replace(order, pairs=pairs)
    write_order(folder, order)
    return order


def is_blind(folder: Path) -> bool:
    """Whether two policies were tried in `folder`, and nobody was told yet which was which."""
    return (folder / ORDER).is_file() and not read_order(folder).revealed


def read_order(folder: Path) -> Order:
    """Raises UsageError where it cannot be read."""
    try:
        told = json.loads((folder / ORDER).read_text(encoding="utf-8"))
        return Order(int(told["seed"]), int(told["pairs"]), bool(told["revealed"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder / ORDER} cannot be read ({error}).") from error


def write_order(folder: Path, order: Order) -> None:
    """With who drove when, once it is revealed. Raises UsageError for a disk that refuses."""
    told = asdict(order)
    if order.revealed:
        told["turns"] = [order.driver(rollout) for rollout in range(2 * order.pairs)]
    path = folder / ORDER
    part = path.with_suffix(".part")
    try:
        part.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}.") from error
