"""What looks odd in a dataset, one sentence each: things that cost a training run when unseen.

A check takes a `Dataset` and returns sentences; `CHECKS` is the list of all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.units import GRIPPER, JOINTS, unit_bounds
from vibrissa.data import layout
from vibrissa.data.dataset import Dataset
from vibrissa.data.depth import is_depth
from vibrissa.data.features import ACTION, BOOKKEEPING, SIM_STATE, STATE, channel_names
from vibrissa.data.joint_units import arms_of, units_of

# Mean level of a black picture; mean change between pictures of one. Of depth: in millimetres.
BLACK, FROZEN = 6.0, 0.5
EPISODES_LOOKED_AT, PICTURES_LOOKED_AT = 24, 3
FAINT = 0.01  # standard deviation of pictures in 0..1 below which nothing can be seen
FAR = 12.0  # from the median, in half spans of the middle 98 %
BEYOND = {"rad": 0.1, "deg": 6.0, "m100_100": 1.0, "ticks": 70.0}  # over a joint limit, tolerated


def not_numbers(dataset: Dataset) -> list[str]:
    told = []
    for name, values in _floats(dataset):
        bad = ~np.isfinite(values)
        if bad.any():
            where = np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))
            told.append(f"{name} holds NaN or infinity in {len(where)} rows, first row {where[0]}.")
    return told


def constant_channels(dataset: Dataset) -> list[str]:
    told = []
    for name, values in _vectors(dataset):
        still = np.ptp(values, axis=0) == 0
        if not still.any() or name == SIM_STATE:  # what lies still on a table is not odd
            continue
        names = channel_names(dataset.features.get(name, {"shape": values.shape[1:]}))
        which = _few([n for n, s in zip(names, still, strict=True) if s])
        told.append(f"{name}: {still.sum()} of {len(still)} channels never change: {which}.")
    return told


def outliers(dataset: Dataset) -> list[str]:
    """Single values far from all the others, as a slipping wire or a lost reading gives them."""
    told = []
    for name, values in _vectors(dataset):
        low, middle, high = np.nanpercentile(values, [1, 50, 99], axis=0)
        half = (high - low) / 2
        far = (np.abs(values - middle) > FAR * half) & (half > 0)
        if far.any():
            names = channel_names(dataset.features.get(name, {"shape": values.shape[1:]}))
            which = _few([n for n, f in zip(names, far.any(axis=0), strict=True) if f])
            told.append(
                f"{name}: {far.any(axis=1).sum()} rows are far from all others, in {which}."
            )
    return told


def action_is_state(dataset: Dataset) -> list[str]:
    """An action that is the measured state says nothing of what was commanded."""
    if not {STATE, ACTION} <= set(dataset.columns):
        return []
    state, action = dataset.column(STATE), dataset.column(ACTION)
    if state.shape != action.shape:
        return []
    same = float(np.all(state == action, axis=1).mean())
    if same > 0.9:
        return [f"action equals the state of the same row in {same:.0%} of the rows."]
    ends = [span.stop - 1 for span in dataset.spans.values()]
    inner = np.setdiff1d(np.arange(len(state) - 1), ends)
    later = float(np.all(state[inner + 1] == action[inner], axis=1).mean()) if len(inner) else 0.0
    if later > 0.9:
        return [
            f"action equals the state one row later in {later:.0%} of the rows: it was measured, "
            "not commanded."
        ]
    return []


def joint_limits(dataset: Dataset) -> list[str]:
    """Joints beyond what an SO-101 can reach, and grippers that hardly move."""
    told = []
    for name in (STATE, ACTION):
        if name not in dataset.columns:
            continue
        values = dataset.column(name)
        for arm in arms_of(channel_names(dataset.features.get(name, {}))):
            mine = values[:, arm.columns].astype(np.float64)
            unit = units_of(mine).unit
            if unit == "unknown":
                continue
            low, high = unit_bounds(unit)
            over = np.maximum(low - mine.min(axis=0), mine.max(axis=0) - high)
            beyond = [j for j, o in zip(JOINTS, over, strict=True) if o > BEYOND[unit]]
            where = name if arm.name == "arm" else f"{name} of {arm.name}"
            if beyond:
                told.append(f"{where}: beyond the model's joint limits in {_few(beyond)}.")
            moved = np.ptp(mine[:, GRIPPER]) / (high[GRIPPER] - low[GRIPPER])
            if moved < 0.1:
                told.append(f"{where}: the gripper uses only {moved:.0%} of its range.")
    return told


def timestamps(dataset: Dataset) -> list[str]:
    if "timestamp" not in dataset.columns:
        return ["there is no timestamp column."]
    times, told = dataset.column("timestamp").astype(np.float64), []
    step, odd = 1 / dataset.fps, []
    for index, span in dataset.spans.items():
        gaps = np.diff(times[span])
        if len(gaps) and np.abs(gaps - step).max() > 0.5 * step:
            odd.append((float(gaps.max()), index))
    if odd:
        worst, index = max(odd)
        told.append(
            f"timestamps jump in {len(odd)} episodes; the longest gap is {worst:.3f} s in episode "
            f"{index}, where a row takes {step:.3f} s."
        )
    return told


def short_episodes(dataset: Dataset) -> list[str]:
    lengths = np.array([row.length for row in dataset.episodes])
    middle = float(np.median(lengths))
    short = [str(r.index) for r in dataset.episodes if r.length < 0.5 * middle]
    if not short:
        return []
    return [f"episodes {_few(short)} have less than half the usual {middle:.0f} rows."]


def statistics(dataset: Dataset) -> list[str]:
    """Statistics that are missing, or that describe other rows than these."""
    if not dataset.stats:
        return ["there is no meta/stats.json." + _v21(dataset)]
    told = []
    for name, values in _vectors(dataset):
        stored = dataset.stats.get(name)
        if stored is None:
            if name not in BOOKKEEPING:
                told.append(f"stats.json says nothing of {name}.")
            continue
        mean = np.asarray(stored.get("mean", np.nan), np.float64).reshape(-1)
        # LeRobot adds up in float32, which errs in the sixth digit even of what never changes.
        spread = values.std(axis=0) + 1e-6 + 1e-5 * np.abs(values.mean(axis=0))
        if mean.shape == spread.shape and np.any(np.abs(mean - values.mean(axis=0)) > spread):
            told.append(f"stats.json describes other rows: the mean of {name} is off.")
    return told


def faint_pictures(dataset: Dataset) -> list[str]:
    told = []
    for key in camera_keys(dataset):
        if is_depth(dataset.features[key]):
            continue
        spread = (dataset.stats.get(key) or {}).get("std")
        if spread is not None and float(np.mean(spread)) < FAINT:
            told.append(
                f"{key}: the standard deviation of all pictures is near zero in stats.json."
            )
    return told


def depth_in_name_alone(dataset: Dataset) -> list[str]:
    """Colour pictures under a name that promises distances."""
    return [
        f"{key} is named as depth and stored as colours: LeRobot and Vibrissa take it for colours."
        for key in camera_keys(dataset)
        if key.endswith("_depth") and not is_depth(dataset.features[key])
    ]


def unlisted_cameras(dataset: Dataset) -> list[str]:
    """Cameras that the episodes' table speaks of and info.json has forgotten."""
    if dataset.version != "v3.0":
        return []
    file = next(iter(sorted((dataset.root / "meta" / "episodes").glob("*/*.parquet"))))
    told = {n.split("/")[1] for n in layout.read_schema(file).names if n.startswith("videos/")}
    lost = sorted(told - set(dataset.features))
    if not lost:
        return []
    return [f"the episodes' table tells of videos that info.json does not list: {_few(lost)}."]


