"""The loop: what it does at a tick, and that every way out is a good one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fakes import OneJoint, Ramp, Reach, Tape

from vibrissa.control.drive import run_episode, run_many
from vibrissa.control.pilots import ChunkPlayer, Replay, Zero
from vibrissa.control.rollout import Answer, rollout
from vibrissa.core.errors import ArmFault, ContractError, PolicyFault, VibrissaError


def test_a_ramp_reaches_and_everybody_is_told_once() -> None:
    arm, tape = OneJoint(), Tape()
    episode = run_episode(arm, ChunkPlayer(4), Reach(), [tape], policy=Ramp(), seed=3)
    assert episode.outcome.success
    assert episode.outcome.ticks == len(tape.steps) == 15
    assert [s.observation.tick for s in tape.steps] == list(range(15))
    assert tape.ends == [episode]
    assert tape.starts[0].scene == {"kind": "one joint"}
    assert arm.held == 1


def test_an_arm_that_is_led_on_is_told_to_hold_only_where_something_went_wrong() -> None:
    class Gone(Zero):
        def decide(self, observation):
            raise ArmFault("the leader is gone.")

    arm = OneJoint()
    run_episode(arm, Zero(), Reach(), led_on=True)
    assert arm.held == 0
    with pytest.raises(ArmFault, match="gone"):
        run_episode(arm, Gone(), Reach(), led_on=True)
    assert arm.held == 1


def test_the_time_limit_ends_an_episode() -> None:
    episode = run_episode(OneJoint(), Zero(), Reach(), seed=1)
    assert (episode.outcome.reason, episode.outcome.ticks) == ("timeout", 40)


def test_what_is_sent_is_kept_beside_what_was_asked() -> None:
    tape = Tape()
    run_episode(OneJoint(), Replay(np.full((1, 1), 5, np.float32)), Reach(), [tape])
    assert all(s.decision.action[0] == 5 and s.sent[0] == 1 for s in tape.steps)


def test_nobody_looks_nothing_is_rendered() -> None:
    arm = OneJoint()
    run_episode(arm, ChunkPlayer(4), Reach(), policy=Ramp())
    assert arm.renders == 0


def test_a_picture_is_of_its_own_tick_even_when_looked_at_after_sending() -> None:
    seen: list[int] = []

    class Look(Tape):
        def on_step(self, step):  # after arm.send
            seen.append(int(step.observation.images["eye"][0, 0, 0]) - step.observation.tick)

    run_episode(OneJoint(), ChunkPlayer(4), Reach(), [Look()], policy=Ramp())
    assert seen
    assert set(seen) == {0}


def test_a_picture_of_a_tick_that_has_passed_is_refused() -> None:
    arm = OneJoint()
    arm.reset(0)
    old = arm.observe()
    arm.observe()
    with pytest.raises(ArmFault, match="after its tick"):
        old.images["eye"]
    with pytest.raises(KeyError, match="There is: eye"):
        old.images["ey"]


# -- faults, injected at every tick ---------------------------------------------------------------


class _At:
    """Does something at the n-th call, and otherwise what the wrapped method does."""

    def __init__(self, method: Callable, n: int, instead: Callable):
        self.method, self.n, self.instead, self.calls = method, n, instead, 0

    def __call__(self, *args):
        self.calls += 1
        return self.instead() if self.calls - 1 == self.n else self.method(*args)


def _raise(error: BaseException) -> Callable:
    def instead(*_):
        raise error

    return instead


TICKS = range(15)


@pytest.mark.parametrize("tick", TICKS)
@pytest.mark.parametrize("error", [ArmFault("lost"), RuntimeError("bug"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["observe", "send"])
def test_a_failing_arm_is_held_and_the_end_is_told(where, error, tick) -> None:
    arm, tape = OneJoint(), Tape()
    setattr(arm, where, _At(getattr(arm, where), tick, _raise(error)))
    with pytest.raises(type(error)):
        run_episode(arm, ChunkPlayer(4), Reach(), [tape], policy=Ramp(), seed=3)
    assert arm.held == 1
    reason = "aborted" if isinstance(error, KeyboardInterrupt) else "fault"
    assert [e.outcome.reason for e in tape.ends] == [reason]
    assert tape.ends[0].outcome.ticks == len(tape.steps)


@pytest.mark.parametrize("tick", TICKS)
@pytest.mark.parametrize(
    ("action", "told"),
    [
        (np.array([np.nan], np.float32), "NaN"),
        (np.array([np.inf], np.float32), "NaN or infinity in joint.pos"),
        (np.zeros(3, np.float32), "shape"),
        (np.float32(0), "shape"),
    ],
)
def test_an_action_that_means_nothing_is_never_sent(action, told, tick) -> None:
    arm, tape, pilot = OneJoint(), Tape(), ChunkPlayer(4)
    good = pilot.decide

    def decide(observation):
        from dataclasses import replace

        decision = good(observation)
        return replace(decision, action=action) if observation.tick == tick else decision

    pilot.decide = decide  # type: ignore[method-assign]
    with pytest.raises(ContractError, match=told):
        run_episode(arm, pilot, Reach(), [tape], policy=Ramp(), seed=3)
    assert len(tape.steps) == tick
    assert arm.held == 1
    assert tape.ends[0].outcome.reason == "fault"


@pytest.mark.parametrize("tick", TICKS)
@pytest.mark.parametrize("moment", ["on_start", "on_step", "on_end"])
def test_an_observer_that_raises_keeps_nobody_else_from_the_end(moment, tick) -> None:
    arm, bad, good = OneJoint(), Tape(), Tape()
    setattr(
        bad,
        moment,
        _At(getattr(bad, moment), 0 if moment != "on_step" else tick, _raise(OSError("full"))),
    )
    with pytest.raises(OSError, match="full"):
        run_episode(arm, ChunkPlayer(4), Reach(), [bad, good], policy=Ramp(), seed=3)
    assert arm.held == 1
    assert len(good.ends) == (0 if moment == "on_start" else 1)


def test_trouble_while_leaving_is_a_note_on_the_first_error() -> None:
    arm = OneJoint()
    arm.send = _raise(ArmFault("bus silent"))  # type: ignore[method-assign]
    arm.hold = _raise(ArmFault("still silent"))  # type: ignore[method-assign]
    tape = Tape()
    with pytest.raises(ArmFault, match="bus silent") as caught:
        run_episode(arm, Zero(), Reach(), [tape])
    assert "still silent" in caught.value.__notes__[0]
    assert len(tape.ends) == 1


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("call", range(4))
def test_a_policy_that_raises_ends_what_it_was_asked_for_and_nothing_else(slots, call) -> None:
    arms = [OneJoint() for _ in range(slots)]
    policy = Ramp()
    policy.act = _At(policy.act, call, _raise(RuntimeError("out of memory")))  # type: ignore[method-assign]
    tapes = [Tape() for _ in range(slots)]

    def start(slot, seed):
        return rollout(arms[slot], ChunkPlayer(4), Reach(), [tapes[slot]], seed=seed)

    finished = list(run_many(range(9), start, policy, slots=slots))
    faults = [f.result for f in finished if isinstance(f.result, VibrissaError)]
    assert sorted(f.seed for f in finished) == list(range(9))
    assert 1 <= len(faults) <= slots
    assert all(isinstance(f, PolicyFault) and "out of memory" in str(f) for f in faults)
    assert sum(arm.held for arm in arms) == 9
    assert sum(len(t.ends) for t in tapes) == 9


@pytest.mark.parametrize("delay", [1, 3])
@pytest.mark.parametrize("tick", TICKS)
def test_an_answer_that_is_late_at_any_tick_is_waited_for_and_told(tick, delay) -> None:
    """From `tick` on, the next question is answered `delay` ticks late, the others at once."""
    policy, tape, arm = Ramp(), Tape(), OneJoint()
    episode = rollout(arm, ChunkPlayer(4), Reach(), [tape], seed=3)
    held: list[Answer] = []
    wait, reply, delayed, now = 0, None, False, -1
    try:
        while True:
            question = episode.send(reply)
            now += 1
            reply = None
            if question is not None:
                held.append(Answer(policy.act([question])[0], question.tick, 0.1))
                if now >= tick and not delayed:
                    delayed, wait = True, delay
            if held and wait == 0:
                reply = held.pop()
            wait = max(0, wait - 1)
    except StopIteration as end:
        outcome = end.value.outcome
    late = [s.observation.tick for s in tape.steps if s.decision.late]
    assert outcome.success
    assert len(late) == (delay if delayed else 0)
    for t in late:  # the last action is repeated, or the pose it found is held
        before = tape.steps[t - 1].decision.action if t else tape.steps[0].observation.state
        np.testing.assert_array_equal(tape.steps[t].decision.action, before)
    assert arm.held == len(tape.ends) == 1


def test_a_bug_in_one_episode_closes_the_others() -> None:
    arms = [OneJoint(), OneJoint()]
    tapes = [Tape(), Tape()]
    arms[1].send = _At(arms[1].send, 5, _raise(ZeroDivisionError()))  # type: ignore[method-assign]

    def start(slot, seed):
        return rollout(arms[slot], ChunkPlayer(4), Reach(), [tapes[slot]], seed=seed)

    with pytest.raises(ZeroDivisionError):
        list(run_many(range(2), start, Ramp(), slots=2))
    assert [arm.held for arm in arms] == [1, 1]
    assert [t.ends[0].outcome.reason for t in tapes] == ["aborted", "fault"]


def test_many_at_once_are_the_same_episodes_at_one_padded_shape() -> None:
    def outcomes(slots):
        arms, policy = [OneJoint() for _ in range(slots)], Ramp()

        def start(slot, seed):
            return rollout(arms[slot], ChunkPlayer(4), Reach(), seed=seed)

        done = {f.seed: f.result for f in run_many(range(10), start, policy, slots=slots)}
        assert set(policy.batches) == {slots}
        assert len(policy.resets) == 10
        return {seed: e.outcome for seed, e in done.items() if not isinstance(e, VibrissaError)}

    assert outcomes(1) == outcomes(4) == outcomes(16)
