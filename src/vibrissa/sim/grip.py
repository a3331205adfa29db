"""How well an object is held: force on each pad, slip in the jaws, pads in contact.

A grip that a simulation forgives and a real arm does not shows here, not in the verdict: little
force, an object that wanders in the jaws, one pad that does the work of two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vibrissa.core.kinematics import matrix

PADS = ("static_pad", "moving_pad")


@dataclass(frozen=True)
class Slip:
    """How far an object went in the jaws: its centre in m, its attitude in rad."""

    distance_m: float
    angle_rad: float


class GripTrack:
    """Collects an episode's held ticks, hold by hold; `measures` are its numbers.

    A tick is held while the gripper, and nothing else, touches the object.
    """

    def __init__(self) -> None:
        self._holds: list[list[Mapping[str, Any]]] = []
        self._in_hold = False

    def add(self, truth: Mapping[str, Any]) -> None:
        """One tick. A truth that knows no forces, such as another simulator's, adds nothing."""
        carried = bool(truth.get("carried", False))
        if carried:
            if not self._in_hold:
                self._holds.append([])
            self._holds[-1].append(truth)
        self._in_hold = carried

    def measures(self) -> dict[str, float]:
        """Forces in N over all held ticks, slip added over the holds, the share on both pads.

        `held_ticks` is 0, and stands alone, where the object was never carried.
        """
        held = [truth for hold in self._holds for truth in hold]
        if not held:
            return {"held_ticks": 0.0}
        force_n = np.stack([truth["pad_force_n"] for truth in held])  # (T, 2)
        slips = [slip_of(hold) for hold in self._holds]
        numbers = {"held_ticks": float(len(held))}
        for name, one in zip(PADS, force_n.T, strict=True):
            numbers |= {f"{name}_mean_n": float(one.mean()), f"{name}_max_n": float(one.max())}
        return numbers | {
            "both_pads_share": float((force_n > 0).all(axis=1).mean()),
            "slip_m": sum(slip.distance_m for slip in slips),
            "slip_rad": sum(slip.angle_rad for slip in slips),
        }


def slip_of(hold: Sequence[Mapping[str, Any]]) -> Slip:
    """How far the object got in the gripper's frame from where this hold began, at the most.

    `hold`: the truth of its ticks. The farthest point, not the way there and back: what trembles
    in the jaws has not slipped.
    """
    world_from_tip, tip_m, object_m, quaternion = (
        np.stack([truth[name] for truth in hold])
        for name in ("tip_rotation", "tip_position", "object_position", "object_quaternion")
    )
    place_m = np.einsum("tji,tj->ti", world_from_tip, object_m - tip_m)  # (T, 3)
    turn = np.einsum("tji,tjk->tik", world_from_tip, matrix(quaternion))  # (T, 3, 3)
    away_m = np.linalg.norm(place_m - place_m[0], axis=1)
    traces = np.einsum("tij,ij->t", turn, turn[0])  # of turn[t] @ turn[0].T
    angle_rad = np.arccos(np.clip((traces - 1) / 2, -1.0, 1.0))
    return Slip(float(away_m.max()), float(angle_rad.max()))
