"""Numbers of episodes against published ones, and against the tests that they are for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multinomial

from vibrissa.core import power
from vibrissa.core.anytime import bounds
from vibrissa.core.stats import barnard, mcnemar


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [(0.7, 0.8, 294), (0.8, 0.9, 199), (0.6, 0.8, 82), (0.5, 0.8, 39)],
)
def test_independent_episodes(first: float, second: float, wanted: int) -> None:
    assert power.episodes_needed(first, second) == wanted
    assert power.episodes_needed(second, first) == wanted


@pytest.mark.parametrize(("alike", "wanted"), [(0.3, 210), (0.5, 153), (0.7, 95)])
def test_paired_seeds(alike: float, wanted: int) -> None:
    assert power.pairs_needed(0.7, 0.8, alike) == wanted


def test_the_four_ends_of_a_pair() -> None:
    ends = power.pair_ends(0.8, 0.7, 0.5)
    assert sum(ends) == pytest.approx(1)
    assert ends.both + ends.only_first == pytest.approx(0.8)
    assert ends.both + ends.only_second == pytest.approx(0.7)
    with pytest.raises(ValueError, match="cannot have a correlation"):
        power.pair_ends(0.9, 0.1, 0.5)
    with pytest.raises(ValueError, match=r"a rate of 1\.2"):
        power.pair_ends(1.2, 0.1, 0)
    with pytest.raises(ValueError, match="no number of episodes"):
        power.episodes_needed(0.5, 0.5)


def test_effort_of_the_anytime_test_against_simulation() -> None:
    ends = power.pair_ends(0.8, 0.7, 0.5)
    told = power.anytime_effort(0.1, ends.only_first + ends.only_second, 200)
    rng = np.random.default_rng(3)
    drawn = rng.choice(4, size=(4000, 200), p=ends)
    won, lost = (np.cumsum(drawn == end, axis=1) for end in (1, 2))
    reach = np.array(bounds(200))
    over = np.maximum(won, lost) >= reach[won + lost]
    decided = over.any(axis=1)
    needed = np.where(decided, over.argmax(axis=1) + 1, 200)
    assert told.power == pytest.approx(decided.mean(), abs=0.03)
    assert told.mean_pairs == pytest.approx(needed.mean(), abs=4)


@pytest.mark.parametrize(
    ("alike", "most_pairs", "least_power"), [(0.5, 170, 0.98), (0.7, 94, 0.995)]
)
def test_the_anytime_test_needs_no_more_than_it_is_known_to(
    alike: float, most_pairs: float, least_power: float
) -> None:
    ends = power.pair_ends(0.8, 0.7, alike)
    told = power.anytime_effort(0.1, ends.only_first + ends.only_second, 500)
    assert told.mean_pairs <= most_pairs
    assert told.power >= least_power


def test_what_mcnemar_could_have_seen_has_that_power() -> None:
    found = power.seen_by_mcnemar(60, 0.3)
    assert found is not None
    rng = np.random.default_rng(5)
    drawn = rng.multinomial(60, [(0.3 + found) / 2, (0.3 - found) / 2, 0.7], size=4000)
    separated = np.mean([mcnemar(a, b) <= 0.05 for a, b, _ in drawn.tolist()])
    assert separated == pytest.approx(0.8, abs=0.025)


def test_more_seeds_show_smaller_differences_and_looking_costs() -> None:
    anytime = [power.seen_by_anytime(n, 0.2) or 1 for n in (20, 50, 200, 500)]
    fixed = [power.seen_by_mcnemar(n, 0.2) or 1 for n in (20, 50, 200, 500)]
    assert anytime == sorted(anytime, reverse=True)
    assert fixed == sorted(fixed, reverse=True)
    assert all(a >= f for a, f in zip(anytime, fixed, strict=True))


def test_too_few_seeds_could_have_shown_nothing() -> None:
    assert power.seen_by_anytime(5, 0.3) is None
    assert power.seen_by_mcnemar(5, 0.3) is None
    assert power.seen_apart(2, 2, 0.5) is None
    assert power.seen_apart(0, 3, 0.7) is None


@pytest.mark.parametrize("n", [82, 294])
def test_what_counts_apart_could_have_seen_is_the_number_needed(n: int) -> None:
    found = power.seen_apart(n, n, 0.7)
    assert found is not None
    assert abs(power.episodes_needed(0.7 + found / 2, 0.7 - found / 2) - n) <= 1


@pytest.mark.parametrize(("n1", "n2", "rate"), [(3, 3, 0.5), (10, 10, 0.5), (12, 20, 0.9)])
def test_what_few_counts_could_have_seen_is_found_four_times_in_five(
    n1: int, n2: int, rate: float
) -> None:
    """Ten of each at 50 % tell 100 from 0 %: it is wrong to say that they could show nothing."""
    found = power.seen_apart(n1, n2, rate)
    assert found is not None
    low = min(max(0.0, rate - found / 2), 1 - found)
    rng = np.random.default_rng(7)
    shares = []
    for p1, p2 in ((low, low + found), (low + found, low)):
        one, two = (rng.binomial(n, p, 1500).tolist() for n, p in ((n1, p1), (n2, p2)))
        drawn = list(zip(one, two, strict=True))
        p = {ends: barnard(ends[0], n1, ends[1], n2) for ends in set(drawn)}
        shares.append(np.mean([p[ends] <= 0.05 for ends in drawn]))
    assert min(shares) == pytest.approx(0.8, abs=0.035)


def test_an_impossible_effort_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a difference of 0\.3"):
        power.anytime_effort(0.3, 0.2, 100)


def _after_each(share: float, differing: float, most: int, level: float) -> tuple[float, float]:
    """The anytime test's power and mean seeds, by adding up over every path, seed by seed."""
    reach = bounds(most, level)
    going, decided, mean = {(0, 0): 1.0}, 0.0, 0.0
    for _ in range(most):
        mean += sum(going.values())
        after: dict[tuple[int, int], float] = {}
        for (won, lost), chance in going.items():
            for ends, step in (
                ((won, lost), 1 - differing),
                ((won + 1, lost), differing * share),
                ((won, lost + 1), differing * (1 - share)),
            ):
                if max(ends) >= reach[sum(ends)] and step:
                    decided += chance * step
                else:
                    after[ends] = after.get(ends, 0.0) + chance * step
        going = after
    return decided, mean


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize(("difference", "differing"), [(0.3, 0.5), (0.5, 0.5), (0.6, 1.0)])
def test_effort_of_the_anytime_test_by_every_path(difference, differing, level) -> None:
    share = (1 + difference / differing) / 2
    wanted = _after_each(share, differing, 25, level)
    found = power.anytime_effort(difference, differing, 25, level=level)
    assert tuple(found) == pytest.approx(wanted)


