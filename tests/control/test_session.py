"""Keys and time limits decide; nothing that is finished is lost, and the plan is met exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from fakes import OneJoint, Ramp, Reach, Tape
from numpy.typing import NDArray

from vibrissa.control.drive import run_episode
from vibrissa.control.keys import Keys, NoKeys, ScriptedKeys
from vibrissa.control.mending import POLL_S, Mending
from vibrissa.control.pilots import ChunkPlayer, Zero
from vibrissa.control.session import HumanTask, Interlude, Plan, Session, Tally
from vibrissa.core.episode import Episode, Observation
from vibrissa.core.errors import ArmFault
from vibrissa.core.protocols import Observer, Task, Verdict

RATE_HZ = 30.0
SECONDS = 0.2  # six ticks


class _Kept(Tape):
    """Keeps what a recorder would keep."""

    def __init__(self, task: HumanTask):
        super().__init__()
        self.task = task
        self.kept: list[Episode] = []

    def on_end(self, episode: Episode) -> None:
        super().on_end(episode)
        if self.task.wanted(episode):
            self.kept.append(episode)


class _Arm(OneJoint):
    """Breaks at the sends that are listed."""

    def __init__(self, breaks_at: Iterable[int] = ()):
        super().__init__()
        self.sends, self.breaks_at = 0, set(breaks_at)

    def send(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        self.sends += 1
        if self.sends in self.breaks_at:
            raise ArmFault("no servo answers.")
        return super().send(action)


class _Desk:
    """A session on one joint, with what it told and what it announced."""

    def __init__(
        self,
        presses: Iterable[str | None] = (),
        *,
        keys: Keys | None = None,
        arm: _Arm | None = None,
        reset_s: float = 0.0,
        mends: bool = True,
    ):
        self.keys = keys or ScriptedKeys(presses)
        self.arm = arm or _Arm()
        self.lines: list[str] = []
        self.announced: list[tuple] = []
        self.mended = 0
        task = HumanTask("Do it", seconds=SECONDS, rate_hz=RATE_HZ, keys=self.keys, deaf_s=0)
        self.tape = _Kept(task)
        pause = Interlude(seconds=reset_s, rate_hz=RATE_HZ, keys=self.keys, deaf_s=0.1)
        self.session = Session(
            self._play,
            task,
            [self.tape],
            keys=self.keys,
            saved=lambda: len(self.tape.kept),
            tell=self.lines.append,
            interlude=pause if reset_s else None,
            reconnect=self._mend if mends else None,
            announce=lambda *what: self.announced.append(what),
            sleep=lambda _: None,
        )

    def _play(self, task: Task, observers: Sequence[Observer], seed: int) -> Episode:
        return run_episode(self.arm, Zero(), task, observers, seed=seed)

    def _mend(self) -> None:
        self.mended += 1

    def run(self, episodes: int, there: int = 0) -> Tally:
        return self.session.run(Plan(episodes, there))

    @property
    def reasons(self) -> list[str]:
        return [e.outcome.reason for e in self.tape.ends]


def test_without_keys_the_time_limit_alone_makes_the_episodes() -> None:
    desk = _Desk(keys=NoKeys())
    tally = desk.run(3)
    assert tally == Tally(saved=3, again=0, stopped=False)
    assert desk.reasons == ["timeout"] * 3
    assert [e.outcome.ticks for e in desk.tape.ends] == [6] * 3
    assert desk.lines[0] == "episode 1 of 3: 6 ticks, saved (not judged)"
    assert len({e.seed for e in desk.tape.ends}) == 3


@pytest.mark.parametrize(
    ("key", "reason", "failure_class"),
    [("right", "timeout", ""), ("s", "success", "SUCCESS"), ("f", "failure", "")],
)
def test_a_key_saves_and_says_how_it_went(key: str, reason: str, failure_class: str) -> None:
    desk = _Desk([None, None, key])
    assert desk.run(1).saved == 1
    outcome = desk.tape.ends[0].outcome
    assert (outcome.reason, outcome.ticks, outcome.failure_class) == (reason, 2, failure_class)


def test_left_throws_away_and_does_it_again() -> None:
    desk = _Desk([None, "left", None, None, "left", None, "right"])
    tally = desk.run(1)
    assert (tally.saved, tally.again) == (1, 2)
    assert desk.reasons == ["timeout"] * 3
    assert len(desk.tape.kept) == 1
    assert "episode 1 of 1: 1 ticks, left out; once more" in desk.lines


def test_esc_stops_and_keeps_what_is_finished() -> None:
    desk = _Desk([None, "right", None, None, "esc"])
    tally = desk.run(5)
    assert tally == Tally(saved=1, again=1, stopped=True)
    assert desk.reasons == ["timeout", "aborted"]
    assert desk.arm.held == 2


def test_other_keys_are_nobody_s() -> None:
    assert _Desk(["x", "up", "space", "enter", "q"]).run(1).saved == 1


def test_a_pause_comes_before_every_episode_and_any_key_ends_it() -> None:
    quiet = [None] * 4
    desk = _Desk([*quiet, "x", None, "s", *quiet, "right", None, "s"], reset_s=0.5)
    assert desk.run(2).saved == 2
    assert [what for what, *_ in desk.announced] == ["reset", "episode"] * 2
    assert desk.announced[0] == ("reset", 1, 2, 0.5)
    assert desk.announced[1] == ("episode", 1, 2, SECONDS)
    assert len(desk.tape.starts) == 2  # the pauses are not recorded
    assert desk.arm.sends == 2 * 4 + 2  # the arm was led all the time


def test_a_key_pressed_twice_ends_no_pause() -> None:
    desk = _Desk([None, "right", "right", "right", None, None], reset_s=0.2)
    desk.session._interlude, pause = None, desk.session._interlude
    assert desk.run(1).saved == 1
    desk.session._interlude = pause
    sends = desk.arm.sends
    desk.run(1)
    assert desk.arm.sends == sends + 6 + 6  # the whole pause, and an episode to its limit


def test_esc_stops_in_a_pause_too_even_at_once() -> None:
    desk = _Desk(["esc"], reset_s=0.5)
    assert desk.run(2) == Tally(saved=0, again=0, stopped=True)
    assert desk.tape.starts == []


def test_what_is_there_already_counts_in_the_words() -> None:
    desk = _Desk(keys=NoKeys())
    desk.run(2, there=8)
    assert [line.split(":")[0] for line in desk.lines] == ["episode 9 of 10", "episode 10 of 10"]


def test_a_fault_goes_on_after_right_and_the_episode_is_done_again() -> None:
    desk = _Desk([None] * 9 + ["x", "right"], arm=_Arm([9]))
    tally = desk.run(2)
    assert (tally.saved, tally.broken, desk.mended) == (2, False, 1)
    assert desk.reasons == ["timeout", "fault", "timeout"]
    assert tally.faults == ("no servo answers.",)
    assert "→ connect again and go on, Esc stop" in desk.lines
    assert desk.arm.held == 3


def test_a_reconnection_that_fails_is_offered_again() -> None:
    desk = _Desk([None] * 3 + ["right", "right"], arm=_Arm([3]))

    def mend() -> None:
        desk.mended += 1
        if desk.mended == 1:
            raise ArmFault("still no port.")

    desk.session._mending._reconnect = mend
    tally = desk.run(1)
    assert (tally.saved, desk.mended) == (1, 2)
    assert tally.faults == ("no servo answers.", "still no port.")


def test_esc_after_a_fault_stops_and_says_that_it_broke() -> None:
    desk = _Desk([None] * 10 + ["esc"], arm=_Arm([9]))
    tally = desk.run(4)
    assert (tally.saved, tally.stopped, tally.broken) == (1, True, True)


@pytest.mark.parametrize(
    "made",
    [
        lambda: _Desk(keys=NoKeys(), arm=_Arm([9])),
        lambda: _Desk(arm=_Arm([9]), mends=False),
    ],
)
def test_where_nobody_can_decide_the_fault_goes_up(made: Callable[[], _Desk]) -> None:
    desk = made()
    with pytest.raises(ArmFault, match="no servo answers"):
        desk.run(4)
    assert len(desk.tape.kept) == 1
    assert desk.arm.held == 2


@pytest.mark.parametrize("at", range(1, 14))
def test_a_fault_at_any_send_loses_nothing_that_was_finished(at: int) -> None:
    desk = _Desk(keys=NoKeys(), arm=_Arm([at]))
    with pytest.raises(ArmFault):
        desk.run(3)
    assert len(desk.tape.kept) == (at - 1) // 6


def test_any_judge_can_be_asked_beside_the_keys() -> None:
    def judge(observation: Observation) -> Verdict | None:
        return "success" if observation.tick == 3 else None

    task = HumanTask("Do it", seconds=SECONDS, rate_hz=RATE_HZ, keys=NoKeys(), also=judge)
    episode = run_episode(_Arm(), Zero(), task)
    assert (episode.outcome.reason, episode.outcome.ticks) == ("success", 3)


def test_a_task_of_its_own_judges_and_measures_too() -> None:
    task = HumanTask("Do it", seconds=2, rate_hz=RATE_HZ, keys=NoKeys(), also=Reach())
    episode = run_episode(_Arm(), ChunkPlayer(4), task, policy=Ramp())
    assert episode.outcome.success
    assert episode.outcome.measures == {"there": 2.0}
    assert task.failure_class("timeout") == "TIMEOUT"


def test_what_is_pressed_as_an_episode_begins_belongs_to_the_last_one() -> None:
    keys = ScriptedKeys(["right", "s", *[None] * 9, "f"])
    task = HumanTask("Do it", seconds=2, rate_hz=RATE_HZ, keys=keys)
    episode = run_episode(_Arm(), Zero(), task)
    assert (episode.outcome.reason, episode.outcome.ticks) == ("failure", 11)
    task = HumanTask("Do it", seconds=2, rate_hz=RATE_HZ, keys=ScriptedKeys(["esc"]))
    assert run_episode(_Arm(), Zero(), task).outcome.reason == "aborted"


def test_an_episode_slower_than_its_rate_says_so_in_its_line() -> None:
    desk = _Desk(keys=NoKeys())
    play = desk.session._play

    def slow(task: Task, observers: Sequence[Observer], seed: int) -> Episode:
        episode = play(task, observers, seed)
        measures = {"slower_than_stated": 1.0, "reached_hz": 21.3}
        return replace(episode, outcome=replace(episode.outcome, measures=measures))

    desk.session._play = slow
    desk.run(1)
    assert desk.lines[0].endswith("SLOWER than its rate: 21.3 ticks a second")


def test_joints_that_cannot_be_believed_are_said_at_the_end_of_the_episode(monkeypatch) -> None:
    desk, observe = _Desk(keys=NoKeys()), OneJoint.observe
    marks = iter(["ok", "leap", "ok", "behind", "behind"])

    def marked(arm: OneJoint) -> Observation:
        return replace(observe(arm), state_health=next(marks, "ok"))

    monkeypatch.setattr(OneJoint, "observe", marked)
    desk.run(2)
    assert desk.tape.ends[0].outcome.measures["joints_leap"] == 1
    assert desk.lines == [
        "episode 1 of 2: 6 ticks, saved (not judged); warning: 1 ticks in which a joint leapt, "
        "2 ticks in which a joint did not follow; its rows are marked",
        "episode 2 of 2: 6 ticks, saved (not judged)",
    ]


@pytest.mark.parametrize(
    ("key", "wanted"),
    [("right", True), ("s", True), ("f", True), (None, True), ("left", False), ("esc", False)],
)
def test_what_a_recorder_is_to_keep(key: str | None, wanted: bool) -> None:
    keys = ScriptedKeys([None, key])
    task = HumanTask("Do it", seconds=SECONDS, rate_hz=RATE_HZ, keys=keys, deaf_s=0)
    episode = run_episode(_Arm(), Zero(), task)
    assert task.wanted(episode) == wanted
    broken = replace(episode, outcome=replace(episode.outcome, reason="fault"))
    assert not task.wanted(broken)


def test_keys_count_from_the_first_tick_after_the_deaf_ones() -> None:
    keys = ScriptedKeys(["s", "s", "f"])
    task = HumanTask("Do it", seconds=SECONDS, rate_hz=RATE_HZ, keys=keys, deaf_s=2 / RATE_HZ)
    outcome = run_episode(_Arm(), Zero(), task).outcome
    assert (outcome.reason, outcome.ticks) == ("failure", 2)


def test_a_session_counts_its_own_episodes_and_its_seeds_follow_each_other() -> None:
    desk = _Desk([None, "left"])
    assert desk.run(1).saved == 1
    assert desk.run(2).saved == 2  # what was kept before is not counted again
    assert [e.seed for e in desk.tape.ends] == [0, 1, 2, 3]


def test_the_line_of_an_episode_that_esc_ends_says_that_the_session_ends() -> None:
    desk = _Desk([None, "esc"])
    desk.run(2)
    assert desk.lines == ["episode 1 of 2: 1 ticks, left out, and the session ends"]


def test_after_a_fault_the_right_key_is_waited_for_with_a_sleep_between_two_looks() -> None:
    slept: list[float] = []
    said: list[str] = []
    mended: list[str] = []
    keys = ScriptedKeys([None, "x", "left", "right", "esc"])
    mending = Mending(keys, lambda: mended.append("again"), said.append, sleep=slept.append)
    assert mending.go_on(ArmFault("no servo answers."))
    assert slept == [POLL_S] * 3
    assert mended == ["again"]
    assert said[0].startswith("fault: no servo answers.")
    assert not mending.go_on(ArmFault("no servo answers."))  # Esc
    assert mended == ["again"]
    assert mending.faults == ["no servo answers."] * 2


@pytest.mark.parametrize(
    ("keys", "reconnect"), [(NoKeys(), lambda: None), (ScriptedKeys(["right"]), None)]
)
def test_a_fault_goes_up_where_nobody_is_at_the_keys_or_nothing_reconnects(
    keys: Keys, reconnect: Callable[[], None] | None
) -> None:
    fault, said = ArmFault("no servo answers."), list[str]()
    mending = Mending(keys, reconnect, said.append, sleep=lambda _: None)
    with pytest.raises(ArmFault) as caught:
        mending.go_on(fault)
    assert caught.value is fault
    assert len(said) == 1
