"""Physics without OpenGL, and the one line that says what a picture would need."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
