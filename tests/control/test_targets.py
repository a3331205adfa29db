"""Targets: what a file says comes back, and what is drawn lies where it says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibrissa.control.targets import Target, in_words, read_targets, to_yaml
from vibrissa.core.errors import UsageError

places = st.floats(-0.5, 0.5)
targets = st.builds(
    Target,
    x_m=places,
    y_m=places,
    yaw_rad=st.floats(-math.pi, math.pi),
    spread_m=st.floats(0, 0.2),
    spread_rad=st.floats(0, math.pi),
    count=st.integers(1, 99),
    why=st.sampled_from(["", "9/14 failed here: p = 0.004"]),
)


@given(st.lists(targets, min_size=1, max_size=4))
def test_a_file_comes_back(tmp_path_factory: pytest.TempPathFactory, given: list[Target]) -> None:
    path = tmp_path_factory.mktemp("targets") / "targets.yaml"
    path.write_text(to_yaml(given, task="pick-place"), encoding="utf-8")
    found, marks = read_targets(path)
    assert [t.to_dict() for t in found] == [t.to_dict() for t in given]
    assert [mark.line for mark in marks] == sorted({mark.line for mark in marks})


@given(targets, st.integers(0, 99))
def test_a_pose_lies_within_the_spread(target: Target, seed: int) -> None:
    x, y, yaw = target.draw(np.random.default_rng(seed))
    assert math.hypot(x - target.x_m, y - target.y_m) <= target.spread_m + 1e-9
    turned = abs(math.remainder(yaw - target.yaw_rad, 2 * math.pi))
    assert turned <= target.spread_rad + 1e-9


def test_poses_fill_the_disc_and_not_its_middle() -> None:
    target, rng = Target(0.2, 0.1, spread_m=0.04), np.random.default_rng(0)
    away = np.array([np.hypot(*np.subtract(target.draw(rng)[:2], (0.2, 0.1))) for _ in range(400)])
    assert (away < 0.02).mean() == pytest.approx(0.25, abs=0.06)  # a quarter of the area


@pytest.mark.parametrize(
    ("pose", "told"),
    [
        (
            (0.21, 0.25, math.radians(60)),
            "put the block 21.0 cm in front of the arm's base and 25.0 cm to the left, turned 60° "
            "counter-clockwise",
        ),
        (
            (0.3, -0.1, 0.0),
            "put the block 30.0 cm in front of the arm's base and 10.0 cm to the right, not turned",
        ),
        (
            (0.3, 0.0, -0.5),
            "put the block 30.0 cm in front of the arm's base and straight ahead, turned 29° "
            "clockwise",
        ),
    ],
)
def test_a_pose_in_words(pose: tuple[float, float, float], told: str) -> None:
    assert in_words(pose, "block") == told


def test_json_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    path.write_text('{"targets": [{"x_m": 0.2, "y_m": 0.1, "count": 3}]}')
    (found,), _ = read_targets(path)
    assert (found.count, found.spread_rad) == (3, math.pi)  # any yaw, where none is named


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("targets: []", "line 1: there are no targets"),
        ("targets:\n- {x_m: 2, y_m: 0}", "line 2: x_m is 2; it must be from -1 to 1"),
        ("places: []", "a file of targets has no 'places'"),
        ("targets:\n- {x_m: .nan, y_m: 0}", "line 2: x_m must be a number"),
    ],
)
def test_a_bad_file_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "targets.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        read_targets(path)


class _Part:
    """Chance that always falls at the same part of its range."""

    def __init__(self, part: float):
        self.part = part

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + self.part * (high - low)


@pytest.mark.parametrize(
    ("part", "pose"),
    [
        (0.0, (0.2, 0.1, 2.5)),
        (0.25, (0.2, 0.1 + 0.02, 2.75)),  # a quarter of the area lies within half of the radius
        (1.0, (0.2 + 0.04, 0.1, 3.5 - 2 * math.pi)),
    ],
)
def test_a_draw_is_the_place_and_a_part_of_the_spread(
    part: float, pose: tuple[float, float, float]
) -> None:
    target = Target(0.2, 0.1, yaw_rad=3.0, spread_m=0.04, spread_rad=0.5)
    assert target.draw(_Part(part)) == pytest.approx(pose)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("y_m", "degrees", "told"),
    [
        (0.006, 1.0, "0.6 cm to the left, turned 1° counter-clockwise"),
        (-0.006, -1.0, "0.6 cm to the right, turned 1° clockwise"),
        (0.0004, 0.4, "straight ahead, not turned"),
    ],
)
def test_a_small_way_is_said_from_half_a_millimetre_and_half_a_degree(
    y_m: float, degrees: float, told: str
) -> None:
    assert in_words((0.2, y_m, math.radians(degrees))).endswith(f"base and {told}")
