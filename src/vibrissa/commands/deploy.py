"""Let a checkpoint drive an arm: the real one, its twin, or the simulated one in real time.

Everything that can be said beforehand is said before anything moves: what the checkpoint is,
whether it fits this arm, how fast it answers and how far it would go. A row for every rollout is
on the disk before the next one begins, in the form of vibrissa eval. docs/deploy.md tells more.
"""

from __future__ import annotations

import json as json_
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.bench.deployment import Ending, Stage
    from vibrissa.bench.first_look import FirstLook
    from vibrissa.bench.logbook import Logbook
    from vibrissa.control.keys import Keys
    from vibrissa.control.pilots import ChunkPlayer
    from vibrissa.core.protocols import Arm, Observer, Task
    from vibrissa.data.recorder import Recorder
    from vibrissa.learn.policy import CheckpointPolicy
    from vibrissa.real.arm import RealArm
    from vibrissa.real.rig import Rig
    from vibrissa.show.camcorder import Camcorder

Say = Callable[[str], None]

SECONDS = 30.0  # of a rollout on an arm whose task sets no limit
HELD_OUT = 2_000_000  # as in vibrissa eval: no demonstration comes from these seeds


@dataclass(frozen=True)
class Config:
    checkpoint: Positional[Path]
    """A run folder (its latest checkpoint), a checkpoint, or a pretrained_model folder."""
    config: Path | None = None
    """The rig: a YAML file that names arm and cameras, such as vibrissa setup or twin writes."""
    arm: Literal["", "simulated"] = ""
    """simulated: the arm of --task, in real time. By default the arm that --config names."""
    task: str = ""
    """Of the simulated arm: a task by name, or a file; by default the checkpoint's own."""
    rollouts: int = 10
    """How many rollouts the folder is to hold; one that holds some is gone on with."""
    seconds: float | None = None
    """The time limit of a rollout; by default the task's own, or 30 s on a real arm."""
    seeds: int = HELD_OUT
    """Of the simulated arm: the first seed; the others follow it."""
    horizon: int | None = None
    """How many actions of each chunk are executed; the checkpoint's own number by default."""
    ensemble: float | None = None
    """Ask at every tick and weigh all chunks by exp(-this × age), such as 0.01."""
    home: Literal["direct", "staged", "none"] = "direct"
    """How a real arm goes to its start pose: straight, through the middle of its joints, not."""
    reset_seconds: float | None = None
    """Time to put things back between two rollouts; by default a real arm waits for a key."""
    judge: str = ""
    """Who judges: package.module:function or file.py:function, called with each observation."""
    no_camera: tuple[str, ...] = ()
    """Cameras of the rig that are not opened, such as: overhead."""
    accept: tuple[Literal["calibration", "limits", "sight"], ...] = ()
    """Differences that are taken on purpose: calibration, limits, sight."""
    record: Path | None = None
    """Record the rollouts as a dataset in this new folder."""
    video: bool = False
    """Film every rollout: an overhead view with the wrist camera's in its corner."""
    film: tuple[str, ...] = ()
    """Which cameras are filmed: one, or the large and the small one."""
    microphone: str = ""
    """Film with sound: default, a device such as plughw:1,0, or FORMAT:DEVICE of FFmpeg's."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto takes a GPU where there is one."""
    fast: bool = False
    """Simulated arm only: not in real time, inference within the tick, as in vibrissa eval."""
    out: Path | None = None
    """The folder for results and films; by default deploy-DATE-TIME."""
    json: bool = False
    """Print the result as JSON."""


@dataclass(frozen=True)
class Desk:
    """The arm, and what judges on it: a simulated one brings its task, a real one nobody."""

    arm: Arm
    task: Task | None = None
    real: RealArm | None = None


@dataclass(frozen=True)
class Watching:
    """Who watches the rollouts, where it was asked for."""

    camcorder: Camcorder | None
    recorder: Recorder | None

    @property
    def observers(self) -> tuple[Observer, ...]:
        return tuple(o for o in (self.camcorder, self.recorder) if o is not None)

    @property
    def films(self) -> list[Path]:
        return [] if self.camcorder is None else self.camcorder.films


def run(cfg: Config) -> int:
    from vibrissa.bench.deployment import deploy
    from vibrissa.bench.first_look import require_fit
    from vibrissa.control.keys import open_keys
    from vibrissa.learn.policy import load_policy
    from vibrissa.learn.preflight import device_named
    from vibrissa.learn.run import pretrained_folder

    _check(cfg)
    rig = _rig(cfg)
    say = _say_to(sys.stderr if cfg.json else sys.stdout)
    say(f"policy  {pretrained_folder(cfg.checkpoint)}")
    policy = load_policy(cfg.checkpoint, device=device_named(cfg.device))
    desk = _desk(cfg, rig, policy, say)
    require_fit(policy.contract, desk.arm.contract, accept=cfg.accept)
    policy.fit(desk.arm.contract)
    with ExitStack() as opened:
        book = _book(cfg, policy, desk)
        watching = _watching(cfg, desk, book, opened, say)
        opened.enter_context(desk.real if desk.real is not None else closing(desk.arm))
        look = _look(cfg, policy, desk.arm, say)
        keys = opened.enter_context(open_keys(tell=say))
        stage = _stage(cfg, policy, desk, keys, look, watching)
        ending = deploy(stage, book, cfg.rollouts, first_seed=_first_seed(cfg, desk), say=say)
    _tell(cfg, book, look, stage, watching)
    return _end(ending, watching)


