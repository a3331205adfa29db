"""The first words with an arm: is everybody there, is it this arm, and is it set as it must be."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

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


def greet(bus: ServoBus, calibration: Calibration) -> tuple[str, ...]:
    """Check the servos behind an open port; what is odd but no reason to stop, a line each.

    Raises ArmFault, one line with every name, for servos that are missing, of another model, of
    different firmware, without enough voltage, or with another calibration.
    """
    _require_all(bus)
    _require_one_firmware(bus)
    odd = _voltages(bus)
    require_same(calibration, calibration_of(bus))
    return odd


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


def take_torque(bus: ServoBus) -> None:
    """Make every servo hold where it is.

    The goal goes first: a servo whose torque comes on turns to whatever goal it was left with.
    """
    here = bus.read_all("Present_Position")
    on, locked = bus.read_all("Torque_Enable"), bus.read_all("Lock")
    tripped = bus.read_all("Status") & TRIPPED
    for i, joint in enumerate(JOINTS):
        if tripped[i]:  # only torque off ends it; it had next to none
            bus.write("Torque_Enable", joint, 0)
        if not on[i] or tripped[i]:
            bus.write("Goal_Position", joint, int(np.clip(here[i], 0, 4095)))
            bus.write("Torque_Enable", joint, 1)
        if not locked[i]:
            bus.write("Lock", joint, 1)


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
    return (f"{bus.what}: much voltage: {', '.join(high)}",) if high else ()


def _named(joint: str) -> str:
    return f"{joint} (id {JOINTS.index(joint) + 1})"
