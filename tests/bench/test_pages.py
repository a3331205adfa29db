"""Pages: every part is there, in HTML, Markdown and JSON, and a phone can show it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from chromium import Browser, check_page

from vibrissa.bench.pages import (
    Drawing,
    Figure,
    Film,
    Note,
    Page,
    Section,
    Table,
    plain,
    to_html,
    to_markdown,
    write_page,
)
from vibrissa.core.errors import UsageError
from vibrissa.show.video import to_png_bytes

VOID = {"meta", "img", "circle", "line", "path", "rect", "polyline", "br", "link", "input"}
SVG = '<svg viewBox="0 0 300 40" role="img" aria-label="A line"><text x="9" y="20">15</text></svg>'
PNG = to_png_bytes(np.tile(np.arange(240, dtype=np.uint8)[None, :, None], (40, 1, 3)))
MANY = Table(
    ("policy", "success", "interval", "difference", "letters", "seconds an episode", "memory"),
    [("a rather long name of a policy", "41/50", "69–90 %", "+4.2", "ab", "1.23", "512 MiB")] * 3,
    note="Seven columns scroll inside themselves.",
)


class Html(HTMLParser):
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


def loads_nothing(html: str) -> bool:
    """Whether a page has no address but data of its own."""
    bare = re.sub(r"base64,[\w+/=]*", "", html)
    inside = all(a.startswith("data:") for a in Html(html).addresses)
    return inside and not re.search(r"https?:|//[a-z]|@import|url\(", bare)


def page() -> Page:
    return Page(
        title="a <title>",
        headline="A is better than B & C",
        sentence="On the same 50 seeds.",
        sections=[
            Section("", [Note("The judge is <broken>.", "warning")]),
            Section("How often", [Figure("41/50", "82 % success"), Drawing(SVG, "each pilot")]),
            Section("Beside", [MANY], "All on the same seeds."),
            Section("Small", [Table((), [("ticks", "140"), ("grip", "21 N")])]),
            Section("Verdict", [Note("Not separated.", "verdict"), Note("Plain | words.")]),
            Section("Films", [Film("missed", b"", PNG, "seed 3", kind="MISSED_GOAL")] * 2),
            Section("Small", [Drawing(SVG, kinds=["SUCCESS", "TIMEOUT"])]),
            Section("Nothing", [Table((), []), Note("")]),
        ],
        settings={"episodes": 50},
        machine={"processor": "abacus"},
        versions={"vibrissa": "0"},
        command="vibrissa compare 'a b' c",
        made="2026-01-02",
    )


def test_every_part_is_in_the_html() -> None:
    html = to_html(page())
    told = Html(html)
    assert told.ids == [
        *("how-often", "beside", "small", "verdict", "films", "clip-MISSED_GOAL"),
        *("clip-MISSED_GOAL-2", "small-2", "settings", "machine"),
    ]
    for text in ("A is better than B & C", "a <title>", "The judge is <broken>.", "abacus", "41"):
        assert text in told.text
    assert "vibrissa compare 'a b' c" in told.text
    assert html.startswith("<!doctype html>")
    assert loads_nothing(html)


def test_columns_of_numbers_are_set_to_the_right_and_short_words_do_not_break() -> None:
    html = to_html(page())
    assert '<td class="num">41/50</td>' in html
    assert "<td>a rather long name of a policy</td>" in html
    assert '<td class="short">ab</td>' in html  # breaks nowhere


def test_the_markdown_has_the_tables_and_names_the_pictures() -> None:
    text = to_markdown(page())
    lines = text.splitlines()
    assert lines[0] == "# A is better than B & C"
    assert "> **The judge is &lt;broken>.**" in lines
    assert (
        "| policy | success | interval | difference | letters | seconds an episode | memory |"
        in (lines)
    )
    assert "| --- | ---: | ---: | ---: | --- | ---: | ---: |" in lines
    assert "| ticks | 140 |" in lines
    assert "*Drawing: A line. each pilot.*" in lines
    assert text.count("*Film: missed. seed 3*") == 2
    assert r"Plain \| words." in lines
    assert "**41/50** 82 % success" in lines
    assert "vibrissa compare 'a b' c" in lines
    assert "## Nothing" not in lines


def test_three_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    told = {"rate": np.float64(0.5), "bad": float("nan"), "seeds": (1, 2), "path": Path("x")}
    html = write_page(page(), tmp_path / "out put", told, name="compare")
    assert html == tmp_path / "out put" / "compare.html"
    names = sorted(p.name for p in html.parent.iterdir())
    assert names == ["compare.html", "compare.json", "compare.md"]
    read = json.loads(html.with_suffix(".json").read_text())
    assert read == {"rate": 0.5, "bad": None, "seeds": [1, 2], "path": "x"}
    assert html.with_suffix(".md").read_text(encoding="utf-8") == to_markdown(page())


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the report"):
        write_page(page(), tmp_path / "file", {})


def test_plain_values_stay() -> None:
    assert plain({"a": [1, "x", None, True, {"b": 2.5}]}) == {"a": [1, "x", None, True, {"b": 2.5}]}


def test_a_browser_lays_it_out(tmp_path: Path, chromium: Browser) -> None:
    html = write_page(page(), tmp_path / "pages", {})
    look = check_page(chromium, html, ["how-often", "beside", "films", "small-2"], tmp_path)
    assert "Seven columns scroll inside themselves." in look.measured["text"]


def test_what_is_too_wide_for_a_phone_is_seen(tmp_path: Path, chromium: Browser) -> None:
    """The check itself: a page that overflows does not pass."""
    html = write_page(page(), tmp_path / "pages", {})
    text = html.read_text(encoding="utf-8")
    html.write_text(text.replace("<h1>", '<h1 style="width: 600px">'), encoding="utf-8")
    with pytest.raises(AssertionError):
        check_page(chromium, html, [], tmp_path)