def _check(cfg: Config) -> None:
    """What can be said before anything is loaded."""
    if cfg.config is None and not cfg.arm:
        raise UsageError(
            "say which arm: --config rig.yaml for a real one or the twin (see vibrissa setup, "
            "vibrissa twin), or --arm simulated."
        )
    if cfg.rollouts < 1 or (cfg.seconds is not None and cfg.seconds <= 0):
        raise UsageError(f"--rollouts {cfg.rollouts} --seconds {cfg.seconds}: both more than 0.")
    if cfg.microphone and not cfg.video:
        raise UsageError("--microphone without --video: sound goes with films.")
    if cfg.film and not cfg.video:
        raise UsageError("--film without --video: say --video to film.")


def _say_to(stream: Any) -> Callable[[str], None]:
    return lambda line: print(line, file=stream, flush=True)


def _rig(cfg: Config) -> Rig:
    """The desk that --config describes, the cameras of --no-camera left out."""
    from vibrissa.real.rig import Rig, load_rig

    if cfg.config is None or cfg.arm == "simulated":
        return Rig()
    rig = load_rig(cfg.config)
    have = [camera.name for camera in rig.cameras]
    unknown = [name for name in cfg.no_camera if name not in have]
    if unknown:
        there = ", ".join(have) or "none"
        raise UsageError(f"--no-camera {' '.join(unknown)}: the rig has: {there}.")
    kept = tuple(camera for camera in rig.cameras if camera.name not in cfg.no_camera)
    return replace(rig, cameras=kept)


def _desk(cfg: Config, rig: Rig, policy: CheckpointPolicy, say: Say) -> Desk:
    if rig.arm.kind != "simulated":
        if cfg.fast or cfg.task:
            flag = "--fast" if cfg.fast else f"--task {cfg.task}"
            raise UsageError(f"{flag} is for the simulated arm; {cfg.config} names a real one.")
        arm = _real(rig, policy, say)
        return Desk(arm, real=arm)
    return _simulated(cfg, policy)


def _simulated(cfg: Config, policy: CheckpointPolicy) -> Desk:
    """The simulated arm with the cameras that the policy and the film want, and its judge."""
    from vibrissa.bench.setups import place_for
    from vibrissa.sim import gl
    from vibrissa.sim.arm import SimArm
    from vibrissa.sim.tasks import make_task

    place = place_for(policy.contract, task=cfg.task)
    cameras = place.cameras
    if cfg.video:
        own = tuple(camera.name for camera in place.scene.cameras)
        filmed = cfg.film or (() if cameras else own)
        cameras = (*cameras, *(name for name in filmed if name not in cameras))
    if cameras:
        gl.require()
    return Desk(SimArm(place.scene, cameras=cameras), make_task(place.task, place.scene))


def _first_seed(cfg: Config, desk: Desk) -> int:
    return cfg.seeds if desk.real is None else 0


def _real(rig: Rig, policy: CheckpointPolicy, say: Say) -> RealArm:
    """The rig's arm, not yet connected, at the checkpoint's rate."""
    from vibrissa.real.arm import RealArm

    wanted = policy.contract
    return RealArm(rig, wanted.rate_hz, instruction=wanted.instruction, say=say)


def _book(cfg: Config, policy: CheckpointPolicy, desk: Desk) -> Logbook:
    from vibrissa.bench.logbook import Logbook
    from vibrissa.learn.run import pretrained_folder

    told = {
        "checkpoint": str(pretrained_folder(cfg.checkpoint)),
        "arm": desk.arm.contract.digest,
        "task": desk.task.name if desk.task else cfg.judge or "watched",
        "instruction": policy.contract.instruction,
        "horizon": cfg.horizon or policy.horizon,
        "ensemble": cfg.ensemble,
        "seeds": cfg.seeds if desk.task else None,
    }
    out = cfg.out or Path(time.strftime("deploy-%Y%m%d-%H%M%S"))
    return Logbook(out, told, policy.contract)


def _watching(cfg: Config, desk: Desk, book: Logbook, opened: ExitStack, say: Say) -> Watching:
    """Camcorder and recorder, where they were asked for; what they need is opened now."""
    camcorder = recorder = None
    if cfg.video:
        from vibrissa.show.camcorder import Camcorder
        from vibrissa.show.inset import framing
        from vibrissa.show.sound import Microphone

        frame = framing(desk.arm.contract.cameras, cfg.film)
        microphone = None
        if cfg.microphone:
            microphone = opened.enter_context(closing(Microphone(cfg.microphone).open()))
        number = len(book.rows)
        camcorder = Camcorder(book.film, frame, microphone=microphone, number=number, say=say)
    if cfg.record is not None:
        from vibrissa.data.recorder import Recorder

        patience_s = 60.0 if cfg.fast else 0.0
        recorder = opened.enter_context(Recorder(cfg.record, patience_s=patience_s))
    return Watching(camcorder, recorder)


