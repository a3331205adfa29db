"""Pilots: chunks executed where they belong, history, late answers, handing over."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from fakes import CONTRACT, OneJoint, Ramp, Reach, Tape

from vibrissa.control import drive
from vibrissa.control.clock import WallClock
from vibrissa.control.drive import run_behind, run_episode
from vibrissa.control.pilots import ChunkPlayer, Random, Replay, Takeover, Zero
from vibrissa.control.rollout import Answer, rollout
from vibrissa.control.slots import infer
from vibrissa.core.episode import Episode, Observation
from vibrissa.core.errors import ArmFault, PolicyFault, UsageError


def _at(tick: int, q: float = 0.0) -> Observation:
    return Observation(tick, tick / 30, np.array([q], np.float32))


@pytest.mark.parametrize("horizon", [1, 3, 8])
def test_one_inference_serves_a_horizon_of_ticks(horizon) -> None:
    policy, tape = Ramp(length=8, step=0.0), Tape()
    run_episode(OneJoint(), ChunkPlayer(horizon), Reach(), [tape], policy=policy)
    asked = [s.observation.tick for s in tape.steps if s.decision.chunk is not None]
    assert asked == list(range(0, 40, horizon))
    assert len(policy.batches) == len(asked)


def test_what_a_decision_shows_is_the_whole_chunk_that_is_executed() -> None:
    tape = Tape()
    run_episode(OneJoint(), ChunkPlayer(4), Reach(), [tape], policy=Ramp(length=8))
    for first in range(0, len(tape.steps) - 3, 4):
        chunk = tape.steps[first].decision.chunk
        assert chunk is not None
        assert chunk.shape == (8, 1)
        for k in range(4):
            assert tape.steps[first + k].decision.action == chunk[k]


def test_history_is_as_long_as_asked_and_carries_its_pictures() -> None:
    policy = Ramp(length=8, history=2)
    run_episode(OneJoint(), ChunkPlayer(4, history=2, cameras=("eye",)), Reach(), policy=policy)
    first, later = policy.seen[0][0], policy.seen[1][0]
    assert [o.tick for o in first.history] == [0, 0]
    assert [o.tick for o in later.history] == [2, 3]
    assert [int(o.images["eye"][0, 0, 0]) for o in later.history] == [2, 3]


def test_history_does_not_render_ticks_that_no_question_reaches() -> None:
    arm, policy = OneJoint(), Ramp(length=40, step=0.0, history=1)
    run_episode(arm, ChunkPlayer(20, history=1, cameras=("eye",)), Reach(), policy=policy)
    assert arm.renders <= 6  # two questions and the ticks next to them, out of 40


def test_a_late_answer_enters_where_it_belongs() -> None:
    player = ChunkPlayer(6, lead=3)
    chunk = np.arange(6, dtype=np.float32)[:, None]
    assert player.asks(_at(0)) is not None
    player.take(chunk, 0, 0.0)
    played = [float(player.decide(_at(0)).action[0])]
    for tick in range(1, 5):
        asked = player.asks(_at(tick))
        assert (asked is not None) == (tick == 3)
        played.append(float(player.decide(_at(tick)).action[0]))
    player.asks(_at(5))
    player.take(chunk + 100, 3, 0.05)  # asked at tick 3, here at tick 5: its third action is next
    decision = player.decide(_at(5))
    assert played == [0, 1, 2, 3, 4]
    assert float(decision.action[0]) == 102
    assert decision.latency_s == 0.05


def test_without_an_answer_the_last_action_is_held_and_marked() -> None:
    player = ChunkPlayer(2, lead=1)
    player.asks(_at(0, 0.3))
    first = player.decide(_at(0, 0.3))
    assert first.late
    assert float(first.action[0]) == pytest.approx(0.3)


def test_a_short_or_flat_chunk_is_a_fault() -> None:
    with pytest.raises(PolicyFault, match="horizon of 4"):
        ChunkPlayer(4).take(np.zeros((3, 1), np.float32), 0, 0)
    with pytest.raises(PolicyFault, match="wanted"):
        ChunkPlayer(1).take(np.zeros(3, np.float32), 0, 0)
    with pytest.raises(UsageError, match="horizon"):
        ChunkPlayer(3, lead=3)


def test_nan_in_the_part_that_is_executed_is_a_fault() -> None:
    chunk = np.zeros((6, 1), np.float32)
    chunk[4] = np.nan
    ChunkPlayer(4).take(chunk, 0, 0)
    with pytest.raises(PolicyFault, match="NaN"):
        ChunkPlayer(5).take(chunk, 0, 0)


def test_ensembling_asks_every_tick_and_averages() -> None:
    policy, tape = Ramp(length=8), Tape()
    run_episode(OneJoint(), ChunkPlayer(8, ensemble=0.01), Reach(), [tape], policy=policy)
    assert len(policy.batches) == len(tape.steps)
    first, second = (s.decision.chunk for s in tape.steps[:2])
    assert first is not None
    assert second is not None
    w = np.exp(-0.01 * np.arange(2))
    expected = (w[0] * first[1] + w[1] * second[0]) / w.sum()
    np.testing.assert_allclose(tape.steps[1].decision.action, expected, rtol=1e-5)


def test_reset_forgets_the_last_episode_s_chunk() -> None:
    player = ChunkPlayer(6)
    player.asks(_at(0))
    player.take(np.full((6, 1), 9, np.float32), 0, 0.0)
    player.decide(_at(0))
    player.reset(1)
    assert player.asks(_at(0)) is not None
    assert float(player.decide(_at(0, 0.1)).action[0]) != 9


def test_reset_forgets_what_was_seen_in_the_last_episode() -> None:
    """A first question knows no tick but its own, however long the episode before was."""
    player = ChunkPlayer(4, history=2, cameras=("eye",))
    policy = Ramp(history=2)
    for seed in (3, 4):
        run_episode(OneJoint(), player, Reach(), policy=policy, seed=seed)
    firsts = [question for (question,) in policy.seen if question.tick == 0]
    assert len(firsts) == 2
    for first in firsts:
        assert [(o.tick, float(o.state[0])) for o in first.history] == [
            (0, float(first.state[0]))
        ] * 2


def test_inference_behind_the_arm_s_back() -> None:
    class Slow(Ramp):
        def act(self, observations):
            time.sleep(0.02)
            return super().act(observations)

    tape, policy = Tape(), Slow(length=12)
    clock = WallClock(200.0)
    player = ChunkPlayer(12, lead=8)
    episode = run_behind(rollout(OneJoint(), player, Reach(), [tape], clock=clock), policy)
    assert episode.outcome.success
    assert sum(s.decision.late for s in tape.steps) < len(tape.steps) / 2
    assert any(s.decision.latency_s >= 0.02 for s in tape.steps)


def test_a_policy_that_leaves_the_program_behind_the_arm_s_back_is_not_waited_for() -> None:
    class Leaving(Ramp):
        def act(self, observations):
            raise SystemExit(3)

    arm = OneJoint()
    with pytest.raises(SystemExit):
        run_behind(rollout(arm, ChunkPlayer(4), Reach(), [], clock=WallClock(200.0)), Leaving())
    assert arm.held == 1


def test_a_fault_behind_the_arm_s_back_ends_the_episode_well() -> None:
    class Broken(Ramp):
        def act(self, observations):
            raise RuntimeError("no memory")

    arm, tape = OneJoint(), Tape()
    with pytest.raises(PolicyFault, match="no memory"):
        run_behind(rollout(arm, ChunkPlayer(4), Reach(), [tape], clock=WallClock(200.0)), Broken())
    assert arm.held == 1
    assert tape.ends[0].outcome.reason == "fault"


def test_no_memory_behind_the_arm_s_back_aborts_the_episode_and_is_no_fault() -> None:
    class Greedy(Ramp):
        def act(self, observations):
            raise MemoryError

    arm, tape = OneJoint(), Tape()
    with pytest.raises(MemoryError):
        run_behind(rollout(arm, ChunkPlayer(4), Reach(), [tape], clock=WallClock(200.0)), Greedy())
    assert arm.held == 1
    assert tape.ends[0].outcome.reason == "aborted"


def test_a_camera_that_fails_behind_the_arm_s_back_is_a_fault_of_the_episode() -> None:
    arm, tape = OneJoint(), Tape()

    def render(name: str):
        raise ArmFault("the camera is gone")

    arm._render = render  # type: ignore[method-assign]
    with pytest.raises(ArmFault, match="the camera is gone"):
        run_behind(rollout(arm, ChunkPlayer(4), Reach(), [tape]), Ramp())
    assert arm.held == 1
    assert tape.ends[0].outcome.reason == "fault"


def test_ctrl_c_between_two_ticks_holds_the_arm_at_once(monkeypatch) -> None:
    """It may strike in the driver's own lines, while the loop is suspended."""

    def struck(question, policy):
        raise KeyboardInterrupt

    monkeypatch.setattr(drive, "look", struck)
    arm, tape = OneJoint(), Tape()
    with pytest.raises(KeyboardInterrupt):
        run_behind(rollout(arm, ChunkPlayer(4), Reach(), [tape]), Ramp())
    assert arm.held == 1
    assert tape.ends[0].outcome.reason == "aborted"


