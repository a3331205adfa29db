"""Units: published conversions, and round trips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vibrissa.core import units
from vibrissa.core.errors import ContractError

angles = hnp.arrays(np.float32, (3, 6), elements=st.floats(-3, 3, width=32))


@given(angles, st.sampled_from(units.UNITS))
def test_there_and_back(q, unit) -> None:
    np.testing.assert_allclose(units.to_rad(units.from_rad(q, unit), unit), q, atol=2e-6)


def test_known_values() -> None:
    low, high = units.LOW_RAD, units.HIGH_RAD
    np.testing.assert_allclose(units.from_rad(low, "m100_100"), [-100] * 5 + [0], atol=1e-4)
    np.testing.assert_allclose(units.from_rad(high, "m100_100"), [100] * 6, atol=1e-4)
    degrees = units.from_rad(np.array([np.pi / 2, 0, 0, 0, 0, high[5]]), "deg")
    np.testing.assert_allclose(degrees, [90, 0, 0, 0, 0, 100], atol=1e-4)
    np.testing.assert_allclose(units.from_rad(np.zeros(6), "ticks"), 2048)
    np.testing.assert_allclose(units.from_rad(np.full(6, np.pi / 2), "ticks"), 3072)


def test_values_beyond_the_limits_are_not_clipped() -> None:
    assert units.from_rad(units.HIGH_RAD + 1, "m100_100").min() > 100


def test_bad_input_is_named() -> None:
    with pytest.raises(ContractError, match="gradians"):
        units.to_rad(np.zeros(6), "gradians")  # type: ignore[arg-type]
    with pytest.raises(ContractError, match="last axis"):
        units.to_rad(np.zeros(12), "deg")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_comes_out_is_float32_and_rad_is_left_as_it_is(dtype) -> None:
    q = np.linspace(-1, 1, 6, dtype=dtype)
    for unit in units.UNITS:
        assert units.from_rad(q, unit).dtype == units.to_rad(q, unit).dtype == np.float32
    np.testing.assert_array_equal(units.from_rad(q, "rad"), q.astype(np.float32))
    np.testing.assert_array_equal(units.to_rad(q, "rad"), q.astype(np.float32))
