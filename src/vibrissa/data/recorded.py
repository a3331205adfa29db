"""One recorded episode of one SO-101 arm, in radians, out of whatever somebody recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import DatasetError, UsageError
from vibrissa.core.units import JOINTS, Unit, to_rad
from vibrissa.data.dataset import Dataset
from vibrissa.data.features import ACTION, STATE, channel_names
from vibrissa.data.joint_units import ArmColumns, Units, arms_of, calibrated_ticks, units_of


@dataclass(frozen=True)
class Motion:
    """What one arm did in one episode: state and action (T, 6) rad, and the unit they came in."""

    arm: str
    state: NDArray[np.float32]
    action: NDArray[np.float32]
    units: Units


def motion_of(dataset: Dataset, episode: int, arm: str = "") -> Motion:
    """The motion of `arm` in `episode`.

    Raises DatasetError where there is no such episode or no SO-101 in it, or where its unit
    cannot be told; UsageError where there are several arms and none, or no such one, is named.
    """
    rows = dataset.rows(episode)
    chosen, state, action = _columns(dataset, arm)
    units = stored_units(dataset, state, action)
    if units.unit == "unknown":
        raise DatasetError(f"{dataset.root}: the unit of the joints cannot be told: {units.why}.")
    unit: Unit = units.unit
    motion = Motion(chosen, to_rad(state[rows], unit), to_rad(action[rows], unit), units)
    if not np.isfinite(motion.state).all() or not np.isfinite(motion.action).all():
        raise DatasetError(f"{dataset.root}: episode {episode} holds NaN or infinity.")
    return motion


def calibration_of(dataset: Dataset, arm: str = "") -> tuple[int | None, ...]:
    """How many servo ticks the calibrated range of each joint has, where the recording tells it.

    Only -100..100 tells it: that unit is the range itself. Raises as `motion_of`.
    """
    _, state, action = _columns(dataset, arm)
    if dataset.is_ours or stored_units(dataset, state, action).unit != "m100_100":
        return (None,) * len(JOINTS)
    return calibrated_ticks(state)


def is_echo(motion: Motion) -> bool:
    """Whether its actions are but its readings, of this tick or the next: no command was kept."""
    state, action = motion.state, motion.action
    moves = bool(np.ptp(state, axis=0).max() > 0)
    same, next_one = np.array_equal(action, state), np.array_equal(action[:-1], state[1:])
    return moves and (same or next_one)


def stored_units(
    dataset: Dataset, state: NDArray[np.floating], action: NDArray[np.floating]
) -> Units:
    """The unit of one arm's joints: what our recorder noted, else what the values tell.

    State and action are recorded in one unit; the surer of the two tells it.
    """
    if dataset.is_ours:
        return Units(dataset.contract.unit, "its contract says so", "certain")
    measured, commanded = units_of(state), units_of(action)
    is_surer = commanded.confidence == "certain" and measured.confidence != "certain"
    return commanded if is_surer else measured


def _columns(dataset: Dataset, arm: str) -> tuple[str, NDArray, NDArray]:
    """The arm that is meant, and its stored state and action of all episodes, (N, 6) each."""
    state_of, action_of = (_arms(dataset, name) for name in (STATE, ACTION))
    chosen = _choose(arm, [a.name for a in state_of], dataset)
    columns = next(a.columns for a in state_of if a.name == chosen)
    commanded = next((a.columns for a in action_of if a.name == chosen), None)
    if commanded is None:
        raise DatasetError(f"{dataset.root}: {STATE} has an arm {chosen!r} and {ACTION} has not.")
    return chosen, dataset.column(STATE)[:, columns], dataset.column(ACTION)[:, commanded]


def _arms(dataset: Dataset, vector: str) -> tuple[ArmColumns, ...]:
    names = channel_names(dataset.features.get(vector, {}))
    arms = arms_of(names) if vector in dataset.columns else ()
    if not arms:
        told = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
        raise DatasetError(
            f"{dataset.root}: {vector} is no SO-101's: its channels are [{told}], wanted are "
            f"{', '.join(JOINTS)}, with a prefix for each of several arms."
        )
    return arms


def _choose(arm: str, names: list[str], dataset: Dataset) -> str:
    if arm in names:
        return arm
    if not arm and len(names) == 1:
        return names[0]
    choices = " or ".join(f"--arm {name}" for name in names)
    asked = f"there is no arm {arm!r}" if arm else f"there are {len(names)} arms"
    raise UsageError(f"{dataset.root}: {asked}. Choose one: {choices}.")