def test_an_inference_that_hangs_keeps_nobody_from_the_end(monkeypatch) -> None:
    go_on = threading.Event()

    class Stuck(Ramp):
        def act(self, observations):
            go_on.wait()
            return super().act(observations)

    monkeypatch.setattr(drive, "HANGS_S", 0.1)
    arm, tape = OneJoint(), Tape()
    episode = run_behind(rollout(arm, ChunkPlayer(4), Reach(), [tape]), Stuck())
    assert episode.outcome.reason == "timeout"
    assert all(step.decision.late for step in tape.steps)
    assert arm.held == 1
    go_on.set()


def test_takeover_switches_source_and_starts_the_policy_afresh() -> None:
    ticks: list[int] = []
    human = Replay(np.full((1, 1), -0.1, np.float32), "human")
    tape, policy = Tape(), Ramp(length=8)

    def engaged() -> bool:
        ticks.append(1)
        return 5 < len(ticks) <= 9

    pilot = Takeover(ChunkPlayer(8), human, engaged)
    run_episode(OneJoint(), pilot, Reach(), [tape], policy=policy)
    sources = [s.decision.source for s in tape.steps]
    assert sources[:10] == ["policy"] * 5 + ["human"] * 4 + ["policy"]
    assert tape.steps[9].decision.chunk is not None


