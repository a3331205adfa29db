"""How fast the rows of a dataset came, held against the rate that it states."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vibrissa.data.dataset import Dataset
from vibrissa.data.features import SIM_STATE, TIME, WALL_TIME

RATE_OFF = 0.02  # of the stated rate: more is said
JUMP = 3.0  # times the usual step: rows are missing there, and that says nothing of the rate


def timestamps(dataset: Dataset) -> list[str]:
    """Rows whose timestamps jump, in an episode that otherwise keeps a rate."""
    if "timestamp" not in dataset.columns:
        return ["there is no timestamp column."]
    jumps = []
    for index, times in _times(dataset, "timestamp"):
        gaps = np.diff(times)
        if not len(gaps):
            continue
        step = float(np.median(gaps))
        if not np.abs(gaps - step).max() <= 0.5 / dataset.fps:
            jumps.append((float(gaps.max()), index))
    if not jumps:
        return []
    worst, index = max(jumps)
    return [
        f"timestamps jump in {len(jumps)} episodes; the longest gap is {worst:.3f} s in episode "
        f"{index}, where a row takes {1 / dataset.fps:.3f} s."
    ]


def rate(dataset: Dataset) -> list[str]:
    """Episodes whose rows came faster or slower than stated, by each clock that there is."""
    told, known = [], set()
    for clock, rates in _clocks(dataset):
        off = {i: hz for i, hz in rates.items() if abs(hz - dataset.fps) > RATE_OFF * dataset.fps}
        if not off or set(off) <= known:
            continue
        known |= set(off)
        many = f"all {len(rates)} episodes" if len(off) == len(rates) else _few(off)
        told.append(
            f"rows came at {_span(list(off.values()))} a second by {clock}, in {many}, and "
            f"info.json says {dataset.fps:g}. A policy plays its actions at the stated rate: that "
            f"is {_pace(dataset.fps / float(np.median(list(off.values()))))}."
        )
    return told


def _clocks(dataset: Dataset) -> Iterator[tuple[str, dict[int, float]]]:
    """Each clock's name, and the rate it gives for each episode.

    A simulated arm's wall clock says how fast the computer was, nothing of the motion.
    """
    ours = [TIME] if TIME in dataset.columns or SIM_STATE in dataset.columns else [WALL_TIME]
    for column in (*ours, "timestamp"):
        rates = {}
        for index, times in _times(dataset, column):
            gaps = np.diff(times)
            if rate_hz := _rate_hz(_usual(gaps) if column == "timestamp" else gaps):
                rates[index] = rate_hz
        if rates:
            yield f"the column {column}", rates
    noted = {int(n["episode"]): float(n["rate_hz"]) for n in dataset.notes if n.get("rate_hz")}
    if noted:
        yield "the recorder's notes", noted


def _rate_hz(gaps: NDArray[np.float64]) -> float:
    """Rows a second; 0 where these are no times."""
    step = float(gaps.mean()) if len(gaps) else 0.0
    return 1 / step if np.isfinite(step) and step > 0 else 0.0


def _usual(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The gaps without those that are a jump."""
    return gaps[(gaps > 0) & (gaps <= JUMP * np.median(gaps))] if len(gaps) else gaps


def _times(dataset: Dataset, column: str) -> Iterator[tuple[int, NDArray[np.float64]]]:
    if column not in dataset.columns:
        return
    times = dataset.column(column).astype(np.float64).reshape(-1)
    for index, span in dataset.spans.items():
        yield index, times[span]


def _span(rates: list[float]) -> str:
    low, high = f"{min(rates):.1f}", f"{max(rates):.1f}"
    return low if low == high else f"{low} to {high}"


def _few(off: dict[int, float], most: int = 6) -> str:
    names = [f"{index} ({hz:.1f})" for index, hz in list(off.items())[:most]]
    more = f" and {len(off) - most} more" if len(off) > most else ""
    return f"episode{'s' if len(off) > 1 else ''} {', '.join(names)}{more}"


def _pace(factor: float) -> str:
    """How much faster than recorded a policy then moves."""
    return f"{abs(factor - 1):.0%} {'faster' if factor > 1 else 'slower'} than recorded"
