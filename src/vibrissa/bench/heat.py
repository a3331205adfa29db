"""Success over the table and the yaw, in squares with their counts.

As `charts`, every function gives one `<svg>` element as text, in classes that a page knows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from vibrissa.bench.charts import Frame, Square, axis_names, fold_deg, svg, tick_text
from vibrissa.bench.outcomes import Row
from vibrissa.core.stats import rate_text

FAINT, FULL = 0.06, 0.55  # the ink of a square in which nothing, and everything, was solved
A_SQUARE = 4  # episodes that a square holds on average, at least
SETTLED_M = 1e-3  # an object may move so far before its first tick


@dataclass(frozen=True)
class Bin:
    """What began within low to high in x and y (m) and in yaw (degrees, as `fold_deg` folds it)."""

    x_m: tuple[float, float]
    y_m: tuple[float, float]
    yaw_deg: tuple[float, float]
    success: int
    episodes: int

    @property
    def text(self) -> str:
        x, y = (f"{100 * low:.1f} to {100 * high:.1f} cm" for low, high in (self.x_m, self.y_m))
        yaw = f"{self.yaw_deg[0]:.3g} to {self.yaw_deg[1]:.3g}°"
        told = f"x {x}, y {y}, yaw {yaw}: ".replace("-", "−")
        return told + rate_text(self.success, self.episodes)


def bins(
    rows: Sequence[Row], area: Square, *, side: int = 4, yaws: int = 1, symmetry: int = 1
) -> list[Bin]:
    """The rows sorted into `side` × `side` squares of `area` and `yaws` sectors of the yaw.

    Yaw first, then x, then y, each from low to high. What began outside the area is left out.
    symmetry: see `charts.yaw_chart`; the sectors share what it leaves of a turn.
    """
    whole = 360 / max(1, symmetry)
    counts: dict[tuple[int, int, int], list[bool]] = {}
    for row in rows:
        if row.spawn is None:
            continue
        x, y, yaw = row.spawn
        i, j = _index(x, area[0], area[2], side), _index(y, area[1], area[2], side)
        turned = fold_deg(yaw, max(1, symmetry)) + whole / 2
        k = min(math.ceil(turned * yaws / whole) - 1, yaws - 1)
        if i is not None and j is not None:
            counts.setdefault((max(k, 0), i, j), []).append(row.success)
    made = []
    for k, i, j in itertools.product(range(yaws), range(side), range(side)):
        inside = counts.get((k, i, j), [])
        sector = (whole * (k / yaws - 0.5), whole * ((k + 1) / yaws - 0.5))
        x_m, y_m = _cut(area[0], area[2], side, i), _cut(area[1], area[2], side, j)
        made.append(Bin(x_m, y_m, sector, sum(inside), len(inside)))
    return made


def rate_bins(rows: Sequence[Row], area: Square) -> list[Bin]:
    """The squares of `rate_map`: 2 × 2 to 4 × 4 of them, as the episodes suffice."""
    placed = sum(row.spawn is not None for row in rows)
    return bins(rows, area, side=min(max(math.isqrt(placed // A_SQUARE), 2), 4))


def rate_map(rows: Sequence[Row], area: Square) -> str:
    """The spawn area from above, the robot's +x up and +y left: how many of each square solved."""
    if not any(row.spawn for row in rows):
        return ""
    frame = Frame(460, 440, _left_to_right(area), _bottom_to_top(area), 54, 30, 28, 48)
    sorted_in = rate_bins(rows, area)
    parts = [_square(one, frame) for one in sorted_in]
    parts += _axes(frame, area, math.isqrt(len(sorted_in)))
    told = f"Success over the place where the object began: {_read(sorted_in)}"
    return svg(460, 440, parts, told)


def yaw_maps(rows: Sequence[Row], area: Square, symmetry: int = 1) -> str:
    """Four sectors of the yaw beside each other, 2 × 2 or 3 × 3 squares in each.

    None without a yaw, and none for so few episodes that most squares would hold one or none.
    """
    placed, yaws = sum(row.spawn is not None for row in rows), 4
    side = 3 if placed >= 9 * yaws * A_SQUARE else 2
    if not symmetry or placed < side * side * yaws * A_SQUARE / 2:
        return ""
    wide = 460 / yaws
    sorted_in = bins(rows, area, side=side, yaws=yaws, symmetry=symmetry)
    parts = []
    for k in range(yaws):
        mine = sorted_in[k * side * side : (k + 1) * side * side]
        left = k * wide + 3
        right = 460 - left - wide + 6
        frame = Frame(460, 150, _left_to_right(area), _bottom_to_top(area), left, right, 8, 34)
        parts += [_square(one, frame, small=True) for one in mine]
        low, high = mine[0].yaw_deg
        parts.append(tick_text(left + wide / 2 - 3, 134, f"{low:.3g} to {high:.3g}°"))
    told = f"Success over place and yaw of the object: {_read(sorted_in)}"
    return svg(460, 150, parts, told)


def _read(sorted_in: Sequence[Bin]) -> str:
    """The squares in words, empty ones left out."""
    return "; ".join(one.text for one in sorted_in if one.episodes)


def _square(one: Bin, frame: Frame, *, small: bool = False) -> str:
    left, right = frame.px(one.y_m[1]), frame.px(one.y_m[0])
    top, bottom = frame.py(one.x_m[1]), frame.py(one.x_m[0])
    rate = one.success / one.episodes if one.episodes else 0.0
    ink = FAINT + (FULL - FAINT) * rate if one.episodes else 0.0
    drawn = (
        f'<rect class="heat" fill-opacity="{ink:.2f}" x="{left + 1:.1f}" y="{top + 1:.1f}" '
        f'width="{right - left - 2:.1f}" height="{bottom - top - 2:.1f}" rx="3"/>'
    )
    size = ' font-size="10"' if small else ""
    label = f"{one.success}/{one.episodes}" if one.episodes else ""
    return (
        f"<g><title>{escape(one.text)}</title>{drawn}"
        f'<text class="inbar"{size} x="{(left + right) / 2:.1f}" y="{(top + bottom) / 2 + 4:.1f}" '
        f'text-anchor="middle">{label}</text></g>'
    )


def _axes(frame: Frame, area: Square, side: int) -> list[str]:
    """The squares' edges in cm."""
    parts = []
    for i in range(side + 1):
        x = area[0] - area[2] + 2 * area[2] * i / side
        y = area[1] - area[2] + 2 * area[2] * i / side
        parts.append(
            f'<text class="tick" x="{frame.left - 6}" y="{frame.py(x) + 4:.1f}" '
            f'text-anchor="end">{100 * x:.1f}</text>'
        )
        parts.append(tick_text(frame.px(y), frame.height - 29, f"{100 * y:.1f}"))
    return [*parts, *axis_names(frame)]


def _cut(centre: float, half: float, parts: int, index: int) -> tuple[float, float]:
    low = centre - half
    return low + 2 * half * index / parts, low + 2 * half * (index + 1) / parts


def _index(value: float, centre: float, half: float, parts: int) -> int | None:
    """Which part of centre ± half a value lies in; None outside, but for a spawn's settling."""
    if abs(value - centre) > half + SETTLED_M:
        return None
    return min(max(int(parts * (value - centre + half) / (2 * half)), 0), parts - 1)


def _left_to_right(area: Square) -> tuple[float, float]:
    return area[1] + area[2], area[1] - area[2]


def _bottom_to_top(area: Square) -> tuple[float, float]:
    return area[0] - area[2], area[0] + area[2]
