"""The numbers of an episode, a fixed-size record a tick: in memory, in the journal, as columns.

A record is written once, by the loop, and read by whoever stores it; the same bytes go to disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import Contract
from vibrissa.core.episode import HEALTHS, SOURCES, STATE_HEALTHS, Step
from vibrissa.data.features import (
    ACTION,
    ASKED,
    PRIVILEGED,
    SIM_STATE,
    SOURCE,
    STATE,
    STATE_HEALTH,
    TIME,
    WALL_TIME,
    camera_column,
    to_stored,
)

BLOCK = 256  # rows allocated at a time
MISSING = HEALTHS.index("missing")
SLOW = 0.95  # of the stated rate; an episode below it is marked


def row_type(contract: Contract, sim_state: Sequence[str], *, marked: bool = True) -> np.dtype:
    """One record: little-endian, no gaps. `frame` is its picture's number in each camera's film.

    marked: with the health of the joints, which older journals do not have.
    """
    cameras, actions = len(contract.cameras), len(contract.action)
    mark = [("state_health", "u1")] if marked else []
    return np.dtype(
        [
            ("tick", "<u4"),
            ("time_s", "<f8"),
            ("wall_time_s", "<f8"),
            ("source", "u1"),
            *mark,
            ("state", "<f4", (len(contract.state),)),
            ("privileged", "<f4", (len(contract.privileged),)),
            ("sent", "<f4", (actions,)),
            ("asked", "<f4", (actions,)),
            ("sim_state", "<f8", (len(sim_state),)),
            ("frame", "<u4", (cameras,)),
            ("captured_s", "<f8", (cameras,)),
            ("sequence", "<i8", (cameras,)),
            ("health", "u1", (cameras,)),
        ]
    )


class Rows:
    """An episode's records. One thread adds, another may read those that are counted."""

    def __init__(self, contract: Contract, sim_state: Sequence[str]):
        self.kind = row_type(contract, sim_state)
        self.count = 0
        self._names = contract.camera_names
        self._blocks: list[NDArray[np.void]] = []

    def add(self, step: Step, missing: Sequence[str] = ()) -> None:
        """Copy the numbers of `step`; `missing` names cameras whose picture could not be had."""
        block, place = divmod(self.count, BLOCK)
        if block == len(self._blocks):
            self._blocks.append(np.zeros(BLOCK, self.kind))
        seen, decision = step.observation, step.decision
        row = self._blocks[block][place]
        row["tick"], row["time_s"], row["wall_time_s"] = seen.tick, seen.time_s, step.wall_time_s
        row["source"] = SOURCES.index(decision.source)
        row["state_health"] = STATE_HEALTHS.index(seen.state_health)
        row["state"], row["sent"], row["asked"] = seen.state, step.sent, decision.action
        if row["privileged"].size:
            row["privileged"] = seen.privileged
        if row["sim_state"].size:
            row["sim_state"] = seen.sim_state
        for i, name in enumerate(self._names):
            health = HEALTHS.index(seen.health.get(name, "ok"))
            row["frame"][i] = self.count
            row["captured_s"][i] = seen.captured_s.get(name, seen.time_s)
            row["sequence"][i] = seen.sequence.get(name, seen.tick)
            row["health"][i] = MISSING if name in missing else health
        self.count += 1  # last: from here on it may be read

    def read(self, first: int, end: int) -> NDArray[np.void]:
        """A copy of the records `first` up to `end`."""
        parts = []
        for block in range(first // BLOCK, -(-end // BLOCK)):
            low = max(first - block * BLOCK, 0)
            parts.append(self._blocks[block][low : end - block * BLOCK])
        return np.concatenate(parts) if parts else np.zeros(0, self.kind)


def columns_of(contract: Contract, rows: NDArray[np.void]) -> dict[str, NDArray]:
    """The stored columns (T, …) of an episode. `action` is what was sent, `asked` stands beside it.

    Converted for the whole episode at once: a tick's share of recording is a copy.
    """
    columns: dict[str, NDArray] = {
        STATE: to_stored(contract, rows["state"]),
        ACTION: to_stored(contract, rows["sent"]),
        ASKED: to_stored(contract, rows["asked"]),
        SOURCE: rows["source"].astype(np.int64),
        WALL_TIME: rows["wall_time_s"].copy(),
        TIME: rows["time_s"].copy(),
    }
    if contract.privileged:
        columns[PRIVILEGED] = rows["privileged"].copy()
    if rows["sim_state"].shape[1]:
        columns[SIM_STATE] = rows["sim_state"].copy()
    else:
        columns[STATE_HEALTH] = _state_health(rows)
    for i, camera in enumerate(contract.cameras):
        columns[camera_column(camera.name, "captured_s")] = rows["captured_s"][:, i].copy()
        columns[camera_column(camera.name, "sequence")] = rows["sequence"][:, i].copy()
        columns[camera_column(camera.name, "health")] = rows["health"][:, i].astype(np.int64)
    return columns


def timing_of(rows: NDArray[np.void], rate_hz: float) -> dict[str, Any]:
    """The rate an episode really ran at, by the arm's clock, and what was late.

    late_ticks: intervals over one and a half periods. slow: below 95 % of the stated rate.
    """
    if len(rows) < 2:
        return {}
    steps = np.diff(rows["time_s"])
    whole = float(rows["time_s"][-1] - rows["time_s"][0])
    measured = (len(rows) - 1) / whole if whole > 0 else 0.0
    told: dict[str, Any] = {
        "rate_hz": round(measured, 3),
        "late_ticks": int((steps > 1.5 / rate_hz).sum()),
        "longest_tick_s": round(float(steps.max()), 4),
    }
    return {**told, "slow": True} if measured < SLOW * rate_hz else told


def unwell_of(contract: Contract, rows: NDArray[np.void]) -> Mapping[str, Mapping[str, int]]:
    """Camera → what was wrong with how many of its pictures; cameras that were well left out."""
    told = {}
    for i, camera in enumerate(contract.cameras):
        counts = np.bincount(rows["health"][:, i], minlength=len(HEALTHS))
        odd = {HEALTHS[k]: int(n) for k, n in enumerate(counts) if k and n}
        if odd:
            told[camera.name] = odd
    return told


def doubtful_of(rows: NDArray[np.void]) -> Mapping[str, int]:
    """What was wrong with the joints of how many rows; empty where all are to be believed."""
    counts = np.bincount(_state_health(rows), minlength=len(STATE_HEALTHS))
    return {STATE_HEALTHS[k]: int(n) for k, n in enumerate(counts) if k and n}


def _state_health(rows: NDArray[np.void]) -> NDArray[np.int64]:
    """The codes (T,); those of an older journal, which has none, are all "ok"."""
    if "state_health" not in (rows.dtype.names or ()):
        return np.zeros(len(rows), np.int64)
    return rows["state_health"].astype(np.int64)
