"""Whatever bytes come over the servos' wire, our side reads numbers or reports silence."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messages import damaged

from vibrissa.core.units import JOINTS
from vibrissa.real import bus as bus_module
from vibrissa.real.bus import SENSES, ServoBus, Silent, joint_bus
from vibrissa.twin.bus import LONGEST, framed


class Wire:
    """A serial port that says what it was given, in pieces, and then nothing."""

    timeout = 0.0

    def __init__(self, data: bytes):
        self._data = data

    def read(self, length: int) -> bytes:
        got, self._data = self._data[:length], self._data[length:]
        return got

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        return None

    def reset_input_buffer(self) -> None:
        return None

    def close(self) -> None:
        return None


@pytest.fixture
def bus(monkeypatch) -> ServoBus:
    """Our bus on a wire of its own, which waits for nobody."""
    monkeypatch.setattr(bus_module, "PATIENT_S", 0.0)
    monkeypatch.setattr(bus_module, "CALM_S", 0.0)
    monkeypatch.setattr(bus_module, "QUIET_S", 0.0)
    made = ServoBus("/dev/none", "arm", retries=0)
    made._driver = joint_bus("/dev/none")
    handler = made._driver.port_handler
    handler.is_open = True
    handler.setPacketTimeout = lambda length: None
    handler.isPacketTimeout = lambda: True
    return made


answers = st.builds(
    framed,
    st.integers(0, 7) | st.integers(0, 253),
    st.integers(0, 255),
    st.binary(max_size=LONGEST - 4) | st.binary(min_size=SENSES, max_size=SENSES + 8),
)
streams = st.lists(answers | answers.flatmap(damaged) | st.binary(max_size=20), max_size=8)
QUESTIONS = {
    "present": lambda bus: bus.present(),
    "read_all": lambda bus: bus.read_all("Present_Position"),
    "read": lambda bus: bus.read("Firmware_Minor_Version", "gripper"),
    "ping": lambda bus: bus.ping("elbow_flex"),
    "write": lambda bus: bus.write("Torque_Enable", "gripper", 0),
    "torque_off": lambda bus: bus.torque_off(),
}


@settings(
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(streams.map(b"".join), st.sampled_from(sorted(QUESTIONS)))
def test_an_answer_is_a_number_or_silence(bus, data, question) -> None:
    bus._driver.port_handler.ser = Wire(data)
    try:
        got = QUESTIONS[question](bus)
    except Silent:
        return
    if question == "present":
        assert got is None or got.shape == (len(JOINTS), SENSES)
    elif question == "read_all":
        assert got is None or got.shape == (len(JOINTS),)


def test_a_whole_answer_is_read(bus) -> None:
    """The wire of these tests does carry what a servo says."""
    asked = SENSES + 1
    bus._driver.port_handler.ser = Wire(b"".join(framed(i, 0, bytes(asked)) for i in range(1, 7)))
    assert bus.present().shape == (6, SENSES)
