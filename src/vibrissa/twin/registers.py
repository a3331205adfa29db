"""The memory of one STS3215: what stands at which address, and what survives a power cut.

Addresses, sizes and ranges are those of Feetech's memory table for the STS series, names those
of LeRobot's `motors/feetech/tables.py`. A word is little-endian; a sign is a bit of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vibrissa.core.errors import UsageError

SIZE = 128  # bytes that can be addressed; what the table does not name reads as 0
MODEL = 777  # of an STS3215: bytes 9 and 3


@dataclass(frozen=True)
class Register:
    """One entry of the table. low, high: what a write may hold; None for read-only."""

    name: str
    address: int
    size: int
    default: int
    low: int | None = None
    high: int | None = None
    sign_bit: int | None = None

    @property
    def kept(self) -> bool:
        """Whether it is EPROM, which a power cut does not take."""
        return self.address < 40 and self.low is not None

    def encode(self, value: int) -> bytes:
        """The value as the bytes that stand in memory, a sign in its own bit."""
        if self.sign_bit is not None:
            value = min(abs(value), (1 << self.sign_bit) - 1) | (value < 0) << self.sign_bit
        return (value & 0xFFFF).to_bytes(2, "little")[: self.size]

    def decode(self, raw: bytes) -> int:
        """The inverse of `encode`."""
        value = int.from_bytes(raw, "little")
        if self.sign_bit is None:
            return value
        size = value & ((1 << self.sign_bit) - 1)
        return -size if value >> self.sign_bit & 1 else size


# fmt: off
TABLE: tuple[Register, ...] = (
    Register("Firmware_Major_Version", 0, 1, 3),
    Register("Firmware_Minor_Version", 1, 1, 10),
    Register("Model_Number", 3, 2, MODEL),
    Register("ID", 5, 1, 1, 0, 253),
    Register("Baud_Rate", 6, 1, 0, 0, 7),
    Register("Return_Delay_Time", 7, 1, 250, 0, 254),             # 2 us
    Register("Response_Status_Level", 8, 1, 1, 0, 1),
    Register("Min_Position_Limit", 9, 2, 0, 0, 4095),
    Register("Max_Position_Limit", 11, 2, 4095, 0, 4095),
    Register("Max_Temperature_Limit", 13, 1, 70, 0, 100),         # degrees C
    Register("Max_Voltage_Limit", 14, 1, 140, 0, 254),            # 0.1 V
    Register("Min_Voltage_Limit", 15, 1, 40, 0, 254),
    Register("Max_Torque_Limit", 16, 2, 1000, 0, 1000),           # of 1000; 48 starts as it
    Register("Phase", 18, 1, 12, 0, 254),
    Register("Unloading_Condition", 19, 1, 44, 0, 254),           # which errors take the torque
    Register("LED_Alarm_Condition", 20, 1, 47, 0, 254),
    Register("P_Coefficient", 21, 1, 32, 0, 254),
    Register("D_Coefficient", 22, 1, 32, 0, 254),
    Register("I_Coefficient", 23, 1, 0, 0, 254),
    Register("Minimum_Startup_Force", 24, 2, 16, 0, 1000),
    Register("CW_Dead_Zone", 26, 1, 1, 0, 32),
    Register("CCW_Dead_Zone", 27, 1, 1, 0, 32),
    Register("Protection_Current", 28, 2, 500, 0, 511),           # 6.5 mA
    Register("Angular_Resolution", 30, 1, 1, 1, 100),
    Register("Homing_Offset", 31, 2, 0, -2047, 2047, 11),
    Register("Operating_Mode", 33, 1, 0, 0, 3),
    Register("Protective_Torque", 34, 1, 20, 0, 254),             # percent, once overload tripped
    Register("Protection_Time", 35, 1, 200, 0, 254),              # 10 ms
    Register("Overload_Torque", 36, 1, 80, 0, 254),               # percent
    Register("Velocity_closed_loop_P_proportional_coefficient", 37, 1, 10, 0, 254),
    Register("Over_Current_Protection_Time", 38, 1, 200, 0, 254),
    Register("Velocity_closed_loop_I_integral_coefficient", 39, 1, 10, 0, 254),
    Register("Torque_Enable", 40, 1, 0, 0, 128),                  # 128: here is the middle
    Register("Acceleration", 41, 1, 0, 0, 254),                   # 100 ticks/s^2, 0 none
    Register("Goal_Position", 42, 2, 0, -32767, 32767, 15),
    Register("Goal_Time", 44, 2, 0, 0, 0x7FFF),
    Register("Goal_Velocity", 46, 2, 0, -32767, 32767, 15),       # ticks/s, 0 as fast as it can
    Register("Torque_Limit", 48, 2, 1000, 0, 1000),
    Register("Lock", 55, 1, 0, 0, 1),
    Register("Present_Position", 56, 2, 0, sign_bit=15),
    Register("Present_Velocity", 58, 2, 0, sign_bit=15),
    Register("Present_Load", 60, 2, 0, sign_bit=10),              # duty of 1000
    Register("Present_Voltage", 62, 1, 120),
    Register("Present_Temperature", 63, 1, 25),
    Register("Asynchronous_Write", 64, 1, 0),
    Register("Status", 65, 1, 0),
    Register("Moving", 66, 1, 0),
    Register("Present_Current", 69, 2, 0),                        # 6.5 mA
    Register("Goal_Position_2", 71, 2, 0),
    Register("Moving_Velocity_Threshold", 80, 1, 1, 0, 254),
    Register("DTs", 81, 1, 4, 0, 254),
    Register("Velocity_Unit_factor", 82, 1, 50, 0, 254),
    Register("Hts", 83, 1, 0, 0, 254),
    Register("Maximum_Velocity_Limit", 84, 1, 0, 0, 254),
    Register("Maximum_Acceleration", 85, 1, 0, 0, 254),
    Register("Acceleration_Multiplier", 86, 1, 1, 0, 254),
)
# fmt: on
BY_NAME = {register.name: register for register in TABLE}
BY_ADDRESS = {register.address: register for register in TABLE}


class Memory:
    """The bytes of one servo. EPROM is written to `flash` as well, while the lock is open.

    `flash` is what a power cut leaves: names and values, as `restored` takes them.
    """

    def __init__(self, flash: Mapping[str, int] | None = None):
        self._bytes = bytearray(SIZE)
        self.burns = 0  # how often flash was written
        self.flash = {r.name: r.default for r in TABLE if r.kept}
        for name, value in (flash or {}).items():
            if name not in self.flash:
                raise UsageError(f"no EPROM register {name!r} in a servo's kept memory.")
            self.flash[name] = int(value)
        self.power_on()

    def power_on(self) -> None:
        """Everything as it is after the power came: EPROM from flash, the rest from the table."""
        for register in TABLE:
            self[register.name] = self.flash.get(register.name, register.default)
        self["Torque_Limit"] = self["Max_Torque_Limit"]

    def __getitem__(self, name: str) -> int:
        register = BY_NAME[name]
        raw = self._bytes[register.address : register.address + register.size]
        return register.decode(bytes(raw))

    def __setitem__(self, name: str, value: int) -> None:
        register = BY_NAME[name]
        self._bytes[register.address : register.address + register.size] = register.encode(value)

    def read(self, address: int, length: int) -> bytes:
        """What stands there; zeros beyond the end."""
        return bytes(self._bytes[address : address + length]).ljust(length, b"\0")

    def write(self, address: int, data: bytes) -> list[str]:
        """Write as the bus does, and say which registers changed hands.

        What is read-only, out of range or half a word is left as it was, without a word: so does
        the servo.
        """
        taken = []
        at = 0
        while at < len(data):
            register = BY_ADDRESS.get(address + at)
            if register is None or at + register.size > len(data):
                at += 1
                continue
            value = register.decode(data[at : at + register.size])
            at += register.size
            if register.low is None or not register.low <= value <= (register.high or 0):
                continue
            self[register.name] = value
            taken.append(register.name)
            if register.kept and not self["Lock"]:
                self.flash[register.name] = value
                self.burns += 1
        return taken
