"""An arm, whoever leads it, and the clock: rollouts one after another at one rate, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from vibrissa.control.clock import WallClock
from vibrissa.control.drive import run_behind, run_episode
from vibrissa.control.forward import FORWARD_HZ, Forwarder, Forwarding, Readable
from vibrissa.control.meter import Meter
from vibrissa.control.pilots import Zero
from vibrissa.control.rollout import rollout
from vibrissa.core.episode import Episode
from vibrissa.core.protocols import Arm, Observer, Pilot, Policy, Task


class Paced:
    """Plays tasks on `arm` in real time.

    A pilot that can be read at any moment is followed between the ticks too, and through the
    pauses; any other one waits in a pause, and the arm with it. A policy infers behind the
    arm's back. `watching` sees every rollout, pauses included.
    """

    def __init__(
        self,
        arm: Arm,
        pilot: Pilot,
        *,
        policy: Policy | None = None,
        watching: Sequence[Observer] = (),
        forward_hz: float = FORWARD_HZ,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.arm, self.pilot, self.policy = arm, pilot, policy
        self.rate_hz = arm.contract.rate_hz
        self._forwarder: Forwarder | None = None
        if isinstance(pilot, Readable):
            self._forwarder = Forwarder(pilot, arm, rate_hz=forward_hz, now=now, sleep=sleep)
        self.clock = WallClock(self.rate_hz, now=now, sleep=self._forwarder or sleep)
        self.meter = Meter(self.rate_hz, forwarding_s=self._forwarding_s, now=now)
        self._watching: tuple[Observer, ...] = tuple(watching)
        if self._forwarder is not None:
            self._watching = (self._forwarder, *self._watching)

    @property
    def forwarding(self) -> Forwarding | None:
        """How forwarding has gone so far; None where nobody is followed."""
        return self._forwarder.told() if self._forwarder is not None else None

    def play(self, task: Task, observers: Sequence[Observer] = (), seed: int = 0) -> Episode:
        """One rollout; `observers` see it beside those that watch everything."""
        watching = (*self._watching, *observers)
        timed = {"seed": seed, "clock": self.clock, "laps": self.meter}
        if self.policy is None:
            led_on = self._forwarder is not None
            return run_episode(self.arm, self.pilot, task, watching, led_on=led_on, **timed)
        return run_behind(rollout(self.arm, self.pilot, task, watching, **timed), self.policy)

    def pause(self, task: Task, observers: Sequence[Observer] = (), seed: int = 0) -> Episode:
        """The same between two episodes, unmeasured: a human leads on, any other pilot waits."""
        led_on = self._forwarder is not None
        pilot = self.pilot if led_on else Zero()
        watching = (*self._watching, *observers)
        timed = {"seed": seed, "clock": self.clock}
        return run_episode(self.arm, pilot, task, watching, led_on=led_on, **timed)

    def told(self) -> list[str]:
        """The summary of all rollouts, a line each."""
        lines = [f"timing: {self.meter.whole().told()}"]
        if self.forwarding is not None:
            lines.append(self.forwarding.told())
        return lines

    def _forwarding_s(self) -> float:
        return self._forwarder.busy_s if self._forwarder is not None else 0.0
