"""The page of a comparison: verdicts, letters, classes, and the seeds on which they differ."""

from __future__ import annotations

import datetime
import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from vibrissa.bench.charts import Frame, forest, svg, tick_text
from vibrissa.bench.compare import Judged, differing
from vibrissa.bench.compare_words import (
    HOW,
    alike,
    basis,
    rate,
    span,
    told_of,
    verdict,
)
from vibrissa.bench.contest import Entrant, Held
from vibrissa.bench.films import clips
from vibrissa.bench.outcomes import Row, count_classes, summarise
from vibrissa.bench.page import NO_MEMORY, machine, versions
from vibrissa.bench.pages import Drawing, Film, Note, Page, Part, Section, Table, words, write_page
from vibrissa.bench.telling import duration, measure_table, number_of, p_told, points
from vibrissa.core.stats import posterior
from vibrissa.sim import gl

NAME = "compare"
OF_EACH_KIND, MOST_FILMED = 2, 6  # seeds for each pair of contenders, and in all
SHORT = 28  # letters of a label in a drawing
BARE = ("SUCCESS", "FAILURE", "FAULT")  # classes that tell no more than the rate does


def write(
    held: Held,
    entrants: Sequence[Entrant],
    folder: Path,
    *,
    films: bool = True,
    settings: Mapping[str, Any],
    wall_s: float,
) -> Path:
    """compare.html, .md and .json in `folder`; the page's path."""
    page = Page(
        title="compare",
        headline=_headline(held),
        sections=[
            Section("", _verdicts(held)),
            Section("Contenders", [_contenders(held, entrants), _rates(held)]),
            Section("Every pair", [_pairs(held)]),
            Section("What became of the episodes", [_classes(held), _measured(held)]),
            _seen_apart(held, entrants, films),
        ],
        sentence=_sentence(held, wall_s),
        settings=settings,
        machine=machine(),
        versions=versions(),
        command=shlex.join(["vibrissa", *sys.argv[1:]]),
        made=datetime.date.today().isoformat(),
    )
    return write_page(page, folder, told_of(held, entrants), NAME)


def densities(judged: Sequence[Judged]) -> str:
    """Where each true rate may lie: Beta(1 + successes, 1 + failures), a curve a contender."""
    rates = np.linspace(0.0, 1.0, 401)
    curves = {one.label: posterior(one.success, len(one.rows), rates) for one in judged}
    most = max(float(curve.max()) for curve in curves.values())
    frame = Frame(460, 190, (0, 100), (0, 1.2 * most), left=12)
    parts = [
        tick_text(frame.px(percent), frame.height - 14, f"{percent} %")
        for percent in (0, 25, 50, 75, 100)
    ]
    for i, (label, curve) in enumerate(curves.items()):
        drawn = zip(rates, curve, strict=True)
        line = " ".join(f"{frame.px(100 * r):.1f},{frame.py(v):.1f}" for r, v in drawn)
        top = int(np.argmax(curve))
        shown = label if len(label) <= SHORT else f"{label[: SHORT - 10]}…{label[-9:]}"
        half = 4.5 * len(shown)
        x = min(max(frame.px(100 * rates[top]), half), frame.width - half)
        parts.append(
            f'<polyline class="{"smooth" if i == 0 else "raw"}" points="{line}"/>'
            f'<text class="name" x="{x:.1f}" y="{frame.py(curve[top]) - 6:.1f}" '
            f'text-anchor="middle">{escape(shown)}</text>'
        )
    return svg(frame.width, frame.height, parts, "How likely each true rate is")


def _headline(held: Held) -> str:
    if held.gifts:
        return "The judge is broken: the zero pilot succeeded"
    if len(held.judged) == 2:
        (one,) = held.comparisons.found
        if one.unjudged:
            return f"No verdict: {one.unjudged}"
        if one.word == "not separated":
            return f"{one.first} and {one.second} are not separated"
        return f"{one.first} is {one.word} than {one.second}"
    found = held.comparisons.found
    apart = sum(one.word != "not separated" for one in found)
    told = f"{apart} of {len(found)} pairs {'is' if apart == 1 else 'are'} separated"
    wins = Counter(
        one.first if one.word == "better" else one.second
        for one in found
        if one.word in ("better", "worse")
    )
    best = [label for label, won in wins.items() if won == len(held.judged) - 1]
    return f"{best[0]} is better than all the others; {told}" if best else told


def _sentence(held: Held, wall_s: float) -> str:
    live = [one for one in held.judged if one.live]
    if not live:
        return "All outcomes were there before; nothing was judged here."
    seeds = sorted({row.seed for one in live for row in one.rows})
    span_ = f", {seeds[0]} to {seeds[-1]}" if seeds else ""
    fewer = [one for one in live if len(one.rows) < len(seeds)]
    rested = "".join(f" {one.label} was tried on the first {len(one.rows)}." for one in fewer)
    return (
        f"Judged on the same {number_of(len(seeds), 'seed')}{span_}, one after another: "
        f"{held.ended}.{rested} This call took {duration(wall_s)}."
    )


def _verdicts(held: Held) -> list[Part]:
    parts: list[Part] = []
    if held.gifts:
        told = "The zero pilot, which never moves, succeeded. No verdict of this judge counts."
        parts.append(Note(told, "warning"))
    parts += [Note(line, "warning") for line in held.cautions]
    parts += [
        Note(
            f"{one.label}: {one.faults} of {len(one.rows)} episodes broke down. They count as "
            "not solved, and say nothing of what the policy can do.",
            "warning",
        )
        for one in held.judged
        if one.faults
    ]
    found = held.comparisons.found
    if len(found) == 1:
        (one,) = found
        return [
            *parts,
            Note(f"{verdict(one)[0]}.", "verdict"),
            Note(f"{_sentence_of(basis(one))}."),
        ]
    return [*parts, *(Note(f"{verdict(one)[0].partition(';')[0]}.") for one in found)]


