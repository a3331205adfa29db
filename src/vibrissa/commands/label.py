"""Say afterwards how a rollout of vibrissa deploy went; without a number, list all of them."""

from __future__ import annotations

import json as json_
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.bench.outcomes import Row


@dataclass(frozen=True)
class Config:
    folder: Positional[Path]
    """The folder that vibrissa deploy left."""
    rollout: Positional[int | None] = None
    """Which one, by its number in the list."""
    verdict: Positional[Literal["success", "failure"] | None] = None
    """success or failure."""
    json: bool = False
    """Print the rollouts as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.bench.logbook import label, read_all, told_of

    if (cfg.rollout is None) != (cfg.verdict is None):
        raise UsageError("say which rollout and how it went: vibrissa label FOLDER 3 success.")
    if cfg.rollout is not None and cfg.verdict is not None:
        rows = label(cfg.folder, cfg.rollout, cfg.verdict)
    else:
        rows = read_all(cfg.folder)
    if cfg.json:
        print(json_.dumps([asdict(row) for row in rows], indent=2))
    else:
        print("\n".join(_lines(cfg.folder, rows)))
        print(f"success {told_of(rows)}")
    return 0


def _lines(folder: Path, rows: Sequence[Row]) -> list[str]:
    from vibrissa.bench.logbook import film_of

    told = []
    for number, row in enumerate(rows):
        film = film_of(folder, number)
        where = f"   {film}" if film.is_file() else ""
        told.append(f"{number:3d}  {row.failure_class.lower():<26} {row.ticks:5d} ticks{where}")
    return told
