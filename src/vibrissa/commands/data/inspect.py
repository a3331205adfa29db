"""Describe any LeRobot dataset on one screen: what it holds, its units, what is wrong or unusual.

Reads v2.0, v2.1 and v3.0 as they lie on disk, whole or broken, and never asks a network.
"""

from __future__ import annotations

import json as json_
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from rich.table import Table

    from vibrissa.data.describe import Description

# A problem keeps `vibrissa train` from training on the dataset; a warning does not.
LABELS = {
    "broken": ("problem", "red"),
    "doubtful": ("problem", "red"),
    "warning": ("warning", "yellow"),
}


@dataclass(frozen=True)
class Config:
    path: Annotated[Path, tyro.conf.Positional]
    """The dataset's folder."""
    json: bool = False
    """Print the description as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.data.describe import describe

    description = describe(cfg.path)
    if cfg.json:
        print(json_.dumps(description.to_dict(), indent=1))
    else:
        show(description)
    return 0


def show(told: Description) -> None:
    """One screen."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.print(f"{told.path}  ({told.digest})", style="bold", soft_wrap=True)
    console.print(_facts(told))
    for line in told.problems:
        console.print(f"problem   {line}", style="red", soft_wrap=True)
    for finding in told.findings:
        label, style = LABELS[finding.severity]
        console.print(f"{label:<8}  {finding.line}", style=style, soft_wrap=True)
    if not told.problems and not told.findings:
        console.print("nothing missing, nothing unusual", style="green")


def _facts(told: Description) -> Table:
    from rich.table import Table

    from vibrissa.data.features import BOOKKEEPING

    table = Table.grid(padding=(0, 2))
    lengths = told.lengths
    table.add_row("format", f"{told.version}, robot {told.robot}, {told.fps:g} frames a second")
    table.add_row(
        "episodes",
        f"{told.episodes} of {lengths.shortest} to {lengths.longest} frames (median "
        f"{lengths.median:g}), {told.frames} frames, {told.duration_s / 60:.1f} min",
    )
    if told.origin:
        table.add_row("origin", told.origin)
    table.add_row("tasks", "; ".join(told.tasks[:3]) + _more(len(told.tasks) - 3))
    if told.outcomes:
        counts = ", ".join(f"{n} {reason}" for reason, n in sorted(told.outcomes.items()))
        table.add_row("outcomes", counts)
    for camera in told.cameras:
        size = f"{camera.width} x {camera.height}"
        kind = "depth (m)" if camera.depth else "camera"
        table.add_row(kind, f"{camera.name}  {size}  {camera.stored}")
    for feature in told.features:
        if feature.dtype not in ("video", "image") and feature.name not in BOOKKEEPING:
            shape = " x ".join(map(str, feature.shape))
            names = ", ".join(feature.channels[:6]) + _more(len(feature.channels) - 6)
            table.add_row("column", f"{feature.name}  {feature.dtype} ({shape})  {names}")
    for line in _units(told):
        table.add_row("unit", line)
    if told.limits:
        table.add_row("limits", told.limits)
    return table


def _units(told: Description) -> list[str]:
    """One line a vector and arm; the reason once where two vectors share it."""
    lines, known = [], {}
    for joints in told.joints:
        who = joints.vector if joints.arm == "arm" else f"{joints.vector}, {joints.arm}"
        first = known.setdefault((joints.arm, joints.unit), joints)
        why = joints.why if first is joints else "likewise"
        lines.append(f"{who}: {joints.unit} ({joints.confidence}): {why}")
    return lines


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
