"""A state put back goes on bit for bit as it did the first time."""

from __future__ import annotations

import numpy as np
import pytest

from vibrissa.core.errors import ArmFault
from vibrissa.core.units import HIGH_RAD, LOW_RAD
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.snapshot import restore, save
from vibrissa.sim.tasks import make_scene


def go_on(arm: SimArm, ticks: int) -> list[tuple[np.ndarray, np.ndarray, bool, int]]:
    rng = np.random.default_rng(4)
    seen = []
    for _ in range(ticks):
        arm.send(rng.uniform(LOW_RAD, HIGH_RAD).astype(np.float32))
        o = arm.observe()
        seen.append((o.state, o.truth["object_position"], o.truth["touching"], o.tick))
    return seen


def equal(one: list, other: list) -> bool:
    return all(
        np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) and a[2:] == b[2:]
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("ticks", [0, 45, 75, 100])
def test_what_follows_is_the_same_bit_for_bit(ticks: int) -> None:
    """Before, in and after the grasp, on the same arm and on another one."""
    cfg = make_scene("pick-place")
    arm, expert = SimArm(cfg), Expert(cfg)
    arm.reset(1)
    expert.reset(1)
    for _ in range(ticks):
        arm.send(expert.decide(arm.observe()).action)
    kept = save(arm)  # with a target that is still pending
    first = go_on(arm, 25)
    restore(arm, kept)
    assert equal(go_on(arm, 25), first)
    other = SimArm(cfg)
    restore(other, kept)
    assert equal(go_on(other, 25), first)


def test_a_snapshot_is_not_touched_by_what_follows() -> None:
    arm = SimArm(make_scene("lift"))
    arm.reset(1)
    kept = save(arm)
    before = kept.physics.copy()
    go_on(arm, 3)
    assert np.array_equal(kept.physics, before)
    assert kept.tick == 0


def test_what_cannot_be_saved_or_restored_is_said() -> None:
    with pytest.raises(ArmFault, match="reset"):
        save(SimArm(make_scene("lift")))
    arm = SimArm(make_scene("lift"))
    arm.reset(0)
    with pytest.raises(ArmFault, match="another scene"):
        restore(SimArm(make_scene("pick-place")), save(arm))
