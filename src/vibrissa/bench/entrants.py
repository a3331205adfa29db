"""Who is compared: from what stands on the command line to entrants.

LABEL=SOURCE, where LABEL= may be left out and SOURCE is one of
a run, checkpoint or pretrained_model folder, with options behind it: RUN:horizon=10
expert, zero or random, with a grip behind it: expert:min=0.02
a folder of vibrissa eval, compare or deploy; FOLDER#NAME where it holds several pilots
a table of episodes (.csv; TABLE#NAME where it has several policies), a folder of lerobot-eval,
or counts such as 32/50
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vibrissa.bench.compare import SEEDS, UNNAMED, scenes_differ
from vibrissa.bench.contest import Entrant
from vibrissa.bench.growth import chosen, in_order, planned
from vibrissa.bench.judge import BESIDE
from vibrissa.bench.logbook import counted, read_all, read_told
from vibrissa.bench.options import PilotOptions, named
from vibrissa.bench.order import HIDDEN, ORDER
from vibrissa.bench.outcomes import Row, read_file
from vibrissa.bench.row_folder import DEPLOYMENT, SETTINGS, TRIAL
from vibrissa.bench.setups import PILOTS, Place, learnt, scripted
from vibrissa.bench.tables import LEROBOT, SUFFIXES, from_counts, is_counts, read_table
from vibrissa.bench.terms import scene_of
from vibrissa.bench.trials import (
    CELLS,
    OUTCOMES,
    SWEEP,
    read_json,
    read_sweep,
    read_trial,
    weights_of,
)
from vibrissa.core.contract import Contract
from vibrissa.core.errors import ContractError, UsageError
from vibrissa.learn.run import MANIFEST, PRETRAINED, pretrained_folder

if TYPE_CHECKING:  # torch is loaded only where there is a policy
    from vibrissa.learn.policy import CheckpointPolicy

_LABEL = re.compile(r"([^/\\:=#]+)=(.+)", re.DOTALL)

PlaceOf = Callable[[Contract | None], Place]
Opener = Callable[[Path], "CheckpointPolicy"]


@dataclass(frozen=True)
class Source:
    """One argument, taken apart. kind: how it is to be read."""

    label: str
    text: str
    kind: str  # counts, pilot, table, rows, policy
    path: Path
    options: PilotOptions = field(default_factory=PilotOptions)
    pilot: str = ""


def sources(given: Sequence[str]) -> list[Source]:
    """The arguments taken apart, with labels of which no two are alike. Raises UsageError."""
    told = [_source(text) for text in given]
    labels = [one.label for one in told]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        same = [one.text for one in told if one.label == twice[0]]
        named_ = " ".join(f"{name}={text}" for name, text in zip("ABCDEFG", same, strict=False))
        raise UsageError(f"contenders called {twice[0]!r} twice. Name them, such as: {named_}")
    for one in told:
        if one.label in BESIDE and (one.kind, one.text) != ("pilot", one.label):
            raise UsageError(f"{one.label!r} is the pilot that stands beside; take another name.")
    return told


def enter(
    wanted: Sequence[Source],
    open_policy: Opener,
    place_of: PlaceOf,
    *,
    same_scenes: bool = False,
) -> tuple[list[Entrant], Place | None]:
    """The entrants, and where those are judged that can be; None where nobody can.

    open_policy: a checkpoint's policy. place_of: where a contract, or a named task, is judged.
    Raises UsageError where two of them would be judged in different places, or one was already.
    """
    policies = {one.label: open_policy(one.path) for one in wanted if one.kind == "policy"}
    places = {label: place_of(policy.contract) for label, policy in policies.items()}
    scripts = [one for one in wanted if one.kind == "pilot"]
    place = next(iter(places.values())) if places else place_of(None) if scripts else None
    for label, other in places.items():
        _require_same(place, other, next(iter(places)), label)
    entrants = []
    for one in wanted:
        if one.kind == "policy":
            entrants.append(_policy(one, policies[one.label], places[one.label]))
        elif one.kind == "pilot":
            assert place is not None
            bare = Place(place.task, place.scene)
            setup = scripted(bare, one.pilot, grip=one.options.grip)
            words, scene = f"the scripted pilot {one.text}", place.scene.to_dict()
            played = {"pilot": one.pilot, "options": one.options.text}
            entrants.append(Entrant(one.label, words, setup, scene=scene, played=played))
        else:
            recorded = _recorded(one, same_scenes)
            entrants.append(replace(recorded, played={"outcomes": _digest(recorded.rows)}))
            _require_its_scene(place, recorded)
    return entrants, place


def _source(text: str) -> Source:
    is_path = Path(text.partition("#")[0]).exists()  # a sweep's cells have an = in their names
    found = None if is_path else _LABEL.fullmatch(text)
    label, rest = (found[1].strip(), found[2]) if found else ("", text)
    if is_counts(rest):
        return Source(label or rest.strip(), rest, "counts", Path())
    name, options = named(rest)
    if name in PILOTS:
        if options.horizon is not None or options.ensemble is not None:
            raise UsageError(f"{rest}: a scripted pilot has no chunks; offset=, min=, clip= only.")
        return Source(label or options.name(name), rest, "pilot", Path(), options, name)
    path_text, _, pilot = name.partition("#")
    path = Path(path_text)
    if path.is_file() and (path.suffix.lower() in SUFFIXES or path.suffix == ".jsonl"):
        kind = "rows" if path.suffix == ".jsonl" else "table"
        name = path.resolve().parent.name if path.name == LEROBOT else path.stem
        return Source(label or pilot or name, rest, kind, path, options, pilot)
    if not path.is_dir():
        raise UsageError(
            f"no contender {rest!r}: there is no such file or folder. Known are a checkpoint, a "
            f"folder of outcomes, a .csv, counts such as 32/50, {', '.join(PILOTS)}."
        )
    cells = sorted(cell.parent for cell in path.glob(f"{CELLS}/*/{OUTCOMES}"))
    if cells and not (path / MANIFEST).exists():
        raise UsageError(
            f"{path} holds a sweep. Name two of its settings: {' '.join(map(str, cells[:6]))}."
        )
    is_policy = any((path / n).exists() for n in (MANIFEST, "config.json", PRETRAINED))
    if not is_policy and (path / OUTCOMES).is_file():
        return Source(label or pilot or _short(path), rest, "rows", path, options, pilot)
    if not is_policy and (path / LEROBOT).is_file():
        return Source(label or _short(path), rest, "table", path / LEROBOT, options)
    return Source(label or options.name(_short(path)), rest, "policy", path, options)


def _short(path: Path) -> str:
    """A folder as one calls it: run, or run/000500 of a checkpoint in it."""
    whole = path.resolve()
    if whole.name == PRETRAINED:
        whole = whole.parent
    if whole.parent.name == "checkpoints":
        return f"{whole.parent.parent.name}/{path.name if path.name == 'last' else whole.name}"
    return whole.name


def _policy(one: Source, policy: CheckpointPolicy, place: Place) -> Entrant:
    options = one.options
    ways = {"horizon": options.horizon, "ensemble": options.ensemble, "grip": options.grip}
    try:
        setup = learnt(place, policy, **ways)
    except ContractError as error:
        raise ContractError(f"{one.label}: {error}") from error
    part = 1 if options.ensemble is not None else options.horizon or policy.horizon
    played = {
        "weights": weights_of(pretrained_folder(one.path)),
        "options": options.text,
        "executed": part,
        "chunk": policy.chunk,
        "contract": policy.contract.digest,
    }
    more = f", {options.text}" if options.text else ""
    words = f"the checkpoint {one.path}{more}; {part} of {policy.chunk} actions of a chunk executed"
    setup, scene = replace(setup, name=one.label), place.scene.to_dict()
    return Entrant(one.label, words, setup, scene=scene, played=played)


def _recorded(one: Source, same_scenes: bool) -> Entrant:
    if one.kind != "policy" and one.options.text:
        raise UsageError(f"{one.text}: what was judged elsewhere cannot be played differently now.")
    if one.kind == "counts":
        told = from_counts(one.text)
        return Entrant(one.label, told.words, None, _named(told.rows, one.label), "")
    if one.kind == "table":
        told = read_table(one.path, same_scenes=same_scenes, pilot=one.pilot)
        return Entrant(one.label, told.words, None, _named(told.rows, one.label), told.scenes)
    file = one.path if one.path.is_file() else one.path / OUTCOMES
    read = read_file(file)
    rows, scenes = _reported(file, _of_one_pilot(read.rows, one)), SEEDS
    words = f"{len(rows)} episodes in {one.path}"
    if (file.parent / DEPLOYMENT).is_file():
        rows = counted(rows)
        scenes = SEEDS if same_scenes else _placements(file.parent)
        words = f"{len(rows)} rollouts that were judged, in {one.path}"
    if not rows:
        raise UsageError(f"{one.path} holds no judged episode yet.")
    is_contest = (file.parent / SETTINGS).is_file()
    scene = scene_of(file.parent) if is_contest else None
    if (file.parent / TRIAL).is_file():
        scene = read_trial(file.parent)[0].place.scene.to_dict()
    named_ = _named(rows, one.label)
    grown = _grown(file.parent, read.rows, rows)
    return Entrant(
        one.label,
        words,
        None,
        named_,
        scenes,
        stopped=is_contest or bool(grown),
        scene=scene,
        cautions=(*((read.cut,) if read.cut else ()), *grown),
    )


def _grown(folder: Path, every: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """That the number of episodes was not fixed beforehand, and what follows; else nothing.

    every: all rows of the folder. rows: those that are compared.
    """
    numbers, there = [], len(rows)
    if (folder / TRIAL).is_file():
        numbers = planned(read_json(folder / TRIAL))
    if folder.parent.name == CELLS and (folder.parent.parent / SWEEP).is_file():
        numbers = [len(read_sweep(folder.parent.parent)["seeds"])]
    if (folder / DEPLOYMENT).is_file():
        numbers, there = planned(read_told(folder)[0]), len(every)
        whole = folder if (folder / ORDER).is_file() else folder.resolve().parent
        if all(
            (whole / name).is_file() for name in (ORDER, DEPLOYMENT)
        ):  # nobody knew any rate while pairs were added
            numbers, there = planned(read_told(whole)[0])[-1:], len(read_all(whole))
    why = chosen(numbers, there)
    if not why:
        return []
    told = [f"{why}: pairs of seeds get the anytime test, which allows for that."]
    if not in_order(numbers, [row.seed for row in rows]):
        told.append("Later episodes have earlier seeds: that test takes them by their seeds.")
    return told


def _digest(rows: Sequence[Row]) -> str:
    """Of which seeds were solved, and which were not."""
    told = sorted((row.seed, row.reason) for row in rows)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _reported(file: Path, rows: Sequence[Row]) -> Sequence[Row]:
    """Without the seeds on which a checkpoint was chosen: there it looks better than it is."""
    sweep = file.parent.parent.parent
    if file.parent.parent.name != CELLS or not (sweep / SWEEP).is_file():
        return rows
    told = read_sweep(sweep)
    if told.get("pick_seeds") is None:
        return rows
    kept = [row for row in rows if row.seed in set(told["seeds"])]
    if rows and not kept:
        raise UsageError(
            f"{file.parent} was tried on no other seeds than those by which {sweep} chose a "
            "checkpoint: they are no results. Judge it on new ones."
        )
    return kept


def _placements(folder: Path) -> str:
    """What the numbers of a deployment's rollouts stand for.

    On the simulated arm they are seeds. Two policies in turn on a real arm had each placement
    together, whose folders lie beside each other; otherwise nobody placed things alike.
    """
    told, _ = read_told(folder)
    if told.get("seeds") is not None:
        return SEEDS
    together = folder.resolve().parent
    return str(together) if (together / ORDER).is_file() else ""


def _of_one_pilot(rows: Sequence[Row], one: Source) -> list[Row]:
    """The rows of the pilot that is meant: the one asked for, or the only one but those beside."""
    names = list(dict.fromkeys(row.pilot for row in rows))
    if HIDDEN in names:
        raise UsageError(
            f"{one.path} holds two policies, and it is not said yet which drove when. First: "
            f"vibrissa label {one.path}."
        )
    main = [n for n in names if n not in BESIDE] or names
    wanted = [one.pilot] if one.pilot else main
    if len(wanted) != 1 or wanted[0] not in names:
        raise UsageError(
            f"{one.path} holds {', '.join(names) or 'nobody'}. Say who is meant: "
            f"{one.path}#{names[0] if names else 'NAME'}"
        )
    return [row for row in rows if row.pilot == wanted[0]]


def _named(rows: Sequence[Row], label: str) -> tuple[Row, ...]:
    """The rows under another name; counts are one row many times, and stay so."""
    alike: dict[int, Row] = {}
    for row in rows:
        if id(row) not in alike:
            alike[id(row)] = replace(row, pilot=label)
    return tuple(alike[id(row)] for row in rows)


def _require_same(one: Place | None, other: Place, label: str, name: str) -> None:
    """Raise UsageError unless both are one place, cameras aside."""
    assert one is not None
    bare = [(place.task, replace(place.scene, cameras=())) for place in (one, other)]
    if bare[0] != bare[1]:
        raise UsageError(
            f"{label} is made for {one.task} and {name} for {other.task}, or their scenes differ: "
            "no seed shows both the same. Name one task for all: --task pick-place."
        )


def _require_its_scene(place: Place | None, one: Entrant) -> None:
    """Raise UsageError where it was judged in another scene than the others will be."""
    if place is None:
        return
    tasks = {row.task for row in one.rows} - UNNAMED - {place.task}
    differ = [*sorted(tasks), *scenes_differ(place.scene.to_dict(), one.scene)]
    if differ:
        won = sum(row.success for row in one.rows)
        raise UsageError(
            f"{one.label} was judged in another scene ({', '.join(differ)}) than the others would "
            "be. Ask for the same (--task, --site, --spawn-half, --friction, --randomise, "
            f"--servo), or give its counts alone: {one.label}={won}/{len(one.rows)}."
        )
