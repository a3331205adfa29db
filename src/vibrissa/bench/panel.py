"""Robustness: each factor of the randomisation by itself, against the scene as it is.

The scripted expert tries the same scenes: where it fails as well, a drop is not the policy's alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vibrissa.bench.cautions import FEW_OF_EXPERT
from vibrissa.bench.outcomes import Row, summarise
from vibrissa.bench.sweeps import Cell, Judged, named, unseen
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


def felt(cells: Sequence[Cell]) -> list[Cell]:
    """Those in which the expert has to try: it sees no pictures, so it does not meet the others."""
    return [cell for cell in cells if cell.name.partition(":")[2] not in SEEN]


def beside_experts(
    judged: Sequence[Judged], theirs: Mapping[tuple[str, str], Sequence[Row]]
) -> list[Judged]:
    """Each cell with what the expert reached in it; `theirs` are rows by cell and pilot.

    A cell that differs only to the eye gets what the expert reached in the nominal scene. Without
    an expert they stay as they are.
    """
    experts = {cell: rows for (cell, pilot), rows in theirs.items() if pilot == "expert"}
    if not experts:
        return list(judged)
    base = {row.seed for j in judged if j.versus is None for row in j.rows if row.success}
    made = []
    for j in judged:
        rows = experts.get(j.cell.name, experts[NOMINAL])
        lost = {row.seed for row in j.rows if not row.success} & base
        too = sum(row.seed in lost and not row.success for row in rows)
        beside = {**j.beside, "expert": summarise(rows)}
        made.append(replace(j, beside=beside, lost=(len(lost), too)))
    return made


def headline(judged: Sequence[Judged]) -> str:
    """What was shown, and what could have gone unseen."""
    nominal = next(j.told for j in judged if j.versus is None)
    if not nominal.success:
        return f"Nothing to lose: it solves {nominal.text} with nothing varied"
    tried = [j.versus for j in judged if j.versus is not None]
    worse = [j.cell.name for j in judged if j.versus is not None and j.versus.verdict == "worse"]
    if worse:
        several = "were" if len(worse) > 1 else "was"
        return f"{len(worse)} of {len(tried)} settings {several} shown to cost it successes: " + (
            named(worse)
        )
    return f"No factor was shown to cost it successes; {unseen(judged, 'loss')}"


def whose(judged: Sequence[Judged]) -> list[str]:
    """Of every drop, and of scenes too hard for the expert: is it the policy's or the task's?"""
    told = []
    for j in judged:
        expert = j.beside.get("expert")
        if expert is None or j.versus is None or j.lost is None:
            continue
        there = f"{named([j.cell.name])}: the expert solves {expert.text} there"
        lost, too = j.lost
        if (expert.rate or 0.0) < FEW_OF_EXPERT:
            alike = f"; of the {lost} scenes that were lost it fails {too} as well" * bool(lost)
            told.append(
                f"{there}{alike}. Some of these scenes may be too hard for anybody: not all of a "
                "drop is the policy's."
            )
        elif j.versus.verdict == "worse":
            told.append(f"{there}: the drop is the policy's.")
    return told


def _cell(trial: Trial, random: RandomCfg) -> Cell:
    scene = replace(trial.place.scene, random=random)
    return Cell(random.name, replace(trial, place=replace(trial.place, scene=scene)))
