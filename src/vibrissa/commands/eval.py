"""Judge a checkpoint, or a scripted pilot, on scenes that no demonstration came from."""

from __future__ import annotations

import json as json_
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.bench.evaluate import Setup, Watch
    from vibrissa.bench.outcomes import Row
    from vibrissa.bench.page import Judged
    from vibrissa.bench.setups import Place

HELD_OUT = 2_000_000  # demonstrations come from seeds below; recipes were tuned from 1,000,000 on


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
    site: str = ""
    """Where the object starts: a site of the task, by name; the usual one by default."""
    friction: str = "plausible"
    """The contact variant of the scene: plausible or sticky."""
    randomise: str = "none"
    """What differs from one episode to the next: none, light or strong (docs/randomisation.md)."""
    servo: Path | None = None
    """A servo profile of a real arm, from `vibrissa fit`; the standard servos by default."""
    rig: str = ""
    """Which cameras there are: rgb or rgbd; the task's own by default."""
    horizon: int | None = None
    """How many actions of each chunk are executed; the checkpoint's own number by default."""
    alone: bool = False
    """Leave out the expert and the zero pilot on the same seeds."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto takes a GPU where there is one."""
    dataset: Path | None = None
    """What a checkpoint without a contract was trained on; its meta folder is enough."""
    accept_inferred: tuple[str, ...] = ()
    """Take the contract that was inferred of it and shown, by its digest."""
    slots: int = 0
    """How many simulated arms stand side by side in a process; as many as suit, by default. No
    outcome depends on it."""
    workers: int = 0
    """How many processes judge; as many as pay, by default. No outcome depends on it."""
    video: Path | None = None
    """Leave a film of every episode in this folder."""
    rollouts: Path | None = None
    """Leave every tick of every episode in this folder, a JSON file each."""
    out: Path | None = None
    """A new folder for outcomes.jsonl, report.html and report.json."""
    json: bool = False
    """Print the result as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.bench.judge import CutShort, judge, judge_beside
    from vibrissa.bench.outcomes import RowFile
    from vibrissa.bench.page import Judged

    began_s = time.perf_counter()
    _check(cfg)
    place, setup = _who(cfg)
    seeds = range(cfg.seeds, cfg.seeds + cfg.episodes)
    file = RowFile(cfg.out / "outcomes.jsonl") if cfg.out else None
    keep = file.add if file else lambda _: None
    lost = ""
    try:
        rows = judge(
            setup,
            seeds,
            keep=keep,
            watches=_watches(cfg),
            slots=cfg.slots,
            workers=cfg.workers,
        )
    except CutShort as cut:
        if not cut.rows:
            raise
        rows, lost = cut.rows, str(cut)
    beside = {} if _stands_alone(cfg) or lost else judge_beside(place, seeds, keep=keep)
    if cfg.out is not None:
        _report(cfg, Judged(place, setup, rows, beside, cfg.checkpoint), began_s)
    _tell(cfg, place, rows, beside)
    if lost:
        print(f"vibrissa: {lost}", file=sys.stderr)
    return 1 if lost else _exit_code(rows)


def summary(rows: Sequence[Row], beside: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """What `--json` prints of them: counts first."""
    from vibrissa.bench.outcomes import summarise

    told = summarise(rows)
    others = {name: summarise(r).to_dict() for name, r in beside.items()}
    return {"success": told.success, "episodes": told.episodes, **told.to_dict(), "beside": others}


def lines(rows: Sequence[Row], beside: Mapping[str, Sequence[Row]]) -> list[str]:
    """The same for a reader: a line a pilot, and what became of the episodes."""
    from vibrissa.bench.outcomes import compare_paired, summarise
    from vibrissa.bench.report import words

    name = rows[0].pilot
    told = summarise(rows)
    text = [f"{name:<8}{told.text}"]
    text += [f"{other:<8}{summarise(r).text}" for other, r in beside.items()]
    text.append("ended   " + ", ".join(f"{n} {words(c)}" for c, n in told.classes.items()))
    text.append(f"picked  {told.picked}/{told.episodes}, then dropped {told.dropped}/{told.picked}")
    if told.mean_steps is not None:
        wins = f", successes {told.mean_steps_success:.0f}" if told.mean_steps_success else ""
        text.append(f"ticks   {told.mean_steps:.0f}{wins}")
    if told.mean_latency_s:
        each_ms = told.mean_latency_s * 1e3
        text.append(
            f"speed   {1 / told.mean_latency_s:.0f} inferences/s ({each_ms:.1f} ms a batch)"
        )
    if told.action_low:
        ranges = zip(told.action_low, told.action_high, strict=True)
        text.append(
            "actions " + "  ".join(f"{low:.2f}..{high:.2f}" for low, high in ranges) + " rad"
        )
    if told.mean_jump is not None and told.mean_stride:
        text.append(
            f"chunks  {told.mean_jump:.3f} rad from the last action of a chunk to the first of the "
            f"next, {told.mean_stride:.3f} from tick to tick elsewhere"
        )
    for other, others in beside.items():
        if other == "expert":
            pair = compare_paired(rows, others)
            text.append(
                f"paired  {pair.only_first} solved by {name} alone, {pair.only_second} by {other} "
                f"alone, of {pair.seeds} seeds (exact McNemar p = {pair.p:.2g})"
            )
    return text


def _check(cfg: Config) -> None:
    """What can be said before anything is built."""
    from vibrissa.bench.setups import PILOTS

    if (cfg.checkpoint is None) == (not cfg.pilot):
        raise UsageError(
            "say who is judged: vibrissa eval CHECKPOINT, or vibrissa eval --pilot "
            f"{'|'.join(PILOTS)} --task pick-place. One of them."
        )
    if cfg.pilot and not cfg.task:
        raise UsageError(f"--pilot {cfg.pilot} needs a task: --task pick-place, or a file.")
    if cfg.pilot and cfg.horizon is not None:
        raise UsageError("--horizon is for checkpoints: a scripted pilot has no chunks.")
    if cfg.episodes < 1 or cfg.seeds < 0:
        raise UsageError(f"--episodes {cfg.episodes} --seeds {cfg.seeds}: want at least 1 and 0.")
    if cfg.slots < 0 or cfg.workers < 0:
        raise UsageError(f"--slots {cfg.slots} --workers {cfg.workers}: 0 for what suits, or more.")
    folders = {"--out": cfg.out, "--video": cfg.video, "--rollouts": cfg.rollouts}
    for flag, folder in folders.items():
        if folder is not None and folder.exists() and (folder.is_file() or any(folder.iterdir())):
            raise UsageError(f"{flag} {folder} is there already and not empty. Name another one.")
    if cfg.video is not None:
        from vibrissa.sim import gl

        gl.require()


def _who(cfg: Config) -> tuple[Place, Setup]:
    """Where it is judged, and who: the scripted pilot, or the checkpoint's policy."""
    from vibrissa.bench.setups import SLOTS, learnt, place_for, scripted
    from vibrissa.sim.profile import load_servo

    at = partial(
        place_for,
        task=cfg.task,
        site=cfg.site,
        friction=cfg.friction,
        randomise=cfg.randomise,
        rig=cfg.rig,
        servo=load_servo(cfg.servo),
    )
    if cfg.checkpoint is None:
        place = at(None)
        return place, scripted(place, cfg.pilot)
    from vibrissa.bench.foreign import open_policy
    from vibrissa.learn.preflight import device_named

    policy = open_policy(
        cfg.checkpoint,
        slots=SLOTS,
        device=device_named(cfg.device),
        dataset=cfg.dataset,
        accepted=cfg.accept_inferred,
        say=partial(print, file=sys.stderr),
    )
    place = at(policy.contract)
    return place, learnt(place, policy, horizon=cfg.horizon)


