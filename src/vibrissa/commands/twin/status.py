"""How a running twin is: its joints, torque, errors, heat, faults and cameras."""

from __future__ import annotations

import json as json_
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vibrissa.commands.twin import folder_of


@dataclass(frozen=True)
class Config:
    """Which twin."""

    dir: Path | None = None
    """The twin's folder."""
    json: bool = False
    """Print it as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.twin.control import ask

    status = ask(folder_of(cfg.dir), {"do": "status"})
    if cfg.json:
        print(json_.dumps(status))
        return 0
    print(status["folder"])
    for name, arm in status["arms"].items():
        held = ", held by a hand" if arm["held"] else ""
        faults = "".join(f", fault: {fault['kind']}" for fault in arm["faults"])
        print(f"  {name}{held}{faults}")
        for joint, servo in arm["servos"].items():
            print(f"    {joint:<14}{_told(servo)}")
    for name, (x, y, z) in status["things"].items():
        print(f"  {name} at {x:.3f} {y:.3f} {z:.3f} m")
    for name, address in status["cameras"].items():
        print(f"  camera {name}: {address}")
    return 0


def _told(servo: dict[str, Any]) -> str:
    if not servo["plugged"]:
        return "not plugged in"
    torque = "torque on " if servo["torque"] else "torque off"
    wrong = f"  status 0x{servo['status']:02x}" if servo["status"] else ""
    return (
        f"id {servo['id']}  {servo['reads']:7.1f}  {servo['ticks']:5d} ticks  goal "
        f"{servo['goal']:5d}  {torque}  {servo['volts']:4.1f} V  {servo['celsius']:4.1f} °C{wrong}"
    )
