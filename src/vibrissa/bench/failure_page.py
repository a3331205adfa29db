"""The failures as a page: what, when and where it went wrong, and where to record next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from vibrissa.bench import charts
from vibrissa.bench.failures import Advice, Failing, Ground, went_wrong
from vibrissa.bench.hotspots import LEVEL, Hotspot
from vibrissa.bench.maps import spawn_map
from vibrissa.bench.outcomes import Row, count_classes
from vibrissa.bench.pages import Drawing, Film, Note, Page, Part, Section, Table, words
from vibrissa.bench.telling import angle, place
from vibrissa.core.stats import rate_text

MOST_ROWS = 20
GAPS = (
    "Nothing singles out a place: more demonstrations everywhere come first. These are only gaps: "
    "failures farther from any demonstration than nine in ten of the successes."
)


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
    headline = f"{told.instruction}: {n} of {total} episodes of {told.pilot} failed."
    if not n:
        headline = f"{told.instruction}: none of {total} episodes of {told.pilot} failed."
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
        "faults": len(failing.faults),
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


def sentence(advice: Advice) -> str:
    """What to do."""
    return f"Record demonstrations here: {advice.target.count} more {where(advice.hotspot)}."


def reasons(advice: Advice) -> str:
    """What speaks for it."""
    spot = advice.hotspot
    told = (
        f"{rate_text(spot.failures, spot.episodes)} of the episodes that began there failed, "
        f"{rate_text(spot.failures_elsewhere, spot.elsewhere)} of those "
        f"{'outside all places above' if advice.is_later else 'elsewhere'}"
    )
    if spot.is_finding:
        told += (
            f": Fisher's exact p = {spot.p_alone:.2g}, and {spot.p_searched:.2g} when it counts "
            "that this place was searched for."
        )
    else:
        told += f": no finding (Fisher's exact p = {spot.p_alone:.2g}), only a gap."
    if advice.away_m is not None and advice.turned_rad is not None:
        turned = f" and {math.degrees(advice.turned_rad):.0f}°" * bool(advice.turned_rad)
        told += (
            f" From its failures to their nearest demonstrations it is {100 * advice.away_m:.1f} cm"
            f"{turned} (medians)."
        )
    if advice.demonstrations is not None:
        told += f" {advice.demonstrations} demonstrations began there."
    return told


def where(spot: Hotspot) -> str:
    """A place in words: around which point, within how much, at which yaw."""
    region = spot.place
    told = "anywhere on the table"
    if math.isfinite(region.radius_m):
        told = (
            f"around ({100 * region.x_m:.1f}, {100 * region.y_m:.1f}) cm, within "
            f"{100 * region.radius_m:.1f} cm of it"
        )
    if math.isfinite(region.half_yaw_rad):
        middle, half = math.degrees(region.yaw_rad), math.degrees(region.half_yaw_rad)
        told += f", yaw {middle - half:.0f}° to {middle + half:.0f}°"
    return told


def _sentence(failing: Failing) -> str:
    if not failing.failed:
        return "Nothing to mend here. Harder scenes, or more of them, may show what it cannot do."
    if any(not one.is_gap for one in failing.advice):
        return "There is a place where it fails more often than elsewhere, and not by chance alone."
    if failing.worst is None:
        return "Nothing is known of where its objects began."
    return (
        "It fails all over the table: even the worst place is no worse than chance piles up "
        f"somewhere (p = {failing.worst.p_searched:.2g})."
    )


def _warnings(failing: Failing) -> list[Note]:
    if not failing.faults:
        return []
    first = failing.faults[0]
    return [
        Note(
            f"{len(failing.faults)} more episodes broke down. They are no failures of the policy "
            f"and are left out here. The first (seed {first.seed}): {first.detail}",
            "warning",
        )
    ]


def _where_to_record(failing: Failing, told: Told) -> Section:
    parts: list[Part] = []
    if any(one.is_gap for one in failing.advice):
        parts.append(Note(GAPS))
    for number, one in enumerate(failing.advice, start=1):
        kind = "plain" if one.is_gap else "verdict"
        parts += [Note(f"{number}. {sentence(one)}", kind), Note(reasons(one))]
    if failing.failed and not parts:
        parts.append(
            Note(
                "Nothing singles out a place. What would help more than demonstrations somewhere: "
                "more of them everywhere, or looking at how it fails, below."
            )
        )
    if failing.closeness is not None:
        parts.append(Note(_closeness_told(failing)))
    elif failing.failed and failing.demonstrations is None:
        parts.append(
            Note("Where its demonstrations began is not known: name them with --dataset DATASET.")
        )
    if failing.advice and told.record:
        parts += [Note("To do it:"), Note(told.record, "code")]
    intro = _frame(failing.ground) if failing.advice else ""
    return Section("Where to record", parts, intro, anchor="record")


def _frame(ground: Ground) -> str:
    """What the numbers of a place are measured from."""
    told = (
        "Places are x, y from the arm's base: x in front of it, y to its left. Yaw counts "
        "counter-clockwise, seen from above"
    )
    if ground.symmetry > 1:
        told += f"; the {ground.thing} looks the same after {360 / ground.symmetry:.0f}°"
    return f"{told}."


def _closeness_told(failing: Failing) -> str:
    close = failing.closeness
    assert close is not None
    told = (
        f"Failures began {100 * close.failed_m:.1f} cm from their nearest demonstration, successes "
        f"{100 * close.solved_m:.1f} cm (medians, the object's turn counted by what it moves its "
        f"farthest point). "
    )
    if close.p > LEVEL or close.failed_m <= close.solved_m:
        return told + (
            f"That is no difference one can be sure of (Mann–Whitney p = {close.p:.2g}): it is not "
            "shown that demonstrations are missing near the failures."
        )
    return told + (
        f"It fails where demonstrations are far (Mann–Whitney p = {close.p:.2g}): more of them "
        "there should help."
    )


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
    bars = charts.class_bars(count_classes(failing.failed))
    return Section("How", [Drawing(bars), Table(columns, rows)], anchor="classes")


def _times(failing: Failing) -> Section:
    total = len(failing.failed)
    rows = [(name, f"{len(one)}/{total}") for name, one in failing.by_phase.items()]
    lanes = {
        name: [tick for r in one if (tick := went_wrong(r)[1]) is not None]
        for name, one in failing.by_class.items()
    }
    most = max((r.ticks for r in failing.sound), default=0)
    drawn = charts.timeline(lanes, max(most, failing.ground.max_ticks))
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
        turned = f", {math.degrees(near.turned_rad):.0f}°" if failing.ground.symmetry else ""
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
