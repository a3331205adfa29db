"""One STS3215: its registers, what its motor does about them, and what it then reports.

The motor is a voltage across a resistance: duty × stall torque, less what its own turning takes
away. The firmware sets the duty from the distance to a set point that runs towards the goal.
Sources: the gain from tick to duty is the one that the Rhoban group measured on this servo with
an oscilloscope (BAM, `error_gain`); stall torque, speed and current are the datasheet's at 12 V.
The firmware's scale of D and I is not published: D is set so that P 16 and D 32 give the drag
that `vibrissa fit` found on a real arm (0.7 to 1 N m s/rad, docs/fit.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from vibrissa.twin.registers import Memory

TURN = 4096
RAD_A_TICK = 2 * math.pi / TURN
# Bits of the status byte, of Unloading_Condition and LED_Alarm_Condition.
VOLTAGE, SENSOR, HEAT, CURRENT, ANGLE, OVERLOAD = 1, 2, 4, 8, 16, 32
A_A_UNIT = 0.0065  # Present_Current, Protection_Current
FIRST_PRESENT = 56  # from this address on, registers say what is
WHOLE_TURNS = 0x10  # of Phase: positions go on past a turn
LEAST_V = 3.3  # of its processor, with the regulator's own need
MIDDLE = 128  # written to Torque_Enable: the present position becomes 2048


@dataclass(frozen=True)
class MotorCfg:
    """The electric and thermal side of an STS3215 (12 V, 1:345)."""

    volts: float = 12.0
    stall_nm: float = 2.94
    stall_a: float = 2.7
    free_rad_s: float = 4.71
    idle_a: float = 0.006
    cable_ohm: float = 0.12  # supply and daisy chain, for all six together
    gear_drag: float = 0.12  # N m s/rad, also without torque
    p_duty: float = 0.166  # duty a rad of error and a unit of P
    d_duty: float = 0.0016  # duty a rad/s and a unit of D
    i_duty: float = 0.05  # duty a rad s and a unit of I
    ambient_c: float = 25.0
    heat_j_c: float = 55.0  # J/K of the motor and its case
    cooling_s: float = 700.0

    @property
    def ohm(self) -> float:
        return self.volts / self.stall_a

    @property
    def back_emf(self) -> float:
        """N m s/rad that the turning motor loses while it is driven."""
        return self.stall_nm / self.free_rad_s


STS3215 = MotorCfg()


@dataclass(frozen=True)
class Drive:
    """What a servo does to its joint until it is asked again.

    torque = stiffness (target - angle) - damping · speed + bias, at most `most` (N m);
    `drag` (N m s/rad) is lost on top, whatever happens.
    """

    target_rad: float
    stiffness: float
    damping: float
    bias_nm: float
    most_nm: float
    drag: float


class Servo:
    """One servo on the bus, called by its joint. `mount` is what its encoder says at 0 rad.

    `beat` is called a few hundred times a second with what the joint does.
    """

    def __init__(
        self,
        joint: str,
        mount: int = 2048,
        flash: Mapping[str, int] | None = None,
        motor: MotorCfg = STS3215,
    ):
        self.joint, self.mount, self.motor = joint, mount, motor
        self.memory = Memory(flash)
        self.volts = motor.volts  # at its plug; 0 without one
        self.heat_c = motor.ambient_c
        self.amps = 0.0  # through the motor
        self.plugged = True  # into wire and power
        self.overload_forced = False  # a fault on purpose
        self._angle = self._speed = self._duty = 0.0
        self.power_on()

    def power_on(self) -> None:
        """As after a power cut: no torque, EPROM from flash, no error remembered."""
        self.memory.power_on()
        self._errors = 0
        self._point, self._pace = 0.0, 0.0  # the set point, ticks and ticks/s
        self._sum = 0.0  # of the error, rad s
        self._heavy_s = self._hot_a_s = 0.0
        self._tripped_side = 0.0
        self._registered: tuple[int, bytes] | None = None
        self.changed()

    def plug(self, plugged: bool) -> None:
        """Into the chain, or out of it."""
        self.plugged = plugged
        self.supply(self.motor.volts)

    def supply(self, volts: float) -> None:
        """What the chain has to give; below `LEAST_V` it starts afresh, its SRAM forgotten."""
        was, self.volts = self.powered, volts if self.plugged else 0.0
        if was != self.powered:
            self.power_on()

    @property
    def powered(self) -> bool:
        """Whether it can hear and speak."""
        return self.volts >= LEAST_V

    # What the bus does to it.

    @property
    def id(self) -> int:
        return self._id

    @property
    def status(self) -> int:
        """The status byte that goes with every answer."""
        return self._errors

    def read(self, address: int, length: int) -> bytes:
        """Registers as they are now."""
        if address + length > FIRST_PRESENT:
            self._report()
        return self.memory.read(address, length)

    def write(self, address: int, data: bytes) -> list[str]:
        """Registers as the bus writes them; the names of those that took it."""
        was_on = self.memory["Torque_Enable"]
        taken = self.memory.write(address, data)
        if "Torque_Enable" in taken:
            self._switch(bool(was_on))
        if "Goal_Position" in taken:
            self._release()
        self.changed()
        return taken

    def register(self, address: int, data: bytes) -> None:
        """REG_WRITE: keep it until ACTION."""
        self._registered = (address, data)
        self.memory["Asynchronous_Write"] = 1

    def action(self) -> list[str]:
        """ACTION: what was registered is written now."""
        if self._registered is None:
            return []
        waiting, self._registered = self._registered, None
        self.memory["Asynchronous_Write"] = 0
        return self.write(*waiting)

    def reset(self) -> None:
        """RESET: everything but the id as it left the factory."""
        burns = self.memory.burns
        self.memory = Memory({"ID": self.memory["ID"]})
        self.memory.burns = burns + 1
        self.power_on()

    def changed(self) -> None:
        """Look up again what the loop wants to know of the registers."""
        memory, motor = self.memory, self.motor
        self._id = memory["ID"]
        self._on = memory["Torque_Enable"] == 1
        self._p = memory["P_Coefficient"] * motor.p_duty
        self._d = memory["D_Coefficient"] * motor.d_duty
        self._i = memory["I_Coefficient"] * motor.i_duty
        self._limit = memory["Torque_Limit"] / 1000
        self._startup = memory["Minimum_Startup_Force"] / 1000
        self._dead = max(memory["CW_Dead_Zone"], memory["CCW_Dead_Zone"])
        self._mode = memory["Operating_Mode"]
        low, high = memory["Min_Position_Limit"], memory["Max_Position_Limit"]
        goal = memory["Goal_Position"]
        self._goal = goal if low == high == 0 else min(max(goal, low), high)
        free = motor.free_rad_s / RAD_A_TICK
        asked = memory["Goal_Velocity"]
        self._fastest = min(abs(asked), free) if asked else free
        self._speed_goal = max(-free, min(free, asked))
        self._accel = (memory["Acceleration"] or 0) * 100.0
        self._offset = memory["Homing_Offset"]
        self._turns = bool(memory["Phase"] & WHOLE_TURNS)

    # What the joint does to it.

    def ticks(self, angle_rad: float) -> float:
        """Where it reads itself, not yet rounded: 0..4096, unless Phase lets it count turns."""
        read = self.mount + angle_rad / RAD_A_TICK - self._offset
        return read if self._turns else read % TURN

    def beat(self, angle_rad: float, speed: float, torque_nm: float, dt: float) -> Drive:
        """One turn of the firmware's loop; torque_nm is what its drive gave since the last one."""
        self._angle, self._speed = angle_rad, speed
        here = self.ticks(angle_rad)
        self._feel(torque_nm, dt)
        if not self._on or self._cut():
            self._point, self._pace, self._sum = here, 0.0, 0.0
            return Drive(angle_rad, 0.0, 0.0, 0.0, 0.0, self.motor.gear_drag)
        if self._mode == 1:
            return self._turn(angle_rad, dt)
        return self._hold(angle_rad, here, dt)

    def _hold(self, angle_rad: float, here: float, dt: float) -> Drive:
        """Position mode: P, I and D about the set point."""
        motor = self.motor
        self._run(dt)
        error = (self._point - here) * RAD_A_TICK
        stall = motor.stall_nm * self.volts / motor.volts
        duty = self._p * error
        bias = 0.0
        if self._i:
            self._sum = max(-1.0, min(1.0, self._sum + error * dt))
            bias += self._i * self._sum
        if abs(self._point - here) > self._dead and abs(duty + bias) < self._startup:
            bias += math.copysign(self._startup, duty) - duty
        most = self._allowed() * stall
        drag = motor.gear_drag + motor.back_emf
        return Drive(angle_rad + error, self._p * stall, self._d * stall, bias * stall, most, drag)

    def _turn(self, angle_rad: float, dt: float) -> Drive:
        """Wheel mode: a speed is held, by a set point that runs ahead."""
        motor = self.motor
        self._pace += self._clip(self._speed_goal - self._pace, dt)
        stall = motor.stall_nm * self.volts / motor.volts
        gain = 10 * motor.back_emf
        bias = (gain + motor.back_emf) * self._pace * RAD_A_TICK
        drag = motor.gear_drag + motor.back_emf
        return Drive(angle_rad, 0.0, gain, bias, self._allowed() * stall, drag)

    def _run(self, dt: float) -> None:
        """The set point on its way to the goal, within speed and acceleration."""
        left = self._goal - self._point
        if self._accel:
            wanted = math.copysign(min(self._fastest, math.sqrt(2 * self._accel * abs(left))), left)
        else:
            wanted = math.copysign(self._fastest, left)
        self._pace += self._clip(wanted - self._pace, dt)
        step = self._pace * dt
        if abs(step) >= abs(left) and step * left >= 0:
            self._point, self._pace = float(self._goal), 0.0
        else:
            self._point += step

    def _clip(self, change: float, dt: float) -> float:
        if not self._accel:
            return change
        most = self._accel * dt
        return max(-most, min(most, change))

    def _switch(self, was_on: bool) -> None:
        """Torque was written: on holds where it is; 128 makes here the middle."""
        memory = self.memory
        if memory["Torque_Enable"] == MIDDLE:
            memory["Torque_Enable"] = int(was_on)
            raw = round(self.mount + self._angle / RAD_A_TICK) % TURN
            offset = raw - TURN // 2
            memory["Homing_Offset"] = offset
            memory.flash["Homing_Offset"] = memory["Homing_Offset"]
            memory.burns += 1
            self._offset = memory["Homing_Offset"]
        memory["Torque_Enable"] = min(memory["Torque_Enable"], 1)
        here = self.ticks(self._angle)
        if memory["Torque_Enable"] and not was_on:
            memory["Goal_Position"] = round(here) % TURN
            self._point, self._pace, self._sum = here, 0.0, 0.0
        if not memory["Torque_Enable"]:
            self._heavy_s = self._hot_a_s = 0.0
            self._errors &= ~(OVERLOAD | CURRENT)

    def _release(self) -> None:
        """A goal on the other side of what was pushed against ends the overload."""
        if self._errors & OVERLOAD:
            away = self.memory["Goal_Position"] - self.ticks(self._angle)
            if away * self._tripped_side < 0:
                self._errors &= ~OVERLOAD
                self._heavy_s = 0.0

    # What it watches.

    def _allowed(self) -> float:
        """The greatest duty now."""
        if self._errors & OVERLOAD:
            return min(self._limit, self.memory["Protective_Torque"] / 100)
        return self._limit

    def _cut(self) -> bool:
        """Whether an error takes the torque altogether."""
        return bool(self._errors & self.memory["Unloading_Condition"] & (HEAT | CURRENT | VOLTAGE))

    def _feel(self, torque_nm: float, dt: float) -> None:
        """Heat, current and load, and the errors they make."""
        motor, memory = self.motor, self.memory
        duty = torque_nm / (motor.stall_nm * self.volts / motor.volts) if self.volts else 0.0
        lost = motor.back_emf * self._speed if torque_nm else 0.0
        self.amps = abs(torque_nm - lost) / motor.stall_nm * motor.stall_a
        self._duty = duty
        warming = motor.ohm * self.amps**2 / motor.heat_j_c
        self.heat_c += dt * (warming - (self.heat_c - motor.ambient_c) / motor.cooling_s)
        self._mark(HEAT, self.heat_c > memory["Max_Temperature_Limit"])
        tenths = self.volts * 10
        out = tenths > memory["Max_Voltage_Limit"] or tenths < memory["Min_Voltage_Limit"]
        self._mark(VOLTAGE, out)
        heavy = abs(duty) * 100 >= memory["Overload_Torque"]
        self._heavy_s = self._heavy_s + dt if heavy else 0.0
        if self._heavy_s > memory["Protection_Time"] / 100 or self.overload_forced:
            if not self._errors & OVERLOAD:
                self._tripped_side = math.copysign(1.0, duty)
            self._errors |= OVERLOAD & memory["Unloading_Condition"]
        strong = self.amps / A_A_UNIT > memory["Protection_Current"]
        self._hot_a_s = self._hot_a_s + dt if strong else 0.0
        if self._hot_a_s > memory["Over_Current_Protection_Time"] / 100:
            self._errors |= CURRENT

    def _mark(self, bit: int, on: bool) -> None:
        self._errors = self._errors | bit if on else self._errors & ~bit

    def _report(self) -> None:
        """The present state as registers: made when somebody looks, because few beats are seen."""
        memory, speed = self.memory, self._speed
        here = round(self.ticks(self._angle))
        memory["Present_Position"] = here if self._turns else here % TURN
        memory["Present_Velocity"] = round(speed / RAD_A_TICK)
        memory["Present_Load"] = round(max(-1.0, min(1.0, self._duty)) * 1000)
        memory["Present_Voltage"] = max(0, min(255, round(self.volts * 10)))
        memory["Present_Temperature"] = round(self.heat_c)
        memory["Status"] = self._errors
        memory["Present_Current"] = round((self.amps + self.motor.idle_a) / A_A_UNIT)
        threshold = memory["Moving_Velocity_Threshold"] * 50
        memory["Moving"] = int(abs(speed) / RAD_A_TICK > threshold)
