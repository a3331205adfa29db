"""What every Policy owes to the loop: whole chunks, one row a slot, nothing carried over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data.recordings import contract, record, steps
from fakes import Ramp

from vibrissa.commands.train import train_policy
from vibrissa.core.contract import CameraSpec, Contract
from vibrissa.core.episode import Observation
from vibrissa.core.protocols import Policy
from vibrissa.learn.policy import load_policy
from vibrissa.learn.recipes import recipe_named

EYES = (CameraSpec("front", 32, 32),)
KINDS = ("ramp", "checkpoint", "checkpoint with a camera")

Case = tuple[Callable[[int], Policy], list[Observation]]  # slots → policy, and what it may see


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """A maker of each kind of policy, and eight observations of its own arm."""

    def trained(made_under: Contract, name: str) -> Case:
        folder: Path = tmp_path_factory.mktemp(name)
        data = record(folder / "data", made_under, 1)
        recipe = recipe_named("debug", steps=2)
        train_policy(recipe, data, folder / "run", threads=1, cache=folder, say=lambda _: None)
        seen = [step.observation for step in steps(made_under, 8, seed=1)]
        return lambda slots: load_policy(folder / "run", slots=slots), seen

    joint = [Observation(t, t / 30, np.array([t / 10], np.float32)) for t in range(8)]
    return {
        "ramp": (lambda slots: Ramp(), joint),
        "checkpoint": trained(contract(), "blind"),
        "checkpoint with a camera": trained(contract(EYES), "seeing"),
    }


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest, cases: dict[str, Case]) -> Case:
    return cases[request.param]


def test_it_gives_whole_finite_chunks_in_the_order_of_the_slots(case: Case) -> None:
    make, seen = case
    policy = make(4)
    assert isinstance(policy, Policy)
    policy.reset(range(4))
    chunks = policy.act(seen[:4])
    assert chunks.ndim == 3
    assert chunks.dtype == np.float32
    assert (len(chunks), chunks.shape[2]) == (4, len(policy.contract.action))
    assert np.isfinite(chunks).all()
    turned = policy.act(seen[3::-1])
    np.testing.assert_allclose(turned[::-1], chunks, atol=1e-5)


def test_a_slot_is_answered_alike_whoever_sits_beside_it(case: Case) -> None:
    make, seen = case
    policy = make(4)
    policy.reset(range(4))
    alone = policy.act([seen[0]] * 4)[0]
    np.testing.assert_array_equal(policy.act([seen[0], *seen[5:8]])[0], alone)


def test_after_a_reset_nothing_of_the_last_episode_is_left(case: Case) -> None:
    make, seen = case
    policy = make(1)
    policy.reset([0])
    fresh = policy.act([seen[0]])
    for observation in seen[1:]:
        policy.act([observation])
    policy.reset([0])
    np.testing.assert_array_equal(policy.act([seen[0]]), fresh)


def test_it_never_looks_at_the_truth(case: Case) -> None:
    make, seen = case

    class Forbidden(dict):
        def __getitem__(self, key):
            raise AssertionError(f"a policy read the truth: {key}")

        def get(self, key, default=None):
            raise AssertionError(f"a policy read the truth: {key}")

    guarded = [Observation(**{**vars(o), "truth": Forbidden()}) for o in seen[:1]]
    policy = make(1)
    policy.reset([0])
    np.testing.assert_array_equal(policy.act(guarded), policy.act(seen[:1]))