def _contenders(held: Held, entrants: Sequence[Entrant]) -> Table:
    what = {one.label: one.words for one in entrants}
    rows = [
        (one.label, rate(one), held.comparisons.letters[one.label], what[one.label])
        for one in sorted(held.judged, key=lambda one: -one.success / max(1, len(one.rows)))
    ]
    rows += [
        (name, summarise(told).text, "", "beside them, on the same seeds")
        for name, told in held.beside.items()
        if told and name not in what
    ]
    note = "A shared letter: not separated. Intervals of rates are Wilson's, 95 %."
    return Table(("", "success", "letters", "what it is"), rows, note)


def _rates(held: Held) -> Drawing:
    told = {one.label: summarise(one.rows) for one in held.judged}
    caption = "Rates with their 95 % intervals. Whether two differ is for the pairs to say."
    return Drawing(forest(told), caption)


def _pairs(held: Held) -> Table:
    rows = [
        (
            f"{one.first} against {one.second}",
            "none" if one.unjudged else one.word,
            points(one.difference),
            span(one),
            f"{HOW[one.test]}, {p_told(one.p_adjusted)}",
            str(one.pairs.seeds) if one.pairs else "unpaired",
            alike(one.correlation) if one.pairs else "–",
            "none" if one.seen is None else f"{100 * one.seen:.0f} points",
        )
        for one in held.comparisons.found
    ]
    head = ("", "verdict", "difference", "interval", "test", "pairs", "correlation", "could see")
    level = f"{100 * held.comparisons.found[0].level:g} %"
    several = (
        "p-values are corrected for the number of pairs (Holm), intervals are not. "
        if len(rows) > 1
        else ""
    )
    note = f"Tests and intervals are at {level}; where they disagree, the test decides. {several}"
    note += "Could see: the smallest difference that is found four times in five. "
    note += "The anytime test and its interval hold however often one looks (docs/compare.md); the "
    note += "other ones hold for numbers of episodes that were fixed beforehand."
    if any(one.decided_after is not None for one in held.comparisons.found):
        note += " What stops when it is sure shows too large a difference on average; its interval "
        note += "allows for that."
    return Table(head, rows, note)


def _classes(held: Held) -> Table:
    """How the episodes of each contender ended; none where nobody was told more than a rate."""
    told = {one.label: count_classes(one.rows) for one in held.judged}
    known = list(dict.fromkeys(name for counts in told.values() for name in counts))
    if set(known) <= set(BARE):
        return Table((), [])
    rows = [
        (words(name), *(str(counts.get(name, 0)) for counts in told.values())) for name in known
    ]
    return Table(("ended", *told), rows)


def _measured(held: Held) -> Part:
    live = {one.label: summarise(one.rows) for one in held.judged if one.live and one.rows}
    return measure_table(live) if live else Drawing(densities(held.judged), _BELIEF)


_BELIEF = "Where each true rate may lie, if all rates were alike before. A picture, no verdict."


def _seen_apart(held: Held, entrants: Sequence[Entrant], films: bool) -> Section:
    """Seeds on which two differ, and films of a few of them."""
    parts: list[Part] = []
    by_label = {one.label: one for one in entrants}
    filmed: set[int] = set()
    for one, other in combinations(held.judged, 2):
        alone = differing(one, other)
        for who, than, seeds in ((one, other, alone[0]), (other, one, alone[1])):
            if seeds:
                told = ", ".join(map(str, seeds[:40])) + (" …" if len(seeds) > 40 else "")
                parts.append(Note(f"{who.label} alone, not {than.label} ({len(seeds)}): {told}"))
        pair = (by_label[one.label], by_label[other.label])
        shown = [seed for seeds in alone for seed in seeds[:OF_EACH_KIND] if seed not in filmed]
        shown = shown[: MOST_FILMED - len(filmed)]
        if films and shown:
            parts += _films(pair, (one, other), shown)
            filmed |= set(shown)
    if not parts:
        return Section("Where they differ", [])
    return Section("Where they differ", parts, intro="Seeds that one of two solved alone.")


def _films(
    pair: tuple[Entrant, Entrant], judged: tuple[Judged, Judged], seeds: Sequence[int]
) -> list[Part]:
    """Both contenders on these seeds, seed by seed; or a line that says why there is no film."""
    trouble = gl.trouble()
    still = [one.label for one in pair if one.setup is None]
    if still:
        return [Note(f"No films: {' and '.join(still)} cannot be played again from here.")]
    if trouble:
        return [Note(f"No films: {trouble}")]
    gl.say()
    made: dict[tuple[str, int], Film] = {}
    for entrant, one in zip(pair, judged, strict=True):
        rows: list[Row] = [row for row in one.rows if row.seed in seeds]
        assert entrant.setup is not None
        try:
            filmed = clips(entrant.setup, rows)
        except MemoryError:
            return [Note(NO_MEMORY)]
        for clip in filmed:
            row = clip.row
            title = f"{one.label}: {words(row.failure_class)}"
            film = Film(title, clip.film_mp4, clip.strip_png, kind=row.failure_class)
            made[one.label, row.seed] = film
    parts: list[Part] = []
    for seed in seeds:
        both = [made[key] for one in judged if (key := (one.label, seed)) in made]
        parts += [Note(f"Seed {seed}:"), *both]  # the two of a seed beside each other
    return parts


def _sentence_of(text: str) -> str:
    return text[:1].upper() + text[1:]
