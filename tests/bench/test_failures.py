"""Failures by class, time and place, and the page that says where to record."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench.test_pages import PNG, Html, loads_nothing
from bench.test_rows import row
from chromium import Browser, check_page

from vibrissa.bench.demonstrations import Demonstration, nearest
from vibrissa.bench.failure_page import Told, to_dict, to_page
from vibrissa.bench.failure_words import reasons, sentence
from vibrissa.bench.failures import Failing, Ground, analyse, went_wrong
from vibrissa.bench.outcomes import Row
from vibrissa.bench.pages import Film, to_html, to_markdown, write_page

GROUND = Ground((0.217, 0.225, 0.04), symmetry=2, arm_m=0.036, max_ticks=300)
PARTS = ["record", "map", "classes", "when", "limits", "settings", "machine"]
PARTS += ["class-NEVER_PICKED_UP", "class-DROPPED_DURING_TRANSPORT"]


def judged(
    n: int = 120, seed: int = 0, *, corner: float = 0.9, elsewhere: float = 0.08
) -> list[Row]:
    """Episodes that fail in the corner of large x and large y, and seldom elsewhere."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        x, y = rng.uniform(-0.04, 0.04, 2) + (0.217, 0.225)
        yaw = float(rng.uniform(-math.pi, math.pi))
        bad = rng.uniform() < (corner if x > 0.232 and y > 0.24 else elsewhere)
        measures = {"moved_tick": 140.0, "touched_tick": 30.0, "picked": 1.0}
        kind = "SUCCESS"
        if bad:
            kind = "NEVER_PICKED_UP" if i % 2 else "DROPPED_DURING_TRANSPORT"
            measures |= {"lost_tick": 80.0 + i % 40} if i % 2 == 0 else {}
        rows.append(row(i, kind, spawn=(float(x), float(y), yaw), measures=measures))
    return rows


def demonstrations(n: int = 60, *, hole: bool = True) -> list[Demonstration]:
    """All over the table, but for the corner where the episodes fail."""
    rng, found = np.random.default_rng(9), []
    while len(found) < n:
        x, y = rng.uniform(-0.04, 0.04, 2) + (0.217, 0.225)
        if not (hole and x > 0.225 and y > 0.233):
            yaw = float(rng.uniform(-math.pi, math.pi))
            found.append(Demonstration(len(found), (float(x), float(y), yaw)))
    return found


def told(**more: object) -> Told:
    known: dict[str, object] = {
        "pilot": "policy",
        "instruction": "Pick up the block",
        "made": "2026-01-02",
        "again": "vibrissa eval --from out --only-seed {seed} --video again",
        "record": "vibrissa record --targets out/targets.yaml --out set --resume",
        "next_seed": 120,
        "films": {"NEVER_PICKED_UP": [Film("never picked up", b"", PNG, kind="NEVER_PICKED_UP")]},
        "machine": {"processor": "abacus"},
        "settings": {"folder": "out"},
    }
    return Told(**{**known, **more})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def failing() -> Failing:
    return analyse(judged(), GROUND, demonstrations())


def test_the_place_without_demonstrations_is_advised(failing: Failing) -> None:
    one = failing.advice[0]
    assert one.hotspot.is_finding
    assert not one.is_gap
    assert one.target.x_m > 0.222
    assert one.target.y_m > 0.23
    assert one.demonstrations is not None
    assert one.demonstrations < 12
    assert 5 <= one.target.count <= 30
    assert one.away_m is not None
    assert one.away_m > 0.008
    assert f"Record demonstrations here: {one.target.count} more around (" in sentence(one)
    text = reasons(one)
    assert "Fisher's exact p = " in text
    assert f"{one.demonstrations} demonstrations began there." in text
    assert "1 demonstration began there." in reasons(replace(one, demonstrations=1))


def test_failures_far_from_demonstrations_are_told_so(failing: Failing) -> None:
    close = failing.closeness
    assert close is not None
    assert close.failed_m > close.solved_m
    assert close.p < 0.05
    assert "It fails where demonstrations are far" in to_markdown(to_page(failing, told()))


def test_noise_is_told_as_noise() -> None:
    rows = judged(seed=1, corner=0.2, elsewhere=0.2)
    one = analyse(rows, GROUND, demonstrations(200, hole=False))
    assert one.worst is not None
    assert not one.worst.is_finding
    assert all(advice.is_gap for advice in one.advice)
    text = to_markdown(to_page(one, told()))
    assert "no worse than chance piles up" in text
    assert "That is no difference one can be sure of" in text
    assert "is a finding" not in text.split("## What this cannot say")[0]


def test_without_a_dataset_the_page_asks_for_it() -> None:
    one = analyse(judged(), GROUND)
    assert one.advice[0].demonstrations is None
    assert one.advice[0].target.count == 10
    assert "name them with --dataset" in to_markdown(to_page(one, told()))


def test_faults_are_no_failures() -> None:
    rows = [*judged(), row(999, "FAULT", detail="NaN from the policy"), row(1000, "ABORTED")]
    rows[-1] = Row(1000, "policy", "reach", "aborted", "ABORTED", 9)
    one = analyse(rows, GROUND)
    assert (len(one.sound), len(one.faults)) == (120, 1)
    text = to_markdown(to_page(one, told()))
    assert "1 more episode broke down" in text
    assert "NaN from the policy" in text
    assert "FAULT" not in one.by_class


