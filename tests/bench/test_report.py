"""The report: every part is there, nothing is fetched, and the numbers are the rows'."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from bench.test_pages import PNG, Html, loads_nothing
from bench.test_rows import row
from chromium import Browser, check_page

from vibrissa.bench import charts
from vibrissa.bench.maps import spawn_map
from vibrissa.bench.marks import swatch
from vibrissa.bench.outcomes import Row, summarise
from vibrissa.bench.pages import to_markdown
from vibrissa.bench.report import Clip, Report, render, to_dict, to_page, write
from vibrissa.bench.telling import duration
from vibrissa.core.errors import UsageError
from vibrissa.core.outcomes import CLASSES

PARTS = ["success", "classes", "limits", "failures", "films", "map", "yaw", "numbers", "curve"]
PARTS += ["time", "machine", "settings"]
KINDS = ["SUCCESS", "FUMBLED", "NEVER_PICKED_UP", "MISSED_GOAL", "DROPPED_DURING_TRANSPORT"]


def policy_rows() -> list[Row]:
    kinds = ["SUCCESS"] * 6 + KINDS[1:]
    return [
        row(i, kind, spawn=(0.2 + 0.005 * i, 0.22 - 0.003 * i, 0.7 * i - 3))
        for i, kind in enumerate(kinds)
    ]


def report(**changes: object) -> Report:
    rows = policy_rows()
    known: dict[str, object] = {
        "title": "a <title>",
        "made": "2026-01-02",
        "instruction": "Reach half a radian",
        "sees": "It sees the joint & nothing else.",
        "rows": rows,
        "beside": {
            "expert": [row(r.seed, pilot="expert") for r in rows],
            "zero": [row(r.seed, "NEVER_PICKED_UP", "zero", measures={}) for r in rows],
        },
        "seconds": {"record": 3.21, "train": 65.0},
        "wall_s": 70.04,
        "losses": [(float(i), 1 / (1 + i)) for i in range(50)],
        "clips": [Clip(row(i, kind), b"film", PNG) for i, kind in enumerate(KINDS)],
        "landmarks": {"tray": (0.2, -0.2, 0.06)},
        "settings": {"demonstrations": 3},
        "machine": {"processor": "abacus"},
        "versions": {"vibrissa": "0"},
        "command": "vibrissa demo --out 'my demo'",
        "again": "vibrissa eval run --only-seed {seed} --video again",
    }
    return Report(**{**known, **changes})  # type: ignore[arg-type]


def test_every_part_is_on_the_page() -> None:
    page = Html(render(report()))
    assert set(PARTS) <= set(page.ids)
    assert {f"clip-{kind}" for kind in KINDS} <= set(page.ids)
    for told in ("7 of 10", "Reach half a radian", "never picked up", "1 min 05 s", "abacus"):
        assert told in page.text
    assert "a <title>" in page.text  # escaped in the source


def test_the_page_loads_nothing_from_anywhere() -> None:
    assert loads_nothing(render(report()))


def test_the_json_has_counts_interval_and_rates(tmp_path: Path) -> None:
    page = write(report(), tmp_path / "out put")
    told = json.loads((page.parent / "report.json").read_text())
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (told["success"], told["episodes"], told["wall_s"]) == (7, 10, 70.0)
    assert told["interval"] == pytest.approx(summarise(policy_rows()).interval, abs=1e-4)
    assert (told["expert"], told["zero"]) == (1.0, 0.0)
    assert told["seconds"] == {"record": 3.2, "train": 65.0}
    assert sum(told["classes"].values()) == 10
    assert told["paired"]["expert"]["only_other"] == 3
    names = sorted(p.name for p in page.parent.iterdir())
    assert names == ["report.html", "report.json", "report.md"]


def test_parts_without_matter_are_left_out() -> None:
    bare = report(rows=[row(1)], losses=[], clips=[], no_clips="No OpenGL here.", landmarks={})
    page = Html(render(bare))
    assert "map" not in page.ids
    assert "curve" not in page.ids
    assert "failures" not in page.ids
    assert "No OpenGL here." in page.text
    assert Html(render(report(rows=[], beside={}, clips=[]))).ids


def test_what_must_be_mended_first_is_said() -> None:
    rows = policy_rows()
    broken = report(
        rows=[*rows, row(99, "FAULT", detail="ContractError: NaN in <joint>")],
        beside={"zero": [row(1, pilot="zero")], "expert": [row(1, "TIMEOUT", "expert")]},
    )
    text = Html(render(broken)).text
    assert "1 of 11 episodes of policy broke down" in text
    assert "ContractError: NaN in <joint>" in text
    assert "the judge is broken" in text
    assert "The expert fails here" in text
    assert 'class="card warn"' not in render(report())
    assert to_dict(broken)["policy"]["faults"] == 1


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the report"):
        write(report(), tmp_path / "file")


def test_the_map_shows_every_spawn_and_the_bars_every_episode() -> None:
    rows = policy_rows()
    drawn = spawn_map(rows, {})
    assert drawn.count('class="brick') == len(rows)
    assert all(f"seed {r.seed}:" in drawn for r in rows)
    counts = re.findall(r"<title>(\d+) of (\d+)</title>", charts.yaw_chart(rows))
    assert sum(int(k) for k, _ in counts) == 7
    assert sum(int(n) for _, n in counts) == 10


@pytest.mark.parametrize("points", [[], [(0.0, 1.0)], [(0.0, float("nan"))] * 5, [(0.0, -1.0)] * 3])
def test_no_curve_without_points(points: list[tuple[float, float]]) -> None:
    assert charts.curve(points) == ""


def test_a_constant_curve_and_a_single_spawn_can_be_drawn() -> None:
    assert "polyline" in charts.curve([(0.0, 1.0), (10.0, 1.0)])
    assert "nan" not in charts.curve([(0.0, 1.0), (10.0, 1.0)])
    assert "nan" not in spawn_map([row(0, spawn=(0.2, 0.2, 0.0))], {})


def test_every_class_has_a_colour_in_both_themes() -> None:
    html = render(report())
    for kind in CLASSES:
        assert html.count(f"--{kind}:") == 2


def test_failures_are_listed_and_one_can_be_had_again() -> None:
    text = to_markdown(to_page(report()))
    assert "| 7 | never picked up | 150 | 23.5, 19.9 | 109° | 10.0 |" in text
    assert "vibrissa eval run --only-seed 7 --video again" in text
    assert "| 0 | success" not in text
    assert "quick look" in text  # ten episodes
    assert "another training seed gives another policy" in text


def test_a_fault_is_no_failure_of_the_policy() -> None:
    rows = [*policy_rows(), row(99, "FAULT", detail="NaN")]
    text = to_markdown(to_page(report(rows=rows)))
    assert "without them it is 7/10 (40–89 %)" in text
    assert "| 99 |" not in text


def test_the_policy_is_measured_beside_the_expert() -> None:
    grip = {"static_pad_mean_n": 21.0, "moving_pad_mean_n": 30.0, "picked": 1.0}
    expert = {"static_pad_mean_n": 44.0, "moving_pad_mean_n": 43.0, "picked": 1.0}
    told = report(
        rows=[row(1, measures=grip)], beside={"expert": [row(1, pilot="expert", measures=expert)]}
    )
    lines = to_markdown(to_page(told)).splitlines()
    assert "|  | policy | expert |" in lines
    assert "| grip, weaker pad | 21 N | 43 N |" in lines


def test_a_phone_shows_the_whole_report(tmp_path: Path, chromium: Browser) -> None:
    look = check_page(chromium, write(report(), tmp_path / "report"), PARTS, tmp_path)
    assert look.measured["headline"].startswith("Reach half a radian: 7 of 10")
    assert "never picked up" in look.measured["text"]


def test_many_episodes_are_rates_over_the_table(tmp_path: Path, chromium: Browser) -> None:
    rows = [
        row(i, kind, spawn=(0.18 + 0.0012 * i, 0.19 + 0.0011 * (7 * i % 60), 0.7 * i))
        for i, kind in enumerate(["SUCCESS", "MISSED_GOAL", "SUCCESS"] * 20)
    ]
    many = report(rows=rows, beside={}, area=(0.217, 0.225, 0.04))
    look = check_page(chromium, write(many, tmp_path / "many"), [*PARTS, "rates"], tmp_path)
    assert "quick look" not in look.measured["text"]
    assert "No expert and no zero pilot stood beside it" in look.measured["text"]
    real = report(rows=rows, beside={}, note="Rollouts on a real arm, judged by a person.")
    assert "No expert" not in to_markdown(to_page(real))


def test_a_turn_that_does_not_show_is_told_by_the_thing_that_is_turned() -> None:
    cube = Html(render(report(thing="cube", symmetry=4)))
    assert "A quarter of a turn shows the same cube." in cube.text
    assert 'width="14" height="14"' in spawn_map(policy_rows(), {}, symmetry=4)
    cylinder = Html(render(report(thing="can", symmetry=0)))
    assert "yaw" not in cylinder.ids
    assert "Half a turn" not in Html(render(report())).text  # nobody said what is turned


def test_what_is_drawn_is_said_too() -> None:
    """In Markdown, and for whoever sees no picture: counts, rates and intervals."""
    text = to_markdown(to_page(report()))
    assert "How many episodes ended how: success 6/10, fumbled 1/10, never picked up 1/10" in text
    assert "policy 7/10 (40–89 %); expert 10/10 (72–100 %); zero 0/10 (0–28 %)" in text
    assert "began: 6 success, 1 fumbled, 1 never picked up" in text
    assert "the policy alone solved 0 and the expert alone 3 (exact McNemar, p = 0.25)" in text
    assert "would most likely solve 40 to 89 of 100: 10 tell no more than that." in text
    assert "a &lt;b&gt; &amp;" not in to_markdown(to_page(report(thing="a <b> &")))


def test_bars_of_classes_are_shares_of_all_episodes() -> None:
    half = charts.class_bars({"TIMEOUT": 5}, 10)
    assert 'width="190.0"' in half  # of a track of 380
    assert ">5/10<" in half
    assert 'width="380.0"' in charts.class_bars({"TIMEOUT": 5})


def test_no_two_classes_look_alike_without_colours() -> None:
    looks = [swatch(kind).replace(kind, "") for kind in CLASSES if kind != "ABORTED"]
    assert len(set(looks)) == len(CLASSES) - 1
    drawn = spawn_map(policy_rows(), {})
    assert drawn.count('class="sign"') == 4  # fumbled, and three ways to fail
    assert render(report()).count('class="swatch"') >= 10  # the map's legend and the films


def test_a_rate_in_hz_gives_seconds() -> None:
    text = to_markdown(to_page(report(rate_hz=30.0)))
    assert "| 7 | never picked up | 5.0 s | 23.5, 19.9 | 109° | 10.0 |" in text
    assert "| time, successes | 5.0 s | 5.0 s | – |" in text
    assert "seed 0 · 5.0 s" in text
    assert "time, successes" not in to_markdown(to_page(report()))


def test_a_scripted_pilot_is_called_by_its_name_and_was_never_trained() -> None:
    zero = [row(i, "NEVER_PICKED_UP", "zero", measures={}) for i in range(5)]
    text = to_markdown(to_page(report(rows=zero, beside={})))
    assert "zero 0/5 (0–43 %)" in text
    assert "another training seed" not in text
    assert "|  | zero |" in text


def test_a_class_without_a_film_is_told() -> None:
    rows = [*policy_rows(), row(99, "FAULT", detail="NaN")]
    text = to_markdown(to_page(report(rows=rows)))
    assert "No film of: fault. Played again, it broke before its first picture" in text
    assert "No film of" not in to_markdown(to_page(report()))


def test_the_json_holds_the_map_and_the_warnings() -> None:
    area = (0.217, 0.225, 0.04)
    told = to_dict(report(area=area, rows=[*policy_rows(), row(99, "FAULT", detail="NaN")]))
    assert len(told["map"]) == 4
    assert (
        sum(square["episodes"] for square in told["map"]) == 10
    )  # nobody knows where the other began
    assert told["warnings"][0].startswith("1 of 11 episodes of policy broke down")
    assert to_dict(report())["map"] == []


def test_the_time_is_told_from_what_it_began_with() -> None:
    assert "from the first episode to this page" in to_markdown(to_page(report()))
    demo = to_markdown(to_page(report(first="demonstration")))
    assert "1 min 10 s from the first demonstration to this page" in demo
    assert duration(7500) == "2 h 05 min"


def test_a_failure_that_nobody_explained_has_a_colour_too() -> None:
    """As a real arm's rollouts have, where a person only said that it failed."""
    rows = [*policy_rows(), row(50, "FAILURE", spawn=(0.21, 0.21, 0.0))]
    html = render(report(rows=rows))
    assert 'class="k-FAILURE"' in html
    assert ".k-FAILURE {" in html
    text = to_markdown(to_page(report(beside={"B": rows}, note="Rollouts on a real arm.")))
    assert "Of the same 10 placements, the policy alone solved 0 and B alone 0" in text
