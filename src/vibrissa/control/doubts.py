"""Counts the ticks whose joints cannot be believed, for whoever sums up an episode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from vibrissa.core.episode import STATE_HEALTHS, Observation

_WORDS = {"leap": "in which a joint leapt", "behind": "in which a joint did not follow"}
PREFIX = "joints_"


class Doubts:
    """`see` every observation; `measures` says how many were marked, by what was wrong."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def see(self, observation: Observation) -> None:
        if observation.state_health != "ok":
            self._counts[observation.state_health] += 1

    def measures(self) -> dict[str, float]:
        return {PREFIX + health: float(n) for health, n in self._counts.items()}


def in_words(measures: Mapping[str, float]) -> str:
    """What `measures` says of the joints; empty where all were to be believed."""
    counts = [(health, int(measures.get(PREFIX + health, 0))) for health in STATE_HEALTHS]
    return ", ".join(f"{n} ticks {_WORDS[health]}" for health, n in counts if n)
