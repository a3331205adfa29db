"""The first words with an arm: is everybody there, is it this arm, and is it set as it must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault
from vibrissa.core.units import JOINTS
from vibrissa.real.bus import ServoBus, calibration_of
from vibrissa.real.calibration import Calibration, require_same
from vibrissa.real.rig import ArmCfg

TRIPPED = 8 | 32  # current and overload, among the flags of the register Status
MODEL_NUMBER = 777  # STS3215
# An STS3215 runs from 4 to 7.4 V or to 12 V; LeRobot's kits have a 5 V or a 12 V supply. Below
# 4.5 V a loaded joint sags before it moves. In tenths of a volt, as the servo tells it.
LEAST_VOLTAGE, MOST_VOLTAGE = 45, 135
HAND_TICKS_S = 341  # 30 °/s, for a servo that turns back into its range by itself


@dataclass(frozen=True)
class Examined:
    """What somebody makes of an arm's servos: what forbids to use them, and what is to be said."""

    refused: Sequence[str] = field(default=())
    warned: Sequence[str] = field(default=())


# Judges servos by their registers: it is given a function of a register's name and a joint's.
Examine = Callable[[Callable[[str, str], int]], Examined]


def unexamined(_read: Callable[[str, str], int]) -> Examined:
    """For programs that bring nobody who judges."""
    return Examined()


def greet(
    bus: ServoBus, calibration: Calibration, examine: Examine = unexamined
) -> tuple[str, ...]:
    """Check the servos behind an open port; what is unusual but no reason to stop, a line each.

    Raises ArmFault, one line with every name, for servos that are missing, of another model, of
    different firmware, without enough voltage, with another calibration, or that `examine`
    refuses: on a supply that they do not bear, with a fault that they report, too hot.
    """
    _require_all(bus)
    _require_one_firmware(bus)
    warned = (*_voltages(bus), *_examined(bus, examine))
    require_same(calibration, calibration_of(bus), bus.what)
    return warned


def configure(bus: ServoBus, cfg: ArmCfg) -> None:
    """The settings of a follower, as LeRobot's `SO101Follower.configure` has them.

    Only what differs is written: an arm that holds already (after a cable was put back) is set
    without taking its torque, and so does not fall.
    """
    for register, values in _wanted(cfg).items():
        found = bus.read_all(register)
        for i, joint in enumerate(JOINTS):
            if joint in values and int(found[i]) != values[joint]:
                _set(bus, register, joint, values[joint])
    for i, phase in enumerate(bus.read_all("Phase")):
        if phase & 0x10:  # otherwise positions may come out negative, as LeRobot found
            _set(bus, "Phase", JOINTS[i], int(phase) & ~0x10)


def take_torque(bus: ServoBus, slow: NDArray[np.bool_] | None = None) -> None:
    """Make every servo hold where it is.

    The goal goes first: a servo whose torque comes on turns to whatever goal it was left with.
    slow: joints (6,) outside their range, to which a servo goes back whatever its goal is: they do
    so at a hand's speed, until `at_full_speed`.
    """
    here = bus.read_all("Present_Position")
    on, locked = bus.read_all("Torque_Enable"), bus.read_all("Lock")
    tripped = bus.read_all("Status") & TRIPPED
    for i, joint in enumerate(JOINTS):
        if tripped[i]:  # only torque off ends it; it had next to none
            bus.write("Torque_Enable", joint, 0)
        if not on[i] or tripped[i]:
            if slow is not None and slow[i]:
                bus.write("Goal_Velocity", joint, HAND_TICKS_S)
            bus.write("Goal_Position", joint, int(np.clip(here[i], 0, 4095)))
            bus.write("Torque_Enable", joint, 1)
        if not locked[i]:
            bus.write("Lock", joint, 1)


def at_full_speed(bus: ServoBus) -> None:
    """Take back what `take_torque` set for joints outside their range."""
    for joint, speed in zip(JOINTS, bus.read_all("Goal_Velocity"), strict=True):
        if speed:
            bus.write("Goal_Velocity", joint, 0)


def limp(bus: ServoBus) -> list[str]:
    """The joints whose servo has no torque."""
    on = bus.read_all("Torque_Enable")
    return [joint for joint, its in zip(JOINTS, on, strict=True) if not its]


