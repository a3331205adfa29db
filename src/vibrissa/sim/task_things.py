"""The things of a task file: the object, the goal, and where they may start."""

from __future__ import annotations

import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from vibrissa.control.marked import Lines, Marked
from vibrissa.core.errors import UsageError
from vibrissa.sim.goals import BaseCfg, SiteCfg, SpawnCfg, TrayCfg, ZoneCfg
from vibrissa.sim.scene import ObjectCfg
from vibrissa.sim.solid import read_solid

COLOURS = {
    "red": (0.78, 0.10, 0.10),
    "green": (0.15, 0.55, 0.25),
    "blue": (0.20, 0.45, 0.75),
    "yellow": (0.95, 0.85, 0.25),
    "orange": (0.90, 0.50, 0.10),
    "white": (0.92, 0.92, 0.92),
    "black": (0.12, 0.12, 0.12),
}
_REGION = ("centre_m", "half_m", "yaw_deg")


def read_object(marked: Marked, folder: Path, lines: Lines) -> ObjectCfg:
    """A box, a cylinder or a mesh."""
    given = marked.entries("object")
    shape = given["shape"].choice("shape", _SHAPES) if "shape" in given else "box"
    usual = ("name", "shape", "friction", "colour", "symmetry")
    needed, allowed = _SHAPES[shape]
    found = marked.fields(f"a {shape}", needed=("mass_kg", *needed), allowed=(*usual, *allowed))
    lines.parts.update({f"object {key}": value for key, value in found.items()})
    mesh = ""
    if shape == "box":
        half = _half_size(found["size_m"])
    elif shape == "cylinder":
        radius = found["diameter_m"].number("diameter_m", 0.008, 0.2) / 2
        half = (radius, radius, found["height_m"].number("height_m", 0.008, 0.2) / 2)
    else:
        mesh, half = _mesh(found, folder)
    return ObjectCfg(
        name=_channel(found, "block"),
        half_size_m=half,
        mass_kg=_mass(found["mass_kg"]),
        symmetry=_symmetry(found, shape, half),
        friction=_friction(found),
        rgba=_colour(found, "red"),
        shape=shape,  # type: ignore[arg-type]
        mesh=mesh,
    )


_SHAPES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "box": (("size_m",), ()),
    "cylinder": (("diameter_m", "height_m"), ()),
    "mesh": (("file",), ("scale",)),
}


def _mesh(found: dict[str, Marked], folder: Path) -> tuple[str, tuple[float, float, float]]:
    scale = found["scale"].number("scale", 1e-6, 1e3) if "scale" in found else 1.0
    try:
        mesh, half = read_solid(folder / found["file"].text("file"), scale)
    except UsageError as error:
        raise found["file"].error(str(error)) from error
    if not (2 * half.min() >= 0.008 and 2 * half.max() <= 0.2):
        size = " × ".join(f"{2 * h:g}" for h in half)
        raise found["file"].error(
            f"the mesh is {size} m large; its sides must be from 0.008 to 0.2 m. "
            "A file in millimetres needs scale: 0.001."
        )
    x, y, z = (float(h) for h in half)
    return mesh, (x, y, z)


def _symmetry(found: dict[str, Marked], shape: str, half: tuple[float, float, float]) -> int:
    """How many turns look the same: a square box has 4, another 2, a mesh 1 unless it says so."""
    if "symmetry" in found:
        if shape == "cylinder":
            raise found["symmetry"].error("a cylinder looks the same however it is turned.")
        return found["symmetry"].whole("symmetry", 1, 12)
    if shape == "cylinder":
        return 0
    if shape == "mesh":
        return 1
    return 4 if abs(half[0] - half[1]) < 1e-9 else 2


def read_goal(marked: Marked | None, lines: Lines) -> dict[str, Any]:
    """The field of a scene that the goal becomes; none for a task that only lifts."""
    if marked is None:
        return {}
    kinds = {"tray": _tray, "zone": _zone, "line": _line, "stack": _stack}
    found = marked.fields("goal", allowed=tuple(kinds))
    if len(found) != 1:
        raise marked.error(f"goal must be one of {', '.join(kinds)}; here are {len(found)}.")
    ((kind, body),) = found.items()
    return kinds[kind](body, lines)


def _tray(marked: Marked, lines: Lines) -> dict[str, Any]:
    found = marked.fields(
        "a tray", needed=("centre_m",), allowed=("size_m", "wall_height_m", "colour")
    )
    lines.parts["goal place"] = found["centre_m"]
    tray = TrayCfg(_place(found["centre_m"]), rgba=_colour(found, "blue"))
    if "size_m" in found:
        tray = dataclasses.replace(tray, half_m=found["size_m"].number("size_m", 0.04, 0.4) / 2)
    if "wall_height_m" in found:
        wall = found["wall_height_m"].number("wall_height_m", 0.005, 0.06)
        tray = dataclasses.replace(tray, wall_height_m=wall)
    return {"tray": tray}


