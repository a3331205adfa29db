"""One row an episode, and what a set of rows says about a pilot."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from vibrissa.bench.row_checks import is_cut, parse, wrong_with
from vibrissa.bench.row_folder import Line, Wrong, check_together
from vibrissa.core.episode import Reason
from vibrissa.core.errors import UsageError
from vibrissa.core.outcomes import CLASSES
from vibrissa.core.stats import Interval, mcnemar, rate_text, wilson

Spawn = tuple[float, float, float]  # x m, y m, yaw rad
LEVEL = 0.05  # of a verdict on pairs
TIMED = ("wall_s", "latency_s")  # what differs when the very same episode is had again


@dataclass(frozen=True)
class Row:
    """One judged episode, as one line of `outcomes.jsonl`.

    pilot: policy, expert, zero or random. spawn: the object's pose at the first tick, None
    where the arm does not tell. measures: the task's own numbers (`max_height_m`, `picked`,
    `dropped`, …). latency_s: mean and greatest time of the episode's inferences. action_low,
    action_high: the range of what was sent, (A,) each, in the arm's unit. wall_s: time in the
    loop, shared with the episodes beside it. detail: what a fault said. sampled: what the
    scene's randomisation drew, with which the episode can be had again. rollout: of a deployment,
    its number from 1; None of all others.
    """

    seed: int
    pilot: str
    task: str
    reason: Reason
    failure_class: str
    ticks: int
    spawn: Spawn | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    inferences: int = 0
    late: int = 0
    latency_s: tuple[float, float] = (0.0, 0.0)
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()
    jump: float | None = None
    stride: float | None = None
    wall_s: float = 0.0
    detail: str = ""
    sampled: Mapping[str, Any] = field(default_factory=dict)
    rollout: int | None = None

    @property
    def success(self) -> bool:
        return self.reason == "success"

    def differing(self, other: Row) -> list[str]:
        """The fields in which another row is not this one, times on the clock left aside."""
        names = (f.name for f in fields(self) if f.name not in TIMED)
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    def to_json(self) -> str:
        told = asdict(self)
        if self.rollout is None:
            del told["rollout"]
        return json.dumps(told, sort_keys=True)

    @staticmethod
    def from_json(line: str) -> Row:
        return Row.from_dict(json.loads(line))

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Row:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
        return Row(**values)


@dataclass(frozen=True)
class Summary:
    """What the rows of one pilot say. Rates that have no denominator are None.

    clean, fumbled: successes without a drop on the way, and those with one. mean_grip_n: normal
    force on the pad that bore less, mean over the episodes in which the object was carried;
    mean_slip_m, mean_slip_rad, both_pads_share: its way in the jaws, and the share of those ticks
    with both pads on it, over the same episodes.
    """

    success: int
    clean: int
    fumbled: int
    episodes: int
    interval: Interval
    picked: int
    dropped: int
    faults: int
    pick_rate: float | None
    drop_rate: float | None
    mean_steps: float | None
    mean_steps_success: float | None
    mean_max_height_m: float | None
    mean_grip_n: float | None
    mean_slip_m: float | None
    mean_slip_rad: float | None
    both_pads_share: float | None
    mean_wall_s: float | None
    mean_latency_s: float | None
    mean_inferences: float | None
    action_low: tuple[float, ...]
    action_high: tuple[float, ...]
    mean_jump: float | None
    mean_stride: float | None
    classes: Mapping[str, int]

    @property
    def rate(self) -> float | None:
        return _share(self.success, self.episodes)

    @property
    def text(self) -> str:
        return rate_text(self.success, self.episodes)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "rate": self.rate}


def summarise(rows: Sequence[Row]) -> Summary:
    """Counts, intervals and means of one pilot's episodes.

    A fault is counted among the episodes, never among the successes, and by itself: it says
    that something broke, not what the policy can do.
    """
    wins = [r for r in rows if r.success]
    picked = [r for r in rows if r.measures.get("picked")]
    dropped = [r for r in picked if r.measures.get("dropped")]
    asked = [r for r in rows if r.inferences]
    fumbled = sum(r.failure_class == "FUMBLED" for r in wins)
    return Summary(
        success=len(wins),
        clean=len(wins) - fumbled,
        fumbled=fumbled,
        episodes=len(rows),
        interval=wilson(len(wins), len(rows)),
        picked=len(picked),
        dropped=len(dropped),
        faults=sum(r.reason == "fault" for r in rows),
        pick_rate=_share(len(picked), len(rows)),
        drop_rate=_share(len(dropped), len(picked)),
        mean_steps=_mean(r.ticks for r in rows),
        mean_steps_success=_mean(r.ticks for r in wins),
        mean_max_height_m=_mean(_measured(rows, "max_height_m")),
        mean_grip_n=_mean(
            map(min, zip(*(_measured(rows, f"{pad}_pad_mean_n") for pad in ("static", "moving"))))
        ),
        mean_slip_m=_mean(_measured(rows, "slip_m")),
        mean_slip_rad=_mean(_measured(rows, "slip_rad")),
        both_pads_share=_mean(_measured(rows, "both_pads_share")),
        mean_wall_s=_mean(r.wall_s for r in rows),
        mean_latency_s=_mean(r.latency_s[0] for r in asked),
        mean_inferences=_mean(r.inferences for r in asked),
        action_low=tuple(map(min, zip(*(r.action_low for r in rows if r.action_low)))),
        action_high=tuple(map(max, zip(*(r.action_high for r in rows if r.action_high)))),
        mean_jump=_mean(r.jump for r in rows if r.jump is not None),
        mean_stride=_mean(r.stride for r in rows if r.stride is not None),
        classes=count_classes(rows),
    )


def count_classes(rows: Iterable[Row]) -> dict[str, int]:
    """How often each class that occurred did, in the order of `CLASSES`."""
    counts = Counter(r.failure_class for r in rows)
    known = [c for c in CLASSES if c in counts]
    return {c: counts[c] for c in [*known, *sorted(set(counts) - set(known))]}


@dataclass(frozen=True)
class Paired:
    """Two pilots on the same seeds: who alone succeeded how often, and the exact p."""

    seeds: int
    only_first: int
    only_second: int
    p: float

    @property
    def verdict(self) -> str:
        """Of the first against the second: better, worse or not separated, at 5 %."""
        if self.p > LEVEL:
            return "not separated"
        return "better" if self.only_first > self.only_second else "worse"

    def told(self, first: str, second: str) -> str:
        """The verdict as a sentence without its stop."""
        if self.verdict == "not separated":
            return f"{first} and {second} are not separated"
        return f"{first} is {self.verdict} than {second}"


def compare_paired(first: Sequence[Row], second: Sequence[Row]) -> Paired:
    """The paired comparison on the seeds that both have."""
    other = {r.seed: r.success for r in second}
    both = [(r.success, other[r.seed]) for r in first if r.seed in other]
    only_first = sum(a and not b for a, b in both)
    only_second = sum(b and not a for a, b in both)
    return Paired(len(both), only_first, only_second, mcnemar(only_first, only_second))


class RowFile:
    """`outcomes.jsonl`: a line an episode, on the disk before the next one is counted.

    Opening it keeps what an earlier call wrote; a last line that a kill cut short is dropped, and
    `cut` says so. Raises UsageError where the disk refuses, or what is there are no rows.
    """

    def __init__(self, path: Path):
        self.path = path
        read = read_file(path) if path.exists() else Read([])
        self.rows: list[Row] = read.rows
        self.cut = f"{read.cut} It is played again." if read.cut else ""
        whole = "".join(row.to_json() + "\n" for row in self.rows)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.read_text(encoding="utf-8", errors="replace") != whole:
                fresh = path.with_suffix(".tmp")
                fresh.write_text(whole, encoding="utf-8")
                fresh.replace(path)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}.") from error

    def add(self, row: Row) -> None:
        """Raises UsageError where the disk refuses; the rows before it are kept."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(row.to_json() + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            won = sum(r.success for r in self.rows)
            raise UsageError(
                f"cannot write {self.path}: {error.strerror}. The {len(self.rows)} rows before it "
                f"are kept, {won} of them successes."
            ) from error
        self.rows.append(row)

    def of(self, pilot: str) -> list[Row]:
        """The rows of one pilot, by seed."""
        return sorted((r for r in self.rows if r.pilot == pilot), key=lambda r: r.seed)


