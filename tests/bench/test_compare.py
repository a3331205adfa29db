"""Contenders on the same seeds: who is better, when it may end, and what is never paired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from fakes import OneJoint, Reach

from vibrissa.bench.compare import Judged, compare, compare_two, differing
from vibrissa.bench.compare_words import lines, verdict
from vibrissa.bench.contest import BLOCK, Entrant, hold
from vibrissa.bench.evaluate import Setup
from vibrissa.bench.outcomes import Row
from vibrissa.control.pilots import Unasking
from vibrissa.core.episode import Decision, Observation
from vibrissa.core.errors import ArmFault
from vibrissa.core.stats import Pairs, mcnemar

Knows = Callable[[int], bool]


class Knowing(Unasking):
    """Solves just the seeds that it knows, and breaks down on some."""

    def __init__(self, knows: Knows, breaks: Knows = lambda _: False):
        self._knows, self._breaks = knows, breaks

    def reset(self, seed: int) -> None:
        self._solves = self._knows(seed)
        if self._breaks(seed):
            raise ArmFault("a cable came off")

    def decide(self, observation: Observation) -> Decision:
        return Decision(np.array([1.0 if self._solves else 0.0], np.float32), "script")


def entrant(label: str, knows: Knows, breaks: Knows = lambda _: False) -> Entrant:
    setup = Setup(label, OneJoint, Reach, lambda _arm: Knowing(knows, breaks), slots=4)
    return Entrant(label, f"knows some ({label})", setup)


def two_alike_and_a_bad_one() -> list[Entrant]:
    """Two who know every other seed, and one who knows none and is soon told from them."""
    even = [entrant(name, lambda s: s % 2 == 0) for name in ("one", "two")]
    return [*even, entrant("bad", lambda _: False)]


def rows(label: str, solved: str, first: int = 0) -> tuple[Row, ...]:
    """Rows of consecutive seeds: 1 solved, 0 not, x broke down."""
    reasons = {"1": "success", "0": "timeout", "x": "fault"}
    return tuple(
        Row(seed, label, "reach", reasons[c], reasons[c].upper(), 9)  # type: ignore[arg-type]
        for seed, c in enumerate(solved, first)
    )


def test_it_stops_when_it_is_decided_and_leaves_the_other_seeds_untried() -> None:
    held = hold([entrant("good", lambda _: True), entrant("bad", lambda _: False)], range(200))
    (one,) = held.comparisons.found
    assert (one.word, one.test, one.difference) == ("better", "anytime", 1.0)
    assert [len(who.rows) for who in held.judged] == [BLOCK, BLOCK]
    assert one.decided_after == 7
    assert held.ended == "every comparison was decided"


def test_equals_are_tried_to_the_end_and_not_separated() -> None:
    same = [entrant("one", lambda s: s % 3 == 0), entrant("two", lambda s: s % 3 == 0)]
    held = hold(same, range(40))
    (one,) = held.comparisons.found
    assert one.word == "not separated"
    assert one.pairs == Pairs(14, 0, 0, 26)
    assert (one.correlation, one.p) == (1.0, 1.0)
    assert one.seen is not None
    assert 0.1 < one.seen < 0.4
    assert held.ended == "all 40 seeds were tried"
    assert "would have been seen four times in five" in verdict(one)[1]


def test_going_on_tries_nothing_again_and_comes_to_the_same() -> None:
    tried: list[int] = []

    def knows(seed: int) -> bool:
        tried.append(seed)
        return seed % 4 == 0

    def some() -> list[Entrant]:
        return [entrant("one", knows), entrant("two", lambda s: s % 5 == 0)]

    kept: list[Row] = []
    hold(some(), range(20), keep=kept.append)
    assert sorted(tried) == list(range(20))
    tried.clear()
    more = hold(some(), range(50), known=kept)
    assert sorted(tried) == list(range(20, 50))
    tried.clear()
    at_once = hold(some(), range(50))
    assert more.comparisons == at_once.comparisons


def test_one_that_is_separated_from_all_rests() -> None:
    held = hold(two_alike_and_a_bad_one(), range(96))
    counts = {one.label: len(one.rows) for one in held.judged}
    assert counts["one"] == counts["two"] == 96
    assert counts["bad"] < 60
    assert held.comparisons.letters == {"one": "a", "two": "a", "bad": "b"}


def test_faults_are_no_successes_and_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    from vibrissa.commands.compare import _exit_code

    held = hold(
        [entrant("good", lambda _: True), entrant("loose", lambda _: True, lambda s: s % 2 == 1)],
        range(64),
    )
    loose = held.judged[1]
    assert 0 < loose.faults < len(loose.rows)
    assert loose.success == len(loose.rows) - loose.faults
    assert held.broken == []
    assert any(f"{loose.faults} of them broke down" in line for line in lines(held))
    assert _exit_code(held) == 1
    said = capsys.readouterr().err
    assert f"{loose.faults} of {len(loose.rows)} episodes of loose broke down" in said
    assert "The first (seed 1): " in said


def test_one_that_always_breaks_down_ends_it() -> None:
    held = hold([entrant("good", lambda _: True), entrant("dead", bool, lambda _: True)], range(99))
    assert held.broken == ["dead"]
    assert held.ended == "every episode of dead broke down"
    assert len(held.judged[0].rows) == BLOCK
    (one,) = held.comparisons.found
    assert (one.word, one.p_adjusted) == ("not separated", 1.0)  # 16 to 0, and no verdict
    assert verdict(one)[0] == "good and dead: no verdict, because every episode of dead broke down"
    assert "four times in five" not in verdict(one)[1]


def test_one_that_always_breaks_down_rests_and_the_others_go_on() -> None:
    some = [
        entrant("good", lambda _: True),
        entrant("half", lambda s: s % 2 == 0),
        entrant("dead", bool, lambda _: True),
    ]
    held = hold(some, range(96))
    counts = {one.label: len(one.rows) for one in held.judged}
    assert counts["dead"] == BLOCK
    assert BLOCK < counts["good"] == counts["half"] < 96
    found = {(one.first, one.second): one for one in held.comparisons.found}
    assert found["good", "half"].word == "better"
    assert found["half", "dead"].unjudged
    assert held.comparisons.letters == {"good": "a", "dead": "ab", "half": "b"}


def test_recorded_pairs_are_looked_at_once_by_the_exact_test() -> None:
    one, two = "1" * 12 + "0" * 8, "1" * 4 + "0" * 16
    found = compare_two(Judged("one", rows("one", one)), Judged("two", rows("two", two)))
    assert (found.test, found.word) == ("McNemar", "better")
    assert found.p == mcnemar(8, 0)
    assert found.pairs == Pairs(4, 8, 0, 8)


def test_only_common_seeds_count() -> None:
    one = Judged("one", rows("one", "1110", first=0))
    two = Judged("two", rows("two", "0001", first=2))
    assert compare_two(one, two).pairs == Pairs(0, 1, 0, 1)
    assert differing(one, two) == ([2], [])


@pytest.mark.parametrize("why", ["counts", "seeds", "scenes"])
def test_what_had_no_common_scenes_is_never_paired(why: str) -> None:
    one = Judged("one", rows("one", "1" * 32 + "0" * 18))
    two = Judged("two", rows("two", "1" * 23 + "0" * 27))
    if why == "counts":
        two = replace(two, scenes="")
    elif why == "seeds":
        two = replace(two, rows=rows("two", "1" * 23 + "0" * 27, first=500))
    else:
        one = replace(one, rows=tuple(replace(r, spawn=(0.2, 0.1, 0.0)) for r in one.rows))
        two = replace(two, rows=tuple(replace(r, spawn=(0.2, 0.15, 0.0)) for r in two.rows))
    found = compare_two(one, two)
    assert (found.test, found.pairs, found.word) == ("Barnard", None, "not separated")
    assert found.p == pytest.approx(0.079, abs=5e-4)
    assert found.unpaired
    assert differing(one, two) == ([], [])
    said = {"counts": "which scenes two had", "seeds": "no seed in common", "scenes": "elsewhere"}
    assert said[why] in verdict(found)[1]


def test_placements_of_two_days_are_not_paired_and_those_of_one_are() -> None:
    one = Judged("one", rows("one", "1100"), scenes="/day 1")
    two = Judged("two", rows("two", "0110"), scenes="/day 1")
    assert compare_two(one, two).pairs == Pairs(1, 1, 1, 1)
    other = compare_two(one, replace(two, scenes="/day 2"))
    assert other.pairs is None
    assert "different places" in other.unpaired


def test_a_test_that_may_be_looked_at_once_never_ends_it_early() -> None:
    """Against counts alone there is no anytime test, so that all seeds are tried first."""
    counts = Entrant("counts", "", None, rows("counts", "0" * 50), scenes="")
    held = hold([entrant("good", lambda _: True), counts], range(48))
    (one,) = held.comparisons.found
    assert (one.test, one.word) == ("Barnard", "better")
    assert len(held.judged[0].rows) == 48
    assert held.ended == "all 48 seeds were tried"


def test_several_are_corrected_for_their_number() -> None:
    """6 : 0 separates two alone (p = 0.031), and not three times over."""
    one, two = rows("one", "1" * 6), rows("two", "0" * 6)
    alone = compare([Judged("one", one), Judged("two", two)])
    assert alone.found[0].word == "better"
    three = compare(
        [Judged("one", one), Judged("two", two), Judged("three", rows("three", "010100"))]
    )
    found = next(c for c in three.found if (c.first, c.second) == ("one", "two"))
    assert found.p == pytest.approx(0.03125)
    assert found.p_adjusted == pytest.approx(3 * 0.03125)
    assert set(three.letters.values()) == {"a"}


def test_a_verdict_stays_that_of_the_seeds_that_decided() -> None:
    """Others may keep two going that were sure long ago; what comes then may look different."""
    one, two = "1" * 9 + "0" * 14, "0" * 9 + "1" * 14
    live = Judged("one", rows("one", one), live=True)
    found = compare_two(live, Judged("two", rows("two", two), live=True))
    assert found.difference < 0
    assert (found.word, found.decided_after) == ("better", 7)
    assert found.interval[0] > 0


def test_how_many_there_are_of_a_stopped_comparison_was_no_accident() -> None:
    """6 : 0 is enough for a number that was fixed (p = 0.031), and not for whoever was looking."""
    one = Judged("one", rows("one", "1" * 6))
    two = Judged("two", rows("two", "0" * 6))
    assert (compare_two(one, two).test, compare_two(one, two).word) == ("McNemar", "better")
    stopped = compare_two(replace(one, stopped=True), two)
    assert (stopped.test, stopped.word) == ("anytime", "not separated")
    counts = compare_two(replace(one, stopped=True), replace(two, scenes=""))
    assert counts.test == "Barnard"
    assert "episodes of one there are was chosen by what they showed" in counts.unpaired


def test_different_tasks_are_never_paired() -> None:
    one = Judged("one", rows("one", "1100"))
    other = tuple(replace(row, task="lift") for row in rows("two", "1010"))
    found = compare_two(one, Judged("two", other))
    assert found.pairs is None
    assert found.unpaired == "they were tried at different tasks (reach and lift)"
    easy = compare_two(Judged("one", rows("one", "1" * 30)), Judged("two", other))
    assert (easy.word, easy.p) == ("not separated", 1.0)  # the one may have had it easier
    assert verdict(easy)[0].startswith("one and two: no verdict, because they were tried at diff")
    watched = tuple(replace(row, task="watched") for row in rows("two", "1010"))
    assert compare_two(Judged("one", other), Judged("two", watched)).pairs == Pairs(2, 0, 0, 2)
    unknown = tuple(replace(row, task="") for row in rows("two", "1010"))
    assert compare_two(one, Judged("two", unknown)).pairs == Pairs(1, 1, 1, 1)


def drawn(label: str, told: str, **sampled: object) -> Judged:
    made = [replace(r, spawn=(0.2, 0.1, 3.14159), sampled=sampled) for r in rows(label, told)]
    return Judged(label, tuple(made))


def test_scenes_in_which_something_else_was_drawn_are_not_the_same() -> None:
    plain, heavy = drawn("plain", "1100"), drawn("heavy", "1010", mass=0.0412345678912)
    found = compare_two(plain, heavy)
    assert found.pairs is None
    assert "mass was drawn otherwise" in found.unpaired
    same = drawn("same", "1100", mass=0.0412345678913)  # as another machine rounds it
    assert compare_two(heavy, same).pairs == Pairs(1, 1, 1, 1)
    turned = replace(plain, rows=tuple(replace(r, spawn=(0.2, 0.1, -3.14159)) for r in plain.rows))
    assert compare_two(plain, turned).pairs == Pairs(2, 0, 0, 2)


def test_scenes_that_are_known_to_differ_are_not_paired() -> None:
    scene = {"contact": {"name": "plausible"}, "servo": {"gain": 1}, "cameras": [1]}
    one = replace(drawn("one", "1100"), scene=scene)
    two = replace(drawn("two", "1100"), scene={**scene, "contact": {"name": "sticky"}})
    found = compare_two(one, two)
    assert found.pairs is None
    assert found.unpaired == found.unjudged == "they were tried in different scenes (contact)"
    assert compare_two(one, replace(two, scene={**scene, "cameras": []})).pairs is not None
    assert compare_two(one, replace(two, scene=None)).pairs is not None


def test_among_several_less_can_be_seen() -> None:
    one, two = (Judged(n, rows(n, "10" * 60), live=True) for n in ("one", "two"))
    alone = compare_two(one, two).seen
    among = compare_two(one, two, among=6).seen
    assert alone is not None
    assert among is not None
    assert alone < among
