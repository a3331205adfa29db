"""What is wrong or unusual in a dataset, one sentence each: what costs a training run when unseen.

A check takes a `Dataset` and returns sentences. `CHECKS` is the list of all of them, with the
name and the gravity of each; `vibrissa data inspect` shows what they find, `vibrissa train` acts
on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vibrissa.data import layout
from vibrissa.data.dataset import Dataset
from vibrissa.data.depth import is_depth
from vibrissa.data.features import ACTION, SIM_STATE, STATE, channel_names
from vibrissa.data.film_checks import doubtful_films, rows_without_pictures, spoilt_episodes
from vibrissa.data.findings import Check, Finding, run_checks
from vibrissa.data.motion_checks import (
    joint_limits,
    leaps,
    marked_rows,
    not_following,
    nothing_moves,
    still_episodes,
)
from vibrissa.data.notes_checks import lost_notes
from vibrissa.data.stats_checks import (
    FED,
    contradicting_statistics,
    stale_statistics,
    stored_numbers,
    unused_statistics,
)
from vibrissa.data.time_checks import rate, timestamps

# Mean level of a black picture; mean change between pictures of one. Of depth: in millimetres.
BLACK, FROZEN = 6.0, 0.5
EPISODES_LOOKED_AT, PICTURES_LOOKED_AT = 24, 3
FAINT = 0.01  # standard deviation of pictures in 0..1 below which nothing can be seen
UNSCALED = 1e-4  # standard deviation below which training does not divide by it: learn/act.py
FAR = 12.0  # from the median, in half spans of the middle 98 %


def not_finite(dataset: Dataset) -> list[str]:
    """NaN or infinity in what a policy is fed."""
    return _not_finite(dataset, [name for name in dataset.numbers if name in FED])


def not_finite_beside(dataset: Dataset) -> list[str]:
    """NaN or infinity in columns that training does not use."""
    return _not_finite(dataset, [name for name in dataset.numbers if name not in FED])


def constant_channels(dataset: Dataset) -> list[str]:
    told = []
    for name, values in _vectors(dataset):
        still = np.ptp(values, axis=0) == 0
        if name == SIM_STATE:  # what lies still on a table is not unusual
            continue
        if still.any():
            which = _names(dataset, name, still)
            told.append(f"{name}: {still.sum()} of {len(still)} channels never change: {which}.")
        faint = (values.std(axis=0) < UNSCALED) & ~still
        if name in FED and faint.any():
            which = _names(dataset, name, faint)
            told.append(f"{name}: {which} hardly changes; training leaves it unscaled.")
    return told


def outliers(dataset: Dataset) -> list[str]:
    """Single values far from all the others, as a slipping wire or a lost reading gives them."""
    told = []
    for name, values in _vectors(dataset):
        low, middle, high = np.nanpercentile(values, [1, 50, 99], axis=0)
        half = (high - low) / 2
        far = (np.abs(values - middle) > FAR * half) & (half > 0)
        if far.any():
            which = _names(dataset, name, far.any(axis=0))
            told.append(
                f"{name}: {far.any(axis=1).sum()} rows are far from all others, in {which}."
            )
    return told


def action_is_state(dataset: Dataset) -> list[str]:
    """An action that is the measured state of its own row teaches a policy to stay."""
    state, action = _state_and_action(dataset)
    same = float(np.all(state == action, axis=1).mean()) if len(state) else 0.0
    if same <= 0.9 or len(_moving(state)) == 0:
        return []
    return [
        f"action equals the state of the same row in {same:.0%} of the rows: a policy learns to "
        "stay where it is."
    ]


def measured_action(dataset: Dataset) -> list[str]:
    """An action that is the state of the next row says nothing of what was commanded."""
    state, action = _state_and_action(dataset)
    ends = [span.stop - 1 for span in dataset.spans.values()]
    inner = np.setdiff1d(np.arange(len(state) - 1), ends) if len(state) else np.zeros(0, int)
    later = float(np.all(state[inner + 1] == action[inner], axis=1).mean()) if len(inner) else 0.0
    if later <= 0.9 or len(_moving(state)) == 0:
        return []
    return [
        f"action equals the state one row later in {later:.0%} of the rows: it was measured, "
        "not commanded."
    ]


def short_episodes(dataset: Dataset) -> list[str]:
    lengths = np.array([row.length for row in dataset.episodes])
    middle = float(np.median(lengths))
    short = [str(r.index) for r in dataset.episodes if r.length < 0.5 * middle]
    if not short:
        return []
    return [f"episodes {_few(short)} have less than half the usual {middle:.0f} rows."]


def faint_pictures(dataset: Dataset) -> list[str]:
    told = []
    for key in camera_keys(dataset):
        if is_depth(dataset.features[key]):
            continue
        spread = stored_numbers(dataset.stats.get(key), "std")
        if spread is not None and spread.size and spread.mean() < FAINT:
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
    file = layout.parquet_files(dataset.root / "meta" / "episodes")[0]
    told = {n.split("/")[1] for n in layout.read_schema(file).names if n.startswith("videos/")}
    lost = sorted(told - set(dataset.features))
    if not lost:
        return []
    return [f"the episodes' table tells of videos that info.json does not list: {_few(lost)}."]


def dark_or_frozen(dataset: Dataset) -> list[str]:
    """Episodes in which a camera shows nothing, or always the same; a few pictures of each.

    Not of those whose pictures are missing: another check reports that.
    """
    told = []
    looked = _spread(dataset.episodes, EPISODES_LOOKED_AT)
    for key in camera_keys(dataset):
        black, frozen = [], []
        spoilt = spoilt_episodes(dataset, key)
        for row in looked:
            if row.index in spoilt or not dataset.has_pictures(key, row.index):
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


def unnamed_files(dataset: Dataset) -> list[str]:
    """Files beside those of the episodes, which nobody reads."""
    if layout.is_open(dataset.root):  # one may be about to be named
        return []
    videos = {span.path for row in dataset.episodes for span in row.videos.values()}
    named = {*dataset.files, *videos}
    beside = [
        path.relative_to(dataset.root).as_posix()
        for part in ("data", "videos", "images")
        for path in sorted((dataset.root / part).rglob("*"))
        if path.is_file() and path not in named and not path.name.startswith(".")
    ]
    if not beside:
        return []
    return [
        f"{len(beside)} files belong to no episode of meta/episodes and are not used: "
        f"{_few(beside, 3)}. An episode may be missing there."
    ]


def left_in_the_journal(dataset: Dataset) -> list[str]:
    """What was recorded and is not in the dataset, because something cut it off."""
    told = layout.told_left(dataset.root)
    return [told] if told else []


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


CHECKS: tuple[Check, ...] = (
    Check("not-finite", "broken", not_finite),
    Check("statistics", "broken", contradicting_statistics),
    Check("pictures", "broken", rows_without_pictures),
    Check("stale-statistics", "doubtful", stale_statistics),
    Check("nothing-moves", "doubtful", nothing_moves),
    Check("not-following", "doubtful", not_following),
    Check("action-is-state", "doubtful", action_is_state),
    Check("not-finite-beside", "warning", not_finite_beside),
    Check("unused-statistics", "warning", unused_statistics),
    Check("films", "warning", doubtful_films),
    Check("dark-or-frozen", "warning", dark_or_frozen),
    Check("faint-pictures", "warning", faint_pictures),
    Check("depth-in-name", "warning", depth_in_name_alone),
    Check("measured-action", "warning", measured_action),
    Check("constant-channels", "warning", constant_channels),
    Check("outliers", "warning", outliers),
    Check("leaps", "warning", leaps),
    Check("marked-rows", "warning", marked_rows),
    Check("joint-limits", "warning", joint_limits),
    Check("still-episodes", "warning", still_episodes),
    Check("short-episodes", "warning", short_episodes),
    Check("timestamps", "warning", timestamps),
    Check("rate", "warning", rate),
    Check("unlisted-cameras", "warning", unlisted_cameras),
    Check("unnamed-files", "warning", unnamed_files),
    Check("notes", "warning", lost_notes),
    Check("journal", "warning", left_in_the_journal),
    Check("unwell-pictures", "warning", unwell_pictures),
)


def findings_of(dataset: Dataset) -> tuple[Finding, ...]:
    """What all checks find in `dataset`, the gravest first."""
    return run_checks(CHECKS, dataset)


def camera_keys(dataset: Dataset) -> list[str]:
    """The features that hold pictures."""
    return [k for k, f in dataset.features.items() if f["dtype"] in ("video", "image")]


def _not_finite(dataset: Dataset, names: Sequence[str]) -> list[str]:
    told = []
    for name in names:
        values = dataset.column(name)
        bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if bad.any():
            first = int(np.argmax(bad))
            told.append(f"{name} holds NaN or infinity in {bad.sum()} rows, first row {first}.")
    return told


def _state_and_action(dataset: Dataset) -> tuple[NDArray, NDArray]:
    """Both (N, A), or both empty where they are not of one shape."""
    if {STATE, ACTION} <= set(dataset.columns):
        state, action = dataset.column(STATE), dataset.column(ACTION)
        if state.shape == action.shape and state.ndim == 2:
            return state, action
    return np.zeros((0, 0)), np.zeros((0, 0))


def _moving(values: NDArray) -> NDArray[np.intp]:
    """The channels of (N, D) that ever change: of what stands still, another check speaks."""
    return np.flatnonzero(np.ptp(values, axis=0) > 0) if len(values) else np.zeros(0, np.intp)


def _changes(shots: Sequence[NDArray[np.float32]]) -> list[float]:
    return [float(np.abs(b - a).mean()) for a, b in pairwise(shots)]


def _vectors(dataset: Dataset) -> Iterator[tuple[str, NDArray]]:
    """The columns of float vectors (N, D)."""
    for name in dataset.numbers:
        values = dataset.column(name)
        if values.ndim == 2 and np.issubdtype(values.dtype, np.floating):
            yield name, values.astype(np.float64)


def _names(dataset: Dataset, column: str, flags: NDArray[np.bool_]) -> str:
    """The names of the channels that are flagged, (D,)."""
    names = channel_names(dataset.features.get(column, {"shape": flags.shape}))
    if len(names) != len(flags):
        names = tuple(map(str, range(len(flags))))
    return _few([name for name, flag in zip(names, flags, strict=True) if flag])


def _spread(rows: Sequence[layout.EpisodeRow], most: int) -> list[layout.EpisodeRow]:
    which = sorted({int(i) for i in np.linspace(0, len(rows) - 1, min(most, len(rows)))})
    return [rows[i] for i in which]


def _few(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
