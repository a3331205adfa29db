"""Outcomes that were judged elsewhere: tables (CSV, JSON), lerobot-eval's, counts (32/50)."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vibrissa.bench.compare import NAMES as BY_NAME
from vibrissa.bench.compare import PAIRS, SEEDS
from vibrissa.bench.outcomes import Row, Spawn
from vibrissa.bench.row_checks import SOLVED
from vibrissa.bench.table_cells import (
    ended,
    is_total,
    looks_like_a_number,
    measure,
    whole,
    why_not_ended,
)
from vibrissa.core.errors import UsageError
from vibrissa.core.outcomes import CLASSES

SUFFIXES = (".csv", ".tsv", ".txt", ".json")
LEROBOT = "eval_info.json"  # what lerobot-eval leaves
MOST_COUNTED = 1_000_000

# What a column may be called, the first of them that is there; case and _ - make no difference.
NAMES: Mapping[str, tuple[str, ...]] = {
    "seed": ("seed", "scene", "initial state", "init"),
    "episode": ("episode", "episode index", "episode ix", "index", "trial", "rollout", "run"),
    "success": ("success", "outcome", "result", "reason", "verdict", "solved", "is success"),
    "class": ("failure class", "class", "failure"),
    "x": ("spawn x", "x m", "x"),
    "y": ("spawn y", "y m", "y"),
    "yaw": ("spawn yaw", "yaw rad", "yaw"),
    "pilot": ("policy", "pilot", "model", "method", "checkpoint"),
}
_COUNTS = re.compile(r"\s*([0-9]{1,15})\s*/\s*([0-9]{1,15})\s*")
_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # a first line that Excel writes

Line = tuple[str, dict[str, str]]  # where it stands, and what it says in each part


@dataclass(frozen=True)
class Told:
    """What a table or counts say. scenes: what its seeds number, as in `compare.Judged`."""

    rows: tuple[Row, ...]
    scenes: str
    words: str


def is_counts(text: str) -> bool:
    return _COUNTS.fullmatch(text) is not None


def from_counts(text: str) -> Told:
    """32/50: so many episodes, of which nothing else is known. Raises UsageError."""
    found = _COUNTS.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is no count; 32/50 would be one.")
    k, n = int(found[1]), int(found[2])
    if not 0 < n <= MOST_COUNTED or k > n:
        raise UsageError(
            f"{text}: a count is successes/episodes, such as 32/50, of at most {MOST_COUNTED}."
        )
    rows = (_row(0, True, ""),) * k + (_row(0, False, ""),) * (n - k)
    return Told(rows, "", "counts alone: nothing is known of its scenes")


def read_table(file: Path, *, same_scenes: bool = False, pilot: str = "") -> Told:
    """A row an episode, with a head. same_scenes: episode numbers stand for scenes, as seeds do.

    Columns are found by name (`NAMES`) and said. pilot: whose rows are meant, where a column
    names several. A .json is lerobot-eval's, or a list of episodes. Raises UsageError with the line
    that is wrong.
    """
    unit = "line"
    if file.suffix.lower() == ".json":
        raw = _read_json(file)
        found = _episodes(raw)
        if found is None:
            if pilot:
                raise UsageError(f"{file}#{pilot}: this file names nobody. Leave out #{pilot}.")
            return _read_lerobot(file, raw, same_scenes)
        (head, lines), unit = found, "episode"
    else:
        head, lines = _read(file)
    columns = _columns(head, file)
    cut = [(f"{unit} {n} of {file}", _cut(cells, head, columns, n, file)) for n, cells in lines]
    if not cut:
        raise UsageError(f"{file} holds no episode.")
    mine = _of_one_pilot(cut, file, pilot)
    seeds, scenes = _scenes(mine, columns, file, same_scenes)
    rows = [_told_row(seed, told, where) for seed, (where, told) in zip(seeds, mine, strict=True)]
    named = ", ".join(f"{role} from {head[at]!r}" for role, at in columns.items())
    whose = f" of {pilot}" if pilot else ""
    by = f"; its scenes are known by {scenes}" if scenes not in ("", SEEDS) else ""
    by = by if scenes else "; no column says which scene an episode had"
    words = f"{len(rows)} episodes{whose} of {file.name}: {named}{by}"
    return Told(tuple(rows), scenes, words)


def _scenes(
    lines: Sequence[Line], columns: Mapping[str, int], file: Path, same_scenes: bool
) -> tuple[list[int], str]:
    """A seed for each line, and what it numbers: seeds, names, or a seed's episodes.

    Raises UsageError where a scene is there twice, or numbers and names are mixed.
    """
    parts = [part for part in ("seed", "episode") if part in columns]
    for part in parts:
        _require_alike(part, lines)
    key = parts[:1] if "seed" in parts or same_scenes else []
    if not key:
        return list(range(len(lines))), ""
    if len(parts) == 2 and _twice(lines, key):
        key = parts
    twice = _twice(lines, key)
    if twice:
        what = " ".join(f"{part} {value}" for part, value in zip(key, twice, strict=True))
        at = [where.split()[1] for where, told in lines if _key(told, key) == twice]
        raise UsageError(
            f"{file} has {what} {len(at)} times (lines {', '.join(at[:4])}): one row an episode, "
            "and one episode a seed. A column 'episode' would number the episodes of a seed."
        )
    keys = [_key(told, key) for _, told in lines]
    numbers = [one[0] for one in keys if len(one) == 1 and isinstance(one[0], int)]
    if len(numbers) == len(keys):
        return numbers, SEEDS
    return [_number_of(one) for one in keys], BY_NAME if len(key) == 1 else PAIRS


def _require_alike(part: str, lines: Sequence[Line]) -> None:
    """Raise UsageError unless a column holds whole numbers alone, or names alone."""
    is_named = not any(looks_like_a_number(told[part]) for _, told in lines)
    for where, told in lines:
        cell = told[part]
        if not cell or (whole(cell) is None and not is_named):
            raise UsageError(
                f"{where}: {cell!r} is no whole number from 0 on, and stands where "
                f"{'a seed' if part == 'seed' else 'an episode number'} should. Names are taken "
                "where all of them are names; 7 may be written 7.0, and 1000 not 1.000."
            )


def _key(told: Mapping[str, str], parts: Sequence[str]) -> tuple[int | str, ...]:
    found = ((whole(told[part]), told[part]) for part in parts)
    return tuple(text if number is None else number for number, text in found)


def _twice(lines: Sequence[Line], parts: Sequence[str]) -> tuple[int | str, ...]:
    """The scene that is there most often, if that is more than once."""
    (key, times), *_ = Counter(_key(told, parts) for _, told in lines).most_common(1)
    return key if times > 1 else ()


def _number_of(key: tuple[int | str, ...]) -> int:
    """The same number for the same name in every table."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:6])


