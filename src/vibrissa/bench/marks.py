"""A sign for each failure class beside its colour, so that no reader needs the colours."""

from __future__ import annotations

from html import escape

# Strokes within -1 … 1 both ways, laid over the class's mark; a clean success has none.
SIGNS = {
    "FUMBLED": "M0 0 L0 0",
    "NEVER_PICKED_UP": "M-1 -1 L1 1 M-1 1 L1 -1",
    "DROPPED_DURING_TRANSPORT": "M-1 0 L1 0",
    "MISSED_GOAL": "M-1 1 L1 -1",
    "TIMEOUT": "M0 -1 L0 1",
    "FAULT": "M-1 -.4 L1 -.4 M-1 .4 L1 .4",
    "FAILURE": "M-1 -1 L1 1 M-1 1 L1 -1",
}
SHARE = 0.42  # how far a sign reaches, of the mark's side


def sign(failure_class: str, wide: float, high: float) -> str:
    """The class's strokes over a mark of `wide` × `high` user units about the origin."""
    strokes = SIGNS.get(failure_class, "")
    if not strokes:
        return ""
    return (
        f'<path class="sign" transform="scale({SHARE * wide:g} {SHARE * high:g})" d="{strokes}"/>'
    )


def swatch(failure_class: str) -> str:
    """The class's mark as a legend shows it; its name stands beside it."""
    return (
        '<svg class="swatch" viewBox="-7 -7 14 14" aria-hidden="true">'
        f'<rect class="k-{escape(failure_class)}" x="-7" y="-7" width="14" height="14" rx="3"/>'
        f"{sign(failure_class, 14, 14)}</svg>"
    )
