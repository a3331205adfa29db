"""One judged policy as a page: the verdict, what it cannot say, and the failures to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vibrissa.bench import charts, heat
from vibrissa.bench.cautions import ENOUGH, SCRIPTED, limits, warnings
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
from vibrissa.bench.telling import duration, failure_table, lasted, measure_table, p_told


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
    one episode again, with {seed} in it; why: the one that tells why it fails. cautions: what was
    odd before the first episode. thing, symmetry: what is moved, and in how many turns of a whole
    one it looks the same (0: in all). who, headline: of one of two policies that drove in turn, its
    name, and the verdict. rate_hz: ticks in a second; 0 where it is not known. first:
    with what the time of `wall_s` began.
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
    why: str = ""
    cautions: Sequence[str] = ()
    thing: str = "object"
    symmetry: int = 1
    rate_hz: float = 0.0
    first: str = "episode"
    who: str = ""
    headline: str = ""

    @property
    def name(self) -> str:
        """Who was judged: a scripted pilot by its name, one of two policies, or the policy."""
        if self.who:
            return self.who
        pilot = self.rows[0].pilot if self.rows else ""
        return pilot if pilot in SCRIPTED else "policy"


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
        "rate_hz": report.rate_hz or None,
        "map": [asdict(one) for one in _squares(report)],
        "command": report.command,
        "cautions": list(report.cautions),
        "warnings": warnings(report, _everyone(report)),
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
    everyone = _everyone(report)
    sections = [
        Section("", [Note(t, "warning") for t in warnings(report, everyone)], anchor="warnings"),
        _success(report, summary, everyone),
        _classes(report),
        Section(
            "What this cannot say", [Note(t) for t in limits(report, summary)], anchor="limits"
        ),
        _films(report),
        _places(report),
        _angles(report),
        _rates(report),
        _failures(report),
        Section("In numbers", [measure_table(everyone, report.rate_hz)], anchor="numbers"),
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


def _classes(report: Report) -> Section:
    """How episodes ended: the policy's, or those of both where two drove in turn."""
    if not report.who:
        parts: list[Drawing | Note] = [Drawing(charts.class_bars(count_classes(report.rows)))]
    else:
        parts = []
        for name, rows in {report.who: report.rows, **report.beside}.items():
            parts += [Note(f"{name}:"), Drawing(charts.class_bars(count_classes(rows)))]
    return Section("How the episodes ended", parts, anchor="classes")


def _headline(report: Report, summary: Summary) -> str:
    if report.headline:
        return f"{report.headline}."
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
    likely = (
        f"Of very many such {'rollouts' if report.note else 'scenes'} it would most likely solve "
        f"{low} to {high} of 100: {summary.episodes} tell no more than that."
    )
    parts = [
        Figure(
            f"{summary.success}/{summary.episodes}",
            f"{f'{report.who}: ' * bool(report.who)}{rate} success, 95 % interval {low}–{high} %",
        ),
        Drawing(charts.forest(everyone)),
        Note(f"{likely} {report.note or note}" if summary.episodes else report.note),
        *(Note(line) for line in _paired(report)),
    ]
    return Section("How often it succeeds", parts, anchor="success")


def _paired(report: Report) -> list[str]:
    """Who alone solved what, of the seeds that were tried by both."""
    told, scenes = [], "placements" if report.note else "scenes"
    for name, rows in report.beside.items():
        pair = compare_paired(report.rows, rows)
        if name != "zero" and pair.seeds:
            other = f"the {name}" if name in SCRIPTED else name
            own = report.who or f"the {report.name}"
            told.append(
                f"Of the same {pair.seeds} {scenes}, {own} alone solved "
                f"{pair.only_first} and {other} alone {pair.only_second} (exact McNemar, "
                f"{p_told(pair.p)})."
            )
    return told


