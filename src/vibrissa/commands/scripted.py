"""Demonstrations by a script on the simulated arm, as fast as it can be computed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibrissa.commands.recording import OTHERS
from vibrissa.commands.rigs import LEADERS, Stand
from vibrissa.core.errors import ArmFault, UsageError
from vibrissa.core.seeds import require_for_demonstrations

if TYPE_CHECKING:
    from vibrissa.bench.evaluate import Setup
    from vibrissa.commands.record import Config
    from vibrissa.commands.targeted import Course
    from vibrissa.core.episode import Episode
    from vibrissa.core.protocols import Arm, Pilot, Task
    from vibrissa.data.recorder import Recorder
    from vibrissa.sim.arm import SimArm
    from vibrissa.sim.scene import SceneCfg

PICK_PLACE = "pick-place"
PILOTS = ("expert", "zero", "random")
SPARE_ATTEMPTS = 20  # with as many failures again as episodes wanted, before it gives up


@dataclass(frozen=True)
class Scripted:
    """What a recording came to."""

    out: Path
    episodes: int
    frames: int
    discarded: int
    wall_s: float
    broken = False  # by a fault: what goes wrong here is raised

    def told(self) -> str:
        left_out = f", {self.discarded} failed and left out" if self.discarded else ""
        return (
            f"{self.episodes} episodes, {self.frames} frames{left_out}, in {self.wall_s:.0f} s: "
            f"{self.out}"
        )

    def to_dict(self) -> dict[str, Any]:
        return {**self.__dict__, "out": str(self.out)}


def record_script(cfg: Config) -> Scripted:
    """Record a script on the simulated arm as `cfg` says.

    Raises a VibrissaError where nothing could be recorded; whatever else ends it, finished
    episodes are a whole dataset.
    """
    from vibrissa.commands.targeted import fill
    from vibrissa.data.disk import require_absent
    from vibrissa.sim.arm import SimArm

    _check(cfg)
    if not cfg.resume:
        require_absent(cfg.out)
    stage = _stage(cfg)
    arm = stage.make_arm()
    assert isinstance(arm, SimArm)
    course = _course(cfg, arm)
    if course is not None and not course.to_come:
        return Scripted(cfg.out, 0, 0, 0, 0.0)

    from vibrissa.data.film import check_size
    from vibrissa.data.layout import told_left
    from vibrissa.data.recorder import Recorder

    for camera in arm.contract.cameras:
        check_size(camera)
    if cfg.resume and (left := told_left(cfg.out)):
        _say(left)
    began_s = time.monotonic()
    with _fleet(cfg):
        recorder = Recorder(
            cfg.out,
            keep=_wanted(cfg),
            session=course.session() if course else None,
            extend=cfg.resume,
            say=_say,
        )
        try:
            with recorder:
                if cfg.fleet:
                    _fill_from_fleet(recorder, cfg, stage)
                elif course is None:
                    _fill(recorder, cfg, _here(recorder, stage, arm))
                else:
                    course = _course(cfg, arm) or course  # a kill may have left some more
                    fill(recorder, course, arm, _here(recorder, stage, arm))
        except KeyboardInterrupt:
            if recorder.kept:
                print(f"\n{recorder.kept} finished episodes are in {cfg.out}", file=sys.stderr)
            raise
    wall_s = time.monotonic() - began_s
    return Scripted(cfg.out, recorder.kept, recorder.frames, recorder.discarded, wall_s)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _fleet(cfg: Config) -> AbstractContextManager[Any]:
    """The cluster, if one is asked for; what is wrong with it is said before anything is made."""
    if not cfg.fleet:
        return nullcontext()
    from vibrissa.bench.fleet import connected

    return connected(cfg.fleet)


def _here(recorder: Recorder, stage: Setup, arm: SimArm) -> Callable[[int], None]:
    """Plays a seed in this process."""
    from vibrissa.control.drive import run_episode

    pilot, task = stage.make_pilot(arm), stage.make_task()

    def play(seed: int) -> None:
        with suppress(ArmFault):  # a seed the pilot cannot do; the recorder has counted it
            run_episode(arm, pilot, task, [recorder], seed=seed)

    return play


def _fill_from_fleet(recorder: Recorder, cfg: Config, stage: Setup) -> None:
    """As `_fill`, where others play: the same seeds are told to the recorder, in the same order."""
    from vibrissa.bench.fleet_episodes import play_on_fleet
    from vibrissa.bench.helpers import WorkerLost
    from vibrissa.bench.workers import itself

    seeds = range(cfg.seeds, cfg.seeds + _most(cfg))
    build = partial(itself, stage)
    with closing(play_on_fleet(build, seeds, cfg.fleet, _wanted(cfg), cfg.episodes)) as played:

        def play(_seed: int) -> None:
            with suppress(ArmFault):
                next(played).tell(recorder)

        try:
            _fill(recorder, cfg, play)
        except WorkerLost as lost:
            raise WorkerLost(f"{lost} {recorder.kept} episodes are kept in {cfg.out}.") from lost


def _course(cfg: Config, arm: SimArm) -> Course | None:
    """The file of targets, as far as it is still to be recorded; None without one."""
    from vibrissa.commands.targeted import course_of, plan_of
    from vibrissa.data.extend import extension

    if cfg.targets is None:
        return None
    course = course_of(cfg, plan_of(cfg.targets, arm.cfg), arm.scene)
    if cfg.resume:
        extension(cfg.out, arm.contract).require(cfg.out, recalibrated=False)
    return course


def _fill(recorder: Recorder, cfg: Config, play: Callable[[int], None]) -> None:
    """One seed after another until enough episodes are kept."""
    from vibrissa.show.progress import progress

    most = _most(cfg)
    with progress(f"recording {cfg.task or PICK_PLACE}", cfg.episodes, "episodes") as tell:
        for attempt in range(most):
            play(cfg.seeds + attempt)
            tell(recorder.kept, f"{recorder.discarded} failed" if recorder.discarded else "")
            if recorder.kept == cfg.episodes:
                return
    raise UsageError(
        f"{recorder.discarded} of {most} episodes of the {cfg.pilot} pilot failed. Keep failures "
        "too with --keep-failures, or choose another pilot."
    )


def _most(cfg: Config) -> int:
    """How many seeds are tried before it gives up."""
    return 2 * cfg.episodes + SPARE_ATTEMPTS


def _wanted(cfg: Config) -> Callable[[Episode], bool]:
    from vibrissa.data.recorder import finished, successful

    return finished if cfg.keep_failures else successful


def simulated(cfg: Config) -> tuple[Stand, Task]:
    """The simulated arm of `cfg`, to be led in real time, and its task's own judge."""
    _check_scene(cfg)
    stage = _stage(cfg)
    return Stand(stage.make_arm()), stage.make_task()


