"""The folder of a deployment: what was tried with what, a row a rollout, and what they come to.

Everything is written after every rollout, so that a kill keeps those that are over.

    deployment.json  outcomes.jsonl  report.json  report.html  recordings/rollout_001.mp4 …
"""

from __future__ import annotations

import datetime
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vibrissa.bench.growth import PLANNED, asked_now, planned
from vibrissa.bench.order import FIRST, HIDDEN, SECOND, read_order
from vibrissa.bench.outcomes import (
    Read,
    Row,
    RowFile,
    Summary,
    compare_paired,
    read_file,
    summarise,
)
from vibrissa.bench.page import machine, sees, versions
from vibrissa.bench.report import Clip, Report, write
from vibrissa.bench.row_folder import DEPLOYMENT
from vibrissa.bench.verdicts import UNLABELLED, class_named, reason_of
from vibrissa.core.contract import Contract
from vibrissa.core.errors import PolicyFault, UsageError, VibrissaError

OUTCOMES, RECORDINGS = "outcomes.jsonl", "recordings"
UNCOUNTED = (UNLABELLED, "ABORTED")  # nobody said what they came to
KEPT = ("cautions", "datasets", PLANNED)  # told beside what was asked for


class Logbook:
    """A deployment's folder, new or gone on with.

    told: what must be the same when it is gone on with (checkpoint, task, …). seen: what the
    policy sees, for the report. Raises UsageError where the folder holds something else.
    """

    def __init__(self, folder: Path, told: Mapping[str, Any], contract: Contract):
        self.folder = folder
        self._told, self._contract = json.loads(json.dumps(dict(told))), contract
        self._began_s = time.monotonic()
        self._cautions: list[str] = []
        self._datasets: list[str] = []
        self._planned: list[int] = []
        self._take_folder()
        self._file = RowFile(folder / OUTCOMES)

    @property
    def rows(self) -> list[Row]:
        """In the order in which they were written; each knows the number of its rollout."""
        return self._file.rows

    @property
    def cut(self) -> str:
        """What is said of a last row that was cut short, or nothing."""
        return self._file.cut

    def missing(self, rollouts: int) -> list[int]:
        """Which of the first `rollouts` have no row, from 0."""
        there = {place(row) for row in self.rows}
        return [number for number in range(rollouts) if number not in there]

    def add(self, row: Row) -> None:
        """Keep a rollout's row, then what all of them come to. Raises UsageError: a full disk.

        A row without a number is the first rollout that is missing.
        """
        if row.rollout is None:
            row = replace(row, rollout=self.missing(len(self.rows) + 1)[0] + 1)
        try:
            self._file.add(row)
        except UsageError as error:
            self.rows.append(row)  # for whoever tells what they come to
            raise UsageError(
                f"{error} With the last one, which is not in it: {so_far(self.rows)}."
            ) from error
        self.write_report()

    def replace_last(self, row: Row) -> None:
        """What somebody says about the last rollout when it is over. Raises UsageError."""
        rewrite(self._file.path, [*self._file.rows[:-1], row])
        self._file.rows[-1] = row
        self.write_report()

    def caution(self, lines: Sequence[str]) -> None:
        """Keep what was odd before the first rollout, for the report. Raises UsageError."""
        self._cautions = list(lines)
        self._write_told()

    def plan(self, rollouts: int) -> None:
        """Keep how many rollouts were asked for. Raises UsageError."""
        self._planned = asked_now(self._planned, rollouts, len(self.rows))
        self._write_told()

    def recording(self, dataset: Path) -> None:
        """Keep where its rollouts are recorded, so that it can be noted there who played them."""
        self._datasets.append(str(dataset.resolve()))
        self._write_told()

    def write_report(self) -> None:
        told = {**self._told, "cautions": self._cautions}
        write_report(self.folder, told, self._file.rows, self._contract, self.wall_s)

    def film(self, index: int) -> Path:
        return film_of(self.folder, index)

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self._began_s

    def _take_folder(self) -> None:
        file = self.folder / DEPLOYMENT
        if file.is_file():
            before, _ = read_told(self.folder)
            self._datasets = list(before.get("datasets") or ())
            self._planned = planned(before)
            known = [k for k in {**before, **self._told} if k not in KEPT]
            differ = [k for k in known if before.get(k) != self._told.get(k)]
            if differ:
                words = "; ".join(
                    f"{k} {_short(before.get(k))}, now {_short(self._told.get(k))}" for k in differ
                )
                raise UsageError(
                    f"{self.folder} holds rollouts of something else ({words}). Ask for the same "
                    "to go on with it, or name another --out."
                )
            return
        if self.folder.exists() and (self.folder.is_file() or any(self.folder.iterdir())):
            raise UsageError(f"--out {self.folder} is there already and holds no deployment.")
        self._write_told()

    def _write_told(self) -> None:
        file = self.folder / DEPLOYMENT
        told = {**self._told, "cautions": self._cautions, "datasets": self._datasets}
        told[PLANNED] = self._planned
        told["contract"] = self._contract.to_dict()
        part = file.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
            os.replace(part, file)
        except OSError as error:
            raise UsageError(f"--out {self.folder} cannot be made: {error.strerror}.") from error


