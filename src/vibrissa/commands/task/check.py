"""Check a task file: what it says as it was understood, and a picture of where things start."""

from __future__ import annotations

import json as json_
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.sim.goals import SuccessCfg
    from vibrissa.sim.scene import SceneCfg
    from vibrissa.sim.tasks import TaskCfg


@dataclass(frozen=True)
class Config:
    task: Annotated[str, tyro.conf.Positional]
    """A file such as my-task.yaml, or the name of a task."""
    picture: Path | None = None
    """Leave a picture of the scene here (.png), its spawns and its goal outlined."""
    json: bool = False
    """Print the whole scene as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.data.disk import require_writable
    from vibrissa.sim.tasks import task_named

    if cfg.picture is not None and (cfg.picture.exists() or cfg.picture.suffix != ".png"):
        raise UsageError(f"--picture {cfg.picture}: want the name of a new .png file.")
    if cfg.picture is not None:
        require_writable(cfg.picture)
    task = task_named(cfg.task)
    if cfg.json:
        print(json_.dumps({"task": task.rules.name, "scene": task.scene.to_dict()}, indent=1))
    else:
        print("\n".join(lines(task)))
    if cfg.picture is not None:
        _draw(task, cfg.picture)
        print(f"picture  {cfg.picture}", file=sys.stderr if cfg.json else sys.stdout)
    return 0


def _draw(task: TaskCfg, path: Path) -> None:
    from vibrissa.show.video import to_png_bytes
    from vibrissa.sim import gl
    from vibrissa.sim.outlines import drawn

    gl.require()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_png_bytes(drawn(task)))


def lines(task: TaskCfg) -> list[str]:
    """The task in words, a line for each part of its file."""
    scene, rules, thing = task.scene, task.rules, task.scene.object
    size = " × ".join(f"{2000 * half:g}" for half in thing.half_size_m)
    told = [
        f"task     {rules.name}: {scene.instruction}",
        f"object   {thing.name}, a {thing.shape} of {size} mm, {1000 * thing.mass_kg:g} g",
        f"goal     {_goal(scene)}",
    ]
    for name, spawn in task.sites.items():
        x, y = spawn.centre_m
        told.append(f"spawn    {name}: ({x:g}, {y:g}) ± {spawn.half_m:g} m")
    cameras = ", ".join(f"{c.name} {c.width} × {c.height}" for c in scene.cameras)
    seconds = rules.max_ticks / scene.rate_hz
    told += [
        f"cameras  {cameras or 'none'}",
        f"limits   {seconds:g} s, {rules.max_ticks} ticks at {scene.rate_hz:g} Hz",
        f"success  {_success(rules.success)}",
    ]
    return told


def _goal(scene: SceneCfg) -> str:
    if scene.tray is not None:
        x, y = scene.tray.centre_m
        return f"a tray of {2000 * scene.tray.half_m:g} mm at ({x:g}, {y:g})"
    if scene.zone is not None:
        x, y = scene.zone.centre_m
        size = " × ".join(f"{2000 * half:g}" for half in scene.zone.half_m)
        return f"a painted zone of {size} mm at ({x:.3f}, {y:.3f})"
    if scene.base is not None:
        x, y = scene.base.spawn.centre_m
        return (
            f"on {scene.base.name}, which starts at ({x:g}, {y:g}) ± {scene.base.spawn.half_m:g} m"
        )
    return "none: it is only lifted"


def _success(wanted: SuccessCfg) -> str:
    parts = {
        "inside the goal": wanted.inside,
        "at rest on it": wanted.resting,
        "released": wanted.released,
        "lifted before": wanted.lifted,
    }
    told = [words for words, asked in parts.items() if asked]
    if wanted.below_m is not None:
        told.append(f"below {wanted.below_m:g} m")
    if wanted.above_m is not None:
        told.append(f"above {wanted.above_m:g} m")
    if wanted.upright_rad is not None:
        told.append(f"upright within {math.degrees(wanted.upright_rad):g}°")
    if wanted.aligned_rad is not None:
        told.append(f"aligned within {math.degrees(wanted.aligned_rad):g}°")
    return f"{', '.join(told)}, for {wanted.held_ticks} ticks on end"
