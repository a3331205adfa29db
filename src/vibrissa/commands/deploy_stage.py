"""What `vibrissa deploy` needs on the table: arm, judge, films, recorder, and a first look."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
    from vibrissa.bench.order import Order
    from vibrissa.bench.verdicts import Judge, Watched
    from vibrissa.commands.deploy import Config
    from vibrissa.control.keys import Keys
    from vibrissa.core.contract import Contract
    from vibrissa.core.protocols import Arm, Observer, Pilot, Task
    from vibrissa.data.recorder import Recorder
    from vibrissa.learn.policy import CheckpointPolicy
    from vibrissa.real.arm import RealArm
    from vibrissa.real.rig import Rig
    from vibrissa.show.camcorder import Camcorder

Say = Callable[[str], None]

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


def make_desk(cfg: Config, rig: Rig, policies: Sequence[CheckpointPolicy], say: Say) -> Desk:
    """The arm is not yet connected: whatever is wrong with a judge is told before it is."""
    from vibrissa.bench.verdicts import load_judge

    judge = load_judge(cfg.judge) if cfg.judge else None
    return replace(_bare(cfg, rig, _wanted(policies), say), judge=judge)


def _wanted(policies: Sequence[CheckpointPolicy]) -> Contract:
    """What the first policy wants, with the cameras that any of them looks through."""
    first = policies[0].contract
    cameras = {camera.name: camera for p in reversed(policies) for camera in p.contract.cameras}
    return replace(first, cameras=tuple(cameras.values()))


def _bare(cfg: Config, rig: Rig, wanted: Contract, say: Say) -> Desk:
    if rig.arm.kind != "simulated":
        if cfg.fast or cfg.task:
            flag = "--fast" if cfg.fast else f"--task {cfg.task}"
            raise UsageError(f"{flag} is for the simulated arm; {cfg.config} names a real one.")
        arm = _real(cfg, rig, wanted, say)
        return Desk(arm, real=arm)
    return _simulated(cfg, wanted)


def _simulated(cfg: Config, wanted: Contract) -> Desk:
    """The simulated arm with the cameras that the policy and the film want, and its judge."""
    from vibrissa.bench.setups import place_for
    from vibrissa.sim import gl
    from vibrissa.sim.arm import SimArm
    from vibrissa.sim.tasks import make_task

    place = place_for(wanted, task=cfg.task)
    cameras = place.cameras
    if cfg.video:
        own = tuple(camera.name for camera in place.scene.cameras)
        filmed = cfg.film or (() if cameras else own)
        cameras = (*cameras, *(name for name in filmed if name not in cameras))
    if cameras:
        gl.require()
    return Desk(SimArm(place.scene, cameras=cameras), make_task(place.task, place.scene))


def _real(cfg: Config, rig: Rig, wanted: Contract, say: Say) -> RealArm:
    """The rig's arm, not yet connected, at the checkpoint's rate.

    A camera that the policy does not look through may be missing, unless it is to be recorded.
    """
    from vibrissa.commands.rigs import make_real

    if cfg.record is None:
        cameras = [
            replace(camera, optional=camera.optional or not _looked_through(camera.name, wanted))
            for camera in rig.cameras
        ]
        rig = replace(rig, cameras=tuple(cameras))
    return make_real(rig, rate_hz=wanted.rate_hz, instruction=wanted.instruction, say=say)


def _looked_through(camera: str, wanted: Contract) -> bool:
    return camera in wanted.camera_names or depth_name(camera) in wanted.camera_names


def require_horizon(cfg: Config, policies: Sequence[CheckpointPolicy]) -> None:
    """Raise UsageError where --horizon is longer than a policy's chunks."""
    for policy in policies:
        asked, most = cfg.horizon if cfg.horizon is not None else policy.horizon, policy.chunk
        if not 1 <= asked <= most:
            raise UsageError(
                f"--horizon {asked}: this checkpoint's chunks have 1 to {most} actions."
            )


def make_book(cfg: Config, policies: Sequence[CheckpointPolicy], desk: Desk) -> Logbook:
    from vibrissa.bench.logbook import Logbook
    from vibrissa.bench.trials import weights_of
    from vibrissa.commands.deploy import options_of
    from vibrissa.learn.run import pretrained_folder

    policy, pretrained = policies[0], pretrained_folder(cfg.checkpoint).resolve()
    told = {
        "checkpoint": str(pretrained),
        "weights": weights_of(pretrained),
        "arm": desk.arm.contract.digest,
        "task": desk.task.name if desk.task else cfg.judge or "watched",
        "instruction": policy.contract.instruction,
        "horizon": cfg.horizon or policy.horizon,
        "ensemble": cfg.ensemble,
        "grip": str(options_of(cfg).grip) or None,
        "judge": cfg.judge or None,
        "seconds": cfg.seconds,
        "seeds": cfg.seeds if desk.task else None,
    }
    if cfg.against is not None:
        other = pretrained_folder(cfg.against).resolve()
        told["against"], told["against_weights"] = str(other), weights_of(other)
        told["against_contract"] = policies[1].contract.to_dict()
    out = cfg.out or Path(time.strftime("deploy-%Y%m%d-%H%M%S"))
    return Logbook(out, told, policy.contract)


