"""Serve an emulated SO-101, follower, leader and cameras, until stopped (Ctrl-C).

Real drivers find the arms at <dir>/follower and <dir>/leader; <dir>/rig.yaml describes all of it,
so that `vibrissa record --config <dir>/rig.yaml` works as with an arm on the table. What one does
to it from another terminal: vibrissa twin plug, move, fault, status.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vibrissa.commands.twin import folder_of
from vibrissa.core.errors import ArmFault, UsageError

if TYPE_CHECKING:
    from vibrissa.sim.scene import SceneCfg
    from vibrissa.twin.cameras import Views

LOOK_S = 1.0

MOST_FPS, MOST_PORT = 1000, 65_536


@dataclass(frozen=True)
class Config:
    """What to serve, and where."""

    dir: Path | None = None
    """The folder of ports, calibration and rig.yaml; /tmp/vibrissa-twin-<uid> by default."""
    task: str = "lift"
    """What stands on the table: the scene of a task."""
    seed: int = 0
    """Where the object lies, and the chance in faults."""
    servos: Literal["kept", "calibrated", "factory"] = "kept"
    """The servos' memory: as it was left in --dir, newly calibrated, or as out of the box."""
    cameras: Literal["none", "ready", "rendered"] = "ready"
    """Pictures that were made beforehand and bear their number, or those of the scene."""
    camera_names: tuple[str, ...] = ("overhead", "wrist")
    """Which cameras there are."""
    camera_size: tuple[int, int] = (640, 480)
    """Width and height of their pictures, px."""
    camera_port: int = 5555
    """Of the first camera, the others above; 0 takes ports that are free."""
    fps: int = 30
    """Pictures a second."""
    log: Path | None = None
    """A file for every goal that is written and every move of the leader; see docs/twin.md."""


def run(cfg: Config) -> int:
    if not hasattr(os, "openpty"):
        raise UsageError("a twin wants pseudo-terminals: Linux has them, this system has not.")

    from vibrissa.sim.tasks import make_scene
    from vibrissa.twin.twin import Twin, TwinCfg

    _check(cfg)
    # Nothing of an arm is worth waiting for many cores; drivers under test need them more.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    scene = make_scene(cfg.task, camera_size=cfg.camera_size)
    told = TwinCfg(cfg.seed, cfg.servos, cfg.camera_port, cfg.fps, cfg.log)
    with (
        _stop_signals() as stop,
        Twin(folder_of(cfg.dir), scene, told, views=_views(cfg, scene)) as twin,
    ):
        print(twin.told(), flush=True)
        while not stop.wait(LOOK_S):
            dead = [name for name, station in twin.stations.items() if not station.alive]
            if dead:
                raise ArmFault(f"the twin's {dead[0]} is served no more; why is told above.")
    return 0


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Set by Ctrl-C and SIGTERM, which then end nothing by themselves."""
    stop = threading.Event()
    signs = (signal.SIGINT, signal.SIGTERM)
    before = {sign: signal.signal(sign, lambda *_: stop.set()) for sign in signs}
    try:
        yield stop
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


def _check(cfg: Config) -> None:
    """What can be said before anything is served."""
    if not 1 <= cfg.fps <= MOST_FPS:
        raise UsageError(f"--fps {cfg.fps}: from 1 to {MOST_FPS}.")
    if not 0 <= cfg.camera_port < MOST_PORT:
        raise UsageError(f"--camera-port {cfg.camera_port}: from 0 (any) to {MOST_PORT - 1}.")
    folder = folder_of(cfg.dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is a file" if folder.is_file() else error.strerror
        raise UsageError(f"--dir {folder} cannot be made: {why}.") from error


def _views(cfg: Config, scene: SceneCfg) -> Views | None:
    from vibrissa.sim.views import chosen
    from vibrissa.twin.cameras import Ready, Rendered

    if cfg.cameras == "none":
        return None
    if not cfg.camera_names:
        raise UsageError("--cameras without --camera-names: name at least one.")
    if cfg.cameras == "rendered":
        return Rendered(scene, cfg.camera_names)
    return Ready(tuple(view.spec for view in chosen(scene, cfg.camera_names)))
