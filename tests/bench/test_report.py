"""The report: every part is there, nothing is fetched, and the numbers are the rows'."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from bench.test_rows import row

from vibrissa.bench import charts
from vibrissa.bench.outcomes import Row, summarise
from vibrissa.bench.report import Clip, Report, render, to_dict, write
from vibrissa.core.errors import UsageError
from vibrissa.core.outcomes import CLASSES

KINDS = ["SUCCESS", "FUMBLED", "NEVER_PICKED_UP", "MISSED_GOAL", "DROPPED_DURING_TRANSPORT"]
VOID = {"meta", "img", "circle", "line", "path", "rect", "polyline", "br", "link", "input"}


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
        "clips": [Clip(row(i, kind), b"film", b"strip") for i, kind in enumerate(KINDS)],
        "landmarks": {"tray": (0.2, -0.2, 0.06)},
        "settings": {"demonstrations": 3},
        "machine": {"processor": "abacus"},
        "versions": {"vibrissa": "0"},
        "command": "vibrissa demo --out 'my demo'",
    }
    return Report(**{**known, **changes})  # type: ignore[arg-type]


class Page(HTMLParser):
    """Checks that tags are balanced; collects ids, addresses and visible text."""

    def __init__(self, html: str):
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "action", "poster"):
                self.addresses.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_part_is_on_the_page() -> None:
    page = Page(render(report()))
    parts = ["success", "classes", "numbers", "films", "map", "yaw", "curve", "time"]
    assert set(parts + ["machine", "settings"]) <= set(page.ids)
    assert {f"clip-{kind}" for kind in KINDS} <= set(page.ids)
    for told in ("7 of 10", "Reach half a radian", "never picked up", "1 min 05 s", "abacus"):
        assert told in page.text
    assert "a <title>" in page.text  # escaped in the source


def test_the_page_loads_nothing_from_anywhere() -> None:
    html = render(report())
    assert all(a.startswith("data:") for a in Page(html).addresses)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[\w+/=]*", "", html))


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
    assert sorted(p.name for p in page.parent.iterdir()) == ["report.html", "report.json"]


def test_parts_without_matter_are_left_out() -> None:
    bare = report(rows=[row(1)], losses=[], clips=[], no_clips="No OpenGL here.", landmarks={})
    page = Page(render(bare))
    assert "map" not in page.ids
    assert "curve" not in page.ids
    assert "No OpenGL here." in page.text
    assert Page(render(report(rows=[], beside={}, clips=[]))).ids


def test_what_must_be_mended_first_is_said() -> None:
    rows = policy_rows()
    broken = report(
        rows=[*rows, row(99, "FAULT", detail="ContractError: NaN in <joint>")],
        beside={"zero": [row(1, pilot="zero")], "expert": [row(1, "TIMEOUT", "expert")]},
    )
    text = Page(render(broken)).text
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
    drawn = charts.spawn_map(rows, {})
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
    assert "nan" not in charts.spawn_map([row(0, spawn=(0.2, 0.2, 0.0))], {})


def test_every_class_has_a_colour_in_both_themes() -> None:
    html = render(report())
    for kind in CLASSES:
        assert html.count(f"--{kind}:") == 2
