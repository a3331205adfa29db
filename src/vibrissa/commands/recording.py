"""A recording session at an arm that somebody leads: real, twin, or simulated in real time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vibrissa.commands import going_on
from vibrissa.commands.checked import check_leader
from vibrissa.commands.policy_pilot import fitting_policy, policy_lead, sight_of
from vibrissa.commands.rigs import (
    LEADERS,
    Home,
    Lead,
    Say,
    Stand,
    live_view,
    make_real,
    open_leader,
    replay_lead,
    require_keys,
)
from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.commands.record import Config
    from vibrissa.commands.targeted import Course, Putting
    from vibrissa.control.keys import Keys
    from vibrissa.control.paced import Paced
    from vibrissa.control.session import HumanTask, Session, Tally
    from vibrissa.core.protocols import Observer, Task
    from vibrissa.data.recorder import Recorder
    from vibrissa.learn.policy import CheckpointPolicy
    from vibrissa.real.rig import Rig
    from vibrissa.show.status import StatusLine

SECONDS, RESET_S = 30.0, 10.0
OTHERS = ("zero", "replay", "policy")  # who leads an arm beside a person


@dataclass(frozen=True)
class Sat:
    """What a session came to. there: episodes that the set held before."""

    out: Path
    episodes: int
    frames: int
    discarded: int
    wall_s: float
    there: int = 0
    broken: bool = False
    faults: tuple[str, ...] = ()
    left: int = 0
    timing: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {**{k: v for k, v in self.__dict__.items() if k != "lines"}, "out": str(self.out)}

    def told(self) -> str:
        more = f" (+ {self.there} that were there)" if self.there else ""
        again = f", {self.discarded} left out" if self.discarded else ""
        told = [*self.lines]
        if self.left:
            told.append(_left_told(self.left, self.out))
        told.append(
            f"{self.episodes} episodes{more}, {self.frames} frames{again}, "
            f"in {self.wall_s:.0f} s: {self.out}"
        )
        return "\n".join(told)


def _left_told(left: int, out: Path) -> str:
    return f"{left} broken off and kept in the journal: vibrissa data recover {out}"


def record_at_arm(cfg: Config, rig: Rig, simulated: Callable[[], tuple[Stand, Task]] | None) -> Sat:
    """Record as `cfg` says at the arm of `rig`, or at the one that `simulated` makes.

    Raises a VibrissaError where it cannot begin, and an ArmFault that nobody is there to mend;
    whatever ends it, every finished episode is in the dataset.
    """
    from vibrissa.control.keys import open_keys
    from vibrissa.control.session import ANY_KEY_TOLD, KEYS_TOLD
    from vibrissa.show.status import StatusLine

    began_s = time.monotonic()
    _check(cfg, rig)
    told = {"episode": KEYS_TOLD, "reset": ANY_KEY_TOLD}
    with ExitStack() as opened:
        status = opened.enter_context(StatusLine(keys=told))
        stand, task = _stand(cfg, rig, status.say, simulated)
        there = going_on.there(cfg, stand.arm.contract, status.say)
        course = _course(cfg, stand)
        if not (course.to_come if course else going_on.to_come(cfg, there)):
            status.say(f"{cfg.out} holds {there} episodes; 0 are to come.")
            return Sat(cfg.out, 0, 0, 0, 0.0, there)
        keys = opened.enter_context(open_keys(tell=status.say))
        require_keys(cfg.pilot, keys)
        watching = (status, *live_view(cfg.live, cfg.live_file, opened))
        policy = None if cfg.checkpoint is None else fitting_policy(cfg, stand.arm.contract)
        _connect(cfg, rig, stand, opened, status.say)
        sitting = _sit(cfg, rig, stand, task, policy, keys, status, watching, course, opened)
        there = going_on.stored(cfg)  # what a kill left of finished episodes is stored by now
        course = _course(cfg, stand)
        sitting.put.follow(course)
        to_come = course.to_come if course else going_on.to_come(cfg, there)
        if there:
            status.say(f"{cfg.out} holds {there} episodes; {to_come} are to come.")
        tally = sitting.run(to_come, there)
        lines = tuple(sitting.paced.told())
        timing = sitting.paced.meter.whole().to_dict()
    recorder = sitting.recorder
    return Sat(
        cfg.out,
        recorder.kept,
        recorder.frames,
        recorder.discarded,
        time.monotonic() - began_s,
        there,
        tally.broken,
        tally.faults,
        recorder.left,
        timing,
        lines,
    )


@dataclass(frozen=True)
class _Sitting:
    """Everything that a session needs, opened."""

    session: Session
    paced: Paced
    recorder: Recorder
    put: Putting
    seeds: int

    def run(self, to_come: int, there: int) -> Tally:
        from vibrissa.control.session import Plan

        return self.session.run(Plan(to_come, there, self.seeds + there))


def _check(cfg: Config, rig: Rig) -> None:
    """What can be said before anything is opened."""
    who = cfg.pilot
    known = (*LEADERS, *OTHERS)
    if who not in known:
        where = "a real arm" if rig.arm.kind != "simulated" else "an arm in real time"
        why = {
            "expert": " The expert reads where things lie, which only a simulated arm tells.",
            "random": " The random pilot would swing it anywhere within its limits.",
        }
        raise UsageError(
            f"no pilot {who!r} for {where}.{why.get(who, '')} There is: {', '.join(known)}."
        )
    if (cfg.replay is None) != (who != "replay"):
        raise UsageError("--pilot replay and --replay DATASET go together.")
    if cfg.accept and who != "policy":
        raise UsageError("--accept is for --pilot policy.")
    if (cfg.checkpoint is None) != (who != "policy"):
        raise UsageError("--pilot policy and --checkpoint RUN go together.")
    if rig.arm.kind != "simulated" and not cfg.instruction:
        raise UsageError(
            "say what is done, in words that a policy may be told later: --instruction "
            "'Pick up the block and place it in the bowl', or instruction: in the file."
        )
    for name in ("seconds", "rate"):
        value = getattr(cfg, name)
        if value is not None and not 0 < value < 10_000:
            raise UsageError(f"--{name} {value:g}: more than 0 and less than 10000.")
    if cfg.rate is not None and not cfg.rate.is_integer():
        told = "a whole number, such as 30: LeRobot stores whole frames a second"
        raise UsageError(f"--rate {cfg.rate:g}: {told}.")
    if cfg.reset_seconds is not None and not 0 <= cfg.reset_seconds < 10_000:
        raise UsageError(f"--reset-seconds {cfg.reset_seconds:g}: at least 0, less than 10000.")
    if cfg.resume and cfg.top_up is not None:
        raise UsageError("--resume goes up to --episodes, --top-up adds some: say one of them.")
    if cfg.top_up is not None and cfg.top_up < 1:
        raise UsageError(f"--top-up {cfg.top_up}: at least 1.")


def _stand(
    cfg: Config,
    rig: Rig,
    say: Say,
    simulated: Callable[[], tuple[Stand, Task]] | None,
) -> tuple[Stand, Task | None]:
    """The arm, not yet connected, and who judges on it beside a person."""
    if simulated is not None:
        return simulated()
    home = _home(cfg, rig)
    arm = make_real(
        rig,
        rate_hz=cfg.rate or 30.0,
        instruction=cfg.instruction,
        home="none" if cfg.pilot in LEADERS else home,
        say=say,
        led=cfg.pilot == "leader",
    )
    return Stand(arm, real=arm), None


def _course(cfg: Config, stand: Stand) -> Course | None:
    """The file of targets, as far as it is still to be recorded; None without one."""
    from vibrissa.commands.targeted import course_of, plan_of
    from vibrissa.sim.arm import SimArm

    if cfg.targets is None:
        return None
    simulated = stand.arm if isinstance(stand.arm, SimArm) else None
    plan = plan_of(cfg.targets, simulated.cfg if simulated else None)
    return course_of(cfg, plan, simulated.scene if simulated else None)


def _connect(cfg: Config, rig: Rig, stand: Stand, opened: ExitStack, say: Say) -> None:
    """Open the arm until `opened` is closed; where somebody leads, it goes home now."""
    if stand.real is None:
        opened.callback(stand.arm.close)
        return
    if cfg.pilot == "leader":
        check_leader(rig)
    opened.enter_context(stand.real)
    home = _home(cfg, rig)
    if cfg.pilot in LEADERS and home != "none":
        trouble = stand.real.go_home(home)
        if trouble:
            say(trouble)


def _home(cfg: Config, rig: Rig) -> Home:
    """As it was asked for; by default only where nobody leads, and the file names a pose."""
    home: Home = "none" if cfg.pilot in LEADERS or rig.home_deg is None else "staged"
    home = home if cfg.home is None else cfg.home
    if home != "none" and rig.home_deg is None:
        raise UsageError(
            f"--home {home}, but the file names no home_deg. Put the pose into it, or say --home "
            "none."
        )
    return home


def _lead(
    cfg: Config,
    rig: Rig,
    stand: Stand,
    policy: CheckpointPolicy | None,
    keys: Keys,
    opened: ExitStack,
    say: Say,
) -> Lead:
    from vibrissa.control.pilots import Zero

    who = cfg.pilot
    if who in LEADERS:
        return open_leader(rig, who, stand, keys, opened, say)
    if policy is not None:
        return policy_lead(policy, stand, keys, seed=cfg.seeds, accept=cfg.accept, say=say)
    if who == "replay":
        assert cfg.replay is not None
        return replay_lead(cfg.replay, cfg.replay_episode, keys)
    return Lead(Zero(), keys)


def _sit(
    cfg: Config,
    rig: Rig,
    stand: Stand,
    task: Task | None,
    policy: CheckpointPolicy | None,
    keys: Keys,
    status: StatusLine,
    watching: Sequence[Observer],
    course: Course | None,
    opened: ExitStack,
) -> _Sitting:
    """Pilot, judge, recorder and view around the arm."""
    from vibrissa.commands.targeted import Putting
    from vibrissa.control.paced import Paced
    from vibrissa.control.session import HumanTask, Interlude, Session

    lead = _lead(cfg, rig, stand, policy, keys, opened, status.say)
    keys = lead.rest
    if lead.told:
        status.say(lead.told)
    paced = Paced(stand.arm, lead.pilot, policy=lead.policy, watching=watching)
    rate_hz, own_s = paced.rate_hz, SECONDS
    if task is not None:
        own_s = task.max_ticks / rate_hz
    judge = HumanTask(
        cfg.instruction or (task.instruction if task else ""),
        seconds=cfg.seconds or own_s,
        rate_hz=rate_hz,
        keys=keys,
        name=cfg.task or (task.name if task else "teleop"),
        also=task or (sight_of(policy, cfg.accept) if policy is not None else None),
    )
    reset_s = cfg.reset_seconds
    if reset_s is None:
        reset_s = RESET_S if stand.real is not None else 0.0
    recorder = _recorder(cfg, rig, stand, judge, course, status.say)
    put = Putting(stand.arm, status.say, status.announce)

    def broken_off(_kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None and recorder.left:
            status.say(_left_told(recorder.left, cfg.out))

    opened.push(broken_off)  # heard after the recorder has closed
    opened.enter_context(recorder)

    def reconnect() -> None:
        lead.part()
        stand.arm.reset(cfg.seeds)
        lead.pilot.reset(cfg.seeds)

    session = Session(
        paced.play,
        judge,
        [recorder],
        keys=keys,
        saved=lambda: recorder.kept,
        tell=status.say,
        interlude=Interlude(seconds=reset_s, rate_hz=rate_hz, keys=keys) if reset_s else None,
        pause=paced.pause,
        reconnect=reconnect if stand.real is not None else None,
        announce=put.announce,
    )
    return _Sitting(session, paced, recorder, put, cfg.seeds)


def _recorder(
    cfg: Config, rig: Rig, stand: Stand, judge: HumanTask, course: Course | None, say: Say
) -> Recorder:
    """Into the journal and the set. A real arm does not wait for an encoder that is behind."""
    from vibrissa.data.film import check_size
    from vibrissa.data.recorder import Recorder

    for camera in stand.arm.contract.cameras:
        check_size(camera)
    session: dict[str, Any] = {
        "operator": cfg.operator or rig.operator,
        "light": cfg.light or rig.light,
        "pilot": cfg.pilot,
        "arm": rig.arm.kind,
        "seconds": judge.seconds,
    }
    if stand.real is not None:
        session |= {"arm_id": rig.arm.id, "cameras": stand.real.cameras.settings}
    if course is not None:
        session |= course.session()
    return Recorder(
        cfg.out,
        keep=judge.wanted,
        patience_s=0.0 if stand.real is not None else 60.0,
        session=session,
        extend=going_on.extends(cfg),
        recalibrated=cfg.recalibrated,
        say=say,
    )
