"""From a box of servos to a first teleoperation: ports, ids, calibration, cameras, and the file.

Every step asks first, can be skipped, and can be done again; what is known is written into the
file after each one, so a setup that was broken off is gone on with. Calibrations lie where
LeRobot keeps its own, in its format.
"""

from __future__ import annotations

import glob
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from vibrissa.core.errors import ArmFault, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vibrissa.commands.talk import Talk
    from vibrissa.real.rig import CameraCfg, Rig

Arm = Literal["follower", "leader"]
ARMS: tuple[Arm, ...] = ("follower", "leader")
STEPS = ("ports", "ids", "calibration", "cameras", "teleop")
BACK_S = 60.0  # how long a port may take to be there again


@dataclass(frozen=True)
class Config:
    file: Positional[Path] = Path("rig.yaml")
    """The file to write. One that is there is gone on with."""
    steps: tuple[Literal["ports", "ids", "calibration", "cameras", "teleop"], ...] = STEPS
    """Only these steps."""
    port: str = ""
    """The follower's port, where it is known."""
    leader_port: str = ""
    """The leader's port, where it is known."""
    watch: tuple[str, ...] = ()
    """More places where ports appear, as patterns such as /tmp/vibrissa-twin-1000/*er."""
    try_seconds: float = 20.0
    """How long the first teleoperation lasts."""


def run(cfg: Config) -> int:
    from vibrissa.commands.talk import Talk
    from vibrissa.real.rig import save_rig

    talk, rig = Talk(), _rig(cfg)
    steps: dict[str, tuple[str, Callable[[Config, Talk, Rig], Rig]]] = {
        "ports": ("Find the ports of both arms", _ports),
        "ids": ("Give every servo its id (only for servos fresh from the factory)", _ids),
        "calibration": ("Calibrate both arms", _calibration),
        "cameras": ("Find the cameras and give them names", _cameras),
        "teleop": ("Lead the follower by the leader", _teleop),
    }
    for number, name in enumerate(cfg.steps, start=1):
        title, step = steps[name]
        talk.tell(f"\n{number} of {len(cfg.steps)}: {title}.")
        if talk.choose("Do it?", ("yes", "skip")) == "skip":
            continue
        rig = _until_done(cfg, talk, rig, step)
        if rig.arm.port:
            save_rig(rig, cfg.file)
            talk.tell(f"written: {cfg.file}")
    if not cfg.file.exists():
        talk.tell("\nNothing was written: the follower's port is not known yet.")
        return 0
    talk.tell(f"\nDone. Record: vibrissa record --config {cfg.file} --out my-set --instruction '…'")
    return 0


def _until_done(cfg: Config, talk: Talk, rig: Rig, step: Callable[[Config, Talk, Rig], Rig]) -> Rig:
    """A step, as often as somebody wants it; a fault in it is told, and it can be done again."""
    while True:
        done = rig
        try:
            done = step(cfg, talk, rig)
            again = talk.choose("Is it right?", ("yes", "again"))
        except ArmFault as fault:
            talk.tell(f"{fault}")
            again = talk.choose("What now?", ("again", "skip"))
        if again in ("yes", "skip"):
            return done


def _rig(cfg: Config) -> Rig:
    """What the file holds already, or an arm of which nothing is known yet."""
    from vibrissa.real.rig import ArmCfg, Rig, load_rig

    rig = load_rig(cfg.file) if cfg.file.exists() else Rig(arm=ArmCfg())
    given: dict[Arm, str] = {"follower": cfg.port, "leader": cfg.leader_port}
    for arm, port in given.items():
        rig = _with_port(rig, arm, port) if port else rig
    return rig


def _port_of(rig: Rig, arm: Arm) -> str:
    if arm == "follower":
        return rig.arm.port
    return rig.leader.port if rig.leader is not None else ""


def _with_port(rig: Rig, arm: Arm, port: str) -> Rig:
    from vibrissa.real.rig import LeaderCfg

    if arm == "follower":
        return replace(rig, arm=replace(rig.arm, kind="so101", port=port))
    leader = rig.leader or LeaderCfg()
    return replace(rig, leader=replace(leader, kind="so101", port=port))


def _require_port(rig: Rig) -> None:
    if not rig.arm.port:
        raise ArmFault("The follower's port is not known yet: do the step of the ports first.")


