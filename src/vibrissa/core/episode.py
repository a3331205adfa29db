"""What passes through the loop: observation, decision, step, outcome, episode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import Contract
from vibrissa.core.errors import ArmFault

Source = Literal["policy", "human", "script"]
SOURCES: tuple[Source, ...] = ("policy", "human", "script")
# Of a camera: (H, W, 3) uint8 RGB, or (H, W) float32 m of one whose contract says depth.
Picture = NDArray[np.uint8] | NDArray[np.float32]
Reason = Literal["success", "failure", "timeout", "aborted", "fault"]
# Of one picture. late: older than two of the camera's own frames; missing: none could be had, and
# what stands in its place is the last one, or black.
Health = Literal["ok", "black", "frozen", "overexposed", "late", "missing"]
HEALTHS: tuple[Health, ...] = ("ok", "black", "frozen", "overexposed", "late", "missing")
# Of the joints of one tick. leap: some joint reads further from the last tick than it can have
# moved; behind: some joint has not followed its target for a second.
StateHealth = Literal["ok", "leap", "behind"]
STATE_HEALTHS: tuple[StateHealth, ...] = ("ok", "leap", "behind")


class LazyImages(Mapping[str, Picture]):
    """Pictures that are made when somebody looks, once, and belong to one tick.

    `render(name)` gives a `Picture`. Once the arm has moved on it calls `expire`, and
    a picture nobody looked at in time is an ArmFault rather than a picture of another moment.
    """

    def __init__(self, names: tuple[str, ...], render: Callable[[str], Picture]):
        self._names = names
        self._render: Callable[[str], Picture] | None = render
        self._made: dict[str, Picture] = {}

    def __getitem__(self, name: str) -> Picture:
        if name not in self._names:
            raise KeyError(f"no camera {name!r}. There is: {', '.join(self._names) or 'none'}.")
        if name not in self._made:
            if self._render is None:
                raise ArmFault(f"picture {name!r} was asked for after its tick had passed.")
            self._made[name] = self._render(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def expire(self) -> None:
        """From now on only pictures already made can be had."""
        self._render = None


@dataclass(frozen=True)
class Observation:
    """What is seen at one tick.

    state: (S,) float32, rad for an SO-101. state_health: whether those numbers are to be believed;
    a simulated arm's always are. privileged: (P,) float32, empty unless the contract
    declares it. images: name → `Picture`, made on demand. captured_s: name → capture
    time on the arm's clock, the one of `time_s`. sequence: name → the camera's own count of its
    frames; two equal ones are one frame seen twice. health: name → what is wrong with the
    picture; a camera without an entry is well. history: earlier observations, oldest first, as
    many as the pilot asked for. truth: simulation only, for judges and whiskers; no policy may
    read it. sim_state: (Q,) float64, simulation only: where everything is, enough to draw this
    tick again.
    """

    tick: int
    time_s: float
    state: NDArray[np.float32]
    privileged: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    images: Mapping[str, Picture] = field(default_factory=dict)
    captured_s: Mapping[str, float] = field(default_factory=dict)
    sequence: Mapping[str, int] = field(default_factory=dict)
    health: Mapping[str, Health] = field(default_factory=dict)
    history: tuple[Observation, ...] = ()
    truth: Mapping[str, Any] = field(default_factory=dict)
    sim_state: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    state_health: StateHealth = "ok"


@dataclass(frozen=True)
class Decision:
    """What a pilot wants: action (A,), who wants it, and the chunk (K, A) if one was inferred.

    latency_s is the time the inference took, 0 where none was made. `late` marks a tick whose
    chunk had not arrived, so that the last action was repeated.
    """

    action: NDArray[np.float32]
    source: Source
    chunk: NDArray[np.float32] | None = None
    latency_s: float = 0.0
    late: bool = False


@dataclass(frozen=True)
class Step:
    """One tick: what was seen, what was asked, what was sent (A,). Asked ≠ sent is data."""

    observation: Observation
    decision: Decision
    sent: NDArray[np.float32]
    wall_time_s: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How an episode ended.

    failure_class is one of `outcomes.CLASSES` (SUCCESS for a clean one), or empty where the task
    tells no classes apart; measures are the task's numbers (highest z, …).
    """

    reason: Reason
    ticks: int
    failure_class: str = ""
    detail: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)

    @property
    def success(self) -> bool:
        return self.reason == "success"


@dataclass(frozen=True)
class Start:
    """What every observer is told before the first tick.

    sampled: what chance decided in this episode beside its seed's usual share (see `Simulated`).
    sim_state: the names of the observations' `sim_state`; empty for a real arm.
    """

    contract: Contract
    task: str
    instruction: str
    seed: int
    scene: Mapping[str, Any] = field(default_factory=dict)
    sampled: Mapping[str, Any] = field(default_factory=dict)
    sim_state: tuple[str, ...] = ()


@dataclass(frozen=True)
class Episode:
    """One finished rollout: where it started, how it ended, how long it took."""

    start: Start
    outcome: Outcome
    wall_s: float = 0.0

    @property
    def seed(self) -> int:
        return self.start.seed
