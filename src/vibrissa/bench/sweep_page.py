"""What a sweep, a panel, sites or a choice of checkpoints say: a page, and lines for a terminal."""

from __future__ import annotations

import datetime
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from vibrissa.bench import charts, heat
from vibrissa.bench.cautions import wrong_beside
from vibrissa.bench.outcomes import Summary
from vibrissa.bench.page import machine, versions
from vibrissa.bench.pages import Drawing, Note, Page, Section, Table, words
from vibrissa.bench.picking import Picked
from vibrissa.bench.sweeps import Judged, Versus, named, unseen
from vibrissa.bench.telling import p_text, points, signed

COLUMNS = ("setting", "solved", "verdict", "difference", "won / lost", "p (Holm)", "seen")
WITH_EXPERT = ("expert", "lost by it too")
MORE = ("setting", "dropped", "ticks", "asks/s", "answers/s", "jump rad", "stride rad", "grip N")
PAIRED = (
    "Against the baseline on the same seeds: exact McNemar at 5 %, corrected for the number of "
    "settings (Holm). Behind a difference its 95 % interval (Newcombe, paired). won / lost: seeds "
    "that only this setting, or only the baseline, solved. seen: the smallest difference that they "
    "would have shown four times in five."
)
BY_IT_TOO = (
    "lost by it too: of the scenes that the baseline solved and this setting did not, how many the "
    "expert did not solve either. What changes pictures alone does not reach the expert, which "
    "stands there as in the nominal scene."
)
UNPAIRED = (
    "Each site has scenes of its own, so nothing is paired: Barnard at 5 %, corrected for their "
    "number (Holm); intervals of the differences by Newcombe. seen: the smallest difference that "
    "would have been found four times in five."
)


def page(
    judged: Sequence[Judged],
    *,
    title: str,
    headline: str,
    sentence: str,
    beside: Mapping[str, Summary],
    settings: Mapping[str, Any],
    notes: Sequence[str] = (),
    maps: bool = False,
    cautions: Sequence[str] = (),
) -> Page:
    """The cells below each other, their verdicts, how they were played; with `maps` where.

    cautions: what must be put right before any of it means anything.
    """
    sections = [
        Section("", [Note(line, "warning") for line in cautions]),
        Section("Success", [_rates(judged, beside), *(Note(note) for note in notes)]),
        Section("Verdicts", [verdict_table(judged)]),
        Section("How it was played", [playing_table(judged)], intro=_READING),
    ]
    if maps:
        sections += [_where(j) for j in judged]
    return Page(
        title,
        headline,
        sections,
        sentence=sentence,
        settings=settings,
        machine=machine(),
        versions=versions(),
        command=shlex.join(["vibrissa", *sys.argv[1:]]),
        made=datetime.date.today().isoformat(),
    )


def _rates(judged: Sequence[Judged], beside: Mapping[str, Summary]) -> Drawing:
    """A line a cell, the expert in its scenes where it tried them; then the others beside."""
    main = next((j.cell.name for j in judged if j.versus is None), "")
    experts = {shown(j.cell.name): j.beside["expert"] for j in judged if "expert" in j.beside}
    others = {n: one for n, one in beside.items() if not (experts and n.endswith("expert"))}
    lines = {shown(j.cell.name): j.told for j in judged}
    drawn = charts.forest({**lines, **others}, main=shown(main), expert=experts)
    return Drawing(drawn, "Hollow: the scripted expert in the same scenes." if experts else "")


_READING = (
    "asks/s: inferences in a second of the arm's time, which the policy must be able to answer on "
    "an arm that does not wait. answers/s: batches in a second of this machine's. jump: how far "
    "the sent action moves where a new chunk begins; stride: from tick to tick elsewhere (root "
    "mean square over the joints)."
)