def _wanted(cfg: ArmCfg) -> dict[str, Mapping[str, int]]:
    """register → joint → value."""
    gripper = {
        "Max_Torque_Limit": cfg.gripper_torque,
        "Protection_Current": 250,  # half: a gripper that stays blocked burns out
        "Overload_Torque": 25,  # percent, once it is overloaded
    }
    everyone = {
        "Return_Delay_Time": 0,
        "Maximum_Acceleration": 254,
        "Acceleration": 254,
        "Operating_Mode": 0,  # position
        "P_Coefficient": cfg.p,
        "I_Coefficient": cfg.i,
        "D_Coefficient": cfg.d,
    }
    wanted: dict[str, Mapping[str, int]] = {
        register: dict.fromkeys(JOINTS, value) for register, value in everyone.items()
    }
    wanted |= {register: {"gripper": value} for register, value in gripper.items()}
    # What is in force: a servo copies its maximum into it when it gets power, and not before.
    wanted["Torque_Limit"] = dict.fromkeys(JOINTS, 1000) | {"gripper": cfg.gripper_torque}
    return wanted


def _set(bus: ServoBus, register: str, joint: str, value: int) -> None:
    """Write one setting into the servo's permanent memory, and see that it is there."""
    bus.write("Lock", joint, 0)
    bus.write(register, joint, value)
    found = bus.read(register, joint)
    if found != value:
        raise ArmFault(f"{bus.what}: {joint} does not take {register} {value}; it stays {found}.")


def _require_all(bus: ServoBus) -> None:
    models = {joint: bus.ping(joint) for joint in JOINTS}
    missing = [_named(joint) for joint, model in models.items() if model is None]
    if len(missing) == len(JOINTS):
        raise ArmFault(
            f"{bus.what}: no servo answers on {bus.port}. Is the arm's power on, and is this the "
            "right port? vibrissa doctor --hardware tries them all."
        )
    if missing:
        raise ArmFault(
            f"{bus.what}: no answer from {', '.join(missing)}. Check the cable before the first "
            "one that is silent; a servo that never had its id set: vibrissa setup."
        )
    wrong = [f"{_named(j)} is model {m}" for j, m in models.items() if m != MODEL_NUMBER]
    if wrong:
        raise ArmFault(f"{bus.what}: {', '.join(wrong)}; an SO-101 has STS3215 ({MODEL_NUMBER}).")


def _require_one_firmware(bus: ServoBus) -> None:
    major, minor = bus.read_all("Firmware_Major_Version"), bus.read_all("Firmware_Minor_Version")
    versions = [f"{a}.{b}" for a, b in zip(major, minor, strict=True)]
    if len(set(versions)) > 1:
        told = ", ".join(f"{joint} {v}" for joint, v in zip(JOINTS, versions, strict=True))
        raise ArmFault(
            f"{bus.what}: its servos have different firmware: {told}. Update them with Feetech's "
            "own program (feetechrc.com/software), all to the same."
        )


def _voltages(bus: ServoBus) -> tuple[str, ...]:
    volts = bus.read_all("Present_Voltage")
    low = [f"{j} {v / 10:.1f} V" for j, v in zip(JOINTS, volts, strict=True) if v < LEAST_VOLTAGE]
    if low:
        raise ArmFault(
            f"{bus.what}: too little voltage: {', '.join(low)}; at least {LEAST_VOLTAGE / 10} V. "
            "Check the power supply and its plug."
        )
    high = [f"{j} {v / 10:.1f} V" for j, v in zip(JOINTS, volts, strict=True) if v > MOST_VOLTAGE]
    return (f"{bus.what}: high voltage: {', '.join(high)}",) if high else ()


def _examined(bus: ServoBus, examine: Examine) -> tuple[str, ...]:
    """Have the servos judged; one question for each register. Raises ArmFault."""
    known: dict[str, NDArray[np.int64]] = {}
    bus.present()  # every answer carries the flags of its servo
    errors = bus.errors

    def read(register: str, joint: str) -> int:
        if register not in known:
            values = bus.read_all(register)
            # What a new torque ends is no reason not to give it.
            known[register] = (values | errors) & ~TRIPPED if register == "Status" else values
        return int(known[register][JOINTS.index(joint)])

    found = examine(read)
    if found.refused:
        raise ArmFault(f"{bus.what}: {'; '.join(found.refused)}")
    return tuple(f"{bus.what}: {line}" for line in found.warned)


def _named(joint: str) -> str:
    return f"{joint} (id {JOINTS.index(joint) + 1})"
