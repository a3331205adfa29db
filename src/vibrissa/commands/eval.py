"""Judge a checkpoint, or a scripted pilot, on scenes that no demonstration came from.

An evaluation's folder (--out) holds all that its episodes came from: --from FOLDER has any of
them again, bit for bit. A call that was stopped goes on when it is given once more. docs/sweeps.md
tells of sweeps, panels and the choice of a checkpoint.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

from vibrissa.commands.eval_told import lines as lines
from vibrissa.commands.eval_told import summary as summary
from vibrissa.core.errors import UsageError
from vibrissa.core.seeds import HELD_OUT, PICKING

if TYPE_CHECKING:
    from vibrissa.bench.evaluate import Setup, Watch
    from vibrissa.bench.outcomes import Row, RowFile
    from vibrissa.bench.page import Judged
    from vibrissa.bench.trials import Trial

UNEVEN = "Short episodes end first, and those are the solved ones: this rate may be too high."
SWEEPS = ("sweep", "all_checkpoints", "sites", "panel")
UNTOLD = (
    "json",
    "out",
    "slots",
    "workers",
    "fleet",
    "pick_seeds",
    "snapshots_every",
)  # no settings of what was judged


@dataclass(frozen=True)
class Config:
    checkpoint: Positional[Path | None] = None
    """A run folder, a checkpoint, or a pretrained_model folder."""
    pilot: str = ""
    """Judge a scripted pilot in place of a checkpoint: expert, zero or random."""
    task: str = ""
    """A task by name, or a file of your own; without it, the one the checkpoint was made for."""
    episodes: int = 50
    """How many seeds are tried, each once."""
    seeds: int = HELD_OUT
    """The first seed; the others follow it."""
    only_seed: UseAppendAction[tuple[int, ...]] = ()
    """Try this seed alone; may be given several times."""
    again: Annotated[Path | None, arg(name="from")] = None
    """The --out folder of an earlier evaluation: its episodes once more, all that decides them
    taken from there."""
    site: str = ""
    """Where the object starts: a site of the task, by name; the usual one by default."""
    spawn_half: float | None = None
    """Half the side of the square in which the object starts, m, where the task's does not suit."""
    friction: str = "plausible"
    """The contact variant of the scene: plausible or sticky."""
    randomise: str = "none"
    """What differs from one episode to the next: none, light, strong, or some factors of one,
    such as strong:friction,mass (docs/randomisation.md)."""
    servo: Path | None = None
    """A servo profile of a real arm, from `vibrissa fit`; the standard servos by default."""
    rig: str = ""
    """Which cameras there are: rgb or rgbd; the task's own by default."""
    horizon: int | None = None
    """How many actions of each chunk are executed; the checkpoint's own number by default."""
    ensemble: float | None = None
    """Ask at every tick and weigh all chunks by exp(-this × n), the oldest n = 0; such as 0.01."""
    grip: str = ""
    """Another grip, in rad of the gripper's target: offset=-0.05,min=0.02,clip=0.1:1.2, or some of
    them. min: how far a target that squeezes lies below what the gripper reads, at least."""
    sweep: UseAppendAction[tuple[str, ...]] = ()
    """Values to be tried on the same seeds: horizon=1,5,10 or ensemble=off,0.01, and offset, min,
    clip of the grip; several of them are crossed."""
    all_checkpoints: bool = False
    """Try every checkpoint of a run, choose one on seeds of its own, report it on --seeds."""
    pick_seeds: int = PICKING
    """With --all-checkpoints: the first of the seeds on which one is chosen, as many again."""
    sites: tuple[str, ...] = ()
    """Sites of the task to be compared, such as: first second. The first one is the baseline."""
    panel: Literal["", "light", "strong", "both"] = ""
    """Each factor of the randomisation by itself, and what it costs."""
    alone: bool = False
    """Leave out the expert and the zero pilot on the same seeds."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto takes a GPU where there is one."""
    dataset: Path | None = None
    """What a checkpoint without a contract was trained on; its meta folder is enough."""
    accept_inferred: tuple[str, ...] = ()
    """Take the contract that was inferred of it and shown, by its digest."""
    given: tuple[str, ...] = ()
    """What you know of a checkpoint without a contract: unit=m100_100, rate=15, instruction=…"""
    slots: int = 0
    """How many simulated arms stand side by side in a process; as many as suit, by default. No
    outcome depends on it."""
    fleet: str = ""
    """Judge over Ray: local, or a cluster's address; --workers are its actors then
    (docs/speed.md)."""
    workers: int = 0
    """How many processes judge; as many as pay, by default. No outcome depends on it."""
    video: Path | None = None
    """Leave a film of every episode in this folder."""
    rollouts: Path | None = None
    """Leave every tick of every episode in this folder, a JSON file each."""
    snapshots: Path | None = None
    """Leave the simulator's states of every episode in this folder, to go on from any of them."""
    snapshots_every: int = 1
    """With --snapshots: at every so many ticks."""
    out: Path | None = None
    """A folder for outcomes.jsonl, report.html and report.json; one that was begun is gone on
    with."""
    json: bool = False
    """Print the result as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.bench.judge import judge, judge_beside
    from vibrissa.bench.page import Judged
    from vibrissa.bench.workers import prepare
    from vibrissa.commands import eval_told
    from vibrissa.commands.eval_trial import check, earlier, trial_of

    check(cfg)
    if cfg.checkpoint is not None and not cfg.fleet:
        prepare(len(cfg.only_seed) or cfg.episodes, cfg.workers)
    if any(getattr(cfg, name) for name in SWEEPS):
        from vibrissa.commands import eval_sweeps

        return eval_sweeps.run(cfg)
    began_s = time.perf_counter()
    if cfg.again is not None:
        trial, before = earlier(cfg)
        policy = trial.load()
    else:
        (trial, policy), before = trial_of(cfg), {}
    seeds = cfg.only_seed or tuple(before) or range(cfg.seeds, cfg.seeds + cfg.episodes)
    setup = trial.setup(policy)
    odd = _first_look(setup, seeds)
    file, grown = _open(cfg, trial, seeds)
    odd = [*odd, *grown]
    known = [] if file is None else file.rows
    kept = {"known": known, "keep": file.add if file is not None else lambda _: None}
    shape = {"slots": cfg.slots, "workers": cfg.workers, "fleet": cfg.fleet}
    rows, lost = _judged(partial(judge, setup, seeds, watches=_watches(cfg), **kept, **shape))
    if lost:
        odd = [*odd, f"{lost} {UNEVEN}"]
    alone = cfg.alone or trial.checkpoint is None or bool(before or lost)
    beside: dict[str, list[Row]] = {}
    if not alone:
        beside, lost = _beside(partial(judge_beside, trial.place, seeds, **kept))
        odd = [*odd, lost] if lost else odd
    unwritten = None
    if cfg.out is not None:
        judged = Judged(trial.place, setup, rows, beside, trial.checkpoint, odd)
        unwritten = _report(cfg, judged, began_s)
    again = {row.seed: row.differing(before[row.seed]) for row in rows if row.seed in before}
    eval_told.tell(cfg, trial, rows, beside, again, reported=unwritten is None)
    if unwritten is not None:
        raise unwritten
    if lost:
        more = " The same command goes on with them." * (cfg.out is not None)
        print(f"vibrissa: {lost}{more}", file=sys.stderr)
    gifts = sum(row.success for row in beside.get("zero", ()))
    return max(int(bool(lost)), eval_told.exit_code(rows, gifts))


def _first_look(setup: Setup, seeds: Sequence[int]) -> list[str]:
    """What the policy is shown at first, where it is beyond what it was trained on: warnings."""
    from vibrissa.bench.first_look import odd_from

    odd = odd_from(setup, seeds)
    for line in odd:
        print(f"warning {line}", file=sys.stderr)
    return odd


def _judged(judge: Callable[[], list[Row]]) -> tuple[list[Row], str]:
    """The rows, and what ended it before its time; raises that where there is no row yet."""
    from vibrissa.bench.judge import CutShort

    try:
        return judge(), ""
    except CutShort as cut:
        if not cut.rows:
            raise
        return cut.rows, str(cut)


def _beside(judge: Callable[[], dict[str, list[Row]]]) -> tuple[dict[str, list[Row]], str]:
    """Expert and zero pilot; where that ended before its time none of them, and what ended it."""
    from vibrissa.bench.judge import CutShort

    try:
        return judge(), ""
    except CutShort as cut:
        return {}, f"Expert and zero pilot are not told: {cut}"


def _open(cfg: Config, trial: Trial, seeds: Sequence[int]) -> tuple[RowFile | None, list[str]]:
    """The rows of --out, those of an earlier call too; and a warning where its number was changed.

    Episodes that are there already cannot be watched again.
    """
    from vibrissa.bench.growth import changed
    from vibrissa.bench.page import versions
    from vibrissa.bench.trials import open_rows, plan

    if cfg.out is None:
        return None, []
    file = open_rows(cfg.out, trial, versions())
    if file.cut:
        print(f"warning {file.cut}", file=sys.stderr)
    there = {row.seed for row in file.of(trial.name)}
    over = there & set(seeds)
    if over and (cfg.video or cfg.rollouts or cfg.snapshots):
        raise UsageError(
            f"{cfg.out} holds {len(over)} of these episodes already, and they are not made again. "
            f"To see them: vibrissa eval --from {cfg.out} --video FOLDER."
        )
    told = changed(plan(cfg.out, len(there | set(seeds)), len(there)))
    if not told:
        return file, []
    line = (
        f"In {cfg.out} {told}: intervals and p hold only if no rate that was seen decided that. "
        "vibrissa compare allows for it."
    )
    print(f"warning {line}", file=sys.stderr)
    return file, [line]


def _watches(cfg: Config) -> list[Watch]:
    """Films, tapes and states, where they were asked for, each into a folder that is there now."""
    from vibrissa.bench.films import film_into
    from vibrissa.bench.stills import stills_into
    from vibrissa.bench.tapes import tape_into

    for flag in ("video", "rollouts", "snapshots"):
        _make(getattr(cfg, flag), f"--{flag}")
    watches: list[Watch] = [film_into(cfg.video)] if cfg.video is not None else []
    watches += [tape_into(cfg.rollouts)] if cfg.rollouts is not None else []
    if cfg.snapshots is not None:
        watches.append(stills_into(cfg.snapshots, cfg.snapshots_every))
    return watches


def _make(folder: Path | None, flag: str) -> None:
    """Raises UsageError where the disk refuses."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{flag} {folder} cannot be made: {error.strerror}.") from error


def _report(cfg: Config, judged: Judged, began_s: float) -> UsageError | None:
    """Write it, with films; what the disk says where it refuses: then the result is told first."""
    from vibrissa.bench.page import compose, film
    from vibrissa.bench.report import write
    from vibrissa.bench.source import never_seen
    from vibrissa.commands import eval_told

    assert cfg.out is not None
    judged_s = time.perf_counter() - began_s
    films = film(judged)
    wall_s = time.perf_counter() - began_s
    page = compose(
        judged,
        title="eval",
        films=films,
        seconds={"judge": judged_s, "film": wall_s - judged_s},
        wall_s=wall_s,
        unseen=never_seen(judged.checkpoint, [row.seed for row in judged.rows]),
        settings=eval_told.settings(cfg, [row.seed for row in judged.rows]),
        command=shlex.join(["vibrissa", *sys.argv[1:]]),
    )
    folder = shlex.quote(str(cfg.out))
    again = f"vibrissa eval --from {folder} --only-seed {{seed}} --video films"
    try:
        write(replace(page, again=again, why=f"vibrissa failures {folder}"), cfg.out)
    except UsageError as error:
        return error
    return None
