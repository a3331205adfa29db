"""A whole rig that is not there: follower, leader and cameras, served from one folder.

    with Twin(folder, make_scene("lift")) as twin:      # in threads of this process
        …                                               # any driver opens folder/"follower"

A folder keeps what servos keep without power, so the same arm comes back the next time. Cameras
are a process of their own; see `cameras`.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS
from vibrissa.real.rig import ArmCfg, CameraCfg, LeaderCfg, Rig, save_rig
from vibrissa.sim.scene import SceneCfg
from vibrissa.twin.bus import Bus
from vibrissa.twin.calibration import (
    ARMS,
    calibration_file,
    keep,
    make_servos,
    write_calibration,
)
from vibrissa.twin.cameras import CameraServer, Views
from vibrissa.twin.control import Control
from vibrissa.twin.log import Log
from vibrissa.twin.orders import Orders
from vibrissa.twin.servo import Servo
from vibrissa.twin.station import Clock, Station, StoodStill
from vibrissa.twin.world import CarriedBody, SimulatedBody

LOCK = "lock"
# Python lets a thread compute for 5 ms while another one, which would answer, waits: a driver in a
# busy loop in this very process would hear of nothing.
SWITCH_S = 0.0005
REST_S = 2.0  # a limp arm falls before anybody sees it


@dataclass(frozen=True)
class TwinCfg:
    """What a twin is. servos: `kept`, `calibrated` or `factory`, see `calibration.make_servos`."""

    seed: int = 0  # where the object lies, and the chance in faults
    servos: str = "kept"
    camera_port: int = 0  # of the first camera; 0 takes whatever is free
    fps: int = 30
    log: Path | None = None


class Twin:
    """Serves while it is entered. Raises UsageError where another one serves from the folder."""

    def __init__(
        self,
        folder: Path,
        scene: SceneCfg,
        cfg: TwinCfg = TwinCfg(),
        *,
        views: Views | None = None,
        clock: Clock = time.monotonic,
    ):
        self.folder, self.cfg, self._clock = folder.absolute(), cfg, clock
        folder.mkdir(parents=True, exist_ok=True)
        self.servos = {arm: make_servos(self.folder, arm, cfg.servos) for arm in ARMS}
        self.follower = SimulatedBody(self.servos["follower"], scene, seed=cfg.seed)
        self.follower.advance(REST_S)
        self.leader = CarriedBody(self.servos["leader"], self.follower.angles.tolist())
        self.stations = {
            "follower": self._station("follower", self.follower, self._shown),
            "leader": self._station("leader", self.leader, self._led),
        }
        self.cameras = None if views is None else self._camera_server(views)
        self.calibrated = dict.fromkeys(ARMS, False)
        self._views = views
        self._log: Log | None = None
        self._keeping, self._burns = threading.Lock(), 0
        self._open = ExitStack()

    def __enter__(self) -> Twin:
        with ExitStack() as opened:
            self._claim(opened)
            opened.callback(sys.setswitchinterval, sys.getswitchinterval())
            sys.setswitchinterval(SWITCH_S)
            for arm in ARMS:
                (self.folder / arm).unlink(missing_ok=True)  # of one that was killed
                self.calibrated[arm] = write_calibration(self.folder, arm, self.servos[arm])
            self._start_log(opened)
            if self.cameras is not None:
                opened.enter_context(self.cameras)
            for arm in ARMS:
                opened.enter_context(self.stations[arm])
            opened.enter_context(Control(self.folder, Orders(self).obey))
            save_rig(self.rig(), self.folder / "rig.yaml")
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._keep()

    def advance(self, seconds: float) -> None:
        """For a twin whose clock stands still: time passes, on both arms."""
        if not isinstance(self._clock, StoodStill):
            raise UsageError(
                "time passes by itself here: a twin with clock=StoodStill() is moved on."
            )
        self._clock.now_s += seconds
        for station in self.stations.values():
            station.catch_up()

    def calibration_file(self, arm: str) -> Path:
        """LeRobot's calibration file of an arm."""
        return calibration_file(self.folder, arm)

    def rig(self) -> Rig:
        """What a command is told of this rig."""
        port = {arm: str(self.folder / arm) for arm in ARMS}
        found = {arm: self.calibration_file(arm) if self.calibrated[arm] else None for arm in ARMS}
        return Rig(
            arm=ArmCfg(port=port["follower"], calibration=found["follower"]),
            leader=LeaderCfg(port=port["leader"], calibration=found["leader"]),
            cameras=self._camera_cfgs(),
        )

    def told(self) -> str:
        """What is served, and how LeRobot is told of it."""
        lines = [f"serving {self.folder}", f"  vibrissa: --config {self.folder / 'rig.yaml'}"]
        for arm, kind in (("follower", "robot"), ("leader", "teleop")):
            where = self.calibration_file(arm).parent
            lines.append(
                f"  lerobot:  --{kind}.type=so101_{arm} --{kind}.port={self.folder / arm} "
                f"--{kind}.id={arm} --{kind}.calibration_dir={where}"
            )
        cameras = ", ".join(
            f"{c.name}: {{type: zmq, server_address: 127.0.0.1, port: {_port(c.device)}, "
            f"camera_name: {c.name}, width: {c.width}, height: {c.height}, fps: {c.fps}}}"
            for c in self._camera_cfgs()
        )
        if cameras:
            lines.append(f"  lerobot:  --robot.cameras='{{{cameras}}}'")
        return "\n".join(lines)

    def _claim(self, opened: ExitStack) -> None:
        """This folder is ours until we end, however we end."""
        lock = opened.enter_context((self.folder / LOCK).open("a+"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise UsageError(
                f"another twin (process {lock.read().strip() or 'unknown'}) serves from "
                f"{self.folder}. Stop it, or choose another --dir."
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()

    def _station(self, arm: str, body: SimulatedBody | CarriedBody, moved: Any) -> Station:
        bus = Bus(body.servos, self._told) if arm == "follower" else Bus(body.servos)
        link = self.folder / arm
        seed, clock = self.cfg.seed, self._clock
        return Station(link, bus, body, moved=moved, idle=self._keep, seed=seed, clock=clock)

    def _camera_server(self, views: Views) -> CameraServer:
        return CameraServer(views, fps=self.cfg.fps, port=self.cfg.camera_port)

    def _camera_cfgs(self) -> tuple[CameraCfg, ...]:
        if self.cameras is None or self._views is None:
            return ()
        return tuple(
            CameraCfg(
                name=view.name,
                kind="zmq",
                device=self.cameras.addresses[view.name],
                width=view.width,
                height=view.height,
                fps=self.cfg.fps,
                fovy_deg=view.fovy_deg,
            )
            for view in self._views.cameras
        )

    def _start_log(self, opened: ExitStack) -> None:
        if self.cfg.log is None:
            return
        leader, follower = (_ranges(self.servos[arm]) for arm in ("leader", "follower"))
        self._log = Log(self.cfg.log, leader, follower)
        opened.callback(self._log.close)

    def _shown(self) -> None:
        if self.cameras is not None and self._views is not None and self._views.size:
            self.cameras.show(self.follower.qpos)

    def _led(self) -> None:
        if self._log is not None:
            angles = self.leader.angles.tolist()
            ticks = [s.ticks(a) for s, a in zip(self.leader.servos, angles, strict=True)]
            self._log.leader(ticks)

    def _told(self, servo: Servo, names: list[str]) -> None:
        if self._log is not None and "Goal_Position" in names:
            self._log.goal(JOINTS.index(servo.joint), servo.memory["Goal_Position"])

    def _keep(self) -> None:
        """What is EPROM goes to the folder when nobody waits for an answer, and at the end."""
        with self._keeping:
            burns = sum(servo.memory.burns for arm in ARMS for servo in self.servos[arm])
            if burns != self._burns:
                self._burns = burns
                keep(self.folder, self.servos)


def _ranges(servos: list[Servo]) -> dict[str, tuple[float, float]]:
    limits = ("Min_Position_Limit", "Max_Position_Limit")
    return {s.joint: (s.memory[limits[0]], s.memory[limits[1]]) for s in servos}


def _port(address: str) -> str:
    return address.split("/")[2].rpartition(":")[2]
