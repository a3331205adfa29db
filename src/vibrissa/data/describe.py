"""Describes a dataset: what it holds, in which units, what is missing and what is unusual."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import DatasetError
from vibrissa.data import pictures
from vibrissa.data.checks import camera_keys, findings_of
from vibrissa.data.dataset import Dataset, open_dataset
from vibrissa.data.features import ACTION, STATE, camera_specs, channel_names
from vibrissa.data.findings import Finding
from vibrissa.data.joint_units import arms_of
from vibrissa.data.motion_checks import limits_applied
from vibrissa.data.recorded import stored_units


@dataclass(frozen=True)
class Lengths:
    """Rows an episode."""

    shortest: int
    median: float
    longest: int


@dataclass(frozen=True)
class FeatureTold:
    """One feature: its name, type, shape, and the names of its channels where it has any."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    channels: tuple[str, ...]


@dataclass(frozen=True)
class CameraTold:
    """One camera. `stored` is what its pictures are really stored as; "missing" for none.

    depth: its pictures are distances in m, not colours.
    """

    name: str
    width: int
    height: int
    stored: str
    depth: bool = False


@dataclass(frozen=True)
class JointsTold:
    """The unit of one arm's joints in one vector, and how that is known."""

    vector: str
    arm: str
    unit: str
    why: str
    confidence: str


@dataclass(frozen=True)
class Description:
    """A dataset on one screen, or as JSON."""

    path: str
    version: str
    robot: str
    fps: float
    episodes: int
    frames: int
    duration_s: float
    lengths: Lengths
    tasks: tuple[str, ...]
    features: tuple[FeatureTold, ...]
    cameras: tuple[CameraTold, ...]
    joints: tuple[JointsTold, ...]
    outcomes: dict[str, int]
    digest: str
    problems: tuple[str, ...]
    findings: tuple[Finding, ...]
    origin: str = ""  # of a dataset that was made from another one
    limits: str = ""  # why the joint limits of an SO-101 were not applied; empty where they were

    @property
    def lines(self) -> tuple[str, ...]:
        """The sentences of all findings."""
        return tuple(finding.line for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def describe(path: Path | str) -> Description:
    """Describe the dataset in `path`, older formats and incomplete ones included.

    Raises DatasetError where nothing can be read.
    """
    dataset = open_dataset(path, strict=False)
    lengths = [row.length for row in dataset.episodes]
    return Description(
        path=str(dataset.root),
        version=dataset.version,
        robot=dataset.info.robot,
        fps=dataset.fps,
        episodes=len(dataset.episodes),
        frames=dataset.frames,
        duration_s=dataset.frames / dataset.fps,
        lengths=Lengths(min(lengths), float(np.median(lengths)), max(lengths)),
        tasks=dataset.tasks,
        features=tuple(_feature(name, raw) for name, raw in dataset.features.items()),
        cameras=_cameras(dataset),
        joints=_joints(dataset),
        outcomes=dict(Counter(note["reason"] for note in dataset.notes)),
        digest=dataset.digest,
        problems=dataset.problems,
        findings=findings_of(dataset),
        origin=_origin(dataset),
        limits=limits_applied(dataset),
    )


def _origin(dataset: Dataset) -> str:
    """What a dataset was made from, as its lineage tells; empty where it was recorded."""
    lineage = dataset.lineage
    if not lineage:
        return ""
    changed = ", ".join(lineage.get("changed", {})) or "nothing changed"
    return f"{lineage['made']} of {lineage['source']} ({lineage['source_digest']}): {changed}"


def _feature(name: str, raw: Any) -> FeatureTold:
    shape = tuple(int(n) for n in raw.get("shape") or ())
    is_vector = len(shape) == 1 and shape[0] > 1
    return FeatureTold(name, raw["dtype"], shape, channel_names(raw) if is_vector else ())


def _cameras(dataset: Dataset) -> tuple[CameraTold, ...]:
    specs = camera_specs(dataset.features)
    return tuple(
        CameraTold(spec.name, spec.width, spec.height, _stored(dataset, key), spec.depth)
        for key, spec in zip(camera_keys(dataset), specs, strict=True)
    )


def _stored(dataset: Dataset, key: str) -> str:
    if key in dataset.columns:
        return "pictures in parquet"
    for row in dataset.episodes:
        if key in row.videos and row.videos[key].path.is_file():
            return pictures.codec_of(row.videos[key])
    return "missing"


def _readable(dataset: Dataset, name: str) -> NDArray | None:
    """A column; None where there is none, or where a problem says why it cannot be read."""
    try:
        return dataset.column(name)
    except DatasetError:
        return None


def _joints(dataset: Dataset) -> tuple[JointsTold, ...]:
    told = []
    for vector in (STATE, ACTION):
        values = _readable(dataset, vector)
        if values is None:
            continue
        for arm in arms_of(channel_names(dataset.features.get(vector, {}))):
            mine = values[:, arm.columns]
            units = stored_units(dataset, mine, mine)
            told.append(JointsTold(vector, arm.name, units.unit, units.why, units.confidence))
    return tuple(told)
