"""Who says whether a rollout succeeded: a key, a function of your own, or the simulator's judge."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from vibrissa.control.keys import Keys
from vibrissa.core.episode import Observation, Reason
from vibrissa.core.errors import ArmFault, UsageError, VibrissaError
from vibrissa.core.outcomes import CLASSES
from vibrissa.core.protocols import Task, Verdict

Judge = Callable[[Observation], Verdict | None]

UNLABELLED, FAILURE = "UNLABELLED", "FAILURE"
# What a key says of a rollout: how it went, and with the later ones why.
BY_KEY: Mapping[str, str] = {
    "s": "SUCCESS",
    "f": FAILURE,
    "u": "FUMBLED",
    "n": "NEVER_PICKED_UP",
    "d": "DROPPED_DURING_TRANSPORT",
    "m": "MISSED_GOAL",
    "t": "TIMEOUT",
}
KEYS_TOLD = (
    "s success, u fumbled success, f failure (n never picked up, d dropped, m missed the goal, "
    "t out of time)"
)
SAYS = ("success", "failure")  # what a judge may say, beside None
MOST_SAID = 80  # characters of what it said instead
_UNSAID = ("ABORTED", "FAULT")  # what no person has to say


class Sight:
    """Watches the cameras that a policy looks through: a policy that acts blindly must not go on.

    One that shows nothing of use for `ticks` ticks running is a fault; a picture that is only
    late is none.
    """

    def __init__(self, cameras: Sequence[str], ticks: int):
        self._cameras, self._most = tuple(cameras), ticks
        self.reset()

    def reset(self) -> None:
        self._blind = dict.fromkeys(self._cameras, 0)

    def look(self, observation: Observation) -> None:
        """Raises ArmFault."""
        for name in self._cameras:
            ill = observation.health.get(name, "ok")
            self._blind[name] = 0 if ill in ("ok", "late") else self._blind[name] + 1
            if self._blind[name] > self._most:
                raise ArmFault(
                    f"camera {name!r} has been {ill} for {self._most} ticks, and the policy looks "
                    "through it. Check lens, cable and light; --accept sight goes on all the same."
                )


class JudgeFault(VibrissaError):
    """A judge that raised, or said what no judge may say."""


class Watched:
    """A task of an arm that somebody watches; its verdict comes from whoever speaks first.

    Keys: those of `BY_KEY` end a rollout with a verdict, → ends it without one, Esc ends it and
    says `stopped`. Then `judge`, then the `task` that a simulator judges. Where there is neither of
    the two, a rollout that nobody labelled is UNLABELLED, and neither success nor failure.
    """

    def __init__(
        self,
        name: str,
        instruction: str,
        max_ticks: int,
        keys: Keys,
        *,
        judge: Judge | None = None,
        task: Task | None = None,
        sight: Sight | None = None,
    ):
        self._sight = sight
        self.name, self.instruction = name, instruction
        self.max_ticks = max_ticks
        self._keys, self._judge, self._task = keys, judge, task
        self.reset()

    def reset(self) -> None:
        self.stopped = self._skipped = False
        self._class = ""
        if self._sight is not None:
            self._sight.reset()
        if self._task is not None:
            self._task.reset()

    def judge(self, observation: Observation) -> Verdict | None:
        if self._sight is not None:
            self._sight.look(observation)
        pressed = self._pressed()
        judged = self._task.judge(observation) if self._task is not None else None
        if pressed is None and self._judge is not None:
            return self._asked(observation) or judged
        return pressed or judged

    def failure_class(self, reason: Reason) -> str:
        if self._class and reason not in ("aborted", "fault"):
            return self._class
        if reason == "timeout" and (self._skipped or (self._judge is None and self._task is None)):
            return UNLABELLED
        return self._task.failure_class(reason) if self._task is not None else reason.upper()

    def measures(self) -> Mapping[str, float]:
        return self._task.measures() if self._task is not None else {}

    def _pressed(self) -> Verdict | None:
        """What the keys pressed since the last tick come to: the first that says something."""
        while (key := self._keys.poll()) is not None:
            if key in ("right", "esc"):
                self.stopped, self._skipped = key == "esc", key == "right"
                return "aborted" if self.stopped else "timeout"
            if key in BY_KEY:
                plain = key in ("s", "f")  # then a simulator's judge may know more
                self._class = "" if plain else BY_KEY[key]
                return reason_of(BY_KEY[key])
        return None

    def _asked(self, observation: Observation) -> Verdict | None:
        assert self._judge is not None
        try:
            verdict = self._judge(observation)
        except (VibrissaError, MemoryError):  # memory is the computer's trouble, not the judge's
            raise
        except Exception as error:  # a judge is foreign code: its failure ends the rollout
            raise JudgeFault(f"the judge raised {_in_a_line(error)}") from error
        if verdict is not None and not (isinstance(verdict, str) and verdict in SAYS):
            told = " ".join(repr(verdict).split())[:MOST_SAID]
            raise JudgeFault(f"the judge said {told}; it may say 'success', 'failure', None.")
        return verdict


def reason_of(failure_class: str) -> Verdict:
    """How a rollout of this class ended."""
    if failure_class in ("SUCCESS", "FUMBLED"):
        return "success"
    return "timeout" if failure_class == "TIMEOUT" else "failure"


def class_named(word: str) -> str:
    """The class that a person means: success, failure, or one of `core.outcomes.CLASSES`.

    Case, hyphens and spaces do not matter. Raises UsageError, listing what may be said.
    """
    may = (FAILURE, *(name for name in CLASSES if name not in _UNSAID))
    name = word.strip().upper().replace("-", "_").replace(" ", "_")
    if name not in may:
        said = ", ".join(known.lower().replace("_", "-") for known in may)
        raise UsageError(f"no verdict {word!r}. There is: {said}.")
    return name


def load_judge(name: str) -> Judge:
    """The function that `name` speaks of: package.module:function, or path/to/file.py:function.

    Modules are looked for where Python looks, and in the current folder. Raises UsageError where
    there is no such function.
    """
    where, colon, function = name.rpartition(":")
    if not colon or not where or not function:
        raise UsageError(f"--judge {name}: want package.module:function, or file.py:function.")
    module = _from_file(Path(where)) if where.endswith(".py") else _from_name(where)
    judge = getattr(module, function, None)
    if not callable(judge):
        there = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise UsageError(
            f"--judge {name}: {where} has no function {function!r}. "
            f"There is: {', '.join(there) or 'none'}."
        )
    return judge  # type: ignore[return-value]


def _in_a_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"judge_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"there is no file {path} with a judge in it.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # foreign code, run for the first time
        raise UsageError(f"{path} cannot be loaded: {_in_a_line(error)}") from error
    return module


def _from_name(where: str) -> ModuleType:
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        return importlib.import_module(where)
    except (Exception, SystemExit) as error:  # foreign code, run for the first time
        raise UsageError(f"the module {where} cannot be loaded: {_in_a_line(error)}") from error
    finally:
        sys.path.remove(here)
