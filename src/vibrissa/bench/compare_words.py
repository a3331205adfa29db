"""What a contest came to, for a reader at a terminal and for a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from vibrissa.bench.compare import Comparison, Judged
from vibrissa.bench.contest import Entrant, Held
from vibrissa.bench.outcomes import summarise
from vibrissa.bench.telling import number_of, p_told, points
from vibrissa.core.stats import rate_text

USUAL = 0.95
HOW = {
    "anytime": "anytime test",
    "McNemar": "exact McNemar test",
    "Barnard": "Barnard's test",
}


def lines(held: Held) -> list[str]:
    """A line a contender with its letter, then what is better than what."""
    width = max(map(len, [*(one.label for one in held.judged), *held.beside, "judged"])) + 2
    text = [f"{one.label:<{width}}{rate(one)}{_letter(held, one)}" for one in _ranked(held)]
    text += [
        f"{name:<{width}}{rate_text(sum(r.success for r in rows), len(rows))}, beside them"
        for name, rows in held.beside.items()
        if rows and name not in held.comparisons.letters
    ]
    text += [""] + [part for one in held.comparisons.found for part in verdict(one)]
    if any(one.live for one in held.judged):
        seeds = sorted({row.seed for one in held.judged if one.live for row in one.rows})
        span_ = f", {seeds[0]} to {seeds[-1]}" if seeds else ""
        text.append(f"judged  {number_of(len(seeds), 'seed')}{span_}: {held.ended}")
    return text


def verdict(one: Comparison) -> list[str]:
    """One comparison: a sentence, and a line on what it rests on."""
    if one.unjudged:
        said = f"{one.first} and {one.second}: no verdict, because {one.unjudged}"
        return [said, f"  {basis(one)}"]
    test = f"{HOW[one.test]}, {p_told(one.p_adjusted)}{_unusual(one.level)}"
    if one.p_adjusted > one.p:
        test += ", corrected for the number of comparisons"
    bounds = f"{points(one.difference)} ({span(one)})"
    if one.word == "not separated":
        said = f"{one.first} and {one.second} are not separated: {bounds}; {test}"
    else:
        said = f"{one.first} is {one.word} than {one.second}: {bounds}; {test}"
    return [said, f"  {basis(one)}"]


def basis(one: Comparison) -> str:
    """How many pairs, how alike; and, where nothing was separated, what could have been seen."""
    if one.pairs is None:
        told = f"unpaired: {one.unpaired}"
    else:
        told = (
            f"{number_of(one.pairs.seeds, 'paired seed')}: {one.pairs.only_first} solved by "
            f"{one.first} alone, {one.pairs.only_second} by {one.second} alone, correlation "
            f"{alike(one.correlation)}"
        )
        if one.decided_after is not None:
            told += f"; sure after {one.decided_after}"
    if one.at_odds:
        told += f"; {odds(one)}"
    return f"{told}; {could(one)}" if one.word == "not separated" and not one.unjudged else told


def odds(one: Comparison) -> str:
    """Why the interval says otherwise than the test."""
    if one.p_adjusted > one.p:
        return "the interval is of this pair alone, and the test of all of them decides"
    return "the interval is approximate, and the test decides"


def could(one: Comparison) -> str:
    if one.seen is None:
        return "so few episodes could not have shown any difference"
    return f"a difference of {100 * one.seen:.0f} points would have been seen four times in five"


def told_of(held: Held, entrants: Sequence[Entrant]) -> dict[str, Any]:
    """What `--json` prints, and compare.json holds."""
    words = {one.label: one.words for one in entrants}
    return {
        "contenders": {one.label: _contender(one, held, words) for one in held.judged},
        "comparisons": [one.to_dict() for one in held.comparisons.found],
        "beside": {
            name: {"success": sum(row.success for row in rows), "episodes": len(rows)}
            for name, rows in held.beside.items()
        },
        "ended": held.ended,
        "cautions": list(held.cautions),
        "terms": dict(held.terms),
        "looked_after": list(held.looks),
    }


def rate(one: Judged) -> str:
    faults = f", {one.faults} of them broke down" if one.faults else ""
    return rate_text(one.success, len(one.rows)) + faults


def span(one: Comparison) -> str:
    """The interval, whose ends are told on which side of 0 they lie."""
    whenever = ", whenever one looks" if one.test == "anytime" else ""
    return f"{_end(one.interval[0])} to {_end(one.interval[1])}{whenever}"


def alike(correlation: float | None) -> str:
    return "unknown" if correlation is None else f"{correlation:.2f}".replace("-", "−")


def _end(difference: float) -> str:
    """As `signed`, with as many digits, up to two, as tell it from 0."""
    told = (f"{100 * difference:+.{digits}f}" for digits in range(3))
    found = next((text for text in told if float(text)), "0")
    return found.replace("-", "−")


def _unusual(level: float) -> str:
    """The level of a test and its interval, where it is not the usual one."""
    return "" if level == USUAL else f", at {100 * level:g} %"


def _ranked(held: Held) -> list[Judged]:
    return sorted(held.judged, key=lambda one: -one.success / max(1, len(one.rows)))


def _letter(held: Held, one: Judged) -> str:
    return f"  {held.comparisons.letters[one.label]}" if len(held.judged) > 2 else ""


def _contender(one: Judged, held: Held, words: Mapping[str, str]) -> dict[str, Any]:
    told = summarise(one.rows)
    return {
        "what": words[one.label],
        "success": told.success,
        "episodes": told.episodes,
        "interval": list(told.interval),
        "faults": told.faults,
        "letters": held.comparisons.letters[one.label],
        "classes": dict(told.classes),
        "judged_here": one.live,
        "summary": asdict(told),
    }