@pytest.mark.parametrize(
    ("kind", "measures", "phase", "tick"),
    [
        ("NEVER_PICKED_UP", {"moved_tick": 0.0}, "never touched", None),
        ("NEVER_PICKED_UP", {"moved_tick": 71.0, "touched_tick": 60.0}, "grasping", 71.0),
        ("NEVER_PICKED_UP", {"moved_tick": 0.0, "touched_tick": 60.0}, "grasping", 60.0),
        ("DROPPED_DURING_TRANSPORT", {"moved_tick": 99.0, "lost_tick": 90.0}, "on the way", 90.0),
        ("MISSED_GOAL", {"moved_tick": 99.0, "lost_tick": 95.0}, "at the goal", 95.0),
        ("TIMEOUT", {"moved_tick": 99.0, "lifted_tick": 50.0}, "time was up", 150.0),
        ("TIMEOUT", {}, "not told", None),
    ],
)
def test_when_it_went_wrong(
    kind: str, measures: dict[str, float], phase: str, tick: float | None
) -> None:
    assert went_wrong(row(1, kind, measures=measures)) == (phase, tick)


def test_the_nearest_demonstration_is_nearest_in_place_and_turn() -> None:
    """A brick turned by half a turn is the same; a quarter turn moves its ends by centimetres."""
    known = [Demonstration(4, (0.20, 0.2, 0.0)), Demonstration(5, (0.21, 0.2, math.pi / 2))]
    near = nearest((0.205, 0.2, math.pi), known, period_rad=math.pi, arm_m=0.036)
    assert near is not None
    assert (near.episode, round(near.away_m, 6), round(near.turned_rad, 6)) == (4, 0.005, 0.0)
    turned = nearest((0.205, 0.2, math.pi / 2 + 0.1), known, period_rad=math.pi, arm_m=0.036)
    assert turned is not None
    assert turned.episode == 5
    assert turned.reach_m == pytest.approx(math.hypot(0.005, 0.0036))
    assert nearest((0.2, 0.2, 0.0), [], period_rad=math.pi, arm_m=0.036) is None


def test_gaps_are_offered_where_nothing_is_a_finding() -> None:
    """One failure in a corner that no demonstration covers: a gap, and said to be no finding."""
    rng = np.random.default_rng(3)
    spots = [
        (float(x), float(y), 0.0) for x, y in rng.uniform(-0.04, 0.0, (40, 2)) + (0.217, 0.225)
    ]
    rows = [row(i, spawn=spot) for i, spot in enumerate(spots)]
    rows.append(row(99, "TIMEOUT", spawn=(0.256, 0.264, 0.0)))
    one = analyse(rows, GROUND, [Demonstration(i, s) for i, s in enumerate(spots)])
    assert [advice.is_gap for advice in one.advice] == [True]
    assert one.advice[0].target.x_m == 0.256
    assert "no finding" in reasons(one.advice[0])
    assert "only a gap" in reasons(one.advice[0])


def test_nothing_failed_is_a_page_too() -> None:
    one = analyse([row(i, spawn=(0.2, 0.2, 0.1 * i)) for i in range(9)], GROUND)
    page = Html(to_html(to_page(one, told(films={}))))
    assert "none of 9 episodes of policy failed" in page.text
    assert one.advice == []
    assert analyse([], GROUND).failed == []


def test_the_dict_has_places_and_seeds(failing: Failing) -> None:
    content = to_dict(failing)
    assert content["failures"] == sum(content["classes"].values()) == len(failing.failed)
    assert content["advice"][0]["is_finding"]
    assert content["advice"][0]["p_searched"] <= 0.05
    assert {e["seed"] for e in content["episodes_failed"]} == {r.seed for r in failing.failed}
    assert all(e["nearest"]["away_m"] >= 0 for e in content["episodes_failed"])


def test_a_phone_shows_the_failures(failing: Failing, tmp_path: Path, chromium: Browser) -> None:
    html = write_page(to_page(failing, told()), tmp_path / "failing", to_dict(failing), "failures")
    look = check_page(chromium, html, PARTS, tmp_path)
    assert "Record demonstrations here" in look.measured["text"]
    assert "Pick up the block: " in look.measured["headline"]
    assert loads_nothing(html.read_text(encoding="utf-8"))


def test_a_second_place_is_compared_with_what_lies_outside_the_first() -> None:
    rng, rows = np.random.default_rng(5), []
    for i in range(300):
        x, y = (float(v) for v in rng.uniform(-0.04, 0.04, 2) + (0.217, 0.225))
        bad = math.hypot(x - 0.19, y - 0.2) < 0.018 or math.hypot(x - 0.245, y - 0.25) < 0.018
        kind = "TIMEOUT" if rng.uniform() < (0.9 if bad else 0.05) else "SUCCESS"
        rows.append(row(i, kind, spawn=(x, y, 0.0)))
    first, second = analyse(rows, GROUND).advice[:2]
    assert first.hotspot.episodes + first.hotspot.elsewhere == 300
    assert second.hotspot.episodes + second.hotspot.elsewhere == 300 - first.hotspot.episodes
    assert " of those elsewhere" in reasons(first)
    assert " of those outside all places above" in reasons(second)
