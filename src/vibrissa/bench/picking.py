"""Which checkpoint of a run: chosen on some seeds, reported on others, and never on the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vibrissa.bench.outcomes import Row
from vibrissa.bench.sweeps import Cell, Judged
from vibrissa.bench.trials import Trial
from vibrissa.core.errors import CheckpointError, UsageError


@dataclass(frozen=True)
class Picked:
    """The chosen cell among all, judged on the seeds of choosing; and the same, on new seeds.

    last: the last checkpoint on the new seeds, where it is another one.
    """

    candidates: Sequence[Judged]
    pick_seeds: Sequence[int]
    seeds: Sequence[int]
    winner: Judged
    last: Judged | None = None

    @property
    def sentence(self) -> str:
        """The result, what it was chosen by, and that the two are not the same."""
        name, told = self.winner.cell.name, self.winner.told
        then = next(c for c in self.candidates if c.cell.name == name).told
        return (
            f"Checkpoint {name} was chosen among {len(self.candidates)} on seeds "
            f"{_span(self.pick_seeds)}, where it solved {then.success} of {then.episodes}: a count "
            f"that flatters, because it was chosen by it. On seeds {_span(self.seeds)}, which had "
            f"no part in the choice, it solved {told.text}."
        )

    def to_dict(self) -> dict[str, Any]:
        told = self.winner.told
        return {
            "picked": self.winner.cell.name,
            "checkpoint": str(self.winner.cell.trial.checkpoint or ""),
            "success": told.success,
            "episodes": told.episodes,
            "interval": list(told.interval),
            "seeds": [self.seeds[0], self.seeds[-1]],
            "pick_seeds": [self.pick_seeds[0], self.pick_seeds[-1]],
            "sentence": self.sentence,
            "winner": self.winner.to_dict(),
            "last": None if self.last is None else self.last.to_dict(),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
        }


def candidates(trial: Trial, checkpoints: Sequence[Path], pretrained: str) -> list[Cell]:
    """A cell for each checkpoint of a run, oldest first; `pretrained` is the folder in each."""
    return [Cell(path.name, trial.of((path / pretrained).resolve())) for path in checkpoints]


class LeftOut:
    """The checkpoints that cannot be read, found out one after another; each is told by `say`.

    Raises CheckpointError as soon as no two of `count` are left to choose from. lines: one a
    checkpoint that is left out.
    """

    def __init__(self, count: int, say: Callable[[str], None]):
        self._left, self._say = count, say
        self.lines: list[str] = []

    def __call__(self, cell: Cell, error: CheckpointError) -> None:
        self.lines.append(f"checkpoint {cell.name} is left out: {error}")
        self._left -= 1
        if self._left < 2:
            raise CheckpointError(
                f"fewer than two checkpoints can be read: {self.lines[0]}"
            ) from error
        self._say(self.lines[-1])


def readable(cells: Sequence[Cell], leave_out: LeftOut) -> list[Cell]:
    """Those that look whole at a glance; what else is wrong with one is seen when it is loaded."""
    from vibrissa.learn.loading import require_readable  # torch, which scripted pilots do without

    kept = []
    for cell in cells:
        assert cell.trial.checkpoint is not None
        try:
            require_readable(cell.trial.checkpoint)
        except CheckpointError as error:
            leave_out(cell, error)
        else:
            kept.append(cell)
    return kept


def choose(cells: Sequence[Cell], judged: Sequence[Sequence[Row]]) -> Cell:
    """The one with the most successes; of several that have as many, the one trained longest."""
    wins = [sum(row.success for row in rows) for rows in judged]
    best = max(range(len(cells)), key=lambda i: (wins[i], i))
    return cells[best]


def require_apart(pick_seeds: Sequence[int], seeds: Sequence[int]) -> None:
    """Raise UsageError where a seed that chooses would report too."""
    both = sorted(set(pick_seeds) & set(seeds))
    if both:
        raise UsageError(
            f"seed {both[0]} would choose the checkpoint and report it too: give --pick-seeds and "
            "--seeds that do not overlap."
        )


def _span(seeds: Sequence[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}"
