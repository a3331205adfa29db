"""The cameras of our tasks: where they stand, what they see, and which of them measure depth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from vibrissa.core.errors import UsageError
from vibrissa.sim.scene import CameraCfg

# Looking straight down, +x up in the picture; and from the gripper past both jaws, 40 degrees down.
OVERHEAD = CameraCfg(
    "overhead", "world", (0.3, -0.09, 0.6), (0.5**0.5, 0.0, 0.0, -(0.5**0.5)), 52.0
)
_TILT = np.radians(40.0) / 2
WRIST = CameraCfg(
    "wrist",
    "gripper",
    (0.0, 0.055, -0.035),
    (float(np.cos(_TILT)), -float(np.sin(_TILT)), 0.0, 0.0),
    71.0,
)

RIGS: dict[str, tuple[CameraCfg, ...]] = {
    "rgb": (OVERHEAD, WRIST),
    # A depth camera sees wider: a policy of the one rig does not fit the other, and is told so.
    "rgbd": (dataclasses.replace(OVERHEAD, fovy_deg=58.0, depth=True), WRIST),
}


def rig_named(name: str) -> tuple[CameraCfg, ...]:
    """The cameras of a rig. Raises UsageError with the rigs that exist."""
    if name not in RIGS:
        raise UsageError(f"no rig {name!r}. There is: {', '.join(RIGS)}.")
    return RIGS[name]


def with_depth(cameras: Sequence[CameraCfg], names: Sequence[str]) -> tuple[CameraCfg, ...]:
    """`cameras`, of which those in `names` measure depth too. Raises UsageError for others."""
    have = [camera.name for camera in cameras]
    for name in names:
        if name not in have:
            raise UsageError(
                f"no camera {name!r} to measure depth with. There is: {', '.join(have) or 'none'}."
            )
    return tuple(
        dataclasses.replace(camera, depth=camera.depth or camera.name in names)
        for camera in cameras
    )
