"""Tiny real components: a one-joint arm, a ramp policy, a task of reaching a place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import CameraSpec, Channel, Contract
from vibrissa.core.episode import (
    Episode,
    LazyImages,
    Observation,
    Reason,
    Start,
    Step,
)
from vibrissa.core.protocols import Verdict

JOINT = (Channel("joint.pos", "rad", -1.0, 1.0),)
CONTRACT = Contract("one-joint", JOINT, JOINT, 30.0, cameras=(CameraSpec("eye", 4, 3, 60.0),))


class OneJoint:
    """A joint that goes where it is told, at most `most` rad a tick. Starts at a seeded place."""

    def __init__(self, most: float = 0.1):
        self.contract = CONTRACT
        self.held = 0
        self.renders = 0
        self._most = most

    scene: Mapping[str, Any] = {"kind": "one joint"}

    def reset(self, seed: int) -> None:
        self._q = float(np.random.default_rng(seed).uniform(-0.2, 0.2))
        self._target: float | None = None
        self._tick = -1
        self._images: LazyImages | None = None

    def observe(self) -> Observation:
        if self._images is not None:
            self._images.expire()
        if self._target is not None:
            self._q += float(np.clip(self._target - self._q, -self._most, self._most))
        self._tick += 1
        self._images = LazyImages(("eye",), self._render)
        state = np.array([self._q], np.float32)
        return Observation(self._tick, self._tick / 30, state, images=self._images)

    def _render(self, name: str) -> NDArray[np.uint8]:
        self.renders += 1
        return np.full((3, 4, 3), self._tick % 256, np.uint8)

    def send(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        sent = np.clip(action, -1.0, 1.0).astype(np.float32)
        self._target = float(sent[0])
        return sent

    def hold(self) -> None:
        self.held += 1

    def close(self) -> None:
        return None


class Reach:
    """Be beyond 0.5 rad for two ticks running."""

    name, instruction, max_ticks = "reach", "Reach half a radian", 40

    def reset(self) -> None:
        self._there = 0

    def judge(self, observation: Observation) -> Verdict | None:
        self._there = self._there + 1 if observation.state[0] > 0.5 else 0
        return "success" if self._there == 2 else None

    def failure_class(self, reason: Reason) -> str:
        return "SUCCESS" if reason == "success" else reason.upper()

    def measures(self) -> Mapping[str, float]:
        return {"there": float(self._there)}


class Ramp:
    """A policy: from where the joint is, 0.05 rad further a tick. Counts what it is shown."""

    contract = CONTRACT

    def __init__(self, length: int = 8, history: int = 0, step: float = 0.05):
        self.history, self._length, self._step = history, length, step
        self.batches: list[int] = []
        self.seen: list[tuple[Observation, ...]] = []
        self.resets: list[int] = []

    def reset(self, slots: Sequence[int]) -> None:
        self.resets += list(slots)

    def act(self, observations: Sequence[Observation]) -> NDArray[np.float32]:
        self.batches.append(len(observations))
        self.seen.append(tuple(observations))
        now = np.array([o.state for o in observations], np.float32)  # (B, 1)
        ramp = self._step * np.arange(1, self._length + 1, dtype=np.float32)
        return (now[:, None, :] + ramp[None, :, None]).astype(np.float32)


class Tape:
    """Keeps everything it is told."""

    def __init__(self) -> None:
        self.starts: list[Start] = []
        self.steps: list[Step] = []
        self.ends: list[Episode] = []

    def on_start(self, start: Start) -> None:
        self.starts.append(start)

    def on_step(self, step: Step) -> None:
        self.steps.append(step)

    def on_end(self, episode: Episode) -> None:
        self.ends.append(episode)
