"""A contest cut short, gone on with, or judged by a broken judge; and which seeds count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from bench.test_compare import entrant, rows

from vibrissa.bench.compare_words import lines
from vibrissa.bench.contest import BLOCK, Entrant, common_seeds, hold, seeds_compared
from vibrissa.bench.evaluate import Setup
from vibrissa.bench.judge import CutShort
from vibrissa.bench.outcomes import Row
from vibrissa.core.errors import UsageError
from vibrissa.core.stats import Pairs


@pytest.mark.parametrize("before", [0, 1, 3])
def test_what_was_judged_before_a_worker_was_lost_is_compared(
    before: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vibrissa.bench import contest
    from vibrissa.commands.compare import _exit_code

    calls: list[str] = []

    def judge(setup: Setup, seeds: Sequence[int], **more: Any) -> list[Row]:
        calls.append(setup.name)
        if len(calls) > before:
            raise CutShort("a worker process was killed.", [])
        return whole(setup, seeds, **more)

    whole = contest.judge
    monkeypatch.setattr(contest, "judge", judge)
    held = hold([entrant("one", lambda _: True), entrant("two", lambda _: True)], range(99))
    assert [len(one.rows) for one in held.judged] == [
        BLOCK * ((before + 1) // 2),
        BLOCK * (before // 2),
    ]
    assert held.comparisons.found[0].word == "not separated"
    assert "cut short" in lines(held)[-1]
    assert _exit_code(held) == 1
    assert "a worker process was killed." in capsys.readouterr().err


def test_a_judge_that_gives_presents_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task whose zero pilot wins: whatever else it says, its verdicts are worth nothing."""
    from vibrissa.bench import contest
    from vibrissa.bench.compare_page import _headline
    from vibrissa.bench.setups import place_for
    from vibrissa.commands.compare import _exit_code

    monkeypatch.setattr(contest, "_pilot", lambda _place, name: entrant(name, bool).setup)
    place = place_for(None, task="lift")
    some = [entrant("one", lambda s: s % 2 == 0), entrant("two", lambda s: s % 2 == 0)]
    held = hold(some, range(1, 4), place=place)
    assert held.gifts == 3
    assert _exit_code(held) == 1
    assert "succeeded 3 times: the judge" in capsys.readouterr().err
    assert "judge is broken" in _headline(held)


def test_whoever_is_judged_here_is_tried_on_the_seeds_of_those_who_were() -> None:
    there = Entrant("there", "", None, rows("there", "10" * 6, first=100))
    here = entrant("here", lambda s: s % 2 == 0)
    seeds = common_seeds([here, there], 0, 10)
    assert seeds == list(range(100, 110))
    (one,) = hold([here, there], seeds).comparisons.found
    assert one.test == "anytime"
    assert one.pairs == Pairs(5, 0, 0, 5)
    elsewhere = Entrant("elsewhere", "", None, rows("elsewhere", "11", first=7))
    with pytest.raises(UsageError, match="there, elsewhere have no seed in common"):
        common_seeds([here, there, elsewhere], 0, 10)


def test_seeds_of_a_block_that_was_interrupted_were_compared_with_nothing() -> None:
    one, two = entrant("one", bool), entrant("two", bool)
    known = (*rows("one", "11111"), *rows("two", "111"), *rows("zero", "000000"))
    assert seeds_compared([one, two], known) == 3
    there = Entrant("there", "", None, rows("there", "11"))
    assert seeds_compared([one, there], known) == 5
    assert seeds_compared([one, two], ()) == 0
