"""The plot of the grip study, from its JSON.

uv run python runs/grip_plot.py [runs/results/grip_study.json] [docs/pictures/grip.png]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

STICKY_NAME = "sticky"
RESULT = Path(__file__).parent / "results" / "grip_study.json"
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "grip.png"
COLOURS = ("#d1495b", "#e08e45", "#c9b037", "#1b7f79", "#3a6ea5", "#5b4b8a", "#888888")


def draw(told: dict[str, Any], path: Path) -> None:
    """Share dropped against the grip's force, a line a friction; and what a pull shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3)
    for panel, (thing, frictions) in zip(panels, told.items(), strict=False):
        draw_drops(panel, thing, frictions)
    panels[0].legend(title="pad friction", fontsize=8, frameon=False)
    draw_pulls(panels[2], told)
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def draw_drops(panel: Any, thing: str, frictions: dict[str, Any]) -> None:
    for colour, (friction, row) in zip(COLOURS, frictions.items(), strict=False):
        cells = row["grips"]
        x = [max(c["grip_n_median"], 0.1) for c in cells]
        y = [100 * c["dropped"] / c["n"] for c in cells]
        bars = np.abs(100 * np.array([c["interval"] for c in cells]).T - y)
        style = "--" if friction == STICKY_NAME else "-"
        panel.errorbar(
            x,
            y,
            bars,
            fmt="o",
            linestyle=style,
            color=colour,
            label=friction,
            markersize=4,
            linewidth=1.3,
            elinewidth=0.7,
        )
    panel.set_xscale("log")
    panel.set_xlabel("grip: normal force on the weaker pad, N")
    panel.set_ylabel("dropped, %")
    panel.set_title(f"{thing}, 30 g", loc="left", fontsize=10)


def draw_pulls(panel: Any, told: dict[str, Any]) -> None:
    for colour, (thing, frictions) in zip(("#1b7f79", "#d1495b"), told.items(), strict=True):
        shown = [
            (float(friction), cell["shown_friction"]["median"])
            for friction, row in frictions.items()
            if friction != STICKY_NAME
            for cell in row["pulled"]
            if cell["n"]
        ]
        panel.plot(*zip(*shown, strict=True), "o", color=colour, label=thing, markersize=5)
    panel.plot([0, 2], [0, 2], color="#9a9a9a", linewidth=1)
    panel.set_xlabel("pad friction set")
    panel.set_ylabel("pull / (2 x normal force)")
    panel.set_title("friction that a pull shows", loc="left", fontsize=10)
    panel.legend(fontsize=8, frameon=False)


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:3]]
    source, picture = (*given, *(RESULT, PICTURE)[len(given) :])
    draw(json.loads(source.read_text())["objects"], picture)
    print(picture)
