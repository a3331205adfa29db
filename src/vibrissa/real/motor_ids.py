"""A servo's id, given while it is alone on the wire: from the factory they are all number 1."""

from __future__ import annotations

import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vibrissa.core.errors import ArmFault
from vibrissa.core.units import JOINTS
from vibrissa.real.bus import MODEL, ServoBus, joint_bus

STS3215 = 777


def answering(port: str) -> list[str]:
    """The joints whose ids answer on the bus, whole arm or not. Raises PortGone."""
    bus = ServoBus(port, f"the arm on {port}")
    bus.open()
    try:
        return [joint for joint in JOINTS if bus.ping(joint, quick=True) is not None]
    finally:
        bus.close()


def give_id(port: str, joint: str) -> int:
    """Make the one servo on the wire the joint's; its id before. As LeRobot's setup does.

    Raises ArmFault where none, or more than one, or another model answers.
    """
    with _opened(port) as bus:
        baudrate, found = _only_one(bus, port, joint)
        (before, model), *_ = found.items()
        if model != STS3215:
            raise ArmFault(f"{port}: this servo is model {model}; an SO-101 has STS3215 (777).")
        bus.setup_motor(joint, baudrate, before)
        if bus.ping(joint) != STS3215:
            raise ArmFault(f"{port}: the servo does not answer as {joint}. Do this step again.")
        return int(before)


def _only_one(bus: Any, port: str, joint: str) -> tuple[int, dict[int, int]]:
    """The baud rate at which a servo answers, and {its id: its model}."""
    for baudrate in bus.model_baudrate_table[MODEL]:
        bus.set_baudrate(baudrate)
        found = bus.broadcast_ping()
        if found and len(found) > 1:
            ids = ", ".join(map(str, sorted(found)))
            raise ArmFault(
                f"{port}: {len(found)} servos answer (ids {ids}). Plug in the {joint} servo alone: "
                "all others off the wire."
            )
        if found:
            return baudrate, found
    raise ArmFault(
        f"{port}: no servo answers. Is the {joint} servo on the controller, and its power on?"
    )


@contextmanager
def _opened(port: str) -> Iterator[Any]:
    """LeRobot's bus on an open port, without its greeting: the arm is not whole."""
    bus = joint_bus(port)
    try:
        bus.connect(handshake=False)
        yield bus
    except (OSError, RuntimeError, termios.error) as error:  # LeRobot's ConnectionError is one
        raise ArmFault(f"{port}: {error}") from error
    finally:
        if bus.port_handler.is_open:
            bus.port_handler.closePort()
