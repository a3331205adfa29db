"""Two policies in turn on one arm: who drove is told when every rollout has its verdict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vibrissa.bench.growth import PLANNED
from vibrissa.bench.logbook import (
    OUTCOMES,
    counted,
    place,
    read_all,
    read_told,
    rewrite,
    stopped,
    told_of,
    write_report,
)
from vibrissa.bench.order import FIRST, SECOND, read_order, write_order
from vibrissa.bench.outcomes import Paired, Row, compare_paired
from vibrissa.bench.precision import told as precision_told
from vibrissa.bench.row_folder import DEPLOYMENT
from vibrissa.bench.verdicts import UNLABELLED
from vibrissa.core.errors import UsageError


@dataclass(frozen=True)
class Standing:
    """Two policies, judged: their rows, whole pairs compared, and pairs that cannot be.

    planned: how many pairs were to be tried, of which some may still be missing.
    """

    first: Sequence[Row]
    second: Sequence[Row]
    paired: Paired
    left_out: int
    planned: int = 0

    @property
    def verdict(self) -> str:
        """Of the first against the second: better, worse or not separated."""
        return self.paired.verdict

    def lines(self, names: Sequence[str]) -> list[str]:
        """For a reader; `names`: what A and B stand for."""
        pair = self.paired
        said = pair.told(FIRST, SECOND)
        out = f"; {self.left_out} more pairs are not whole and left out" if self.left_out else ""
        tried = pair.seeds + self.left_out
        if tried < self.planned:
            out += f"; {stopped(tried, self.planned)}"
        text = [
            f"{FIRST}       {told_of(self.first)}   {names[0]}",
            f"{SECOND}       {told_of(self.second)}   {names[1]}",
            f"paired  {pair.seeds} pairs, {pair.only_first} solved by A alone, {pair.only_second} "
            f"by B alone (exact McNemar p = {pair.p:.2g}): {said}{out}",
        ]
        return [*text, f"n       {precision_told(pair.seeds)}"] if pair.seeds else text


def over(folder: Path) -> bool:
    """Whether all that was planned was tried, and every rollout has its verdict."""
    rows, order = read_all(folder), read_order(folder)
    tried = {place(row) for row in rows}
    return tried.issuperset(range(2 * order.pairs)) and not missing(rows)


def missing(rows: Sequence[Row]) -> list[int]:
    """The rollouts, from 0, that still want a verdict."""
    return [place(row) for row in rows if row.failure_class == UNLABELLED]


def standing(rows: Sequence[Row], planned: int = 0) -> Standing:
    """What revealed rows come to, pair by pair; planned: pairs in all.

    Rows without a number are taken in their order. A pair is compared where both its rollouts
    were judged. A policy that broke down is counted as not having solved it; an arm that did says
    nothing of either.
    """
    first = [row for row in rows if row.pilot == FIRST]
    second = [row for row in rows if row.pilot == SECOND]
    pairs: dict[int, list[Row]] = {}
    for at, row in enumerate(rows):
        pairs.setdefault((at if row.rollout is None else place(row)) // 2, []).append(row)
    whole = [pair for pair in pairs.values() if len(pair) == 2 and all(map(_tells, pair))]
    numbered = [replace(row, seed=n) for n, pair in enumerate(whole) for row in pair]
    paired = compare_paired(
        [row for row in numbered if row.pilot == FIRST],
        [row for row in numbered if row.pilot == SECOND],
    )
    return Standing(first, second, paired, len(pairs) - len(whole), planned)


def reveal(folder: Path) -> Standing:
    """Name who drove in every row, leave `A/` and `B/` for vibrissa compare, and a report.

    May be called again; a kill in between is mended by that. Datasets that were recorded of it
    are told by `name_players`. Raises UsageError.
    """
    order, rows = read_order(folder), read_all(folder)
    told, contract = read_told(folder)
    named = [replace(row, pilot=order.driver(place(row))) for row in rows]
    for name in (FIRST, SECOND):
        mine = [row for row in named if row.pilot == name]
        own = [replace(row, pilot="policy", rollout=None) for row in mine]
        _leave(folder / name, told, name, [r for r in own if _tells(r)], contract.to_dict())
    rewrite(folder / OUTCOMES, named)
    write_order(folder, replace(order, revealed=True))
    write_report(folder, told, named, contract, 0.0)
    return standing(named, order.pairs)


def names_in(folder: Path) -> tuple[str, str]:
    """Which checkpoints A and B are."""
    told, _ = read_told(folder)
    return str(told["checkpoint"]), str(told["against"])


def name_players(folder: Path) -> None:
    """Note in the datasets recorded of a deployment who played each episode, once it was told.

    May be called again. A dataset that is elsewhere by now, or still being recorded, is left as
    it is. Raises DatasetError, UsageError.
    """
    from vibrissa.data.notes import add_to_notes

    (told, _), order = read_told(folder), read_order(folder)
    if not order.revealed:
        return
    first, second = names_in(folder)
    names = {FIRST: first, SECOND: second}

    def player(note: Mapping[str, Any]) -> dict[str, str]:
        if "rollout" not in note:
            return {}
        driver = order.driver(int(note["rollout"]) - 1)
        return {"driver": driver, "policy": names[driver]}

    for dataset in told.get("datasets") or ():
        add_to_notes(Path(dataset), player)


def _tells(row: Row) -> bool:
    return bool(counted([row]))


def _leave(folder: Path, told: dict, name: str, rows: Sequence[Row], contract: dict) -> None:
    """A folder of one policy's rows, as a deployment of its own."""
    own = {k: v for k, v in told.items() if not k.startswith("against") and k != PLANNED}
    if name == SECOND:
        own["checkpoint"] = told["against"]
        contract = told.get("against_contract", contract)
    try:
        folder.mkdir(exist_ok=True)
        part = folder / f"{DEPLOYMENT}.part"
        part.write_text(json.dumps({**own, "contract": contract}, indent=2) + "\n", "utf-8")
        part.replace(folder / DEPLOYMENT)
        rewrite(folder / OUTCOMES, rows)
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror}.") from error