def _zone(marked: Marked, lines: Lines) -> dict[str, Any]:
    found = marked.fields("a zone", needed=("centre_m", "size_m"), allowed=("yaw_deg", "colour"))
    lines.parts["goal place"] = found["centre_m"]
    x, y = found["size_m"].numbers("size_m", "x y", 0.01, 0.5)
    yaw = found["yaw_deg"].number("yaw_deg", -180, 180) if "yaw_deg" in found else 0.0
    zone = ZoneCfg(
        _place(found["centre_m"]), (x / 2, y / 2), math.radians(yaw), _colour(found, "yellow")
    )
    return {"zone": zone}


def _line(marked: Marked, lines: Lines) -> dict[str, Any]:
    """A zone along a line, told by its two ends."""
    found = marked.fields("a line", needed=("from_m", "to_m"), allowed=("width_m", "colour"))
    lines.parts["goal place"] = found["from_m"]
    begin, end = (np.array(_place(found[key])) for key in ("from_m", "to_m"))
    length = float(np.hypot(*(end - begin)))
    if not 0.02 <= length <= 0.5:
        raise found["to_m"].error(f"the line is {length:g} m long; it must be 0.02 to 0.5 m.")
    width = found["width_m"].number("width_m", 0.005, 0.2) if "width_m" in found else 0.02
    x, y = (begin + end) / 2
    yaw = math.atan2(end[1] - begin[1], end[0] - begin[0])
    half = (length / 2, width / 2)
    return {"zone": ZoneCfg((float(x), float(y)), half, yaw, _colour(found, "yellow"))}


def _stack(marked: Marked, lines: Lines) -> dict[str, Any]:
    found = marked.fields(
        "a stack",
        needed=("size_m", "mass_kg", "start"),
        allowed=("name", "friction", "colour", "symmetry"),
    )
    lines.parts.update({"goal place": found["start"], "base": marked})
    half = _half_size(found["size_m"])
    base = BaseCfg(
        _channel(found, "base"),
        half,
        _mass(found["mass_kg"]),
        _region(found["start"], "start"),
        _symmetry(found, "box", half),
        _friction(found),
        _colour(found, "blue"),
    )
    return {"base": base}


def read_sites(marked: Marked, lines: Lines) -> tuple[SiteCfg, ...]:
    found = marked.entries("spawn")
    if not found:
        raise marked.error("spawn has no site: name at least one.")
    if set(found) & set(_REGION):
        raise marked.error(
            "spawn lists sites by name, each with its own centre_m and half_m, such as "
            "first: {centre_m: [0.2, 0.1], half_m: 0.03}."
        )
    lines.parts.update({f"site {name}": site for name, site in found.items()})
    return tuple(SiteCfg(name, _region(site, f"site {name}")) for name, site in found.items())


def _region(marked: Marked, what: str) -> SpawnCfg:
    found = marked.fields(what, needed=("centre_m", "half_m"), allowed=("yaw_deg",))
    low, high = -180.0, 180.0
    if "yaw_deg" in found:
        low, high = found["yaw_deg"].numbers("yaw_deg", "from to", -180, 180)
        if low > high:
            raise found["yaw_deg"].error(f"yaw_deg from {low:g} to {high:g}: the smaller first.")
    half = found["half_m"].number("half_m", 0.0, 0.3)
    return SpawnCfg(_place(found["centre_m"]), half, (math.radians(low), math.radians(high)))


def _half_size(marked: Marked) -> tuple[float, float, float]:
    x, y, z = marked.numbers("size_m", "x y z", 0.008, 0.2)
    return x / 2, y / 2, z / 2


def _place(marked: Marked) -> tuple[float, float]:
    x, y = marked.numbers("centre_m", "x y", -1, 1)
    return x, y


def _mass(marked: Marked) -> float:
    return marked.number("mass_kg", 0.001, 1.0)


def _friction(found: dict[str, Marked]) -> float:
    return found["friction"].number("friction", 0.05, 3) if "friction" in found else 0.6


def _channel(found: dict[str, Marked], usual: str) -> str:
    """The name under which a thing's pose stands in the data."""
    if "name" not in found:
        return usual
    name = found["name"].text("name")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise found["name"].error(f"name {name!r}: small letters, digits and _, such as red_cube.")
    return name


def _colour(found: dict[str, Marked], usual: str) -> tuple[float, float, float, float]:
    if "colour" not in found:
        return (*COLOURS[usual], 1.0)
    marked = found["colour"]
    if marked.is_text():
        return (*COLOURS[marked.choice("colour", COLOURS)], 1.0)
    r, g, b = marked.numbers("colour", "red green blue", 0, 1)
    return (r, g, b, 1.0)
