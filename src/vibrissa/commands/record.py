"""Record demonstrations on the simulated arm as a LeRobot v3.0 dataset.

Every demonstration is kept until --episodes of them succeeded; each one is a seed of its own,
counted up from --seeds. Ctrl-C leaves the finished episodes as a whole dataset.
"""

from __future__ import annotations

import json as json_
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vibrissa.core.errors import ArmFault, UsageError

if TYPE_CHECKING:
    from vibrissa.core.contract import Contract
    from vibrissa.core.protocols import Arm, Pilot, Task
    from vibrissa.data.recorder import Recorder
    from vibrissa.sim.scene import SceneCfg

PILOTS = ("expert", "zero", "random")
SPARE_ATTEMPTS = 20  # with as many failures again as episodes wanted, before it gives up


@dataclass(frozen=True)
class Config:
    out: Path
    """The dataset's folder; it must not exist yet."""
    pilot: str = "expert"
    """Who drives: expert, zero or random."""
    task: str = "pick-place"
    """pick-place, lift, stack, line, or a file of your own such as my-task.yaml."""
    episodes: int = 50
    """How many episodes to keep."""
    seeds: int = 0
    """The first seed; each attempt takes the next one."""
    cameras: tuple[str, ...] = ()
    """Cameras to record, such as: overhead wrist. None by default."""
    depth: tuple[str, ...] = ()
    """Cameras to record with depth beside colours, each as <camera>_depth in metres."""
    rig: str = ""
    """Which cameras there are: rgb, or rgbd, whose overhead camera measures depth."""
    camera_size: tuple[int, int] | None = None
    """Width and height of all pictures; the scene's own 640 480 by default."""
    noise_rad: float = 0.03
    """Noise on the expert's targets, so that demonstrations show how to come back."""
    start_noise_rad: float = 0.2
    """How far each joint may start from home."""
    randomise: str = "none"
    """What differs from one episode to the next: none, light or strong (docs/randomisation.md)."""
    servo: Path | None = None
    """A servo profile of a real arm, from `vibrissa fit`; the standard servos by default."""
    keep_failures: bool = False
    """Keep failed episodes too."""
    json: bool = False
    """Print what was recorded as JSON."""


@dataclass(frozen=True)
class Recorded:
    """What a recording came to."""

    out: Path
    episodes: int
    frames: int
    discarded: int
    wall_s: float

    def told(self) -> str:
        left_out = f", {self.discarded} failed and left out" if self.discarded else ""
        return (
            f"{self.episodes} episodes, {self.frames} frames{left_out}, in {self.wall_s:.0f} s: "
            f"{self.out}"
        )


def run(cfg: Config) -> int:
    recorded = record(cfg)
    if cfg.json:
        print(json_.dumps({**recorded.__dict__, "out": str(recorded.out)}))
    else:
        print(recorded.told())
    return 0


def record(cfg: Config) -> Recorded:
    """Record as `cfg` says.

    Raises a VibrissaError where nothing could be recorded; whatever else ends it, finished
    episodes are a whole dataset.
    """
    from vibrissa.data.disk import require_absent
    from vibrissa.sim.arm import SimArm
    from vibrissa.sim.tasks import make_task
    from vibrissa.sim.views import of_cameras

    _check(cfg)
    require_absent(cfg.out)
    scene = _scene(cfg)
    arm, task = (
        SimArm(scene, cameras=of_cameras(scene, (*cfg.cameras, *cfg.depth))),
        make_task(cfg.task, scene),
    )
    pilot = _pilot(cfg, scene, arm.contract)

    from vibrissa.data.film import check_size
    from vibrissa.data.recorder import Recorder, finished, successful

    for camera in arm.contract.cameras:
        check_size(camera)
    began_s = time.monotonic()
    recorder = Recorder(cfg.out, keep=finished if cfg.keep_failures else successful)
    try:
        with recorder:
            _fill(recorder, cfg, arm, pilot, task)
    except KeyboardInterrupt:
        if recorder.kept:
            print(f"\n{recorder.kept} finished episodes are in {cfg.out}", file=sys.stderr)
        raise
    wall_s = time.monotonic() - began_s
    return Recorded(cfg.out, recorder.kept, recorder.frames, recorder.discarded, wall_s)


def _fill(recorder: Recorder, cfg: Config, arm: Arm, pilot: Pilot, task: Task) -> None:
    """One seed after another until enough episodes are kept."""
    from vibrissa.control.drive import run_episode
    from vibrissa.show.progress import progress

    most = 2 * cfg.episodes + SPARE_ATTEMPTS
    with progress(f"recording {cfg.task}", cfg.episodes, "episodes") as tell:
        for attempt in range(most):
            with suppress(ArmFault):  # a seed the pilot cannot do; the recorder has counted it
                run_episode(arm, pilot, task, [recorder], seed=cfg.seeds + attempt)
            tell(recorder.kept, f"{recorder.discarded} failed" if recorder.discarded else "")
            if recorder.kept == cfg.episodes:
                return
    raise UsageError(
        f"{recorder.discarded} of {most} episodes of the {cfg.pilot} pilot failed. Keep failures "
        "too with --keep-failures, or choose another pilot."
    )


def _check(cfg: Config) -> None:
    """What can be said before anything is built."""
    if cfg.pilot not in PILOTS:
        raise UsageError(f"no pilot {cfg.pilot!r} for recording. There is: {', '.join(PILOTS)}.")
    if cfg.episodes < 1:
        raise UsageError(f"--episodes {cfg.episodes}: at least 1.")
    if cfg.seeds < 0:
        raise UsageError(f"--seeds {cfg.seeds}: at least 0.")
    if cfg.camera_size is not None and not (cfg.cameras or cfg.depth):
        raise UsageError("--camera-size without --cameras: name the cameras to record.")
    for name in ("noise_rad", "start_noise_rad"):
        if not 0 <= getattr(cfg, name) < 1:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} {getattr(cfg, name)}: between 0 and 1 rad.")


def _scene(cfg: Config) -> SceneCfg:
    from vibrissa.sim import gl
    from vibrissa.sim.profile import load_servo
    from vibrissa.sim.randomise import preset
    from vibrissa.sim.tasks import make_scene

    if cfg.cameras or cfg.depth:
        gl.require()
    return make_scene(
        cfg.task,
        camera_size=cfg.camera_size,
        rig=cfg.rig,
        depth=cfg.depth,
        start_noise_rad=cfg.start_noise_rad,
        random=preset(cfg.randomise),
        servo=load_servo(cfg.servo),
    )


def _pilot(cfg: Config, scene: SceneCfg, contract: Contract) -> Pilot:
    from vibrissa.control.pilots import Random, Zero
    from vibrissa.sim.expert import Expert

    if cfg.pilot == "expert":
        return Expert(scene, action_noise_rad=cfg.noise_rad)
    return Zero() if cfg.pilot == "zero" else Random(contract)
