"""A robustness panel tells a policy's drop from a scene that nobody can solve."""

from __future__ import annotations

from dataclasses import replace

from bench.test_rows import row
from bench.test_sweep_page import TRIAL

from vibrissa.bench.outcomes import Row
from vibrissa.bench.pages import to_markdown
from vibrissa.bench.panel import NOMINAL, beside_experts, felt, headline, whose, worst_first
from vibrissa.bench.sweep_page import lines, page, told_of
from vibrissa.bench.sweeps import Cell, Judged, verdicts

NAMES = (NOMINAL, "strong:mass", "strong:start", "strong:camera")
CELLS = [Cell(name, TRIAL) for name in NAMES]


def rows(won: range, pilot: str = "policy") -> list[Row]:
    """Sixty episodes, solved on the seeds of `won`."""
    kinds = ("SUCCESS" if seed in won else "NEVER_PICKED_UP" for seed in range(60))
    return [row(seed, kind, pilot) for seed, kind in enumerate(kinds)]


def judged(*won: range) -> list[Judged]:
    return verdicts(CELLS, [rows(one) for one in won])


def with_expert() -> list[Judged]:
    """The policy loses 30 scenes to mass and 20 to start; the expert only some of the latter."""
    policy = judged(range(50), range(20), range(20, 50), range(48))
    theirs = {
        (NOMINAL, "expert"): rows(range(60), "expert"),
        ("strong:mass", "expert"): rows(range(60), "expert"),
        ("strong:start", "expert"): rows(range(15, 60), "expert"),
        (NOMINAL, "zero"): rows(range(0), "zero"),
    }
    return beside_experts(policy, theirs)


def test_a_drop_is_the_policys_where_the_expert_does_not_drop() -> None:
    nominal, mass, start, camera = with_expert()
    assert (mass.lost, start.lost) == ((30, 0), (20, 15))
    assert nominal.lost == (0, 0)
    assert mass.beside["expert"].success == 60
    told = whose(with_expert())
    assert told[0] == (
        "strong: mass: the expert solves 60/60 (94–100 %) there: the drop is the policy's."
    )
    assert "strong: start: the expert solves 45/60" in told[1]
    assert "of the 20 scenes that were lost it fails 15 as well" in told[1]
    assert "not all of a drop is the policy's" in told[1]
    assert len(told) == 2  # camera lost nothing that is shown, and is not too hard
    assert camera.beside["expert"].success == 60


def test_the_expert_is_not_asked_where_only_pictures_change() -> None:
    assert [cell.name for cell in felt(CELLS)] == list(NAMES[:3])
    camera = with_expert()[3]
    assert camera.beside["expert"] == with_expert()[0].beside["expert"]
    assert camera.lost == (2, 0)


def test_without_an_expert_nothing_is_added() -> None:
    alone = judged(range(50), range(20), range(20, 50), range(48))
    assert beside_experts(alone, {}) == alone
    assert whose(alone) == []
    assert "lost by it too" not in text_of(alone)


def text_of(cells: list[Judged]) -> str:
    made = page(cells, title="panel", headline="h", sentence="s", beside={}, settings={})
    return to_markdown(made)


def test_page_json_and_terminal_hold_what_the_expert_reached() -> None:
    cells = worst_first(with_expert())
    text = text_of(cells)
    assert "| setting | solved | verdict | expert | lost by it too | difference |" in text
    assert "| strong: start | 30/60 (38–62 %) | worse | 45/60 | 15 of 20 |" in text
    assert "strong: mass 20/60 (23–46 %), expert 60/60 (94–100 %)" in text  # what is drawn
    told = {one["cell"]: one for one in told_of(cells)}
    assert told["strong:start"]["lost"] == {"scenes": 20, "by_the_expert_too": 15}
    assert told["strong:start"]["beside"]["expert"]["success"] == 45
    (line,) = [line for line in lines(cells, {}) if line.startswith("strong:mass")]
    assert line.endswith("expert 60/60 (94–100 %)")


def test_the_headline_says_what_costs_successes_and_what_could_go_unseen() -> None:
    assert headline(with_expert()) == (
        "2 of 3 settings were shown to cost it successes: strong: mass; strong: start"
    )
    same = judged(*[range(50)] * 4)
    assert headline(same).startswith("No factor was shown to cost it successes; a loss below ")
    assert headline(same).endswith(" points may have gone unseen")
    few = [replace(j, versus=replace(j.versus, seen=None)) if j.versus else j for j in same]
    assert headline(few).endswith("; so few episodes could not have shown any loss")
    none = judged(*[range(0)] * 4)
    assert headline(none) == "Nothing to lose: it solves 0/60 (0–6 %) with nothing varied"
