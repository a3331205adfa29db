"""All cameras of a rig: each reads in a thread of its own, and nobody waits for one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import CameraSpec, depth_name
from vibrissa.core.errors import ArmFault
from vibrissa.real.camera import Camera, Frame
from vibrissa.real.rig import CameraCfg
from vibrissa.real.sources import make_source

PATIENCE_S = 2.0  # how long a needed camera may stay away within an episode
BACK_S = 10.0  # and before one


class Cameras:
    """The cameras of a rig by name. `start` test-opens them; `latest` never waits."""

    def __init__(self, cameras: Sequence[CameraCfg], *, say: Callable[[str], None]):
        self._say = say
        self._cameras = {
            cfg.name: Camera(cfg, lambda cfg=cfg: make_source(cfg), say=say) for cfg in cameras
        }

    def start(self) -> None:
        """Open all, and wait for each one's first frame; an optional one may stay away.

        Raises ArmFault with everything that is wrong with those that may not.
        """
        for camera in self._cameras.values():
            camera.start()
        troubles = [trouble for c in self._cameras.values() if (trouble := c.wait_for_first())]
        if troubles:
            self.close()
            raise ArmFault(" ".join(troubles))

    def latest(self, state: NDArray[np.float32] | None = None) -> Mapping[str, Frame]:
        """Each camera's newest frame, whole names; a depth camera's depth under its own.

        Raises ArmFault when a camera that is not optional stayed away for `PATIENCE_S`.
        """
        frames: dict[str, Frame] = {}
        for name, camera in self._cameras.items():
            if not camera.cfg.optional and camera.age_s() > PATIENCE_S:
                why = camera.unusable.rstrip(".") or "Plug it in again"
                raise ArmFault(
                    f"camera {name!r} has given no picture for {PATIENCE_S:g} s. {why}; "
                    "one that may be missing is 'optional: true' in the rig."
                )
            frames[name] = frame = camera.latest(state)
            if frame.depth is not None:
                frames[depth_name(name)] = frame.of_depth()
        return frames

    def wait(self) -> None:
        """Before an episode: give a camera that was lost time to come back. Raises ArmFault."""
        until_s = time.perf_counter() + BACK_S
        while True:
            lost = [
                name
                for name, camera in self._cameras.items()
                if not camera.cfg.optional and camera.age_s() > PATIENCE_S
            ]
            if not lost:
                return
            if time.perf_counter() > until_s:
                why = [line for name in lost if (line := self._cameras[name].unusable)]
                told = " ".join(why) or "Plug it in again."
                raise ArmFault(f"no picture from {', '.join(lost)}. {told}")
            time.sleep(0.05)

    @property
    def settings(self) -> dict[str, dict[str, float]]:
        """Exposure and its kin as every camera told them when it was opened."""
        return {name: dict(camera.settings) for name, camera in self._cameras.items()}

    def close(self) -> None:
        """Stop all threads and let the devices go; never raises."""
        for camera in self._cameras.values():
            camera.stop()
        for name, camera in self._cameras.items():
            camera.join()
            if camera.bad > 1:
                came = camera.bad + camera.count
                self._say(f"camera {name!r}: {camera.bad} of {came} pictures could not be used.")


def specs(cameras: Sequence[CameraCfg]) -> tuple[CameraSpec, ...]:
    """What a contract says of these cameras; a depth camera counts twice."""
    told = []
    for cfg in cameras:
        colour = CameraSpec(cfg.name, cfg.width, cfg.height, cfg.fovy_deg)
        told.append(colour)
        if cfg.depth:
            told.append(
                CameraSpec(depth_name(cfg.name), cfg.width, cfg.height, cfg.fovy_deg, depth=True)
            )
    return tuple(told)
