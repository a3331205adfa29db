"""The same pilot where it learned and elsewhere: spawn sites side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vibrissa.bench.options import PilotOptions
from vibrissa.bench.sweeps import Cell, Judged
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


def headline(judged: Sequence[Judged]) -> str:
    """The rate at each site, and the verdict against the first."""
    told = [
        f"{j.told.text} at site {j.cell.name}" + (f": {j.versus.verdict}" if j.versus else "")
        for j in judged
    ]
    return ", ".join(told)


def where(cells: Sequence[Cell]) -> str:
    """The middle of each site's square and its half side, in cm from the arm's base."""
    told = []
    for cell in cells:
        x, y, half = (100 * value for value in cell.trial.place.area())
        told.append(f"{cell.name} ({x:.1f}, {y:.1f}) ± {half:.1f} cm".replace("-", "−"))
    return ", ".join(told)


def beside(cell: Cell, pilot: str) -> Cell:
    """A scripted pilot on the scenes of `cell`. It does not look."""
    place = replace(cell.trial.place, cameras=())
    return Cell(f"{cell.name}, {pilot}", Trial(place, pilot, PilotOptions()))
