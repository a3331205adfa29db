"""Maps of the table: where objects began, what became of them, where demonstrations began.

As `charts`, every function gives one `<svg>` element as text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from vibrissa.bench.charts import (
    Frame,
    Landmark,
    Point,
    Square,
    axis_names,
    round_steps,
    svg,
    tick_text,
)
from vibrissa.bench.marks import sign
from vibrissa.bench.outcomes import Row, Spawn, count_classes
from vibrissa.bench.pages import words

SIDE = 392.0  # of the map, in user units
# A mark for each symmetry: its width, its height and the radius of its corners, in user units.
MARKS = {0: (15, 15, 7.5), 1: (10, 20, 2), 2: (10, 20, 2)}
EVEN = (14, 14, 2)  # for the others
STARTS = "starts"  # what the overview calls the area that the map shows
OVERVIEW = (130.0, 492.0, 240.0, 140.0)  # left, top, most width, most height


def spawn_map(
    rows: Sequence[Row],
    landmarks: Mapping[str, Landmark],
    area: Square | None = None,
    *,
    demonstrations: Sequence[Spawn] = (),
    wanted: Sequence[Square] = (),
    symmetry: int = 2,
) -> str:
    """Where each object began, marked by class: the spawn area from above, the robot's +x up.

    demonstrations: where theirs began, as hollow marks. wanted: circles (x, y, radius), numbered
    from 1. A small overview below shows the area on the table, with the robot and `landmarks`,
    squares and rectangles of the scene by name. Without an `area` it is the smallest square that
    holds everything. symmetry: of the object, by which its marks are long, square or round.
    """
    placed = [r for r in rows if r.spawn is not None]
    if not placed:
        return ""
    points = [r.spawn[:2] for r in placed if r.spawn]
    points += [(x + i * r, y + i * r) for x, y, r in wanted for i in (-1, 1)]
    points += [(x, y) for x, y, _ in demonstrations]
    if area is not None:
        points += [(area[0] + i * area[2], area[1] + i * area[2]) for i in (-1, 1)]
    x0, y0, half = smallest_square(points)
    half *= 1.06
    # +y points to the left, as for somebody who stands behind the robot.
    frame = Frame(460, 468, (y0 + half, y0 - half), (x0 - half, x0 + half), 54, 14, 28, 48)
    parts = [
        f'<rect class="area" x="{frame.left}" y="{frame.top}" width="{SIDE}" height="{SIDE}" '
        'rx="8"/>',
        _ticks_cm(frame, x0, y0, half),
        *axis_names(frame),
        *(_mark("demo", at, frame, "a demonstration", symmetry) for at in demonstrations),
    ]
    for row in sorted(placed, key=lambda r: not r.success):  # failures last: on top
        assert row.spawn is not None
        told = (
            f"seed {row.seed}: {row.failure_class}, {row.ticks} ticks, "
            f"({row.spawn[0]:.3f}, {row.spawn[1]:.3f}) m, {math.degrees(row.spawn[2]):.0f}°"
        )
        kind = f"brick k-{row.failure_class}"
        over = sign(row.failure_class, *_size(symmetry))
        parts.append(_mark(kind, row.spawn, frame, told, symmetry, over))
    parts += [_circle(i, at, frame) for i, at in enumerate(wanted, start=1)]
    parts.append(_overview((x0, y0, half), landmarks))
    height = OVERVIEW[1] + OVERVIEW[3]
    read = ", ".join(f"{n} {words(name)}" for name, n in count_classes(placed).items())
    label = f"Outcome over the place where the object began: {read}"
    return svg(frame.width, height, parts, label)


def _size(symmetry: int) -> tuple[float, float]:
    wide, high, _ = MARKS.get(symmetry, EVEN)
    return wide, high


def _mark(kind: str, at: Spawn, frame: Frame, told: str, symmetry: int, over: str = "") -> str:
    """A mark in the object's shape, drawn smaller than it is so that neighbours show."""
    x, y, yaw = at
    wide, high, corner = MARKS.get(symmetry, EVEN)
    # A brick's long side lies along its own x, and the robot's x points up in the picture.
    return (
        f'<g transform="translate({frame.px(y):.1f} {frame.py(x):.1f}) '
        f'rotate({-math.degrees(yaw):.1f})"><title>{escape(told)}</title>'
        f'<rect class="{escape(kind)}" x="{-wide / 2:g}" y="{-high / 2:g}" width="{wide}" '
        f'height="{high}" rx="{corner:g}"/>{over}</g>'
    )


