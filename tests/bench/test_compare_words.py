"""What a comparison says: nothing that its numbers do not bear out."""

from __future__ import annotations

from dataclasses import replace

from bench.test_compare import rows, two_alike_and_a_bad_one

from vibrissa.bench.compare import Judged, compare, compare_two
from vibrissa.bench.compare_page import _sentence
from vibrissa.bench.compare_words import p_told, points, span, verdict
from vibrissa.bench.contest import hold


def test_differences_are_told_with_their_sign() -> None:
    assert [points(d) for d in (0.1, -0.034, 0.001, -0.001)] == [
        "+10 points",
        "−3 points",
        "0 points",
        "0 points",
    ]


def test_a_chance_reads_as_a_part_of_a_sentence() -> None:
    assert p_told(0.0274) == "p = 0.027"
    assert p_told(1e-7) == "p below 0.0001"


def test_an_end_of_an_interval_is_told_from_0() -> None:
    """Better by +40 points (0 to +65) would read as if 0 were left in."""
    found = compare_two(Judged("one", rows("one", "110")), Judged("two", rows("two", "100")))
    ends = [(0.0004, 0.2), (-0.003, 0.204), (0.0, 0.1), (-0.00001, 0.1)]
    told = [span(replace(found, interval=i)) for i in ends]
    assert told == ["+0.04 to +20", "−0.3 to +20", "0 to +10", "0 to +10"]


def test_a_test_and_an_interval_that_disagree_are_told() -> None:
    """5 : 0 of 50 pairs: exact McNemar p = 0.062, Newcombe's interval +1 to +21."""
    one, two = Judged("one", rows("one", "1" * 5 + "0" * 45)), Judged("two", rows("two", "0" * 50))
    found = compare_two(one, two)
    assert found.word == "not separated"
    assert found.interval[0] > 0
    assert "the interval is approximate, and the test decides" in verdict(found)[1]
    clear = compare_two(Judged("one", rows("one", "1" * 9)), Judged("two", rows("two", "0" * 9)))
    assert clear.word == "better"
    assert "decides" not in verdict(clear)[1]
    third = Judged("three", rows("three", "010100"))
    six = [Judged("one", rows("one", "1" * 6)), Judged("two", rows("two", "0" * 6)), third]
    among = compare(six).found[0]
    assert (among.word, among.interval[0] > 0) == ("not separated", True)
    assert "the interval is of this pair alone" in verdict(among)[1]


def test_a_level_of_ones_own_is_told() -> None:
    one, two = Judged("one", rows("one", "1" * 9)), Judged("two", rows("two", "0" * 9))
    assert "p = 0.0039, at 99 %" in verdict(compare_two(one, two, 0.99))[0]
    assert "at 95 %" not in verdict(compare_two(one, two))[0]


def test_whoever_rested_was_not_judged_on_all_seeds() -> None:
    held = hold(two_alike_and_a_bad_one(), range(64))
    told = _sentence(held, 1.0)
    bad = next(one for one in held.judged if one.label == "bad")
    assert len(bad.rows) < 64
    assert "Judged on the same 64 seeds, 0 to 63" in told
    assert f"bad was tried on the first {len(bad.rows)}." in told
    assert "one was tried" not in told
