"""Whether `meta/stats.json` describes the rows: it is what training normalises with.

Training never computes statistics of its own, so that LeRobot and Vibrissa normalise alike. What
is in the file is therefore held against the rows, number by number.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.data.dataset import Dataset
from vibrissa.data.features import ACTION, BOOKKEEPING, PRIVILEGED, STATE, channel_names

FED = (STATE, ACTION, PRIVILEGED)  # the vectors that a policy is trained on
# What the file may differ by: of a standard deviation, of a variance, of a range. More than the
# first describes other numbers; more than the second, other rows of the same kind.
OTHER, STALE = 0.1, 0.01
# LeRobot adds up an episode's squares in float32: what each row may leave of a variance, in squares
# of the mean (measured up to 4e-8), and what any episode may.
ROUNDING_A_ROW, ROUNDING = 2.0**-23, 1e-6

Values = NDArray[np.floating]


def contradicting_statistics(dataset: Dataset) -> list[str]:
    """Statistics of what a policy is fed that are absent, no numbers, or of other numbers."""
    if not dataset.stats:
        if dataset.version != "v3.0":  # they keep them by episode, and are converted first
            return []
        return [f"there is no meta/stats.json, and training normalises with it. {_remedy(dataset)}"]
    told = []
    for name, values in _vectors(dataset):
        wrong = _contradiction(dataset, name, values) if name in FED else ""
        if wrong:
            told.append(
                f"meta/stats.json contradicts the rows, and training normalises with it: {wrong}. "
                f"{_remedy(dataset)}"
            )
    return told


def stale_statistics(dataset: Dataset) -> list[str]:
    """Statistics that are about right, and yet were made of other rows than these."""
    told = []
    for name, values in _vectors(dataset):
        stored = dataset.stats.get(name)
        if name not in FED or stored is None or _contradiction(dataset, name, values):
            continue
        count = stored_numbers(stored, "count")
        if count is not None and count.size and np.any(count != len(values)):
            told.append(
                f"meta/stats.json was made of {count.flat[0]:g} rows of {name} and there are "
                f"{len(values)}: rows were added or removed since. {_remedy(dataset)}"
            )
        elif _far(stored, values, STALE, _longest(dataset)):
            told.append(
                f"meta/stats.json is near the rows of {name} and not of them: rows were added, "
                f"removed or changed since. {_remedy(dataset)}"
            )
    return told


def unused_statistics(dataset: Dataset) -> list[str]:
    """The same of columns and cameras that training needs no statistics of."""
    if not dataset.stats:
        return []
    told = []
    for name, values in _vectors(dataset):
        if name in FED or name in BOOKKEEPING:
            continue
        if name not in dataset.stats:
            told.append(f"meta/stats.json has nothing of {name}; training does not use it.")
        elif wrong := _contradiction(dataset, name, values):
            told.append(f"meta/stats.json: {wrong}; training does not use it.")
    return told


def _contradiction(dataset: Dataset, name: str, values: Values) -> str:
    """What is wrong with the stored statistics of the column `name`; empty where they agree."""
    stored = dataset.stats.get(name)
    if not isinstance(stored, Mapping):
        return f"it has nothing of {name}"
    for kind in ("mean", "std", "min", "max"):
        found = stored_numbers(stored, kind)
        if found is None:
            if kind in stored or kind in ("mean", "std"):
                return f"it has no numbers for the {kind} of {name}"
        elif found.size != values.shape[1]:
            return f"its {kind} of {name} has {found.size} numbers for {values.shape[1]} channels"
        elif not np.isfinite(found).all():
            return f"its {kind} of {name} holds NaN or infinity"
    far = _far(stored, values, OTHER, _longest(dataset))
    if not far:
        return ""
    kind, channel, there, here = far[0]
    names = channel_names(dataset.features.get(name, {"shape": values.shape[1:]}))
    which = names[channel] if channel < len(names) else str(channel)
    more = f" (and {len(far) - 1} more numbers)" if len(far) > 1 else ""
    return f"its {kind} of {name}, {which}, is {there:.4g} and that of the rows is {here:.4g}{more}"


def _longest(dataset: Dataset) -> int:
    return max((row.length for row in dataset.episodes), default=0)


def _far(
    stored: Mapping[str, Any], values: Values, share: float, longest: int
) -> list[tuple[str, int, float, float]]:
    """Kind, channel, stored and true number of each that is off by more than `share`.

    The mean, the minimum and the maximum in standard deviations and ranges, the standard
    deviation by its square. `longest`: rows of the longest episode, over which rounding adds up.
    Rows that are not finite are left to another check.
    """
    mean, spread, size = values.mean(axis=0), values.std(axis=0), np.ptp(values, axis=0)
    level = 1e-6 + 1e-5 * np.abs(mean)
    rounding = ROUNDING + ROUNDING_A_ROW * longest
    true = {"mean": mean, "std": spread, "min": values.min(axis=0), "max": values.max(axis=0)}
    told = []
    for kind, here in true.items():
        there = stored_numbers(stored, kind)
        if there is None:
            continue
        if kind == "std":
            most = 2 * share * spread**2 + rounding * mean**2 + 1e-10
            off = np.abs(there**2 - here**2) > most
        else:
            off = np.abs(there - here) > share * (spread if kind == "mean" else size) + level
        told += [(kind, int(i), float(there[i]), float(here[i])) for i in np.flatnonzero(off)]
    return told


def stored_numbers(stored: object, kind: str) -> NDArray[np.float64] | None:
    """One kind of statistics as a flat array; None where there are no numbers."""
    if not isinstance(stored, Mapping) or stored.get(kind) is None:
        return None
    try:
        return np.asarray(stored[kind], np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):  # words, unequal lists, too many digits
        return None


def _vectors(dataset: Dataset) -> Iterator[tuple[str, Values]]:
    """The columns of float vectors (N, D)."""
    for name in dataset.numbers:
        values = dataset.column(name)
        if values.ndim == 2 and np.issubdtype(values.dtype, np.floating):
            yield name, values.astype(np.float64)


def _remedy(dataset: Dataset) -> str:
    """The command that makes a copy with statistics of the rows."""
    root = dataset.root.resolve()
    new = root.with_name(f"{root.name}-stats")
    return (
        f"Make a copy with statistics of its rows: lerobot-edit-dataset --repo_id local/x --root "
        f"{shlex.quote(str(root))} --new_root {shlex.quote(str(new))} "
        "--operation.type recompute_stats"
    )