def _ports(cfg: Config, talk: Talk, rig: Rig) -> Rig:
    for arm in ARMS:
        known = _port_of(rig, arm)
        there = ", ".join(sorted(_seen(cfg))) or "none"
        talk.tell(f"ports: {there}")
        none = ", - for no leader" * (arm == "leader")
        told = talk.ask(
            f"The {arm}'s port: type it, u to find it by unplugging{none}", known or "u"
        )
        if told == "-":
            if arm == "leader":
                return replace(rig, leader=None)
            raise ArmFault("'-' is no port, and nothing works without a follower.")
        rig = _with_port(rig, arm, _unplugged(cfg, talk, arm) if told == "u" else told)
        talk.tell(f"{arm}: {_port_of(rig, arm)}")
    if rig.leader is not None and rig.leader.port == rig.arm.port:
        raise ArmFault(f"follower and leader are both {rig.arm.port}: one of them is wrong.")
    return rig


def _unplugged(cfg: Config, talk: Talk, arm: Arm) -> str:
    """The port that vanishes when its cable is pulled."""
    before = _seen(cfg)
    talk.ask(f"Unplug the {arm}'s USB cable, then press Enter")
    gone = before - _seen(cfg)
    if len(gone) != 1:
        what = ", ".join(sorted(gone)) or "no port"
        raise ArmFault(f"{what} vanished; one was expected. Plug everything in again.")
    (port,) = gone
    talk.tell(f"It is {port}. Plug it in again.")
    until_s = time.monotonic() + BACK_S
    while port not in _seen(cfg):
        if time.monotonic() > until_s:
            raise ArmFault(f"{port} is not back. Check the cable.")
        time.sleep(0.1)
    return port


def _seen(cfg: Config) -> set[str]:
    """The ports there are now, each by its stable name."""
    from vibrissa.machine.ports import linux_ports, named_ports

    ports = linux_ports() if sys.platform.startswith("linux") else named_ports()
    more = {path for pattern in cfg.watch for path in glob.glob(pattern)}
    return {port.stable for port in ports} | more


def _ids(cfg: Config, talk: Talk, rig: Rig) -> Rig:
    """One servo at a time, from the gripper to the shoulder, as LeRobot does."""
    from vibrissa.core.units import JOINTS
    from vibrissa.real.motor_ids import answering, give_id

    _require_port(rig)
    for arm in ARMS:
        port = _port_of(rig, arm)
        if not port:
            continue
        there = answering(port)
        told = f"{len(there)} of {len(JOINTS)} servos of the {arm} answer with ids of their own"
        if talk.choose(f"{told}. Give ids?", _advised(len(there) < len(JOINTS))) == "no":
            continue
        for joint in reversed(JOINTS):
            _one_id(talk, arm, port, joint, give_id)
        talk.ask(f"Put all servos of the {arm} back on the wire, then press Enter")
        missing = [joint for joint in JOINTS if joint not in answering(port)]
        if missing:
            raise ArmFault(f"{arm}: no answer from {', '.join(missing)}. Check the cables.")
    return rig


def _one_id(
    talk: Talk, arm: Arm, port: str, joint: str, give_id: Callable[[str, str], int]
) -> None:
    """Until the servo has its id, or somebody says that it can do without."""
    while True:
        asked = talk.choose(
            f"Connect the {arm}'s {joint} servo to the controller, alone. Ready?", ("yes", "skip")
        )
        if asked == "skip":
            return
        try:
            before = give_id(port, joint)
            talk.tell(f"{joint}: it was id {before} and is well now")
            return
        except ArmFault as fault:
            talk.tell(str(fault))


def _calibration(cfg: Config, talk: Talk, rig: Rig) -> Rig:
    _require_port(rig)
    for arm in ARMS:
        if not _port_of(rig, arm):
            continue
        path = _calibration_path(rig, arm)
        told = f"The {arm} has a calibration, {path}" if path.exists() else f"The {arm} has none"
        if talk.choose(f"{told}. Calibrate it?", _advised(not path.exists())) == "yes":
            _calibrate(talk, arm, _port_of(rig, arm), path)
    return rig


def _advised(yes: bool) -> tuple[str, str]:
    """Both answers, the one by Enter first."""
    return ("yes", "no") if yes else ("no", "yes")


def _calibration_path(rig: Rig, arm: Arm) -> Path:
    from vibrissa.real.calibration import default_path

    cfg = rig.arm if arm == "follower" else rig.leader
    assert cfg is not None  # whoever asks has seen its port
    return cfg.calibration or default_path(cfg.id, leader=arm == "leader")


