"""How alike the robot looks in light and in full meshes: its silhouettes, laid over each other."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD
from vibrissa.sim import pictures, robot
from vibrissa.sim.gl import mujoco
from vibrissa.sim.scene import SceneCfg, build

LEAST_TIP_M = 0.02  # poses with the tip below are through the table
LEAST_PX = 300  # of the robot in a picture: below, an edge of one pixel decides


def random_poses(cfg: SceneCfg, count: int, seed: int) -> NDArray[np.float64]:
    """`count` poses (count, 6) rad, uniform within the joint limits, the tip above the table."""
    rng = np.random.default_rng(seed)
    data = mujoco.MjData(build(cfg))
    poses: list[NDArray[np.float64]] = []
    while len(poses) < count:
        pose = rng.uniform(LOW_RAD, HIGH_RAD)
        put(data, pose)
        if data.site(robot.TIP).xpos[2] >= LEAST_TIP_M:
            poses.append(pose)
    return np.stack(poses)


def put(data: mujoco.MjData, pose: NDArray[np.floating]) -> None:
    """The arm at `pose` (6,) rad; nothing else moves."""
    for name, angle in zip(JOINTS, pose, strict=True):
        data.joint(name).qpos[0] = angle
    mujoco.mj_forward(data.model, data)


def masks(cfg: SceneCfg, poses: NDArray[np.floating], camera: str) -> NDArray[np.bool_]:
    """Which pixels of `camera` show the robot, pose by pose: (N, H, W)."""
    eye = next(c for c in cfg.cameras if c.name == camera)
    data = mujoco.MjData(build(cfg))
    seen = []
    for pose in poses:
        put(data, pose)
        seen.append(pictures.robot_mask(cfg, data, camera, eye.width, eye.height))
    return np.stack(seen)


def overlaps(cfg: SceneCfg, poses: NDArray[np.floating], camera: str) -> NDArray[np.float64]:
    """Intersection over union of light and full silhouettes, for each pose that shows enough."""
    light, full = (
        masks(dataclasses.replace(cfg, meshes=kind), poses, camera) for kind in ("light", "full")
    )
    shown = full.sum(axis=(1, 2)) >= LEAST_PX
    both, either = (light & full).sum(axis=(1, 2)), (light | full).sum(axis=(1, 2))
    return both[shown] / either[shown]
