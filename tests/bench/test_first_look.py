"""What is said and refused before anything moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import CONTRACT, OneJoint, Ramp

from vibrissa.bench.first_look import (
    executed,
    lead_ticks,
    look_first,
    require_fit,
    require_sight,
    require_within,
)
from vibrissa.core.contract import CameraSpec, so101
from vibrissa.core.errors import ContractError, PolicyFault
from vibrissa.core.units import to_rad


def seen(arm: OneJoint):
    arm.reset(3)
    return arm.observe()


def test_speed_and_range_are_those_of_the_policy() -> None:
    ticks = iter(np.arange(0, 100, 0.5))  # every look at the clock half a second later
    policy = Ramp(length=4, step=0.1, history=2)
    look = look_first(policy, CONTRACT, seen(OneJoint()), now=lambda: float(next(ticks)))
    assert (look.latency_s, look.slowest_s) == (0.5, 0.5)
    assert look.chunk.shape == (4, 1)
    assert np.ptp(look.chunk) == pytest.approx(0.3)
    assert len(policy.seen[0][0].history) == 2
    assert policy.resets == [0, 0]  # nothing of it is left for the first rollout
    lines = look.lines()
    assert lines[0] == "speed   2 inferences/s (500.0 ms, slowest 500.0 ms)"
    assert "limits -1.0 … 1.0 rad" in lines[2]


def test_joints_of_an_so101_are_told_in_degrees() -> None:
    arm = so101(rate_hz=30)

    class Still:
        contract, history = arm, 0

        def reset(self, slots) -> None: ...

        def act(self, observations):
            return np.stack([np.tile(o.state, (3, 1)) for o in observations])

    state = to_rad(np.array([90, 0, 0, 0, 0, 50], np.float32), "deg")
    observation = replace(seen(OneJoint()), state=state)
    look = look_first(Still(), arm, observation)
    assert look.chunk[0] == pytest.approx([90, 0, 0, 0, 0, 50], abs=1e-3)
    assert look.channels[5].unit == "percent"
    require_within(look)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_refused(bad) -> None:
    policy = Ramp()
    policy.act = lambda observations: np.full((1, 8, 1), bad, np.float32)  # type: ignore[method-assign]
    with pytest.raises(PolicyFault, match=r"NaN or infinity for joint.pos; nothing was moved"):
        look_first(policy, CONTRACT, seen(OneJoint()))


@pytest.mark.parametrize(("step", "fine"), [(0.1, True), (0.5, False)])
def test_what_leaves_the_joints_range_by_far_is_refused(step, fine) -> None:
    look = look_first(Ramp(step=step), CONTRACT, seen(OneJoint()))
    if fine:
        require_within(look)
    else:
        with pytest.raises(ContractError, match=r"joint.pos from .* goes from -1.0 to 1.0 rad"):
            require_within(look)


def test_every_difference_is_told_and_the_calibration_only_where_it_is_known() -> None:
    wanted = so101(rate_hz=30, unit="deg", cameras=(CameraSpec("wrist", 64, 48),))
    arm = so101(rate_hz=30, calibration="so101-abc", cameras=(CameraSpec("overhead", 64, 48),))
    with pytest.raises(ContractError, match=r"camera 'wrist': wanted, but there is: overhead"):
        require_fit(wanted, arm)
    wanted = so101(rate_hz=30, unit="deg", calibration="so101-def")
    with pytest.raises(ContractError, match=r"wants 'so101-def', has 'so101-abc'.*--accept"):
        require_fit(wanted, arm)
    require_fit(wanted, arm, accept=["calibration"])
    require_fit(so101(rate_hz=30, unit="deg"), arm)


def test_a_camera_that_shows_nothing_is_refused_where_the_policy_looks() -> None:
    observation = replace(seen(OneJoint()), health={"eye": "black", "other": "frozen"})
    with pytest.raises(ContractError, match="camera 'eye' is black, and the policy looks"):
        require_sight(CONTRACT, observation)
    require_sight(replace(CONTRACT, cameras=()), observation)


def test_a_slow_policy_is_asked_early_and_a_hopeless_one_refused() -> None:
    assert lead_ticks(0.001, 30) == 2
    assert lead_ticks(0.1, 30) == 6
    assert executed(10, 100, lead=6, rate_hz=30) == 16  # a question every 10 ticks all the same
    assert executed(10, 10, lead=6, rate_hz=30) == 10
    with pytest.raises(PolicyFault, match="too slow for this policy"):
        executed(10, 10, lead=10, rate_hz=30)
