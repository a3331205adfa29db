"""Physics without OpenGL, and the one line that says what a picture would need."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from vibrissa.sim import gl

_EPISODE = """
import numpy as np
from vibrissa.core.errors import ArmFault
from vibrissa.sim.arm import SimArm
from vibrissa.sim.tasks import make_scene
arm = SimArm(make_scene("lift"), cameras=True)
arm.reset(0)
for _ in range(5):
    arm.send(np.zeros(6, np.float32))
    seen = arm.observe()
print("tick", seen.tick)
try:
    seen.images["wrist"]
except ArmFault as fault:
    print(fault)
"""


@pytest.mark.parametrize("setting", ["disabled", "nonsense"])
def test_without_opengl_the_arm_moves_and_a_picture_is_one_clear_line(setting: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _EPISODE],
        env={**os.environ, "MUJOCO_GL": setting, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ticks, line = done.stdout.splitlines()
    assert ticks == "tick 5"
    for part in (f"MUJOCO_GL={setting}", "apt-get install", "libegl1", "libosmesa6"):
        assert part in line


def test_what_the_user_set_is_respected_and_importing_changes_nothing(opengl: None) -> None:
    script = (
        "import os; before = dict(os.environ)\n"
        "from vibrissa.sim import gl, arm, tasks, expert, pictures\n"
        "assert dict(os.environ) == before; print(gl.choose() or 'none')"
    )
    for setting, chosen in (("off", "none"), ("", os.environ["MUJOCO_GL"])):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "MUJOCO_GL": setting},
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == chosen, done.stderr


def test_what_draws_is_described_and_said_once_and_by_no_worker(opengl: None) -> None:
    backend = gl.describe()
    assert backend is not None
    assert backend.name == os.environ["MUJOCO_GL"]
    assert backend.vendor
    assert backend.renderer
    script = (
        "import multiprocessing\n"
        "from vibrissa.sim import gl\n"
        "if __name__ == '__main__':\n"
        "    worker = multiprocessing.get_context('fork').Process(target=gl.require)\n"
        "    worker.start(); worker.join(); assert worker.exitcode == 0\n"
        "    gl.require(); gl.say(); gl.require()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == ""
    assert done.stderr == f"pictures: {backend.told()}\n"


@pytest.mark.parametrize(
    ("backend", "told"),
    [
        (
            gl.Backend("egl", "Mesa/X.org", "llvmpipe (LLVM 15.0.6, 256 bits)", True),
            "Mesa EGL (software, llvmpipe)",
        ),
        (gl.Backend("osmesa", "Mesa", "llvmpipe (LLVM 15)", True), "OSMesa (software, llvmpipe)"),
        (
            gl.Backend("egl", "NVIDIA Corporation", "NVIDIA H200/PCIe/SSE2", False),
            "NVIDIA EGL (hardware, NVIDIA H200/PCIe/SSE2)",
        ),
    ],
)
def test_a_backend_is_told_in_a_few_words(backend: gl.Backend, told: str) -> None:
    assert backend.told() == told


_CARD = gl.Backend("glfw", "AMD", "AMD Radeon 780M", False)
_CPU = gl.Backend("egl", "Mesa", "llvmpipe", True)
_GPU = gl.Backend("egl", "NVIDIA Corporation", "NVIDIA RTX A2000", False)
_OSMESA = gl.Backend("osmesa", "Mesa", "llvmpipe", True)


@pytest.mark.parametrize(
    ("works", "display", "chosen"),
    [
        ([_GPU, _OSMESA, _CARD], ":0", _GPU),
        ([_CPU, _OSMESA, _CARD], ":0", _CARD),
        ([_CPU, _OSMESA, _CARD], "", _CPU),
        ([_OSMESA], "", _OSMESA),
        ([_OSMESA], ":0", _OSMESA),
        ([_CARD], ":0", _CARD),
        ([], ":0", None),
    ],
)
def test_hardware_is_preferred_where_there_is_a_display_and_software_is_the_last_resort(
    works: list[gl.Backend],
    display: str,
    chosen: gl.Backend | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine is what works on it: the seven kinds that are not this one are told by a table."""
    there = {backend.name: backend for backend in works}
    monkeypatch.setattr(gl, "_try", there.get)
    for name in ("MUJOCO_GL", "WAYLAND_DISPLAY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("DISPLAY", display)
    assert gl.describe() == chosen
    assert gl.choose() == (chosen.name if chosen else "")
    assert os.environ["MUJOCO_GL"] == (chosen.name if chosen else "")
