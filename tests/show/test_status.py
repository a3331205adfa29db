"""The line at the bottom: true, out of the way of other lines, and nothing without a terminal."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import numpy as np
from fakes import CONTRACT

from vibrissa.core.episode import Decision, Observation, Start, Step
from vibrissa.show.status import StatusLine

START = Start(CONTRACT, "teleop", "", 0)
STEP = Step(
    Observation(0, 0.0, np.zeros(1, np.float32)),
    Decision(np.zeros(1, np.float32), "human"),
    np.zeros(1, np.float32),
)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Now:
    s = 100.0

    def __call__(self) -> float:
        return self.s


def test_it_says_what_runs_and_what_can_be_pressed() -> None:
    now = _Now()
    line = StatusLine(io.StringIO(), keys={"episode": "→ save"}, now=now)
    assert line.text() == ""
    line.announce("episode", 3, 10, 20.0)
    line.on_start(START)
    for _ in range(31):
        line.on_step(STEP)
        now.s += 1 / 30
    assert line.text() == "episode 3/10   19 s left   30.0 Hz   eye   → save"
    black = replace(STEP, observation=replace(STEP.observation, health={"eye": "black"}))
    line.on_step(black)
    assert "eye BLACK" in line.text()
    line.announce("reset", 4, 10, float("inf"))
    now.s += 5
    assert line.text() == "reset 4/10   5 s   eye BLACK"


def test_other_lines_are_whole_and_the_last_one_leaves_nothing() -> None:
    stream = _Terminal()
    with StatusLine(stream) as line:
        line.announce("episode", 1, 1, 10.0)
        began_s = time.monotonic()
        while "episode 1/1" not in stream.getvalue():
            assert time.monotonic() - began_s < 60
            time.sleep(0.01)
        line.say("fault: no servo answers")
    shown = stream.getvalue()
    assert "\r\x1b[2Kfault: no servo answers\n" in shown
    assert shown.endswith(("\n", "\r\x1b[2K"))


def test_without_a_terminal_only_the_lines_are_there() -> None:
    stream = io.StringIO()
    with StatusLine(stream) as line:
        line.announce("episode", 1, 1, 10.0)
        line.on_start(START)
        line.on_step(STEP)
        line.say("episode 1 of 1: saved")
    assert stream.getvalue() == "episode 1 of 1: saved\n"


def test_a_terminal_that_is_gone_stops_nobody() -> None:
    stream = _Terminal()
    line = StatusLine(stream)
    stream.close()
    line.say("anything")
    line.close()
