"""A task in a YAML file: read, understood, and refused with the line where it makes no sense.

docs/tasks.md explains the format. What is read is the same `TaskCfg` that the tasks in
`sim/tasks.py` are; nothing behind it knows where a task came from.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from vibrissa.control.marked import Lines, Marked, read_marked
from vibrissa.sim import robot
from vibrissa.sim.goals import RulesCfg, SpawnCfg, SuccessCfg
from vibrissa.sim.scene import CameraCfg, SceneCfg, look_at
from vibrissa.sim.task_checks import check_task
from vibrissa.sim.task_things import read_goal, read_object, read_sites
from vibrissa.sim.tasks import OVERHEAD, TASKS, WRIST, TaskCfg

SHIPPED = Path(__file__).parent / "task_files"
STANDARD_CAMERAS = {camera.name: camera for camera in (OVERHEAD, WRIST)}
_AWAY = SpawnCfg((-3.0, 0.0), 0.0)  # until it is known that the sites are clear of the goal
BODIES = ("world", "base", "shoulder", "upper_arm", "lower_arm", "wrist", robot.STATIC_JAW)


def shipped() -> dict[str, Path]:
    """The task files that come with Vibrissa, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def load_task(path: Path) -> TaskCfg:
    """The task that a file describes, checked as a whole. Raises UsageError with file and line."""
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        stamp = 0
    return _loaded(path, stamp)


@functools.lru_cache(maxsize=8)
def _loaded(path: Path, _stamp: int) -> TaskCfg:
    """One reading of a file: the checks try a hundred grasps, and several callers ask."""
    marked = read_marked(path)
    top = marked.fields(
        "a task",
        needed=("name", "instruction", "object", "spawn", "success"),
        allowed=("goal", "cameras", "limits"),
    )
    lines = Lines(marked, dict(top))
    name = _name(top["name"], path)
    limits = _limits(top.get("limits"), lines)
    sites = read_sites(top["spawn"], lines)
    goal = read_goal(top.get("goal"), lines)
    rules = RulesCfg(
        name,
        max_ticks=round(limits["max_time_s"] * limits["rate_hz"]),
        success=_success(top["success"], lines),
        sites=sites,
        workspace_m=limits["workspace_m"],
        file=path.name,
    )
    scene = SceneCfg(
        object=read_object(top["object"], path.parent, lines),
        spawn=_AWAY,
        cameras=_cameras(top.get("cameras")),
        instruction=top["instruction"].text("instruction"),
        rate_hz=limits["rate_hz"],
        rules=rules,
        **{"tray": None, **goal},
    )
    if path.parent != SHIPPED:  # those that are shipped are checked by a test
        check_task(scene, rules, lines)
    return TaskCfg(dataclasses.replace(scene, spawn=sites[0].spawn), rules)


def _name(marked: Marked, path: Path) -> str:
    name = marked.text("name")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise marked.error(f"name {name!r}: small letters, digits and dashes, such as my-task.")
    taken = name in TASKS or (name in shipped() and path.resolve().parent != SHIPPED.resolve())
    if taken:
        raise marked.error(f"there is a task {name!r} already; choose another name.")
    return name


def _cameras(marked: Marked | None) -> tuple[CameraCfg, ...]:
    """Overhead and wrist unless the file says otherwise; no name twice."""
    if marked is None:
        return tuple(STANDARD_CAMERAS.values())
    seen: dict[str, Marked] = {}
    cameras = []
    for item in marked.items("cameras"):
        camera = _camera(item)
        if camera.name in seen or camera.name == "side":
            where = f"line {seen[camera.name].line}" if camera.name in seen else "every scene"
            raise item.error(f"a camera called {camera.name!r} is there already, in {where}.")
        seen[camera.name] = item
        cameras.append(camera)
    return tuple(cameras)


