"""What the cameras really give: tried all at once, because they share a bus when they are used."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vibrissa.core.episode import Health
from vibrissa.real.camera import FIRST_S, Camera
from vibrissa.real.rig import CameraCfg
from vibrissa.real.sources import make_source

SECONDS = 2.0


@dataclass(frozen=True)
class Reached:
    """One camera as it was found. trouble: why there were no pictures, empty if there were.

    fps: frames a second that arrived. gaps: frames missing in the camera's own count, for those
    that keep one. settings: exposure and its kin.
    """

    cfg: CameraCfg
    trouble: str
    fps: float = 0.0
    health: Health = "missing"
    gaps: int = 0
    settings: dict[str, float] | None = None

    @property
    def slow(self) -> bool:
        """Whether it stays a tenth below what the rig says."""
        return not self.trouble and self.fps < 0.9 * self.cfg.fps


def probe(cameras: Sequence[CameraCfg], *, seconds: float = SECONDS) -> list[Reached]:
    """Open all cameras, let them run together for `seconds`, and say what came. Raises nothing."""
    opened = [_camera(replace(cfg, optional=False)) for cfg in cameras]
    try:
        for camera in opened:
            camera.start()
        until_s = time.perf_counter() + FIRST_S
        troubles = [c.wait_for_first(max(0.0, until_s - time.perf_counter())) for c in opened]
        began_s, before = time.perf_counter(), [(c.count, c.latest().sequence) for c in opened]
        time.sleep(seconds)
        span_s = time.perf_counter() - began_s
        return [
            _reached(camera, trouble, *then, span_s)
            for camera, trouble, then in zip(opened, troubles, before, strict=True)
        ]
    finally:
        for camera in opened:
            camera.stop()
        for camera in opened:
            camera.join()


def _camera(cfg: CameraCfg) -> Camera:
    return Camera(cfg, lambda: make_source(cfg), say=lambda _: None)


def _reached(camera: Camera, trouble: str, count: int, sequence: int, span_s: float) -> Reached:
    if trouble:
        return Reached(camera.cfg, trouble)
    frame, came = camera.latest(), camera.count - count
    gaps = max(0, frame.sequence - sequence - came)
    settings = dict(camera.settings)
    return Reached(camera.cfg, "", came / span_s, frame.health, gaps, settings)
