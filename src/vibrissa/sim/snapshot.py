"""The full state of a simulated arm, saved and put back: what follows is the same bit for bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault
from vibrissa.sim.arm import SimArm
from vibrissa.sim.gl import mujoco
from vibrissa.sim.sample import NOTHING, Sample
from vibrissa.sim.scene import SceneCfg
from vibrissa.sim.servo import Waiting

# Time, positions, velocities, controls and the solver's warm start: all that a next step reads.
_PARTS = mujoco.mjtState.mjSTATE_INTEGRATION.value


@dataclass(frozen=True)
class Snapshot:
    """One moment of one scene: physics (N,) float64, the tick, and the target in force (A,).

    waiting: the targets that are still on their way to the servos. sample: what was drawn for the
    episode; past: the positions that its cameras still have to show.
    """

    cfg: SceneCfg
    physics: NDArray[np.float64]
    tick: int
    target: NDArray[np.float32]
    pending: bool
    waiting: Waiting = ()
    sample: Sample = NOTHING
    past: tuple[NDArray[np.float64], ...] = ()


def save(arm: SimArm) -> Snapshot:
    """The arm's state now. Raises ArmFault for an arm that was never reset."""
    if arm.target is None:
        raise ArmFault("an arm that was never reset has no state: call reset(seed) first.")
    physics = np.empty(mujoco.mj_stateSize(arm.model, _PARTS))
    mujoco.mj_getState(arm.model, arm.data, physics, _PARTS)
    return Snapshot(
        cfg=arm.cfg,
        physics=physics,
        tick=arm.tick,
        target=arm.target.copy(),
        pending=arm.pending,
        waiting=arm.line.waiting,
        sample=arm.sample,
        past=tuple(arm.past),
    )


def restore(arm: SimArm, snapshot: Snapshot) -> None:
    """Put `arm` back to that moment. Raises ArmFault for a snapshot of another scene."""
    if arm.cfg != snapshot.cfg:
        raise ArmFault("a snapshot of another scene: make the arm with snapshot.cfg.")
    arm.become(snapshot.sample)
    mujoco.mj_setState(arm.model, arm.data, snapshot.physics, _PARTS)
    arm.tick, arm.pending = snapshot.tick, snapshot.pending
    arm.target = snapshot.target.copy()
    arm.line.waiting = snapshot.waiting
    arm.past.clear()
    arm.past.extend(snapshot.past)
    arm.refresh()