def test_random_is_its_seed_s_and_stays_within_the_limits() -> None:
    def actions(seed):
        tape = Tape()
        run_episode(OneJoint(), Random(CONTRACT), Reach(), [tape], seed=seed)
        return [float(s.decision.action[0]) for s in tape.steps]

    assert actions(4) == actions(4) != actions(5)
    assert all(-1 <= a <= 1 for a in actions(4))


def test_zero_holds_what_it_found() -> None:
    tape = Tape()
    run_episode(OneJoint(), Zero(), Reach(), [tape], seed=2)
    assert len({float(s.sent[0]) for s in tape.steps}) == 1


def test_a_replay_plays_every_action_in_order_and_then_holds_the_last() -> None:
    pilot = Replay(np.array([[0.1], [0.2], [0.3]], np.float32))
    for _ in range(2):  # and from the first one again after a reset
        pilot.reset(0)
        played = [float(pilot.decide(_at(tick)).action[0]) for tick in range(5)]
        assert played == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.3])
    for nothing in (np.zeros((0, 1)), np.zeros(3)):
        with pytest.raises(UsageError, match="a replay needs actions"):
            Replay(nothing.astype(np.float32))


def test_random_fills_the_limits_up_to_both_sides() -> None:
    joint = replace(CONTRACT.action[0], low=-0.5, high=0.25)
    pilot = Random(replace(CONTRACT, action=(joint,)))
    pilot.reset(1)
    actions = [float(pilot.decide(_at(tick)).action[0]) for tick in range(500)]
    assert -0.5 <= min(actions) < -0.47
    assert 0.22 < max(actions) <= 0.25


