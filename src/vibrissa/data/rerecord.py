"""A recorded dataset once more, with other pictures: every number of its rows stays as it was.

Written under a temporary name and renamed at the end, like a recording. `lineage.json` beside
the contract says what it was made from.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import vibrissa
from vibrissa.core.contract import CameraSpec
from vibrissa.core.episode import LazyImages
from vibrissa.core.errors import DatasetError
from vibrissa.data.dataset import Dataset
from vibrissa.data.disk import HastyDisk, plain, require_absent, writing
from vibrissa.data.features import (
    BOOKKEEPING,
    CONTRACT_FILE,
    EPISODES_FILE,
    LINEAGE_FILE,
    OURS,
    RECORDING_FILE,
    SCENE_FILE,
    SIM_STATE,
    TIME,
    camera_column,
    channel_names,
    features_of,
)
from vibrissa.data.film import Film, check_size
from vibrissa.data.writer import Writer

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Seen:
    """What is seen of the episodes now.

    pictures: an episode's index → what each of its rows shows, looked at before the next one is
    taken; sampled: its index → the values that its note says were drawn. Raises DatasetError
    for a size that no video can hold.
    """

    cameras: tuple[CameraSpec, ...]
    scene: Mapping[str, Any]
    pictures: Callable[[int], Iterable[LazyImages]]
    sampled: Callable[[int], Mapping[str, Any]]

    def __post_init__(self) -> None:
        for camera in self.cameras:
            check_size(camera)


def require_states(dataset: Dataset) -> tuple[str, ...]:
    """The names of the stored states. Raises DatasetError where there are none."""
    if not dataset.is_ours or SIM_STATE not in dataset.columns:
        raise DatasetError(
            f"{dataset.root} holds no states of a simulated arm (no column {SIM_STATE}): a real "
            "arm's recording, or one made before states were stored, cannot be drawn again."
        )
    if len(dataset.notes) != len(dataset.episodes):
        raise DatasetError(
            f"{dataset.root} has {len(dataset.episodes)} episodes and {len(dataset.notes)} lines "
            f"in {OURS / EPISODES_FILE}: it was edited, and which seed is whose is not known."
        )
    return channel_names(dataset.features[SIM_STATE])


def rerecord(
    dataset: Dataset,
    out: Path,
    seen: Seen,
    changed: Mapping[str, Any],
    report: Callable[[int], None] = lambda _: None,
) -> Path:
    """`dataset` with the pictures of `seen`, as the new folder `out`.

    changed: what the lineage says was done. report: told how many rows are finished. Raises
    DatasetError where `out` exists, a picture cannot be stored, or the disk refuses; nothing is
    then left.
    """
    require_absent(out)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
        try:
            root = _write(dataset, partial / out.name, seen, report)
            _describe(dataset, root, seen, changed)
            require_absent(out)
            os.rename(root, out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return out


def _write(dataset: Dataset, root: Path, seen: Seen, report: Callable[[int], None]) -> Path:
    """Rows and films."""
    contract = replace(dataset.contract, cameras=seen.cameras)
    names = require_states(dataset)
    columns = set(features_of(replace(contract, cameras=()), names))
    seen_before = {name for name in dataset.numbers if name.startswith(camera_column("", "")[:-1])}
    extra = set(dataset.numbers) - columns - set(BOOKKEEPING) - seen_before
    absent = columns - set(dataset.numbers) - {TIME}  # recordings did not always have it
    if extra or absent:
        told = ", ".join(sorted(extra or absent))
        raise DatasetError(f"{dataset.root} has other columns than our recordings: {told}.")
    writer, done = Writer(root, contract, names, HastyDisk()), 0
    for row in dataset.episodes:
        films = _films(writer, seen, row.index, done, report)
        stored = dataset.episode(row.index)
        stored.setdefault(TIME, stored["timestamp"].astype(np.float64))
        kept = {name: stored[name] for name in columns} | _of_pictures(seen, stored)
        writer.add_episode(kept, dataset.instruction(row.index), films)
        done += row.length
        report(done)
    writer.close()
    return root


def _of_pictures(seen: Seen, stored: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """What is told of each picture: as recorded, or that it is of its row's moment, and well."""
    length = len(stored[TIME])
    drawn = {
        "captured_s": stored[TIME],
        "sequence": np.arange(length),
        "health": np.zeros(length, np.int64),
    }
    told = {camera_column(c.name, what): drawn[what] for c in seen.cameras for what in drawn}
    return {name: stored.get(name, values) for name, values in told.items()}


def _films(
    writer: Writer, seen: Seen, episode: int, done: int, report: Callable[[int], None]
) -> dict[str, Any]:
    """An episode's films at their places; of each, the pictures that its statistics are made of."""
    films = {
        camera.name: Film(writer.film_path(camera.name), camera, writer.fps, PATIENCE_S)
        for camera in seen.cameras
    }
    try:
        for tick, pictures in enumerate(seen.pictures(episode)):
            for name, film in films.items():
                film.add(pictures[name])
            report(done + tick)
        return {name: film.finish() for name, film in films.items()}
    except BaseException:
        for film in films.values():
            film.cancel()
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=1, sort_keys=True, default=plain)
    path.write_text(text + "\n", encoding="utf-8")


def _describe(dataset: Dataset, root: Path, seen: Seen, changed: Mapping[str, Any]) -> None:
    """Contract, scene, notes, and where it all comes from."""
    ours, before = root / OURS, dataset.root / OURS
    ours.mkdir(parents=True, exist_ok=True)
    contract = replace(dataset.contract, cameras=seen.cameras)
    write_json(ours / CONTRACT_FILE, contract.to_dict())
    write_json(ours / SCENE_FILE, seen.scene)
    notes = [{**note, "sampled": dict(seen.sampled(note["episode"]))} for note in dataset.notes]
    lines = "".join(json.dumps(note) + "\n" for note in notes)
    (ours / EPISODES_FILE).write_text(lines, encoding="utf-8")
    if (before / RECORDING_FILE).is_file():
        shutil.copy(before / RECORDING_FILE, ours / RECORDING_FILE)
    lineage: dict[str, Any] = {
        "made": "rerendered from stored states",
        "source": dataset.root.resolve().name,
        "source_digest": dataset.digest,
        "changed": dict(changed),
        "vibrissa": vibrissa.__version__,
    }
    if dataset.lineage:
        lineage["before"] = dataset.lineage
    write_json(ours / LINEAGE_FILE, lineage)