@pytest.mark.parametrize(("pairs", "differing", "level"), [(40, 0.3, 0.95), (25, 0.9, 0.8)])
def test_what_the_anytime_test_could_have_seen_by_every_path(pairs, differing, level) -> None:
    found = power.seen_by_anytime(pairs, differing, level=level)
    assert found is not None

    def chance(difference: float) -> float:
        share = (1 + difference / max(differing, difference)) / 2
        return _after_each(share, max(differing, difference), pairs, level)[0]

    assert chance(found) >= power.POWER > chance(found - 2e-4)


@pytest.mark.parametrize(("pairs", "differing", "level"), [(40, 0.3, 0.95), (25, 0.9, 0.8)])
def test_what_mcnemar_could_have_seen_by_every_table(pairs, differing, level) -> None:
    found = power.seen_by_mcnemar(pairs, differing, level=level)
    assert found is not None

    def chance(difference: float) -> float:
        all_ = max(differing, difference)
        ends = ((all_ + difference) / 2, (all_ - difference) / 2, 1 - all_)
        return sum(
            float(multinomial.pmf((a, b, pairs - a - b), pairs, ends))
            for a in range(pairs + 1)
            for b in range(pairs + 1 - a)
            if mcnemar(a, b) <= 1 - level
        )

    assert chance(found) >= power.POWER > chance(found - 2e-4)


def test_rates_at_the_ends_are_possible_and_levels_count() -> None:
    assert power.pair_ends(0.0, 1.0, 0.0) == (0, 0, 1, 0)
    assert power.pair_ends(1.0, 1.0, 0.0) == (1, 0, 0, 0)
    with pytest.raises(ValueError, match="no number of episodes"):
        power.pairs_needed(0.5, 0.5, 0.2)
    for differing in (0.0, 1.5):
        with pytest.raises(ValueError, match="of the seeds differing"):
            power.anytime_effort(0.0, differing, 50)
    assert power.seen_apart(0, 5, 0.5) is power.seen_apart(5, 0, 0.5) is None
    assert power.seen_apart(1, 1, 0.5) is None
    found = [power.seen_apart(12, 12, 0.5, level=level) or 1 for level in (0.8, 0.95, 0.99)]
    assert found == sorted(found)
    assert len(set(found)) == 3
