"""From the options of `vibrissa eval` to a trial: who is judged where."""

from __future__ import annotations

import sys
from dataclasses import MISSING, fields, replace
from functools import partial
from typing import TYPE_CHECKING

from vibrissa.core.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from vibrissa.bench.options import PilotOptions
    from vibrissa.bench.outcomes import Row
    from vibrissa.bench.setups import Place
    from vibrissa.bench.trials import Trial
    from vibrissa.commands.eval import Config
    from vibrissa.core.contract import Contract
    from vibrissa.learn.policy import CheckpointPolicy

# What may be said beside --from; everything else comes from there.
BESIDE_FROM = ("checkpoint", "again", "only_seed", "device", "video", "rollouts", "snapshots")
BESIDE_FROM += ("snapshots_every", "slots", "workers", "fleet", "out", "json")
BESIDE_FROM += ("alone",)


def check(cfg: Config) -> None:
    """What can be said before anything is built. Raises UsageError."""
    from vibrissa.commands.eval import SWEEPS

    if cfg.again is not None:
        _check_again(cfg)
    else:
        _check_who(cfg)
    if cfg.episodes < 1 or cfg.seeds < 0 or min(cfg.only_seed, default=0) < 0:
        raise UsageError(f"--episodes {cfg.episodes} --seeds {cfg.seeds}: want at least 1 and 0.")
    if cfg.slots < 0 or cfg.workers < 0:
        raise UsageError(f"--slots {cfg.slots} --workers {cfg.workers}: 0 for what suits, or more.")
    if len(set(cfg.only_seed)) < len(cfg.only_seed):
        raise UsageError("--only-seed: the same seed twice.")
    if cfg.snapshots_every < 1:
        raise UsageError(f"--snapshots-every {cfg.snapshots_every}: at least 1 tick.")
    asked = [name for name in SWEEPS if getattr(cfg, name)]
    if len(asked) > 1:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise UsageError(f"{flags}: one of them at a time.")
    _check_folders(cfg, sweeps=bool(asked))


def several_checkpoints(cfg: Config) -> list[Path]:
    """The checkpoints of the run, oldest first. Raises CheckpointError where it has no two."""
    from vibrissa.learn.run import checkpoints_of

    assert cfg.checkpoint is not None
    found = checkpoints_of(cfg.checkpoint)
    if not found:
        raise CheckpointError(f"the run {cfg.checkpoint} has no checkpoint yet.")
    if len(found) == 1:
        raise CheckpointError(
            f"the run {cfg.checkpoint} has kept one checkpoint, {found[0].name}: there is nothing "
            "to choose from. Train with a larger --keep."
        )
    return found


def trial_of(cfg: Config) -> tuple[Trial, CheckpointPolicy | None]:
    """Who is judged, and where, as the options say; and the policy, where there is one."""
    from vibrissa.bench.trials import Trial

    options = options_of(cfg)
    if cfg.checkpoint is None:
        return Trial(_place(cfg, None), cfg.pilot, options), None
    from vibrissa.bench.foreign import open_policy
    from vibrissa.bench.setups import SLOTS
    from vibrissa.learn.preflight import device_named
    from vibrissa.learn.run import pretrained_folder

    pretrained = pretrained_folder(cfg.checkpoint).resolve()
    device = device_named(cfg.device)
    policy = open_policy(
        pretrained,
        slots=SLOTS,
        device=device,
        dataset=cfg.dataset,
        accepted=cfg.accept_inferred,
        given=cfg.given,
        say=partial(print, file=sys.stderr),
    )
    place = _place(cfg, policy.contract)
    trial = Trial(place, options=options, contract=policy.contract, device=device)
    return trial.of(pretrained), policy


def options_of(cfg: Config) -> PilotOptions:
    """How the policy is played. Raises UsageError."""
    from vibrissa.bench.options import PilotOptions, grip_of

    return PilotOptions(cfg.horizon, cfg.ensemble, grip_of(cfg.grip))


