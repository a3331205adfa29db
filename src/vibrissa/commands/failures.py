"""Why an evaluation failed: by class, by time and by place, and where to record demonstrations.

Reads the folder that `vibrissa eval --out` or `vibrissa demo` left, and writes failures.html,
failures.md, failures.json and targets.yaml into it. The last one is for `vibrissa record
--targets`.
"""

from __future__ import annotations

import datetime
import json as json_
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from vibrissa.core.errors import UsageError, VibrissaError

if TYPE_CHECKING:
    from vibrissa.bench.failure_page import Told
    from vibrissa.bench.failures import Failing, Ground
    from vibrissa.bench.outcomes import Row
    from vibrissa.bench.pages import Film
    from vibrissa.bench.setups import Place
    from vibrissa.bench.source import Source

OUTCOMES, TARGETS, NAME = "outcomes.jsonl", "targets.yaml", "failures"
BESIDE = ("expert", "zero", "random")
ROUNDED_M = 1e-4  # how far a row may round a spawn


@dataclass(frozen=True)
class Config:
    folder: Positional[Path]
    """What `vibrissa eval --out` or `vibrissa demo --out` left."""
    dataset: Path | None = None
    """The demonstrations that the policy was trained on; by default those that its run names."""
    pilot: str = ""
    """Whose failures, by the name in outcomes.jsonl; by default the policy's."""
    films: int = 2
    """How many failures of each class are played again and filmed; 0 for none."""
    device: str = "auto"
    """For the films: cpu, cuda, cuda:1, mps; auto takes what it was judged on."""
    json: bool = False
    """Print failures.json on stdout."""


def run(cfg: Config) -> int:
    from vibrissa.bench.demonstrations import demonstrations_of
    from vibrissa.bench.failure_page import to_dict, to_page
    from vibrissa.bench.failure_words import reasons, sentence
    from vibrissa.bench.failures import analyse
    from vibrissa.bench.pages import plain, write_page
    from vibrissa.bench.source import source_of

    if cfg.films < 0:
        raise UsageError(f"--films {cfg.films}: at least 0.")
    rows = _rows(cfg)
    source = source_of(cfg.folder, rows[0].task, cfg.dataset)
    demonstrations = demonstrations_of(source.dataset) if source.dataset else []
    failing = analyse(rows, _ground(source.place, rows), demonstrations or None)
    films, why = _films(cfg, source, failing)
    targets = _write_targets(cfg, failing)
    told = to_dict(failing)
    page = to_page(failing, _told(cfg, source, rows, films, why, targets))
    html = write_page(page, cfg.folder, told, NAME)
    if cfg.json:
        print(json_.dumps(plain(told), indent=2))
        return 0
    print(f"{len(failing.failed)} of {len(failing.sound)} episodes of {rows[0].pilot} failed")
    for one in failing.advice:
        print(f"{sentence(one)} {reasons(one)}")
    if targets is not None:
        print(f"targets {targets}")
    print(f"report  {html}")
    return 0


def _rows(cfg: Config) -> list[Row]:
    """The rows of one pilot. Raises UsageError where there are none."""
    from vibrissa.bench.order import HIDDEN
    from vibrissa.bench.outcomes import read_file
    from vibrissa.bench.verdicts import UNLABELLED

    path = cfg.folder / OUTCOMES
    if not path.is_file():
        cells = sorted(p.parent.name for p in cfg.folder.glob(f"cells/*/{OUTCOMES}"))
        where = f" Its cells do: {', '.join(cells)} in {cfg.folder / 'cells'}." if cells else ""
        other = " Name a folder that vibrissa eval --out left." * (not cells)
        raise UsageError(f"{cfg.folder} holds no {OUTCOMES}.{where}{other}")
    read = read_file(path)
    rows = read.rows
    if read.cut:
        print(f"warning {read.cut}", file=sys.stderr)
    names = list(dict.fromkeys(row.pilot for row in rows))
    if not names:
        raise UsageError(f"{path} holds no episode yet.")
    if HIDDEN in names:
        raise UsageError(
            f"{cfg.folder} holds two policies, and it is not told yet which drove when. First: "
            f"vibrissa label {cfg.folder}."
        )
    main = [name for name in names if name not in BESIDE] or names[:1]
    if len(main) > 1 and not cfg.pilot:
        raise UsageError(f"{path} holds {', '.join(main)}. Say whose failures: --pilot {main[0]}.")
    chosen = cfg.pilot or main[0]
    if chosen not in names:
        raise UsageError(f"no episodes of {chosen!r} in {path}. There is: {', '.join(names)}.")
    judged = [row for row in rows if row.pilot == chosen and row.failure_class != UNLABELLED]
    if not judged:
        raise UsageError(
            f"nobody has said yet how the rollouts in {cfg.folder} went: vibrissa label "
            f"{cfg.folder}."
        )
    return judged


