"""The privileged channels of a scene: what the simulator knows by name, and no real arm has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import Channel
from vibrissa.sim.scene import SceneCfg


def channels(cfg: SceneCfg) -> tuple[Channel, ...]:
    """The object's pose, and that of the base it is to be put on.

    A position, and the yaw up to its symmetry: none for a thing whose yaw does not show.
    """
    named = _named(cfg.object.name, cfg.object.symmetry)
    return named + (_named(cfg.base.name, cfg.base.symmetry) if cfg.base else ())


def values(cfg: SceneCfg, truth: Mapping[str, Any]) -> NDArray[np.float32]:
    """What `channels` are at one tick: (P,)."""
    told = _pose(truth["object_position"], truth["object_yaw"], cfg.object.symmetry)
    if cfg.base is not None:
        told += _pose(truth["base_position"], truth["base_yaw"], cfg.base.symmetry)
    return np.array(told, np.float32)


def _named(name: str, times: int) -> tuple[Channel, ...]:
    place = tuple(Channel(f"{name}.{axis}", "m") for axis in "xyz")
    turn = tuple(
        Channel(f"{name}.{function}{times}yaw", "1", -1.0, 1.0) for function in ("sin", "cos")
    )
    return place + (turn if times else ())


def _pose(position: NDArray[np.float64], yaw: float, times: int) -> list[float]:
    place = position.tolist()
    return [*place, math.sin(times * yaw), math.cos(times * yaw)] if times else place
