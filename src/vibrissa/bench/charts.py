"""The report's drawings: small SVGs that take their colours from the page, and so its theme.

Every function gives one `<svg>` element as text. Sizes are in user units; the page scales them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from vibrissa.bench.outcomes import Row, Summary
from vibrissa.bench.pages import words
from vibrissa.core.stats import rate_text, wilson

Point = tuple[float, float]
Square = tuple[float, float, float]  # its centre's x and y, and its half side, m
# Its centre's x and y and its half sides, m, and how far it is turned, rad.
Rectangle = tuple[float, float, float, float, float]
Landmark = Square | Rectangle
SHORT_NAME, LONG_NAME = 8, 22  # letters of a name; longer ones stand above their bars
FEW = 64  # episodes; with fewer, the yaw has four sectors in place of eight


@dataclass(frozen=True)
class Frame:
    """A plot's box in user units, and the data range that it shows."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    left: float = 46
    right: float = 12
    top: float = 10
    bottom: float = 34

    def px(self, x: float) -> float:
        """The user unit of a data x, left to right."""
        span = self.width - self.left - self.right
        return self.left + span * (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)

    def py(self, y: float) -> float:
        """The user unit of a data y, bottom to top."""
        span = self.height - self.top - self.bottom
        return self.height - self.bottom - span * (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1.0)


def forest(
    summaries: Mapping[str, Summary],
    *,
    main: str = "",
    expert: Mapping[str, Summary] | None = None,
) -> str:
    """A rate a line, a dot with its 95 % interval, on a scale of 0 to 100 %; behind it the count.

    main: who stands out; the first one by default. expert: what the scripted expert reaches in a
    line's scenes, as a hollow diamond. Where a name is too long to stand beside its bar, all
    stand above.
    """
    others = expert or {}
    longest, main = max(map(len, summaries), default=0), main or next(iter(summaries), "")
    above = longest > LONG_NAME
    step, left = (46, 12) if above else (34, 78 if longest <= SHORT_NAME else 194)
    high = 36 + step * len(summaries)
    digits = max((len(f"{s.success}/{s.episodes}") for s in summaries.values()), default=0)
    right = max(82, 26 + 10 * digits)
    frame = Frame(460, high, (0, 100), (0, 1), left=left, right=right, top=4, bottom=28)
    parts = [_grid_x(frame, [0, 50, 100] if left > 100 else [0, 25, 50, 75, 100], "%")]
    for i, (name, told) in enumerate(summaries.items()):
        y = (36 if above else 21) + step * i
        low, top = (100 * v for v in told.interval)
        kind = "main" if name == main else "beside"
        parts += [
            f'<text class="name" x="0" y="{y - 14 if above else y + 5}">{escape(name)}</text>',
            f'<line class="bar {kind}" x1="{frame.px(low):.1f}" x2="{frame.px(top):.1f}" '
            f'y1="{y}" y2="{y}"/>',
            _diamond(frame.px(100 * (others[name].rate or 0.0)), y) if name in others else "",
            f'<circle class="dot {kind}" cx="{frame.px(100 * (told.rate or 0.0)):.1f}" cy="{y}" '
            'r="6"/>',
            f'<text class="value" x="{frame.width}" y="{y + 5}" text-anchor="end">'
            f"{told.success}/{told.episodes}</text>",
        ]
    read = "; ".join(
        f"{name} {told.text}" + (f", expert {others[name].text}" if name in others else "")
        for name, told in summaries.items()
    )
    return svg(frame.width, high, parts, f"Success of each with its 95 % interval: {read}")


def _diamond(x: float, y: float) -> str:
    return f'<path class="other" d="M{x - 8:.1f} {y} l8 -8 l8 8 l-8 8 Z"/>'


def curve(points: Sequence[Point]) -> str:
    """A falling loss over steps: every point faint, their running mean strong, the y axis log."""
    kept = [(x, y) for x, y in points if y > 0 and math.isfinite(y)]
    if len(kept) < 2:
        return ""
    xs, ys = np.array(kept, float).T  # (n,), (n,)
    logs = np.log10(ys)
    frame = Frame(
        460,
        230,
        (float(xs[0]), float(xs[-1])),
        (math.floor(4 * logs.min()) / 4, math.ceil(4 * logs.max()) / 4),
        right=24,
        top=28,
        bottom=46,
    )
    values = _log_steps(*frame.y)
    parts = [_grid_y(frame, [math.log10(v) for v in values], [f"{v:g}" for v in values])]
    parts.append(_grid_x(frame, round_steps(frame.x), ""))
    parts.append(_polyline(frame, xs, logs, "raw"))
    parts.append(_polyline(frame, xs, _running_mean(logs), "smooth"))
    parts.append('<text class="tick" x="0" y="13">loss (logarithmic)</text>')
    parts.append(tick_text(frame.px(sum(frame.x) / 2), frame.height - 4, "training steps"))
    return svg(frame.width, frame.height, parts, "Loss over steps")


