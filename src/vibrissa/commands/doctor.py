"""Look at this computer: versions, graphics card, OpenGL, video, disk, hub; and what to do.

Each line is fine, a warning, or broken. The exit code is 1 where something is broken. Nothing is
installed, changed or sent anywhere; a test file is written to the folder and deleted.
"""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.machine.facts import Need
    from vibrissa.machine.lines import Line

# Each is run in a process of its own.
PROBES = {
    "torch": "vibrissa.learn.devices",
    "drawing": "vibrissa.sim.speed",
    "video": "vibrissa.data.decoders",
}
# Weights of a recipe's network with this arm's channels and two cameras; a test builds them.
WEIGHTS_BYTES = {"act-state": 1_906_200, "act": 49_000_000, "act-full": 113_200_000}
MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "broken": ("BROKEN", "red")}


@dataclass(frozen=True)
class Config:
    folder: Annotated[Path, tyro.conf.Positional] = Path()
    """Where datasets and runs are to go: this disk is looked at."""
    json: bool = False
    """Print the lines as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.machine.checks import examine, exit_code
    from vibrissa.machine.gather import gather

    if cfg.folder.is_file():
        raise UsageError(f"{cfg.folder} is a file. Name the folder in which to work.")
    if not cfg.json:
        print("looking, which takes some seconds …", file=sys.stderr)
    lines = examine(gather(cfg.folder, PROBES, needs()))
    if cfg.json:
        told = {"exit_code": exit_code(lines), "lines": [line.to_dict() for line in lines]}
        print(json_.dumps(told, indent=1))
    else:
        show(lines)
    return exit_code(lines)


def needs() -> tuple[Need, ...]:
    """What a run of each recipe keeps on the disk."""
    from vibrissa.learn.recipes import recipe_named
    from vibrissa.machine.facts import Need

    return tuple(
        Need(name, *recipe_named(name).disk_need(weights))
        for name, weights in WEIGHTS_BYTES.items()
    )


def show(lines: Sequence[Line]) -> None:
    """A line a finding; what to do stands below it."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    width = max(len(line.about) for line in lines)
    for line in lines:
        mark, colour = MARKS[line.state]
        console.print(f"{mark:<8}", style=colour, end="")
        console.print(f"{line.about:<{width}}  {line.told}", soft_wrap=True)
        if line.do:
            console.print(f"{'':<{width + 10}}→ {line.do}", soft_wrap=True)
    counts = {state: sum(line.state == state for line in lines) for state in MARKS}
    if counts["broken"]:
        console.print(f"{counts['broken']} broken, {counts['warning']} to look at", style="red")
    elif counts["warning"]:
        console.print(f"all works; {counts['warning']} to look at", style="yellow")
    else:
        console.print("all is well", style="green")
