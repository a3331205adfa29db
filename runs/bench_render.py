"""Steps a second with two cameras: ours light, full, shadowed, without a robot, and so101-nexus.

    uv run --extra bench python runs/bench_render.py [--quick]

Every size and backend is a process of its own (MuJoCo knows one OpenGL a process). In it all are
driven in turns, round by round, so that whatever else the machine does falls on all of them; a
ratio is the median of the rounds' own ratios. A step is what a step is: physics of one tick and
two pictures. Without a robot it is the same table, block and tray seen from the same two places.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "egl")
import mujoco  # before vibrissa, which imports it without OpenGL; theirs needs its Renderer
import numpy as np

from vibrissa.sim import gl
from vibrissa.sim.arm import SimArm
from vibrissa.sim.pictures import Canvas
from vibrissa.sim.scene import SceneCfg, describe
from vibrissa.sim.tasks import make_scene

SIZES = ((96, 96), (224, 224), (640, 480))
BACKENDS = ("egl", "osmesa", "glfw")
ROUNDS, STEPS, SLOW_STEPS = 9, 60, 3
QUICK_ROUNDS, QUICK_STEPS, QUICK_SLOW_STEPS = 5, 30, 2
OURS, BARE, THEIRS = "light", "without robot", "so101-nexus"
RESULT = Path(__file__).parent / "results" / "bench_render.json"

Drive = Callable[[int], None]  # plays so many steps


def ours(cfg: SceneCfg) -> Drive:
    """The simulated arm through its own protocol: send, observe, and look at every picture."""
    arm = SimArm(cfg, cameras=True)
    home = np.array(cfg.home_rad, np.float32)
    count = len(arm.contract.cameras)

    def drive(steps: int) -> None:
        arm.reset(0)
        for step in range(steps):
            arm.send(home + np.float32(0.3) * wave(step / 30))
            images = arm.observe().images
            assert len([images[name] for name in images]) == count

    return drive


def without_robot(cfg: SceneCfg) -> Drive:
    """The same table, block and tray through the same eyes; the wrist's stays where home has it."""
    arm = SimArm(cfg)
    arm.reset(0)
    eyes = [
        dataclasses.replace(camera, body="world", **_pose(arm.data, camera.name))
        for camera in cfg.cameras
    ]
    spec = describe(dataclasses.replace(cfg, cameras=tuple(eyes)))
    for actuator in list(spec.actuators):
        spec.delete(actuator)
    spec.delete(spec.body("base"))
    model = spec.compile()
    assert not (model.geom_type == mujoco.mjtGeom.mjGEOM_MESH).any()
    data, canvas = mujoco.MjData(model), Canvas(model)
    data.joint("object").qpos[:] = arm.data.joint("object").qpos

    def drive(steps: int) -> None:
        for _ in range(steps):
            mujoco.mj_step(model, data, nstep=cfg.substeps)
            for eye in eyes:
                canvas.draw(data, eye.name, eye.width, eye.height)

    return drive


def theirs(size: tuple[int, int]) -> Drive:
    """so101-nexus's pick-and-place task with two cameras, as it comes."""
    from so101_nexus_core.config import PickAndPlaceConfig
    from so101_nexus_core.observations import JointPositions, OverheadCamera, WristCamera
    from so101_nexus_mujoco.pick_and_place import PickAndPlaceEnv  # pyright: ignore[reportMissingImports]  # the extra `bench`

    width, height = size
    cameras = [camera(width=width, height=height) for camera in (WristCamera, OverheadCamera)]
    env = PickAndPlaceEnv(PickAndPlaceConfig(observations=[JointPositions(), *cameras]))
    rest = np.array(env.config.robot.rest_qpos_rad)
    low, high = env.action_space.low, env.action_space.high
    env.reset(seed=0)

    def drive(steps: int) -> None:
        for step in range(steps):
            env.step(np.clip(rest + 0.3 * wave(step / 50), low, high).astype(np.float32))

    return drive


