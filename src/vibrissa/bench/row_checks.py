"""What one line of `outcomes.jsonl` must say to be the row of an episode."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from vibrissa.bench.verdicts import FAILURE, UNLABELLED
from vibrissa.core.episode import Reason
from vibrissa.core.outcomes import CLASSES

REASONS: tuple[str, ...] = get_args(Reason)
KNOWN_CLASSES = (*CLASSES, FAILURE, UNLABELLED)
SOLVED = ("SUCCESS", "FUMBLED")
YES_OR_NO = ("picked", "dropped")  # measures that are counted
MOST_SHOWN = 60  # characters of a value that is wrong


@dataclass(frozen=True)
class _Field:
    """What a field may hold, as a test and in words."""

    holds: Callable[[Any], bool]
    words: str


def wrong_with(raw: object) -> str:
    """What is wrong with the value of one line, in words; empty where it is a row."""
    if not isinstance(raw, Mapping):
        return f"it is {_shown(raw)}, and should be an object in braces"
    absent = [name for name in _FIELDS if name not in raw and name not in _OPTIONAL]
    unknown = [name for name in raw if name not in _FIELDS]
    if absent or unknown:
        told = [f"no {name!r}" for name in absent] + [f"an unknown field {n!r}" for n in unknown]
        return f"it has {', '.join(told[:4])}"
    for name, field in _FIELDS.items():
        if name in raw and not field.holds(raw[name]):
            return f"{name!r} is {_shown(raw[name])}, and should be {field.words}"
    return _contradiction(raw)


def parse(text: str) -> Any:
    """One line as JSON. Raises ValueError, also where a field stands in it twice."""
    return json.loads(text, object_pairs_hook=_once)


def is_cut(text: str) -> bool:
    """Whether a line ends within its braces, or within a string: so a kill leaves one."""
    depth, quoted, escaped = 0, False, False
    for sign in text:
        if quoted:
            quoted, escaped = escaped or sign != '"', sign == "\\" and not escaped
        elif sign == '"':
            quoted = True
        else:
            depth += (sign in "{[") - (sign in "}]")
    return text.startswith("{") and (depth > 0 or quoted)


def _contradiction(raw: Mapping[str, Any]) -> str:
    """Where reason and class do not agree on how it ended."""
    reason, name = raw["reason"], raw["failure_class"]
    ended = {"aborted": "ABORTED", "fault": "FAULT"}
    agree = (reason == "success") == (name in SOLVED)
    agree &= name == ended[reason] if reason in ended else name not in ended.values()
    if name == UNLABELLED:
        agree = reason in ("timeout", "aborted")
    if agree:
        return ""
    return f"'reason' {reason!r} and 'failure_class' {name!r} contradict each other"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} stands in it twice")
    return found


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and _is_number(value) and abs(value) < math.inf


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and _is_finite(value) and value >= 0


def _are_finite(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_finite, value))


def _is_spawn(value: object) -> bool:
    return value is None or (isinstance(value, list) and len(value) == 3 and _are_finite(value))


def _are_times(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_time, value))


def _are_measures(value: object) -> bool:
    """A simulation that fails may measure NaN; what is counted is 0 or 1."""
    return (
        isinstance(value, Mapping)
        and all(map(_is_number, value.values()))
        and all(value[name] in (0, 1) for name in YES_OR_NO if name in value)
    )


_COUNT = _Field(_is_count, "a whole number from 0 on")
_TEXT = _Field(lambda value: isinstance(value, str), "text")
_NUMBERS = _Field(_are_finite, "a list of numbers")
_MAYBE = _Field(lambda value: value is None or _is_time(value), "a number from 0 on, or null")
_FIELDS: Mapping[str, _Field] = {
    "seed": _COUNT,
    "pilot": _Field(lambda value: isinstance(value, str) and bool(value), "a name"),
    "task": _TEXT,
    "reason": _Field(lambda value: value in REASONS, f"one of {', '.join(REASONS)}"),
    "failure_class": _Field(
        lambda value: value in KNOWN_CLASSES, f"one of {', '.join(KNOWN_CLASSES)}"
    ),
    "ticks": _COUNT,
    "spawn": _Field(_is_spawn, "x, y and yaw in a list, or null"),
    "measures": _Field(_are_measures, "numbers by name, 'picked' and 'dropped' 0 or 1"),
    "inferences": _COUNT,
    "late": _COUNT,
    "latency_s": _Field(_are_times, "two numbers from 0 on"),
    "action_low": _NUMBERS,
    "action_high": _NUMBERS,
    "jump": _MAYBE,
    "stride": _MAYBE,
    "wall_s": _Field(_is_time, "a number from 0 on"),
    "detail": _TEXT,
    "sampled": _Field(lambda value: isinstance(value, Mapping), "an object in braces"),
    "rollout": _Field(lambda value: _is_count(value) and value > 0, "a whole number from 1 on"),
}
_OPTIONAL = ("rollout",)
