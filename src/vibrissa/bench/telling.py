"""Rows and summaries as the tables of a page: measures beside each other, failures one by one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vibrissa.bench.outcomes import Row, Summary
from vibrissa.bench.pages import Table, words

MOST_ROWS = 20


def measure_table(everyone: Mapping[str, Summary]) -> Table:
    """What was measured, a column for each pilot; measures that nobody has are left out."""
    columns = {name: _measures(summary) for name, summary in everyone.items()}
    names = next(iter(columns.values()), {})
    rows = [(name, *(column[name] for column in columns.values())) for name in names]
    kept = [row for row in rows if any(cell != "–" for cell in row[1:])]
    return Table(("", *columns), kept)


def failure_table(rows: Sequence[Row], most: int = MOST_ROWS) -> Table:
    """Failed episodes one by one, in the order of their seeds: how, when and where."""
    ordered = sorted(rows, key=lambda r: r.seed)
    shown = [
        (
            str(row.seed),
            words(row.failure_class),
            str(row.ticks),
            place(row),
            angle(row),
            _told(row.measures.get("max_height_m"), "{:.1f}", 100),
        )
        for row in ordered[:most]
    ]
    more = len(ordered) - len(shown)
    note = f"And {more} more in outcomes.jsonl." if more else ""
    return Table(
        ("seed", "ended", "ticks", "began at x, y (cm)", "yaw", "highest (cm)"), shown, note
    )


def place(row: Row) -> str:
    """Where the object began, in cm."""
    return "–" if row.spawn is None else f"{100 * row.spawn[0]:.1f}, {100 * row.spawn[1]:.1f}"


def angle(row: Row) -> str:
    """How far it was turned then, in degrees."""
    return "–" if row.spawn is None else f"{math.degrees(row.spawn[2]):.0f}°"


def duration(seconds: float) -> str:
    """Seconds as one says them: 3.2 s, 1 min 05 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def _measures(summary: Summary) -> dict[str, str]:
    return {
        "without a drop": f"{summary.clean}/{summary.episodes}",
        "picked up": f"{summary.picked}/{summary.episodes}",
        "dropped, of the lifted": f"{summary.dropped}/{summary.picked}",
        "ticks, all": _told(summary.mean_steps, "{:.0f}"),
        "ticks, successes": _told(summary.mean_steps_success, "{:.0f}"),
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
