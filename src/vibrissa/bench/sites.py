"""The same pilot where it learned and elsewhere: spawn sites side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vibrissa.bench.options import PilotOptions
from vibrissa.bench.sweeps import Cell
from vibrissa.bench.trials import Trial
from vibrissa.core.errors import UsageError


def site_cells(trial: Trial, names: Sequence[str]) -> list[Cell]:
    """A cell for each site, the first being the baseline. Raises UsageError: too few, unknown."""
    scene = trial.place.scene
    sites = {site.name: site.spawn for site in scene.rules.sites} if scene.rules else {}
    unknown = [name for name in names if name not in sites]
    if unknown or len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(
            f"--sites {' '.join(names)}: at least two different ones of {', '.join(sites)}."
        )
    return [
        Cell(
            name,
            replace(trial, place=replace(trial.place, scene=replace(scene, spawn=sites[name]))),
        )
        for name in names
    ]


def beside(cell: Cell, pilot: str) -> Cell:
    """A scripted pilot on the scenes of `cell`. It does not look."""
    place = replace(cell.trial.place, cameras=())
    return Cell(f"{cell.name}, {pilot}", Trial(place, pilot, PilotOptions()))