def dark_or_frozen(dataset: Dataset) -> list[str]:
    """Episodes in which a camera shows nothing, or always the same; a few pictures of each."""
    told = []
    looked = _spread(dataset.episodes, EPISODES_LOOKED_AT)
    for key in camera_keys(dataset):
        black, frozen = [], []
        for row in looked:
            if not dataset.has_pictures(key, row.index):
                continue
            which = sorted({int(i) for i in np.linspace(0, row.length - 1, PICTURES_LOOKED_AT)})
            scale = 1000 if is_depth(dataset.features[key]) else 1
            shots = [s.astype(np.float32) * scale for s in dataset.pictures(key, row.index, which)]
            if max(float(shot.mean()) for shot in shots) < BLACK:
                black.append(str(row.index))
            elif len(shots) > 1 and max(_changes(shots)) < FROZEN:
                frozen.append(str(row.index))
        if black:
            told.append(f"{key} is black in episode {_few(black)}.")
        if frozen:
            told.append(f"{key} shows the same picture throughout episode {_few(frozen)}.")
    return told


def left_in_the_journal(dataset: Dataset) -> list[str]:
    """What was recorded and is not in the dataset, because something cut it off."""
    told = layout.told_left(dataset.root)
    return [told] if told else []


def slow_episodes(dataset: Dataset) -> list[str]:
    """Episodes of ours that ran slower than the rate their timestamps claim."""
    slow = [note for note in dataset.notes if note.get("slow")]
    told = [f"{note['episode']} ({note['rate_hz']:.1f} Hz)" for note in slow]
    if not slow:
        return []
    return [
        f"slower than {dataset.fps:g} frames a second by their own clock: episode {_few(told)}."
    ]


