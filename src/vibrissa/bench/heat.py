"""Success over the table and the yaw, in squares with their counts; and rates one below the other.

As `charts`, every function gives one `<svg>` element as text, in classes that a page knows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from vibrissa.bench.charts import Frame, Square, svg, tick_text
from vibrissa.bench.outcomes import Row, Summary
from vibrissa.core.stats import rate_text

FAINT = 0.12  # the ink of a square in which nothing was solved
BESIDE_BAR = 20  # so many letters of a name fit to the left of its bar
SETTLED_M = 1e-3  # an object may move so far before its first tick


@dataclass(frozen=True)
class Bin:
    """What began within low to high in x and y (m) and in yaw (degrees, folded to -90..90]."""

    x_m: tuple[float, float]
    y_m: tuple[float, float]
    yaw_deg: tuple[float, float]
    success: int
    episodes: int

    @property
    def text(self) -> str:
        x, y = (f"{100 * low:.1f} to {100 * high:.1f} cm" for low, high in (self.x_m, self.y_m))
        yaw = f"{self.yaw_deg[0]:.0f} to {self.yaw_deg[1]:.0f}°"
        return f"x {x}, y {y}, yaw {yaw}: {rate_text(self.success, self.episodes)}"


def bins(rows: Sequence[Row], area: Square, *, side: int = 4, yaws: int = 1) -> list[Bin]:
    """The rows sorted into `side` × `side` squares of `area` and `yaws` sectors of half a turn.

    Yaw first, then x, then y, each from low to high. What began outside the area is left out, and
    a brick turned by half a turn is the same brick.
    """
    counts: dict[tuple[int, int, int], list[bool]] = {}
    for row in rows:
        if row.spawn is None:
            continue
        x, y, yaw = row.spawn
        i, j = _index(x, area[0], area[2], side), _index(y, area[1], area[2], side)
        k = min(math.ceil((_folded_deg(yaw) + 90) * yaws / 180) - 1, yaws - 1)
        if i is not None and j is not None:
            counts.setdefault((max(k, 0), i, j), []).append(row.success)
    made = []
    for k, i, j in itertools.product(range(yaws), range(side), range(side)):
        inside = counts.get((k, i, j), [])
        sector = (-90 + 180 * k / yaws, -90 + 180 * (k + 1) / yaws)
        x_m, y_m = _cut(area[0], area[2], side, i), _cut(area[1], area[2], side, j)
        made.append(Bin(x_m, y_m, sector, sum(inside), len(inside)))
    return made


def rate_map(rows: Sequence[Row], area: Square, *, side: int = 4) -> str:
    """The spawn area from above, the robot's +x up and +y left: how many of each square solved."""
    if not any(row.spawn for row in rows):
        return ""
    frame = Frame(460, 420, _left_to_right(area), _bottom_to_top(area), 54, 30, 8, 48)
    parts = [_square(one, frame) for one in bins(rows, area, side=side)]
    parts += _axes(frame, area, side)
    return svg(460, 420, parts, "Success over the place where the object began")


def yaw_maps(rows: Sequence[Row], area: Square, *, side: int = 3, yaws: int = 4) -> str:
    """The same squares once for each sector of the yaw, beside each other."""
    if not any(row.spawn for row in rows):
        return ""
    wide = 460 / yaws
    sorted_in = bins(rows, area, side=side, yaws=yaws)
    parts = []
    for k in range(yaws):
        mine = sorted_in[k * side * side : (k + 1) * side * side]
        left = k * wide + 3
        right = 460 - left - wide + 6
        frame = Frame(460, 150, _left_to_right(area), _bottom_to_top(area), left, right, 8, 34)
        parts += [_square(one, frame, small=True) for one in mine]
        low, high = mine[0].yaw_deg
        parts.append(tick_text(left + wide / 2 - 3, 134, f"{low:.0f} to {high:.0f}°"))
    return svg(460, 150, parts, "Success over place and yaw of the object")


def ladder(summaries: Mapping[str, Summary], *, main: str = "") -> str:
    """A rate a line with its 95 % interval, on a scale of 0 to 100 %; long names stand above."""
    above = max(map(len, summaries), default=0) > BESIDE_BAR
    step = 46 if above else 28
    high = 34 + step * len(summaries)
    frame = Frame(460, high, (0, 100), (0, 1), 12 if above else 168, 62, 4, 28)
    bottom = high - frame.bottom
    parts = []
    for value in (0, 50, 100):
        x = frame.px(value)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{bottom}"/>')
        parts.append(tick_text(x, bottom + 17, f"{value} %"))
    for i, (name, told) in enumerate(summaries.items()):
        y = (36 if above else 18) + step * i
        low, top = (100 * v for v in told.interval)
        kind = "main" if name == main else "beside"
        parts += [
            f'<text class="name" x="0" y="{y - 14 if above else y + 5}">{escape(name)}</text>',
            f'<line class="bar {kind}" x1="{frame.px(low):.1f}" x2="{frame.px(top):.1f}" '
            f'y1="{y}" y2="{y}"/>',
            f'<circle class="dot {kind}" cx="{frame.px(100 * (told.rate or 0.0)):.1f}" cy="{y}" '
            'r="6"/>',
            f'<text class="value" x="460" y="{y + 5}" text-anchor="end">'
            f"{told.success}/{told.episodes}</text>",
        ]
    return svg(460, high, parts, "Success of each with its 95 % interval")


def _square(one: Bin, frame: Frame, *, small: bool = False) -> str:
    left, right = frame.px(one.y_m[1]), frame.px(one.y_m[0])
    top, bottom = frame.py(one.x_m[1]), frame.py(one.x_m[0])
    rate = one.success / one.episodes if one.episodes else 0.0
    ink = FAINT + (1 - FAINT) * rate if one.episodes else 0.0
    drawn = (
        f'<rect class="column" fill-opacity="{ink:.2f}" x="{left + 1:.1f}" y="{top + 1:.1f}" '
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
    middle = (frame.left + frame.width - frame.right) / 2
    return [*parts, tick_text(middle, frame.height - 8, "y, cm (x upwards)")]


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


def _folded_deg(yaw_rad: float) -> float:
    folded = math.degrees(yaw_rad) % 180
    return folded - 180 if folded > 90 else folded
