"""A gamepad's sticks and buttons as speeds of the joints."""

from __future__ import annotations

import numpy as np
import pytest

from vibrissa.core.errors import UsageError
from vibrissa.real.gamepad import DEAD, Gamepad, speeds


class _Stick:
    def __init__(self, axes: dict[int, float] | None = None, buttons: set[int] | None = None):
        self.axes, self.buttons, self.size = axes or {}, buttons or set(), (6, 12)

    def get_axis(self, axis_number: int, /) -> float:
        return self.axes.get(axis_number, 0.0)

    def get_button(self, button: int, /) -> bool:
        return button in self.buttons

    def get_numaxes(self) -> int:
        return self.size[0]

    def get_numbuttons(self) -> int:
        return self.size[1]


def test_at_rest_nothing_moves_even_if_the_sticks_are_not_quite_there() -> None:
    assert not speeds(_Stick(dict.fromkeys(range(6), 0.9 * DEAD))).any()


def test_each_joint_has_its_stick_or_buttons() -> None:
    np.testing.assert_allclose(speeds(_Stick({0: 1.0})), [-1, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(speeds(_Stick({1: -1.0})), [0, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(speeds(_Stick({3: 1.0})), [0, 0, 1, 0, 0, 0])
    np.testing.assert_allclose(speeds(_Stick({2: -1.0})), [0, 0, 0, 0, -1, 0])
    np.testing.assert_allclose(speeds(_Stick(buttons={5, 0})), [0, 0, 0, 1, 0, -1])
    np.testing.assert_allclose(speeds(_Stick(buttons={0, 1})), np.zeros(6))
    half = speeds(_Stick({0: -(1 + DEAD) / 2}))
    assert float(half[0]) == pytest.approx(0.5)


def test_a_pad_without_so_many_buttons_moves_what_it_can() -> None:
    stick = _Stick({0: 1.0, 3: 1.0}, {5})
    stick.size = (2, 4)
    np.testing.assert_allclose(speeds(stick), [-1, 0, 0, 0, 0, 0])


def test_without_a_gamepad_there_is_one_line() -> None:
    with pytest.raises(UsageError, match="gamepad"), Gamepad():
        pass
