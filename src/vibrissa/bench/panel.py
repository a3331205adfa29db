"""Robustness: each factor of the randomisation by itself, against the scene as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vibrissa.bench.sweeps import Cell, Judged
from vibrissa.bench.trials import Trial
from vibrissa.core.errors import UsageError
from vibrissa.sim.randomise import FIELDS, NONE, RandomCfg, preset
from vibrissa.sim.sample import SEEN

NOMINAL = "nominal"


def panel_cells(trial: Trial, strengths: Sequence[str]) -> tuple[list[Cell], tuple[str, ...]]:
    """The scene as it is, then each factor at each strength; and the factors left out.

    Left out is what touches nothing but pictures, where the pilot sees none. A seed stands for
    the same spawn in every cell. Raises UsageError where the scene varies already.
    """
    if trial.place.scene.random != NONE:
        raise UsageError(
            f"a panel of a scene that is randomised already ({trial.place.scene.random.name}): "
            "it varies one factor at a time. Leave --randomise out."
        )
    blind = not trial.place.cameras
    left_out = tuple(name for name in FIELDS if blind and name in SEEN)
    cells = [Cell(NOMINAL, trial)]
    for name in FIELDS:
        if name not in left_out:
            cells += [_cell(trial, preset(f"{strength}:{name}")) for strength in strengths]
    return cells, left_out


def worst_first(judged: Sequence[Judged]) -> list[Judged]:
    """The nominal scene, then the others by what they cost."""
    base = [cell for cell in judged if cell.versus is None]
    others = [cell for cell in judged if cell.versus is not None]
    return base + sorted(others, key=lambda j: (j.told.rate or 0.0, j.cell.name))


def _cell(trial: Trial, random: RandomCfg) -> Cell:
    scene = replace(trial.place.scene, random=random)
    return Cell(random.name, replace(trial, place=replace(trial.place, scene=scene)))
