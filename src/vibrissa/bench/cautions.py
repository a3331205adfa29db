"""What must be put right before a rate means anything, and how far it goes then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vibrissa.bench.outcomes import Summary
from vibrissa.core.stats import rate_text

if TYPE_CHECKING:
    from vibrissa.bench.report import Report

FEW_OF_EXPERT = 0.9  # an expert below this says that the scene, not the policy, is to be mended
ENOUGH = 50  # episodes; fewer are a quick look
SCRIPTED = ("expert", "zero", "random")  # pilots that nobody trained


def warnings(report: Report, everyone: Mapping[str, Summary]) -> list[str]:
    """What must be put right before the headline means anything."""
    told = list(report.cautions)
    for name in everyone:
        rows = report.beside.get(name, report.rows)
        broken = [row for row in rows if row.reason == "fault"]
        if broken:
            sound = [row for row in rows if row.reason != "fault"]
            told.append(
                f"{len(broken)} of {len(rows)} episodes of {name} broke down. Such a one counts as "
                f"not solved, and says nothing of what {name} can do: without them it is "
                f"{rate_text(sum(r.success for r in sound), len(sound))}. The first (seed "
                f"{broken[0].seed}): {broken[0].detail}"
            )
    return [*told, *wrong_beside(everyone)]


def wrong_beside(beside: Mapping[str, Summary]) -> list[str]:
    """What expert and zero pilot say against the scene or its judge; names may begin otherwise."""
    told = []
    for name, one in beside.items():
        where = "" if name in ("expert", "zero") else f" ({name})"
        if name.endswith("zero") and one.success:
            text = f"It never moves and is given {one.text}: the judge is broken."
            told.append(f"The zero pilot succeeds{where}. {text}")
        if name.endswith("expert") and one.episodes and (one.rate or 0.0) < FEW_OF_EXPERT:
            text = f"{one.text}. Mend the scene or the expert before blaming the policy."
            told.append(f"The expert fails here{where}. {text}")
    return told


def limits(report: Report, summary: Summary) -> list[str]:
    """How far the verdict goes, and no farther."""
    low, high = summary.interval
    told = [f"The 95 % interval (Wilson) is {100 * (high - low):.0f} points wide."]
    if report.name not in SCRIPTED:
        told[0] += (
            " It speaks of this one trained policy: another training seed gives another policy."
        )
    if 0 < summary.episodes < ENOUGH:
        told.append(f"{summary.episodes} episodes are a quick look; report from {ENOUGH} on.")
    if not report.unseen and not report.note:
        told.append(
            "Demonstrations may have come from these very seeds, so this is no test of what was "
            "learnt: the seeds are not held out, or the demonstrations' seeds are not known."
        )
    if report.area is not None:
        told.append(
            "All of it is simulated, with starts from one square of the table: a real arm, or "
            "another place, is another question."
        )
    if not report.beside and not report.note:
        told.append(
            "No expert and no zero pilot stood beside it, so nobody has shown that this scene can "
            "be done and that its judge gives nothing away."
        )
    return told
