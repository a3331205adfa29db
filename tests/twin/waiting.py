"""Waiting for a condition, on a machine that may be busy."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], most_s: float = 30.0) -> None:
    """Return once it holds; fail when it never does."""
    end_s = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < end_s, "this never came"
        time.sleep(0.01)
