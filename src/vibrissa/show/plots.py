"""Plots for people, as PNG files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import UsageError

COLOURS = ("#1b7f79", "#d1495b", "#9a9a9a")


def joint_plot(
    path: Path,
    rate_hz: float,
    motions: Mapping[str, NDArray[np.floating]],
    names: Sequence[str],
    *,
    title: str,
    captions: Sequence[str] = (),
) -> Path:
    """One panel a joint, one line a motion: `motions` maps a label to (T, A) rad; y in degrees.

    `captions` (A,) stand beside the joints' names. Raises UsageError where the disk refuses.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = (len(names) + 1) // 2
    figure = Figure(figsize=(12, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = np.ravel(figure.subplots(rows, 2, sharex=True, squeeze=False))
    for i, (panel, name) in enumerate(zip(panels, names, strict=False)):
        for colour, (label, motion) in zip(COLOURS, motions.items(), strict=False):
            time_s = np.arange(len(motion)) / rate_hz
            panel.plot(time_s, np.degrees(motion[:, i]), label=label, color=colour, linewidth=1.3)
        panel.set_title(f"{name}   {captions[i] if captions else ''}", loc="left", fontsize=10)
        panel.set_ylabel("degrees")
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    for panel in panels[max(0, len(names) - 2) : len(names)]:
        panel.set_xlabel("s")
    panels[0].legend(loc="best", fontsize=9, frameon=False)
    figure.suptitle(title, fontsize=12)
    return _save(figure, Path(path))


def _save(figure, path: Path) -> Path:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(part, format="png", dpi=110)
        os.replace(part, path)
    except OSError as error:
        raise UsageError(f"cannot write the plot {path}: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)
    return path