def headline(judged: Sequence[Judged]) -> str:
    """Which settings differ from the baseline, and what could have gone unseen."""
    tried = [j for j in judged if j.versus is not None]
    base = next(shown(j.cell.name) for j in judged if j.versus is None)
    apart = [
        f"{verdict} is {named(names)}" if len(names) == 1 else f"{verdict} are {named(names)}"
        for verdict in ("better", "worse")
        if (names := [j.cell.name for j in tried if j.versus and j.versus.verdict == verdict])
    ]
    if apart:
        return f"Against {base}: {'; '.join(apart)}"
    return f"No setting was shown to differ from {base}; {unseen(judged, 'difference')}"


def told_of(judged: Sequence[Judged], *, maps: bool = False) -> list[dict[str, Any]]:
    """The cells for a program; with `maps` the squares of each map."""
    told = [j.to_dict() for j in judged]
    if maps:
        for one, j in zip(told, judged, strict=True):
            squares = heat.rate_bins(j.rows, j.cell.trial.place.area())
            one["map"] = [asdict(square) for square in squares]
    return told


def wrong_with(judged: Sequence[Judged], beside: Mapping[str, Summary]) -> list[str]:
    """What the pilots beside it say against the scene, and which cells broke down how often."""
    told = wrong_beside(beside)
    for j in judged:
        broken = [row for row in j.rows if row.reason == "fault"]
        if broken:
            told.append(
                f"{j.cell.name}: {len(broken)} of {len(j.rows)} episodes broke down. They count as "
                "not solved, and say nothing of what the policy can do. The first (seed "
                f"{broken[0].seed}): {broken[0].detail}"
            )
    return told


def picked_page(
    picked: Picked,
    settings: Mapping[str, Any],
    *,
    beside: Mapping[str, Summary] | None = None,
    cautions: Sequence[str] = (),
) -> Page:
    """The chosen checkpoint with its result on new seeds, and the counts it was chosen by.

    beside: expert and zero pilot on the new seeds.
    """
    on_new = [picked.winner, *([picked.last] if picked.last is not None else [])]
    by_name = {j.cell.name: j.told for j in picked.candidates}
    names = {j.cell.name: j.told for j in on_new}
    told = picked.winner.told
    result = Section(
        "The result, on seeds that had no part in the choice",
        [
            Drawing(charts.forest({**names, **(beside or {})}, main=picked.winner.cell.name)),
            *([verdict_table([picked.last, picked.winner])] if picked.last is not None else []),
            playing_table(on_new),
        ],
    )
    choosing = Section(
        "The choice",
        [
            Drawing(charts.forest(by_name, main=picked.winner.cell.name)),
            counts_table(picked.candidates),
        ],
        intro=f"Seeds {picked.pick_seeds[0]} to {picked.pick_seeds[-1]}. The best of several "
        "counts is better than the policy behind it: these are no results.",
    )
    return Page(
        "checkpoints",
        f"Checkpoint {picked.winner.cell.name}: {told.text} on new seeds",
        [Section("", [Note(line, "warning") for line in cautions]), result, choosing],
        sentence=picked.sentence,
        settings=settings,
        machine=machine(),
        versions=versions(),
        command=shlex.join(["vibrissa", *sys.argv[1:]]),
        made=datetime.date.today().isoformat(),
    )


def shown(name: str) -> str:
    """A cell's name with blanks where it may break: `light: mass`, `horizon=5, grip=min=0.02`."""
    return named([name])


def verdict_table(judged: Sequence[Judged]) -> Table:
    """The verdicts, and the expert's part in them where it tried the same scenes."""
    rows = [(shown(j.cell.name), j.told.text, *_versus(j.versus)) for j in judged]
    note = PAIRED if _is_paired(judged) else UNPAIRED
    if not any(j.lost is not None for j in judged):
        return Table(COLUMNS, rows, note=note)
    rows = [(*row[:3], *_by_expert(j), *row[3:]) for row, j in zip(rows, judged, strict=True)]
    return Table((*COLUMNS[:3], *WITH_EXPERT, *COLUMNS[3:]), rows, note=f"{note} {BY_IT_TOO}")


