"""Ready-made pictures: each bears a number that a person and a program can read.

Whoever checks that rows and pictures stayed in step reads the number out of the picture itself.
It is painted as cells of black and white large enough to come through JPEG and video.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import UsageError

BITS = 16
SMALLEST = (160, 120)  # width and height, px, below which the cells are lost in coding
_MARGIN = 0.5  # of a cell, round the code
_CONTRAST = 60  # grey levels between a cell and its opposite, below which nothing is read


def numbered(picture: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """A copy of `picture` (H, W, 3) with `number`, modulo 65536, painted into it.

    Two rows of cells in the upper left corner: each bit, and below it its opposite, so that a
    black or a white picture is not mistaken for a number. Digits stand beneath.
    """
    painted = picture.copy()
    cell = _cell_px(picture)
    edge = round(cell * _MARGIN)
    painted[: 2 * (cell + edge), : BITS * cell + 2 * edge] = 128
    for bit in range(BITS):
        lit = number >> bit & 1
        left = edge + bit * cell
        painted[edge : edge + cell, left : left + cell] = 255 * lit
        painted[edge + cell : edge + 2 * cell, left : left + cell] = 255 * (1 - lit)
    place = (edge, 2 * (cell + edge) + 2 * cell)
    cv2.putText(
        painted, f"{number}", place, cv2.FONT_HERSHEY_SIMPLEX, cell / 12, (255, 255, 255), 2
    )
    return painted


def read_number(picture: NDArray[np.uint8]) -> int | None:
    """The number painted into `picture` (H, W, 3); None where there is none to be read."""
    cell = _cell_px(picture)
    edge, inner = round(cell * _MARGIN), max(1, cell // 4)
    grey = picture.mean(axis=2)
    number = 0
    for bit in range(BITS):
        left = edge + bit * cell + inner
        right = left + cell - 2 * inner
        above = grey[edge + inner : edge + cell - inner, left:right].mean()
        below = grey[edge + cell + inner : edge + 2 * cell - inner, left:right].mean()
        if abs(above - below) < _CONTRAST:
            return None
        number |= int(above > below) << bit
    return number


def ready_picture(camera: str, width: int, height: int, number: int) -> NDArray[np.uint8]:
    """A made-up view of `camera` (height, width, 3): a table, a thing that moves, the number.

    Raises UsageError for a picture too small to bear one.
    """
    if width < SMALLEST[0] or height < SMALLEST[1]:
        raise UsageError(
            f"ready-made pictures of {width} x {height}: at least {SMALLEST[0]} x {SMALLEST[1]}."
        )
    picture = _table(camera, width, height).copy()
    turn = 2 * np.pi * number / 60
    centre = (int(width * (0.5 + 0.3 * np.cos(turn))), int(height * (0.6 + 0.2 * np.sin(turn))))
    cv2.circle(picture, centre, height // 12, (200, 60, 50), -1)
    return numbered(picture, number)


@functools.lru_cache(maxsize=8)
def _table(camera: str, width: int, height: int) -> NDArray[np.uint8]:
    """A still background with some grain, another one for every camera."""
    rng = np.random.default_rng(list(camera.encode()))
    coarse = rng.integers(90, 170, (height // 80 + 2, width // 80 + 2, 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.integers(-6, 7, (height, width, 1))
    return np.clip(smooth.astype(np.int16) + grain, 0, 255).astype(np.uint8)


def _cell_px(picture: NDArray[np.uint8]) -> int:
    """The side of a cell: a fortieth of the width, on the 4 px grid of the coders."""
    return max(4, picture.shape[1] // 40 // 4 * 4)