def _look(cfg: Config, policy: CheckpointPolicy, arm: Arm, say: Say) -> FirstLook:
    """A first observation and what the policy makes of it, told; refused where it is absurd."""
    from vibrissa.bench.first_look import look_first, require_sight, require_within

    arm.reset(cfg.seeds)
    observation = arm.observe()
    if "sight" not in cfg.accept:
        require_sight(policy.contract, observation)
    look = look_first(policy, arm.contract, observation)
    for line in look.lines():
        say(line)
    if "limits" not in cfg.accept:
        require_within(look)
    return look


def _stage(
    cfg: Config,
    policy: CheckpointPolicy,
    desk: Desk,
    keys: Keys,
    look: FirstLook,
    watching: Watching,
) -> Stage:
    from vibrissa.bench.deployment import Stage
    from vibrissa.bench.verdicts import Watched, load_judge
    from vibrissa.control.clock import WallClock
    from vibrissa.control.keys import NoKeys
    from vibrissa.control.meter import Meter

    arm, rate_hz = desk.arm, policy.contract.rate_hz
    own = desk.task.max_ticks if desk.task is not None else round(SECONDS * rate_hz)
    ticks = own if cfg.seconds is None else max(1, round(cfg.seconds * rate_hz))
    task = Watched(
        desk.task.name if desk.task is not None else "watched",
        policy.contract.instruction,
        ticks,
        keys,
        judge=load_judge(cfg.judge) if cfg.judge else None,
        task=desk.task,
    )
    waits = desk.real is not None and cfg.reset_seconds is None and not isinstance(keys, NoKeys)
    return Stage(
        arm,
        policy,
        _pilot(cfg, policy, look),
        task,
        keys,
        clock=None if cfg.fast else WallClock(rate_hz),
        laps=None if cfg.fast else Meter(rate_hz),
        observers=watching.observers,
        behind=not cfg.fast,
        home=_home(cfg, desk.real),
        reset_s=cfg.reset_seconds or 0.0,
        waits=waits,
    )


def _pilot(cfg: Config, policy: CheckpointPolicy, look: FirstLook) -> ChunkPlayer:
    """Who plays the chunks, and asks early enough for the next one."""
    from vibrissa.bench.first_look import executed, lead_ticks
    from vibrissa.control.pilots import ChunkPlayer

    horizon, most = cfg.horizon or policy.horizon, policy.chunk
    if not 1 <= horizon <= most:
        raise UsageError(f"--horizon {horizon}: this checkpoint's chunks have 1 to {most} actions.")
    lead, kept = 0, horizon
    if not cfg.fast and cfg.ensemble is None:
        lead = lead_ticks(look.slowest_s, policy.contract.rate_hz)
        kept = executed(horizon, most, lead, policy.contract.rate_hz)
    return ChunkPlayer(
        kept,
        history=policy.history,
        cameras=policy.contract.camera_names,
        lead=lead,
        ensemble=cfg.ensemble,
    )


def _home(cfg: Config, arm: RealArm | None) -> Callable[[], str] | None:
    """The way to the start pose; a simulated arm is put there by its reset."""
    way = cfg.home
    return None if arm is None or way == "none" else lambda: arm.go_home(way)


def _tell(cfg: Config, book: Logbook, look: FirstLook, stage: Stage, watching: Watching) -> None:
    from vibrissa.bench.logbook import summary_of, told_of
    from vibrissa.control.meter import Meter

    if cfg.json:
        told = summary_of(book.rows)
        films = [str(film) for film in watching.films]
        counts = {"success": told.success, "episodes": told.episodes, "rollouts": len(book.rows)}
        more = {"first_look": look.to_dict(), "films": films, "out": str(book.folder)}
        print(json_.dumps({**counts, **told.to_dict(), **more}, indent=2))
        return
    print(f"success {told_of(book.rows)}")
    late = sum(row.late for row in book.rows)
    if late:
        print(f"late    {late} ticks had no action yet and repeated the last one")
    if isinstance(stage.laps, Meter):
        print(f"timing  {stage.laps.whole().told()}")
    if cfg.record is not None:
        print(f"dataset {cfg.record}")
    for film in watching.films:
        print(f"film    {film}")
    print(f"report  {book.folder / 'report.html'}")


def _end(ending: Ending, watching: Watching) -> int:
    """Exit code 0, or raise what ended it: cli.main tells it in a line."""
    if ending.interrupted:
        raise KeyboardInterrupt
    if ending.trouble is not None:
        raise ending.trouble
    troubles = watching.camcorder.troubles if watching.camcorder is not None else []
    if troubles:
        raise UsageError(" ".join(troubles))
    return 0
