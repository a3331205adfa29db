"""Serve an emulated SO-101, follower and leader, until stopped.

Real drivers find them at <dir>/follower and <dir>/leader; <dir>/rig.yaml describes them, so
`vibrissa record --config <dir>/rig.yaml` works as with an arm on the table.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path


def default_folder() -> Path:
    """Where a twin is found when nobody says otherwise: one for each user."""
    return Path(f"/tmp/vibrissa-twin-{os.getuid()}")


@dataclass(frozen=True)
class Config:
    """What to serve, and where."""

    dir: Path | None = None
    """The folder of ports, calibration and rig.yaml; /tmp/vibrissa-twin-<uid> by default."""
    task: str = "lift"
    """What stands on the table: the scene of a task."""
    seed: int = 0
    """Where the object lies."""


def run(cfg: Config) -> int:
    from vibrissa.sim.tasks import make_scene
    from vibrissa.twin.twin import Twin

    stop = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: stop.set())
    with Twin(cfg.dir or default_folder(), make_scene(cfg.task), seed=cfg.seed) as twin:
        print(twin.told(), flush=True)
        stop.wait()
    return 0
