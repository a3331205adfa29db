"""One contender against another: better, worse or not separated, with what that rests on.

Where this program judged both, seed by seed, the anytime test decides (`core.anytime`); pairs
that were all there before are looked at once, by the exact McNemar test; outcomes without common
scenes by Barnard's. Several comparisons at once are corrected for their number (Holm).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any, Literal

from vibrissa.bench.outcomes import Row
from vibrissa.core.anytime import after
from vibrissa.core.letters import holm, letters
from vibrissa.core.power import seen_apart, seen_by_anytime, seen_by_mcnemar
from vibrissa.core.stats import (
    Interval,
    Pairs,
    barnard,
    correlation,
    mcnemar,
    newcombe,
    newcombe_paired,
)

Word = Literal["better", "worse", "not separated"]
SEEDS = "seeds"  # of the simulator: equal ones mean equal scenes, whoever judged
NAMES, PAIRS = "names", "seed and episode"  # by which a table knows its scenes
SAME_M = 1e-3  # two spawns of one seed are alike up to this (m, and rad of yaw)
UNNAMED = frozenset(("", "watched"))  # tasks of tables, and of an arm that somebody watches
UNFELT = ("cameras", "meshes", "shadows", "instruction")  # of a scene: what nothing is moved by


@dataclass(frozen=True)
class Judged:
    """A contender with its outcomes. scenes: what its seeds number; empty where nobody knows.

    Two of them are paired where both number the same: SEEDS, or one arm's placements.
    live: judged here, seed by seed, so that whoever looked may have stopped on what he saw.
    stopped: so it was in an earlier comparison, or may have been in a folder whose number of
    episodes was not fixed beforehand. scene: all that its seeds were played in, as plain values;
    None where nobody knows.
    """

    label: str
    rows: tuple[Row, ...]
    scenes: str = SEEDS
    live: bool = False
    stopped: bool = False
    scene: Mapping[str, Any] | None = None

    @property
    def success(self) -> int:
        return sum(row.success for row in self.rows)

    @property
    def faults(self) -> int:
        return sum(row.reason == "fault" for row in self.rows)

    @property
    def broken(self) -> bool:
        """Whether nothing of it could be judged: every episode broke down."""
        return bool(self.rows) and self.faults == len(self.rows)


@dataclass(frozen=True)
class Comparison:
    """What was found of two contenders. pairs is None where they had no scenes in common.

    interval: of the difference, at the level of the test and not corrected for other pairs. p,
    p_adjusted: alone, and among all comparisons. seen: the smallest difference that would have
    been found four times in five; None where none would. decided_after: seeds until the anytime
    test was sure. unpaired: why there are no pairs. unjudged: why there is no verdict, whatever the
    counts are: nothing was judged, or in scenes that are known to differ.
    """

    first: str
    second: str
    test: Literal["anytime", "McNemar", "Barnard"]
    difference: float
    interval: Interval
    p: float
    p_adjusted: float
    seen: float | None = None
    pairs: Pairs | None = None
    correlation: float | None = None
    decided_after: int | None = None
    unpaired: str = ""
    unjudged: str = ""
    level: float = 0.95
    live: bool = False

    @property
    def word(self) -> Word:
        """What the first one is, beside the second one."""
        if self.p_adjusted > 1 - self.level + 1e-12:
            return "not separated"
        low, high = self.interval
        ahead = low > 0 or (high >= 0 and self.difference > 0)
        return "better" if ahead else "worse"

    @property
    def at_odds(self) -> bool:
        """Whether the interval by itself would say otherwise than the test, which decides."""
        low, high = self.interval
        return (low > 0 or high < 0) != (self.word != "not separated") and not self.unjudged

    def to_dict(self) -> dict[str, Any]:
        return {"verdict": "none" if self.unjudged else self.word, **asdict(self)}


@dataclass(frozen=True)
class Comparisons:
    """All pairs of contenders, and their letters: a shared one says not separated."""

    found: tuple[Comparison, ...]
    letters: Mapping[str, str]

    @property
    def may_be_looked_at(self) -> bool:
        """Whether the outcomes that still come in may be looked at as often as one likes."""
        return all(one.test == "anytime" for one in self.found if one.live)


def compare(judged: Sequence[Judged], level: float = 0.95, *, brief: bool = False) -> Comparisons:
    """Every contender against every other one.

    brief: without what could have been seen, which takes longest and decides nothing.
    """
    pairs = list(combinations(judged, 2))
    alone = [
        replace(
            compare_two(one, other, level, brief=brief, among=len(pairs)),
            live=one.live or other.live,
        )
        for one, other in pairs
    ]
    adjusted = holm([one.p for one in alone])
    found = tuple(replace(one, p_adjusted=p) for one, p in zip(alone, adjusted, strict=True))
    if len(found) > 1:  # by itself a pair was sure earlier than among others
        found = tuple(replace(one, decided_after=None) for one in found)
    order = sorted(judged, key=lambda one: -one.success / max(1, len(one.rows)))
    place = {one.label: i for i, one in enumerate(order)}
    apart = {(place[one.first], place[one.second]) for one in found if one.word != "not separated"}
    given = letters(len(order), apart)
    return Comparisons(found, {one.label: given[place[one.label]] for one in judged})


def compare_two(
    one: Judged, other: Judged, level: float = 0.95, *, brief: bool = False, among: int = 1
) -> Comparison:
    """Two contenders by themselves, on the seeds that both have, in their order.

    among: of how many comparisons it is one; what could be seen is less then.
    """
    found = _counted(one, other, level)
    broken = [who.label for who in (one, other) if who.broken]
    told = f"every episode of {' and of '.join(broken)} broke down" if broken else ""
    told = told or unlike(one, other)
    if told:
        return replace(found, p=1.0, p_adjusted=1.0, decided_after=None, unjudged=told)
    return found if brief else replace(found, seen=_seen(found, one, other, among))


def _counted(one: Judged, other: Judged, level: float) -> Comparison:
    """What the counts say, without what could have been seen."""
    why = unpaired(one, other)
    if why:
        return _apart(one, other, why, level)
    theirs = {row.seed: row.success for row in other.rows}
    mine = sorted((row.seed, row.success) for row in one.rows)
    outcomes = [(success, theirs[seed]) for seed, success in mine if seed in theirs]
    looked = any(who.live or who.stopped for who in (one, other))
    return (_looked_at if looked else _looked_once)(one, other, outcomes, level)


def unpaired(one: Judged, other: Judged) -> str:
    """Why two contenders cannot be compared scene by scene; empty where they can."""
    for who in (one, other):
        if not who.scenes:
            return f"nothing says which scenes {who.label} had"
    if one.scenes != other.scenes:
        if {one.scenes, other.scenes} <= {SEEDS, NAMES, PAIRS}:
            kinds = f"{one.label} by {one.scenes}, {other.label} by {other.scenes}"
            return f"their scenes are known by different things: {kinds}"
        return "they were tried in different places, whose numbers do not agree"
    apart = unlike(one, other)
    if apart:
        return apart
    theirs = {row.seed: row for row in other.rows}
    common = [(row, theirs[row.seed]) for row in one.rows if row.seed in theirs]
    if not common:
        return "they have no seed in common"
    for mine, its in common:
        if mine.spawn is not None and its.spawn is not None and not _alike(mine, its):
            return f"seed {mine.seed} was not the same scene for both: the object began elsewhere"
        drawn = _drawn_apart(mine, its)
        if drawn:
            return f"seed {mine.seed} was not the same scene for both: {drawn} was drawn otherwise"
    return ""


def unlike(one: Judged, other: Judged) -> str:
    """Why not even their rates can be compared: one may have had it easier. Empty if they can."""
    apart = scenes_differ(one.scene, other.scene)
    if apart:
        return f"they were tried in different scenes ({', '.join(apart)})"
    tasks = [{row.task for row in who.rows} - UNNAMED for who in (one, other)]
    if all(tasks) and tasks[0] != tasks[1]:
        names = " and ".join(", ".join(sorted(some)) for some in tasks)
        return f"they were tried at different tasks ({names})"
    return ""


def scenes_differ(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> list[str]:
    """The fields in which two scenes differ; none where one of them is not known."""
    if one is None or other is None:
        return []
    names = [name for name in (*one, *(n for n in other if n not in one)) if name not in UNFELT]
    return [name for name in names if one.get(name) != other.get(name)]


def differing(one: Judged, other: Judged) -> tuple[list[int], list[int]]:
    """The seeds that the first one alone solved, and those that the second one alone solved."""
    if unpaired(one, other):
        return [], []
    theirs = {row.seed: row.success for row in other.rows}
    both = sorted((r.seed, r.success, theirs[r.seed]) for r in one.rows if r.seed in theirs)
    return [s for s, a, b in both if a and not b], [s for s, a, b in both if b and not a]


def _looked_at(
    one: Judged, other: Judged, outcomes: Sequence[tuple[bool, bool]], level: float
) -> Comparison:
    test = after(outcomes, level)
    told = _paired(one, other, test.pairs, "anytime", test.p, test.interval, level)
    return replace(told, decided_after=test.seeds_needed)


def _looked_once(
    one: Judged, other: Judged, outcomes: Sequence[tuple[bool, bool]], level: float
) -> Comparison:
    pairs = Pairs.of(outcomes)
    p = mcnemar(pairs.only_first, pairs.only_second)
    return _paired(one, other, pairs, "McNemar", p, newcombe_paired(pairs, level), level)


def _paired(
    one: Judged,
    other: Judged,
    pairs: Pairs,
    test: Literal["anytime", "McNemar"],
    p: float,
    interval: Interval,
    level: float,
) -> Comparison:
    return Comparison(
        one.label,
        other.label,
        test,
        pairs.difference,
        interval,
        p,
        p,
        pairs=pairs,
        correlation=correlation(pairs),
        level=level,
    )


def _seen(found: Comparison, one: Judged, other: Judged, among: int) -> float | None:
    """By the test that was used, at the strictest level that Holm may ask of one in `among`."""
    strict, pairs = 1 - (1 - found.level) / among, found.pairs
    if pairs is None:
        n1, n2 = len(one.rows), len(other.rows)
        rate = (one.success + other.success) / max(1, n1 + n2)
        return seen_apart(n1, n2, rate, level=strict)
    # One more seed on which they differ: with none seen, some could still be there.
    share = (pairs.discordant + 1) / (pairs.seeds + 2)
    seen_by = seen_by_anytime if found.test == "anytime" else seen_by_mcnemar
    return seen_by(pairs.seeds, share, level=strict)


def _apart(one: Judged, other: Judged, why: str, level: float) -> Comparison:
    k1, n1, k2, n2 = one.success, len(one.rows), other.success, len(other.rows)
    p = barnard(k1, n1, k2, n2)
    difference = k1 / n1 - k2 / n2 if n1 and n2 else 0.0
    return Comparison(
        one.label,
        other.label,
        "Barnard",
        difference,
        newcombe(k1, n1, k2, n2, level),
        p,
        p,
        unpaired=why + _looked_too_often(one, other),
        level=level,
    )


def _alike(one: Row, other: Row) -> bool:
    assert one.spawn is not None
    assert other.spawn is not None
    x, y, yaw = (a - b for a, b in zip(one.spawn, other.spawn, strict=True))
    return max(abs(x), abs(y), abs(math.remainder(yaw, 2 * math.pi))) < SAME_M


def _drawn_apart(one: Row, other: Row) -> str:
    """The first factor of the randomisation that two rows of one seed do not share.

    A row that does not say where its object began says nothing of this either.
    """
    if one.spawn is None or other.spawn is None:
        return ""
    mine, its = (_rounded(row.sampled) for row in (one, other))
    return next((n for n in (*mine, *its) if mine.get(n) != its.get(n)), "")


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values with floats to nine digits: the last ones are another machine's."""
    told = json.dumps(dict(values))
    return json.loads(told, parse_float=lambda text: float(f"{float(text):.9g}"))


def _looked_too_often(one: Judged, other: Judged) -> str:
    names = [who.label for who in (one, other) if who.stopped]
    if not names:
        return ""
    return (
        f"; how many episodes of {' and '.join(names)} there are was chosen by what they showed, "
        "which this test does not allow for"
    )
