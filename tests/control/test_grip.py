"""Another grip: what becomes of the gripper's target, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import CONTRACT, Ramp
from hypothesis import given
from hypothesis import strategies as st

from vibrissa.control.grip import GripChange, OtherGrip
from vibrissa.control.pilots import ChunkPlayer, Replay, Zero
from vibrissa.core.contract import so101
from vibrissa.core.episode import Observation
from vibrissa.core.errors import UsageError
from vibrissa.core.units import GRIPPER, LOW_RAD

ARM = so101(rate_hz=30.0)
angles = st.floats(-1.5, 1.5, allow_nan=False)


def seen(gripper_rad: float, tick: int = 0) -> Observation:
    state = np.zeros(6, np.float32)
    state[GRIPPER] = gripper_rad
    return Observation(tick, tick / 30, state)


def test_offset_then_squeeze_then_clip() -> None:
    assert GripChange(offset_rad=-0.1).target(0.5, 0.5) == pytest.approx(0.4)
    squeezing = GripChange(squeeze_rad=0.2)
    assert squeezing.target(0.38, 0.4) == pytest.approx(0.2)  # a lazy squeeze
    assert squeezing.target(0.1, 0.4) == pytest.approx(0.1)  # one that is strong enough
    assert squeezing.target(0.399, 0.4) == pytest.approx(0.399)  # no squeeze: where it stands
    assert squeezing.target(0.6, 0.4) == pytest.approx(0.6)  # opening
    assert GripChange(offset_rad=-0.1, squeeze_rad=0.2).target(0.45, 0.4) == pytest.approx(0.2)
    assert GripChange(offset_rad=-0.5, clip_rad=(0.1, 1.2)).target(0.3, 0.4) == 0.1
    assert GripChange(clip_rad=(0.1, 1.2)).target(1.5, 0.4) == 1.2


@given(angles, angles, st.floats(-0.5, 0.5), st.floats(0, 0.5))
def test_a_clipped_target_is_within_and_no_squeeze_is_weaker(
    asked: float, reading: float, offset: float, squeeze: float
) -> None:
    change = GripChange(offset, squeeze, (-1.0, 1.0))
    assert -1.0 <= change.target(asked, reading) <= 1.0
    bare, tight = GripChange(offset), GripChange(offset, squeeze)
    assert tight.target(asked, reading) <= bare.target(asked, reading)


@given(angles, angles)
def test_no_change_is_none(asked: float, reading: float) -> None:
    assert GripChange().target(asked, reading) == asked
    assert not GripChange().is_on


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ({"offset_rad": 9.0}, "grip offset=9: at most 2 rad"),
        ({"offset_rad": float("nan")}, "must be finite"),
        ({"squeeze_rad": -0.1}, "grip min=-0.1: from 0 to 2 rad"),
        ({"clip_rad": (1.2, 0.1)}, "grip clip=1.2:0.1: the lower target first"),
        ({"clip_rad": (0.3, 0.3)}, "the lower target first"),
        ({"clip_rad": (0.0, 7.0)}, "both within 2 rad"),
    ],
)
def test_impossible_numbers_are_one_line(numbers: dict, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        GripChange(**numbers)


def test_only_the_gripper_changes_and_the_chunk_stays_what_the_policy_said() -> None:
    actions = np.linspace(0.1, 0.6, 6, dtype=np.float32)[None].repeat(3, axis=0)
    pilot = OtherGrip(Replay(actions), GripChange(offset_rad=-0.2), ARM)
    pilot.reset(0)
    decided = pilot.decide(seen(0.6))
    assert np.array_equal(decided.action[:GRIPPER], actions[0, :GRIPPER])
    assert decided.action[GRIPPER] == pytest.approx(0.4)
    assert actions[0, GRIPPER] == pytest.approx(0.6)  # the recording is not written to

    player = ChunkPlayer(2)
    other = OtherGrip(player, GripChange(offset_rad=-0.2), ARM)
    other.reset(0)
    assert other.asks(seen(0.5)) is not None
    chunk = np.full((2, 6), 0.5, np.float32)
    other.take(chunk, 0, 0.0)
    first = other.decide(seen(0.5))
    assert first.chunk is not None
    assert np.array_equal(first.chunk, chunk)
    assert first.action[GRIPPER] == pytest.approx(0.3)


def test_a_late_tick_repeats_the_action_and_is_changed_once() -> None:
    player = ChunkPlayer(1)
    other = OtherGrip(player, GripChange(offset_rad=-0.2), ARM)
    other.reset(0)
    other.asks(seen(0.5))
    other.take(np.full((1, 6), 0.5, np.float32), 0, 0.0)
    other.decide(seen(0.5))
    other.asks(seen(0.5, tick=1))
    late = other.decide(seen(0.5, tick=1))
    assert late.late
    assert late.action[GRIPPER] == pytest.approx(0.3)


def test_targets_stay_within_the_contract() -> None:
    pilot = OtherGrip(Zero(), GripChange(offset_rad=-1.9), ARM)
    pilot.reset(0)
    assert pilot.decide(seen(0.0)).action[GRIPPER] == pytest.approx(LOW_RAD[GRIPPER])


def test_an_arm_without_a_gripper_in_rad_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no gripper\.pos in rad; it has: joint\.pos \(rad\)"):
        OtherGrip(ChunkPlayer(Ramp()._length), GripChange(offset_rad=0.1), CONTRACT)
    with pytest.raises(UsageError, match=r"no gripper\.pos in rad"):
        OtherGrip(Zero(), GripChange(offset_rad=0.1), so101(rate_hz=30.0, unit="deg"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (GripChange(), ""),
        (GripChange(offset_rad=-0.05), "offset=-0.05"),
        (GripChange(squeeze_rad=0.02), "min=0.02"),
        (GripChange(clip_rad=(0.1, 1.2)), "clip=0.1:1.2"),
        (GripChange(-0.05, 0.02, (0.1, 1.2)), "offset=-0.05,min=0.02,clip=0.1:1.2"),
    ],
)
def test_a_change_is_written_as_its_option(change: GripChange, text: str) -> None:
    assert str(change) == text
    assert change.is_on == bool(text)


def test_seed_and_latency_reach_the_pilot_behind_the_grip() -> None:
    class Heard(Zero):
        def reset(self, seed: int) -> None:
            super().reset(seed)
            self.seed = seed

        def take(self, chunk: np.ndarray, asked_tick: int, latency_s: float) -> None:
            self.taken = asked_tick, latency_s

    pilot = Heard()
    other = OtherGrip(pilot, GripChange(offset_rad=-0.2), ARM)
    other.reset(7)
    other.take(np.zeros((1, 6), np.float32), 4, 0.3)
    assert (pilot.seed, pilot.taken) == (7, (4, 0.3))
