"""Put the things on a running twin's table where a seed says, as before the first episode.

What a person does between two demonstrations; the arm stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vibrissa.commands.twin import folder_of
from vibrissa.core.errors import UsageError


@dataclass(frozen=True)
class Config:
    """Where."""

    seed: int = 0
    """The object's place; the same as an episode of this seed has in simulation."""
    dir: Path | None = None
    """The twin's folder."""


def run(cfg: Config) -> int:
    from vibrissa.twin.control import ask

    if cfg.seed < 0:
        raise UsageError(f"--seed {cfg.seed}: at least 0.")
    things = ask(folder_of(cfg.dir), {"do": "place", "seed": cfg.seed})["things"]
    for name, (x, y, z) in things.items():
        print(f"{name} at {x:.3f} {y:.3f} {z:.3f} m")
    return 0
