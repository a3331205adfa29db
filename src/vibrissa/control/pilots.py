"""Who decides: a policy's chunks, nothing, chance, a recording, or two who hand over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.chunks import Chunk, ensemble
from vibrissa.core.contract import Contract
from vibrissa.core.episode import Decision, Observation, Source
from vibrissa.core.errors import PolicyFault, UsageError
from vibrissa.core.protocols import Pilot


class Unasking:
    """The two methods of a pilot that needs no policy."""

    def asks(self, observation: Observation) -> Observation | None:
        return None

    def take(self, chunk: NDArray[np.float32], asked_tick: int, latency_s: float) -> None:
        raise UsageError(f"{type(self).__name__} asked for no chunk and was given one.")


class Zero(Unasking):
    """Holds the pose it finds at its first tick. A task it solves is a broken task."""

    def reset(self, seed: int) -> None:
        self._pose: NDArray[np.float32] | None = None

    def decide(self, observation: Observation) -> Decision:
        if self._pose is None:
            self._pose = observation.state.copy()
        return Decision(self._pose, "script")


class Random(Unasking):
    """A fresh target anywhere within the contract's limits, every tick."""

    def __init__(self, contract: Contract):
        self._low = np.array([c.low for c in contract.action], np.float32)
        self._high = np.array([c.high for c in contract.action], np.float32)
        if not np.isfinite([self._low, self._high]).all():
            raise UsageError("the random pilot needs an action with finite limits.")

    def reset(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def decide(self, observation: Observation) -> Decision:
        action = self._rng.uniform(self._low, self._high).astype(np.float32)
        return Decision(action, "script")


class Replay(Unasking):
    """Plays recorded actions (T, A), then holds the last one."""

    def __init__(self, actions: NDArray[np.float32], source: Source = "script"):
        if actions.ndim != 2 or len(actions) == 0:
            raise UsageError(f"a replay needs actions (T, A) with T > 0, not {actions.shape}.")
        self._actions = actions
        self._source: Source = source

    def reset(self, seed: int) -> None:
        self._next = 0

    def decide(self, observation: Observation) -> Decision:
        action = self._actions[min(self._next, len(self._actions) - 1)]
        self._next += 1
        return Decision(action, self._source)


class Takeover:
    """One pilot drives until `engaged()` says that the other has the arm.

    When the arm is given back, the first pilot starts from fresh: its chunk was made for
    another place.
    """

    def __init__(self, pilot: Pilot, other: Pilot, engaged: Callable[[], bool]):
        self._pilot, self._other, self._engaged = pilot, other, engaged

    def reset(self, seed: int) -> None:
        self._seed, self._was_engaged = seed, False
        self._pilot.reset(seed)
        self._other.reset(seed)

    def asks(self, observation: Observation) -> Observation | None:
        engaged = self._engaged()
        if engaged != self._was_engaged:
            (self._other if engaged else self._pilot).reset(self._seed)
        self._was_engaged = engaged
        return self._at_hand.asks(observation)

    def take(self, chunk: NDArray[np.float32], asked_tick: int, latency_s: float) -> None:
        self._at_hand.take(chunk, asked_tick, latency_s)

    def decide(self, observation: Observation) -> Decision:
        return self._at_hand.decide(observation)

    @property
    def _at_hand(self) -> Pilot:
        return self._other if self._was_engaged else self._pilot


class ChunkPlayer:
    """Executes the first `horizon` actions of each chunk a policy gives.

    It asks `lead` ticks before it runs dry, so that slow inference can go on while the tail of
    the last chunk is played; an answer that comes late is entered where it belongs in time, and
    a tick without any action repeats the last one and is marked late. With `ensemble` it asks
    at every tick and executes the weighted mean of all chunks that speak of it. `history`
    earlier observations, with the pictures of `cameras`, go with every question.
    """

    def __init__(
        self,
        horizon: int,
        *,
        history: int = 0,
        cameras: tuple[str, ...] = (),
        lead: int = 0,
        ensemble: float | None = None,
    ):
        if horizon < 1 or lead < 0 or lead >= horizon:
            raise UsageError(f"horizon {horizon} and lead {lead}: want horizon > lead >= 0.")
        self._horizon, self._lead, self._ensemble = horizon, lead, ensemble
        self._cameras = cameras
        self._past: deque[Observation] = deque(maxlen=history) if history else deque(maxlen=0)
        self.reset(0)

    def reset(self, seed: int) -> None:
        self._past.clear()
        self._chunks: list[Chunk] = []
        self._asked: int | None = None
        self._now = 0
        self._last: NDArray[np.float32] | None = None
        self._fresh: tuple[NDArray[np.float32], float] | None = None

    def asks(self, observation: Observation) -> Observation | None:
        self._now = observation.tick
        question = None
        if self._asked is None and self._left <= self._lead:
            self._asked = observation.tick
            question = replace(observation, history=self._full_history(observation))
        self._remember(observation)
        return question

    def take(self, chunk: NDArray[np.float32], asked_tick: int, latency_s: float) -> None:
        chunk = np.asarray(chunk, np.float32)
        if chunk.ndim != 2 or len(chunk) < 1:
            raise PolicyFault(f"a chunk of shape {chunk.shape}; wanted (K, A) with K > 0.")
        if len(chunk) < self._horizon:
            raise PolicyFault(
                f"a chunk of {len(chunk)} actions cannot fill a horizon of {self._horizon}."
            )
        if not np.isfinite(chunk[: self._horizon]).all():
            raise PolicyFault("the policy gave NaN or infinity; is an input far out of range?")
        self._asked = None
        self._fresh = (chunk, latency_s)
        if self._ensemble is None:
            self._chunks = [Chunk(asked_tick, chunk[: self._horizon])]
        else:
            kept = [c for c in self._chunks if c.at(self._now) is not None]
            self._chunks = [*kept, Chunk(asked_tick, chunk)]

    def decide(self, observation: Observation) -> Decision:
        chunk, latency_s = self._fresh or (None, 0.0)
        self._fresh = None
        action = self._planned(observation.tick)
        late = action is None
        if action is None:
            action = self._last if self._last is not None else observation.state.copy()
        self._last = action
        return Decision(action, "policy", chunk, latency_s, late)

    @property
    def _left(self) -> int:
        """How many actions are still to be played, this tick's included."""
        if self._ensemble is not None or not self._chunks:
            return 0
        newest = self._chunks[-1]
        return newest.first + len(newest.actions) - self._now

    def _planned(self, tick: int) -> NDArray[np.float32] | None:
        if self._ensemble is not None:
            known = any(chunk.at(tick) is not None for chunk in self._chunks)
            return ensemble(self._chunks, tick, self._ensemble) if known else None
        return self._chunks[-1].at(tick) if self._chunks else None

    def _full_history(self, observation: Observation) -> tuple[Observation, ...]:
        """The earlier observations; the first tick's are copies of itself."""
        length = self._past.maxlen or 0
        past = list(self._past)
        first = past[0] if past else observation
        return tuple([first] * (length - len(past)) + past)

    def _remember(self, observation: Observation) -> None:
        """Keep this tick for later questions, and look at its pictures while they can be had.

        Only ticks that a question can still reach are looked at.
        """
        length = self._past.maxlen or 0
        if not length:
            return
        if self._left - 1 - self._lead <= length:
            for name in self._cameras:
                observation.images[name]
        self._past.append(replace(observation, history=()))