def _failures(report: Report) -> Section:
    failed = [r for r in report.rows if not r.success and r.reason not in ("fault", "aborted")]
    parts: list[Table | Note] = []
    if failed:
        parts.append(failure_table(failed, report.rate_hz))
        if report.why:
            parts.append(Note("Where and when it fails, and where to record more demonstrations:"))
            parts.append(Note(report.why, "code"))
        if report.again:
            parts.append(Note("One of them once more, from its seed, with a film of it:"))
            parts.append(Note(report.again.replace("{seed}", str(failed[0].seed)), "code"))
    return Section("Failures to look at", parts, anchor="failures")


def _films(report: Report) -> Section:
    if not report.clips:
        return Section("No pictures", [Note(report.no_clips)], anchor="films")
    films: list[Film | Note] = [
        Film(
            words(clip.row.failure_class),
            clip.film_mp4,
            clip.strip_png,
            f"seed {clip.row.seed} · {lasted(clip.row.ticks, report.rate_hz)}"
            f"{' ticks' * (not report.rate_hz)}",
            clip.row.failure_class,
        )
        for clip in report.clips
    ]
    shown = {clip.row.failure_class for clip in report.clips}
    missing = [words(name) for name in count_classes(report.rows) if name not in shown]
    if missing:
        why = "Played again, it broke before its first picture, or ended otherwise."
        films.append(Note(f"No film of: {', '.join(missing)}. {why}"))
    intro = "One episode of each way of ending, played again from its seed."
    return Section("See it happen", films, intro, anchor="films")


def _places(report: Report) -> Section:
    drawn = spawn_map(report.rows, report.landmarks, report.area, symmetry=report.symmetry)
    whose = f" of {report.who}" * bool(report.who)
    intro = (
        f"From above, behind the robot: each mark is the object of one episode{whose} where it "
        "began."
    )
    kinds = list(count_classes(report.rows))
    parts = [Drawing(drawn, kinds=kinds)]
    return Section("Where it succeeds", parts, intro if drawn else "", anchor="map")


def _angles(report: Report) -> Section:
    drawn = charts.yaw_chart(report.rows, report.symmetry)
    again = charts.same_again(report.symmetry, report.thing)
    intro = f"Success by the first yaw of the {report.thing}, with 95 % intervals. {again}".strip()
    return Section("At which angle", [Drawing(drawn)], intro if drawn else "", anchor="yaw")


def _everyone(report: Report) -> dict[str, Summary]:
    """Who was judged first, then who stood beside."""
    beside = {name: summarise(rows) for name, rows in report.beside.items()}
    return {report.name: summarise(report.rows), **beside}


def _squares(report: Report) -> list[heat.Bin]:
    """What the map of rates shows; nothing where nobody knows the spawn area."""
    if report.area is None or not any(row.spawn for row in report.rows):
        return []
    return heat.rate_bins(report.rows, report.area)


def _rates(report: Report) -> Section:
    """Rates over the table, and over the table for each sector of the yaw."""
    area = report.area
    if area is None or len(report.rows) < ENOUGH:
        return Section("", [])
    turned = heat.yaw_maps(report.rows, area, report.symmetry)
    drawn = [Drawing(heat.rate_map(report.rows, area)), Drawing(turned)]
    told = "Solved of tried in each square of the spawn area"
    told += ", and once more for each of four sectors of the yaw." if turned else "."
    return Section("Rates over the table", drawn, told, anchor="rates")


def _curve(report: Report) -> Section:
    drawn = charts.curve(report.losses)
    note = ""
    if drawn:
        (step, loss), first = report.losses[-1], report.losses[0][1]
        note = f"{step:,.0f} steps; the loss went from {first:.3g} to {loss:.3g}."
    return Section("Training", [Drawing(drawn)], note.replace(",", " "), anchor="curve")


def _time(report: Report) -> Section:
    rows = [(name, duration(seconds)) for name, seconds in report.seconds.items()]
    return Section(
        "Time",
        [Drawing(charts.phase_bar(report.seconds)), Table((), rows)],
        f"{duration(report.wall_s)} from the first {report.first} to this page.",
        anchor="time",
    )
