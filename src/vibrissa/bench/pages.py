"""A page in a few words: tables, drawings, films and notes, as HTML, Markdown and JSON.

The HTML carries everything in itself, reads on a phone, in light and dark, and without scripts.
Whoever has something to report makes a `Page`; nobody else writes HTML.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any, Literal

from vibrissa.bench.marks import swatch
from vibrissa.core.errors import UsageError
from vibrissa.core.outcomes import CLASSES


@dataclass(frozen=True)
class Table:
    """Cells as text, a row for each line. Without `columns` it has no head."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Drawing:
    """One `<svg>` element as `charts` makes it, with an aria-label that says what it shows.

    It takes its colours from the page by classes: bar, dot (with main or beside), other, grid,
    column, heat, whisker, brick with k-<failure class>, sign, area, landmark, robot, raw, smooth;
    text: name, value, tick, inbar. kinds: failure classes whose marks are explained below it. The
    aria-label holds its facts: it is what Markdown and a screen reader get.
    """

    svg: str
    caption: str = ""
    kinds: Sequence[str] = ()


@dataclass(frozen=True)
class Film:
    """An mp4, and a PNG strip of its pictures. kind: the failure class it shows, for its colour."""

    title: str
    film_mp4: bytes
    strip_png: bytes = b""
    note: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Note:
    """A paragraph. A warning is framed; a verdict is set large; code is to be typed."""

    text: str
    kind: Literal["plain", "warning", "verdict", "code"] = "plain"


@dataclass(frozen=True)
class Figure:
    """The one number that everybody looks for, such as 41/50, and what it counts."""

    value: str
    told: str = ""


@dataclass(frozen=True)
class Numbers:
    """A few named values, beside each other."""

    named: Sequence[tuple[str, str]]


Part = Table | Drawing | Film | Note | Figure | Numbers


@dataclass(frozen=True)
class Section:
    """Parts under a title; without a title they stand on the bare page.

    anchor: its id in the HTML; made of the title unless given.
    """

    title: str
    parts: Sequence[Part]
    intro: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Page:
    """All that a page tells.

    title: what kind of page it is, small. headline: the verdict, in a sentence. sentence: what
    one has to know to read it. settings, machine, versions and the command end the page.
    """

    title: str
    headline: str
    sections: Sequence[Section]
    sentence: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    made: str = ""


def write_page(page: Page, folder: Path, told: Mapping[str, Any], name: str = "report") -> Path:
    """Write NAME.json (`told`), NAME.md and NAME.html into `folder`, each whole or not at all.

    Returns the HTML's path; it is written last. Raises UsageError where the folder refuses.
    """
    html = folder / f"{name}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / f"{name}.json", json.dumps(plain(told), indent=2) + "\n")
        replace_file(folder / f"{name}.md", to_markdown(page))
        replace_file(html, to_html(page))
    except OSError as error:
        raise UsageError(f"cannot write the report into {folder}: {error.strerror}.") from error
    return html


def to_html(page: Page) -> str:
    """The page as one HTML document that loads nothing from anywhere."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    env = Environment(
        loader=PackageLoader("vibrissa.bench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "base64": lambda content: base64.b64encode(content).decode(),
        "svg": Markup,
        "words": words,
        "kind": lambda part: type(part).__name__,
        "numeric": _numeric_columns,
        "swatch": lambda kind: Markup(swatch(kind)),
        "side_by_side": _side_by_side,
        "is_hero": lambda section: any(isinstance(p, Figure) for p in section.parts),
    }
    env.globals["clip_id"] = _clip_ids()
    sections = _whole(page)
    anchors = _anchors(sections)
    return env.get_template("page.html").render(
        page=page, kinds=CLASSES, rows=_rows(list(zip(sections, anchors, strict=True)))
    )


def to_markdown(page: Page) -> str:
    """The page's words and tables as Markdown; drawings and films are named."""
    blocks = [f"# {_escaped(page.headline)}", _escaped(page.sentence)]
    blocks.append(f"*{_escaped(' · '.join(t for t in (page.title, page.made) if t))}*")
    for section in _whole(page):
        blocks += [
            f"## {_escaped(section.title)}" if section.title else "",
            _escaped(section.intro),
        ]
        blocks += [_part_as_markdown(part) for part in section.parts]
    return "\n\n".join(block for block in blocks if block.strip("*# ")) + "\n"


def words(failure_class: str) -> str:
    """A class as one reads it: NEVER_PICKED_UP → never picked up."""
    return failure_class.replace("_", " ").lower()


