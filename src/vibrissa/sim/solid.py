"""An object's shape from an STL file: read, made light, and packed so that it travels along."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault, ContractError, UsageError
from vibrissa.sim.meshes import Mesh, read_stl
from vibrissa.sim.things import packed

FACES = 1500  # triangles kept of a mesh: the physics uses its convex hull, the cameras are small
_VERTEX = re.compile(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)")


def read_solid(path: Path, scale: float) -> tuple[str, NDArray[np.float64]]:
    """The packed mesh (see `things.packed`) and the half sides (3,) m of the box round it.

    scale: metres for each unit of the file. Raises UsageError for a file that is missing, is no
    STL, or holds no body.
    """
    if not path.is_file():
        raise UsageError(f"there is no mesh file {path}.")
    vertices, faces = _light(_read(path))
    if len(vertices) < 4 or not np.isfinite(vertices).all():
        raise UsageError(f"the mesh {path} holds no body: {len(vertices)} corners.")
    try:
        return packed((vertices * scale, faces))
    except ContractError as error:
        raise UsageError(f"the mesh {path} is no object: {error}") from error


def _read(path: Path) -> Mesh:
    """A binary STL, or one written as text."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the mesh {path} cannot be read: {error.strerror}.") from error
    if raw.lstrip()[:5] == b"solid" and b"facet" in raw[:2000]:
        try:
            corners = np.array(_VERTEX.findall(raw), np.float64).reshape(-1, 3)
        except ValueError as error:
            raise UsageError(f"the mesh {path} has a corner that is no number.") from error
        if not len(corners) or len(corners) % 3:
            raise UsageError(f"the mesh {path} is no whole STL: {len(corners)} corners.")
        vertices, faces = np.unique(corners, axis=0, return_inverse=True)
        return vertices.astype(np.float32), faces.reshape(-1, 3).astype(np.int32)
    try:
        return read_stl(path)
    except ArmFault as error:
        raise UsageError(f"the mesh {path} is no whole STL file.") from error


def _light(mesh: Mesh) -> Mesh:
    vertices, faces = mesh
    if len(faces) <= FACES:
        return mesh
    import fast_simplification  # slow to import, and few meshes need it

    simpler = fast_simplification.simplify(
        vertices.astype(np.float64), faces, target_reduction=1 - FACES / len(faces)
    )
    return simpler[0].astype(np.float32), simpler[1].astype(np.int32)
