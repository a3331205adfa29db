"""What every Pilot owes to the loop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fakes import Ramp

from vibrissa.control.drive import run_episode
from vibrissa.control.grip import GripChange, OtherGrip
from vibrissa.control.pilots import ChunkPlayer, Random, Replay, Takeover, Zero
from vibrissa.core.episode import SOURCES, Step
from vibrissa.core.protocols import Arm, Pilot
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.tasks import make_scene, make_task

PILOTS: dict[str, Callable[[Arm], Pilot]] = {
    "zero": lambda arm: Zero(),
    "random": lambda arm: Random(arm.contract),
    "replay": lambda arm: Replay(np.zeros((3, 6), np.float32)),
    "chunks": lambda arm: ChunkPlayer(4),
    "ensemble": lambda arm: ChunkPlayer(4, ensemble=0.01),
    "another grip": lambda arm: OtherGrip(ChunkPlayer(4), GripChange(-0.05, 0.02), arm.contract),
    "takeover": lambda arm: Takeover(Zero(), Random(arm.contract), lambda: True),
    "expert": lambda arm: Expert(make_scene("pick-place"), action_noise_rad=0.02),
}


class _Steps:
    def __init__(self) -> None:
        self.steps: list[Step] = []

    def on_start(self, start) -> None:
        self.steps.clear()

    def on_step(self, step) -> None:
        self.steps.append(step)

    def on_end(self, episode) -> None:
        return None


@pytest.fixture(scope="module")
def arm():
    made = SimArm(make_scene("pick-place"))
    yield made
    made.close()


@pytest.fixture
def task():
    short = make_task("pick-place")
    short.max_ticks = 12
    return short


def _actions(arm, task, pilot, seed) -> np.ndarray:
    steps = _Steps()
    run_episode(arm, pilot, task, [steps], seed=seed, policy=Ramp(length=8, step=0.01))
    assert all(s.decision.source in SOURCES for s in steps.steps)
    return np.stack([s.decision.action for s in steps.steps])


@pytest.mark.parametrize("kind", PILOTS)
def test_a_pilot_s_episode_is_its_seed_s_alone(kind, arm, task) -> None:
    pilot = PILOTS[kind](arm)
    assert isinstance(pilot, Pilot)
    first = _actions(arm, task, pilot, 11)
    _actions(arm, task, pilot, 12)
    again = _actions(arm, task, pilot, 11)
    fresh = _actions(arm, task, PILOTS[kind](arm), 11)
    assert first.shape == (12, 6)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, fresh)
