"""Who touches the object, and how hard: read from the simulator, without moving it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.sim import robot
from vibrissa.sim.gl import mujoco

_POSITIONS_DONE = int(mujoco.mjtStage.mjSTAGE_POS)


@dataclass(frozen=True)
class Touch:
    """What touches the object at one moment.

    static, moving: any part of that jaw. elsewhere: anything that is no gripper (table, tray).
    pad_force_n: (2,) the normal force of the static and of the moving pad.
    """

    static: bool
    moving: bool
    elsewhere: bool
    pad_force_n: NDArray[np.float64]

    @property
    def gripper(self) -> bool:
        return self.static or self.moving

    @property
    def carried(self) -> bool:
        """The gripper bears it, and nothing else does."""
        return self.gripper and not self.elsewhere


class Contacts:
    """Reads the contacts of one model's object."""

    def __init__(self, model: mujoco.MjModel):
        self._object = model.geom("object").id
        bodies = model.geom_bodyid
        jaws = (model.body(robot.STATIC_JAW).id, model.body(robot.MOVING_JAW).id)
        jaw_of = np.where(bodies == jaws[0], 1, np.where(bodies == jaws[1], 2, 0))
        self._jaw_of: list[int] = jaw_of.tolist()  # of a geom: 1 static, 2 moving, 0 no jaw
        pads = (model.geom(robot.STATIC_PAD).id, model.geom(robot.MOVING_PAD).id)
        self._pad_of = {pads[0]: 0, pads[1]: 1}

    def read(self, model: mujoco.MjModel, data: mujoco.MjData) -> Touch:
        """The contacts of this very state, whose positions have been computed."""
        force_n = np.zeros(2)
        if not data.ncon:
            return Touch(False, False, False, force_n)
        # A handful of contacts, every tick: plain lists are faster than arrays.
        jaws: set[int] = set()
        pads: list[tuple[int, int]] = []  # the contact, and which pad it is of
        for contact, (one, other) in enumerate(data.contact.geom.tolist()):
            if self._object not in (one, other):
                continue
            touched = other if one == self._object else one
            jaws.add(self._jaw_of[touched])
            if touched in self._pad_of:
                pads.append((contact, self._pad_of[touched]))
        if pads:
            _find_forces(model, data)
            wrench = np.zeros(6)
            for contact, pad in pads:
                mujoco.mj_contactForce(model, data, contact, wrench)
                force_n[pad] += wrench[0]  # the first axis of a contact is its normal
        return Touch(1 in jaws, 2 in jaws, 0 in jaws, force_n)


def _find_forces(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Solve for the contact forces of this state.

    A forward pass writes only what the next step computes anew (the solver's memory is kept by
    the step, not here), so that looking changes no bit of what follows.
    """
    mujoco.mj_forwardSkip(model, data, _POSITIONS_DONE, 1)