def _by_expert(j: Judged) -> tuple[str, str]:
    expert, lost = j.beside.get("expert"), j.lost
    if expert is None or lost is None:
        return "", ""
    alike = f"{lost[1]} of {lost[0]}" if lost[0] else "–"
    return f"{expert.success}/{expert.episodes}", alike


def playing_table(judged: Sequence[Judged]) -> Table:
    return Table(MORE, [_playing(j) for j in judged])


def counts_table(judged: Sequence[Judged]) -> Table:
    rows = [
        (shown(j.cell.name), f"{j.told.success}/{j.told.episodes}", _classes(j)) for j in judged
    ]
    return Table(("checkpoint", "solved", "how it ended"), rows)


def lines(judged: Sequence[Judged], beside: Mapping[str, Summary]) -> list[str]:
    """A line a cell: name, rate, verdict, inferences."""
    wide = max(len(name) for name in (*(j.cell.name for j in judged), *beside, "setting"))
    text = []
    for j in judged:
        asked = f"{j.asks_per_s:.1f} asks/s" if j.asks_per_s is not None else ""
        verdict = "baseline"
        if j.versus is not None:
            verdict = f"{_difference(j.versus)}: {j.versus.verdict}, p {p_text(j.versus.p_holm)}"
        if j.lost is not None:
            asked += f"  expert {j.beside['expert'].text}"
        text.append(f"{j.cell.name:<{wide}}  {j.told.text:<22} {verdict:<52} {asked}".rstrip())
    return text + [f"{name:<{wide}}  {told.text}" for name, told in beside.items()]


def _versus(versus: Versus | None) -> tuple[str, ...]:
    if versus is None:
        return "baseline", "", "", "", ""
    pairs = versus.pairs
    alone = "–" if pairs is None else f"{pairs.only_first} / {pairs.only_second}"
    seen = "–" if versus.seen is None else f"{100 * versus.seen:.0f} points"
    return versus.verdict, _difference(versus), alone, p_text(versus.p_holm), seen


def _difference(versus: Versus) -> str:
    low, high = versus.interval
    return f"{points(versus.difference)} ({signed(low)} to {signed(high)})"


def _playing(j: Judged) -> tuple[str, ...]:
    told = j.told

    def number(value: float | None, form: str) -> str:
        return "–" if value is None else form.format(value)

    return (
        shown(j.cell.name),
        f"{told.dropped}/{told.picked}",
        number(told.mean_steps, "{:.0f}"),
        number(j.asks_per_s, "{:.1f}"),
        number(j.answers_per_s, "{:.1f}"),
        number(told.mean_jump, "{:.3f}"),
        number(told.mean_stride, "{:.3f}"),
        number(told.mean_grip_n, "{:.1f}"),
    )


def _classes(j: Judged) -> str:
    return ", ".join(f"{n} {words(name)}" for name, n in j.told.classes.items())


def _is_paired(judged: Sequence[Judged]) -> bool:
    return all(j.versus is None or j.versus.pairs is not None for j in judged)


def _where(j: Judged) -> Section:
    """Success over the table, over table and yaw, and over the yaw."""
    area, thing = j.cell.trial.place.area(), j.cell.trial.place.scene.object
    again = charts.same_again(thing.symmetry, thing.name)
    told = ", ".join(f"{name} {summary.text}" for name, summary in j.beside.items())
    drawings = [
        Drawing(heat.rate_map(j.rows, area), "Solved of tried, by where the object began."),
        Drawing(
            heat.yaw_maps(j.rows, area, thing.symmetry),
            f"The same for four sectors of its yaw. {again}".strip(),
        ),
        Drawing(charts.yaw_chart(j.rows, thing.symmetry)),
    ]
    beside = [Note(f"On the same scenes: {told}.")] if told else []
    parts = [*beside, *(d for d in drawings if d.svg)]
    return Section(f"Where: {shown(j.cell.name)}, {j.told.text}", parts)
