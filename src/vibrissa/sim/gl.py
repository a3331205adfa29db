"""MuJoCo, imported without OpenGL; a context is looked for only when a picture is wanted.

MuJoCo chooses its OpenGL library while it is being imported, from MUJOCO_GL, and fails there and
then where the library is missing. Physics needs none: so it is imported here, for the whole
room, with that choice switched off, and the choice is made by `choose` when somebody looks.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
from typing import Any

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
_PROBE = (
    "import importlib, sys, mujoco;"
    "context = importlib.import_module('mujoco.' + sys.argv[1]).GLContext(16, 16);"
    "context.make_current();"
    "mujoco.MjrContext(mujoco.MjModel.from_xml_string('<mujoco/>'), 100).free();"
    "context.free()"
)


def choose() -> str:
    """The OpenGL to draw with: what MUJOCO_GL says, else the first that works; '' for none.

    The answer is written to MUJOCO_GL, so that subprocesses need not look again.
    """
    asked = os.environ.get("MUJOCO_GL", "").lower().strip()
    found = asked if asked in BACKENDS and _works(asked) else ""
    if not asked:
        found = next((backend for backend in BACKENDS if _works(backend)), "")
    if found:
        os.environ["MUJOCO_GL"] = found
    return found


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


def make_context(width: int, height: int) -> Any:
    """An offscreen OpenGL context of the chosen kind. Call `trouble` first."""
    return importlib.import_module(f"mujoco.{choose()}").GLContext(width, height)


@functools.cache
def _works(backend: str) -> bool:
    """Whether a context can be made, tried in a process of its own: some failures are fatal."""
    environment = {**os.environ, "MUJOCO_GL": "disabled"}
    if backend != "glfw":
        environment["PYOPENGL_PLATFORM"] = backend
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, backend],
            env=environment,
            capture_output=True,
            timeout=PROBE_S,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