def _watches(cfg: Config) -> list[Watch]:
    """Films and tapes, where they were asked for."""
    from vibrissa.bench.films import film_into
    from vibrissa.bench.tapes import tape_into

    films = [film_into(cfg.video)] if cfg.video is not None else []
    return [*films, *([tape_into(cfg.rollouts)] if cfg.rollouts is not None else [])]


def _stands_alone(cfg: Config) -> bool:
    return cfg.alone or cfg.checkpoint is None


def _report(cfg: Config, judged: Judged, began_s: float) -> None:
    from vibrissa.bench.page import compose, film
    from vibrissa.bench.report import write

    assert cfg.out is not None
    judged_s = time.perf_counter() - began_s
    films = film(judged)
    wall_s = time.perf_counter() - began_s
    told = {f.name: getattr(cfg, f.name) for f in fields(cfg)}
    page = compose(
        judged,
        title="eval",
        films=films,
        seconds={"judge": judged_s, "film": wall_s - judged_s},
        wall_s=wall_s,
        unseen=cfg.seeds >= HELD_OUT,
        settings={n: str(v) for n, v in told.items() if n not in ("json", "out") and v},
    )
    write(page, cfg.out)


def _tell(
    cfg: Config, place: Place, rows: Sequence[Row], beside: Mapping[str, Sequence[Row]]
) -> None:
    if cfg.json:
        told = {"pilot": rows[0].pilot, "task": place.task, "seeds": [rows[0].seed, rows[-1].seed]}
        print(json_.dumps({**told, **summary(rows, beside)}, indent=2))
    else:
        print("\n".join(lines(rows, beside)))
        if cfg.out is not None:
            print(f"report  {cfg.out / 'report.html'}")
        if cfg.video is not None:
            print(f"films   {cfg.video}")
        if cfg.rollouts is not None:
            print(f"ticks   {cfg.rollouts}")


def _exit_code(rows: Sequence[Row]) -> int:
    """1 where any episode broke down, which is told: what broke is no failure of the policy."""
    broken = [row for row in rows if row.reason == "fault"]
    if broken:
        print(
            f"vibrissa: {len(broken)} of {len(rows)} episodes broke down and count as not solved. "
            f"The first (seed {broken[0].seed}): {broken[0].detail}",
            file=sys.stderr,
        )
    return int(bool(broken))