def _cut(
    cells: Sequence[str], head: Sequence[str], columns: Mapping[str, int], number: int, file: Path
) -> dict[str, str]:
    """What a line says in each of the parts that its columns play."""
    if len(cells) != len(head):
        raise UsageError(
            f"line {number} of {file} has {len(cells)} cells, and the head has {len(head)}."
        )
    total = next((cell for cell in cells if is_total(cell)), None)
    if total is not None:
        raise UsageError(
            f"line {number} of {file}: {total!r} is no episode but sums up others. Remove the line."
        )
    return {role: cells[at].strip() for role, at in columns.items()}


def _of_one_pilot(cut: Sequence[Line], file: Path, pilot: str) -> list[Line]:
    """The lines of the pilot that is meant: the one asked for, or the only one there is."""
    names = list(dict.fromkeys(told["pilot"] for _, told in cut if told.get("pilot")))
    if not pilot and len(names) < 2:
        return list(cut)
    if pilot not in names:
        raise UsageError(
            f"{file} holds {', '.join(names) or 'rows that name nobody'}. "
            + (f"Say who is meant: {file}#{names[0]}" if names else f"Leave out #{pilot}.")
        )
    return [(where, told) for where, told in cut if told.get("pilot") == pilot]


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file} is no {LEROBOT} of lerobot-eval ({error!r}).") from error