def class_bars(counts: Mapping[str, int], total: int = 0) -> str:
    """A bar a failure class: its share of `total`, by default of all counted; name and count."""
    if not counts:
        return ""
    whole, parts = total or sum(counts.values()) or 1, []
    for i, (name, count) in enumerate(counts.items()):
        y, width = 44 * i, 380 * count / whole
        parts.append(
            f'<text class="name" x="0" y="{y + 16}">{escape(words(name))}</text>'
            f'<rect class="track" x="0" y="{y + 23}" width="380" height="12" rx="6"/>'
            f'<rect class="k-{escape(name)}" x="0" y="{y + 23}" width="{max(width, 4):.1f}" '
            f'height="12" rx="6"/><text class="value" x="460" y="{y + 35}" text-anchor="end">'
            f"{count}/{whole}</text>"
        )
    read = ", ".join(f"{words(name)} {count}/{whole}" for name, count in counts.items())
    return svg(460, 44 * len(counts), parts, f"How many episodes ended how: {read}")


def phase_bar(seconds: Mapping[str, float]) -> str:
    """One bar of all phases, each as long as it took."""
    whole, at, parts = sum(seconds.values()), 0.0, []
    if whole <= 0:
        return ""
    for i, (name, one_s) in enumerate(seconds.items()):
        width = 460 * one_s / whole
        parts.append(
            f'<g><title>{escape(name)}</title><rect class="phase" x="{at:.1f}" y="0" '
            f'width="{max(width - 2, 2):.1f}" height="16" rx="4" '
            f'opacity="{(1, 0.6, 0.35)[i % 3]}"/></g>'
        )
        at += width
    return svg(460, 16, parts, "The share of each phase")


def timeline(named: Mapping[str, Sequence[float]], most: float, rate_hz: float = 0.0) -> str:
    """A lane for each failure class, a dot for each tick of it, on a scale of 0 to `most` ticks.

    rate_hz: ticks in a second, where it is known.
    """
    lanes = {name: ticks for name, ticks in named.items() if ticks}
    if not lanes:
        return ""
    high = 58 + 50 * len(lanes)
    frame = Frame(460, high, (0, max(most, 1)), (0, 1), left=8, right=16, top=4, bottom=52)
    parts = [_grid_x(frame, round_steps((0, max(most, 1))), "")]
    for i, (name, ticks) in enumerate(lanes.items()):
        y = 20 + 50 * i
        parts.append(f'<text class="name" x="0" y="{y}">{escape(words(name))}</text>')
        parts += [
            f'<g><title>tick {t:.0f}</title><circle class="when k-{escape(name)}" '
            f'cx="{frame.px(t):.1f}" cy="{y + 16}" r="6"/></g>'
            for t in sorted(ticks)
        ]
    unit = f"tick ({rate_hz:g} in a second)" if rate_hz else "tick"
    parts.append(tick_text(frame.px(sum(frame.x) / 2), frame.height - 8, unit))
    read = "; ".join(
        f"{words(name)} {', '.join(f'{tick:.0f}' for tick in sorted(ticks))}"
        for name, ticks in lanes.items()
    )
    return svg(frame.width, frame.height, parts, f"At which tick it went wrong: {read}")


def yaw_chart(rows: Sequence[Row], symmetry: int = 1) -> str:
    """Success over the object's first yaw: a bar with its 95 % interval for each sector.

    symmetry: in how many turns of a whole one the object looks the same (2 a brick, 4 a cube; 0
    where its yaw does not show, and there is no drawing), by which yaw is folded. There are eight
    sectors, or four for fewer than `FEW` episodes.
    """
    yaws = [(fold_deg(r.spawn[2], symmetry), r) for r in rows if r.spawn is not None and symmetry]
    if not yaws:
        return ""
    half, bins = 180 / symmetry, 8 if len(yaws) >= FEW else 4
    frame = Frame(460, 270, (-half, half), (0, 100), top=28)
    marks = [-half, -half / 2, 0, half / 2, half] if half % 2 == 0 else [-half, 0, half]
    parts = [
        _grid_y(frame, [0, 50, 100], ["0 %", "50 %", "100 %"]),
        _grid_x(frame, marks, "°", lines=False),
    ]
    width, read = 2 * half / bins, []
    for i in range(bins):
        low = -half + i * width
        inside = [r for yaw, r in yaws if low < yaw <= low + width]
        k, n = sum(r.success for r in inside), len(inside)
        if inside:
            parts.append(_yaw_bar(frame, low, width, k, n))
            read.append(f"{low:.3g} to {low + width:.3g}° {rate_text(k, n)}")
    told = f"Success over the yaw of the object: {'; '.join(read)}"
    return svg(frame.width, frame.height, parts, told)


