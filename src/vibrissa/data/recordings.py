"""Every episode of one real arm, out of one dataset or several, checked to be of one kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vibrissa.core.errors import DatasetError, UsageError
from vibrissa.data.dataset import open_dataset
from vibrissa.data.recorded import Motion, calibration_of, is_echo, motion_of


@dataclass(frozen=True)
class Recordings:
    """Motions of one arm at one rate.

    names: `dataset/episode` of each. digests: of each dataset. calibrated_ticks: how many servo
    ticks the calibrated range of each joint has, None where the recording does not tell.
    """

    arm: str
    unit: str
    rate_hz: float
    motions: tuple[Motion, ...]
    names: tuple[str, ...]
    digests: tuple[str, ...]
    calibrated_ticks: tuple[int | None, ...]


def read_recordings(paths: Sequence[Path], arm: str = "") -> Recordings:
    """All episodes of all datasets.

    Raises DatasetError where one is missing, of another robot, of unknown unit or without
    commands; UsageError where an arm must be named, or where they are not of one kind.
    """
    parts = [_one(path, arm) for path in paths]
    first = parts[0]
    for path, part in zip(paths, parts, strict=True):
        for what, mine, other in (
            ("unit", part.unit, first.unit),
            ("rate in Hz", part.rate_hz, first.rate_hz),
            ("calibration in ticks", part.calibrated_ticks, first.calibrated_ticks),
        ):
            if mine != other:
                raise UsageError(
                    f"{path} and {paths[0]} are not of one kind: their {what} is {mine} and "
                    f"{other}. Name only recordings of one arm, calibrated once."
                )
    return replace(
        first,
        motions=tuple(motion for part in parts for motion in part.motions),
        names=tuple(name for part in parts for name in part.names),
        digests=tuple(digest for part in parts for digest in part.digests),
    )


def _one(path: Path, arm: str) -> Recordings:
    dataset = open_dataset(path, strict=False)
    motions = tuple(motion_of(dataset, episode, arm) for episode in sorted(dataset.spans))
    if not motions:
        raise DatasetError(f"{path} has no episodes.")
    if all(map(is_echo, motions)):
        raise DatasetError(
            f"{path}: its actions are the arm's own readings, not what the servos were told; "
            "nothing about the servos can be learnt from them. Record the commands as actions."
        )
    names = tuple(f"{path.resolve().name}/{episode}" for episode in sorted(dataset.spans))
    ticks = calibration_of(dataset, arm)
    first = motions[0]
    return Recordings(
        first.arm, first.units.unit, dataset.fps, motions, names, (dataset.digest,), ticks
    )