def _stage(cfg: Config) -> Setup:
    """Makers of the arm, its task and who drives it, which other processes can be handed."""
    from vibrissa.bench.evaluate import Setup
    from vibrissa.sim.arm import SimArm
    from vibrissa.sim.tasks import make_task
    from vibrissa.sim.views import of_cameras

    scene = _scene(cfg)
    return Setup(
        cfg.pilot,
        partial(SimArm, scene, cameras=of_cameras(scene, (*cfg.cameras, *cfg.depth))),
        partial(make_task, scene.rules.name if scene.rules else cfg.task, scene),
        partial(_pilot, cfg.pilot, scene, cfg.noise_rad),
    )


def _check(cfg: Config) -> None:
    """What can be said before anything is built."""
    if cfg.pilot not in PILOTS:
        led = ", ".join((*LEADERS, *OTHERS[1:]))
        raise UsageError(
            f"no pilot {cfg.pilot!r} for recording. There is: {', '.join(PILOTS)}; and in real "
            f"time: {led}."
        )
    _check_scene(cfg)


def _check_scene(cfg: Config) -> None:
    if cfg.episodes < 1:
        raise UsageError(f"--episodes {cfg.episodes}: at least 1.")
    require_for_demonstrations(cfg.seeds, _most(cfg))
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
    rate: dict[str, Any] = {} if cfg.rate is None else {"rate_hz": cfg.rate}
    return make_scene(
        cfg.task or PICK_PLACE,
        camera_size=cfg.camera_size,
        rig=cfg.rig,
        depth=cfg.depth,
        start_noise_rad=cfg.start_noise_rad,
        random=preset(cfg.randomise),
        servo=load_servo(cfg.servo),
        **rate,
    )


def _pilot(name: str, scene: SceneCfg, noise_rad: float, arm: Arm) -> Pilot:
    from vibrissa.control.pilots import Random, Zero
    from vibrissa.sim.expert import Expert

    if name == "expert":
        return Expert(scene, action_noise_rad=noise_rad)
    return Zero() if name == "zero" else Random(arm.contract)
