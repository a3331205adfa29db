"""What the rows of one file must be together, and what the folder's own files say of them.

A deployment's rows are known by the number of their rollout, all others by pilot and seed. A row
that an earlier version wrote has no number: it follows from the seed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vibrissa.bench.options import PilotOptions
from vibrissa.bench.order import HIDDEN, read_order
from vibrissa.bench.verdicts import UNLABELLED
from vibrissa.core.errors import UsageError, VibrissaError

TRIAL, SETTINGS, DEPLOYMENT = "eval.json", "contest.json", "deployment.json"
BESIDE = ("expert", "zero")  # who may stand beside, in every evaluation
LONGEST_S = 86_400.0  # a rollout may take a day at most

Line = tuple[int, dict[str, Any]]  # its number in the file, and what it says


class Wrong(Exception):
    """Line `number` cannot be used; the text says why."""

    def __init__(self, number: int, why: str):
        super().__init__(why)
        self.number = number


@dataclass(frozen=True)
class Begun:
    """What a folder was begun for. None and empty: it does not say.

    most_ticks: no episode is longer. first_seed: of a deployment, the one of rollout 1.
    """

    file: str = ""
    task: str = ""
    pilots: tuple[str, ...] = ()
    most_ticks: int | None = None
    is_deployment: bool = False
    is_paired: bool = False
    first_seed: int | None = None


def begun(folder: Path) -> Begun:
    """Raises UsageError where the folder's own file cannot be read."""
    for name, read in ((TRIAL, _trial), (SETTINGS, _contest), (DEPLOYMENT, _deployment)):
        file = folder / name
        if not file.is_file():
            continue
        try:
            return read(file, json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, VibrissaError) as error:
            raise UsageError(f"{file} cannot be read ({error}).") from error
    return Begun()


def check_together(lines: Sequence[Line], folder: Path) -> None:
    """Raise Wrong for a line that does not belong to the others, or to this folder.

    Of a deployment, every row is given the number of its rollout.
    """
    told = begun(folder)
    for number, raw in lines:
        _check_origin(number, raw, told, lines[0])
    if told.is_deployment:
        _number(lines, told, folder)
    key = ("rollout",) if told.is_deployment else ("pilot", "seed")
    seen: dict[tuple[Any, ...], int] = {}
    for number, raw in lines:
        mine = tuple(raw[name] for name in key)
        if mine in seen:
            what = " ".join(f"{name} {raw[name]}" for name in key)
            raise Wrong(number, f"line {seen[mine]} is {what} too. Keep one of the two")
        seen[mine] = number


def _check_origin(number: int, raw: Mapping[str, Any], told: Begun, first: Line) -> None:
    task = told.task or first[1]["task"]
    if raw["task"] != task:
        where = told.file if told.task else f"line {first[0]}"
        raise Wrong(number, f"'task' is {raw['task']!r}, and {where} says {task!r}")
    if told.pilots and raw["pilot"] not in told.pilots:
        known = ", ".join(told.pilots)
        raise Wrong(number, f"'pilot' is {raw['pilot']!r}, and {told.file} has: {known}")
    if told.most_ticks is not None and raw["ticks"] > told.most_ticks:
        raise Wrong(
            number, f"'ticks' is {raw['ticks']}, and an episode has at most {told.most_ticks} there"
        )
    if raw["failure_class"] == UNLABELLED and told.file and not told.is_deployment:
        raise Wrong(number, f"nobody said how it ended, and {told.file} says that a judge did")


def _number(lines: Sequence[Line], told: Begun, folder: Path) -> None:
    """Give every row of a deployment the number of its rollout. Raises Wrong."""
    offsets: dict[int, int] = {}
    for number, raw in lines:
        if "rollout" in raw:
            offsets.setdefault(raw["seed"] - _placement(raw["rollout"], told), number)
    if told.first_seed is not None:
        offsets = {told.first_seed: 0} | offsets
    if len(offsets) > 1:
        number = max(offsets.values())
        raw = next(raw for at, raw in lines if at == number)
        raise Wrong(number, f"'seed' {raw['seed']} is not the one of rollout {raw['rollout']}")
    first_seed = next(iter(offsets), 0)
    taken = {raw["rollout"] for _, raw in lines if "rollout" in raw}
    for number, raw in lines:
        if "rollout" not in raw:
            raw["rollout"] = _rollout_of(number, raw, lines, told, folder, first_seed, taken)
            taken.add(raw["rollout"])


def _rollout_of(
    number: int,
    raw: Mapping[str, Any],
    lines: Sequence[Line],
    told: Begun,
    folder: Path,
    first_seed: int,
    taken: set[int],
) -> int:
    """By its seed, and of a pair by who drove, or by what is left of the pair."""
    place = raw["seed"] - first_seed
    if place < 0:
        raise Wrong(number, f"'seed' {raw['seed']} lies before the first one, {first_seed}")
    if not told.is_paired:
        return place + 1
    both = (2 * place + 1, 2 * place + 2)
    if raw["pilot"] != HIDDEN:
        order = read_order(folder)
        return next((n for n in both if order.driver(n - 1) == raw["pilot"]), both[0])
    mates = [other for _, other in lines if other["seed"] == raw["seed"]]
    is_last = raw["seed"] == max(other["seed"] for _, other in lines)
    left = [n for n in both if n not in taken]
    if not left or (len(mates) < 2 and not is_last):
        raise Wrong(
            number, f"seed {raw['seed']} has {len(mates)} rows, and nothing says which of its two"
        )
    return left[0]


def _placement(rollout: int, told: Begun) -> int:
    """How many placements came before that of a rollout."""
    return (rollout - 1) // 2 if told.is_paired else rollout - 1


def _trial(file: Path, raw: Mapping[str, Any]) -> Begun:
    name = PilotOptions.parse(raw["options"]).name(raw["pilot"])
    pilots = tuple(dict.fromkeys((name, *BESIDE)))
    return Begun(file.name, raw["task"], pilots, _most_ticks(raw["scene"]))


def _contest(file: Path, raw: Mapping[str, Any]) -> Begun:
    labels: tuple[str, ...] = tuple(raw.get("contenders") or ())
    pilots = tuple(dict.fromkeys((*labels, *BESIDE))) if labels else ()
    return Begun(file.name, raw.get("task") or "", pilots, _most_ticks(raw.get("scene") or {}))


def _deployment(file: Path, raw: Mapping[str, Any]) -> Begun:
    first_seed, rate_hz = raw.get("seeds"), float(raw["contract"]["rate_hz"])
    seconds = raw.get("seconds")
    most = max(1, round((seconds or LONGEST_S) * rate_hz))
    if seconds is None and first_seed is not None:
        most = _most_ticks_of(str(raw.get("task"))) or most
    return Begun(
        file.name,
        most_ticks=most,
        is_deployment=True,
        is_paired=raw.get("against") is not None,
        first_seed=first_seed,
    )


def _most_ticks(scene: Mapping[str, Any]) -> int | None:
    rules = scene.get("rules")
    return None if rules is None else int(rules["max_ticks"])


def _most_ticks_of(task: str) -> int | None:
    """The time limit of a task that is known by its name."""
    from vibrissa.sim.tasks import task_named

    try:
        rules = task_named(task).scene.rules
    except VibrissaError:
        return None
    return None if rules is None else rules.max_ticks