def _camera(marked: Marked) -> CameraCfg:
    """One of the usual two by its name, or one with all its numbers."""
    if marked.is_text():
        return STANDARD_CAMERAS[marked.choice("a camera without numbers", STANDARD_CAMERAS)]
    found = marked.fields(
        "a camera",
        needed=("name", "position_m", "fovy_deg"),
        allowed=("look_at_m", "quaternion", "body", "size_px"),
    )
    name = found["name"].text("name")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise found["name"].error(f"camera {name!r}: small letters, digits and _, such as front.")
    if ("look_at_m" in found) == ("quaternion" in found):
        raise marked.error(f"camera {name!r} needs look_at_m or quaternion, one of them.")
    x, y, z = found["position_m"].numbers("position_m", "x y z", -3, 3)
    if "look_at_m" in found:
        target = found["look_at_m"].numbers("look_at_m", "x y z", -3, 3)
        if np.allclose(target, (x, y, z)):
            raise found["look_at_m"].error(f"camera {name!r} looks at the place where it is.")
        turned = look_at((x, y, z), target)  # type: ignore[arg-type]
    else:
        turned = found["quaternion"].numbers("quaternion", "w x y z", -1, 1)
        length = float(np.linalg.norm(turned))
        if abs(length - 1) > 0.01:
            raise found["quaternion"].error(f"quaternion has length {length:g}; it must be 1.")
    size = (640, 480)
    if "size_px" in found:
        wide, high = found["size_px"].numbers("size_px", "width height", 16, 1280)
        size = (round(wide), round(high))
        if size[1] > 960:
            raise found["size_px"].error(f"size_px {size}: at most 1280 × 960 can be drawn.")
    body = found["body"].choice("body", BODIES) if "body" in found else "world"
    fovy = found["fovy_deg"].number("fovy_deg", 5, 150)
    return CameraCfg(name, body, (x, y, z), turned, fovy, *size)  # type: ignore[arg-type]


def _limits(marked: Marked | None, lines: Lines) -> dict[str, Any]:
    told: dict[str, Any] = {"max_time_s": 10.0, "rate_hz": 30.0, "workspace_m": None}
    if marked is None:
        return told
    found = marked.fields("limits", allowed=tuple(told))
    lines.parts.update(found)
    if "max_time_s" in found:
        told["max_time_s"] = found["max_time_s"].number("max_time_s", 1, 300)
    if "rate_hz" in found:
        rate = told["rate_hz"] = found["rate_hz"].number("rate_hz", 5, 100)
        if (SceneCfg.physics_hz / rate) % 1:
            raise found["rate_hz"].error(
                f"rate_hz {rate:g}: it must divide {SceneCfg.physics_hz:g}, the physics rate."
            )
    if "workspace_m" in found:
        sides = found["workspace_m"].fields("workspace_m", needed=("x", "y"))
        x, y = (sides[axis].numbers(f"workspace_m's {axis}", "from to", -1.5, 1.5) for axis in "xy")
        told["workspace_m"] = (*x, *y)
    return told


def _success(marked: Marked, lines: Lines) -> SuccessCfg:
    flags = ("inside", "released", "resting", "lifted")
    others = ("below_m", "above_m", "upright_deg", "aligned_deg", "held_ticks")
    found = marked.fields("success", allowed=(*flags, *others))
    lines.parts.update({f"success {key}": value for key, value in found.items()})
    told: dict[str, Any] = {key: found[key].flag(key) for key in flags if key in found}
    for key in ("below_m", "above_m"):
        if key in found:
            told[key] = found[key].number(key, 0.0, 0.5)
    for key, most in (("upright_deg", 90), ("aligned_deg", 90)):
        if key in found:
            told[key.replace("deg", "rad")] = math.radians(found[key].number(key, 0.5, most))
    if "held_ticks" in found:
        told["held_ticks"] = found["held_ticks"].whole("held_ticks", 1, 300)
    return SuccessCfg(**told)
