"""How fast pictures are drawn here, as JSON: `python -m vibrissa.sim.speed`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from vibrissa.sim import gl
from vibrissa.sim.arm import SimArm
from vibrissa.sim.tasks import make_scene

PICTURE = (224, 224)
LEAST_S, LEAST_PICTURES = 0.7, 4


def describe() -> dict[str, Any]:
    """The fields of `machine.facts.Drawing`, measured on the pick-place scene's two cameras.

    Pictures alone: neither physics nor the first one, which loads the scene, is counted. Raises
    ArmFault where nothing can draw.
    """
    backend = gl.describe()
    wide, high = PICTURE
    arm = SimArm(make_scene("pick-place", camera_size=PICTURE), cameras=True)
    arm.reset(0)
    home, drawn, spent_s = np.array(arm.cfg.home_rad, np.float32), 0, 0.0
    for picture in arm.observe().images.values():
        assert picture.shape == (high, wide, 3)
    while spent_s < LEAST_S or drawn < LEAST_PICTURES:
        arm.send(home)
        images = arm.observe().images
        began_s = time.perf_counter()
        drawn += sum(images[name].size > 0 for name in images)
        spent_s += time.perf_counter() - began_s
    arm.close()
    assert backend is not None  # or drawing had raised
    return {
        "told": backend.told(),
        "software": backend.software,
        "frames_per_s": drawn / spent_s,
        "picture": f"{wide} x {high}",
    }


if __name__ == "__main__":
    trouble = gl.trouble()
    if trouble:
        sys.exit(trouble)
    print(json.dumps(describe()))
