"""The contract: what the numbers of an arm, a dataset or a checkpoint mean.

Two things fit when their contracts say the same. Shapes are the least of it: a state that
holds the brick's pose instead of the joints has the right shape, and costs weeks.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ContractError
from vibrissa.core.robots import SO101, plain, robot_named
from vibrissa.core.units import JOINTS, Unit, unit_bounds

ActionMeaning = Literal["absolute target", "delta to target"]

DEPTH_MOST_M = 4.095  # what is farther away has no depth: 12 bits of whole millimetres


@dataclass(frozen=True)
class Channel:
    """One number of a vector: its name, its unit and the range it may take."""

    name: str
    unit: str
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class CameraSpec:
    """One camera: its whole name, its picture size in pixels, its vertical field of view.

    `fovy_deg` is None where nobody knows it (a webcam); two known fields of view must agree.
    `depth`: its pictures are (H, W) float32, the distance along the camera's axis in m, 0 where
    nothing was measured; all others are (H, W, 3) uint8 RGB. The name says nothing about it.
    """

    name: str
    width: int
    height: int
    fovy_deg: float | None = None
    depth: bool = False


def depth_name(camera: str) -> str:
    """What the depth pictures of `camera` are called, in our scenes and in LeRobot's robots."""
    return f"{camera}_depth"


@dataclass(frozen=True)
class Contract:
    """What an arm gives and takes, in which order, units and limits, and how often.

    `privileged` channels (the block's pose) exist in simulation only; a real arm refuses them.
    """

    robot: str
    state: tuple[Channel, ...]
    action: tuple[Channel, ...]
    rate_hz: float
    privileged: tuple[Channel, ...] = ()
    cameras: tuple[CameraSpec, ...] = ()
    action_meaning: ActionMeaning = "absolute target"
    calibration: str = ""
    instruction: str = ""
    unit: Unit | Literal["unknown"] = "rad"
    extra: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when the meaning of anything changes."""
        fields = {k: v for k, v in self.to_dict().items() if k != "extra"}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def camera_names(self) -> tuple[str, ...]:
        return tuple(camera.name for camera in self.cameras)

    def camera(self, name: str) -> CameraSpec:
        """The camera of exactly this name. Raises ContractError with the names that exist."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        have = ", ".join(self.camera_names) or "none"
        raise ContractError(f"no camera {name!r}. There is: {have}.")

    def check_action(self, action: NDArray[np.floating]) -> NDArray[np.float32]:
        """`action` as (A,) float32, or ContractError for a wrong shape, NaN or infinity."""
        action = np.asarray(action)
        if action.shape != (len(self.action),):
            raise ContractError(
                f"an action of shape {action.shape}; {self.robot} takes ({len(self.action)},): "
                f"{', '.join(c.name for c in self.action)}."
            )
        # One product tells most of them apart at a third of the time; it alone may overflow.
        if not math.isfinite(action.dot(action)) and not np.isfinite(action).all():
            bad = [c.name for c, x in zip(self.action, action, strict=True) if not np.isfinite(x)]
            raise ContractError(f"an action with NaN or infinity in {', '.join(bad)}.")
        return action.astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: infinite limits become None."""
        raw = asdict(self)
        for part in ("state", "action", "privileged"):
            for channel in raw[part]:
                for side in ("low", "high"):
                    channel[side] = None if np.isinf(channel[side]) else float(channel[side])
            raw[part] = list(raw[part])
        # Colour is told by saying nothing, as it was before there was depth.
        raw["cameras"] = [
            {key: value for key, value in camera.items() if (key, value) != ("depth", False)}
            for camera in raw["cameras"]
        ]
        return raw

    @staticmethod
    def from_dict(raw: dict[str, Any]) -> Contract:
        """The inverse of `to_dict`. Raises ContractError where something is missing."""
        try:
            parts = {
                part: tuple(_channel(c) for c in raw[part])
                for part in ("state", "action", "privileged")
            }
            cameras = tuple(CameraSpec(**c) for c in raw["cameras"])
            rest = {k: v for k, v in raw.items() if k not in (*parts, "cameras")}
            return Contract(**parts, cameras=cameras, **rest)
        except (KeyError, TypeError) as error:
            raise ContractError(f"a contract that cannot be read: {error}.") from error


def differences(wanted: Contract, given: Contract, *, needs: Sequence[str] = ()) -> list[str]:
    """What keeps `given` (an arm, a dataset) from serving what `wanted` (a checkpoint) asks for.

    One sentence each, empty when they fit. `given` may have more cameras and more privileged
    channels than are wanted; everything wanted must be there, by whole name. `needs` may add
    "instruction" and "calibration", which are compared only on request.
    """
    told: list[str] = []
    if wanted.robot != given.robot and _robot(wanted) != _robot(given):
        told.append(f"robot: wants {wanted.robot!r}, has {given.robot!r}")
    for name in ("rate_hz", "action_meaning", "unit", *needs):
        if getattr(wanted, name) != getattr(given, name):
            what = name.replace("_", " ")
            told.append(f"{what}: wants {getattr(wanted, name)!r}, has {getattr(given, name)!r}")
    told += _channel_differences("state", wanted.state, given.state, exact=True)
    told += _channel_differences("action", wanted.action, given.action, exact=True)
    told += _channel_differences("privileged", wanted.privileged, given.privileged, exact=False)
    told += _camera_differences(wanted, given)
    return told


def require_match(wanted: Contract, given: Contract, who: str, whom: str) -> None:
    """Raise ContractError with every difference when `given` cannot serve `wanted`."""
    told = differences(wanted, given)
    if told:
        raise ContractError(f"{who} does not fit {whom}: " + "; ".join(told) + ".")


def so101(
    *,
    rate_hz: float,
    unit: Unit = "rad",
    privileged: tuple[Channel, ...] = (),
    cameras: tuple[CameraSpec, ...] = (),
    calibration: str = "",
    instruction: str = "",
) -> Contract:
    """The contract of one SO-101 arm whose joints are in `unit`, absolute position targets."""
    low, high = unit_bounds(unit)
    joints = tuple(
        Channel(f"{name}.pos", joint_unit(name, unit), float(lo), float(hi))
        for name, lo, hi in zip(JOINTS, low, high, strict=True)
    )
    return Contract(
        robot=SO101,
        state=joints,
        action=joints,
        rate_hz=float(rate_hz),
        privileged=privileged,
        cameras=cameras,
        calibration=calibration,
        instruction=instruction,
        unit=unit,
    )


def in_unit(contract: Contract, unit: Unit) -> Contract:
    """The same SO-101 contract with its joints in another unit (see `units.from_rad`)."""
    low, high = unit_bounds(unit)

    def convert(channels: tuple[Channel, ...]) -> tuple[Channel, ...]:
        names = plain([c.name for c in channels])
        if names != JOINTS:
            raise ContractError(
                f"channels {', '.join(names)} are not the joints of one SO-101, which are "
                f"{', '.join(JOINTS)}."
            )
        return tuple(
            Channel(c.name, joint_unit(n, unit), float(lo), float(hi))
            for c, n, lo, hi in zip(channels, JOINTS, low, high, strict=True)
        )

    return replace(
        contract, state=convert(contract.state), action=convert(contract.action), unit=unit
    )


def joint_unit(joint: str, unit: Unit) -> str:
    """The unit of one joint's channel: the gripper is a percentage outside rad and ticks."""
    return "percent" if joint == "gripper" and unit in ("deg", "m100_100") else unit


