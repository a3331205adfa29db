"""What the table may look like: patterns made by arithmetic, in shades that its colour tints.

A picture's textures and materials belong to the OpenGL context, which all episodes of a scene
share; so all patterns are there from the start, and an episode chooses one by name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ContractError
from vibrissa.sim.gl import mujoco

SIDE_PX = 256
SCALES = {"fine": 12.0, "coarse": 4.0}  # repeats over the table's three metres
PLAIN = "plain"
DARKEST = 0.35
SEED = 140

Shades = NDArray[np.float64]  # (SIDE_PX, SIDE_PX), 0 dark to 1 as the table's colour


def materials(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The names an episode can choose from, beside the plain table."""
    return tuple(f"{pattern} {scale}" for pattern in patterns for scale in SCALES)


def add(spec: Any, patterns: tuple[str, ...]) -> None:
    """Textures and materials of these patterns."""
    for pattern in patterns:
        texture = spec.add_texture(
            name=pattern,
            type=mujoco.mjtTexture.mjTEXTURE_2D,
            width=SIDE_PX,
            height=SIDE_PX,
            nchannel=3,
        )
        texture.data = _pixels(pattern)
        for scale, repeats in SCALES.items():
            material = spec.add_material(name=f"{pattern} {scale}", texrepeat=(repeats, repeats))
            material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = pattern


def lay(spec: Any, floor: str, patterns: tuple[str, ...]) -> None:
    """Give the table this one. Raises ContractError where the scene has no such pattern."""
    known = materials(patterns)
    if floor not in known:
        raise ContractError(
            f"no floor {floor!r} in this scene. There is: {', '.join((PLAIN, *known))}."
        )
    spec.geom("table").material = floor


def shades(pattern: str) -> Shades:
    """A pattern that joins up with itself on every side."""
    made = _PATTERNS[pattern]()
    return (made - made.min()) / (made.max() - made.min())


@functools.cache
def _pixels(pattern: str) -> bytes:
    """The texture, RGB. Kept, because every episode's model wants it again."""
    grey = np.round(255 * (DARKEST + (1 - DARKEST) * shades(pattern))).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2).tobytes()


def _checker() -> Shades:
    x, y = _grid()
    return np.where((x < 0.5) ^ (y < 0.5), 1.0, 0.0)


def _tiles() -> Shades:
    x, y = _grid()
    return np.where((x % 0.5 < 0.02) | (y % 0.5 < 0.02), 0.0, 1.0)


def _stripes() -> Shades:
    x, _ = _grid()
    return np.where(x % 0.25 < 0.125, 1.0, 0.3)


def _wood() -> Shades:
    """Boards with a grain that wavers along them."""
    x, y = _grid()
    waver = 0.06 * np.sin(2 * np.pi * y) + 0.03 * np.sin(2 * np.pi * (2 * y + 0.3))
    grain = np.sin(2 * np.pi * (9 * x + 3 * waver)) + 0.5 * np.sin(2 * np.pi * (23 * x + waver))
    boards = np.where(x % 0.25 < 0.01, -3.0, 0.0)
    return grain + boards + 0.5 * _clouds()


def _speckle() -> Shades:
    """Stone chips: coarse noise, every dot by itself."""
    dots = np.random.default_rng(SEED).random((SIDE_PX // 4, SIDE_PX // 4))
    return np.asarray(np.kron(dots, np.ones((4, 4))), np.float64)


def _clouds() -> Shades:
    """Smooth stains: noise whose waves grow with their length."""
    white = np.fft.fft2(np.random.default_rng(SEED + 1).normal(size=(SIDE_PX, SIDE_PX)))
    waves = np.fft.fftfreq(SIDE_PX) * SIDE_PX
    length = np.hypot(waves[:, None], waves[None, :])
    length[0, 0] = np.inf
    stains = np.fft.ifft2(white / length**1.7).real
    return stains / stains.std()


def _grid() -> tuple[Shades, Shades]:
    line = (np.arange(SIDE_PX) + 0.5) / SIDE_PX
    x, y = np.meshgrid(line, line)
    return x, y


_PATTERNS: Mapping[str, Callable[[], Shades]] = {
    "checker": _checker,
    "tiles": _tiles,
    "stripes": _stripes,
    "wood": _wood,
    "speckle": _speckle,
    "clouds": _clouds,
}
