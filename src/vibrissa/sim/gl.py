"""MuJoCo, imported without OpenGL; a context is looked for only when a picture is wanted.

MuJoCo chooses its OpenGL library while it is being imported, from MUJOCO_GL, and fails there and
then where the library is missing. Physics needs none: so it is imported here, for the whole
room, with that choice switched off, and the choice is made by `choose` when somebody looks.
"""

from __future__ import annotations

import functools
import importlib
import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from vibrissa.core.errors import UsageError

_ASKED = os.environ.get("MUJOCO_GL")
os.environ["MUJOCO_GL"] = "disabled"
try:
    import mujoco as mujoco
finally:
    if _ASKED is None:
        del os.environ["MUJOCO_GL"]
    else:
        os.environ["MUJOCO_GL"] = _ASKED

BACKENDS = ("egl", "osmesa", "glfw")
PROBE_S = 60.0

# GLFW without a display gives a context that is none: only MjrContext finds out.
_PROBE = """
import importlib, json, sys, mujoco
context = importlib.import_module("mujoco." + sys.argv[1]).GLContext(16, 16)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), 100).free()
from OpenGL import GL
print(json.dumps([GL.glGetString(name).decode() for name in (GL.GL_VENDOR, GL.GL_RENDERER)]))
context.free()
"""
# What renderers that run on the CPU call themselves.
_SOFTWARE = ("llvmpipe", "softpipe", "swrast", "software", "swiftshader", "gdi generic", "basic r")
_API = {"egl": "EGL", "osmesa": "OSMesa", "glfw": "GLFW"}


@dataclass(frozen=True)
class Backend:
    """An OpenGL that works: MUJOCO_GL's name for it, and what it says of itself (glGetString)."""

    name: str  # egl, osmesa or glfw
    vendor: str
    renderer: str
    software: bool  # drawn by the CPU

    def told(self) -> str:
        """In a few words: `Mesa EGL (software, llvmpipe)`."""
        maker, api = self.vendor.split(" ")[0].split("/")[0], _API[self.name]
        kind = "software" if self.software else "hardware"
        name = api if maker in api else f"{maker} {api}"
        return f"{name} ({kind}, {self.renderer.split(' (')[0]})"


def describe() -> Backend | None:
    """The OpenGL that pictures are made with here; None where there is none (see `trouble`).

    The call for whoever tells of this machine: `gl.describe()`. The first one takes about a
    second, because every candidate is tried in a process of its own; later ones cost nothing.
    """
    asked = os.environ.get("MUJOCO_GL", "").lower().strip()
    return (_try(asked) if asked in BACKENDS else None) if asked else _best()


def choose() -> str:
    """The OpenGL to draw with: what MUJOCO_GL says, else the best that works; '' for none.

    The answer is written to MUJOCO_GL, so that subprocesses need not choose again.
    """
    found = describe()
    if found is None:
        return ""
    os.environ["MUJOCO_GL"] = found.name
    return found.name


def trouble() -> str:
    """'' where pictures can be made; otherwise one line that says what to install or set."""
    if choose():
        return ""
    asked = os.environ.get("MUJOCO_GL", "")
    tried = f"MUJOCO_GL={asked} gives no" if asked else "neither EGL, OSMesa nor GLFW gives an"
    unset = "unset MUJOCO_GL, or " if asked else ""
    return (
        f"{tried} OpenGL context, and pictures need one: {unset}"
        "apt-get install libegl1 libgl1 libosmesa6, then MUJOCO_GL=egl or MUJOCO_GL=osmesa."
    )


def require() -> None:
    """For a command that cannot do without pictures: `say`, or UsageError with `trouble`."""
    wrong = trouble()
    if wrong:
        raise UsageError(wrong)
    say()


def say() -> None:
    """Tell on stderr, once a command, what draws. Worker processes keep quiet: their parent told.

    Nothing is said where nothing can draw.
    """
    if multiprocessing.parent_process() is None:
        _say()


def make_context(width: int, height: int) -> Any:
    """An offscreen OpenGL context of the chosen kind. Call `trouble` first."""
    return importlib.import_module(f"mujoco.{choose()}").GLContext(width, height)


@functools.cache
def _say() -> None:
    backend = describe()
    if backend is not None:
        print(f"pictures: {backend.told()}", file=sys.stderr)


def _best() -> Backend | None:
    """The first that works; where it draws on the CPU and there is a display, hardware behind it.

    A desktop whose EGL knows no graphics card may still have one behind its window system.
    """
    works = next((backend for name in BACKENDS if (backend := _try(name))), None)
    if works is None or not works.software or works.name == "glfw":
        return works
    shown = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    window = _try("glfw") if shown else None
    return window if window is not None and not window.software else works


@functools.cache
def _try(name: str) -> Backend | None:
    """The backend `name`, tried in a process of its own, because some failures are fatal."""
    environment = {**os.environ, "MUJOCO_GL": "disabled"}
    environment.pop("PYOPENGL_PLATFORM", None)  # of whatever was imported here before
    if name != "glfw":
        environment["PYOPENGL_PLATFORM"] = name
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, name],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PROBE_S,
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        return None
    vendor, renderer = json.loads(done.stdout.splitlines()[-1])
    drawn_by = renderer.lower()
    return Backend(name, vendor, renderer, any(word in drawn_by for word in _SOFTWARE))