def _calibrate(talk: Talk, arm: Arm, port: str, path: Path) -> None:
    from vibrissa.machine.calibrations import judge_calibration
    from vibrissa.real.bus import ServoBus
    from vibrissa.real.calibrating import Calibrating
    from vibrissa.real.calibration import save_calibration

    bus = ServoBus(port, f"the {arm}", retries=5)
    talk.ask(f"Support the {arm}: it goes limp now. Then press Enter")
    bus.open()
    try:
        calibrating = Calibrating(bus)
        calibrating.loosen()
        talk.ask("Move every joint to the middle of its range, then press Enter")
        calibrating.centre()
        talk.tell("Move every joint but wrist_roll slowly from end to end, then press Enter")
        calibrating.watch(talk.answered, talk.tell)
        save_calibration(calibrating.finish(), path)
    finally:
        bus.close()
    talk.tell(f"{arm}: calibration in {path}")
    for line in judge_calibration(path.read_text("utf8"), path.name):
        talk.tell(f"  {line.state}: {line.told}{' ' + line.do if line.do else ''}")


def _cameras(cfg: Config, talk: Talk, rig: Rig) -> Rig:
    from vibrissa.machine.video import video_nodes
    from vibrissa.real.rig import CameraCfg

    found = {camera.name: camera for camera in rig.cameras}
    for camera in list(found.values()):
        told = f"camera {camera.name!r} at {camera.device}"
        if talk.choose(f"{told}: keep it?", ("yes", "drop")) == "drop":
            del found[camera.name]
    known = {camera.device for camera in found.values()}
    nodes = [n for n in video_nodes() if n.captures and not n.depth and n.stable not in known]
    for node in nodes:
        _add_camera(cfg, talk, found, CameraCfg(node.node, device=node.stable), node.card)
    while address := talk.ask("A camera over the network, tcp://host:port/name; Enter for none"):
        name = address.rpartition("/")[2]
        _add_camera(cfg, talk, found, CameraCfg(name, kind="zmq", device=address), address)
    return replace(rig, cameras=tuple(found.values()))


def _add_camera(
    cfg: Config, talk: Talk, found: dict[str, CameraCfg], camera: CameraCfg, told: str
) -> None:
    """Open it, leave a picture to look at, and give it a name."""
    from vibrissa.real.rig import device_trouble

    if trouble := device_trouble(camera):
        talk.tell(trouble)
        return
    try:
        picture = _grab(camera)
    except ArmFault as fault:
        talk.tell(f"{told}: {fault}")
        return
    height, width = picture.shape[:2]
    path = _leave(cfg, camera.name, picture)
    talk.tell(f"{told}: {width} × {height}; look at {path}")
    usual = camera.name if camera.kind == "zmq" else ""
    name = talk.ask("Its name, such as overhead or wrist; - leaves it out", usual or "-")
    if name != "-":
        found[name] = replace(camera, name=name, width=width, height=height)


def _grab(camera: CameraCfg) -> NDArray[np.uint8]:
    """A picture (H, W, 3) that is not the camera's very first one, which may be dark."""
    from vibrissa.real.sources import CameraTrouble, make_source

    source, picture = make_source(camera, any_size=True), None
    try:
        until_s = time.monotonic() + 10.0
        shots = 0
        while shots < 10 and time.monotonic() < until_s:
            grabbed = source.read(1.0)
            if grabbed is not None:
                picture, shots = grabbed.picture, shots + 1
    finally:
        source.close()
    if picture is None:
        raise CameraTrouble("no picture came within 10 s.")
    return picture


def _leave(cfg: Config, name: str, picture: NDArray[np.uint8]) -> Path:
    from vibrissa.show.video import to_png_bytes

    path = cfg.file.parent / f"{cfg.file.stem}-pictures" / f"{name}.png"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_png_bytes(picture))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def _teleop(cfg: Config, talk: Talk, rig: Rig) -> Rig:
    from vibrissa.commands import teleop
    from vibrissa.real.rig import save_rig

    if rig.leader is None:
        talk.tell("There is no leader. With keys: vibrissa teleop --pilot keyboard --config …")
        return rig
    save_rig(rig, cfg.file)
    talk.ask(f"The follower moves for {cfg.try_seconds:g} s. Clear its way, then press Enter")
    teleop.run(teleop.Config(config=cfg.file, seconds=cfg.try_seconds))
    return rig
