"""Every episode becomes a row, whatever happens to it, and depends on its seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from bench.builds import zero_setup
from fakes import OneJoint, Ramp, Reach, Tape
from numpy.typing import NDArray

from vibrissa.bench.evaluate import Setup, evaluate, jump_of, spawn_of
from vibrissa.bench.outcomes import Row
from vibrissa.control.pilots import ChunkPlayer
from vibrissa.core.episode import Observation
from vibrissa.core.errors import ArmFault
from vibrissa.core.protocols import Arm, Policy


def ramp_setup(policy: Policy | None = None, slots: int = 3) -> Setup:
    return Setup("policy", OneJoint, Reach, lambda _arm: ChunkPlayer(4), policy or Ramp(), slots)


def judged(setup: Setup, seeds: Sequence[int]) -> list[Row]:
    return sorted(evaluate(setup, seeds), key=lambda r: r.seed)


def timeless(rows: Sequence[Row]) -> list[tuple[object, ...]]:
    return [(r.seed, r.reason, r.failure_class, r.ticks, r.measures) for r in rows]


def test_a_row_for_every_seed_and_the_zero_pilot_fails() -> None:
    seeds = list(range(100, 110))
    policy = judged(ramp_setup(), seeds)
    assert [r.seed for r in policy] == seeds
    assert all(r.success and r.inferences > 0 and r.latency_s[1] > 0 for r in policy)
    zero = judged(zero_setup(), seeds)
    assert not any(r.success for r in zero)
    assert {(r.reason, r.ticks, r.inferences) for r in zero} == {("timeout", 40, 0)}


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize(("slots", "rows"), [(1, 0), (2, 0), (5, 2), (3, 8), (16, 4)])
def test_an_outcome_depends_on_its_seed_alone(slots: int, rows: int, beside: bool) -> None:
    alone = [row for seed in range(7) for row in evaluate(ramp_setup(slots=1), [seed])]
    setup = replace(ramp_setup(slots=slots), rows=rows, beside=beside)
    assert timeless(judged(setup, [3, 0, 6, 1, 5, 2, 4])) == timeless(alone)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("slots", [1, 4])
def test_what_breaks_on_one_observation_costs_no_episode_beside_it(
    slots: int, beside: bool
) -> None:
    """A policy that raises in a batch because of one of its rows."""
    policy, arm = Ramp(), OneJoint()
    arm.reset(4)
    first = arm.observe().state
    act = policy.act

    def picky(observations: Sequence[Observation]) -> NDArray[np.float32]:
        if any(o.tick == 0 and np.array_equal(o.state, first) for o in observations):
            raise ZeroDivisionError("that one")
        return act(observations)

    policy.act = picky  # type: ignore[method-assign]
    rows = judged(replace(ramp_setup(policy, slots=slots), beside=beside), range(7))
    sound = judged(ramp_setup(slots=slots), range(7))
    assert [row.seed for row in rows if row.reason == "fault"] == [4]
    assert rows[4].detail == "PolicyFault: the policy raised ZeroDivisionError: that one"
    others = [row for row in rows if row.seed != 4]
    assert timeless(others) == timeless([row for row in sound if row.seed != 4])
    assert set(policy.batches) == {slots}


@pytest.mark.parametrize(("slots", "rows", "seen"), [(4, 0, 4), (1, 4, 4), (16, 4, 4)])
@pytest.mark.parametrize("beside", [False, True])
def test_every_batch_has_one_size_whatever_the_slots(
    slots: int, rows: int, seen: int, beside: bool
) -> None:
    policy = Ramp()
    setup = replace(ramp_setup(policy, slots=slots), rows=rows, beside=beside)
    judged(setup, range(5))
    assert set(policy.batches) == {seen}


def test_batches_are_full_until_the_last_episodes() -> None:
    """Twenty episodes of four questions each in batches of four: no more than a few left over."""
    policy = Ramp()
    rows = judged(replace(ramp_setup(policy, slots=8), rows=4), range(20))
    asked = sum(row.inferences for row in rows)
    assert len(policy.batches) <= asked / 4 + 8


class NaNAfter(Ramp):
    """A ramp that turns to NaN in the slot whose joint has passed 0.3 rad."""

    def act(self, observations: Sequence[Observation]) -> NDArray[np.float32]:
        chunks = super().act(observations)
        for chunk, seen in zip(chunks, observations, strict=True):
            if seen.state[0] > 0.3:
                chunk[:] = np.nan
        return chunks


def test_nan_from_a_policy_is_a_fault_and_no_failure() -> None:
    rows = judged(ramp_setup(NaNAfter(), slots=2), range(4))
    assert {(r.reason, r.failure_class) for r in rows} == {("fault", "FAULT")}
    assert all("NaN" in r.detail for r in rows)


class Broken(OneJoint):
    """Cannot be reset from even seeds, and breaks at tick 5 of seed 3."""

    def reset(self, seed: int) -> None:
        self._seed = seed
        if seed % 2 == 0:
            raise ArmFault(f"no start from seed {seed}")
        super().reset(seed)

    def observe(self) -> Observation:
        observation = super().observe()
        if self._seed == 3 and observation.tick == 5:
            raise ArmFault("the servo is silent")
        return observation


def test_a_faulty_arm_spoils_its_own_episode_only() -> None:
    setup = Setup("policy", Broken, Reach, lambda _arm: ChunkPlayer(4), Ramp(), slots=2)
    rows = judged(setup, range(6))
    assert [r.reason for r in rows] == ["fault", "success", "fault", "fault", "fault", "success"]
    assert rows[0].detail == "ArmFault: no start from seed 0"
    assert rows[0].ticks == 0
    assert "silent" in rows[3].detail
    assert rows[3].ticks == 5


def test_whoever_stops_early_keeps_the_rows_and_the_arms_are_closed() -> None:
    closed = []

    class Closing(OneJoint):
        def close(self) -> None:
            closed.append(self.held)

    setup = Setup("policy", Closing, Reach, lambda _arm: ChunkPlayer(4), Ramp(), slots=2)
    rows = evaluate(setup, range(10))
    kept = [next(rows), next(rows)]
    rows.close()  # type: ignore[attr-defined]
    assert all(r.success for r in kept)
    assert len(closed) == 2
    assert all(held > 0 for held in closed)


def test_watchers_see_their_episode() -> None:
    tapes = {}

    def watch(seed: int, _arm: Arm) -> list[Tape]:
        return [tapes.setdefault(seed, Tape())]

    rows = list(evaluate(zero_setup(), [4, 8], watch))
    assert {s: len(t.steps) for s, t in tapes.items()} == {r.seed: r.ticks for r in rows}


def test_an_arm_that_tells_no_truth_has_no_spawn() -> None:
    assert spawn_of(Observation(0, 0.0, np.zeros(1, np.float32))) is None


def test_chunks_that_disagree_are_seen_as_jumps() -> None:
    """A ramp of 0.01 a tick that starts 0.2 higher with every chunk of five."""
    sent = [np.full(6, 0.01 * t + 0.2 * (t // 5), np.float32) for t in range(15)]
    fresh = [t % 5 == 0 for t in range(15)]
    jump, stride = jump_of(sent, fresh)
    assert jump == pytest.approx(0.21, abs=1e-4)
    assert stride == pytest.approx(0.01, abs=1e-4)


def test_without_chunks_there_is_no_jump() -> None:
    still = [np.zeros(6, np.float32)] * 4
    assert jump_of(still, [False] * 4) == (None, 0.0)
    assert jump_of(still[:1], [True]) == (None, None)
    assert jump_of(still[:2], [True, True]) == (0.0, None)


def test_a_policys_row_tells_how_its_chunks_join() -> None:
    row = judged(ramp_setup(), [3])[0]
    assert row.jump == pytest.approx(row.stride, rel=0.2)  # a ramp goes on as it was
    assert judged(zero_setup(), [3])[0].jump is None
