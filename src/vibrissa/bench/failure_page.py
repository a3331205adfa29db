"""The failures as a page: what, when and where it went wrong, and where to record next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from vibrissa.bench import charts
from vibrissa.bench.failure_words import closeness, frame, reasons, sentence, where
from vibrissa.bench.failures import Failing, went_wrong
from vibrissa.bench.hotspots import LEVEL, Hotspot
from vibrissa.bench.maps import spawn_map
from vibrissa.bench.outcomes import Row, count_classes
from vibrissa.bench.pages import Drawing, Film, Note, Page, Part, Section, Table, words
from vibrissa.bench.telling import angle, degrees, p_told, place
from vibrissa.core.stats import rate_text, wilson

MOST_ROWS = 20
NO_PLACE = "No place stands out: record more demonstrations everywhere first."
GAPS = (
    "Below are only gaps, worth a try: failures farther from any demonstration than nine in ten of "
    "the successes."
)
NO_GAP = "What would help as well: looking at how it fails, below."


@dataclass(frozen=True)
class Told:
    """What stands round the failures. again: the command of one episode, with {seed} in it.

    films: by class. next_seed: the first seed that nobody has looked at. record: the command that
    records at the advised places.
    """

    pilot: str
    instruction: str
    made: str = ""
    again: str = ""
    record: str = ""
    next_seed: int | None = None
    films: Mapping[str, Sequence[Film]] = field(default_factory=dict)
    no_films: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""


def to_page(failing: Failing, told: Told) -> Page:
    """The page of the failures of one pilot."""
    n, total = len(failing.failed), len(failing.sound)
    low, high = (f"{100 * v:.0f}" for v in wilson(n, total))
    headline = (
        f"{told.instruction}: {n or 'none'} of {total} episodes of {told.pilot} failed "
        f"({low}–{high} %)."
    )
    return Page(
        title="failures",
        headline=headline,
        sentence=_sentence(failing),
        sections=[
            Section("", _warnings(failing), anchor="warnings"),
            _where_to_record(failing, told),
            _map(failing),
            _classes(failing),
            _times(failing),
            _limits(failing, told),
            *(_class(name, rows, failing, told) for name, rows in failing.by_class.items()),
            Section("No pictures", [Note(told.no_films)] if n else [], anchor="films"),
        ],
        settings=told.settings,
        machine=told.machine,
        versions=told.versions,
        command=told.command,
        made=told.made,
    )


def to_dict(failing: Failing) -> dict[str, Any]:
    """The same for a program."""
    return {
        "failures": len(failing.failed),
        "episodes": len(failing.sound),
        "interval": [round(v, 4) for v in wilson(len(failing.failed), len(failing.sound))],
        "faults": len(failing.faults),
        "sentence": _sentence(failing),
        "classes": count_classes(failing.failed),
        "phases": {name: len(rows) for name, rows in failing.by_phase.items()},
        "demonstrations": None if failing.demonstrations is None else len(failing.demonstrations),
        "closeness": asdict(failing.closeness) if failing.closeness else None,
        "worst_place": _spot_dict(failing.worst) if failing.worst else None,
        "advice": [
            {
                **_spot_dict(one.hotspot),
                "sentence": f"{sentence(one)} {reasons(one)}",
                "demonstrations": one.demonstrations,
                "target": one.target.to_dict(),
                "nearest_away_m": one.away_m,
                "nearest_turned_rad": one.turned_rad,
            }
            for one in failing.advice
        ],
        "episodes_failed": [
            {
                "seed": row.seed,
                "class": row.failure_class,
                "phase": went_wrong(row)[0],
                "tick": went_wrong(row)[1],
                "spawn": row.spawn,
                "nearest": asdict(failing.nearest[row.seed])
                if row.seed in failing.nearest
                else None,
            }
            for row in failing.failed
        ],
    }


def _sentence(failing: Failing) -> str:
    if not failing.failed:
        return "Nothing to mend here. Harder scenes, or more of them, may show what it cannot do."
    if any(not one.is_gap for one in failing.advice):
        return "There is a place where it fails more often than elsewhere, and not by chance alone."
    if failing.worst is None:
        if any(row.spawn is not None for row in failing.sound):
            return "It fails everywhere, or was tried too few times to tell one place from another."
        return "Nothing is known of where its objects began."
    return (
        "It fails all over the table: the worst place is no worse than chance piles up somewhere "
        f"({p_told(failing.worst.p_searched or 0.0)})."
    )


def _warnings(failing: Failing) -> list[Note]:
    if not failing.faults:
        return []
    first, several = failing.faults[0], len(failing.faults) > 1
    told = (
        f"{len(failing.faults)} more episode{'s' * several} broke down: no failure of the policy, "
        f"and left out here. The first (seed {first.seed}): {first.detail}"
    )
    return [Note(told, "warning")]


def _where_to_record(failing: Failing, told: Told) -> Section:
    parts: list[Part] = []
    if any(one.is_gap for one in failing.advice):
        parts += [Note(NO_PLACE, "verdict"), Note(GAPS)]
    for number, one in enumerate(failing.advice, start=1):
        kind = "plain" if one.is_gap else "verdict"
        parts += [Note(f"{number}. {sentence(one)}", kind), Note(reasons(one))]
    if failing.failed and not parts:
        parts += [Note(NO_PLACE, "verdict"), Note(NO_GAP)]
    if failing.closeness is not None:
        parts.append(Note(closeness(failing.closeness)))
    elif failing.failed and failing.demonstrations is None:
        parts.append(
            Note("Where its demonstrations began is not known: name them with --dataset DATASET.")
        )
    if failing.advice and told.record:
        parts += [Note("To do it:"), Note(told.record, "code")]
    intro = frame(failing.ground) if failing.advice else ""
    return Section("Where to record", parts, intro, anchor="record")


def _map(failing: Failing) -> Section:
    wanted = [(o.target.x_m, o.target.y_m, o.target.spread_m) for o in failing.advice]
    demonstrations = [d.spawn for d in failing.demonstrations or ()]
    drawn = spawn_map(
        failing.sound,
        failing.ground.landmarks,
        failing.ground.area,
        demonstrations=demonstrations,
        wanted=wanted,
        symmetry=failing.ground.symmetry,
    )
    intro = (
        "From above, behind the robot: each mark is the object of one episode where it began"
        f"{', hollow ones are demonstrations' * bool(demonstrations)}"
        f"{', numbered circles are where to record' * bool(wanted)}."
    )
    kinds = list(count_classes(failing.sound))
    return Section("Where", [Drawing(drawn, kinds=kinds)], intro if drawn else "", anchor="map")


def _classes(failing: Failing) -> Section:
    total = len(failing.sound)
    rows = [
        (
            words(name),
            str(len(one)),
            rate_text(len(one), total).split(" ", 1)[1].strip("()"),
            _median([went_wrong(r)[1] for r in one], "{:.0f}"),
            _median([_reach(r, failing) for r in one], "{:.1f} cm", 100),
        )
        for name, one in failing.by_class.items()
    ]
    columns = ("how", "failures", "of all episodes", "median tick", "nearest demonstration, median")
    bars = charts.class_bars(count_classes(failing.failed), total)
    return Section("How", [Drawing(bars), Table(columns, rows)], anchor="classes")


def _times(failing: Failing) -> Section:
    total = len(failing.failed)
    rows = [(name, f"{len(one)}/{total}") for name, one in failing.by_phase.items()]
    lanes = {
        name: [tick for r in one if (tick := went_wrong(r)[1]) is not None]
        for name, one in failing.by_class.items()
    }
    most = max((r.ticks for r in failing.sound), default=0)
    drawn = charts.timeline(lanes, max(most, failing.ground.max_ticks), failing.ground.rate_hz)
    intro = (
        "Where it got to: when a drop was let go, when an object that was never picked up last "
        "moved, when the time was up."
    )
    return Section("When", [Table((), rows), Drawing(drawn)], intro if rows else "", anchor="when")


def _limits(failing: Failing, told: Told) -> Section:
    if not failing.failed:
        return Section("What this cannot say", [])
    parts = [
        Note(
            "A place is a finding when its failures are more than the worst place of the same "
            f"episodes with shuffled outcomes has, in all but {100 * LEVEL:.0f} % of the shuffles. "
            "Fisher's test alone would find one in most sets of pure chance, because the worst "
            "place is searched for."
        ),
        Note(
            "That demonstrations there will help is a guess; the next policy tells. Judge it on "
            "seeds that were not looked at"
            + (f", such as --seeds {told.next_seed}." if told.next_seed is not None else ".")
        ),
    ]
    return Section("What this cannot say", parts, anchor="limits")


def _class(name: str, rows: Sequence[Row], failing: Failing, told: Told) -> Section:
    shown = [_failure(row, failing) for row in sorted(rows, key=lambda r: r.seed)[:MOST_ROWS]]
    more = len(rows) - len(shown)
    columns = ("seed", "went wrong", "tick", "began at x, y (cm)", "yaw", "nearest demonstration")
    note = f"And {more} more in outcomes.jsonl." if more else ""
    parts: list[Part] = [Table(columns, shown, note)]
    if told.again:
        parts.append(Note(told.again.replace("{seed}", str(rows[0].seed)), "code"))
    parts += told.films.get(name, ())
    return Section(f"{words(name).capitalize()}: {len(rows)}", parts, anchor=f"class-{name}")


def _failure(row: Row, failing: Failing) -> tuple[str, ...]:
    phase, tick = went_wrong(row)
    near = failing.nearest.get(row.seed)
    told = "–"
    if near is not None:
        turned = f", {degrees(near.turned_rad)}" if failing.ground.symmetry else ""
        told = f"episode {near.episode}: {100 * near.away_m:.1f} cm{turned}"
    at = "–" if tick is None else f"{tick:.0f}"
    return str(row.seed), phase, at, place(row), angle(row), told


def _reach(row: Row, failing: Failing) -> float | None:
    near = failing.nearest.get(row.seed)
    return near.reach_m if near else None


def _median(values: Sequence[float | None], form: str, scale: float = 1.0) -> str:
    known = [value for value in values if value is not None]
    return form.format(scale * median(known)) if known else "–"


def _spot_dict(spot: Hotspot) -> dict[str, Any]:
    low, high = spot.interval
    return {
        "where": where(spot),
        "place": asdict(spot.place),
        "failures": spot.failures,
        "episodes": spot.episodes,
        "interval": [round(low, 4), round(high, 4)],
        "failures_elsewhere": spot.failures_elsewhere,
        "episodes_elsewhere": spot.elsewhere,
        "p_alone": spot.p_alone,
        "p_searched": spot.p_searched,
        "is_finding": spot.is_finding,
    }
