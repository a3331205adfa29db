"""What every Arm owes to the loop, whatever moves inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fakes import OneJoint

from vibrissa.core.contract import Contract
from vibrissa.core.episode import Observation
from vibrissa.core.protocols import Arm
from vibrissa.real.arm import RealArm
from vibrissa.real.rig import load_rig
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.twin import Twin


def _simulated(task: str, randomise: str = "none") -> Callable[[], Arm]:
    def make() -> Arm:
        from vibrissa.sim.arm import SimArm
        from vibrissa.sim.randomise import preset

        return SimArm(make_scene(task, random=preset(randomise)))

    return make


ARMS: dict[str, Callable[[], Arm]] = {
    "one joint": OneJoint,
    "pick-place": _simulated("pick-place"),
    "lift": _simulated("lift"),
    "pick-place, strongly randomised": _simulated("pick-place", "strong"),
}


REAL = "the real arm, on the twin"  # time and noise are its own: no two episodes are the same


@pytest.fixture(params=ARMS)
def simulated(request) -> Iterator[Arm]:
    made = ARMS[request.param]()
    yield made
    made.close()


@pytest.fixture(params=[*ARMS, REAL])
def arm(request, tmp_path) -> Iterator[Arm]:
    if request.param != REAL:
        made = ARMS[request.param]()
        yield made
        made.close()
        return
    with (
        Twin(tmp_path, make_scene("lift")),
        RealArm(load_rig(tmp_path / "rig.yaml"), 30, say=lambda _: None, warning_s=0) as made,
    ):
        yield made


def _walk(arm: Arm, seed: int, ticks: int) -> list[Observation]:
    """A seeded walk around where the arm starts."""
    rng = np.random.default_rng(seed)
    arm.reset(seed)
    seen = [arm.observe()]
    for _ in range(ticks):
        arm.send((seen[-1].state + rng.normal(0, 0.05, len(seen[-1].state))).astype(np.float32))
        seen.append(arm.observe())
    return seen


def test_it_is_an_arm_with_a_contract_that_survives_json(arm) -> None:
    assert isinstance(arm, Arm)
    assert Contract.from_dict(arm.contract.to_dict()) == arm.contract


def test_observations_are_what_the_contract_says(arm) -> None:
    for tick, observation in enumerate(_walk(arm, 0, 5)):
        assert observation.tick == tick
        if not isinstance(arm, RealArm):
            assert observation.time_s == pytest.approx(tick / arm.contract.rate_hz)
        assert observation.state.shape == (len(arm.contract.state),)
        assert observation.state.dtype == np.float32
        assert observation.privileged.shape == (len(arm.contract.privileged),)
        assert tuple(observation.images) == arm.contract.camera_names


def test_a_seed_is_an_episode_bit_for_bit(simulated) -> None:
    first, other, again = (_walk(simulated, seed, 20) for seed in (3, 4, 3))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.state, b.state)
        np.testing.assert_array_equal(a.privileged, b.privileged)
    assert any((a.state != b.state).any() for a, b in zip(first, other, strict=True))


def test_two_arms_of_a_kind_live_the_same_episode(request, simulated) -> None:
    twin = ARMS[request.node.callspec.params["simulated"]]()
    for a, b in zip(_walk(simulated, 5, 20), _walk(twin, 5, 20), strict=True):
        np.testing.assert_array_equal(a.state, b.state)
    twin.close()


def test_send_sets_a_target_and_says_what_it_became(arm) -> None:
    arm.reset(0)
    before = arm.observe()
    high = np.array([c.high for c in arm.contract.action], np.float32)
    sent = arm.send(before.state + 100)
    assert sent.shape == before.state.shape
    assert sent.dtype == np.float32
    assert (sent <= high + 1e-6).all()


def test_an_observation_is_not_changed_by_what_comes_later(arm) -> None:
    arm.reset(0)
    first = arm.observe()
    kept = first.state.copy()
    arm.send(first.state + np.float32(0.1))
    arm.observe()
    np.testing.assert_array_equal(first.state, kept)


def test_hold_may_be_called_at_any_moment_and_twice(arm) -> None:
    arm.reset(0)
    arm.hold()
    arm.observe()
    arm.hold()
    arm.hold()
    arm.close()
