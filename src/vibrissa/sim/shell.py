"""What of a link can be seen from outside: the rest of its triangles need not be drawn.

The motors sit inside the printed parts, and every part has an inside of its own. From a few points
just off each triangle's front rays are cast in many directions against the link alone, whose parts
do not move against each other; a triangle that none of them leaves is hidden in every pose.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vibrissa.sim.gl import mujoco
from vibrissa.sim.meshes import Mesh

DIRECTIONS = 96
OFF_M = 2e-4  # how far before the triangle a ray begins
CORNERS = ((1 / 3, 1 / 3, 1 / 3), (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))


def seen_from_outside(parts: Sequence[Mesh]) -> list[Mesh]:
    """The parts of one link, each without the triangles that nobody can see."""
    model = _solid(parts)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return [_without_hidden(model, data, part) for part in parts]


def _solid(parts: Sequence[Mesh]) -> mujoco.MjModel:
    """The link as one thing that rays meet."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    vertices = np.concatenate([vertices for vertices, _ in parts])
    faces = np.concatenate([part[1] + at for part, at in zip(parts, starts[:-1], strict=True)])
    spec = mujoco.MjSpec()
    mesh = spec.add_mesh(name="link", uservert=vertices.ravel(), userface=faces.ravel())
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="link")
    return spec.compile()


def _without_hidden(model: mujoco.MjModel, data: mujoco.MjData, part: Mesh) -> Mesh:
    vertices, faces = part
    corners = vertices[faces].astype(np.float64)  # (F, 3, 3)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals /= np.maximum(lengths, 1e-20)
    shares = np.array(CORNERS)
    points = np.einsum("pc,fcx->fpx", shares, corners) + OFF_M * normals[:, None]
    kept = np.array([_leaves(model, data, p, n) for p, n in zip(points, normals, strict=True)])
    used, renamed = np.unique(faces[kept], return_inverse=True)
    return vertices[used], renamed.reshape(-1, 3).astype(np.int32)


def _leaves(model: mujoco.MjModel, data: mujoco.MjData, points: NDArray, normal: NDArray) -> bool:
    """Whether any ray from these points (P, 3), before the triangle's front, meets nothing."""
    ways = _SPHERE[_SPHERE @ normal > 0.05]
    hit, far = np.empty(len(ways), np.int32), np.empty(len(ways))
    for point in points:
        mujoco.mj_multiRay(
            model, data, point, ways.ravel(), None, 1, -1, hit, far, None, len(ways), 1e3
        )
        if (hit < 0).any():
            return True
    return False


def _sphere(count: int) -> NDArray[np.float64]:
    """Directions spread evenly over the sphere (count, 3): a Fibonacci lattice."""
    i = np.arange(count) + 0.5
    z, turn = 1 - 2 * i / count, np.pi * (1 + 5**0.5) * i
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)


_SPHERE = _sphere(DIRECTIONS)
