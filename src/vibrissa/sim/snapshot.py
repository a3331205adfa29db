"""The full state of a simulated arm, saved and put back: what follows is the same bit for bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault
from vibrissa.sim.arm import SimArm
from vibrissa.sim.gl import mujoco
from vibrissa.sim.scene import SceneCfg

# Time, positions, velocities, controls and the solver's warm start: all that a next step reads.
_PARTS = mujoco.mjtState.mjSTATE_INTEGRATION.value


@dataclass(frozen=True)
class Snapshot:
    """One moment of one scene: physics (N,) float64, the tick, and the target in force (A,)."""

    cfg: SceneCfg
    physics: NDArray[np.float64]
    tick: int
    target: NDArray[np.float32]
    pending: bool


def save(arm: SimArm) -> Snapshot:
    """The arm's state now. Raises ArmFault for an arm that was never reset."""
    if arm.target is None:
        raise ArmFault("an arm that was never reset has no state: call reset(seed) first.")
    physics = np.empty(mujoco.mj_stateSize(arm.model, _PARTS))
    mujoco.mj_getState(arm.model, arm.data, physics, _PARTS)
    return Snapshot(arm.cfg, physics, arm.tick, arm.target.copy(), arm.pending)


def restore(arm: SimArm, snapshot: Snapshot) -> None:
    """Put `arm` back to that moment. Raises ArmFault for a snapshot of another scene."""
    if arm.cfg != snapshot.cfg:
        raise ArmFault("a snapshot of another scene: make the arm with snapshot.cfg.")
    mujoco.mj_setState(arm.model, arm.data, snapshot.physics, _PARTS)
    arm.tick, arm.pending = snapshot.tick, snapshot.pending
    arm.target = snapshot.target.copy()
    arm.refresh()
