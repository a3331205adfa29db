"""A picture of a task's scene, with the places where things start and end outlined in it."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
from numpy.typing import NDArray

from vibrissa.sim.arm import SimArm
from vibrissa.sim.goals import Pair, SpawnCfg, goal_of, square_of
from vibrissa.sim.scene import SIDE, CameraCfg
from vibrissa.sim.tasks import OVERHEAD, TaskCfg

SIZE = (640, 480)
VIEW = CameraCfg("view", "world", OVERHEAD.position_m, OVERHEAD.quaternion, OVERHEAD.fovy_deg)
SPAWN_RGB, BASE_RGB, GOAL_RGB = (200, 30, 30), (30, 80, 200), (20, 20, 20)

Outline = tuple[list[Pair], tuple[int, int, int]]


def drawn(task: TaskCfg, seed: int = 0) -> NDArray[np.uint8]:
    """From above and from the side, (480, 1280, 3): red where the object starts, blue the base."""
    scene = dataclasses.replace(task.scene, cameras=(VIEW,))
    arm = SimArm(scene)
    arm.reset(seed)
    pictures = []
    for camera in (VIEW, SIDE):
        picture = arm.render(camera.name, *SIZE).copy()
        for corners, rgb in _outlines(task, arm):
            _draw(picture, camera, corners, rgb)
        pictures.append(picture)
    arm.close()
    return np.concatenate(pictures, axis=1)


def project(camera: CameraCfg, points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Where points (N, 3) m of the world appear in a world camera's picture: (N, 2) px, x and y.

    The camera looks along its -z with +y up (MuJoCo); a point behind it gives NaN.
    """
    w, x, y, z = camera.quaternion
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    local = (np.asarray(points) - camera.position_m) @ rotation  # (N, 3)
    depth = np.where(local[:, 2] < 0, -local[:, 2], np.nan)
    focal = camera.height / 2 / math.tan(math.radians(camera.fovy_deg) / 2)
    right, down = focal * local[:, 0] / depth, -focal * local[:, 1] / depth
    return np.stack([camera.width / 2 + right, camera.height / 2 + down], axis=1)


def _outlines(task: TaskCfg, arm: SimArm) -> list[Outline]:
    found: list[Outline] = [(_ring(spawn), SPAWN_RGB) for spawn in task.sites.values()]
    if task.scene.base is not None:
        return [*found, (_ring(task.scene.base.spawn), BASE_RGB)]
    goal = goal_of(task.scene, arm.observe().truth)
    if goal is None:
        return found
    cos, sin = math.cos(goal.yaw_rad), math.sin(goal.yaw_rad)
    corners = []
    for i, j in ((1, 1), (1, -1), (-1, -1), (-1, 1)):
        along, across = i * goal.half_m[0], j * goal.half_m[1]
        x, y = np.add(goal.centre_m, (cos * along - sin * across, sin * along + cos * across))
        corners.append((float(x), float(y)))
    return [*found, (corners, GOAL_RGB)]


def _ring(spawn: SpawnCfg) -> list[Pair]:
    a, b, c, d, _ = square_of(spawn)
    return [a, b, d, c]


def _draw(
    picture: NDArray[np.uint8], camera: CameraCfg, corners: list[Pair], rgb: tuple[int, int, int]
) -> None:
    """A closed line two pixels wide through corners that lie on the table."""
    table = np.array([(*corner, 0.0) for corner in [*corners, corners[0]]])
    shares = np.linspace(0, 1, 400)[:, None]
    for a, b in itertools.pairwise(table):
        where = project(camera, a + shares * (b - a))
        where = where[np.isfinite(where).all(axis=1)].round().astype(int)
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            u, v = where[:, 0] + dx, where[:, 1] + dy
            seen = (u >= 0) & (u < picture.shape[1]) & (v >= 0) & (v < picture.shape[0])
            picture[v[seen], u[seen]] = rgb
