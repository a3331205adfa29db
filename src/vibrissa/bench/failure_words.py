"""A place that fails in words: where it is, what speaks for it, and what to record there."""

from __future__ import annotations

import math

from vibrissa.bench.failures import Advice, Closeness, Ground
from vibrissa.bench.hotspots import LEVEL, Hotspot
from vibrissa.bench.telling import degrees, number_of, p_text, p_told
from vibrissa.core.stats import rate_text


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
            f": Fisher's exact {p_told(spot.p_alone)}, and {p_text(spot.p_searched or 0.0)} when "
            "it counts that this place was searched for."
        )
    else:
        told += f": no finding (Fisher's exact {p_told(spot.p_alone)}), only a gap."
    if advice.away_m is not None and advice.turned_rad is not None:
        turned = f" and {degrees(advice.turned_rad)}" * bool(advice.turned_rad)
        told += (
            f" From its failures to their nearest demonstrations it is {100 * advice.away_m:.1f} cm"
            f"{turned} (medians)."
        )
    if advice.demonstrations is not None:
        told += f" {number_of(advice.demonstrations, 'demonstration')} began there."
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
    return told.replace("-", "−")


def frame(ground: Ground) -> str:
    """What the numbers of a place are measured from."""
    told = (
        "Places are x, y from the arm's base: x in front of it, y to its left. Yaw counts "
        "counter-clockwise, seen from above"
    )
    if ground.symmetry > 1:
        told += f"; the {ground.thing} looks the same after {360 / ground.symmetry:.0f}°"
    return f"{told}."


def closeness(close: Closeness) -> str:
    """Whether it fails where demonstrations are far."""
    told = (
        f"Failures began {100 * close.failed_m:.1f} cm from their nearest demonstration, successes "
        f"{100 * close.solved_m:.1f} cm (medians, the object's turn counted by what it moves its "
        f"farthest point). "
    )
    if close.p > LEVEL or close.failed_m <= close.solved_m:
        return told + (
            f"That is no difference one can be sure of (Mann–Whitney {p_told(close.p)}): it is not "
            "shown that demonstrations are missing near the failures."
        )
    return told + (
        f"It fails where demonstrations are far (Mann–Whitney {p_told(close.p)}): more of them "
        "there should help."
    )
