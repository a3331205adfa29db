"""What can go wrong on a servo bus, on purpose: at a moment, or with a share of its packets.

Chance comes from one seeded generator, so a fault that was seen once can be seen again. Camera
faults have the same shape: `camera_faults`.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from dataclasses import dataclass

from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS

# What becomes of an answer's bytes by each fault that changes them; the second is chance.
SPOILT: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "lost": lambda data, rng: b"",
    "truncated": lambda data, rng: data[: rng.randrange(1, len(data))],
    "corrupted": lambda data, rng: _flipped(data, rng.randrange(2, len(data)), rng.randrange(8)),
}
BUS_FAULTS: dict[str, str] = {
    "lost": "answers do not arrive",
    "late": "answers arrive `amount` s late (0.08)",
    "truncated": "answers end before their end",
    "corrupted": "one bit of an answer is wrong",
    "unheard": "instructions do not arrive",
    "silent": "a servo neither hears nor speaks, but keeps its torque; all of them without --joint",
    "gone": "the port vanishes, and is back when the fault is over",
    "firmware": "a servo says that its firmware is another one",
    "overload": "a servo trips its overload protection",
    "voltage": "the supply gives `amount` V (3.8)",
}
AMOUNTS = {"late": 0.08, "voltage": 3.8}
OTHER_FIRMWARE = 9
LATEST_S = 1e9


@dataclass(frozen=True)
class BusFault:
    """One fault of one arm's bus.

    joint: whose servo; all where empty. at_s, for_s: when it begins, counted from when it was
    asked for, and how long it lasts. rate: the share of the packets in that time that it befalls;
    of whole seconds where it is no matter of packets.
    """

    kind: str
    joint: str = ""
    at_s: float = 0.0
    for_s: float = float("inf")
    rate: float = 1.0
    amount: float | None = None

    def __post_init__(self) -> None:
        require_numbers(self.kind, self.at_s, self.for_s, self.rate, self.amount)
        if self.kind not in BUS_FAULTS:
            raise UsageError(f"no bus fault {self.kind!r}. There is: {', '.join(BUS_FAULTS)}.")
        if self.joint and self.joint not in JOINTS:
            raise UsageError(f"no joint {self.joint!r}. There is: {', '.join(JOINTS)}.")
        if not 0 < self.rate <= 1:
            raise UsageError(f"a bus fault at the rate {self.rate}: above 0, at most 1.")
        if self.at_s < 0 or not self.for_s > 0:
            raise UsageError(
                f"a bus fault from {self.at_s} s on for {self.for_s} s: neither is below 0."
            )
        if self.amount is not None and not 0 <= self.amount <= 60:
            raise UsageError(f"a bus fault of the amount {self.amount}: 0 to 60.")

    @property
    def size(self) -> float:
        """The amount that was asked for, or what the kind has by itself."""
        return AMOUNTS.get(self.kind, 0.0) if self.amount is None else self.amount

    def hits(self, joint: str) -> bool:
        """Whether it is about this servo."""
        return self.joint in ("", joint)


def require_numbers(kind: str, at_s: float, for_s: float, *others: float | None) -> None:
    """Raises UsageError where a fault's times and shares are no numbers, or end never."""
    for value in (at_s, for_s, *(v for v in others if v is not None)):
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value != value:
            raise UsageError(f"a fault {kind!r} with {value!r}: wanted is a number.")
    if at_s > LATEST_S or (for_s > LATEST_S and for_s != float("inf")):
        raise UsageError(f"a fault {kind!r} from {at_s} s on for {for_s} s: at most {LATEST_S:g}.")


class BusFaults:
    """Which faults a bus has. Times are of one clock, s."""

    def __init__(self, seed: int = 0):
        self._rng = random.Random(seed)
        self._faults: list[BusFault] = []
        self._seconds: dict[tuple[BusFault, int], bool] = {}

    def __bool__(self) -> bool:
        return bool(self._faults)

    @property
    def all(self) -> tuple[BusFault, ...]:
        """Those that are and those to come."""
        return tuple(self._faults)

    def add(self, fault: BusFault, now_s: float) -> None:
        """`fault.at_s` counts from `now_s`."""
        self._faults.append(dataclasses.replace(fault, at_s=now_s + fault.at_s))

    def heal(self, kind: str = "") -> None:
        """No faults of this kind any more, or none at all."""
        self._faults = [f for f in self._faults if kind and f.kind != kind]

    def now(self, kind: str, now_s: float) -> list[BusFault]:
        """The faults of this kind that hold now; one with a rate holds for whole seconds."""
        self._faults = [f for f in self._faults if now_s < f.at_s + f.for_s]
        return [f for f in self._faults if f.kind == kind and self._holds(f, now_s)]

    def hears(self, now_s: float) -> bool:
        """Whether an instruction that comes now arrives."""
        return not any(self._befalls(f, now_s) for f in self._faults if f.kind == "unheard")

    def spoil(self, joint: str, data: bytes, now_s: float) -> tuple[float, bytes]:
        """When an answer arrives, and what is left of it."""
        due_s = now_s
        for fault in self._faults:
            if not fault.hits(joint) or not data:
                continue
            if fault.kind == "late" and self._befalls(fault, now_s):
                due_s += fault.size
            if fault.kind in SPOILT and self._befalls(fault, now_s):
                data = SPOILT[fault.kind](data, self._rng)
        return due_s, data

    def _befalls(self, fault: BusFault, now_s: float) -> bool:
        if not fault.at_s <= now_s < fault.at_s + fault.for_s:
            return False
        return fault.rate == 1.0 or self._rng.random() < fault.rate

    def _holds(self, fault: BusFault, now_s: float) -> bool:
        if now_s < fault.at_s:
            return False
        key = fault, int(now_s - fault.at_s)
        if fault.rate < 1.0 and key not in self._seconds:
            self._seconds = {key: self._rng.random() < fault.rate}
        return fault.rate == 1.0 or self._seconds[key]


def _flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]
