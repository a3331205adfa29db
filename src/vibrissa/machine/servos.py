"""The six servos of an arm judged: who answers, at what voltage, how warm, with which numbers.

Registers by Feetech's STS memory table: model 3 (777 is an STS3215), firmware 0 and 1, voltage 62
in 0.1 V, temperature 63 in °C, status 65 bit by bit, their limits in 13 to 15. The STS3215 comes
for 7.4 V (data sheet: 4 to 7.4 V; the SO-101's 5 V supply is for it) and for 12 V.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vibrissa.core.errors import ArmFault
from vibrissa.core.units import JOINTS
from vibrissa.machine.calibrations import Calibration
from vibrissa.machine.facts import Trouble
from vibrissa.machine.joint_ranges import JointCalibration
from vibrissa.machine.lines import Line, broken, ok, warning

STS3215 = 777
STATUS = ("voltage", "encoder", "temperature", "current", "angle", "overload")  # bit 0 upwards
LOW_V, USB_V, TALL_V, TWELVE_V = 4.5, 5.6, 9.5, 10.5
UNEVEN_V = 0.6  # between the servos of one arm, at rest
WARM_C, HOT_MARGIN_C = 55, 5
SUPPLY_DO = (
    "a supply of 5 V and 4 A or more for one arm (12 V and 5 A for 12 V servos), short leads"
)


@dataclass(frozen=True)
class Servo:
    """What one servo says of itself. Limits are 0 where it has none; range in ticks."""

    model: int
    firmware: str
    volts: float
    temperature_c: int
    homing_offset: int
    range_min: int
    range_max: int
    least_volts: float = 4.0
    most_volts: float = 8.0
    most_c: int = 70
    status: int = 0

    @property
    def troubles(self) -> tuple[str, ...]:
        """What it complains of, by the bits of its status."""
        return tuple(name for bit, name in enumerate(STATUS) if name and self.status >> bit & 1)


Servos = Mapping[str, Servo | Trouble]


def ask_servos(read: Callable[[str, str], int]) -> dict[str, Servo | Trouble]:
    """Every joint's servo. `read(register, joint)` gives a register or raises ArmFault."""
    found: dict[str, Servo | Trouble] = {}
    for joint in JOINTS:
        try:
            found[joint] = _ask(read, joint)
        except ArmFault as silent:
            found[joint] = Trouble(str(silent))
    return found


def check_servos(arm: str, servos: Servos, file: Calibration | None = None) -> list[Line]:
    """A line a servo, and what is odd about them together.

    arm: how it is called. file: the calibration that a program would use, to be compared.
    """
    there = {joint: servo for joint, servo in servos.items() if isinstance(servo, Servo)}
    lines = [*_missing(arm, servos), *(_servo(arm, joint, there[joint]) for joint in there)]
    if there:
        lines += [*_firmware(arm, there), *_uneven(arm, there)]
    if file is not None and there:
        lines += _registers(arm, there, file)
    return lines


def _ask(read: Callable[[str, str], int], joint: str) -> Servo:
    def ask(register: str) -> int:
        return read(register, joint)

    return Servo(
        model=ask("Model_Number"),
        firmware=f"{ask('Firmware_Major_Version')}.{ask('Firmware_Minor_Version')}",
        volts=ask("Present_Voltage") / 10,
        temperature_c=ask("Present_Temperature"),
        homing_offset=ask("Homing_Offset"),
        range_min=ask("Min_Position_Limit"),
        range_max=ask("Max_Position_Limit"),
        least_volts=ask("Min_Voltage_Limit") / 10,
        most_volts=ask("Max_Voltage_Limit") / 10,
        most_c=ask("Max_Temperature_Limit"),
        status=ask("Status"),
    )


def _missing(arm: str, servos: Servos) -> list[Line]:
    silent = [joint for joint in JOINTS if not isinstance(servos.get(joint), Servo)]
    if not silent:
        return []
    if len(silent) == len(JOINTS):
        do = (
            "switch its supply on (USB does not feed the servos), see that the adapter's jumper "
            "stands for USB and the first cable is in; new servos need ids: vibrissa setup"
        )
        return [broken(arm, "no servo answers", do)]
    told = f"{', '.join(f'{joint} (id {_id(joint)})' for joint in silent)}: no answer"
    first = JOINTS.index(silent[0])
    if first and silent == list(JOINTS[first:]):
        do = (
            f"look at the cable from {JOINTS[first - 1]} to {JOINTS[first]}, where the chain ends; "
            "or two servos have one id: vibrissa setup"
        )
    else:
        do = "it may have another servo's id, or none: vibrissa setup; else see its two cables"
    return [broken(arm, told, do)]


