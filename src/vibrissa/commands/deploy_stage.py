"""What `vibrissa deploy` needs on the table: arm, judge, films, recorder, and a first look."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vibrissa.core.contract import depth_name
from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.bench.deployment import Stage
    from vibrissa.bench.first_look import FirstLook
    from vibrissa.bench.logbook import Logbook
    from vibrissa.bench.verdicts import Judge
    from vibrissa.commands.deploy import Config
    from vibrissa.control.keys import Keys
    from vibrissa.control.pilots import ChunkPlayer
    from vibrissa.core.contract import Contract
    from vibrissa.core.protocols import Arm, Observer, Task
    from vibrissa.data.recorder import Recorder
    from vibrissa.learn.policy import CheckpointPolicy
    from vibrissa.real.arm import RealArm
    from vibrissa.real.rig import Rig
    from vibrissa.show.camcorder import Camcorder

Say = Callable[[str], None]

BLIND_S = 1.0  # so long may a camera show nothing of use while a policy looks through it
SECONDS = 30.0  # of a rollout on an arm whose task sets no limit


@dataclass(frozen=True)
class Desk:
    """The arm, and what judges on it: a simulated one brings its task, and any may be given one."""

    arm: Arm
    task: Task | None = None
    real: RealArm | None = None
    judge: Judge | None = None


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


def make_desk(cfg: Config, rig: Rig, policy: CheckpointPolicy, say: Say) -> Desk:
    """The arm is not yet connected: whatever is wrong with a judge is told before it is."""
    from vibrissa.bench.verdicts import load_judge

    judge = load_judge(cfg.judge) if cfg.judge else None
    return replace(_bare(cfg, rig, policy, say), judge=judge)


def _bare(cfg: Config, rig: Rig, policy: CheckpointPolicy, say: Say) -> Desk:
    if rig.arm.kind != "simulated":
        if cfg.fast or cfg.task:
            flag = "--fast" if cfg.fast else f"--task {cfg.task}"
            raise UsageError(f"{flag} is for the simulated arm; {cfg.config} names a real one.")
        arm = _real(cfg, rig, policy, say)
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


def first_seed(cfg: Config, desk: Desk) -> int:
    return cfg.seeds if desk.real is None else 0


def _real(cfg: Config, rig: Rig, policy: CheckpointPolicy, say: Say) -> RealArm:
    """The rig's arm, not yet connected, at the checkpoint's rate.

    A camera that the policy does not look through may be missing, unless it is to be recorded.
    """
    from vibrissa.real.arm import RealArm

    wanted = policy.contract
    if cfg.record is None:
        cameras = [
            replace(camera, optional=camera.optional or not _looked_through(camera.name, wanted))
            for camera in rig.cameras
        ]
        rig = replace(rig, cameras=tuple(cameras))
    return RealArm(rig, wanted.rate_hz, instruction=wanted.instruction, say=say)


def _looked_through(camera: str, wanted: Contract) -> bool:
    return camera in wanted.camera_names or depth_name(camera) in wanted.camera_names


def make_book(cfg: Config, policy: CheckpointPolicy, desk: Desk) -> Logbook:
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


def make_watching(cfg: Config, desk: Desk, book: Logbook, opened: ExitStack, say: Say) -> Watching:
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
        session = {"checkpoint": str(cfg.checkpoint), **_noted(desk)}
        recorder = opened.enter_context(
            Recorder(cfg.record, patience_s=patience_s, session=session)
        )
    return Watching(camcorder, recorder)


def _noted(desk: Desk) -> dict[str, str]:
    """What the rig says of the day."""
    rig = desk.real.rig if desk.real is not None else None
    return {} if rig is None else {"operator": rig.operator, "light": rig.light}


def take_look(cfg: Config, policy: CheckpointPolicy, arm: Arm, say: Say) -> FirstLook:
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


def make_stage(
    cfg: Config,
    policy: CheckpointPolicy,
    desk: Desk,
    keys: Keys,
    look: FirstLook,
    watching: Watching,
    say: Say,
) -> Stage:
    from vibrissa.bench.deployment import Stage
    from vibrissa.bench.verdicts import Sight, Watched
    from vibrissa.control.clock import WallClock
    from vibrissa.control.keys import NoKeys
    from vibrissa.control.meter import Meter

    arm, rate_hz, looks = desk.arm, policy.contract.rate_hz, policy.contract.camera_names
    own = desk.task.max_ticks if desk.task is not None else round(SECONDS * rate_hz)
    ticks = own if cfg.seconds is None else max(1, round(cfg.seconds * rate_hz))
    task = Watched(
        desk.task.name if desk.task is not None else "watched",
        policy.contract.instruction,
        ticks,
        keys,
        judge=desk.judge,
        task=desk.task,
        sight=None if "sight" in cfg.accept else Sight(looks, round(BLIND_S * rate_hz)),
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
        home=_home(cfg, desk.real, say),
        reset_s=cfg.reset_seconds or 0.0,
        waits=waits,
    )


def _pilot(cfg: Config, policy: CheckpointPolicy, look: FirstLook) -> ChunkPlayer:
    """Who plays the chunks, and asks early enough for the next one."""
    from vibrissa.bench.first_look import executed, lead_ticks
    from vibrissa.control.pilots import ChunkPlayer

    horizon, most = cfg.horizon if cfg.horizon is not None else policy.horizon, policy.chunk
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


def _home(cfg: Config, arm: RealArm | None, say: Say) -> Callable[[], str] | None:
    """The way to the start pose; a simulated arm is put there by its reset."""
    way = cfg.home
    if arm is None or way == "none":
        return None
    if arm.rig.home_deg is None:
        say("the rig names no home_deg: rollouts begin where the arm stands")
        return None
    return lambda: arm.go_home(way)
