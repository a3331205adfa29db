"""From its making on, whatever ends an episode makes the arm hold first; then everybody hears."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import pytest
from fakes import OneJoint, Ramp, Reach, Tape

from vibrissa.control.clock import FreeClock, WallClock
from vibrissa.control.drive import run_behind, run_episode, run_many
from vibrissa.control.meter import NoLaps
from vibrissa.control.pilots import ChunkPlayer
from vibrissa.control.rollout import Rollout, rollout
from vibrissa.core.errors import ArmFault, VibrissaError


class Desk:
    """Everybody who takes part in an episode, and what happened to them, in order."""

    def __init__(self) -> None:
        self.arm, self.task, self.pilot, self.policy = OneJoint(), Reach(), ChunkPlayer(4), Ramp()
        self.clock: FreeClock | WallClock = FreeClock()
        self.laps = NoLaps()
        self.first, self.second = Tape(), Tape()
        self.heard: list[str] = []
        self._hear(self.arm, "hold", "hold")
        self._hear(self.first, "on_end", "first ends")
        self._hear(self.second, "on_end", "second ends")

    def rollout(self, seed: int = 3) -> Rollout:
        return rollout(
            self.arm,
            self.pilot,
            self.task,
            [self.first, self.second],
            seed=seed,
            clock=self.clock,
            laps=self.laps,
        )

    def breaks(self, where: str, error: BaseException) -> None:
        """`where` ("task.reset") raises at every call."""

        def broken(*_: object) -> None:
            raise error

        who, _, what = where.partition(".")
        setattr(getattr(self, who), what, broken)

    def _hear(self, who: object, what: str, word: str) -> None:
        method = getattr(who, what)

        def heard(*args: object) -> None:
            self.heard.append(word)
            method(*args)

        setattr(who, what, heard)


def one(desk: Desk) -> None:
    observers = [desk.first, desk.second]
    timed = {"clock": desk.clock, "laps": desk.laps}
    run_episode(desk.arm, desk.pilot, desk.task, observers, seed=3, policy=desk.policy, **timed)


def behind(desk: Desk) -> None:
    run_behind(desk.rollout(), desk.policy)


def _clock(drive: Callable[..., None]) -> FreeClock | WallClock:
    return WallClock(1000.0) if drive is behind else FreeClock()


def many(desk: Desk, *, beside: bool = False) -> None:
    """One of three arms is the desk's; the two others are well."""
    others = {1: OneJoint(), 2: OneJoint()}
    begun: list[int] = []

    def start(slot: int, seed: int) -> Rollout:
        if seed == 0:
            return desk.rollout()
        begun.append(seed)
        return rollout(others[seed], ChunkPlayer(4), Reach(), seed=seed)

    try:
        done = list(run_many(range(3), start, desk.policy, slots=3, beside=beside))
    finally:
        assert [others[seed].held for seed in begun] == [1] * len(begun)
    for finished in done:
        if isinstance(finished.result, VibrissaError):
            raise finished.result


def many_beside(desk: Desk) -> None:
    many(desk, beside=True)


DRIVERS = [one, behind, many, many_beside]
# Where it breaks, and whether the two observers were started by then.
PLACES = {
    "policy.reset": 0,
    "task.reset": 0,
    "arm.reset": 0,
    "pilot.reset": 0,
    "first.on_start": 1,
    "second.on_start": 2,
    "clock.start": 2,
    "laps.start": 2,
    "arm.observe": 2,
    "task.judge": 2,
    "pilot.asks": 2,
    "policy.act": 2,
    "arm._render": 2,
    "pilot.take": 2,
    "pilot.decide": 2,
    "arm.send": 2,
    "first.on_step": 2,
    "laps.waited": 2,
    "clock.wait": 2,
    "task.measures": 2,
    "laps.measures": 2,
    "task.failure_class": 2,
    "first.on_end": 2,
}