class _Heard(Replay):
    """Keeps what it is reset with and given."""

    def __init__(self) -> None:
        super().__init__(np.zeros((1, 1), np.float32))
        self.resets: list[int] = []
        self.taken: list[tuple[int, float]] = []

    def reset(self, seed: int) -> None:
        super().reset(seed)
        self.resets.append(seed)

    def take(self, chunk: np.ndarray, asked_tick: int, latency_s: float) -> None:
        self.taken.append((asked_tick, latency_s))


def test_whoever_gets_the_arm_starts_afresh_with_the_seed_and_gets_its_own_answers() -> None:
    pilot, other, engaged = _Heard(), _Heard(), [False, True, True, False]
    both = Takeover(pilot, other, lambda: engaged[tick])
    both.reset(7)
    assert (pilot.resets, other.resets) == ([7], [7])
    resets = []
    for tick in range(4):
        both.asks(_at(tick))
        both.take(np.zeros((1, 1), np.float32), tick, 0.1 * tick)
        resets.append((len(pilot.resets), len(other.resets)))
    assert resets == [(1, 1), (1, 2), (1, 2), (2, 2)]
    assert pilot.resets == other.resets == [7, 7]
    assert pilot.taken == [(0, 0.0), (3, pytest.approx(0.3))]
    assert other.taken == [(1, 0.1), (2, 0.2)]


def test_the_fault_of_a_policy_has_what_it_raised_as_its_cause() -> None:
    class Broken(Ramp):
        def act(self, observations):
            raise RuntimeError("no weights")

    with pytest.raises(PolicyFault, match="the policy raised RuntimeError: no weights") as caught:
        run_episode(OneJoint(), ChunkPlayer(4), Reach(), policy=Broken())
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_one_question_that_breaks_the_policy_costs_its_own_episode_alone() -> None:
    class Picky(Ramp):
        def act(self, observations):
            if any(o.state[0] > 0.8 for o in observations):
                raise ValueError("too far")
            return super().act(observations)

    replies = infer(Picky(), {4: _at(0, 0.1), 5: _at(3, 0.9), 6: _at(6, 0.2)}, 4)
    assert isinstance(replies[5], PolicyFault)
    for slot, tick in ((4, 0), (6, 6)):
        reply = replies[slot]
        assert isinstance(reply, Answer)
        assert reply.asked_tick == tick


def test_inference_beside_the_episodes_runs_once_at_a_time_and_loses_no_question() -> None:
    inside: list[int] = []

    class Slow(Ramp):
        def act(self, observations):
            inside.append(len(inside))
            assert len(inside) == 1
            time.sleep(0.002)
            inside.clear()
            return super().act(observations)

    def played(beside: bool) -> dict[int, tuple[str, int]]:
        policy = Slow()

        def start(slot: int, seed: int):
            return rollout(OneJoint(), ChunkPlayer(4), Reach(), [], seed=seed)

        ends = {}
        for one in drive.run_many(range(7), start, policy, slots=4, rows=2, beside=beside):
            assert isinstance(one.result, Episode)
            ends[one.seed] = one.result.outcome.reason, one.result.outcome.ticks
        assert set(policy.batches) == {2}
        return ends

    assert played(beside=True) == played(beside=False)
    assert len(played(beside=True)) == 7