def measured(size: tuple[int, int], quick: bool) -> dict[str, Any]:
    """Rates and ratios of everything at one picture size, with the OpenGL of this process."""
    cfg = make_scene("pick-place", camera_size=size)
    deep = make_scene("pick-place", camera_size=size, depth=("overhead", "wrist"))
    rounds, steps, slow = (
        (QUICK_ROUNDS, QUICK_STEPS, QUICK_SLOW_STEPS) if quick else (ROUNDS, STEPS, SLOW_STEPS)
    )
    drives: dict[str, tuple[Drive, int]] = {
        OURS: (ours(cfg), steps),
        BARE: (without_robot(cfg), steps),
        "light, shadows": (ours(dataclasses.replace(cfg, shadows=True)), steps),
        "light, depth": (ours(deep), steps),
        "full": (ours(dataclasses.replace(cfg, meshes="full")), slow),
        THEIRS: (theirs(size), slow),
    }
    rates = in_turns(drives, rounds)
    told = {name: summary(found, drives[name][1]) for name, found in rates.items()}
    for name, found in rates.items():
        ratios = [mine / other for mine, other in zip(rates[OURS], found, strict=True)]
        told[name]["light_is_times_as_fast"] = round(statistics.median(ratios), 3)
    return told


def in_turns(drives: dict[str, tuple[Drive, int]], rounds: int) -> dict[str, list[float]]:
    """Steps a second of each, round by round."""
    rates: dict[str, list[float]] = {name: [] for name in drives}
    for drive, _ in drives.values():
        drive(2)
    for _ in range(rounds):
        for name, (drive, steps) in drives.items():
            began_s = time.perf_counter()
            drive(steps)
            rates[name].append(steps / (time.perf_counter() - began_s))
    return rates


def summary(rates: list[float], steps: int) -> dict[str, Any]:
    return {
        "steps_per_s": round(statistics.median(rates), 2),
        "slowest": round(min(rates), 2),
        "fastest": round(max(rates), 2),
        "n": len(rates),
        "steps_a_round": steps,
    }


def wave(time_s: float) -> np.ndarray:
    """A slow swing of all joints (6,) between -1 and 1."""
    return np.sin(2 * np.pi * 0.5 * time_s + np.arange(6)).astype(np.float32)


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] == "measure":
        backend = gl.describe()
        told = measured((int(sys.argv[2]), int(sys.argv[3])), sys.argv[4] == "quick")
        print(json.dumps({"opengl": backend.told() if backend else "none", "rates": told}))
        return
    pace = "quick" if "--quick" in sys.argv else "whole"
    found: dict[str, Any] = {}
    clean = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"}  # MuJoCo has set it
    for backend in BACKENDS:
        for width, height in SIZES:
            done = subprocess.run(
                [sys.executable, __file__, "measure", str(width), str(height), pace],
                env={**clean, "MUJOCO_GL": backend},
                capture_output=True,
                text=True,
            )
            if done.returncode:
                print(f"{backend}: not here ({(done.stderr.splitlines() or ['?'])[-1][:90]})")
                break
            result = json.loads(done.stdout.splitlines()[-1])
            found.setdefault(backend, {"opengl": result["opengl"], "sizes": {}})
            found[backend]["sizes"][f"{width} x {height}"] = result["rates"]
            show(f"{result['opengl']}, {width} x {height}", result["rates"])
    RESULT.write_text(json.dumps({**about(pace), "backends": found}, indent=1) + "\n")
    print(RESULT)


def about(pace: str) -> dict[str, Any]:
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores, {platform.system()}",
        "load_average": round(os.getloadavg()[0], 2),
        "mujoco": mujoco.__version__,
        "pace": pace,
        "step": "one tick of physics and two pictures (overhead, wrist)",
    }


def show(head: str, rates: dict[str, Any]) -> None:
    print(head)
    for name, row in rates.items():
        print(
            f"  {name:16s} {row['steps_per_s']:8.1f} steps/s"
            f"   light is {row['light_is_times_as_fast']:.2f} times as fast"
        )


def _pose(data: mujoco.MjData, camera: str) -> dict[str, Any]:
    """Where a camera is in the world now, as fields of a `CameraCfg`."""
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, data.camera(camera).xmat)
    position = data.camera(camera).xpos
    return {"position_m": tuple(position.tolist()), "quaternion": tuple(quaternion.tolist())}


if __name__ == "__main__":
    main()
