"""How many episodes a folder was to hold, each time that somebody asked, and what that means.

A number of episodes that was fixed beforehand allows for a plain test. One that was changed when a
rate had been told may have been chosen by that rate, and so may one that was never reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PLANNED = "planned"  # in eval.json and deployment.json


def planned(raw: Mapping[str, Any]) -> list[int]:
    """What a folder's file says was asked for, in order; nothing where it does not say."""
    return [int(many) for many in raw.get(PLANNED) or ()]


def asked_now(before: Sequence[int], many: int, there: int) -> list[int]:
    """The same with what is asked for now; there: how many a folder that does not say holds."""
    known = list(before) or ([there] if there else [])
    return known if known and known[-1] == many else [*known, many]


def changed(numbers: Sequence[int]) -> str:
    """That the number was changed, in words; empty where it was not."""
    if len(numbers) < 2:
        return ""
    return f"the number of episodes was changed ({', then '.join(map(str, numbers))})"


def chosen(numbers: Sequence[int], there: int) -> str:
    """Why the number of episodes may have been chosen by what they showed; empty where not."""
    if numbers and numbers[-1] > there:
        return f"{there} of {numbers[-1]} planned episodes were tried"
    if numbers and numbers[-1] < there:
        return f"{there} episodes are there, and {numbers[-1]} were planned"
    return changed(numbers)


def in_order(numbers: Sequence[int], seeds: Sequence[int]) -> bool:
    """Whether what was added later has the later seeds; seeds: in the order of the rows."""
    ends = [many for many in numbers[:-1] if 0 < many < len(seeds)]
    return all(max(seeds[:end]) < min(seeds[end:]) for end in ends)
