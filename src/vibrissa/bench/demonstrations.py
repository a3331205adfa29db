"""Where demonstrations began, and which of them is nearest to an episode."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vibrissa.bench.hotspots import turn_between
from vibrissa.bench.outcomes import Spawn
from vibrissa.data.dataset import Dataset
from vibrissa.data.features import PRIVILEGED, channel_names

SIM_STATE = "sim_state"
_TURN = re.compile(r"(.+)\.(sin|cos)(\d+)yaw")


@dataclass(frozen=True)
class Demonstration:
    """One episode of a dataset, and the object's pose at its first tick."""

    episode: int
    spawn: Spawn


@dataclass(frozen=True)
class Nearest:
    """The demonstration nearest to a spawn: how far on the table, how far turned, and both.

    reach_m: how far the object's farthest point would have to go: the way of its centre, and
    what its turn moves that point by.
    """

    episode: int
    away_m: float
    turned_rad: float
    reach_m: float


def demonstrations_of(dataset: Dataset) -> list[Demonstration]:
    """Where the object stood at the first tick of each episode, as far as the dataset tells.

    From the privileged channels, else the simulator's state, else where the recording told a
    person to put it. Empty where nothing tells.
    """
    firsts = {row.index: dataset.rows(row.index).start for row in dataset.episodes}
    poses = _privileged(dataset)
    if poses is None:
        poses = _sim_state(dataset)
    if poses is not None:
        x_y_yaw = {i: tuple(float(v) for v in poses[first]) for i, first in firsts.items()}
        return [Demonstration(i, (x, y, yaw)) for i, (x, y, yaw) in x_y_yaw.items()]
    return _told(dataset)


def seeds_of(dataset: Dataset) -> set[int] | None:
    """The seeds that its episodes began from; None where not every episode has one noted."""
    seeds = {note.get("episode"): note.get("seed") for note in dataset.notes}
    noted = [seeds.get(row.index) for row in dataset.episodes]
    return {int(seed) for seed in noted if seed is not None} if None not in noted else None


def nearest(
    spawn: Spawn, demonstrations: Sequence[Demonstration], *, period_rad: float, arm_m: float
) -> Nearest | None:
    """The demonstration that began nearest to `spawn`.

    arm_m: how far the object reaches from its centre, which turns a yaw into a way.
    """
    if not demonstrations:
        return None
    poses = np.array([d.spawn for d in demonstrations], np.float64)  # (D, 3)
    away_m = np.hypot(poses[:, 0] - spawn[0], poses[:, 1] - spawn[1])
    turned = np.abs(turn_between(poses[:, 2], spawn[2], period_rad))
    reach_m = np.hypot(away_m, arm_m * turned)
    i = int(np.argmin(reach_m))
    return Nearest(demonstrations[i].episode, float(away_m[i]), float(turned[i]), float(reach_m[i]))


def _privileged(dataset: Dataset) -> np.ndarray | None:
    """x, y and yaw (N, 3) of the first thing that the privileged channels name."""
    names = [channel.name for channel in dataset.contract.privileged]
    if PRIVILEGED not in dataset.columns or not names:
        return None
    thing = names[0].rsplit(".", 1)[0]
    if not {f"{thing}.x", f"{thing}.y"} <= set(names):
        return None
    column = dataset.column(PRIVILEGED)
    turn: dict[str, np.ndarray] = {}
    times = 1
    for i, name in enumerate(names):
        found = _TURN.fullmatch(name)
        if found and found.group(1) == thing:
            turn[found.group(2)], times = column[:, i], int(found.group(3))
    yaw = np.arctan2(turn["sin"], turn["cos"]) / times if len(turn) == 2 else np.zeros(len(column))
    x, y = (column[:, names.index(f"{thing}.{axis}")] for axis in "xy")
    return np.stack([x, y, yaw], axis=1)


def _sim_state(dataset: Dataset) -> np.ndarray | None:
    """The same from the simulated arm's whole state."""
    if SIM_STATE not in dataset.columns:
        return None
    names = channel_names(dataset.features[SIM_STATE])
    wanted = [f"object.{part}" for part in ("x", "y", "qw", "qx", "qy", "qz")]
    if not set(wanted) <= set(names):
        return None
    column = dataset.column(SIM_STATE)
    x, y, w, i, j, k = (column[:, names.index(name)] for name in wanted)
    yaw = np.arctan2(2 * (w * k + i * j), 1 - 2 * (j * j + k * k))
    return np.stack([x, y, yaw], axis=1)


def _told(dataset: Dataset) -> list[Demonstration]:
    """Where somebody was told to put the object, episode by episode."""
    sessions = dataset.sessions
    found, used = [], [0] * len(sessions)
    for note in dataset.notes:
        session = note.get("session")
        if session is None or session >= len(sessions):
            continue
        poses = sessions[session].get("targets", {}).get("poses", ())
        number, used[session] = used[session], used[session] + 1
        if number < len(poses):
            x, y, degrees = poses[number]
            found.append(Demonstration(note["episode"], (x, y, math.radians(degrees))))
    return found
