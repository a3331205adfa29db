"""Snapshots of an episode in one file: a NumPy archive without pickle, read back exactly.

Arrays of the archive, T snapshots of N numbers of physics, A joints, Q positions: `tick` (T,),
`physics` (T, N) float64, `target` (T, A) float32, `pending` (T,) bool; for whatever their number
differs between snapshots, the rows of all of them one after another and how many belong to each:
`waiting_steps` (W,), `waiting_target` (W, A), `waiting_count` (T,), `past` (P, Q), `past_count`
(T,). `about` is UTF-8 JSON: the scene, what was sampled, MuJoCo's version, and what the caller
adds, such as the seed.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import UsageError, VibrissaError
from vibrissa.sim.gl import mujoco
from vibrissa.sim.sample import Sample
from vibrissa.sim.scene import SceneCfg
from vibrissa.sim.snapshot import Snapshot

FORMAT = 1
_RAGGED = ("waiting", "past")
# What a file gives that is cut short, changed or something else.
_BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile)
_BROKEN += (ValueError, KeyError, TypeError, VibrissaError)


@dataclass(frozen=True)
class Kept:
    """What a file of snapshots holds, in the order in which they were taken.

    about: what was written beside them. mujoco: the version that simulated; only the same one
    goes on from here bit for bit.
    """

    snapshots: tuple[Snapshot, ...]
    about: Mapping[str, Any]
    mujoco: str

    def at(self, tick: int) -> Snapshot:
        """The snapshot of this tick. Raises UsageError with the ticks that there are."""
        for snapshot in self.snapshots:
            if snapshot.tick == tick:
                return snapshot
        ticks = [snapshot.tick for snapshot in self.snapshots]
        raise UsageError(
            f"no snapshot of tick {tick}. There is one of {len(ticks)} ticks: {ticks[0]} to "
            f"{ticks[-1]}."
        )


def write(path: Path, snapshots: Sequence[Snapshot], about: Mapping[str, Any]) -> None:
    """Snapshots of one episode into `path`, whole or not at all.

    Raises ValueError where there are none, or where they are of different episodes; OSError where
    the disk refuses.
    """
    if not snapshots:
        raise ValueError("no snapshot to write.")
    first = snapshots[0]
    if any(s.cfg != first.cfg or s.sample != first.sample for s in snapshots):
        raise ValueError("snapshots of different episodes.")
    told = {
        "format": FORMAT,
        "mujoco": mujoco.__version__,
        "scene": first.cfg.to_dict(),
        "sample": first.sample.to_dict(),
        "about": dict(about),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            arrays: dict[str, Any] = {"about": _bytes(told), **_arrays(snapshots)}
            np.savez_compressed(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def load(path: Path) -> Kept:
    """What `write` wrote; `snapshot.restore` goes on from any of them.

    Raises UsageError for a file that is none, or that another version wrote.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
        told = json.loads(arrays.pop("about").tobytes())
        if told["format"] != FORMAT:
            raise UsageError(f"{path} is of format {told['format']}; known is {FORMAT}.")
        cfg, sample = SceneCfg.from_dict(told["scene"]), Sample.from_dict(told["sample"])
        snapshots = tuple(_snapshots(arrays, cfg, sample))
        return Kept(snapshots, told["about"], told["mujoco"])
    except UsageError:
        raise
    except _BROKEN as error:
        raise UsageError(f"{path} holds no snapshots that can be read ({error}).") from error


def _arrays(snapshots: Sequence[Snapshot]) -> dict[str, NDArray]:
    first = snapshots[0]
    waiting = [entry for s in snapshots for entry in s.waiting]
    past = [state for s in snapshots for state in s.past]
    return {
        "tick": np.array([s.tick for s in snapshots], np.int64),
        "physics": np.stack([s.physics for s in snapshots]),
        "target": np.stack([s.target for s in snapshots]),
        "pending": np.array([s.pending for s in snapshots], np.bool_),
        "waiting_steps": np.array([steps for steps, _ in waiting], np.int64),
        "waiting_target": _stacked([target for _, target in waiting], first.target),
        "past": _stacked(past, np.zeros(0)),
        **{
            f"{name}_count": np.array([len(getattr(s, name)) for s in snapshots], np.int64)
            for name in _RAGGED
        },
    }


def _snapshots(arrays: Mapping[str, NDArray], cfg: SceneCfg, sample: Sample) -> list[Snapshot]:
    cuts = {name: np.cumsum([0, *arrays[f"{name}_count"]]) for name in _RAGGED}
    made = []
    for i, tick in enumerate(arrays["tick"]):
        queue = range(cuts["waiting"][i], cuts["waiting"][i + 1])
        past = arrays["past"][cuts["past"][i] : cuts["past"][i + 1]]
        snapshot = Snapshot(
            cfg=cfg,
            physics=arrays["physics"][i],
            tick=int(tick),
            target=arrays["target"][i],
            pending=bool(arrays["pending"][i]),
            waiting=tuple(
                (int(arrays["waiting_steps"][w]), arrays["waiting_target"][w]) for w in queue
            ),
            sample=sample,
            past=tuple(past),
        )
        made.append(snapshot)
    return made


def _stacked(rows: Sequence[NDArray], like: NDArray) -> NDArray:
    """`rows` (n, …), or an empty array (0, …) shaped like the rows that there could be."""
    return np.stack(rows) if rows else np.zeros((0, *like.shape), like.dtype)


def _bytes(told: Mapping[str, Any]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(told).encode(), np.uint8)
