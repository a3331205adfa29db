"""One arm served: its port, its bus, its body and what is wrong with them, in one thread.

Time is let pass before every answer, so what a servo says is what is, to the beat; and it passes
between packets too, so that an arm nobody asks still falls.
"""

from __future__ import annotations

import heapq
import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

from vibrissa.twin.bus import Bus, Packet, split
from vibrissa.twin.faults import OTHER_FIRMWARE, BusFault, BusFaults
from vibrissa.twin.port import Port
from vibrissa.twin.registers import BY_NAME
from vibrissa.twin.servo import STS3215
from vibrissa.twin.world import Body

IDLE_S = 0.01  # the longest that time stands still between packets
MOST_BEHIND_S = 0.25  # a computer that slept longer has not moved the arm meanwhile
Clock = Callable[[], float]
"""Seconds, ever more of them."""


class StoodStill:
    """A clock that a test moves on: `Twin.advance` and `Station.advance` do."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _nothing() -> None:
    pass


class Station:
    """Serves while it is entered. `lock` is for whoever else touches bus or body.

    moved: called, in the thread, after every stretch of time that passed and before the answer.
    idle: called when nothing was asked for a while.
    """

    def __init__(
        self,
        link: Path,
        bus: Bus,
        body: Body,
        *,
        moved: Callable[[], None] = _nothing,
        idle: Callable[[], None] = _nothing,
        seed: int = 0,
        clock: Clock = time.monotonic,
    ):
        self.bus, self.body, self.port = bus, body, Port(link)
        self.lock = threading.RLock()
        self.faults = BusFaults(seed)
        self._clock, self._moved, self._idle = clock, moved, idle
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"twin-{link.name}", daemon=True)
        self._waiting = bytearray()  # instructions that are not whole yet
        self._late: list[tuple[float, int, bytes]] = []  # answers under way; a heap
        self._sent = 0
        self._ailing = False
        self._now_s = 0.0

    def __enter__(self) -> Station:
        self.port.open()
        self._now_s = self._clock()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.port.close()

    @property
    def alive(self) -> bool:
        """Whether somebody still serves here."""
        return self._thread.is_alive()

    def fault(self, fault: BusFault) -> None:
        """It happens, `at_s` from now."""
        with self.lock:
            self.faults.add(fault, self._clock())

    def heal(self, kind: str = "") -> None:
        """No faults of this kind any more, or none at all."""
        with self.lock:
            self.faults.heal(kind)

    def catch_up(self) -> None:
        """Let what time has passed by the clock pass here too."""
        with self.lock:
            self._catch_up()

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._await()
            with self.lock:
                self._catch_up()
                if self.port.fd < 0:
                    continue
                self._waiting += self.port.read()
                if self._waiting:
                    self._obey()
                else:
                    self._idle()
                while self._late and self._late[0][0] <= self._now_s:
                    self.port.write(heapq.heappop(self._late)[2])

    def _await(self) -> None:
        """Until something came, an answer is due or time has stood still long enough."""
        wait_s = IDLE_S
        if self._late:
            wait_s = min(IDLE_S, max(0.0, self._late[0][0] - self._clock()))
        if self.port.fd < 0:
            self._stop.wait(wait_s)
        else:
            select.select([self.port.fd], [], [], wait_s)

    def _catch_up(self) -> None:
        now_s = self._clock()
        passed_s, self._now_s = now_s - self._now_s, now_s
        if self._clock is time.monotonic:
            passed_s = min(passed_s, MOST_BEHIND_S)
        if self.faults or self._ailing:
            self._ail()
        self.body.advance(passed_s)
        self._moved()

    def _obey(self) -> None:
        self.bus.baud = self.port.baud()
        for packet in split(self._waiting):
            if self.faults.hears(self._now_s):
                self._answer(packet)

    def _answer(self, packet: Packet) -> None:
        at_once = b""
        for answer in self.bus.answer(packet):
            if not self.faults:
                at_once += answer.data
                continue
            due_s, data = self.faults.spoil(answer.joint, answer.data, self._now_s)
            if due_s <= self._now_s:
                at_once += data
            else:
                self._sent += 1
                heapq.heappush(self._late, (due_s, self._sent, data))
        if at_once:
            self.port.write(at_once)

    def _ail(self) -> None:
        """Make true what is wrong now, and right what was."""
        self._ailing = bool(self.faults)
        silent, other, heavy = (self._now(kind) for kind in ("silent", "firmware", "overload"))
        self.bus.deaf = {s.joint for s in self.bus.servos if any(f.hits(s.joint) for f in silent)}
        for servo in self.bus.servos:
            wrong = any(f.hits(servo.joint) for f in other)
            minor = BY_NAME["Firmware_Minor_Version"].default
            servo.memory["Firmware_Minor_Version"] = OTHER_FIRMWARE if wrong else minor
            servo.overload_forced = any(f.hits(servo.joint) for f in heavy)
        low = self._now("voltage")
        self.body.volts = min(f.size for f in low) if low else STS3215.volts
        gone = bool(self._now("gone"))
        if gone and self.port.fd >= 0:
            self.port.close()
            self._waiting.clear()
            self._late.clear()
        elif not gone and self.port.fd < 0:
            self.port.open()

    def _now(self, kind: str) -> list[BusFault]:
        return self.faults.now(kind, self._now_s)