def _yaw_bar(frame: Frame, low: float, width: float, k: int, n: int) -> str:
    bottom, top = wilson(k, n)
    x1, x2 = frame.px(low) + 3, frame.px(low + width) - 3
    middle, height = (x1 + x2) / 2, frame.py(0) - frame.py(100 * k / n)
    return (
        f'<g><title>{k} of {n}</title><rect class="column" x="{x1:.1f}" '
        f'y="{frame.py(100 * k / n):.1f}" width="{x2 - x1:.1f}" height="{height:.1f}" rx="4"/>'
        f'<line class="whisker" x1="{middle:.1f}" x2="{middle:.1f}" '
        f'y1="{frame.py(100 * bottom):.1f}" y2="{frame.py(100 * top):.1f}"/>'
        f'<circle class="dot main" cx="{middle:.1f}" cy="{frame.py(100 * k / n):.1f}" r="4"/>'
        f'<text class="inbar" x="{middle:.1f}" y="{frame.top - 12:.1f}" '
        f'text-anchor="middle">{k}/{n}</text></g>'
    )


def fold_deg(yaw_rad: float, symmetry: int) -> float:
    """The smallest angle that looks the same as this yaw: a brick's in (-90, 90], as its 2 tell."""
    period = 360 / symmetry
    folded = math.degrees(yaw_rad) % period
    return folded - period if folded > period / 2 else folded


def same_again(symmetry: int, thing: str) -> str:
    """What turn of it nobody can tell, in a sentence; empty where every turn shows."""
    if symmetry == 0:
        return f"However it is turned, the {thing} looks the same."
    turns = {1: "", 2: "Half a turn", 3: "A third of a turn", 4: "A quarter of a turn"}
    told = turns.get(symmetry, f"A turn by {360 / symmetry:.0f}°")
    return f"{told} shows the same {thing}." if told else ""


def _running_mean(values: np.ndarray) -> np.ndarray:
    """A centred mean (n,) over about a thirtieth of the curve; shorter windows at the ends."""
    half = max(1, len(values) // 60)
    sums = np.cumsum(np.insert(values, 0, 0.0))
    i = np.arange(len(values))
    low, high = np.maximum(0, i - half), np.minimum(len(values), i + half + 1)
    return (sums[high] - sums[low]) / (high - low)


def _log_steps(low: float, high: float) -> list[float]:
    """Where an axis from 10**low to 10**high gets its lines: 1, 2, 5, 10, or decades alone."""
    factors = (1.0,) if high - low >= 2.5 else (1.0, 2.0, 5.0)
    powers = range(math.floor(low), math.ceil(high) + 1)
    steps = [round(m * 10.0**p, 12) for p in powers for m in factors]
    return [v for v in steps if low - 1e-9 <= math.log10(v) <= high + 1e-9]


def round_steps(span: tuple[float, float]) -> list[float]:
    """Some four round numbers within `span`."""
    rough = (span[1] - span[0]) / 4 or 1.0
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    first = math.ceil(span[0] / step)
    return [step * i for i in range(first, math.floor(span[1] / step) + 1)]


def _polyline(frame: Frame, xs: np.ndarray, ys: np.ndarray, kind: str) -> str:
    stride = max(1, len(xs) // 600)  # the eye sees no more, and the page stays small
    pairs = zip(xs[::stride], ys[::stride], strict=True)
    points = " ".join(f"{frame.px(x):.1f},{frame.py(y):.1f}" for x, y in pairs)
    return f'<polyline class="{kind}" points="{points}"/>'


def _grid_x(frame: Frame, values: Sequence[float], unit: str, *, lines: bool = True) -> str:
    bottom = frame.height - frame.bottom
    parts = []
    for value in values:
        x = frame.px(value)
        if lines:
            parts.append(
                f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{bottom}"/>'
            )
        label = f"{value:,.0f}".replace(",", " ") + (f" {unit}" if unit == "%" else unit)
        parts.append(tick_text(x, bottom + 20, label))
    return "".join(parts)


def _grid_y(frame: Frame, values: Sequence[float], labels: Sequence[str]) -> str:
    parts = []
    for value, label in zip(values, labels, strict=True):
        y = frame.py(value)
        parts.append(
            f'<line class="grid" x1="{frame.left}" x2="{frame.width - frame.right}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/><text class="tick" x="{frame.left - 7}" '
            f'y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        )
    return "".join(parts)


def tick_text(x: float, y: float, text: str) -> str:
    """`text` under or beside an axis, its hyphens read as minus signs."""
    shown = escape(text.replace("-", "−"))
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{shown}</text>'


def axis_names(frame: Frame) -> list[str]:
    """What a map's axes are, for somebody who stands behind the robot."""
    middle = (frame.left + frame.width - frame.right) / 2
    return [
        '<text class="tick" x="0" y="13">↑ x, cm in front of the arm</text>',
        tick_text(middle, frame.height - 6, "← y, cm to the left of the arm"),
    ]


def svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )
