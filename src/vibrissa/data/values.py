"""A value that somebody else's file holds, and the one line that says what it should have been.

Whoever reads a dataset's JSON or tables asks a `Value` for what it must be. The answer is of the
right type, or a DatasetError that names the file, the key, what was given and what is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vibrissa.core.errors import DatasetError

MOST = 2**53  # a larger whole number is no count of anything, and no float holds it exactly
WIDE = 60  # characters of a given value that are shown
NEXT = "Correct the file, or export the dataset again."


class Missing:
    """What stands where a key is not there at all; null is another thing."""


MISSING = Missing()


@dataclass(frozen=True)
class Value:
    """One value and its place: `file`, and the keys that lead to it in `key`."""

    file: Path
    key: str
    raw: Any

    @property
    def is_missing(self) -> bool:
        return self.raw is MISSING

    @property
    def is_absent(self) -> bool:
        """Whether the key is not there, or is null."""
        return self.raw is MISSING or self.raw is None

    def refused(self, allowed: str) -> DatasetError:
        """The error that says what was given, what is allowed, what to do."""
        if self.is_missing:
            return DatasetError(f"{self.file} has no {self.key}; it must be {allowed}. {NEXT}")
        return DatasetError(
            f"{self.file}: {self.key} is {shown(self.raw)}; it must be {allowed}. {NEXT}"
        )

    def whole(self, least: int = 0) -> int:
        """A whole number of at least `least`; true and false are none."""
        good = isinstance(self.raw, int) and not isinstance(self.raw, bool)
        if not good or not least <= self.raw <= MOST:
            raise self.refused(f"a whole number, {least} or more")
        return self.raw

    def number(self) -> float:
        """A finite number."""
        good = isinstance(self.raw, int | float) and not isinstance(self.raw, bool)
        if not good or abs(self.raw) > MOST or not math.isfinite(self.raw):
            raise self.refused("a number")
        return float(self.raw)

    def text(self) -> str:
        if not isinstance(self.raw, str):
            raise self.refused("text")
        return self.raw

    def flag(self) -> bool:
        if not isinstance(self.raw, bool):
            raise self.refused("true or false")
        return self.raw

    def mapping(self) -> Mapping[str, Any]:
        if not isinstance(self.raw, dict):
            raise self.refused("an object, {…}")
        return self.raw

    def items(self) -> list[Value]:
        """The values of a list."""
        if not isinstance(self.raw, list | tuple):
            raise self.refused("a list, […]")
        return [Value(self.file, f"{self.key}[{i}]", raw) for i, raw in enumerate(self.raw)]

    def __getitem__(self, key: str) -> Value:
        """What an object holds under `key`."""
        inner = f"{self.key}.{key}" if self.key else key
        return Value(self.file, inner, self.mapping().get(key, MISSING))


def shown(raw: Any) -> str:
    """A given value in a few words, on one line."""
    kinds = ((bool, ""), (str, " (text)"), (list, " (a list)"), (dict, " (an object)"))
    kind = next((words for known, words in kinds if isinstance(raw, known)), "")
    if raw is None or isinstance(raw, bool):
        return {None: "null", True: "true", False: "false"}[raw]
    if isinstance(raw, int) and abs(raw) > 10**WIDE:
        return f"a number of more than {WIDE} digits"
    text = repr(raw)
    return (text if len(text) <= WIDE else f"{text[:WIDE]} …") + kind
