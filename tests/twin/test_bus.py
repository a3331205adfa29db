"""Protocol 0: packets in and out of noise, and what servos say to which instruction."""

from __future__ import annotations

import dataclasses
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from messages import damaged

from vibrissa.core.units import JOINTS
from vibrissa.twin.bus import (
    ACTION,
    EVERYBODY,
    LONGEST,
    PING,
    READ,
    REG_WRITE,
    RESET,
    SYNC_READ,
    SYNC_WRITE,
    WRITE,
    Bus,
    Packet,
    framed,
    split,
)
from vibrissa.twin.servo import Servo

packets = st.tuples(st.integers(0, 253), st.integers(1, 200), st.binary(max_size=40))


def bus(**flash: int) -> Bus:
    return Bus([Servo(joint, flash={"ID": i + 1, **flash}) for i, joint in enumerate(JOINTS)])


def ask(on: Bus, id: int, instruction: int, *parameters: int) -> list[bytes]:
    return [a.data for a in on.answer(Packet(id, instruction, bytes(parameters)))]


@settings(deadline=None)
@given(st.lists(packets, max_size=5), st.binary(max_size=9), st.integers(1, 7))
def test_packets_come_out_as_they_went_in_however_they_are_cut(sent, noise, size) -> None:
    noise = noise.replace(b"\xff", b"")
    stream = noise + b"".join(framed(*packet) for packet in sent)
    waiting, got = bytearray(), []
    for at in range(0, len(stream), size):
        waiting += stream[at : at + size]
        got += split(waiting)
    assert got == [Packet(*packet) for packet in sent]
    assert len(waiting) <= len(noise)


instructions = st.sampled_from((PING, READ, WRITE, REG_WRITE, ACTION, RESET, SYNC_READ, SYNC_WRITE))
asked = st.builds(
    framed,
    st.sampled_from((EVERYBODY, 1, 6)) | st.integers(0, 253),
    instructions | st.integers(0, 255),
    st.binary(max_size=40),
)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.lists(asked | asked.flatmap(damaged) | st.binary(max_size=12), max_size=8))
def test_whatever_is_on_the_wire_is_answered_or_not_and_the_servos_live(stream) -> None:
    on, waiting = bus(), bytearray(b"".join(stream))
    for packet in split(waiting):
        for answer in on.answer(packet):
            assert len(answer.data) <= LONGEST + 6
    assert len(waiting) <= LONGEST + 4
    for servo in on.servos:
        drive = servo.beat(0.1, 0.0, 0.0, 0.002)
        assert all(map(math.isfinite, dataclasses.astuple(drive)))


def test_a_wrong_checksum_is_no_packet_and_costs_only_itself() -> None:
    spoilt = bytearray(framed(1, PING, b""))
    spoilt[-1] ^= 1
    assert list(split(spoilt + framed(2, PING, b""))) == [Packet(2, PING, b"")]


def test_ping_read_and_write() -> None:
    on = bus()
    assert ask(on, 3, PING) == [framed(3, 0, b"")]
    assert ask(on, 3, READ, 3, 2) == [framed(3, 0, (777).to_bytes(2, "little"))]
    assert ask(on, 3, WRITE, 21, 16) == [framed(3, 0, b"")]
    assert ask(on, 3, READ, 21, 1) == [framed(3, 0, b"\x10")]
    assert ask(on, 77, PING) == []


def test_everybody_answers_a_ping_and_nothing_else_that_is_for_everybody() -> None:
    on = bus()
    assert [a[2] for a in ask(on, EVERYBODY, PING)] == [1, 2, 3, 4, 5, 6]
    assert ask(on, EVERYBODY, WRITE, 21, 7) == []
    assert {servo.memory["P_Coefficient"] for servo in on.servos} == {7}


def test_a_sync_read_is_answered_in_the_order_asked_with_gaps() -> None:
    on = bus()
    on.servos[1].plug(False)
    on.deaf = {"wrist_flex"}
    assert [a[2] for a in ask(on, EVERYBODY, SYNC_READ, 56, 2, 6, 4, 2, 1)] == [6, 1]


def test_a_sync_write_reaches_each_and_says_nothing() -> None:
    on = bus()
    assert ask(on, EVERYBODY, SYNC_WRITE, 42, 2, 1, 0x10, 0x01, 6, 0x20, 0x02) == []
    assert [s.memory["Goal_Position"] for s in on.servos] == [0x110, 0, 0, 0, 0, 0x220]


def test_what_was_registered_happens_at_the_action() -> None:
    on = bus()
    assert ask(on, 2, REG_WRITE, 21, 9) == [framed(2, 0, b"")]
    assert on.servos[1].memory["P_Coefficient"] == 32
    assert ask(on, EVERYBODY, ACTION) == []
    assert on.servos[1].memory["P_Coefficient"] == 9


def test_reset_leaves_the_id() -> None:
    on = bus(P_Coefficient=5)
    assert ask(on, 4, RESET) == [framed(4, 0, b"")]
    assert on.servos[3].memory["P_Coefficient"] == 32
    assert on.servos[3].id == 4


def test_a_servo_told_to_be_quiet_answers_reads_only() -> None:
    on = bus(Response_Status_Level=0)
    assert ask(on, 1, WRITE, 21, 9) == []
    assert ask(on, 1, READ, 21, 1) == [framed(1, 0, b"\x09")]


def test_two_servos_of_one_id_cannot_be_understood() -> None:
    on = Bus([Servo(joint, flash={"ID": 1, "P_Coefficient": i}) for i, joint in enumerate(JOINTS)])
    (both,) = ask(on, 1, READ, 21, 1)
    assert list(split(bytearray(both))) == []


def test_a_servo_at_another_baud_rate_hears_nothing() -> None:
    on = bus()
    on.servos[0].write(6, b"\4")
    on.baud = frozenset({0})
    assert ask(on, 1, PING) == []
    on.baud = frozenset({4})
    assert ask(on, 1, PING) == [framed(1, 0, b"")]


@settings(deadline=None)
@given(st.lists(st.one_of(packets, st.binary(max_size=30)), max_size=20))
def test_whatever_is_said_on_the_wire_the_bus_goes_on(said) -> None:
    on = bus()
    for words in said:
        stream = words if isinstance(words, bytes) else framed(*words)
        for packet in split(bytearray(stream)):
            for answer in on.answer(packet):
                assert list(split(bytearray(answer.data))) or answer.data
        for servo in on.servos:
            servo.beat(0.1, 0.0, 0.0, 0.0025)


@settings(deadline=None)
@given(
    st.sampled_from([READ, WRITE, REG_WRITE, ACTION, RESET, SYNC_READ, SYNC_WRITE]),
    st.integers(0, 254),
    st.lists(st.integers(0, 255), max_size=12),
)
def test_no_parameters_are_too_strange(instruction, id, parameters) -> None:
    on = bus()
    for _ in range(2):
        ask(on, id, instruction, *parameters)
        for servo in on.servos:
            servo.beat(0.1, 0.0, 0.0, 0.0025)
