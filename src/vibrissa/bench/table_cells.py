"""What a cell of somebody else's table says: how an episode ended, a whole number, a measure.

Nothing is guessed: a cell that can be read in two ways is refused by whoever asks.
"""

from __future__ import annotations

import re
from typing import Literal

YES = ("true", "yes", "y", "success", "succeeded", "solved", "pass", "passed")
NO = ("false", "no", "n", "failure", "failed", "fail", "timeout", "unsolved")
BROKEN = ("fault", "error", "crash", "crashed")
EMPTY = ("", "nan", "none", "null", "na", "n/a", "-", "?")
TOTALS = ("total", "totals", "subtotal", "sum", "mean", "average", "avg", "overall", "gesamt")
KNOWN = "1, 0, true, false, yes, no, success, failure, timeout, fault"

End = Literal["success", "failure", "fault"]
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")
_WHOLE = re.compile(r"[0-9]+([.,]0+)?")
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}([.,]000)+")  # 1.000 is one, or a thousand


def ended(cell: str) -> End | None:
    """How an episode ended; None where the cell does not say so."""
    word = cell.strip().lower()
    if word in BROKEN:
        return "fault"
    if word in YES or word in NO:
        return "success" if word in YES else "failure"
    share = word.removesuffix("%").rstrip()
    if not _NUMBER.fullmatch(share):
        return None
    value = float(share.replace(",", ".")) / (100 if word != share else 1)
    return {1.0: "success", 0.0: "failure"}.get(value)  # type: ignore[return-value]


def why_not_ended(cell: str) -> str:
    """Why a cell does not say how an episode ended, and what would."""
    word = cell.strip().lower()
    if word in EMPTY:
        return f"{cell!r} does not say how the episode ended. Write 1 or 0, or remove the line."
    told = f"{cell!r} is neither success nor failure. Known are {KNOWN}."
    if word.endswith("%") or _NUMBER.fullmatch(word):
        told += " A rate of several episodes is given as counts: name=32/50."
    return told


def whole(cell: str) -> int | None:
    """A whole number from 0 on, also as 7.0 or 7,0; None for anything else."""
    text = cell.strip()
    if not _WHOLE.fullmatch(text) or _THOUSANDS.fullmatch(text) or len(text) > 30:
        return None
    return int(re.split("[.,]", text)[0])


def looks_like_a_number(cell: str) -> bool:
    """Whether a cell is meant as a number: then it is no name."""
    text = cell.strip().lower().lstrip("+-")
    return (text[:1].isdigit() and _is_float(text)) or text in ("nan", "inf", "infinity")


def measure(cell: str) -> float:
    """A number with a decimal point or comma. Raises ValueError."""
    text = cell.strip()
    return float(text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)


def is_total(cell: str) -> bool:
    """Whether a cell names a sum or a mean of the lines above."""
    return cell.strip().rstrip(":").lower() in TOTALS


def _is_float(text: str) -> bool:
    try:
        measure(text)
    except ValueError:
        return bool(re.fullmatch(r"[0-9.,]+", text))
    return True
