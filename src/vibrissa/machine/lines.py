"""What a check says: one line that is fine, a warning, or something broken; and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "warning", "broken"]


@dataclass(frozen=True)
class Line:
    """about: what was looked at. told: what was found. do: what to do about it."""

    about: str
    state: State
    told: str
    do: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def ok(about: str, told: str) -> Line:
    return Line(about, "ok", told)


def warning(about: str, told: str, do: str) -> Line:
    return Line(about, "warning", told, do)


def broken(about: str, told: str, do: str) -> Line:
    return Line(about, "broken", told, do)


def size(count: float) -> str:
    """Bytes as people read them: 1.9 TB."""
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= one:
            return f"{count / one:.3g} {unit}" if count < 100 * one else f"{count / one:.0f} {unit}"
    return f"{count / 1e3:.0f} kB"
