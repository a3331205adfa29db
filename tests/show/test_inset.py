"""Two cameras in one picture."""

from __future__ import annotations

import numpy as np
import pytest

from vibrissa.core.contract import CameraSpec
from vibrissa.core.errors import UsageError
from vibrissa.show.inset import Framing, framing

WRIST, OVERHEAD = CameraSpec("wrist", 64, 48), CameraSpec("overhead", 640, 480)
DEPTH = CameraSpec("overhead_depth", 640, 480, depth=True)


@pytest.mark.parametrize(
    ("cameras", "chosen", "background", "inset"),
    [
        ((WRIST, OVERHEAD), (), "overhead", "wrist"),
        ((DEPTH, WRIST), (), "wrist", None),
        ((CameraSpec("front", 4, 4), CameraSpec("side", 4, 4)), (), "front", None),
        ((WRIST, OVERHEAD), ("wrist",), "wrist", None),
        ((WRIST, OVERHEAD), ("wrist", "overhead"), "wrist", "overhead"),
    ],
)
def test_the_wrist_stands_in_the_corner_unless_told_otherwise(
    cameras, chosen, background, inset
) -> None:
    assert framing(cameras, chosen) == Framing(background, inset)


@pytest.mark.parametrize(
    ("cameras", "chosen", "told"),
    [
        ((WRIST,), ("front",), "There is: wrist"),
        ((WRIST, OVERHEAD), ("wrist", "wrist"), "name one camera, or two"),
        ((DEPTH,), (), "sees colours"),
        ((), (), "none"),
    ],
)
def test_what_cannot_be_filmed_is_refused(cameras, chosen, told) -> None:
    with pytest.raises(UsageError, match=told):
        framing(cameras, chosen)


def test_the_inset_lies_in_the_upper_right_and_changes_nothing_else() -> None:
    far, close = np.full((481, 641, 3), 40, np.uint8), np.full((48, 64, 3), 200, np.uint8)
    whole = Framing("far", "close").compose({"far": far, "close": close})
    assert whole.shape == (480, 640, 3)
    corner = whole[8 : 8 + 144, 640 - 8 - 192 : 640 - 8]
    assert corner.mean() == 200
    assert whole[200:].mean() == 40
    assert far.mean() == 40
    assert (whole[8 + 144, -20] == 255).all()


def test_a_picture_too_small_for_an_inset_stays_as_it_is() -> None:
    small = np.full((8, 10, 3), 7, np.uint8)
    assert Framing("a", "b").compose({"a": small, "b": small}).mean() == 7