@dataclass(frozen=True)
class Read:
    """What a file of rows holds. cut: what is said of a last line that is cut short, or nothing."""

    rows: list[Row]
    cut: str = ""


def read_rows(path: Path) -> list[Row]:
    """The rows of an `outcomes.jsonl`, as `read_file` has them."""
    return read_file(path).rows


def read_file(path: Path) -> Read:
    """The one reader of an `outcomes.jsonl`: every row is checked, by itself and with the others.

    A last line that is cut short is left out, and said. Raises UsageError for a line that is no
    row, contradicts itself, the other rows or the folder's own file, and for one that is there
    twice.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    lines, cut = _lines(content, path)
    try:
        for number, raw in lines:
            wrong = wrong_with(raw)
            if wrong:
                raise Wrong(number, wrong)
        check_together(lines, path.parent)
    except Wrong as wrong:
        raise _refused(path, wrong.number, str(wrong)) from wrong
    return Read([Row.from_dict(raw) for _, raw in lines], cut)


def _lines(content: bytes, path: Path) -> tuple[list[Line], str]:
    """Every line that is not blank, as JSON; and what is said of the last one, if it is cut."""
    whole = content.removeprefix(b"\xef\xbb\xbf").rstrip(b"\0 \t\r\n")  # a power cut leaves zeros
    ends = content.endswith((b"\n", b"\r"))
    texts = whole.splitlines()
    lines: list[Line] = []
    for number, line in enumerate(texts, start=1):
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _refused(path, number, f"it is not UTF-8 ({error.reason})") from error
        try:
            lines.append((number, parse(text)))
        except (ValueError, RecursionError) as error:
            if number == len(texts) and not ends and is_cut(text):
                return lines, f"Line {number} of {path} is cut short and is not counted."
            raise _refused(path, number, str(error)) from error
    return lines, ""


def _refused(path: Path, number: int, why: str) -> UsageError:
    return UsageError(
        f"line {number} of {path} is no outcome of an episode: {why}. Put the line right, or "
        "remove it: the command that wrote it then plays that episode again."
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _measured(rows: Iterable[Row], name: str) -> list[float]:
    """What was measured under this name, of the episodes that have it."""
    return [r.measures[name] for r in rows if name in r.measures]


def _mean(values: Iterable[float]) -> float | None:
    kept = list(values)
    return float(np.mean(kept)) if kept else None
