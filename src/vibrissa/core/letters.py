"""Several policies at once: p-values corrected for their number, and letters.

Two that share a letter are not separated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from string import ascii_lowercase


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values as if each were the only one (Holm 1979), in their order.

    Comparing them with α wrongly separates any of the pairs with a chance of at most α, however
    the comparisons depend on each other.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, most = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = most
    return adjusted


def letters(count: int, separated: Collection[tuple[int, int]]) -> list[str]:
    """The letters of policies 0 … count − 1, the best first; `separated` holds index pairs.

    Two share a letter exactly where they are not separated (Piepho 2004, J. Comp. Graph. Stat.
    13:456, insert and absorb). The first policy has an "a".
    """
    groups = [frozenset(range(count))] if count else []
    for i, j in separated:
        groups = _absorbed(
            part
            for group in groups
            for part in ((group - {i}, group - {j}) if {i, j} <= group else (group,))
        )
    ordered = sorted(groups, key=sorted)
    return [
        "".join(_letter(n) for n, group in enumerate(ordered) if policy in group)
        for policy in range(count)
    ]


def _absorbed(groups: Iterable[frozenset[int]]) -> list[frozenset[int]]:
    """The groups that are part of no other one."""
    found = list(dict.fromkeys(groups))
    return [g for g in found if not any(g < other for other in found)]


def _letter(number: int) -> str:
    again, place = divmod(number, len(ascii_lowercase))
    return ascii_lowercase[place] + (str(again) if again else "")
