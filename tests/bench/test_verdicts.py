"""Who says how a rollout went: keys before a function before a simulator's judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import OneJoint, Ramp, Reach

from vibrissa.bench.verdicts import JudgeFault, Sight, Watched, load_judge
from vibrissa.control.drive import run_episode
from vibrissa.control.keys import NoKeys, ScriptedKeys
from vibrissa.control.pilots import ChunkPlayer
from vibrissa.core.episode import Observation
from vibrissa.core.errors import ArmFault, UsageError


def rolled(task: Watched):
    return run_episode(OneJoint(), ChunkPlayer(4), task, policy=Ramp(step=0.02)).outcome


def at(presses, tick: int) -> ScriptedKeys:
    return ScriptedKeys([None] * tick + list(presses))


@pytest.mark.parametrize(
    ("key", "reason", "failure_class", "stopped"),
    [
        ("s", "success", "SUCCESS", False),
        ("f", "failure", "FAILURE", False),
        ("right", "timeout", "UNLABELLED", False),
        ("esc", "aborted", "ABORTED", True),
    ],
)
def test_a_key_ends_the_rollout_at_its_tick(key, reason, failure_class, stopped) -> None:
    task = Watched("watched", "", 40, at([key], 5))
    outcome = rolled(task)
    assert (outcome.reason, outcome.failure_class) == (reason, failure_class)
    assert task.stopped == stopped
    assert outcome.ticks < 40


def test_the_first_key_that_says_something_counts_and_others_are_nothing() -> None:
    assert rolled(Watched("watched", "", 40, ScriptedKeys(["x", "up", "f"]))).reason == "failure"


def test_nobody_labels_it_and_it_is_no_failure() -> None:
    outcome = rolled(Watched("watched", "", 10, NoKeys()))
    assert (outcome.reason, outcome.failure_class, outcome.ticks) == ("timeout", "UNLABELLED", 10)


def test_a_function_judges_and_time_that_runs_out_is_then_a_timeout() -> None:
    def beyond(observation: Observation):
        return "success" if observation.state[0] > 0.3 else None

    assert rolled(Watched("watched", "", 40, NoKeys(), judge=beyond)).failure_class == "SUCCESS"
    assert rolled(Watched("watched", "", 3, NoKeys(), judge=beyond)).failure_class == "TIMEOUT"


def test_the_simulator_s_judge_speaks_where_nobody_else_does() -> None:
    task = Watched("reach", "", 40, NoKeys(), task=Reach())
    outcome = rolled(task)
    assert outcome.success
    assert outcome.measures["there"] == 2
    early = Watched("reach", "", 40, NoKeys(), task=Reach(), judge=lambda _: "failure")
    assert rolled(early).reason == "failure"


def test_a_judge_without_memory_is_no_fault_of_it() -> None:
    def greedy(_: Observation) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        rolled(Watched("reach", "", 40, NoKeys(), task=Reach(), judge=greedy))


@pytest.mark.parametrize(
    ("judge", "told"),
    [
        (lambda o: 1 / 0, "the judge raised ZeroDivisionError"),
        (lambda o: "splendid", "the judge said 'splendid'"),
        (lambda o: np.ones((99, 3)), r"the judge said array\(\[\[1., 1., 1.\], .*; it may say"),
        (lambda o: _raise("two\nlines"), "the judge raised ValueError: two lines"),
    ],
)
def test_a_judge_that_fails_is_a_fault_of_the_rollout(judge, told) -> None:
    with pytest.raises(JudgeFault, match=told) as fault:
        rolled(Watched("watched", "", 10, NoKeys(), judge=judge))
    assert "\n" not in str(fault.value)


def _raise(what: str) -> None:
    raise ValueError(what)


def test_a_policy_that_sees_nothing_for_a_while_is_stopped() -> None:
    def seen(ill: str | None) -> Observation:
        return Observation(0, 0.0, np.zeros(1, np.float32), health={"eye": ill} if ill else {})  # type: ignore[dict-item]

    task = Watched("watched", "", 40, NoKeys(), sight=Sight(("eye",), ticks=2))
    for ill in ["black", "black", None, "late", "late", "late", "frozen", "missing"]:
        task.judge(seen(ill))
    with pytest.raises(ArmFault, match="camera 'eye' has been black for 2 ticks, and the policy"):
        task.judge(seen("black"))
    task.reset()
    task.judge(seen("black"))


def test_judges_are_found_in_files_and_modules(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "eyes.py").write_text("def see(o): return 'success' if o.tick else None\n")
    monkeypatch.chdir(tmp_path)
    seen = Observation(3, 0.1, np.zeros(1, np.float32))
    assert load_judge("eyes:see")(seen) == "success"
    assert load_judge("./eyes.py:see")(seen) == "success"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("see", "want package.module:function"),
        ("eyes.py:see", "no file"),
        ("no.such.module:see", "cannot be loaded: ModuleNotFoundError"),
        ("json:see", "has no function 'see'. There is:"),
        ("broken.py:see", "cannot be loaded: SyntaxError"),
        ("leaves.py:see", "cannot be loaded: SystemExit: 3"),
        ("leaves:see", "cannot be loaded: SystemExit: 3"),
        ("talks.py:see", "cannot be loaded: ValueError: two lines$"),
    ],
)
def test_what_is_no_judge_is_one_line(tmp_path: Path, monkeypatch, name, told) -> None:
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(3)")
    (tmp_path / "talks.py").write_text("raise ValueError('two\\nlines')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=told):
        load_judge(name)
