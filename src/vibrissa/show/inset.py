"""One picture out of two: an overhead view with the wrist camera's in its corner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import CameraSpec
from vibrissa.core.errors import UsageError
from vibrissa.show.video import to_height

Picture = NDArray[np.uint8]  # (H, W, 3) RGB

SHARE, MARGIN_PX, BORDER_PX = 0.3, 8, 2  # the inset's height of the whole, and where it lies
CLOSE = ("wrist", "gripper", "hand")  # what cameras are called that look from the arm itself


@dataclass(frozen=True)
class Framing:
    """Which camera fills the picture, and which stands in its corner, if any."""

    background: str
    inset: str | None = None

    @property
    def cameras(self) -> tuple[str, ...]:
        return (self.background,) if self.inset is None else (self.background, self.inset)

    def compose(self, pictures: Mapping[str, Any]) -> Picture:
        """The film's picture (H, W, 3), H and W even; a fresh array."""
        whole = _even(pictures[self.background]).copy()
        if self.inset is not None:
            _lay(whole, pictures[self.inset])
        return whole


def framing(cameras: Sequence[CameraSpec], chosen: Sequence[str] = ()) -> Framing:
    """How to film an arm with these cameras: `chosen` background and inset, by whole name.

    Without a choice the first camera that does not look from the arm fills the picture and the
    first that does stands in the corner. Raises UsageError for an unknown name, for more than
    two, and where no camera sees colours.
    """
    names = [camera.name for camera in cameras if not camera.depth]
    have = ", ".join(names) or "none"
    if not names:
        raise UsageError("a film needs a camera that sees colours, and this arm has none.")
    unknown = [name for name in chosen if name not in names]
    if unknown or len(set(chosen)) != len(chosen) or len(chosen) > 2:
        raise UsageError(
            f"no film of {' '.join(chosen)}: name one camera, or two with the inset last. "
            f"There is: {have}."
        )
    if chosen:
        return Framing(chosen[0], chosen[1] if len(chosen) == 2 else None)
    close = [name for name in names if any(word in name for word in CLOSE)]
    far = [name for name in names if name not in close]
    if far and close:
        return Framing(far[0], close[0])
    return Framing(names[0])


def _lay(whole: Picture, small: Any) -> None:
    """Put `small` into the upper right corner of `whole`, framed in white."""
    height = max(2, round(whole.shape[0] * SHARE))
    inset = to_height(np.ascontiguousarray(small), height)
    width = min(inset.shape[1], whole.shape[1] - 2 * MARGIN_PX)
    if width < 2 or height > whole.shape[0] - 2 * MARGIN_PX:
        return  # a picture too small to hold another one
    top, right, edge = MARGIN_PX, whole.shape[1] - MARGIN_PX, BORDER_PX
    whole[top - edge : top + height + edge, right - width - edge : right + edge] = 255
    whole[top : top + height, right - width : right] = inset[:, :width]


def _even(picture: Any) -> Picture:
    """`picture` without an odd last row or column, as yuv420p wants."""
    height, width = (side - side % 2 for side in picture.shape[:2])
    return np.asarray(picture[:height, :width], np.uint8)
