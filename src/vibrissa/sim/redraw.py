"""Episodes that are over, seen anew: other cameras, other looks, the same states.

Pictures are drawn from the positions that were stored, never from a simulation run again: what
was recorded stays what was recorded, whatever becomes of the physics.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import CameraSpec
from vibrissa.core.episode import LazyImages
from vibrissa.core.errors import ContractError, UsageError
from vibrissa.sim.arm import SimArm
from vibrissa.sim.randomise import NONE, RandomCfg
from vibrissa.sim.sample import FACTORS, SEEN, Sample, draw
from vibrissa.sim.scene import SceneCfg

# What of a scene shaped the recorded rows, beside the things that stand in it.
LIVED = (
    *("spawn", "instruction", "rate_hz", "physics_hz", "home_rad", "start_noise_rad"),
    *("contact", "servo", "rules", "random"),
)
THINGS = ("object", "tray", "zone", "base")
LOOKS = ("camera_m", "camera_rad", "fovy_deg", "light_rad", "light_gain", "colour", "floors")
LOOKS += ("camera_latency_ticks", "image_noise_levels")


class Redraw:
    """Draws recorded episodes in `scene`, through `cameras`.

    looks: which ranges to draw the looks from, in place of what each episode was recorded with;
    None leaves the sampled values as they are.
    """

    def __init__(self, scene: SceneCfg, cameras: tuple[str, ...], looks: RandomCfg | None = None):
        self._drawn_from = None if looks is None else dataclasses.replace(scene, random=looks)
        self.scene = (
            scene
            if looks is None
            else dataclasses.replace(scene, random=_with_looks(scene.random, looks))
        )
        self._arm = SimArm(self.scene, cameras=cameras)

    @property
    def cameras(self) -> tuple[CameraSpec, ...]:
        return self._arm.contract.cameras

    @property
    def sim_state(self) -> tuple[str, ...]:
        """The names of the numbers that a state must have."""
        return self._arm.sim_state

    def sample(self, recorded: Sample, seed: int) -> Sample:
        """The values for an episode: what was lived as recorded, the looks as this one says.

        They are those that a recording with the same ranges would have drawn from this seed.
        """
        if self._drawn_from is None:
            return recorded
        lived = recorded.only(*(name for name in FACTORS if name not in SEEN))
        return lived.with_(draw(self._drawn_from, seed).only(*SEEN))

    def pictures(self, states: NDArray[np.float64], sample: Sample) -> Iterator[LazyImages]:
        """For each tick of an episode's states (T, Q), its pictures; to be looked at at once."""
        self._arm.become(sample)
        for tick in range(len(states)):
            yield self._arm.show(states, tick)

    def close(self) -> None:
        self._arm.close()


def dressed_as(recorded: SceneCfg, other: SceneCfg) -> SceneCfg:
    """`recorded` with the cameras, colours and surfaces of `other`.

    Raises ContractError where their things differ in more than colour: the rows would belong to
    one scene and the pictures to another.
    """
    things = {}
    for name in THINGS:
        ours, theirs = getattr(recorded, name), getattr(other, name)
        told = [f.name for f in dataclasses.fields(ours or theirs)] if ours or theirs else []
        told = [
            n for n in told if n != "rgba" and getattr(ours, n, None) != getattr(theirs, n, None)
        ]
        if told:
            raise ContractError(
                f"the scene's {name} is another one than was recorded ({', '.join(told)}); only "
                "cameras, colours and surfaces can be exchanged afterwards."
            )
        things[name] = theirs and dataclasses.replace(ours, rgba=theirs.rgba)
    lived = {name: getattr(recorded, name) for name in LIVED}
    return dataclasses.replace(other, **lived, **things)


def seen_through(
    scene: SceneCfg, *, size: tuple[int, int] | None = None, fovy_deg: Mapping[str, float] = {}
) -> SceneCfg:
    """The scene with other picture sizes (width, height) and vertical fields of view.

    Raises UsageError for a camera that is not there and for an angle that is none.
    """
    have = {camera.name for camera in scene.cameras}
    for name, degrees in fovy_deg.items():
        if name not in have:
            raise UsageError(f"no camera {name!r}. There is: {', '.join(sorted(have))}.")
        if not 0 < degrees < 180:
            raise UsageError(f"--fovy {name}={degrees:g}: between 0 and 180 degrees.")
    cameras = [c.resized(*size) if size else c for c in scene.cameras]
    cameras = [dataclasses.replace(c, fovy_deg=fovy_deg.get(c.name, c.fovy_deg)) for c in cameras]
    return dataclasses.replace(scene, cameras=tuple(cameras))


def _with_looks(lived: RandomCfg, looks: RandomCfg) -> RandomCfg:
    """The ranges of `lived`, with those of what is only seen from `looks`."""
    seen = {name: getattr(looks, name) for name in LOOKS}
    name = looks.name if lived == NONE else f"{lived.name} seen {looks.name}"
    return dataclasses.replace(lived, name=name, **seen)
