"""Other ways to write down where an arm is and where it should go.

End-effector actions (8): x y z (m), qw qx qy qz, gripper 0 (closed) to 1 (open), absolute.
Proprioception (18): joint positions 6 (rad), joint velocities 6 (rad/s, finite difference),
tip position 3 (m), tip Euler angles 3 (rad, roll pitch yaw about fixed axes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core import kinematics
from vibrissa.core.errors import ContractError
from vibrissa.core.units import GRIPPER, HIGH_RAD, LOW_RAD

Array = NDArray[np.float32]


def ee_from_joints(q: NDArray[np.floating]) -> Array:
    """Joint targets (T, 6), rad, as end-effector actions (T, 8), quaternion signs continuous."""
    q = np.atleast_2d(q)
    pose = kinematics.forward(q)
    turn = kinematics.continuous(kinematics.quaternion(pose[:, :3, :3]))
    return np.hstack([pose[:, :3, 3], turn, gripper_fraction(q[:, GRIPPER])[:, None]]).astype(
        np.float32
    )


@dataclass(frozen=True)
class JointTargets:
    """Joint targets (T, 6), rad, with what of each end-effector action was met, (T,) each."""

    q: Array
    position_error_m: Array
    angle_error_rad: Array

    def failure_rate(self, position_m: float = 1e-3, angle_rad: float = np.inf) -> float:
        """The share of actions whose errors exceed these tolerances."""
        bad = (self.position_error_m > position_m) | (self.angle_error_rad > angle_rad)
        return float(bad.mean())


def joints_from_ee(
    actions: NDArray[np.floating], start: NDArray[np.floating], *, angle_weight_m: float = 0.05
) -> JointTargets:
    """End-effector actions (T, 8) as joint targets; each search starts from the one before.

    `start` (6,) rad is where the arm stands. Raises ContractError for another width.
    """
    actions = np.atleast_2d(np.asarray(actions, np.float64))
    if actions.shape[1] != 8:
        raise ContractError(f"end-effector actions of shape {actions.shape}; wanted (T, 8).")
    poses = kinematics.transform(actions[:, :3], kinematics.matrix(actions[:, 3:7]))
    q = np.asarray(start, np.float64)[: kinematics.ARM_JOINTS]
    rows, position, angle = [], [], []
    for pose, grip in zip(poses, actions[:, 7], strict=True):
        solution = kinematics.inverse(pose, q, angle_weight_m=angle_weight_m)
        q = solution.q.astype(np.float64)
        rows.append(np.r_[q, gripper_rad(np.float64(grip))])
        position.append(solution.position_error_m)
        angle.append(solution.angle_error_rad)
    return JointTargets(*(np.array(x, np.float32) for x in (rows, position, angle)))


def proprioception(q: NDArray[np.floating], before: NDArray[np.floating], tick_s: float) -> Array:
    """The 18 numbers of one tick from joint positions now and one tick before, each (6,) rad."""
    pose = kinematics.forward(np.asarray(q))
    velocity = (np.asarray(q) - np.asarray(before)) / tick_s
    return np.r_[q, velocity, pose[:3, 3], euler(pose[:3, :3])].astype(np.float32)


def euler(matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    """Roll, pitch, yaw (3,) rad of a rotation (3, 3): R = Rz(yaw) Ry(pitch) Rx(roll)."""
    m = np.asarray(matrix, np.float64)
    pitch = np.arcsin(np.clip(-m[2, 0], -1, 1))
    return np.array([np.arctan2(m[2, 1], m[2, 2]), pitch, np.arctan2(m[1, 0], m[0, 0])])


def gripper_fraction(angle_rad: NDArray[np.floating]) -> NDArray[np.float64]:
    """Gripper angle (…) as 0 (closed) to 1 (open)."""
    return (np.asarray(angle_rad, np.float64) - LOW_RAD[GRIPPER]) / _GRIPPER_SPAN_RAD


def gripper_rad(fraction: NDArray[np.floating] | float) -> NDArray[np.float64]:
    """The inverse of `gripper_fraction`."""
    return np.asarray(fraction, np.float64) * _GRIPPER_SPAN_RAD + LOW_RAD[GRIPPER]


_GRIPPER_SPAN_RAD = float(HIGH_RAD[GRIPPER] - LOW_RAD[GRIPPER])
