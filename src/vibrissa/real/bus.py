"""Six servos on one port, through LeRobot's own driver: bounded in time, and told by name.

The driver gives an unanswered packet 50 ms. A request is asked again a bounded number of times,
and for `PATIENT_S` at least: so long may a hub or a busy computer be away. No answer says which
question it belongs to, so one that comes late must not be taken for the next one's: between two
questions of different kinds the line is given time to fall silent.
"""

from __future__ import annotations

import logging
import os
import termios
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault
from vibrissa.core.units import JOINTS
from vibrissa.real.calibration import Calibration

MODEL = "sts3215"
PATIENT_S = 0.25  # in the loop; the arm holds its last target meanwhile
CALM_S = 1.0  # outside of it
QUIET_S = 0.1  # after a lost answer, how late it may still come
PRESENT, SENSES = 56, 15  # the registers from Present_Position to Present_Current
SALTS = 8  # by fewer bytes than that a question is longer than it need be
LONGEST = 64  # more than any answer's data
IDS = range(1, len(JOINTS) + 1)
POLL_S = 0.002  # the driver looks for bytes that often; by itself it would spin a whole core


class PortGone(ArmFault):
    """The port is not there (any more): cable, hub or power of the adapter."""


class Silent(ArmFault):
    """Servos that do not answer, or only with broken packets."""


class ServoBus:
    """LeRobot's `FeetechMotorsBus` with the arm's six servos, ids 1 to 6. Of one thread.

    what: how the arm is called in messages. retries: how often a request is asked again.
    """

    def __init__(self, port: str, what: str, *, retries: int = 2):
        self.port, self.what, self._retries = port, what, retries
        self._driver: Any = None
        self.trouble = 0  # requests that had to be asked again
        self._salt, self._lost_s = 0, float("-inf")
        self.errors = np.zeros(len(JOINTS), np.int64)  # the error byte of each servo's last answer

    @property
    def is_open(self) -> bool:
        return self._driver is not None and self._driver.port_handler.is_open

    def open(self) -> None:
        """Open the port, for this program alone. Raises PortGone with what to do."""
        if self._driver is None:
            self._driver = joint_bus(self.port)
        handler = self._driver.port_handler
        try:
            if not os.path.exists(self.port):
                raise FileNotFoundError(2, "no such port", self.port)
            handler.openPort()
            handler.ser.timeout = POLL_S
            handler.ser.exclusive = True
        except (OSError, termios.error) as error:
            self.close()
            raise PortGone(f"{self.what}: {self.port}: {_why(error)}") from error

    def close(self) -> None:
        """Let the port go; never raises."""
        if self._driver is None or self._driver.port_handler.ser is None:
            return
        try:
            self._driver.port_handler.closePort()
        except (OSError, termios.error):  # a port that vanished need not be closed
            self._driver.port_handler.is_open = False

    def ping(self, joint: str, *, quick: bool = False) -> int | None:
        """The model number of a servo, None where nobody answers.

        quick: it is asked once and nobody waits; whether it lives is sure, its model is not.
        """
        ask = partial(self._synced, "Model_Number", [joint])
        try:
            found = self._ask(ask, joint, 0 if quick else 2, waits=not quick, calm_s=PATIENT_S)
            return int(found[joint])
        except Silent:
            return None

    def read(self, register: str, joint: str) -> int:
        """One register of one servo, its sign decoded.

        Asked as a synchronous read of one: there the driver hands out the value even when the
        servo tells of an overload in the same packet.
        """
        ask = partial(self._synced, register, [joint])
        return int(self._ask(ask, f"{joint}, {register}")[joint])

    def write(self, register: str, joint: str, value: int, *, retries: int | None = None) -> None:
        """Set one register of one servo, acknowledged."""
        ask = partial(self._driver.write, register, joint, value, normalize=False)
        self._ask(ask, f"{joint}, {register}", retries, waits=False)

    def read_all(self, register: str) -> NDArray[np.int64]:
        """The same register of all six (6,), in `JOINTS` order, in one exchange."""
        found = self._ask(partial(self._synced, register), register)
        return np.array([found[name] for name in JOINTS], np.int64)

    def present(self, length: int = SENSES) -> NDArray[np.uint8]:
        """What all six sense now: `length` bytes (6, length) from Present_Position on.

        For the loop: nobody waits for the line to fall silent here. Instead each question asks
        for another number of bytes than the last ones, and answers of another length are old.
        """
        self._salt = (self._salt + 1) % SALTS
        return self._ask(partial(self._sensed, length), "positions", waits=False)

    def write_all(self, register: str, values: NDArray[np.integer]) -> None:
        """Set the same register of all six (6,); nobody acknowledges it."""
        wanted = dict(zip(JOINTS, map(int, values), strict=True))
        ask = partial(self._driver.sync_write, register, wanted, normalize=False)
        self._ask(ask, register, waits=False)

    def silent(self) -> list[str]:
        """The joints whose servos do not answer now, asked twice: 0.1 s for each that is silent."""
        lost = [name for name in JOINTS if self.ping(name, quick=True) is None]
        return [name for name in lost if self.ping(name, quick=True) is None]

    def torque_off(self) -> list[str]:
        """Take the torque servo by servo, whoever is silent; the troubles met, none if all well."""
        told = []
        for name in JOINTS:
            try:
                self.write("Torque_Enable", name, 0, retries=5)  # LeRobot's own patience here
                self.write("Lock", name, 0, retries=5)
            except PortGone as gone:
                return [*told, str(gone)]
            except ArmFault:
                told.append(f"{name} does not answer and may still hold")
        return told

    def _synced(self, register: str, joints: list[str] | None = None) -> Mapping[str, int]:
        found = self._driver.sync_read(register, joints, normalize=False)
        self._require_whole()
        return found

    def _sensed(self, length: int) -> NDArray[np.uint8]:
        """The driver hands out four bytes at most; the reader beneath it has them all."""
        reader, packets = self._driver.sync_reader, self._driver.packet_handler
        asked = length + self._salt
        reader.clearParam()
        reader.start_address, reader.data_length = PRESENT, asked
        for id in IDS:
            reader.addParam(id)
        result = reader.txPacket()
        rows = []
        errors = []
        for id in IDS:
            data: list[int] = []
            error = 0
            while result == 0 and len(data) != asked + 1:  # what follows the data is the checksum
                data, result, error = packets.readRx(self._driver.port_handler, id, LONGEST)
            rows.append(data[:length])
            errors.append(error)
        if result != 0:
            raise ConnectionError(packets.getTxRxResult(result))
        self.errors = np.array(errors, np.int64)
        return np.array(rows, np.uint8)

    def _require_whole(self) -> None:
        """An acknowledgement that comes late is a packet without data, and would be read as 0."""
        reader = self._driver.sync_reader
        if any(len(data) != reader.data_length for data in reader.data_dict.values()):
            raise ConnectionError("an answer of another length")

    def _ask(
        self,
        call: Callable[[], Any],
        what: str,
        retries: int | None = None,
        *,
        waits: bool = True,
        calm_s: float = CALM_S,
    ) -> Any:
        """`call`, again where the answer is lost or broken. Raises PortGone or Silent.

        waits: for the line to fall silent after a loss, before something else is asked.
        """
        if not self.is_open:
            raise PortGone(f"{self.what}: {self.port} is not open.")
        most = self._retries if retries is None else retries
        began_s, tries, patient_s = time.monotonic(), 0, calm_s if waits else PATIENT_S
        while True:
            try:
                self._clear(waits)
                return call()
            except RuntimeError as flag:  # it answered, and told of an overload or the like
                logging.getLogger(__name__).debug("%s: %s", what, flag)
                return None
            except ConnectionError as lost:
                tries += 1
                self.trouble, self._lost_s = self.trouble + 1, time.monotonic()
                self._salt = (self._salt + 1) % SALTS
                if tries > most and (retries == 0 or self._lost_s - began_s > patient_s):
                    raise Silent(
                        f"{self.what}: no answer ({what}). Check the cable and the power."
                    ) from lost
            except (OSError, termios.error) as gone:
                raise PortGone(
                    f"{self.what}: {self.port} vanished. Check cable, hub and power."
                ) from gone

    def _clear(self, waits: bool) -> None:
        """An empty line, whatever the last request left behind when it was broken off."""
        handler = self._driver.port_handler
        handler.is_using = False
        left_s = self._lost_s + QUIET_S - time.monotonic()
        if waits and left_s > 0:
            time.sleep(left_s)
        handler.ser.reset_input_buffer()