@pytest.mark.parametrize("error", [ArmFault("lost"), RuntimeError("bug"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("drive", DRIVERS)
def test_wherever_it_breaks_the_arm_holds_first(drive, where, error) -> None:
    desk = Desk()
    desk.clock = _clock(drive)
    if where == "arm._render" and drive in (one, many):
        where = "arm.observe"  # nobody takes pictures before they are wanted
    desk.breaks(where, error)
    with pytest.raises(BaseException, match=str(error) or None) as caught:
        drive(desk)
    assert isinstance(caught.value, (type(error), VibrissaError))
    ends = ["first ends", "second ends"][: PLACES[where]]
    if where == "first.on_end":
        ends = ["second ends"]
    assert desk.heard == ["hold", *ends]
    for tape in (desk.first, desk.second):
        assert {e.outcome.reason for e in tape.ends} <= {"fault", "aborted", "success"}


@pytest.mark.parametrize("name", ["scene", "contract"])
def test_an_arm_that_cannot_say_what_it_is_holds_too(name) -> None:
    class Mute(OneJoint):
        def __getattribute__(self, asked: str):
            if asked == name and "ready" in self.__dict__:
                raise ArmFault("lost")
            return super().__getattribute__(asked)

    desk = Desk()
    desk.arm = Mute()
    desk.arm.ready = True  # type: ignore[attr-defined]
    with pytest.raises(ArmFault, match="lost"):
        one(desk)
    assert desk.arm.held == 1


def test_a_rollout_that_is_closed_before_it_began_holds() -> None:
    desk = Desk()
    desk.rollout().close()
    assert desk.heard == ["hold"]


def test_the_arm_holds_before_any_observer_hears_of_a_good_end() -> None:
    desk = Desk()
    one(desk)
    assert desk.heard == ["hold", "first ends", "second ends"]


def test_an_arm_that_is_led_on_holds_when_an_observer_fails_at_the_end() -> None:
    desk = Desk()
    desk.breaks("first.on_end", OSError("full"))
    with pytest.raises(OSError, match="full"):
        run_episode(
            desk.arm, desk.pilot, desk.task, [desk.first], policy=desk.policy, seed=3, led_on=True
        )
    assert desk.heard == ["hold"]


def test_an_impatient_ctrl_c_does_not_keep_the_arm_from_holding() -> None:
    desk = Desk()
    desk.breaks("arm.observe", KeyboardInterrupt())
    calls = iter([_interrupt, lambda: desk.heard.append("hold")])
    desk.arm.hold = lambda: next(calls)()  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        one(desk)
    assert desk.heard == ["hold", "first ends", "second ends"]


def test_a_task_that_cannot_say_how_it_went_is_a_fault_and_hides_no_earlier_one() -> None:
    desk = Desk()
    desk.breaks("task.measures", ValueError("no number"))
    with pytest.raises(ValueError, match="no number"):
        one(desk)
    outcome = desk.first.ends[0].outcome
    assert (outcome.reason, outcome.failure_class, outcome.ticks) == ("fault", "FAULT", 15)
    desk.breaks("arm.send", ArmFault("lost"))
    with pytest.raises(ArmFault, match="lost") as caught:
        one(desk)
    assert caught.value.__notes__ == ["and while leaving: ValueError: no number"]


@pytest.mark.parametrize("beside", [False, True])
def test_an_arm_that_cannot_hold_keeps_no_other_from_holding(beside) -> None:
    arms = [OneJoint() for _ in range(3)]
    arms[0].hold = _raises(ArmFault("silent"))  # type: ignore[method-assign]
    arms[2].send = _raises(ZeroDivisionError("bug"))  # type: ignore[method-assign]

    def start(slot: int, seed: int) -> Rollout:
        return rollout(arms[slot], ChunkPlayer(4), Reach(), seed=seed)

    with pytest.raises(ZeroDivisionError) as caught:
        list(run_many(range(3), start, Ramp(), slots=3, beside=beside))
    assert [arm.held for arm in arms[1:]] == [1, 1]
    assert any("silent" in note for note in caught.value.__notes__)


def test_no_arm_waits_for_an_inference_under_way_before_it_holds() -> None:
    arms, held_meanwhile = [OneJoint(), OneJoint()], []
    arms[1].observe = _raises(RuntimeError("bug"))  # type: ignore[method-assign]

    class Slow(Ramp):
        def act(self, observations):
            until_s = time.monotonic() + 5
            while not arms[0].held and time.monotonic() < until_s:
                time.sleep(0.001)
            held_meanwhile.append(arms[0].held)
            return super().act(observations)

    def start(slot: int, seed: int) -> Rollout:
        return rollout(arms[slot], ChunkPlayer(4), Reach(), seed=seed)

    with pytest.raises(RuntimeError, match="bug"):
        list(run_many(range(2), start, Slow(), slots=2, rows=1, beside=True))
    assert held_meanwhile == [1]


def test_a_hold_that_fails_is_raised_where_episodes_are_closed_early() -> None:
    arms = [OneJoint() for _ in range(2)]
    arms[0].hold = _raises(ArmFault("silent"))  # type: ignore[method-assign]

    def start(slot: int, seed: int) -> Rollout:
        task = Reach()
        task.max_ticks = 2 if slot == 1 else 1000
        return rollout(arms[slot], ChunkPlayer(8), task, seed=seed)

    episodes = run_many(_seeds(), start, Ramp(), slots=2)
    assert next(episodes).slot == 1
    with pytest.raises(ArmFault, match="silent"):
        episodes.close()  # type: ignore[attr-defined]
    assert arms[1].held >= 1


def test_a_policy_that_cannot_begin_anew_costs_its_own_episode_only() -> None:
    arms = [OneJoint(), OneJoint()]
    policy = Ramp()

    def reset(slots: Iterable[int]) -> None:
        if 1 in slots:
            raise RuntimeError("no room")

    policy.reset = reset  # type: ignore[method-assign]

    def start(slot: int, seed: int) -> Rollout:
        return rollout(arms[slot], ChunkPlayer(4), Reach(), seed=seed)

    told = {f.slot: str(f.result) for f in run_many(range(2), start, policy, slots=2)}
    assert "no room" in told[1]
    assert "no room" not in told[0]
    assert [arm.held for arm in arms] == [1, 1]


def _seeds() -> Iterable[int]:
    yield from range(1000)


def _interrupt() -> None:
    raise KeyboardInterrupt


def _raises(error: BaseException) -> Callable[..., None]:
    def raises(*_: object) -> None:
        raise error

    return raises
