"""One judged policy as a page: the verdict, what it cannot say, and the failures to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vibrissa.bench import charts, heat
from vibrissa.bench.maps import spawn_map
from vibrissa.bench.outcomes import Row, Summary, compare_paired, count_classes, summarise
from vibrissa.bench.pages import (
    Drawing,
    Figure,
    Film,
    Note,
    Page,
    Section,
    Table,
    to_html,
    words,
    write_page,
)
from vibrissa.bench.telling import duration, failure_table, measure_table
from vibrissa.core.stats import rate_text

FEW_OF_EXPERT = 0.9  # an expert below this says that the scene, not the policy, is to be mended
ENOUGH = 50  # episodes; fewer are a quick look


@dataclass(frozen=True)
class Clip:
    """One episode to be looked at: its row, an mp4, and a PNG strip from first to last tick."""

    row: Row
    film_mp4: bytes
    strip_png: bytes


@dataclass(frozen=True)
class Report:
    """All that the page tells.

    rows: the policy's own episodes; beside: expert and zero pilot on the same seeds. losses:
    (step, loss) pairs. landmarks and area: outlines of the scene for the map, see
    `maps.spawn_map`. sees: one sentence on what the policy is shown, privileged channels by
    name. unseen: whether no demonstration can have come from these seeds. note: what the
    headline's rate speaks of, where it is not of held-out scenes. again: the command that plays
    one episode again, with {seed} in it. cautions: what was odd before the first episode. thing,
    symmetry: what is moved, and in how many turns of a whole one it looks the same (0: in all).
    """

    title: str
    made: str
    instruction: str
    sees: str
    rows: Sequence[Row]
    beside: Mapping[str, Sequence[Row]]
    seconds: Mapping[str, float]
    wall_s: float
    unseen: bool = False
    losses: Sequence[tuple[float, float]] = ()
    clips: Sequence[Clip] = ()
    no_clips: str = ""
    landmarks: Mapping[str, charts.Landmark] = field(default_factory=dict)
    area: charts.Square | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    note: str = ""
    again: str = ""
    cautions: Sequence[str] = ()
    thing: str = "object"
    symmetry: int = 1


def to_dict(report: Report) -> dict[str, Any]:
    """What `report.json` holds: counts, the interval, the pilots beside as rates, times."""
    summary = summarise(report.rows)
    beside = {name: summarise(rows) for name, rows in report.beside.items()}
    paired = {name: compare_paired(report.rows, rows) for name, rows in report.beside.items()}
    return {
        "success": summary.success,
        "episodes": summary.episodes,
        "interval": [round(v, 4) for v in summary.interval],
        **{name: s.rate for name, s in beside.items()},
        "wall_s": round(report.wall_s, 1),
        "seconds": {name: round(s, 1) for name, s in report.seconds.items()},
        "classes": dict(summary.classes),
        "policy": summary.to_dict(),
        "beside": {name: s.to_dict() for name, s in beside.items()},
        "paired": {
            name: {
                "seeds": p.seeds,
                "only_policy": p.only_first,
                "only_other": p.only_second,
                "p": p.p,
            }
            for name, p in paired.items()
        },
        "settings": dict(report.settings),
        "machine": dict(report.machine),
        "versions": dict(report.versions),
        "command": report.command,
        "cautions": list(report.cautions),
    }


def write(report: Report, folder: Path) -> Path:
    """Write `report.json`, `report.md`, then `report.html`; the page's path."""
    return write_page(to_page(report), folder, to_dict(report))


def render(report: Report) -> str:
    """The page: one HTML document that loads nothing from anywhere."""
    return to_html(to_page(report))


def to_page(report: Report) -> Page:
    """The report in the words of a page."""
    summary = summarise(report.rows)
    everyone = {"policy": summary} | {n: summarise(r) for n, r in report.beside.items()}
    classes = count_classes(report.rows)
    yaw = charts.yaw_chart(report.rows, report.symmetry)
    again = charts.same_again(report.symmetry, report.thing)
    drawn = spawn_map(report.rows, report.landmarks, report.area, symmetry=report.symmetry)
    sections = [
        Section("", _warnings(report, everyone), anchor="warnings"),
        _success(report, summary, everyone),
        Section("How the episodes ended", [Drawing(charts.class_bars(classes))], anchor="classes"),
        Section("What this cannot say", _limits(report, summary), anchor="limits"),
        _failures(report),
        _films(report),
        Section(
            "Where it succeeds",
            [Drawing(drawn, kinds=list(classes))],
            "From above, behind the robot: each mark is the object of one episode where it began."
            if drawn
            else "",
            anchor="map",
        ),
        _rates(report),
        Section(
            "At which angle",
            [Drawing(yaw)],
            f"Success by the first yaw of the {report.thing}, with 95 % intervals. {again}".strip()
            if yaw
            else "",
            anchor="yaw",
        ),
        Section("In numbers", [measure_table(everyone)], anchor="numbers"),
        _curve(report),
        _time(report),
    ]
    return Page(
        title=report.title,
        headline=_headline(report, summary),
        sentence=report.sees,
        sections=sections,
        settings=report.settings,
        machine=report.machine,
        versions=report.versions,
        command=report.command,
        made=report.made,
    )


def _headline(report: Report, summary: Summary) -> str:
    held_out = "held-out " * report.unseen
    return (
        f"{report.instruction}: {summary.success} of {summary.episodes} {held_out}"
        f"{'rollouts' if report.note else 'scenes'} solved."
    )