def _servo(arm: str, joint: str, servo: Servo) -> Line:
    told = f"{servo.volts:.1f} V, {servo.temperature_c} °C, firmware {servo.firmware}"
    about = f"{arm} {joint}"
    if servo.model != STS3215:
        do = "an SO-101 has STS3215 servos, and LeRobot refuses another"
        return broken(about, f"model {servo.model} rather than {STS3215}; {told}", do)
    volts = _volts(about, told, servo)
    if volts is not None and volts.state == "broken":  # why it complains
        return volts
    if servo.troubles:
        do = "switch its supply off and on; where it comes back, see load, cables and supply"
        return broken(about, f"it complains of {', '.join(servo.troubles)}; {told}", do)
    return volts or _heat(about, told, servo) or ok(about, told)


def _volts(about: str, told: str, servo: Servo) -> Line | None:
    """Which supply this is, and whether it holds. 12 V servos bear 14 V, the others 8."""
    if servo.most_volts and servo.volts > servo.most_volts:
        do = f"switch it off: it bears {servo.most_volts:g} V; see which supply is plugged in"
        return broken(about, told, do)
    if servo.volts < max(servo.least_volts, 0.1):
        do = f"below the {servo.least_volts:g} V at which it stops: {SUPPLY_DO}"
        return broken(about, told, do)
    if servo.volts < LOW_V:
        return warning(about, told, f"low for a 5 V supply, it will sag under load: {SUPPLY_DO}")
    if servo.most_volts > TALL_V and USB_V < servo.volts < TWELVE_V:
        return warning(about, told, f"a 12 V servo, and no 12 V: {SUPPLY_DO}")
    if servo.most_volts > TALL_V and servo.volts <= USB_V:
        return warning(about, told, "a 12 V servo on 5 V has less than half its strength")
    return None


def _heat(about: str, told: str, servo: Servo) -> Line | None:
    if servo.most_c and servo.temperature_c >= servo.most_c - HOT_MARGIN_C:
        do = f"let it cool: at {servo.most_c} °C it takes its torque away, and the arm falls"
        return broken(about, told, do)
    if servo.temperature_c >= WARM_C:
        return warning(about, told, "warm: let it rest, and see what it holds or rubs against")
    return None


def _firmware(arm: str, servos: Mapping[str, Servo]) -> list[Line]:
    versions = [servo.firmware for servo in servos.values()]
    if len(set(versions)) == 1:
        return []
    usual = max(set(versions), key=versions.count)
    other = ", ".join(f"{j} {s.firmware}" for j, s in servos.items() if s.firmware != usual)
    do = "LeRobot refuses this: give all the same with Feetech's FD program (Windows)"
    return [broken(arm, f"firmware {usual}, but {other}", do)]


def _uneven(arm: str, servos: Mapping[str, Servo]) -> list[Line]:
    low = min(servos, key=lambda joint: servos[joint].volts)
    high = max(servos, key=lambda joint: servos[joint].volts)
    if servos[high].volts - servos[low].volts <= UNEVEN_V:
        return []
    told = f"{servos[high].volts:.1f} V at {high}, but {servos[low].volts:.1f} V at {low}"
    return [warning(arm, told, f"a bad contact or a thin cable between {high} and {low}")]


def _registers(arm: str, servos: Mapping[str, Servo], file: Calibration) -> list[Line]:
    """Do the servos hold what the file says? Otherwise degrees mean something else."""
    other = [
        _difference(joint, servo, file[joint])
        for joint, servo in servos.items()
        if joint in file and _difference(joint, servo, file[joint])
    ]
    about = f"{arm} calibration"
    if not other:
        return [ok(about, "the servos hold the numbers of the file")]
    more = f" and {len(other) - 2} joints more" if len(other) > 2 else ""
    told = f"the servos hold other numbers than the file: {'; '.join(other[:2])}{more}"
    do = "calibrated since, or another arm's file: name the right one, or calibrate: vibrissa setup"
    return [broken(about, told, do)]


def _difference(joint: str, servo: Servo, file: JointCalibration) -> str:
    """What differs for one joint, "" for nothing."""
    pairs = {
        "offset": (servo.homing_offset, file.homing_offset),
        "range_min": (servo.range_min, file.range_min),
        "range_max": (servo.range_max, file.range_max),
    }
    odd = [f"{name} {held}, file {told}" for name, (held, told) in pairs.items() if held != told]
    return f"{joint} {', '.join(odd)}" if odd else ""


def _id(joint: str) -> int:
    return JOINTS.index(joint) + 1