def make_order(cfg: Config, book: Logbook) -> Order | None:
    """Who drives when, of two policies."""
    from vibrissa.bench.order import ORDER, take_order

    if cfg.against is None:
        return None
    if book.rows and not (book.folder / ORDER).is_file():
        raise UsageError(f"{book.folder} has lost its {ORDER}: nobody knows who drove in it.")
    return take_order(book.folder, cfg.rollouts, cfg.order_seed)


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
        camcorder = Camcorder(book.film, frame, microphone=microphone, say=say)
    if cfg.record is not None:
        from vibrissa.data.recorder import Recorder

        patience_s = 60.0 if cfg.fast else 0.0
        session = {"checkpoint": str(cfg.checkpoint), **_noted(desk)}
        if cfg.against is not None:
            session["against"] = str(cfg.against)
        recorder = opened.enter_context(
            Recorder(cfg.record, patience_s=patience_s, session=session, say=say)
        )
    return Watching(camcorder, recorder)


def _noted(desk: Desk) -> dict[str, str]:
    """What the rig says of the day."""
    rig = desk.real.rig if desk.real is not None else None
    return {} if rig is None else {"operator": rig.operator, "light": rig.light}


def take_looks(
    cfg: Config, policies: Sequence[CheckpointPolicy], arm: Arm, book: Logbook, say: Say
) -> list[FirstLook]:
    """A first observation and what each policy makes of it, told; refused where it is absurd.

    What is fed beyond what a policy was trained on is a warning, here and in the report.
    """
    from vibrissa.bench.first_look import odd_at_first, take_look

    arm.reset(cfg.seeds)
    observation = arm.observe()
    looks, odd = [], []
    for policy, name in zip(policies, ("A", "B"), strict=False):
        who = f"{name}: " if len(policies) > 1 else ""
        looks.append(take_look(policy, arm.contract, observation, accept=cfg.accept, say=say))
        told = [f"{who}{line}" for line in odd_at_first(policy, [observation])]
        for line in told:
            say(f"warning {line}")
        odd += told
    if odd:
        book.caution(odd)
    return looks


def make_stages(
    cfg: Config,
    policies: Sequence[CheckpointPolicy],
    desk: Desk,
    keys: Keys,
    looks: Sequence[FirstLook],
    watching: Watching,
    say: Say,
) -> list[Stage]:
    """One for each policy; arm, clock, keys and observers are the same."""
    from vibrissa.bench.deployment import Stage
    from vibrissa.control.clock import WallClock
    from vibrissa.control.keys import NoKeys
    from vibrissa.control.meter import Meter

    rate_hz = policies[0].contract.rate_hz
    waits = desk.real is not None and cfg.reset_seconds is None and not isinstance(keys, NoKeys)
    first = Stage(
        desk.arm,
        policies[0],
        _pilot(cfg, policies[0], desk.arm.contract, looks[0]),
        _task(cfg, policies[0], desk, keys),
        keys,
        clock=None if cfg.fast else WallClock(rate_hz),
        laps=None if cfg.fast else Meter(rate_hz),
        observers=watching.observers,
        behind=not cfg.fast,
        home=_home(cfg, desk.real, say),
        reset_s=cfg.reset_seconds or 0.0,
        waits=waits,
    )
    others = [
        replace(
            first,
            policy=policy,
            pilot=_pilot(cfg, policy, desk.arm.contract, look),
            task=_task(cfg, policy, desk, keys),
        )
        for policy, look in zip(policies[1:], looks[1:], strict=True)
    ]
    return [first, *others]


def _task(cfg: Config, policy: CheckpointPolicy, desk: Desk, keys: Keys) -> Watched:
    """Who judges a rollout of this policy, and that it sees what it looks through."""
    from vibrissa.bench.verdicts import Sight, Watched
    from vibrissa.commands.policy_pilot import BLIND_S

    rate_hz, looks = policy.contract.rate_hz, policy.contract.camera_names
    own = desk.task.max_ticks if desk.task is not None else round(SECONDS * rate_hz)
    ticks = own if cfg.seconds is None else max(1, round(cfg.seconds * rate_hz))
    return Watched(
        desk.task.name if desk.task is not None else "watched",
        policy.contract.instruction,
        ticks,
        keys,
        judge=desk.judge,
        task=desk.task,
        sight=None if "sight" in cfg.accept else Sight(looks, round(BLIND_S * rate_hz)),
    )


def _pilot(cfg: Config, policy: CheckpointPolicy, arm: Contract, look: FirstLook) -> Pilot:
    """Who plays the chunks, and asks early enough for the next one."""
    from vibrissa.bench.first_look import timely
    from vibrissa.bench.options import grip_of
    from vibrissa.control.grip import OtherGrip
    from vibrissa.control.pilots import ChunkPlayer

    horizon = cfg.horizon if cfg.horizon is not None else policy.horizon
    lead, kept = 0, horizon
    if not cfg.fast and cfg.ensemble is None:
        lead, kept = timely(look, policy, horizon)
    player = ChunkPlayer(
        kept,
        history=policy.history,
        cameras=policy.contract.camera_names,
        lead=lead,
        ensemble=cfg.ensemble,
    )
    change = grip_of(cfg.grip)
    return OtherGrip(player, change, arm) if change.is_on else player


def _home(cfg: Config, arm: RealArm | None, say: Say) -> Callable[[], str] | None:
    """The way to the start pose; a simulated arm is put there by its reset."""
    way = cfg.home
    if arm is None or way == "none":
        return None
    if arm.rig.home_deg is None:
        say("the rig names no home_deg: rollouts begin where the arm stands")
        return None
    return lambda: arm.go_home(way)
