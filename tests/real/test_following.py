"""A joint that does not go where it is sent is reported, and one that lags or presses is not."""

from __future__ import annotations

import numpy as np
import pytest

from vibrissa.core.units import GRIPPER, JOINTS
from vibrissa.real.following import AGAIN_S, Following


def _run(following: Following, off_deg: list[float], joint: int = 1) -> list[tuple[float, str]]:
    said = []
    for tick, off in enumerate(off_deg):
        target = np.zeros(len(JOINTS), np.float32)
        target[joint] = np.deg2rad(off)
        here = np.zeros(len(JOINTS), np.float32)
        said += [(tick / 30, line) for line in following.look(here, target, tick / 30)]
    return said


def test_a_joint_that_stays_away_is_reported_after_a_second_and_not_all_the_time() -> None:
    following = Following()
    said = _run(following, [65.0] * round(AGAIN_S * 30 - 30))
    assert [(round(at, 2), line[:49]) for at, line in said] == [
        (1.0, "shoulder_lift does not follow: it has been 1 s or")
    ]
    assert "now 65°" in said[0][1]
    assert following.behind.tolist() == [False, True, False, False, False, False]
    _run(following, [0.0])
    assert not following.behind.any()


@pytest.mark.parametrize(
    "off_deg", [[14.0] * 300, [40.0] * 29 + [0.0] + [40.0] * 29, [30.0, -30.0] * 60]
)
def test_a_lag_or_a_sag_is_no_news(off_deg) -> None:
    assert _run(Following(), off_deg) == []


def test_a_gripper_may_be_stopped_by_what_it_holds() -> None:
    assert _run(Following(), [60.0] * 300, GRIPPER) == []