def _ground(place: Place | None, rows: Sequence[Row]) -> Ground:
    """What the scene tells of starts and symmetry; without one, what the rows tell."""
    from vibrissa.bench.failures import Ground
    from vibrissa.bench.maps import smallest_square
    from vibrissa.sim.goals import diagonal_m

    spawns = [row.spawn[:2] for row in rows if row.spawn is not None]
    if place is None:
        return Ground(smallest_square(spawns) if spawns else (0.0, 0.0, 0.1))
    scene = place.scene
    x, y, half = area = place.area()
    if any(max(abs(s[0] - x), abs(s[1] - y)) > half + ROUNDED_M for s in spawns):
        area = smallest_square(spawns)  # judged with another spawn than the task's own
    return Ground(
        area=area,
        symmetry=scene.object.symmetry,
        arm_m=diagonal_m(scene),
        thing=scene.object.name,
        max_ticks=scene.rules.max_ticks if scene.rules else 0,
        rate_hz=scene.rate_hz,
        landmarks=place.landmarks(),
    )


def _films(cfg: Config, source: Source, failing: Failing) -> tuple[dict[str, list[Film]], str]:
    """Films of a few failures of each class, and why there are none."""
    from vibrissa.bench.failures import went_wrong
    from vibrissa.bench.films import clips
    from vibrissa.bench.pages import Film
    from vibrissa.bench.pages import words as in_words
    from vibrissa.bench.telling import lasted
    from vibrissa.sim import gl

    if not cfg.films or not failing.failed:
        return {}, "No films were asked for." * (not cfg.films)
    trouble = gl.trouble()
    if trouble:
        return {}, trouble
    try:
        setup = source.setup(cfg.device)
    except VibrissaError as error:
        return {}, f"They cannot be played again: {error}"
    if setup is None:
        return {}, "Who failed is not known here, so nothing can be played again."
    gl.say()
    chosen = [row for rows in failing.by_class.values() for row in _spread(rows, cfg.films)]
    films: dict[str, list[Film]] = {}
    for clip in clips(setup, chosen):
        row = clip.row
        phase, tick = went_wrong(row)
        at = "" if tick is None else f" at tick {tick:.0f}"
        long = lasted(row.ticks, failing.ground.rate_hz)
        long += " ticks" * (not failing.ground.rate_hz)
        note = f"seed {row.seed} · {phase}{at} · {long}"
        kind = row.failure_class
        film = Film(in_words(kind), clip.film_mp4, clip.strip_png, note, kind)
        films.setdefault(kind, []).append(film)
    return films, ""


def _spread(rows: Sequence[Row], most: int) -> list[Row]:
    """A few of the rows, from the shortest to the longest."""
    ordered = sorted(rows, key=lambda row: (row.ticks, row.seed))
    many = min(most, len(ordered))
    return [ordered[(2 * k + 1) * len(ordered) // (2 * many)] for k in range(many)]


def _write_targets(cfg: Config, failing: Failing) -> Path | None:
    """targets.yaml, where a place was advised; one of an earlier call is taken away."""
    from vibrissa.bench.failure_words import reasons
    from vibrissa.bench.pages import replace_file
    from vibrissa.control.targets import to_yaml

    path = cfg.folder / TARGETS
    try:
        if not failing.advice:
            path.unlink(missing_ok=True)
            return None
        targets = [replace(one.target, why=reasons(one)) for one in failing.advice]
        replace_file(path, to_yaml(targets, task=failing.sound[0].task))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}.") from error
    return path


def _told(
    cfg: Config,
    source: Source,
    rows: Sequence[Row],
    films: Mapping[str, Sequence[Film]],
    why: str,
    targets: Path | None,
) -> Told:
    """What stands round the failures on the page."""
    from vibrissa.bench.failure_page import Told
    from vibrissa.bench.page import machine, versions

    dataset = source.dataset
    settings = {"folder": cfg.folder, "pilot": rows[0].pilot}
    settings |= {"seeds": f"{min(r.seed for r in rows)} to {max(r.seed for r in rows)}"}
    settings |= {"demonstrations": dataset.root} if dataset is not None else {}
    words = ["vibrissa", "failures", str(cfg.folder)]
    words += ["--dataset", str(cfg.dataset)] if cfg.dataset is not None else []
    record = "" if targets is None else _recording(rows[0].task, source, targets)
    return Told(
        pilot=rows[0].pilot,
        instruction=source.place.scene.instruction if source.place else rows[0].task,
        made=datetime.date.today().isoformat(),
        again=source.again,
        record=record,
        next_seed=max(r.seed for r in rows) + 1,
        films=films,
        no_films=why,
        settings=settings,
        machine=machine(),
        versions=versions(),
        command=shlex.join(words),
    )


def _recording(task: str, source: Source, targets: Path) -> str:
    """The command that records at the targets, into the dataset where that can be gone on with."""
    from vibrissa.bench.source import recorded_like, scene_of
    from vibrissa.sim.tasks import task_names

    dataset = source.dataset if source.dataset is not None and source.dataset.is_ours else None
    into = ["--out", "more-demonstrations"]
    if dataset is not None:
        into = ["--out", str(dataset.root), "--resume"]
    at = ["--targets", str(targets)]
    if dataset is not None and scene_of(dataset) is None:  # somebody led a real arm
        return shlex.join(["vibrissa", "record", "--config", "rig.yaml", *at, *into])
    scene = source.place.scene if source.place else None
    if task not in task_names() and scene is not None and scene.rules is not None:
        task = scene.rules.file or task  # a task of one's own is named by its file
    like = recorded_like(dataset) if dataset is not None else []
    return shlex.join(
        ["vibrissa", "record", "--pilot", "expert", "--task", task, *at, *like, *into]
    )