def _robot(contract: Contract) -> str:
    """Which robot it is. Older checkpoints hold the text that a dataset happened to say."""
    vectors = (contract.state, contract.action)
    return robot_named(contract.robot, *([c.name for c in channels] for channels in vectors))


def _channel(raw: dict[str, Any]) -> Channel:
    low = -np.inf if raw.get("low") is None else raw["low"]
    high = np.inf if raw.get("high") is None else raw["high"]
    return Channel(raw["name"], raw["unit"], low, high)


def _channel_differences(
    what: str, wanted: tuple[Channel, ...], given: tuple[Channel, ...], *, exact: bool
) -> list[str]:
    want, have = [c.name for c in wanted], [c.name for c in given]
    if exact and plain(want) != plain(have):
        verb = "order" if sorted(want) == sorted(have) else "names"
        return [f"{what} {verb}: wants [{', '.join(want)}], has [{', '.join(have)}]"]
    missing = [name for name in want if not exact and name not in have]
    if missing:
        return [f"{what}: wants {', '.join(missing)}, has {', '.join(have) or 'none'}"]
    by_name = {c.name: c for c in given}
    others = given if exact else [by_name[name] for name in want]
    told = []
    for channel, other in zip(wanted, others, strict=True):
        if channel.unit != other.unit:
            told.append(f"{what} {channel.name}: wants {channel.unit}, has {other.unit}")
        elif not np.allclose([channel.low, channel.high], [other.low, other.high], atol=1e-3):
            told.append(
                f"{what} {channel.name} limits: wants [{channel.low:g}, {channel.high:g}], "
                f"has [{other.low:g}, {other.high:g}]"
            )
    return told


def _camera_differences(wanted: Contract, given: Contract) -> list[str]:
    told = []
    have = ", ".join(given.camera_names) or "none"
    for camera in wanted.cameras:
        if camera.name not in given.camera_names:
            told.append(f"camera {camera.name!r}: wanted, but there is: {have}")
            continue
        other = given.camera(camera.name)
        if (camera.width, camera.height) != (other.width, other.height):
            told.append(
                f"camera {camera.name!r} size: wants {camera.width} × {camera.height}, "
                f"has {other.width} × {other.height}"
            )
        if camera.depth != other.depth:
            kinds = ("colour", "depth in m")
            told.append(
                f"camera {camera.name!r}: wants {kinds[camera.depth]}, has {kinds[other.depth]}"
            )
        known = camera.fovy_deg is not None and other.fovy_deg is not None
        if known and abs(camera.fovy_deg - other.fovy_deg) > 0.1:  # type: ignore[operator]
            told.append(
                f"camera {camera.name!r} field of view: wants {camera.fovy_deg:g}°, "
                f"has {other.fovy_deg:g}°"
            )
    return told
