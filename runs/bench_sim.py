"""Steps a second of the simulated arm, beside so101-nexus-mujoco in the same minutes.

    uv run --extra bench python runs/bench_sim.py

Both are driven in turns, round by round, so that whatever else the machine does falls on both.
One step of ours is 1/30 s of simulated time, one of theirs 1/50 s: both are told.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "egl")
import mujoco  # before vibrissa, which imports it without OpenGL; theirs needs its Renderer
import numpy as np

from vibrissa.sim import gl
from vibrissa.sim.arm import SimArm
from vibrissa.sim.tasks import make_scene

ROUNDS, STATE_STEPS, PICTURE_STEPS, FULL_STEPS = 7, 600, 40, 6
SIZE = (224, 224)
RESULT = Path(__file__).parent / "results" / "bench_sim.json"

Drive = Callable[[int], None]  # plays so many steps


def ours(*, cameras: bool = False, meshes: str = "light") -> Drive:
    """The simulated arm through its own protocol: send, observe, and look at every picture."""
    arm = SimArm(make_scene("pick-place", camera_size=SIZE, meshes=meshes), cameras=cameras)
    home = np.array(arm.cfg.home_rad, np.float32)

    def drive(steps: int) -> None:
        arm.reset(0)
        for step in range(steps):
            arm.send(home + np.float32(0.3) * wave(step / 30))
            for picture in arm.observe().images.values():
                assert picture.shape == (*SIZE[::-1], 3)

    return drive


def ours_physics() -> Drive:
    """The same model, twenty substeps a step, and nothing else."""
    arm = SimArm(make_scene("pick-place"))
    home = np.array(arm.cfg.home_rad)

    def drive(steps: int) -> None:
        arm.reset(0)
        for step in range(steps):
            arm.data.ctrl[:] = home + 0.3 * wave(step / 30)
            mujoco.mj_step(arm.model, arm.data, nstep=arm.cfg.substeps)

    return drive


def theirs(*, cameras: bool = False) -> Drive:
    """so101-nexus's pick-and-place task as it comes; with two cameras where pictures are wanted."""
    from so101_nexus_core.config import PickAndPlaceConfig
    from so101_nexus_core.observations import JointPositions, OverheadCamera, WristCamera
    from so101_nexus_mujoco.pick_and_place import PickAndPlaceEnv  # pyright: ignore[reportMissingImports]  # the extra `bench`

    width, height = SIZE
    views = [
        JointPositions(),
        WristCamera(width=width, height=height),
        OverheadCamera(width=width, height=height),
    ]
    env = PickAndPlaceEnv(PickAndPlaceConfig(observations=views) if cameras else None)
    rest = np.array(env.config.robot.rest_qpos_rad)
    low, high = env.action_space.low, env.action_space.high

    def drive(steps: int) -> None:
        env.reset(seed=0)
        for step in range(steps):
            env.step(np.clip(rest + 0.3 * wave(step / 50), low, high).astype(np.float32))

    return drive


def theirs_physics() -> Drive:
    """Their model, ten substeps of 2 ms a step, and nothing else."""
    from so101_nexus_mujoco.pick_and_place import PickAndPlaceEnv  # pyright: ignore[reportMissingImports]

    env = PickAndPlaceEnv()
    rest = np.array(env.config.robot.rest_qpos_rad)

    def drive(steps: int) -> None:
        env.reset(seed=0)
        for step in range(steps):
            env.data.ctrl[:] = np.clip(rest + 0.3 * wave(step / 50), env._ctrl_low, env._ctrl_high)
            mujoco.mj_step(env.model, env.data, nstep=env._N_SUBSTEPS)

    return drive


def wave(time_s: float) -> np.ndarray:
    """A slow swing of all joints (6,) between -1 and 1."""
    return np.sin(2 * np.pi * 0.5 * time_s + np.arange(6)).astype(np.float32)


def in_turns(drives: dict[str, tuple[Drive, int]]) -> dict[str, list[float]]:
    """Steps a second of each, round by round."""
    rates: dict[str, list[float]] = {name: [] for name in drives}
    for drive, _ in drives.values():
        drive(2)
    for _ in range(ROUNDS):
        for name, (drive, steps) in drives.items():
            began_s = time.perf_counter()
            drive(steps)
            rates[name].append(steps / (time.perf_counter() - began_s))
    return rates


def summary(rates: list[float], steps: int, step_s: float) -> dict[str, Any]:
    middle = statistics.median(rates)
    return {
        "steps_per_s": round(middle, 1),
        "slowest": round(min(rates), 1),
        "fastest": round(max(rates), 1),
        "simulated_s_per_s": round(middle * step_s, 2),
        "step_s": round(step_s, 5),
        "n": len(rates),
        "steps_a_round": steps,
    }


def main() -> None:
    drives: dict[str, tuple[Drive, int]] = {
        "vibrissa physics": (ours_physics(), STATE_STEPS),
        "so101-nexus physics": (theirs_physics(), STATE_STEPS),
        "vibrissa state": (ours(), STATE_STEPS),
        "so101-nexus state": (theirs(), STATE_STEPS),
    }
    if not gl.trouble():
        drives["vibrissa two cameras"] = (ours(cameras=True), PICTURE_STEPS)
        drives["vibrissa two cameras, full meshes"] = (
            ours(cameras=True, meshes="full"),
            FULL_STEPS,
        )
        drives["so101-nexus two cameras"] = (theirs(cameras=True), FULL_STEPS)
    rates = in_turns(drives)
    told = {
        name: summary(rates[name], steps, 1 / 30 if name.startswith("vibrissa") else 1 / 50)
        for name, (_, steps) in drives.items()
    }
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}",
        "load_average": round(os.getloadavg()[0], 2),
        "opengl": gl.choose() or "none",
        "picture": f"{SIZE[0]} x {SIZE[1]}",
        "mujoco": mujoco.__version__,
        "rates": told,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    for name, row in told.items():
        print(f"{name:36s} {row['steps_per_s']:9.1f} steps/s  {row['simulated_s_per_s']:7.2f} s/s")
    print(RESULT)


if __name__ == "__main__":
    main()
