"""What contenders were compared under, as `contest.json` keeps it: with a seed, a whole episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vibrissa.bench.contest import Entrant
from vibrissa.bench.row_folder import SETTINGS
from vibrissa.bench.setups import Place
from vibrissa.bench.trials import OUTCOMES, read_json, require_same
from vibrissa.core.errors import UsageError, VibrissaError
from vibrissa.sim.scene import SceneCfg

RESULT = "compare.json"  # what was told of it last
FORMAT = 1


def terms(
    entrants: Sequence[Entrant],
    place: Place | None,
    *,
    seeds_from: int,
    level: float,
    same_scenes: bool,
    device: str,
) -> dict[str, Any]:
    """All that an outcome of this comparison depends on beside its seed, and who is compared.

    place: None where nobody is judged here. device: whose policies compute on it; empty without
    any. A contender's own part is its `Entrant.played`.
    """
    judged = {} if place is None else {"task": place.task, "scene": place.scene.to_dict()}
    return {
        "format": FORMAT,
        "seeds_from": seeds_from,
        "level": level,
        "same_scenes": same_scenes,
        "device": device,
        "contenders": {one.label: {"what": one.words, **one.played} for one in entrants},
        **judged,
    }


def begin(folder: Path, told: Mapping[str, Any], versions: Mapping[str, str]) -> None:
    """Begin `folder` under the terms `told`, or see that it was begun under the same.

    Raises UsageError with what differs, and for a folder that is something else.
    """
    file = folder / SETTINGS
    if file.is_file() and "format" not in read_json(file):
        raise UsageError(
            f"{folder} was begun by a version that did not note in which scene. Name another "
            f"--out; its outcomes stay in {folder / OUTCOMES}."
        )
    require_same(folder, told, versions, SETTINGS)


def looks_in(folder: Path | None) -> list[int]:
    """After how many seeds a verdict was told of what is in `folder`; none of a new one."""
    if folder is None or not (folder / RESULT).is_file():
        return []
    try:
        return [int(seeds) for seeds in read_json(folder / RESULT).get("looked_after", ())]
    except (TypeError, ValueError) as error:
        raise UsageError(f"{folder / RESULT} cannot be used ({error}).") from error


def scene_of(folder: Path) -> dict[str, Any] | None:
    """What the seeds of a comparison's folder were played in; None where it does not say."""
    scene = read_json(folder / SETTINGS).get("scene")
    try:
        return SceneCfg.from_dict(scene).to_dict() if scene else None
    except (KeyError, TypeError, ValueError, VibrissaError) as error:
        raise UsageError(f"{folder / SETTINGS} cannot be used ({error}).") from error
