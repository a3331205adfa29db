"""Rows and summaries as the tables of a page: measures beside each other, failures one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vibrissa.bench.outcomes import Row, Summary
from vibrissa.bench.pages import Table, words

MOST_ROWS = 12


def measure_table(everyone: Mapping[str, Summary], rate_hz: float = 0.0) -> Table:
    """What was measured, a column for each pilot; measures that nobody has are left out.

    rate_hz: ticks in a second, where it is known.
    """
    columns = {name: _measures(summary, rate_hz) for name, summary in everyone.items()}
    names = next(iter(columns.values()), {})
    rows = [(name, *(column[name] for column in columns.values())) for name in names]
    kept = [row for row in rows if any(cell != "–" for cell in row[1:])]
    return Table(("", *columns), kept)


def failure_table(rows: Sequence[Row], rate_hz: float = 0.0, most: int = MOST_ROWS) -> Table:
    """Failed episodes one by one, in the order of their seeds: how, when and where."""
    ordered = sorted(rows, key=lambda r: r.seed)
    shown = [
        (
            str(row.seed),
            words(row.failure_class),
            lasted(row.ticks, rate_hz),
            place(row),
            angle(row),
            _told(row.measures.get("max_height_m"), "{:.1f}", 100),
        )
        for row in ordered[:most]
    ]
    more = len(ordered) - len(shown)
    note = f"And {more} more in outcomes.jsonl." if more else ""
    return Table(
        (
            "seed",
            "ended",
            "after" if rate_hz else "ticks",
            "began at x, y (cm)",
            "yaw",
            "highest (cm)",
        ),
        shown,
        note,
    )


def place(row: Row) -> str:
    """Where the object began, in cm."""
    return "–" if row.spawn is None else f"{100 * row.spawn[0]:.1f}, {100 * row.spawn[1]:.1f}"


def angle(row: Row) -> str:
    """How far it was turned then, in degrees."""
    return "–" if row.spawn is None else degrees(row.spawn[2])


def degrees(angle_rad: float) -> str:
    """An angle in whole degrees: −12°."""
    told = f"{math.degrees(angle_rad):.0f}°"
    return "0°" if told == "-0°" else told.replace("-", "−")


def lasted(ticks: float, rate_hz: float) -> str:
    """How long an episode was: in seconds of the arm's time, or in ticks where no rate is known."""
    return f"{ticks / rate_hz:.1f} s" if rate_hz else f"{ticks:.0f}"


def duration(seconds: float) -> str:
    """Seconds as one says them: 3.2 s, 1 min 05 s, 2 h 07 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {int(seconds) % 60:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def points(difference: float) -> str:
    """A difference of rates in points, with its sign."""
    return f"{signed(difference)} points"


def signed(difference: float) -> str:
    """The same without the unit: +4, −12, 0."""
    told = f"{100 * difference:+.0f}"
    return "0" if told in ("+0", "-0") else told.replace("-", "−")


def p_text(p: float) -> str:
    """A p-value in two digits; one too small to matter as a bound."""
    return f"{p:.2g}" if p >= 1e-4 else "below 0.0001"


def p_told(p: float) -> str:
    """As in a sentence: p = 0.03, or p below 0.0001."""
    return f"p = {p_text(p)}" if p >= 1e-4 else f"p {p_text(p)}"


def _measures(summary: Summary, rate_hz: float) -> dict[str, str]:
    return {
        "solved": f"{summary.success}/{summary.episodes}",
        "without a drop": f"{summary.clean}/{summary.episodes}",
        "picked up": f"{summary.picked}/{summary.episodes}",
        "dropped, of the lifted": f"{summary.dropped}/{summary.picked}",
        "ticks, all": _told(summary.mean_steps, "{:.0f}"),
        "ticks, successes": _told(summary.mean_steps_success, "{:.0f}"),
        "time, successes": _told(
            summary.mean_steps_success if rate_hz else None, "{:.1f} s", 1 / (rate_hz or 1)
        ),
        "highest point, mean": _told(summary.mean_max_height_m, "{:.1f} cm", 100),
        "grip, weaker pad": _told(summary.mean_grip_n, "{:.0f} N"),
        "slip in the grip": _told(summary.mean_slip_m, "{:.1f} mm", 1000),
        "turn in the grip": _told(summary.mean_slip_rad, "{:.1f}°", math.degrees(1)),
        "held by both pads": _told(summary.both_pads_share, "{:.0f} %", 100),
        "a tick's move where a chunk begins": _told(summary.mean_jump, "{:.3f} rad"),
        "a tick's move elsewhere": _told(summary.mean_stride, "{:.3f} rad"),
        "one inference": _told(summary.mean_latency_s, "{:.1f} ms", 1000),
        "an episode took": _told(summary.mean_wall_s, "{:.2f} s"),
    }


def _told(value: float | None, form: str, scale: float = 1.0) -> str:
    return "–" if value is None else form.format(scale * value)


def number_of(number: int, what: str) -> str:
    """1 seed, 2 seeds."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