def unwell_pictures(dataset: Dataset) -> list[str]:
    """Pictures of which the recorder said that something was wrong with them."""
    told = []
    for camera in dataset.contract.camera_names if dataset.is_ours else ():
        counts: Counter[str] = Counter()
        for note in dataset.notes:
            counts.update(note.get("pictures", {}).get(camera, {}))
        if counts:
            words = ", ".join(f"{count} {health}" for health, count in sorted(counts.items()))
            told.append(f"{camera}: {words} of {dataset.frames} pictures, as they were recorded.")
    return told


CHECKS: tuple[Callable[[Dataset], list[str]], ...] = (
    not_numbers,
    dark_or_frozen,
    faint_pictures,
    depth_in_name_alone,
    action_is_state,
    constant_channels,
    outliers,
    joint_limits,
    timestamps,
    short_episodes,
    statistics,
    unlisted_cameras,
    left_in_the_journal,
    slow_episodes,
    unwell_pictures,
)


def camera_keys(dataset: Dataset) -> list[str]:
    """The features that hold pictures."""
    return [k for k, f in dataset.features.items() if f["dtype"] in ("video", "image")]


def _changes(shots: Sequence[NDArray[np.float32]]) -> list[float]:
    return [float(np.abs(b - a).mean()) for a, b in pairwise(shots)]


def _floats(dataset: Dataset) -> Iterator[tuple[str, NDArray]]:
    for name in dataset.numbers:
        values = dataset.column(name)
        if np.issubdtype(values.dtype, np.floating):
            yield name, values


def _vectors(dataset: Dataset) -> Iterator[tuple[str, NDArray]]:
    """The columns of float vectors (N, D)."""
    for name, values in _floats(dataset):
        if values.ndim == 2:
            yield name, values.astype(np.float64)


def _spread(rows: Sequence[layout.EpisodeRow], most: int) -> list[layout.EpisodeRow]:
    which = sorted({int(i) for i in np.linspace(0, len(rows) - 1, min(most, len(rows)))})
    return [rows[i] for i in which]


def _few(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _v21(dataset: Dataset) -> str:
    return " Format v2.1 keeps them by episode." if dataset.version == "v2.1" else ""
