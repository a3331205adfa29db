"""Which joint angles bring the jaws to a place, with a tilt and a roll that are prescribed.

Five joints meet five demands exactly: the place of a point between the jaws (3), the tilt of the
gripper in the arm's vertical plane (1), and either the heading of the jaws or the roll joint (1).
A vertical gripper is out of reach over much of the table, because the wrist meets its limit; a
soft wish for verticality then spoils the place. So the tilt is searched for, smallest first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.units import HIGH_RAD, LOW_RAD
from vibrissa.sim import robot
from vibrissa.sim.gl import mujoco
from vibrissa.sim.scene import ContactCfg
from vibrissa.sim.servo import ServoCfg

ARM = 5  # joints before the gripper
CLOSE_M, CLOSE_RAD = 2e-4, 2e-3
STEPS, STUCK_RAD = 15, 1e-3
MARGIN_RAD = 0.02  # kept from the joint limits
TILTS_RAD = np.radians([0, 3, -3, 6, -6, 9, -9, *range(12, 75, 3)])


@dataclass(frozen=True)
class Pose:
    """Where the point `across_m` from the static jaw's side of the grip is to be.

    position_m: (3,). tilt_rad: 0 is straight down, positive leans the fingers outwards.
    heading_rad: of the face that the static jaw is to lie against, or None to keep `roll_rad`.
    A tilted gripper rolls as far as brings its pads nearest to that upright face.
    """

    position_m: tuple[float, float, float]
    tilt_rad: float = 0.0
    heading_rad: float | None = None
    roll_rad: float = 0.0
    across_m: float = 0.0


class Reach:
    """Inverse kinematics of the arm alone, by Newton steps on MuJoCo's Jacobians."""

    def __init__(self, servo: ServoCfg, contact: ContactCfg):
        self._model = robot.so101(servo, contact).compile()
        self._data = mujoco.MjData(self._model)
        self._body = self._model.body(robot.STATIC_JAW).id
        self._tip_local = self._model.site(robot.TIP).pos.copy()
        self._kp = servo.each("kp")
        self._jac_p, self._jac_r = np.zeros((3, self._model.nv)), np.zeros((3, self._model.nv))

    def solve(self, pose: Pose, guess: NDArray[np.floating]) -> NDArray[np.float64] | None:
        """The five joints (5,) that meet `pose`, or None where none within the limits does."""
        q = np.array(guess[:ARM], np.float64)
        low, high = LOW_RAD[:ARM] + MARGIN_RAD, HIGH_RAD[:ARM] - MARGIN_RAD
        for _ in range(STEPS):
            error, jacobian = self._residual(pose, q)
            if np.abs(error[:3]).max() < CLOSE_M and np.abs(error[3:]).max() < CLOSE_RAD:
                return q
            scaled = jacobian.T @ jacobian + 1e-6 * np.eye(ARM)
            step = np.linalg.solve(scaled, jacobian.T @ error)
            step *= min(1.0, 0.4 / (np.abs(step).max() + 1e-12))
            before, q = q, np.clip(q - step, low, high)
            if np.abs(q - before).max() < STUCK_RAD:  # held up by a limit
                return None
        return None

    def least_tilt(
        self, poses: list[Pose], guess: NDArray[np.floating]
    ) -> tuple[float, list[NDArray[np.float64]]] | None:
        """The smallest tilt with which all `poses` can be met, and their joints; None for none."""
        for tilt in TILTS_RAD:
            found: list[NDArray[np.float64]] = []
            for pose in poses:
                start = found[-1] if found else guess
                q = self.solve(replace(pose, tilt_rad=float(tilt)), start)
                if q is None:
                    break
                found.append(q)
            else:
                return float(tilt), found
        return None

    def hand(self, q: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where (3,) the tip is and how (3, 3) it is turned when the joints (5,) are at `q`."""
        self._data.qpos[:ARM] = q[:ARM]
        mujoco.mj_kinematics(self._model, self._data)
        rotation = self._data.xmat[self._body].reshape(3, 3).copy()
        return self._data.xpos[self._body] + rotation @ self._tip_local, rotation

    def against_gravity(self, q: NDArray[np.floating]) -> NDArray[np.float64]:
        """The targets (6,) at which servos that sag under gravity stand at `q` (6,)."""
        self._data.qpos[:] = q
        self._data.qvel[:] = 0.0
        mujoco.mj_forward(self._model, self._data)
        return np.asarray(q, np.float64) + self._data.qfrc_bias / self._kp

    def _residual(self, pose: Pose, q: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
        """What is still missing (5,), and how it changes with the joints (5, 5)."""
        data = self._data
        data.qpos[:ARM] = q
        mujoco.mj_kinematics(self._model, data)
        mujoco.mj_comPos(self._model, data)
        rotation = data.xmat[self._body].reshape(3, 3)
        point = data.xpos[self._body] + rotation @ (self._tip_local + (pose.across_m, 0.0, 0.0))
        mujoco.mj_jac(self._model, data, self._jac_p, self._jac_r, point, self._body)
        error, jacobian = np.empty(5), np.empty((5, 5))
        error[:3] = point - pose.position_m
        jacobian[:3] = self._jac_p[:, :ARM]
        turns = self._jac_r[:, :ARM]
        error[3], jacobian[3] = _tilt(pose.tilt_rad, q[0], -rotation[:, 2], turns)
        if pose.heading_rad is None:
            error[4], jacobian[4] = q[4] - pose.roll_rad, np.eye(ARM)[4]
        else:
            heading = _attainable(pose.tilt_rad, q[0], pose.heading_rad)
            error[4], jacobian[4] = _heading(heading, rotation[:, 0], turns)
        return error, jacobian


def jaw_direction(tilt_rad: float, pan_rad: float, heading_rad: float) -> NDArray[np.float64]:
    """Where the jaws open when rolled to lie nearest to an upright face of that heading.

    (3,) unit vector: its parts across the face, along it, and up. The first alone is what one
    would like; a tilted gripper cannot have it for every heading.
    """
    off = _off_side(pan_rad, heading_rad)
    roll = math.atan2(math.cos(tilt_rad) * math.sin(off), math.cos(off))
    side, out = math.cos(roll), math.sin(roll) * math.cos(tilt_rad)
    across = side * math.cos(off) + out * math.sin(off)
    along = out * math.cos(off) - side * math.sin(off)
    return np.array([across, along, -math.sin(roll) * math.sin(tilt_rad)])


def _off_side(pan: float, heading: float) -> float:
    """`heading` counted from the horizontal that is square to the arm's vertical plane."""
    return heading - (math.pi / 2 - pan)


def _attainable(tilt: float, pan: float, heading: float) -> float:
    """The heading, in the plane, of jaws that are rolled to lie nearest to the wanted one."""
    off = _off_side(pan, heading)
    side = math.pi / 2 - pan
    return side + math.atan2(math.cos(tilt) ** 2 * math.sin(off), math.cos(off))


def _tilt(wanted: float, pan: float, down: NDArray, turns: NDArray) -> tuple[float, NDArray]:
    """Error and gradient of the angle from straight down, outwards in the arm's plane."""
    outward = np.array([math.cos(pan), -math.sin(pan), 0.0])
    radial, drop = down @ outward, -down[2]
    moved = turns.T @ _cross(down)  # (5, 3): how each joint turns the approach direction
    d_radial, d_drop = moved @ outward, -moved[:, 2]
    d_radial[0] = 0.0  # the plane turns with the shoulder
    gradient = (drop * d_radial - radial * d_drop) / (radial**2 + drop**2)
    return math.atan2(radial, drop) - wanted, gradient


def _heading(wanted: float, across: NDArray, turns: NDArray) -> tuple[float, NDArray]:
    """Error and gradient of the heading, in the plane, of the direction in which the jaws open."""
    x, y = across[0], across[1]
    moved = turns.T @ _cross(across)
    gradient = (x * moved[:, 1] - y * moved[:, 0]) / (x * x + y * y + 1e-9)
    return math.remainder(math.atan2(y, x) - wanted, 2 * math.pi), gradient


def _cross(v: NDArray) -> NDArray:
    """The matrix with `a @ matrix` the cross product of row a and v; numpy's own is slow."""
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])
