"""Feetech's protocol 0 on one wire: instruction packets in, the servos' answers out.

`FF FF ID LEN INSTRUCTION PARAMETERS CHECKSUM`, answered by `FF FF ID LEN STATUS PARAMETERS
CHECKSUM`. No pseudo-terminal and no clock here: bytes and servos only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vibrissa.twin.servo import Servo

PING, READ, WRITE, REG_WRITE, ACTION, RESET, SYNC_READ, SYNC_WRITE = 1, 2, 3, 4, 5, 6, 0x82, 0x83
EVERYBODY = 0xFE
LONGEST = 250
_ALWAYS_ANSWERED = (PING, READ, SYNC_READ)


@dataclass(frozen=True)
class Packet:
    """One instruction as it came over the wire."""

    id: int
    instruction: int
    parameters: bytes


@dataclass(frozen=True)
class Answer:
    """One status packet and the joint whose servo sent it."""

    joint: str
    data: bytes


def framed(id: int, code: int, parameters: bytes) -> bytes:
    """A packet as bytes: header, length and checksum around it."""
    body = bytes((id, len(parameters) + 2, code)) + parameters
    return b"\xff\xff" + body + bytes((~sum(body) & 0xFF,))


def split(waiting: bytearray) -> Iterator[Packet]:
    """The whole packets in `waiting`, which keeps what is not complete; noise is thrown away."""
    while True:
        start = waiting.find(b"\xff\xff")
        if start < 0:
            del waiting[: max(0, len(waiting) - 1)]
            return
        del waiting[:start]
        if len(waiting) < 4:
            return
        length = waiting[3]
        if waiting[2] == 0xFF or not 2 <= length <= LONGEST:
            del waiting[0]
            continue
        if len(waiting) < length + 4:
            return
        whole = bytes(waiting[: length + 4])
        if ~sum(whole[2:-1]) & 0xFF != whole[-1]:
            del waiting[0]
            continue
        del waiting[: length + 4]
        yield Packet(whole[2], whole[4], whole[5:-1])


class Bus:
    """Servos on one wire; one without power neither hears nor speaks.

    told(servo, register names): called after every write that a servo took. `baud` is set by who
    knows how fast the other side speaks.
    """

    def __init__(
        self,
        servos: Sequence[Servo],
        told: Callable[[Servo, list[str]], None] = lambda servo, names: None,
    ):
        self.servos = tuple(servos)
        self.baud: frozenset[int] = frozenset(range(8))  # values of Baud_Rate that are understood
        self.deaf: set[str] = set()  # joints whose servo has power and no wire
        self._told = told

    def answer(self, packet: Packet) -> list[Answer]:
        """What the servos do and say about a packet, in the order in which they say it."""
        kind = packet.instruction
        if kind == SYNC_READ:
            return self._sync_read(packet.parameters)
        if kind == SYNC_WRITE:
            self._sync_write(packet.parameters)
            return []
        answers = [self._one(servo, packet) for servo in self._called(packet.id)]
        silent = packet.id == EVERYBODY and kind != PING
        return [] if silent else _collided([a for a in answers if a is not None])

    def _called(self, id: int) -> list[Servo]:
        there = [
            servo
            for servo in self.servos
            if servo.powered
            and servo.joint not in self.deaf
            and servo.memory["Baud_Rate"] in self.baud
        ]
        if id == EVERYBODY:
            return sorted(there, key=lambda servo: servo.id)
        return [servo for servo in there if servo.id == id]

    def _one(self, servo: Servo, packet: Packet) -> Answer | None:
        """What one servo does about one instruction."""
        kind, given, id = packet.instruction, packet.parameters, servo.id
        data = b""
        if kind == READ:
            if len(given) != 2 or given[1] > LONGEST:
                return None
            data = servo.read(given[0], given[1])
        elif kind == WRITE and len(given) > 1:
            self._write(servo, given[0], given[1:])
        elif kind == REG_WRITE and len(given) > 1:
            servo.register(given[0], given[1:])
        elif kind == ACTION:
            self._told(servo, servo.action())
        elif kind == RESET:
            servo.reset()
        elif kind != PING:
            return None
        if kind not in _ALWAYS_ANSWERED and not servo.memory["Response_Status_Level"]:
            return None
        # A servo that was given a new id answers under it only from the next packet on.
        return Answer(servo.joint, framed(id, servo.status, data))

    def _write(self, servo: Servo, address: int, data: bytes) -> None:
        self._told(servo, servo.write(address, data))

    def _sync_read(self, given: bytes) -> list[Answer]:
        """Each servo that was asked, in that order; one that is not there is a gap."""
        if len(given) < 3 or given[1] > LONGEST:
            return []
        answers: list[Answer] = []
        for id in given[2:]:
            same = [
                Answer(s.joint, framed(id, s.status, s.read(given[0], given[1])))
                for s in self._called(id)
            ]
            answers += _collided(same)
        return answers

    def _sync_write(self, given: bytes) -> None:
        if len(given) < 3:
            return
        address, size = given[0], given[1]
        for at in range(2, len(given) - size, size + 1):
            for servo in self._called(given[at]):
                self._write(servo, address, given[at + 1 : at + 1 + size])


def _collided(answers: list[Answer]) -> list[Answer]:
    """Two servos of one id speak at once: the wire carries both, and neither can be read."""
    seen: dict[int, Answer] = {}
    for answer in answers:
        id = answer.data[2]
        if id not in seen:
            seen[id] = answer
            continue
        both = bytes(a & b for a, b in zip(seen[id].data, answer.data, strict=False))
        seen[id] = Answer(answer.joint, both)
    return list(seen.values())
