"""Seeds for demonstrations end where those for judging begin."""

from __future__ import annotations

import pytest

from vibrissa.core.errors import UsageError
from vibrissa.core.seeds import HELD_OUT, PICKING, TUNING, require_for_demonstrations


def test_demonstrations_never_reach_the_seeds_that_judge() -> None:
    assert 0 < TUNING < HELD_OUT < PICKING
    require_for_demonstrations(0, 120)
    require_for_demonstrations(HELD_OUT - 120, 120)
    for first in (-1, HELD_OUT - 119, HELD_OUT, PICKING, 10**12):
        with pytest.raises(UsageError, match=f"--seeds {first}: "):
            require_for_demonstrations(first, 120)
