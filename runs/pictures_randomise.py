"""Contact sheets of the randomisation presets, for the docs: what twelve episodes look like.

    uv run python runs/pictures_randomise.py

Each tile is the first picture of an episode's overhead camera; seeds 0 to 11, in reading order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vibrissa.show.video import strip
from vibrissa.sim.arm import SimArm
from vibrissa.sim.randomise import LIGHT, STRONG
from vibrissa.sim.tasks import make_scene

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
SEEDS, COLUMNS, SIZE, GAP_PX = 12, 4, (240, 180), 2


def sheet(arm: SimArm) -> np.ndarray:
    """Twelve tiles, four in a row: (H, W, 3) uint8."""
    tiles = []
    for seed in range(SEEDS):
        arm.reset(seed)
        tiles.append(arm.observe().images["overhead"])
    rows = [strip(tiles[i : i + COLUMNS], gap_px=GAP_PX) for i in range(0, SEEDS, COLUMNS)]
    white = np.full((GAP_PX, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for row in rows for part in (row, white)][:-1])


def main() -> None:
    for random in (LIGHT, STRONG):
        cfg = make_scene("pick-place", camera_size=SIZE, random=random)
        file = (
            FOLDER / f"randomise_{random.name}.jpg"
        )  # as PNG their grain takes ten times the room
        Image.fromarray(sheet(SimArm(cfg, cameras=("overhead",)))).save(file, quality=85)
        print(file)


if __name__ == "__main__":
    main()