def plain(value: Any) -> Any:
    """`value` as JSON has it: tuples as lists, numbers that are not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _whole(page: Page) -> list[Section]:
    """The page's sections with those that end every page, empty ones left out."""
    again = [Note(page.command, "code")] if page.command else []
    settings = Table((), [(k, str(v)) for k, v in page.settings.items()])
    machine = Table((), [(k, str(v)) for k, v in {**page.machine, **page.versions}.items()])
    last = [
        Section("Settings", [*again, settings], anchor="settings"),
        Section("Machine and versions", [machine], anchor="machine"),
    ]
    kept = []
    for section in (*page.sections, *last):
        parts = [part for part in section.parts if not _is_empty(part)]
        if parts or section.intro:
            kept.append(Section(section.title, parts, section.intro, section.anchor))
    return kept


def _is_empty(part: Part) -> bool:
    match part:
        case Table(rows=content) | Drawing(svg=content) | Note(text=content):
            return not content
        case Numbers(named=content) | Figure(value=content):
            return not content
        case Film():
            return not (part.film_mp4 or part.strip_png)


def _rows(sections: list[tuple[Section, str]]) -> list[list[tuple[Section, str]]]:
    """Sections that may stand beside each other, where there is room: narrow ones in a row."""
    rows: list[list[tuple[Section, str]]] = []
    for entry in sections:
        beside = rows and not _is_wide(entry[0]) and not _is_wide(rows[-1][-1][0])
        if beside:
            rows[-1].append(entry)
        else:
            rows.append([entry])
    return rows


def _is_wide(section: Section) -> bool:
    many = sum(isinstance(part, Drawing) for part in section.parts) > 1
    return (
        many
        or not section.title
        or any(isinstance(p, (Film, Figure)) for p in section.parts)
        or any(isinstance(p, Table) and len(p.columns) > 3 for p in section.parts)
    )


def _anchors(sections: Sequence[Section]) -> list[str]:
    """An id for each section, no two alike; empty for one without a title."""
    given: list[str] = []
    for section in sections:
        made = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")
        anchor = section.anchor or made
        same = sum(re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", a) is not None for a in given)
        given.append(f"{anchor}-{same + 1}" if same and anchor else anchor)
    return given


def _side_by_side(parts: Sequence[Part]) -> list[list[Part]]:
    """Films, or drawings, that follow each other as one group, every other part by itself."""
    groups: list[list[Part]] = []
    for part in parts:
        like = isinstance(part, (Film, Drawing)) and groups and type(groups[-1][-1]) is type(part)
        if like:
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _clip_ids() -> Callable[[str], str]:
    """Gives clip-SUCCESS, clip-SUCCESS-2, … for one page."""
    seen: Counter[str] = Counter()

    def next_id(kind: str) -> str:
        seen[kind] += 1
        return f"clip-{kind}" + (f"-{seen[kind]}" if seen[kind] > 1 else "")

    return next_id


def _numeric_columns(table: Table) -> list[bool]:
    """Which columns hold numbers alone, and so are set to the right. The first one never."""
    return [
        i > 0 and all(_NUMBER.match(cell.strip()) and len(cell) < 28 for cell in cells)
        for i, cells in enumerate(zip(*table.rows))
    ]


_NUMBER = re.compile(r"[-+−–<>≤≥±~]?\s*\d|[–-]?$")


def _part_as_markdown(part: Part) -> str:
    match part:
        case Table():
            return _table_as_markdown(part)
        case Drawing():
            label = re.search(r'aria-label="([^"]*)"', part.svg)
            told = [unescape(label.group(1)) if label else "", part.caption]
            return f"*Drawing: {_escaped('. '.join(t.rstrip('.') for t in told if t))}.*"
        case Film():
            return f"*Film: {_escaped('. '.join(t for t in (part.title, part.note) if t))}*"
        case Note(kind="code"):
            return f"```\n{part.text}\n```"
        case Note():
            text = _escaped(part.text)
            return {"warning": f"> **{text}**", "verdict": f"**{text}**"}.get(part.kind, text)
        case Figure():
            return f"**{_escaped(part.value)}** {_escaped(part.told)}"
        case Numbers():
            return _table_as_markdown(Table((), part.named))


def _table_as_markdown(table: Table) -> str:
    width = max(map(len, (table.columns, *table.rows)))
    head = list(table.columns) or [""] * width
    right = [*_numeric_columns(table), *[False] * width]
    rule = ["---:" if right[i] else "---" for i in range(width)]
    lines = [_line(head), f"| {' | '.join(rule)} |", *map(_line, table.rows)]
    return "\n".join(lines) + (f"\n\n{_escaped(table.note)}" if table.note else "")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_escaped(str(cell)) for cell in cells)} |"


def _escaped(text: str) -> str:
    """Text in one line, in which Markdown finds nothing to interpret."""
    one = " ".join(text.split())
    one = re.sub(r"([\\|*`\[\]])", r"\\\1", one)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", one).replace("<", "&lt;")


def replace_file(path: Path, text: str) -> None:
    """Write under a temporary name, then rename."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
