"""How much of the robot's silhouette the light meshes keep, in random poses; and a look at both.

    uv run python runs/mesh_fidelity.py

Leaves runs/results/mesh_fidelity.json and docs/pictures/meshes-{overhead,wrist}.png.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vibrissa.sim import gl, pictures
from vibrissa.sim.gl import mujoco
from vibrissa.sim.scene import SceneCfg, build
from vibrissa.sim.silhouettes import masks, overlaps, put, random_poses
from vibrissa.sim.tasks import make_scene

POSES, SEED = 50, 0
CAMERAS = ("overhead", "wrist")
SIZES = ((640, 480), (224, 224))
SHOWN_RAD = np.array([0.3, -0.6, 0.5, 0.9, 0.4, 0.7])  # reaching out, jaws open
ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "mesh_fidelity.json"


def measured(cfg: SceneCfg, poses: np.ndarray, camera: str) -> dict[str, Any]:
    """The overlap of one camera over all poses, told in full."""
    found = overlaps(cfg, poses, camera)
    return {
        "n": len(found),
        "mean": round(float(found.mean()), 4),
        "min": round(float(found.min()), 4),
        "p10": round(float(np.quantile(found, 0.1)), 4),
        "poses_at_least_0.98": int((found >= 0.98).sum()),
    }


def side_by_side(cfg: SceneCfg, camera: str) -> Image.Image:
    """Full, light, and where their silhouettes differ: red too much, green missing."""
    seen, shapes = [], []
    for kind in ("full", "light"):
        scene = dataclasses.replace(cfg, meshes=kind)
        data = mujoco.MjData(build(scene))
        put(data, SHOWN_RAD)
        seen.append(pictures.draw(scene, data, camera, 640, 480))
        shapes.append(masks(scene, SHOWN_RAD[None], camera)[0])
    full, light = shapes
    difference = np.zeros_like(seen[0])
    difference[full & light] = 80
    difference[light & ~full] = (255, 60, 60)
    difference[full & ~light] = (60, 255, 60)
    return Image.fromarray(np.hstack([*seen, difference])).resize((1440, 360))


def main() -> None:
    scene = make_scene("pick-place")
    triangles = {
        kind: int(build(dataclasses.replace(scene, meshes=kind)).mesh_facenum.sum())
        for kind in ("light", "full")
    }
    poses = random_poses(scene, POSES, SEED)
    overlap = {
        f"{width} x {height}": {
            camera: measured(make_scene("pick-place", camera_size=(width, height)), poses, camera)
            for camera in CAMERAS
        }
        for width, height in SIZES
    }
    backend = gl.describe()
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}",
        "opengl": backend.told() if backend else "none",
        "poses": f"{POSES}, uniform within the joint limits, tip above the table, seed {SEED}",
        "triangles": triangles,
        "overlap": overlap,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    for camera in CAMERAS:
        picture = ROOT / "docs" / "pictures" / f"meshes-{camera}.png"
        side_by_side(scene, camera).quantize(128).save(picture, optimize=True)
        print(picture)
    for size, cameras in overlap.items():
        for camera, told in cameras.items():
            print(f"{size:10s} {camera:9s} mean {told['mean']:.4f}  min {told['min']:.4f}")
    print(RESULT)


if __name__ == "__main__":
    main()
