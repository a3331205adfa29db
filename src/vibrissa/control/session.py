"""A session at an arm: keys and time limits end episodes, and between two of them the arm moves on.

→ saves, ← throws away and does it again, s and f save it as a success or a failure, Esc stops.
An episode that nobody judged is over by its time limit ("timeout"), whether the limit came by
itself or by a key. One that Esc breaks off is "aborted": out of the set, and in the journal.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vibrissa.control.doubts import Doubts, in_words
from vibrissa.control.keys import Keys
from vibrissa.control.mending import Mending
from vibrissa.core.episode import Episode, Observation, Reason
from vibrissa.core.errors import ArmFault
from vibrissa.core.protocols import Observer, Task, Verdict

Said = Literal["save", "again", "stop", "success", "failure"]
WORDS: dict[str, Said] = {
    "right": "save",
    "left": "again",
    "esc": "stop",
    "s": "success",
    "f": "failure",
}
KEYS_TOLD = "→ save  ← again  s success  f failure  Esc stop"
ANY_KEY_TOLD = "any key: go on  Esc stop"
_VERDICTS: dict[Said, Verdict] = {
    "save": "timeout",
    "again": "timeout",  # over, and nothing to be brought back; `wanted` says no
    "stop": "aborted",
    "success": "success",
    "failure": "failure",
}
DEAF_S = 0.3  # a → pressed twice ends one episode, not also whatever comes after it
Judge = Callable[[Observation], Verdict | None]


class HumanTask:
    """What is done is told by `instruction`; that it is done, by a key, a time limit, or `also`.

    `also` is any other judge of an observation, or a whole task that judges and measures.
    `said` is what a key said in this episode.
    """

    def __init__(
        self,
        instruction: str,
        *,
        seconds: float,
        rate_hz: float,
        keys: Keys,
        name: str = "teleop",
        also: Judge | Task | None = None,
        deaf_s: float = DEAF_S,
    ):
        self.name, self.instruction = name, instruction
        self.seconds, self.max_ticks = seconds, max(1, round(seconds * rate_hz))
        self.said: Said | None = None
        self._keys = _Awake(keys, round(deaf_s * rate_hz))
        self._task = also if isinstance(also, Task) else None
        self._judge = also.judge if isinstance(also, Task) else also
        self._doubts = Doubts()

    def reset(self) -> None:
        self.said, self._doubts = None, Doubts()
        self._keys.reset()
        if self._task is not None:
            self._task.reset()

    def judge(self, observation: Observation) -> Verdict | None:
        self._doubts.see(observation)
        self.said = WORDS.get(self._keys.poll() or "")
        verdict = self._judge(observation) if self._judge is not None else None
        return verdict if self.said is None else _VERDICTS[self.said]

    def wanted(self, episode: Episode) -> bool:
        """Whether a recorder is to keep it: neither broken off nor to be done again."""
        return self.said != "again" and episode.outcome.reason not in ("aborted", "fault")

    def failure_class(self, reason: Reason) -> str:
        """A person names no class; only a success is one."""
        if self._task is not None:
            return self._task.failure_class(reason)
        return "SUCCESS" if reason == "success" else ""

    def measures(self) -> Mapping[str, float]:
        own = self._task.measures() if self._task is not None else {}
        return {**own, **self._doubts.measures()}


class Interlude:
    """The pause between two episodes, in which the arm still follows. Any key ends it."""

    name, instruction = "reset", "Put everything back"

    def __init__(
        self, *, seconds: float, rate_hz: float, keys: Keys, deaf_s: float = DEAF_S
    ) -> None:
        self.seconds, self.max_ticks = seconds, max(1, round(seconds * rate_hz))
        self.said: Said | None = None
        self._keys = _Awake(keys, round(deaf_s * rate_hz))

    def reset(self) -> None:
        self.said = None
        self._keys.reset()

    def judge(self, observation: Observation) -> Verdict | None:
        key = self._keys.poll()
        if key == "esc":
            self.said = "stop"
            return "aborted"
        return "timeout" if key is not None else None

    def failure_class(self, reason: Reason) -> str:
        return ""

    def measures(self) -> Mapping[str, float]:
        return {}


class Freely:
    """Lead the arm for as long as you like, or for `seconds`: only Esc ends it before."""

    name, instruction = "teleop", "Lead the arm"

    def __init__(self, *, rate_hz: float, keys: Keys, seconds: float = math.inf):
        self.seconds, self._keys = seconds, keys
        self.max_ticks = sys.maxsize if math.isinf(seconds) else max(1, round(seconds * rate_hz))
        self.said: Said | None = None
        self._doubts = Doubts()

    def reset(self) -> None:
        self.said = None

    def judge(self, observation: Observation) -> Verdict | None:
        self._doubts.see(observation)
        if self._keys.poll() != "esc":
            return None
        self.said = "stop"
        return "aborted"

    def failure_class(self, reason: Reason) -> str:
        return ""

    def measures(self) -> Mapping[str, float]:
        """Of everything since it was made, whatever faults came between."""
        return self._doubts.measures()


class _Awake:
    """Keys that count only after the first polls, but for Esc: one pressed twice is one."""

    def __init__(self, keys: Keys, deaf: int):
        self._keys, self._deaf, self._polls = keys, deaf, 0

    def reset(self) -> None:
        self._polls = 0

    def poll(self) -> str | None:
        key = self._keys.poll()
        self._polls += 1
        return key if key == "esc" or self._polls > self._deaf else None


@dataclass(frozen=True)
class Plan:
    """How many episodes are to come, how many the set holds already, and the first one's seed."""

    episodes: int
    there: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Tally:
    """What became of a session."""

    saved: int
    again: int
    stopped: bool
    faults: tuple[str, ...] = ()
    broken: bool = False  # its last word was a fault


