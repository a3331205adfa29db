"""Where the object is to be put for demonstrations: a list of places, each so many times.

`vibrissa failures` writes the file, `vibrissa record --targets` reads it, and so may anybody.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vibrissa.control.marked import Marked, read_marked

MOST = 10_000  # demonstrations of one target
FAR_M = 1.0
Pose = tuple[float, float, float]  # x m, y m, yaw rad


@dataclass(frozen=True)
class Target:
    """A place of the object, anywhere within `spread_m` and `spread_rad` of it, `count` times."""

    x_m: float
    y_m: float
    yaw_rad: float = 0.0
    spread_m: float = 0.0
    spread_rad: float = math.pi
    count: int = 1
    why: str = ""

    def draw(self, rng: np.random.Generator) -> Pose:
        """A pose of it: uniform in the disc and in the range of yaw."""
        far, way = self.spread_m * math.sqrt(rng.uniform()), rng.uniform(0, 2 * math.pi)
        yaw = self.yaw_rad + rng.uniform(-self.spread_rad, self.spread_rad)
        return (
            self.x_m + far * math.cos(way),
            self.y_m + far * math.sin(way),
            math.remainder(yaw, 2 * math.pi),
        )

    def to_dict(self) -> dict[str, Any]:
        """As the file has it: metres and degrees."""
        told: dict[str, Any] = {
            "count": self.count,
            "x_m": round(self.x_m, 4),
            "y_m": round(self.y_m, 4),
            "spread_m": round(self.spread_m, 4),
            "yaw_deg": round(math.degrees(self.yaw_rad), 1),
            "spread_deg": round(math.degrees(self.spread_rad), 1),
        }
        return told | ({"why": self.why} if self.why else {})


def read_targets(path: Path) -> tuple[list[Target], list[Marked]]:
    """The targets of a YAML or JSON file, and where each of them stands in it.

    Raises UsageError with file and line for what cannot be a target.
    """
    fields = read_marked(path).fields(
        "a file of targets", needed=("targets",), allowed=("task", "from")
    )
    marks = fields["targets"].items("targets")
    if not marks:
        raise fields["targets"].error("there are no targets in it.")
    return [_target(mark) for mark in marks], marks


def to_yaml(targets: Sequence[Target], **more: str) -> str:
    """The file's text; `more` are the task and what it was made from."""
    content: Mapping[str, Any] = {**more, "targets": [target.to_dict() for target in targets]}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def in_words(pose: Pose, thing: str = "object") -> str:
    """Where somebody who stands behind the arm puts the object by hand: cm and degrees."""
    x_cm, y_cm, degrees = 100 * pose[0], 100 * pose[1], math.degrees(pose[2])
    side = "straight ahead" if abs(y_cm) < 0.05 else f"{abs(y_cm):.1f} cm to the "
    side += "" if abs(y_cm) < 0.05 else ("left" if y_cm > 0 else "right")
    turn = "not turned"
    if abs(degrees) >= 0.5:
        turn = f"turned {abs(degrees):.0f}° {'counter-clockwise' if degrees > 0 else 'clockwise'}"
    return f"put the {thing} {x_cm:.1f} cm in front of the arm's base and {side}, {turn}"


def _target(mark: Marked) -> Target:
    found = mark.fields(
        "a target",
        needed=("x_m", "y_m"),
        allowed=("count", "spread_m", "yaw_deg", "spread_deg", "why"),
    )

    def number(name: str, usual: float, low: float, high: float) -> float:
        return found[name].number(name, low, high) if name in found else usual

    return Target(
        x_m=number("x_m", 0.0, -FAR_M, FAR_M),
        y_m=number("y_m", 0.0, -FAR_M, FAR_M),
        yaw_rad=math.radians(number("yaw_deg", 0.0, -360, 360)),
        spread_m=number("spread_m", 0.0, 0.0, 0.5),
        spread_rad=math.radians(number("spread_deg", 0.0 if "yaw_deg" in found else 180, 0, 180)),
        count=found["count"].whole("count", 1, MOST) if "count" in found else 1,
        why=found["why"].text("why") if "why" in found else "",
    )
