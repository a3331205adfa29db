"""What there is to infer a contract from: a checkpoint's config, its statistics, its dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import DatasetError, UsageError
from vibrissa.core.units import UNITS
from vibrissa.data.features import ACTION, PRIVILEGED, STATE
from vibrissa.data.info import checked_stats
from vibrissa.data.layout import read_info, read_jsonl, read_stats, read_tasks

if TYPE_CHECKING:  # torch is loaded only where there is a policy
    from vibrissa.learn.statistics import Off

Statistics = Mapping[str, Mapping[str, NDArray[np.float64]]]
GIVEN = ("unit", "rate", "instruction", "camera.NAME")
CAMERA = "camera."  # before the network's name of a camera, in what is given
MOMENTS = ("mean", "std", "min", "max")


Sure = Literal["told", "likely", "a guess"]


@dataclass(frozen=True)
class Said:
    """One line of an inference: what, its value, from what it follows, and how sure that is."""

    what: str
    value: str
    source: str
    sure: Sure


@dataclass(frozen=True)
class Clues:
    """All that is known. sizes: length of each vector feature that the network has; pictures:
    (height, width) of each picture feature. statistics: the checkpoint's own.

    info, recorded: the dataset's info.json and statistics, empty where there is none. dataset:
    its folder. name: what train_config.json says of it, for a reader. given: what a person said.
    """

    pretrained: Path
    sizes: Mapping[str, int]
    pictures: Mapping[str, tuple[int, int]]
    resized: bool
    statistics: Statistics
    dataset: Path | None = None
    name: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    recorded: Statistics = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)


def gather(pretrained: Path, dataset: Path | None, name: str = "") -> Clues:
    """Read both. Raises CheckpointError and DatasetError in one line."""
    from vibrissa.learn.loading import load_learner
    from vibrissa.learn.statistics import statistics_of

    learner = load_learner(pretrained, "cpu")
    config = learner.policy.config
    features = {**(config.input_features or {}), **(config.output_features or {})}
    pictures = dict(config.image_features)
    clues = Clues(
        pretrained,
        {key: int(f.shape[0]) for key, f in features.items() if key not in pictures},
        {key: (int(f.shape[-2]), int(f.shape[-1])) for key, f in pictures.items()},
        any(getattr(step, "resize_size", None) for step in learner.preprocessor.steps),
        statistics_of(learner),
        name=name,
    )
    return clues if dataset is None else _with_dataset(clues, dataset)


def parse_given(given: Sequence[str]) -> dict[str, str]:
    """What a person knows of a checkpoint, as key=value. Raises UsageError.

    camera.front=overhead: what the network calls front is the arm's camera overhead.
    """
    told: dict[str, str] = {}
    for entry in given:
        key, sign, value = entry.partition("=")
        known = key in GIVEN[:-1] or (key.startswith(CAMERA) and key != CAMERA)
        if not known or not sign or not value:
            raise UsageError(f"--given {entry}: want {', '.join(f'{k}=…' for k in GIVEN)}.")
        if key in told:
            raise UsageError(f"--given {key} twice: {told[key]} and {value}.")
        told[key] = value
    if told.get("unit", UNITS[0]) not in UNITS:
        raise UsageError(f"--given unit={told['unit']}. There is: {', '.join(UNITS)}.")
    try:
        sensible = 0 < float(told.get("rate", 1)) < float("inf")
    except ValueError:
        sensible = False
    if not sensible:
        raise UsageError(f"--given rate={told['rate']}: want ticks a second, such as 30.")
    return told


def strangeness(clues: Clues) -> Off | None:
    """Whether the dataset is the one that the checkpoint's statistics were counted on.

    None where one of them has no statistics of what the network is fed and gives.
    """
    from vibrissa.learn.statistics import compared

    used = [key for key in (STATE, ACTION, PRIVILEGED) if key in clues.sizes]
    return compared(clues.statistics, clues.recorded, used)


def ranges(clues: Clues, key: str) -> tuple[NDArray[np.float64], NDArray[np.float64], str] | None:
    """The lowest and the highest values (A,) of a vector feature, and where they are from."""
    for stats, where in ((clues.recorded, "the dataset's"), (clues.statistics, "the checkpoint's")):
        known = stats.get(key, {})
        if "min" in known and "max" in known:
            return known["min"], known["max"], f"{where} least and greatest values"
    known = clues.statistics.get(key) or clues.recorded.get(key) or {}
    if "mean" in known and "std" in known:
        low, high = known["mean"] - 2 * known["std"], known["mean"] + 2 * known["std"]
        return low, high, "means ± 2 standard deviations"
    return None


def _with_dataset(clues: Clues, dataset: Path) -> Clues:
    from vibrissa.learn.statistics import KINDS

    info, kinds = read_info(dataset), (*KINDS, "count")
    stats = checked_stats(dataset, read_stats(dataset)) or _summed(dataset)
    recorded = {
        key: {k: np.asarray(v, np.float64).reshape(-1) for k, v in values.items() if k in kinds}
        for key, values in stats.items()
    }
    try:
        tasks = read_tasks(dataset, info)
    except DatasetError:  # meta/info.json and statistics are enough
        tasks = ()
    told = {name: getattr(clues, name) for name in vars(clues)}
    told |= {
        "dataset": dataset,
        "info": {**info.raw, "features": info.features},
        "recorded": recorded,
        "tasks": tasks,
    }
    return Clues(**told)


def _summed(dataset: Path) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Statistics of the whole from those of each episode, as format v2.1 keeps them.

    Of joints and actions, which is all that is asked of them here.
    """
    path = dataset / "meta" / "episodes_stats.jsonl"
    rows = [row.get("stats") or {} for row in read_jsonl(path)] if path.is_file() else []
    told = {}
    for key in (STATE, ACTION, PRIVILEGED):
        parts = [row[key] for row in rows if key in row]
        if not parts or any(set(MOMENTS) - set(part) for part in parts):
            continue
        low, high, mean, std = (
            np.array([part[k] for part in parts], np.float64) for k in ("min", "max", "mean", "std")
        )
        count = np.array([np.ravel(part.get("count", 1))[0] for part in parts], np.float64)
        share = (count / count.sum())[:, None]
        middle = (share * mean).sum(axis=0)
        spread = np.sqrt((share * (std**2 + (mean - middle) ** 2)).sum(axis=0))
        told[key] = {"min": low.min(0), "max": high.max(0), "mean": middle, "std": spread}
    return told