# (what, which, of how many, time limit in s), at the start of everything that has a time limit.
Announce = Callable[[Literal["reset", "episode"], int, int, float], None]
Play = Callable[[Task, Sequence[Observer], int], Episode]


class Session:
    """Plays a pause and an episode in turn until the plan is met or somebody says stop.

    `play(task, observers, seed)` runs one rollout, and `pause` one in an interlude. `saved()`
    says how many episodes the recorder has kept: what was asked for is counted where it is
    stored. After a fault the arm has been told to hold; with `reconnect` and somebody at the
    keys, → goes on and the episode is done again. Without, the fault goes up; every finished
    episode is kept either way.
    """

    def __init__(
        self,
        play: Play,
        task: HumanTask,
        observers: Sequence[Observer],
        *,
        keys: Keys,
        saved: Callable[[], int],
        tell: Callable[[str], None],
        interlude: Interlude | None = None,
        pause: Play | None = None,
        reconnect: Callable[[], None] | None = None,
        announce: Announce = lambda *_: None,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._play, self._task, self._observers = play, task, observers
        self._saved, self._tell = saved, tell
        self._interlude, self._pause = interlude, pause or play
        self._announce = announce
        self._mending = Mending(keys, reconnect, tell, sleep=sleep)
        self._again = self._attempts = 0

    def run(self, plan: Plan) -> Tally:
        """Raises ArmFault where a fault ends it and nobody is there to decide."""
        before = self._saved()
        while (saved := self._saved() - before) < plan.episodes:
            number, total = plan.there + saved + 1, plan.there + plan.episodes
            try:
                if not self._attempt(plan, number, total):
                    return self._tally(before, stopped=True)
            except ArmFault as fault:
                if not self._mending.go_on(fault):
                    return self._tally(before, stopped=True, broken=True)
        return self._tally(before)

    def _attempt(self, plan: Plan, number: int, total: int) -> bool:
        """A pause and an episode; False when somebody said stop."""
        seed = plan.seed + self._attempts
        if self._interlude is not None:
            self._announce("reset", number, total, self._interlude.seconds)
            self._pause(self._interlude, (), seed)
            if self._interlude.said == "stop":
                return False
        self._announce("episode", number, total, self._task.seconds)
        self._attempts += 1
        before = self._saved()
        episode = self._play(self._task, self._observers, seed)
        self._told(episode, number, total, kept=self._saved() > before)
        return self._task.said != "stop"

    def _told(self, episode: Episode, number: int, total: int, *, kept: bool) -> None:
        """One line for each episode: what became of it, and whether it ran slower than it says."""
        outcome, said = episode.outcome, self._task.said
        became = f"saved ({_REASONS[outcome.reason]})"
        if not kept:
            self._again += 1
            became = "left out, and the session ends" if said == "stop" else "left out; once more"
        slow = ""
        if outcome.measures.get("slower_than_stated"):
            reached_hz = outcome.measures["reached_hz"]
            slow = f", SLOWER than its rate: {reached_hz:.1f} ticks a second"
        doubts = in_words(outcome.measures)
        marked = f"; warning: {doubts}; its rows are marked" if doubts else ""
        self._tell(f"episode {number} of {total}: {outcome.ticks} ticks, {became}{slow}{marked}")

    def _tally(self, before: int, *, stopped: bool = False, broken: bool = False) -> Tally:
        saved = self._saved() - before
        return Tally(saved, self._again, stopped, tuple(self._mending.faults), broken)


_REASONS: dict[Reason, str] = {
    "success": "a success",
    "failure": "a failure",
    "timeout": "not judged",
    "aborted": "broken off",
    "fault": "a fault",
}
