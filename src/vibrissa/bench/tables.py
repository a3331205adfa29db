"""Outcomes that were judged elsewhere: tables of episodes (CSV), lerobot-eval's, counts (32/50)."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vibrissa.bench.outcomes import Row, Spawn
from vibrissa.core.errors import UsageError

SUFFIXES = (".csv", ".tsv", ".txt", ".json")
LEROBOT = "eval_info.json"  # what lerobot-eval leaves
YES = ("1", "true", "yes", "y", "success", "succeeded", "solved", "pass", "passed", "1.0")
NO = ("0", "false", "no", "n", "failure", "failed", "fail", "timeout", "unsolved", "0.0")
BROKEN = ("fault", "error", "crash", "crashed")
MOST_COUNTED = 100_000

# What a column may be called, the first of them that is there; case and _ - make no difference.
NAMES: Mapping[str, tuple[str, ...]] = {
    "seed": ("seed", "scene", "initial state", "init"),
    "episode": ("episode", "episode index", "index", "trial", "rollout", "run"),
    "success": ("success", "outcome", "result", "reason", "verdict", "solved", "is success"),
    "class": ("failure class", "class", "failure"),
    "x": ("spawn x", "x m", "x"),
    "y": ("spawn y", "y m", "y"),
    "yaw": ("spawn yaw", "yaw rad", "yaw"),
    "pilot": ("policy", "pilot", "model", "method", "checkpoint"),
}
_COUNTS = re.compile(r"\s*(\d+)\s*/\s*(\d+)\s*")


@dataclass(frozen=True)
class Told:
    """What a table or counts told. scenes: whether equal seeds mean equal scenes."""

    rows: tuple[Row, ...]
    scenes: bool
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
        raise UsageError(f"{text}: a count is successes/episodes, such as 32/50.")
    rows = [_row(i, i < k, "") for i in range(n)]
    return Told(tuple(rows), False, "counts alone: nothing is known of its scenes")


def read_table(file: Path, *, same_scenes: bool = False, pilot: str = "") -> Told:
    """A row an episode, with a head. same_scenes: episode numbers stand for scenes, as seeds do.

    Columns are found by name (`NAMES`) and said. pilot: whose rows are meant, where a column
    names several. A .json is lerobot-eval's. Raises UsageError with the line that is wrong.
    """
    if file.suffix.lower() == ".json":
        if pilot:
            raise UsageError(f"{file}#{pilot}: this file names nobody. Leave out #{pilot}.")
        return _read_lerobot(file, same_scenes)
    head, lines = _read(file)
    columns = _columns(head, file)
    cut = [(f"line {n} of {file}", _cut(cells, head, columns, n, file)) for n, cells in lines]
    if not cut:
        raise UsageError(f"{file} holds no episode.")
    key = "seed" if "seed" in columns else "episode" if same_scenes else ""
    key = key if key in columns else ""
    mine = _of_one_pilot(cut, file, pilot)
    rows = [
        _told_row(_whole(told[key], where) if key else number, told, where)
        for number, (where, told) in enumerate(mine)
    ]
    seed, times = Counter(row.seed for row in rows).most_common(1)[0]
    if times > 1:
        raise UsageError(
            f"{file} has seed {seed} {times} times: one row an episode, and one episode a seed."
        )
    named = ", ".join(f"{role} from {head[at]!r}" for role, at in columns.items())
    whose = f" of {pilot}" if pilot else ""
    scenes = "" if key else "; no column says which scene an episode had"
    words = f"{len(rows)} episodes{whose} of {file.name}: {named}{scenes}"
    return Told(tuple(rows), bool(key), words)


def _cut(
    cells: Sequence[str], head: Sequence[str], columns: Mapping[str, int], number: int, file: Path
) -> dict[str, str]:
    """What a line says in each of the parts that its columns play."""
    if len(cells) != len(head):
        raise UsageError(
            f"line {number} of {file} has {len(cells)} cells, and the head has {len(head)}."
        )
    return {role: cells[at].strip() for role, at in columns.items()}


def _of_one_pilot(
    cut: Sequence[tuple[str, dict[str, str]]], file: Path, pilot: str
) -> list[tuple[str, dict[str, str]]]:
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


def _read_lerobot(file: Path, same_scenes: bool) -> Told:
    """Task by task, and in the order of each one's episodes, as `eval_info.json` has them.

    It does not say from which seed they were counted, which same_scenes vouches for.
    """
    try:
        tasks = json.loads(file.read_text(encoding="utf-8"))["per_task"]
        tasks = sorted(tasks, key=lambda task: (str(task["task_group"]), task["task_id"]))
        ends = [bool(end) for task in tasks for end in task["metrics"]["successes"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} is no {LEROBOT} of lerobot-eval ({error!r}).") from error
    if not ends:
        raise UsageError(f"{file} holds no episode.")
    rows = [_row(number, end, "") for number, end in enumerate(ends)]
    told = f"{len(rows)} episodes of lerobot-eval in {file}"
    if not same_scenes:
        told += "; it does not say which scene an episode had"
    return Told(tuple(rows), same_scenes, told)


def _read(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} cannot be read ({error}). Save it as UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error}).") from error
    head = text.lstrip().partition("\n")[0]
    between = max(",;\t", key=head.count)  # the comma, where there is but one column
    lines = csv.reader(io.StringIO(text), delimiter=between)
    try:
        told = [(lines.line_num, line) for line in lines if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise UsageError(f"line {lines.line_num} of {file} cannot be read ({error}).") from error
    if not told:
        raise UsageError(f"{file} is empty.")
    return told[0][1], told[1:]


def _columns(head: Sequence[str], file: Path) -> dict[str, int]:
    """Which column plays which part."""
    bare = [re.sub(r"[\s_-]+", " ", name.strip().lower()) for name in head]
    found: dict[str, int] = {}
    for role, names in NAMES.items():
        at = next((bare.index(n) for n in names if n in bare), None)
        if at is not None and at not in found.values():
            found[role] = at
    if "success" not in found:
        raise UsageError(
            f"{file} has no column that says who succeeded. Its columns: {', '.join(head)}. Name "
            f"one of them {' or '.join(NAMES['success'][:2])}."
        )
    return found


def _told_row(seed: int, told: Mapping[str, str], where: str) -> Row:
    word = told["success"].lower()
    if word not in (*YES, *NO, *BROKEN):
        raise UsageError(
            f"{where}: {told['success']!r} is neither success nor failure. Known are 1, 0, true, "
            "false, success, failure, timeout, fault."
        )
    if word in BROKEN:
        return Row(seed, "policy", "", "fault", "FAULT", 0)
    name = re.sub(r"[\s-]+", "_", told.get("class", "").strip()).upper()
    return _row(seed, word in YES, name, _spawn(told, where))


def _row(seed: int, success: bool, failure_class: str, spawn: Spawn | None = None) -> Row:
    reason = "success" if success else "failure"
    return Row(seed, "policy", "", reason, failure_class or reason.upper(), 0, spawn)


def _spawn(told: Mapping[str, str], where: str) -> Spawn | None:
    if not told.get("x") or not told.get("y"):
        return None
    try:
        spawn = float(told["x"]), float(told["y"]), float(told.get("yaw") or 0.0)
    except ValueError as error:
        raise UsageError(f"{where}: a spawn that is no number ({error}).") from error
    if any(map(math.isinf, spawn)):
        raise UsageError(f"{where}: a spawn that is infinite {spawn}.")
    return None if any(map(math.isnan, spawn)) else spawn


def _whole(cell: str, where: str) -> int:
    try:
        number = float(cell)
        if number == int(number) >= 0:
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        f"{where}: {cell!r} is no whole number from 0 on, and stands where a seed should."
    )