def _episodes(raw: Any) -> tuple[list[str], list[tuple[int, list[str]]]] | None:
    """A list of episodes as head and lines, columns without any value left out; None for others.

    Also under `episodes` or lerobot-eval's `per_episode`.
    """
    if isinstance(raw, Mapping) and "per_task" not in raw:
        raw = raw.get("episodes", raw.get("per_episode"))
    if not isinstance(raw, list) or not all(isinstance(one, Mapping) for one in raw):
        return None
    names = dict.fromkeys(str(name) for one in raw for name in one)
    head = [name for name in names if any(one.get(name) is not None for one in raw)]
    return head, [(n, [_text(one.get(name)) for name in head]) for n, one in enumerate(raw, 1)]


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _read_lerobot(file: Path, raw: Any, same_scenes: bool) -> Told:
    """Task by task, and in the order of each one's episodes, as `eval_info.json` has them.

    It does not say from which seed they were counted, which same_scenes vouches for.
    """
    try:
        tasks = sorted(raw["per_task"], key=lambda t: (str(t["task_group"]), t["task_id"]))
        ends = [end for task in tasks for end in task["metrics"]["successes"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{file} is no {LEROBOT} of lerobot-eval ({error!r}), and no list of episodes such as "
            '[{"seed": 7, "success": true}].'
        ) from error
    if not ends:
        raise UsageError(f"{file} holds no episode.")
    for number, end in enumerate(ends, start=1):
        if end not in (True, False):  # 1 and 0 too
            raise UsageError(f"episode {number} of {file}: {why_not_ended(_text(end))}")
    rows = [_row(number, bool(end), "") for number, end in enumerate(ends)]
    told = f"{len(rows)} episodes of lerobot-eval in {file}"
    if not same_scenes:
        told += "; it does not say which scene an episode had"
    return Told(tuple(rows), SEEDS if same_scenes else "", told)


def _read(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} cannot be read ({error}). Save it as UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error}).") from error
    first, _, rest = text.partition("\n")
    said = _SEPARATOR.fullmatch(first)
    text = f"\n{rest}" if said else text  # lines keep their numbers
    head = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    between = said[1] if said else max(",;\t", key=head.count)  # the comma, of but one column
    try:
        lines = csv.reader(io.StringIO(text), delimiter=between)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"line 1 of {file}: {first.strip()!r} cannot be used ({error})."
        ) from error
    try:
        told = [(lines.line_num, line) for line in lines if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise UsageError(f"line {lines.line_num} of {file} cannot be read ({error}).") from error
    if not told:
        raise UsageError(f"{file} is empty.")
    return told[0][1], told[1:]


def _columns(head: Sequence[str], file: Path) -> dict[str, int]:
    """Which column plays which part; others that say who succeeded are `success 2` and on.

    Raises UsageError where none says that, or two are called alike.
    """
    bare = [re.sub(r"[\s_-]+", " ", name.strip().lower()) for name in head]
    found: dict[str, int] = {}
    for role, names in NAMES.items():
        called = next((n for n in names if n in bare), None)
        if called is None or bare.index(called) in found.values():
            continue
        if bare.count(called) > 1:
            raise UsageError(f"{file} has {bare.count(called)} columns {called!r}. Leave one.")
        found[role] = bare.index(called)
    if "success" not in found:
        raise UsageError(
            f"{file} has no column that says who succeeded. Its columns: {', '.join(head)}. Name "
            f"one of them {' or '.join(NAMES['success'][:2])}."
        )
    more = [
        bare.index(n) for n in NAMES["success"] if n in bare and bare.index(n) != found["success"]
    ]
    return found | {f"success {number}": at for number, at in enumerate(more, start=2)}


def _told_row(seed: int, told: Mapping[str, str], where: str) -> Row:
    """Raises UsageError where nothing says how it ended, or two cells contradict each other."""
    cells = [cell for role, cell in told.items() if role.partition(" ")[0] == "success"]
    ends = {end: cell for cell in reversed(cells) if (end := ended(cell)) is not None}
    if not ends or (cells[0] and ended(cells[0]) is None):
        raise UsageError(f"{where}: {why_not_ended(cells[0])}")
    name = re.sub(r"[\s-]+", "_", told.get("class", "")).upper()
    solved = "success" in ends
    said = [repr(cell) for cell in ends.values()] if solved else []
    if name in CLASSES and solved != (name in SOLVED):
        said = [repr(next(iter(ends.values()))), repr(told["class"])]
    if len(said) > 1:
        raise UsageError(
            f"{where}: {' and '.join(said)} contradict each other. Put one of them right, or leave "
            "that column out."
        )
    if "fault" in ends or name == "FAULT":
        return Row(seed, "policy", "", "fault", "FAULT", 0)
    return _row(seed, solved, name, _spawn(told, where))


def _row(seed: int, success: bool, failure_class: str, spawn: Spawn | None = None) -> Row:
    reason = "success" if success else "failure"
    return Row(seed, "policy", "", reason, failure_class or reason.upper(), 0, spawn)


def _spawn(told: Mapping[str, str], where: str) -> Spawn | None:
    if not told.get("x") or not told.get("y"):
        return None
    try:
        spawn = measure(told["x"]), measure(told["y"]), measure(told.get("yaw") or "0")
    except ValueError as error:
        raise UsageError(f"{where}: a spawn that is no number ({error}).") from error
    if any(map(math.isinf, spawn)):
        raise UsageError(f"{where}: a spawn that is infinite {spawn}.")
    return None if any(map(math.isnan, spawn)) else spawn
