"""Let a checkpoint drive an arm: the real one, its twin, or the simulated one in real time.

Everything that can be said beforehand is said before anything moves: what the checkpoint is,
whether it fits this arm, how fast it answers and how far it would go. A row for every rollout is
on the disk before the next one begins, in the form of vibrissa eval. docs/deploy.md tells more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from vibrissa.core.errors import UsageError
from vibrissa.core.seeds import HELD_OUT

if TYPE_CHECKING:
    from vibrissa.bench.deployment import Ending
    from vibrissa.bench.options import PilotOptions
    from vibrissa.commands.deploy_stage import Watching
    from vibrissa.real.rig import Rig


LONGEST_S = 86_400.0  # a rollout of more than a day is a mistake


@dataclass(frozen=True)
class Config:
    checkpoint: Positional[Path]
    """A run folder (its latest checkpoint), a checkpoint, or a pretrained_model folder."""
    against: Path | None = None
    """A second policy: both drive in turn from the same placements, and who drives is told when
    all rollouts have their verdict."""
    config: Path | None = None
    """The rig: a YAML file that names arm and cameras, as vibrissa setup and twin write it. Any
    of these options may stand in it too; a flag goes before it."""
    arm: Literal["", "simulated"] = ""
    """simulated: the arm of --task, in real time. By default the arm that --config names."""
    task: str = ""
    """Of the simulated arm: a task by name, or a file; by default the checkpoint's own."""
    rollouts: int = 10
    """How many the folder is to hold, of each policy; one that holds some is gone on with."""
    seconds: float | None = None
    """The time limit of a rollout; by default the task's own, or 30 s on a real arm."""
    seeds: int = HELD_OUT
    """Of the simulated arm: the first seed; the others follow it."""
    horizon: int | None = None
    """How many actions of each chunk are executed; the checkpoint's own number by default."""
    ensemble: float | None = None
    """Ask at every tick and weigh all chunks by exp(-this × n), the oldest n = 0; such as 0.01."""
    grip: str = ""
    """Another grip, as in vibrissa eval: offset=-0.05,min=0.02,clip=0.1:1.2, or some of them."""
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
    order_seed: int | None = None
    """With --against: what the order is drawn from; by default nobody knows it."""
    reveal: bool = False
    """With --against: tell who drove when this call ends, whatever is still to be tried or said."""
    dataset: Path | None = None
    """What a checkpoint without a contract was trained on; its meta folder is enough."""
    accept_inferred: tuple[str, ...] = ()
    """Take the contract that was inferred of it and shown, by its digest."""
    given: tuple[str, ...] = ()
    """What you know of a checkpoint without a contract: unit=m100_100, rate=15, instruction=…"""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto takes a GPU where there is one."""
    fast: bool = False
    """Simulated arm only: not in real time, inference within the tick, as in vibrissa eval."""
    out: Path | None = None
    """The folder for results and films; by default deploy-DATE-TIME."""
    json: bool = False
    """Print the result as JSON."""


def defaults(args: Sequence[str]) -> Config | None:
    """What the file of --config says beside the rig."""
    from vibrissa.commands.config_file import defaults_from
    from vibrissa.real.rig import RIG_KEYS

    return defaults_from(Config, args, beside=RIG_KEYS)


def run(cfg: Config) -> int:
    from vibrissa.bench.blind import name_players
    from vibrissa.bench.deployment import deploy
    from vibrissa.bench.first_look import require_fit
    from vibrissa.commands import deploy_stage as on
    from vibrissa.commands.deploy_turns import filming, load_policies, make_turns, noting, tell
    from vibrissa.control.keys import open_keys

    _check(cfg)
    rig = _rig(cfg)
    say = _say_to(sys.stderr if cfg.json else sys.stdout)
    policies = load_policies(cfg, say)
    on.require_horizon(cfg, policies)
    desk = on.make_desk(cfg, rig, policies, say)
    for policy in policies:
        require_fit(policy.contract, desk.arm.contract, accept=cfg.accept)
        policy.fit(desk.arm.contract)
    with ExitStack() as opened:
        book = on.make_book(cfg, policies, desk)
        if book.cut:
            say(f"warning {book.cut}")
        order = on.make_order(cfg, book)
        book.plan(cfg.rollouts * len(policies))
        watching = on.make_watching(cfg, desk, book, opened, say)
        opened.enter_context(desk.real if desk.real is not None else closing(desk.arm))
        looks = on.take_looks(cfg, policies, desk.arm, book, say)
        keys = opened.enter_context(open_keys(tell=say))
        stages = on.make_stages(cfg, policies, desk, keys, looks, watching, say)
        turns = make_turns(cfg, desk, stages, order, say)
        if watching.camcorder is not None:
            turns = filming(turns, watching.camcorder)
        if watching.recorder is not None:
            turns = noting(cfg, turns, order, book, watching.recorder)
        ending = deploy(stages[0], book, cfg.rollouts * len(stages), turns=turns, say=say)
        tell(cfg, book, looks, stages[0], watching)  # before the arm is left, which may fail
    if order is not None:
        name_players(book.folder)  # when the recorder is done with its notes
    return _end(ending, watching)


def options_of(cfg: Config) -> PilotOptions:
    """How the policies are played. Raises UsageError."""
    from vibrissa.bench.options import PilotOptions, grip_of

    return PilotOptions(cfg.horizon, cfg.ensemble, grip_of(cfg.grip))


def _check(cfg: Config) -> None:
    """What can be said before anything is loaded."""
    if cfg.config is None and not cfg.arm:
        raise UsageError(
            "say which arm: --config rig.yaml for a real one or the twin (see vibrissa setup, "
            "vibrissa twin), or --arm simulated."
        )
    if cfg.rollouts < 1 or (cfg.seconds is not None and cfg.seconds <= 0):
        raise UsageError(f"--rollouts {cfg.rollouts} --seconds {cfg.seconds}: both more than 0.")
    for name, given in (("seconds", cfg.seconds), ("reset-seconds", cfg.reset_seconds)):
        if given is not None and not 0 <= given <= LONGEST_S:
            raise UsageError(f"--{name} {given:g}: a number of seconds up to {LONGEST_S:g}.")
    options_of(cfg)
    if cfg.microphone and not cfg.video:
        raise UsageError("--microphone without --video: sound goes with films.")
    if cfg.against is None and (cfg.reveal or cfg.order_seed is not None):
        raise UsageError("--reveal and --order-seed are for two policies: --against CHECKPOINT.")
    if cfg.film and not cfg.video:
        raise UsageError("--film without --video: say --video to film.")


def _say_to(stream: Any) -> Callable[[str], None]:
    return lambda line: print(line, file=stream, flush=True)


def _rig(cfg: Config) -> Rig:
    """The desk that --config describes, the cameras of --no-camera left out."""
    from vibrissa.commands.config_file import read_file
    from vibrissa.real.rig import RIG_KEYS, Rig, rig_from

    if cfg.config is None or cfg.arm == "simulated":
        return Rig()
    file = read_file(cfg.config, Config, RIG_KEYS)
    found = {name: entry for name, entry in file.entries.items() if name in RIG_KEYS}
    rig = rig_from(found, file.folder)
    have = [camera.name for camera in rig.cameras]
    unknown = [name for name in cfg.no_camera if name not in have]
    if unknown:
        there = ", ".join(have) or "none"
        raise UsageError(f"--no-camera {' '.join(unknown)}: the rig has: {there}.")
    kept = tuple(camera for camera in rig.cameras if camera.name not in cfg.no_camera)
    return replace(rig, cameras=kept)


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
