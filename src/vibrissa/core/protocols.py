"""What meets in the loop. Protocols: nobody has to inherit anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import Contract
from vibrissa.core.episode import Decision, Episode, Observation, Reason, Start, Step

# timeout: it is over, and nobody says how it went. aborted: it is over, and not worth keeping.
Verdict = Literal["success", "failure", "timeout", "aborted"]


@runtime_checkable
class Arm(Protocol):
    """Something that can be seen and moved: simulated, real, or one joint in a test.

    `send` only sets the target (after the arm's own limits) and returns what was sent, (A,);
    the motion up to the next tick has happened when `observe` returns. A simulated arm
    therefore advances its physics in `observe`, and the pictures of an observation can be
    looked at until the next one is taken.
    """

    contract: Contract

    def reset(self, seed: int) -> None: ...
    def observe(self) -> Observation: ...
    def send(self, action: NDArray[np.float32]) -> NDArray[np.float32]: ...
    def hold(self) -> None: ...
    def close(self) -> None: ...

    @property
    def scene(self) -> Mapping[str, Any]:
        """The whole description of what the arm stands in; empty for a real one."""
        ...


@runtime_checkable
class Simulated(Protocol):
    """What a simulated arm can tell beside: which world an episode had, and how it is written down.

    `sampled` holds plain values, settled by `reset`, with which the episode can be had again.
    `sim_state` names the numbers of `Observation.sim_state`.
    """

    @property
    def sampled(self) -> Mapping[str, Any]: ...
    @property
    def sim_state(self) -> tuple[str, ...]: ...


@runtime_checkable
class Policy(Protocol):
    """A batched map from observations to action chunks.

    `act` takes B observations and gives (B, K, A) in the arm's units (rad): always the whole
    chunk, so that what is drawn is what is executed. B is the same at every call. `history`
    is how many earlier observations each one must carry. `reset(slots)` forgets whatever was
    kept for these places in the batch; it is called before each of their episodes.
    """

    contract: Contract
    history: int

    def reset(self, slots: Sequence[int]) -> None: ...
    def act(self, observations: Sequence[Observation]) -> NDArray[np.float32]: ...


@runtime_checkable
class Pilot(Protocol):
    """Whoever decides the next action.

    `asks` names the observation a policy must answer now, or None; `take` receives the answer
    (K, A), which may come some ticks later; `decide` is called once a tick, after both.
    Pilots without a policy answer None. Whatever a pilot leaves to chance in an episode comes
    from the `seed` of its reset, so that an episode depends on its seed alone.
    """

    def reset(self, seed: int) -> None: ...
    def asks(self, observation: Observation) -> Observation | None: ...
    def take(self, chunk: NDArray[np.float32], asked_tick: int, latency_s: float) -> None: ...
    def decide(self, observation: Observation) -> Decision: ...


@runtime_checkable
class Task(Protocol):
    """What is to be done, and when it is done.

    `judge` sees every observation once, the first included, and may keep count; `failure_class`
    and `measures` speak about the episode since `reset`, once its reason is known.
    """

    name: str
    instruction: str
    max_ticks: int

    def reset(self) -> None: ...
    def judge(self, observation: Observation) -> Verdict | None: ...
    def failure_class(self, reason: Reason) -> str: ...
    def measures(self) -> Mapping[str, float]: ...


@runtime_checkable
class Observer(Protocol):
    """Whoever watches: recorder, viewer, whiskers, meter. It never blocks the loop."""

    def on_start(self, start: Start) -> None: ...
    def on_step(self, step: Step) -> None: ...
    def on_end(self, episode: Episode) -> None: ...
