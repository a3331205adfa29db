"""The unit of a servo's readings is found from the readings alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vibrissa.core.units import JOINTS
from vibrissa.data.dataset import open_dataset
from vibrissa.data.features import ACTION, STATE
from vibrissa.data.joint_units import arms_of, calibrated_ticks, units_of


def readings(seed: int, spans: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ticks (N, 6) of a wandering arm, and the calibrated range of each joint."""
    rng = np.random.default_rng(seed)
    low = 2048 - np.array(spans) // 2
    high = low + np.array(spans)
    share = 0.5 + 0.45 * np.sin(np.cumsum(rng.normal(0, 0.05, (600, 6)), axis=0))
    return np.round(low + share * (high - low)), low, high


def as_degrees(ticks: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """As LeRobot's motor bus normalises with MotorNormMode.DEGREES, the gripper 0..100."""
    values = (ticks - (low + high) / 2) * 360 / 4095
    values[:, 5] = (ticks[:, 5] - low[5]) / (high[5] - low[5]) * 100
    return values.astype(np.float32)


def as_m100_100(ticks: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """As LeRobot's motor bus normalises with MotorNormMode.RANGE_M100_100."""
    values = (ticks - low) / (high - low) * 200 - 100
    values[:, 5] = values[:, 5] / 2 + 50
    return values.astype(np.float32)


SPANS = st.lists(st.integers(1500, 3900), min_size=6, max_size=6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), SPANS)
def test_degrees_and_ranges_are_told_apart_by_their_steps(seed, spans) -> None:
    ticks, low, high = readings(seed, spans)
    for convert, unit in ((as_degrees, "deg"), (as_m100_100, "m100_100")):
        found = units_of(convert(ticks, low, high))
        assert (found.unit, found.confidence) == (unit, "certain"), found.why


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), SPANS)
def test_raw_ticks_and_radians_are_known(seed, spans) -> None:
    ticks, low, high = readings(seed, spans)
    assert units_of(ticks).unit == "ticks"
    rad = (ticks - 2048) * 2 * np.pi / 4096
    rad[:, 5] = (ticks[:, 5] - low[5]) / (high[5] - low[5]) * 1.9
    assert units_of(rad).unit == "rad"


def test_values_off_every_lattice_are_judged_by_their_range() -> None:
    smooth = np.sin(np.linspace(0, 9, 500))[:, None] * np.array([110.3, 90, 90, 90, 90, 40.0])
    found = units_of(smooth)
    assert (found.unit, found.confidence) == ("deg", "likely")
    assert units_of(np.full((3, 6), np.nan)).unit == "unknown"


@pytest.mark.parametrize(
    ("names", "arms"),
    [
        ([f"{j}.pos" for j in JOINTS], {"arm": (0, 1, 2, 3, 4, 5)}),
        (list(reversed(JOINTS)), {"arm": (5, 4, 3, 2, 1, 0)}),
        ([f"main_{j}" for j in JOINTS], {"main": (0, 1, 2, 3, 4, 5)}),
        (
            [f"{side}_{j}.pos" for side in ("left", "right") for j in JOINTS],
            {"left": (0, 1, 2, 3, 4, 5), "right": (6, 7, 8, 9, 10, 11)},
        ),
        ([f"arm2_j{i}" for i in range(1, 7)], {"arm2": (0, 1, 2, 3, 4, 5)}),
        ([f"motor_{i}" for i in range(6)], {}),
        ([f"{j}.pos" for j in JOINTS[:5]], {}),
        ([*(f"{j}.pos" for j in JOINTS), "speed"], {}),
        ([], {}),
    ],
)
def test_arms_are_found_by_their_names(names, arms) -> None:
    assert {arm.name: arm.columns for arm in arms_of(names)} == arms


@pytest.mark.parametrize(
    ("folder", "unit", "told"),
    [
        ("so101_lift_50ep_v30_stateonly", "m100_100", "200/2588"),
        ("so101_test_4ep_v30_stateonly", "m100_100", "200/2549"),
    ],
)
def test_real_arms_are_read_with_certainty(realdata: Path, folder, unit, told) -> None:
    dataset = open_dataset(realdata / folder)
    for vector in (STATE, ACTION):
        found = units_of(dataset.column(vector))
        assert (found.unit, found.confidence) == (unit, "certain")
    assert told in units_of(dataset.column(STATE)).why


def test_the_two_armed_set_is_in_raw_ticks(realdata: Path) -> None:
    dataset = open_dataset(realdata / "so101_bimanual_5ep_v30_video")
    arms = arms_of(dataset.features[STATE]["names"])
    assert [arm.name for arm in arms] == ["arm1", "arm2"]
    for arm in arms:
        assert units_of(dataset.column(STATE)[:, arm.columns]).unit == "ticks"


def test_the_calibrated_range_is_read_off_the_step_of_the_values() -> None:
    rng = np.random.default_rng(0)
    ticks = np.array([2588, 2392, 2238, 2394, 3833, 1829])
    recorded = rng.integers(0, 800, (400, 6)) / ticks * 200 - 100
    recorded[:, 5] = (recorded[:, 5] + 100) / 2  # the gripper goes from 0 to 100
    recorded[:, 3] = -12.0  # a joint that never moved
    found = calibrated_ticks(recorded.astype(np.float32))
    assert found == (2588, 2392, 2238, None, 3833, 1829)