def place(row: Row) -> int:
    """Which rollout a row is, from 0."""
    assert row.rollout is not None
    return row.rollout - 1


def film_of(folder: Path, index: int) -> Path:
    """The film of rollout `index`, from 0. People count from 1, and so do its names."""
    return folder / RECORDINGS / f"rollout_{index + 1:03d}.mp4"


def counted(rows: Sequence[Row]) -> list[Row]:
    """The rollouts that say something of the policy: somebody judged them, or it broke down."""
    return [row for row in rows if row.failure_class not in UNCOUNTED and not broke(row)]


def broke(row: Row) -> bool:
    """Whether something other than the policy broke down: the arm, a camera, the judge."""
    return row.reason == "fault" and not row.detail.startswith(PolicyFault.__name__)


def _short(value: Any) -> str:
    """A value in a line: what is as long as a contract is only said to be there."""
    return "another one" if isinstance(value, dict | list) else str(value)


def told_of(rows: Sequence[Row]) -> str:
    """One line: successes with n and interval, and what is not counted."""
    kept = counted(rows)
    left = {name: sum(row.failure_class == name for row in rows) for name in UNCOUNTED}
    left["in which arm or judge broke down"] = sum(map(broke, rows))
    more = ", ".join(f"{n} {name.lower()}" for name, n in left.items() if n)
    if not kept:
        return f"nothing judged yet{f' ({more})' if more else ''}"
    return summarise(kept).text + (f", and {more}, not counted" if more else "")


def so_far(rows: Sequence[Row]) -> str:
    """What the rollouts come to up to now; of a blind deployment, only how many."""
    kept = counted(rows)
    if any(row.pilot == HIDDEN for row in rows):
        return f"{len(kept)} judged so far"
    return f"so far {summarise(kept).text}" if kept else "none judged so far"


def summary_of(rows: Sequence[Row]) -> Summary:
    return summarise(counted(rows))


def read_all(folder: Path, say: Callable[[str], None] = lambda _: None) -> list[Row]:
    """The rows of a deployment's folder, by rollout; `say`: where the last one is cut short.

    Raises UsageError where it is none.
    """
    if not (folder / DEPLOYMENT).is_file():
        raise UsageError(f"{folder} holds no deployment: it has no {DEPLOYMENT}.")
    file = folder / OUTCOMES
    read = read_file(file) if file.is_file() else Read([])
    if read.cut:
        say(read.cut)
    return sorted(read.rows, key=place)


def label(folder: Path, number: int, verdict: str) -> list[Row]:
    """Say afterwards how rollout `number`, counted from 1, went; all rows, and a new report.

    verdict: success, failure, or a class by name. Raises UsageError where there is no such
    rollout or class, and for one that broke down.
    """
    rows, name = read_all(folder), class_named(verdict)
    told, contract = read_told(folder)
    there = {row.rollout: at for at, row in enumerate(rows)}
    if number not in there:
        known = ", ".join(map(str, there)) or "none"
        known = f"1 to {len(rows)}" if rows and place(rows[-1]) + 1 == len(rows) else known
        raise UsageError(f"no rollout {number} in {folder}. There is: {known}.")
    at = there[number]
    row = rows[at]
    if row.reason == "fault":
        raise UsageError(f"rollout {number} broke down ({row.detail}): it has no verdict.")
    knowing = ", knowing who drove" if row.pilot in (FIRST, SECOND) else ""
    rows[at] = replace(
        row,
        reason=reason_of(name),
        failure_class=name,
        detail=f"labelled later{knowing}; was {row.failure_class}",
    )
    rewrite(folder / OUTCOMES, rows)
    write_report(folder, told, rows, contract, 0.0)
    return rows