def joint_bus(port: str) -> Any:
    """LeRobot's bus with an SO-101's motors. It gets no calibration: the arm converts by itself."""
    from lerobot.motors import Motor, MotorNormMode
    from lerobot.motors.feetech import FeetechMotorsBus

    mode = MotorNormMode.DEGREES
    motors = {name: Motor(i, MODEL, mode) for i, name in enumerate(JOINTS, start=1)}
    return FeetechMotorsBus(port, motors)


def calibration_of(bus: ServoBus) -> dict[str, tuple[int, int, int]]:
    """joint → (homing offset, lowest, highest position) as the servos hold them."""
    names = ("Homing_Offset", "Min_Position_Limit", "Max_Position_Limit")
    columns = [bus.read_all(name) for name in names]
    return {
        joint: (int(columns[0][i]), int(columns[1][i]), int(columns[2][i]))
        for i, joint in enumerate(JOINTS)
    }


def write_calibration(bus: ServoBus, calibration: Calibration) -> None:
    """Put a calibration into the servos, torque off and lock open, as LeRobot does."""
    for name, joint in zip(JOINTS, calibration.joints, strict=True):
        bus.write("Torque_Enable", name, 0)
        bus.write("Lock", name, 0)
        bus.write("Homing_Offset", name, joint.homing_offset)
        bus.write("Min_Position_Limit", name, joint.range_min)
        bus.write("Max_Position_Limit", name, joint.range_max)


def _why(error: BaseException) -> str:
    """What a port's failure means to whoever stands before it."""
    number = getattr(error, "errno", None) or (error.args[0] if error.args else None)
    told = {
        2: "there is no such port. Is the cable in? vibrissa doctor --hardware lists the ports.",
        13: "no permission. Add yourself to its group: sudo usermod -aG dialout $USER.",
        11: "another program has it open. Stop that one first.",
        16: "another program has it open. Stop that one first.",
        5: "the adapter does not answer any more. Check cable and power.",
    }
    return told.get(number, f"{error}") if isinstance(number, int) else f"{error}"
