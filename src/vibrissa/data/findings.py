"""What the checks of a dataset find, how grave it is, and whether a policy is trained on it.

*broken*: training would use other numbers than were recorded, or none. `train` refuses.
*doubtful*: most likely useless for training, and yet it may be meant. `train` refuses, unless the
user accepts it by its name. *warning*: unusual, and true. `train` says it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from vibrissa.core.errors import DatasetError, UsageError
from vibrissa.data.dataset import Dataset

Severity = Literal["broken", "doubtful", "warning"]


@dataclass(frozen=True)
class Check:
    """One question about a dataset: its name, how grave a yes is, and the answer in sentences."""

    name: str
    severity: Severity
    find: Callable[[Dataset], list[str]]


@dataclass(frozen=True)
class Finding:
    """One sentence about a dataset, the name of the check that found it, and how grave it is."""

    name: str
    severity: Severity
    line: str


UNREADABLE = "unreadable"  # the name of what a check could not read


def run_checks(checks: Iterable[Check], dataset: Dataset) -> tuple[Finding, ...]:
    """What all `checks` find, the gravest first. What keeps one from looking is a finding too."""
    told = [finding for check in checks for finding in _findings(check, dataset)]
    found = [finding for finding in dict.fromkeys(told) if finding.line not in dataset.problems]
    order = ("broken", "doubtful", "warning")
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def require_trainable(
    root: Path, findings: Sequence[Finding], accept: Sequence[str] = ()
) -> list[str]:
    """The warnings about the dataset in `root`, where it may be trained on.

    `accept` names findings that the user accepts; they are not repeated. Raises DatasetError for
    one that is broken, or doubtful and not accepted.
    """
    left = [f for f in findings if f.severity == "broken" or f.name not in accept]
    bars = [f for f in left if f.severity != "warning"]
    if bars:
        raise DatasetError(f"{root} is not fit for training. {_refusal(root, bars)}")
    return [f.line for f in left]


def require_acceptable(checks: Iterable[Check], accept: Sequence[str]) -> None:
    """Raise UsageError for a name in `accept` that no check has, or that cannot be accepted."""
    graded = {UNREADABLE: "doubtful", **{check.name: check.severity for check in checks}}
    for name in accept:
        if name in graded and graded[name] != "broken":
            continue
        why = "cannot be accepted" if name in graded else "is no finding of a dataset"
        may = ", ".join(sorted(n for n, severity in graded.items() if severity != "broken"))
        raise UsageError(f"--accept {name}: {name} {why}. What can be accepted: {may}.")


def _findings(check: Check, dataset: Dataset) -> list[Finding]:
    try:
        with np.errstate(invalid="ignore"):  # NaN among the rows is a finding of its own
            lines = check.find(dataset)
        return [Finding(check.name, check.severity, line) for line in lines]
    except DatasetError as error:
        return [Finding(UNREADABLE, "doubtful", dataset.shortened(error))]


def _refusal(root: Path, bars: Sequence[Finding]) -> str:
    """The gravest finding in full, how many more there are, and what would accept them."""
    more = f" And {len(bars) - 1} more: vibrissa data inspect {root}" if len(bars) > 1 else ""
    if any(finding.severity == "broken" for finding in bars):
        return f"{bars[0].line}{more}"
    names = " ".join(f"--accept {name}" for name in dict.fromkeys(f.name for f in bars))
    return f"{bars[0].line}{more} To train on it as it is, give {names}"
