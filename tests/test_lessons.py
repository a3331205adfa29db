"""The ledger of lessons: every row is there, in a known state, and its test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATES = ("provided", "prevented", "not yet", "does not apply")
ROW = re.compile(r"^\| L(\d+) \| ([^|]+) \| ([^|]+) \| ([^|]*) \|$", re.MULTILINE)


def _rows() -> list[tuple[int, str, str, str]]:
    text = (ROOT / "docs" / "lessons.md").read_text("utf8")
    return [(int(n), s.strip(), w.strip(), t.strip(" `")) for n, s, w, t in ROW.findall(text)]


def test_all_lessons_are_there_once_and_in_order() -> None:
    assert [number for number, *_ in _rows()] == list(range(1, 154))


def test_every_state_is_known_and_says_where_or_why() -> None:
    for number, state, where, test in _rows():
        assert state in STATES, f"L{number}: {state!r}"
        assert where, f"L{number} says nothing"
        held = state in ("provided", "prevented")
        assert bool(test) == held, f"L{number} is {state} and names {test or 'no test'}"


def test_every_named_test_exists() -> None:
    for number, _, _, test in _rows():
        if not test:
            continue
        file, _, name = test.partition("::")
        path = ROOT / file
        assert path.is_file(), f"L{number} names {file}, which is not there"
        functions = {
            node.name
            for node in ast.walk(ast.parse(path.read_text("utf8")))
            if isinstance(node, ast.FunctionDef)
        }
        assert name in functions, f"L{number} names {test}, which is not there"


def test_every_named_file_exists() -> None:
    for number, _, where, _ in _rows():
        for name in re.findall(r"`((?:\w+/)*\w+\.py)`", where):
            assert (ROOT / "src" / "vibrissa" / name).is_file(), f"L{number} names {name}"