def _circle(number: int, at: Square, frame: Frame) -> str:
    x, y, radius_m = at
    u, v, radius = frame.px(y), frame.py(x), abs(frame.px(y + radius_m) - frame.px(y))
    return (
        f'<circle class="wanted" cx="{u:.1f}" cy="{v:.1f}" r="{radius:.1f}"/>'
        f'<text class="wanted-name" x="{u:.1f}" y="{v - radius - 5:.1f}" text-anchor="middle">'
        f"{number}</text>"
    )


def _ticks_cm(frame: Frame, x0: float, y0: float, half: float) -> str:
    parts = []
    for value in round_steps((100 * (x0 - half), 100 * (x0 + half))):
        y = frame.py(value / 100)
        parts.append(
            f'<text class="tick" x="{frame.left - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{value:g}</text>"
        )
    for value in round_steps((100 * (y0 - half), 100 * (y0 + half))):
        parts.append(tick_text(frame.px(value / 100), frame.height - 29, f"{value:g}"))
    return "".join(parts)


def smallest_square(points: Sequence[Point]) -> Square:
    """The square that holds all points."""
    xs, ys = np.array(points).T  # (n,), (n,)
    half = max(float(np.ptp(xs)), float(np.ptp(ys)), 0.02) / 2
    return float(xs.max() + xs.min()) / 2, float(ys.max() + ys.min()) / 2, half


def _overview(area: Square, landmarks: Mapping[str, Landmark]) -> str:
    """The whole table, small, within `OVERVIEW`: robot, landmarks, spawn area."""
    outlines = {name: _corners(mark) for name, mark in {STARTS: area, **landmarks}.items()}
    xs, ys = np.concatenate(list(outlines.values())).T  # (n,), (n,)
    low_y, high_y = min(0.0, float(ys.min())) - 0.03, max(0.0, float(ys.max())) + 0.03
    high_x = float(xs.max()) + 0.03
    left, top, wide, high = OVERVIEW
    scale = min(wide / (high_y - low_y), (high - 26) / (high_x + 0.03))

    def at(x: float, y: float) -> Point:
        return left + scale * (high_y - y), top + scale * (high_x - x)

    u, v = at(0.0, 0.0)
    parts = [
        f'<path class="robot" d="M{u - 7:.1f} {v + 7:.1f} L{u:.1f} {v - 9:.1f} L{u + 7:.1f} '
        f'{v + 7:.1f} Z"/>',
        tick_text(u, v + 22, "robot"),
    ]
    for name, corners in outlines.items():
        drawn = [at(float(x), float(y)) for x, y in corners]
        outline = " L".join(f"{u:.1f} {v:.1f}" for u, v in drawn)
        middle, low = sum(u for u, _ in drawn) / 4, max(v for _, v in drawn)
        kind = "here" if name == STARTS else "landmark"
        parts.append(
            f'<path class="{kind}" stroke-linejoin="round" d="M{outline} Z"/>'
            + tick_text(middle, low + 14, name)
        )
    return "".join(parts)


def _corners(mark: Landmark) -> np.ndarray:
    """The four corners (4, 2) of a square or a rectangle, m."""
    x, y, half_x, half_y, yaw = mark if len(mark) == 5 else (*mark, mark[2], 0.0)
    signs = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    offsets = signs * (half_x, half_y)
    cos, sin = math.cos(yaw), math.sin(yaw)
    return offsets @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