def _success(report: Report, summary: Summary, everyone: Mapping[str, Summary]) -> Section:
    low, high = (f"{100 * v:.0f}" for v in summary.interval)
    rate = "–" if summary.rate is None else f"{100 * summary.rate:.0f} %"
    unseen = " that no demonstration came from" * report.unseen
    note = (
        f"{summary.episodes} scenes{unseen}, each tried once"
        f"{'; the pilots beside it had the same seeds' * bool(report.beside)}."
    )
    parts = [
        Figure(
            f"{summary.success}/{summary.episodes}",
            f"{rate} success, 95 % interval {low}–{high} %",
        ),
        Drawing(charts.forest(everyone)),
        Note(report.note or note),
    ]
    return Section("How often it succeeds", parts, anchor="success")


def _warnings(report: Report, everyone: Mapping[str, Summary]) -> list[Note]:
    """What must be put right before the headline means anything."""
    told = list(report.cautions)
    for name in everyone:
        rows = report.beside.get(name, report.rows)
        broken = [row for row in rows if row.reason == "fault"]
        if broken:
            sound = [row for row in rows if row.reason != "fault"]
            told.append(
                f"{len(broken)} of {len(rows)} episodes of {name} broke down. They count as not "
                f"solved, and say nothing of what it can do: without them it is "
                f"{rate_text(sum(r.success for r in sound), len(sound))}. The first (seed "
                f"{broken[0].seed}): {broken[0].detail}"
            )
    return [Note(text, "warning") for text in (*told, *wrong_beside(everyone))]


def wrong_beside(beside: Mapping[str, Summary]) -> list[str]:
    """What expert and zero pilot say against the scene or its judge; names may begin otherwise."""
    told = []
    for name, one in beside.items():
        where = "" if name in ("expert", "zero") else f" ({name})"
        if name.endswith("zero") and one.success:
            text = f"It never moves and is given {one.text}: the judge is broken."
            told.append(f"The zero pilot succeeds{where}. {text}")
        if name.endswith("expert") and one.episodes and (one.rate or 0.0) < FEW_OF_EXPERT:
            text = f"{one.text}. Mend the scene or the expert before blaming the policy."
            told.append(f"The expert fails here{where}. {text}")
    return told


def _limits(report: Report, summary: Summary) -> list[Note]:
    """How far the verdict goes, and no farther."""
    low, high = summary.interval
    told = [
        f"The 95 % interval (Wilson) is {100 * (high - low):.0f} points wide. It speaks of this "
        "one trained policy: another training seed gives another policy."
    ]
    if 0 < summary.episodes < ENOUGH:
        told.append(f"{summary.episodes} episodes are a quick look; report from {ENOUGH} on.")
    if not report.unseen and not report.note:
        told.append(
            "Demonstrations may have come from these very seeds, so this is no test of what was "
            "learnt."
        )
    if report.area is not None:
        told.append(
            "All of it is simulated, with starts from one square of the table: a real arm, or "
            "another place, is another question."
        )
    if not report.beside and not report.note:
        told.append(
            "No expert and no zero pilot stood beside it, so nobody has shown that this scene can "
            "be done and that its judge gives nothing away."
        )
    return [Note(text) for text in told]


def _failures(report: Report) -> Section:
    failed = [r for r in report.rows if not r.success and r.reason not in ("fault", "aborted")]
    parts: list[Table | Note] = []
    if failed:
        parts.append(failure_table(failed))
        if report.again:
            parts.append(Note("One of them once more, from its seed, with a film of it:"))
            parts.append(Note(report.again.replace("{seed}", str(failed[0].seed)), "code"))
    return Section("Failures to look at", parts, anchor="failures")


def _films(report: Report) -> Section:
    if not report.clips:
        return Section("No pictures", [Note(report.no_clips)], anchor="films")
    films = [
        Film(
            words(clip.row.failure_class),
            clip.film_mp4,
            clip.strip_png,
            f"seed {clip.row.seed} · {clip.row.ticks} ticks",
            clip.row.failure_class,
        )
        for clip in report.clips
    ]
    intro = "One episode of each way of ending, played again from its seed."
    return Section("See it happen", films, intro, anchor="films")


def _rates(report: Report) -> Section:
    """Rates over the table, and over the table for each sector of the yaw."""
    area = report.area
    if area is None or len(report.rows) < ENOUGH:
        return Section("", [])
    turned = heat.yaw_maps(report.rows, area, report.symmetry)
    drawn = [Drawing(heat.rate_map(report.rows, area)), Drawing(turned)]
    told = "Solved of tried in each square of the spawn area"
    told += "; below, for four sectors of the yaw." if turned else "."
    return Section("Rates over the table", drawn, told, anchor="rates")


def _curve(report: Report) -> Section:
    drawn = charts.curve(report.losses)
    note = ""
    if drawn:
        (step, loss), first = report.losses[-1], report.losses[0][1]
        note = f"{step:,.0f} steps; the loss fell from {first:.3g} to {loss:.3g}."
    return Section("Training", [Drawing(drawn)], note.replace(",", " "), anchor="curve")


def _time(report: Report) -> Section:
    first = "rollout" if report.note else "demonstration"
    rows = [(name, duration(seconds)) for name, seconds in report.seconds.items()]
    return Section(
        "Time",
        [Drawing(charts.phase_bar(report.seconds)), Table((), rows)],
        f"{duration(report.wall_s)} from the first {first} to this page.",
        anchor="time",
    )
