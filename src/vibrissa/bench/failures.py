"""Failures in order: by class, by time and by place, and where demonstrations would go to help.

Everything here is data about judged rows; `failure_page` says it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.stats import mannwhitneyu

from vibrissa.bench.charts import Landmark, Square
from vibrissa.bench.demonstrations import Demonstration, Nearest, nearest
from vibrissa.bench.hotspots import Hotspot, Region, compare_place, hotspots, turn_between
from vibrissa.bench.outcomes import Row, Spawn, count_classes
from vibrissa.control.targets import Target

LEAST_MORE, MOST_MORE, UNKNOWN_MORE = 5, 30, 10  # demonstrations that a place is given
LONELY = 0.9  # of the solved episodes have a nearer demonstration than a lonely failure
LONELY_M = 0.01
GAP_M, GAP_RAD = 0.02, math.radians(20)  # what lies so near together is one gap
MOST_GAPS = 3

Phase = Literal["never touched", "grasping", "on the way", "at the goal", "time was up", "not told"]


@dataclass(frozen=True)
class Ground:
    """What one must know of a scene: where objects start, and when two yaws look the same.

    area: the square of all starts. arm_m: how far the object reaches from its centre, seen from
    above; with it a turn becomes a way. rate_hz: ticks in a second; 0 where it is not known.
    """

    area: Square
    symmetry: int = 1
    arm_m: float = 0.03
    thing: str = "object"
    max_ticks: int = 0
    rate_hz: float = 0.0
    landmarks: Mapping[str, Landmark] = field(default_factory=dict)

    @property
    def period_rad(self) -> float:
        """The turn after which it looks the same; infinite where no turn shows."""
        return 2 * math.pi / self.symmetry if self.symmetry else math.inf


@dataclass(frozen=True)
class Advice:
    """A place to record at, what happened there, and what is known of demonstrations there.

    demonstrations: how many began there; None where no dataset was looked at. away_m,
    turned_rad: from its failures to their nearest demonstrations, medians. is_later: it was sought
    outside the places before it, and is compared with what lies outside them.
    """

    hotspot: Hotspot
    target: Target
    demonstrations: int | None
    away_m: float | None
    turned_rad: float | None
    is_gap: bool = False
    is_later: bool = False


@dataclass(frozen=True)
class Closeness:
    """Nearest demonstrations of failures and of successes: medians (m), and whether they differ.

    p: Mann–Whitney, two-sided.
    """

    failed_m: float
    solved_m: float
    p: float


@dataclass(frozen=True)
class Failing:
    """What the rows of one pilot say of its failures.

    sound: episodes that came to an end of their own, of which `failed` were not solved; faults
    and aborted ones are no failures. nearest: for each failure's seed.
    """

    ground: Ground
    sound: Sequence[Row]
    failed: Sequence[Row]
    faults: Sequence[Row]
    demonstrations: Sequence[Demonstration] | None
    nearest: Mapping[int, Nearest]
    closeness: Closeness | None
    worst: Hotspot | None
    advice: Sequence[Advice]

    @property
    def by_class(self) -> dict[str, list[Row]]:
        """The failures of each class, the most frequent one first."""
        counts = count_classes(self.failed)
        order = sorted(counts, key=lambda name: -counts[name])
        return {name: [r for r in self.failed if r.failure_class == name] for name in order}

    @property
    def by_phase(self) -> dict[Phase, list[Row]]:
        """The failures of each phase of the task, in the order of the phases."""
        phases: dict[Phase, list[Row]] = {}
        for row in self.failed:
            phases.setdefault(went_wrong(row)[0], []).append(row)
        order: tuple[Phase, ...] = (
            *("never touched", "grasping", "on the way"),
            *("at the goal", "time was up", "not told"),
        )
        return {name: phases[name] for name in order if name in phases}


def analyse(
    rows: Sequence[Row], ground: Ground, demonstrations: Sequence[Demonstration] | None = None
) -> Failing:
    """The failures among the rows of one pilot, beside where its demonstrations began."""
    sound = [r for r in rows if r.reason not in ("fault", "aborted")]
    failed = [r for r in sound if not r.success]
    placed = [(r, r.spawn) for r in sound if r.spawn is not None]
    near = {r.seed: _nearest(spawn, demonstrations, ground) for r, spawn in placed}
    known = {seed: one for seed, one in near.items() if one is not None}
    spots = hotspots(
        [spawn for _, spawn in placed],
        [not r.success for r, _ in placed],
        half_m=ground.area[2],
        period_rad=ground.period_rad,
    )
    findings = [spot for spot in spots if spot.is_finding]
    advice = [
        _advice(spot, placed, ground, demonstrations, known, is_later=i > 0)
        for i, spot in enumerate(findings)
    ]
    if not advice and demonstrations:
        advice = _gaps(placed, ground, demonstrations, known)
    return Failing(
        ground=ground,
        sound=sound,
        failed=failed,
        faults=[r for r in rows if r.reason == "fault"],
        demonstrations=demonstrations,
        nearest={r.seed: known[r.seed] for r in failed if r.seed in known},
        closeness=_closeness(sound, known),
        worst=spots[0] if spots else None,
        advice=advice,
    )


def went_wrong(row: Row) -> tuple[Phase, float | None]:
    """In which phase an episode failed, and at which tick, as far as its measures tell."""
    told = row.measures
    if "moved_tick" not in told:
        return "not told", None
    if row.failure_class == "NEVER_PICKED_UP":
        if "touched_tick" not in told:
            return "never touched", None
        return "grasping", max(told["moved_tick"], told["touched_tick"])
    if "lost_tick" in told:
        phase: Phase = "at the goal" if row.failure_class == "MISSED_GOAL" else "on the way"
        return phase, told["lost_tick"]
    return "time was up", float(row.ticks)


def _nearest(
    spawn: Spawn, demonstrations: Sequence[Demonstration] | None, ground: Ground
) -> Nearest | None:
    return nearest(spawn, demonstrations or (), period_rad=ground.period_rad, arm_m=ground.arm_m)


def _closeness(sound: Sequence[Row], known: Mapping[int, Nearest]) -> Closeness | None:
    failed = [known[r.seed].reach_m for r in sound if r.seed in known and not r.success]
    solved = [known[r.seed].reach_m for r in sound if r.seed in known and r.success]
    if not failed or not solved:
        return None
    p = float(np.asarray(mannwhitneyu(failed, solved))[1])
    return Closeness(float(np.median(failed)), float(np.median(solved)), p)


def _advice(
    spot: Hotspot,
    placed: Sequence[tuple[Row, Spawn]],
    ground: Ground,
    demonstrations: Sequence[Demonstration] | None,
    known: Mapping[int, Nearest],
    *,
    is_gap: bool = False,
    is_later: bool = False,
) -> Advice:
    spawns = np.array([spawn for _, spawn in placed], np.float64)  # (N, 3)
    inside = spot.place.holds(spawns, ground.period_rad)
    failed = np.array([not r.success for r, _ in placed])
    lost = [
        known[r.seed] for (r, _), bad in zip(placed, inside & failed) if bad and r.seed in known
    ]
    there = None
    if demonstrations is not None:
        poses = np.array([d.spawn for d in demonstrations], np.float64).reshape(-1, 3)
        there = int(spot.place.holds(poses, ground.period_rad).sum())
    share = inside.mean() if len(inside) else 0.0
    return Advice(
        spot,
        _target(spot.place, ground, _more(there, share, len(demonstrations or ()))),
        there,
        float(np.median([n.away_m for n in lost])) if lost else None,
        float(np.median([n.turned_rad for n in lost])) if lost else None,
        is_gap,
        is_later,
    )


def _more(there: int | None, share: float, demonstrations: int) -> int:
    """How many more: as many as make the place twice as dense as all starts are on average."""
    if there is None:
        return UNKNOWN_MORE
    return int(np.clip(math.ceil(2 * share * demonstrations - there), LEAST_MORE, MOST_MORE))


def _target(place: Region, ground: Ground, count: int) -> Target:
    x, y, half = ground.area
    anywhere, any_yaw = math.isinf(place.radius_m), math.isinf(place.half_yaw_rad)
    return Target(
        x_m=x if anywhere else place.x_m,
        y_m=y if anywhere else place.y_m,
        yaw_rad=0.0 if any_yaw else place.yaw_rad,
        spread_m=half if anywhere else place.radius_m,
        spread_rad=math.pi if any_yaw else place.half_yaw_rad,
        count=count,
    )


def _gaps(
    placed: Sequence[tuple[Row, Spawn]],
    ground: Ground,
    demonstrations: Sequence[Demonstration],
    known: Mapping[int, Nearest],
) -> list[Advice]:
    """Failures with no demonstration near, gathered: worth a try where nothing is a finding."""
    solved = [known[r.seed].reach_m for r, _ in placed if r.success]
    least_m = max(LONELY_M, float(np.quantile(solved, LONELY)) if solved else 0.0)
    lonely = [(r, s) for r, s in placed if not r.success and known[r.seed].reach_m > least_m]
    lonely.sort(key=lambda one: -known[one[0].seed].reach_m)
    spawns, bad = [s for _, s in placed], [not r.success for r, _ in placed]
    found: list[Advice] = []
    while lonely and len(found) < MOST_GAPS:
        x, y, yaw = lonely[0][1]
        half_yaw = GAP_RAD if math.isfinite(ground.period_rad) else math.inf
        middle = float(turn_between(yaw, 0.0, ground.period_rad))
        place = Region(x, y, GAP_M, middle, half_yaw)
        spot = compare_place(place, spawns, bad, ground.period_rad)
        found.append(_advice(spot, placed, ground, demonstrations, known, is_gap=True))
        held = place.holds(np.array([s for _, s in lonely]), ground.period_rad)
        lonely = [one for one, inside in zip(lonely, held, strict=True) if not inside]
    return found
