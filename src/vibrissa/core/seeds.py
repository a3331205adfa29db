"""Which seeds are for what: demonstrations, tuning, judging, choosing a checkpoint.

A policy is judged on scenes that it was never shown, so nothing is recorded from held-out seeds.
"""

from __future__ import annotations

from vibrissa.core.errors import UsageError

TUNING = 1_000_000  # recipes are tuned on seeds from here on; demonstrations come from those below
HELD_OUT = 2_000_000  # the first seed on which a policy is judged
PICKING = 3_000_000  # the first seed on which a checkpoint is chosen


def require_for_demonstrations(first: int, most: int) -> None:
    """Raise UsageError where up to `most` demonstrations from seed `first` on are held out."""
    if first < 0:
        raise UsageError(f"--seeds {first}: at least 0.")
    if first + most > HELD_OUT:
        raise UsageError(
            f"--seeds {first}: up to {most} seeds are tried, and those from {HELD_OUT} on judge "
            f"policies, so nothing is recorded from them. At most: --seeds {HELD_OUT - most}."
        )