def rewrite(path: Path, rows: Sequence[Row]) -> None:
    """All `rows` into the file, whole or not at all. Raises UsageError: the disk refuses."""
    part = path.with_suffix(".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(row.to_json() + "\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}. It is as it was.") from error


def write_report(
    folder: Path,
    told: Mapping[str, Any],
    rows: Sequence[Row],
    contract: Contract,
    wall_s: float,
    clips: Sequence[Clip] = (),
) -> None:
    """`report.json` and `report.html` of the rollouts that were judged, in evaluation's form.

    Of two policies, the second stands beside the first once it was told who drove; before that
    both are one.
    """
    kept = counted(rows)
    left = len(rows) - len(kept)
    cautions = [*(told.get("cautions") or ()), *_broken(rows)]
    mine = [row for row in kept if row.pilot != SECOND]
    others = [row for row in kept if row.pilot == SECOND]
    instruction = str(told.get("instruction") or told.get("task") or "rollouts")
    headline = ""
    if others:
        pairs, planned = len({place(row) // 2 for row in rows}), read_order(folder).pairs
        cautions += [f"{stopped(pairs, planned)}."] if pairs < planned else []
        headline = f"{instruction}: {compare_paired(mine, others).told(FIRST, SECOND)}"
    report = Report(
        title="deploy",
        made=datetime.date.today().isoformat(),
        instruction=instruction,
        headline=headline,
        who=FIRST if others else "",
        sees=sees(contract),
        rows=mine,
        beside={SECOND: others} if others else {},
        seconds={"rollouts": sum(row.wall_s for row in rows)},
        wall_s=wall_s,
        clips=clips,
        no_clips="The films, where --video asked for them, lie beside this page in recordings/.",
        settings={k: v for k, v in told.items() if not isinstance(v, dict | list)},
        machine=machine(),
        versions=versions(),
        command=shlex.join(["vibrissa", *sys.argv[1:]]),
        note=_note(kept, left),
        cautions=cautions,
        **_thing(told),
    )
    write(report, folder)


def stopped(tried: int, planned: int) -> str:
    """What a test of fewer pairs than planned is worth."""
    return (
        f"{tried} of {planned} planned pairs were tried, and this p holds only if nothing that was "
        "seen decided to stop"
    )


def _thing(told: Mapping[str, Any]) -> dict[str, Any]:
    """What is moved and its symmetry, where a task that is known by its name says so."""
    from vibrissa.sim.tasks import task_named

    try:
        thing = task_named(str(told.get("task"))).scene.object
    except VibrissaError:
        return {}
    return {"thing": thing.name, "symmetry": thing.symmetry}


def _broken(rows: Sequence[Row]) -> list[str]:
    """Rollouts that are not counted because something other than the policy failed."""
    return [
        f"Rollout {row.rollout} broke down and is not counted: {row.detail}"
        for row in rows
        if broke(row)
    ]


def _note(kept: Sequence[Row], left: int) -> str:
    counts = f"{len(kept)} rollouts that were judged; {left} more were not and are not counted. "
    if any(row.pilot == HIDDEN for row in kept):
        return (
            f"{counts}Two policies drove in turn, and it is not yet told which when: this is both "
            "of them together, and no rate of either."
        )
    if any(row.pilot == SECOND for row in kept):
        return (
            f"{counts}A and B drove in turn from the same placements, and nobody beside the arm "
            "was told which."
        )
    return f"{counts}The interval (Wilson) speaks of this one policy on this one arm, on that day."


def read_told(folder: Path) -> tuple[dict[str, Any], Contract]:
    """What a deployment was done with, and its contract. Raises UsageError."""
    file = folder / DEPLOYMENT
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return told, Contract.from_dict(told.pop("contract"))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UsageError(f"{file} cannot be read ({error}). Name another --out.") from error