def earlier(cfg: Config) -> tuple[Trial, dict[int, Row]]:
    """The trial of --from and its rows by seed: those of --only-seed, or all.

    A CHECKPOINT given beside it is where the weights lie now; they must be the same ones.
    """
    from vibrissa.bench.outcomes import Read, read_file
    from vibrissa.bench.trials import OUTCOMES, read_trial, weights_of
    from vibrissa.learn.run import pretrained_folder

    assert cfg.again is not None
    trial, _ = read_trial(cfg.again)
    if cfg.checkpoint is not None:
        moved = pretrained_folder(cfg.checkpoint).resolve()
        if weights_of(moved) != trial.weights:
            raise UsageError(f"{moved} is not the checkpoint that {cfg.again} judged.")
        trial = replace(trial, checkpoint=moved)
    if cfg.device != "auto":
        from vibrissa.learn.preflight import device_named

        trial = replace(trial, device=device_named(cfg.device))
    file = cfg.again / OUTCOMES
    read = read_file(file) if file.is_file() else Read([])
    if read.cut:
        print(f"warning {read.cut}", file=sys.stderr)
    before = {row.seed: row for row in read.rows if row.pilot == trial.name}
    if not before:
        raise UsageError(f"{cfg.again} holds no episode of {trial.name} yet.")
    unknown = [seed for seed in cfg.only_seed if seed not in before]
    if unknown:
        raise UsageError(
            f"--only-seed {unknown[0]} was not tried in {cfg.again}. There is: {min(before)} to "
            f"{max(before)}."
        )
    wanted = cfg.only_seed or sorted(before)
    return trial, {seed: before[seed] for seed in wanted}


def _place(cfg: Config, contract: Contract | None) -> Place:
    from vibrissa.bench.setups import place_for
    from vibrissa.sim.profile import load_servo

    return place_for(
        contract,
        task=cfg.task,
        site=cfg.site,
        friction=cfg.friction,
        randomise=cfg.randomise,
        rig=cfg.rig,
        servo=load_servo(cfg.servo),
        spawn_half=cfg.spawn_half,
    )


def _check_who(cfg: Config) -> None:
    from vibrissa.bench.setups import PILOTS

    if (cfg.checkpoint is None) == (not cfg.pilot):
        raise UsageError(
            "say who is judged: vibrissa eval CHECKPOINT, or vibrissa eval --pilot "
            f"{'|'.join(PILOTS)} --task pick-place. One of them."
        )
    if cfg.pilot and not cfg.task:
        raise UsageError(f"--pilot {cfg.pilot} needs a task: --task pick-place, or a file.")
    if cfg.pilot and (cfg.horizon is not None or cfg.ensemble is not None):
        flag = "--horizon" if cfg.horizon is not None else "--ensemble"
        raise UsageError(f"{flag} is for checkpoints: a scripted pilot has no chunks.")
    if cfg.pilot and cfg.all_checkpoints:
        raise UsageError("--all-checkpoints is for a run: a scripted pilot has no checkpoints.")


def _check_again(cfg: Config) -> None:
    """Whoever has an episode again changes nothing about it."""
    for field in fields(cfg):
        usual = field.default if field.default is not MISSING else None
        if field.name not in BESIDE_FROM and getattr(cfg, field.name) != usual:
            flag = field.name.replace("_", "-")
            raise UsageError(f"--{flag} beside --from {cfg.again}: it is taken from there.")
    if cfg.out is not None and cfg.out.resolve() == cfg.again.resolve():  # type: ignore[union-attr]
        raise UsageError(f"--out {cfg.out} is the folder of --from. Name another one.")


def _check_folders(cfg: Config, *, sweeps: bool) -> None:
    from vibrissa.bench.trials import require_new

    folders = {"--video": cfg.video, "--rollouts": cfg.rollouts, "--snapshots": cfg.snapshots}
    for flag, folder in folders.items():
        if folder is None:
            continue
        if sweeps:
            raise UsageError(
                f"{flag} with a sweep: have the episodes you want to see again afterwards, with "
                "--from OUT/cells/CELL --only-seed SEED."
            )
        require_new(folder, flag)
    if cfg.video is not None:
        from vibrissa.sim import gl

        gl.require()
