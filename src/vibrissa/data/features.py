"""What our contract is called in a LeRobot dataset, and back.

Stored joints follow LeRobot's own SO-101 default: `shoulder_pan.pos` …, degrees, gripper 0
(closed) to 100 (open). In the loop they are radians. This file knows both; `core.units` holds
the arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import CameraSpec, Channel, Contract, in_unit, joint_unit
from vibrissa.core.episode import HEALTHS, SOURCES, STATE_HEALTHS
from vibrissa.core.errors import ContractError
from vibrissa.core.robots import plain, robot_named
from vibrissa.core.units import JOINTS, Unit, from_rad, to_rad, unit_bounds
from vibrissa.data import depth

STATE, ACTION = "observation.state", "action"
PRIVILEGED = "observation.environment_state"
IMAGES = "observation.images."
# Extra columns. LeRobot takes every key that begins with "action" or "observation" for an input
# of the policy, so these begin with neither.
ASKED, SOURCE, WALL_TIME = "asked", "source", "wall_time_s"
TIME = "time_s"  # when it really was, by the arm's clock; LeRobot's timestamp is index / rate
SIM_STATE = "sim_state"  # where everything was, for pictures that are made later
STATE_HEALTH = "state_health"  # whether the joints of the row are to be believed, see STATE_HEALTHS
EXTRA_COLUMNS = (ASKED, SOURCE, WALL_TIME, TIME, STATE_HEALTH)
# Of each camera: when its picture was taken, which of its frames it is, what is wrong with it.
CAMERA_COLUMNS = {"captured_s": "float64", "sequence": "int64", "health": "int64"}
BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")

OURS = Path("meta") / "vibrissa"  # our own files, where LeRobot does not look
CONTRACT_FILE, SCENE_FILE, EPISODES_FILE = "contract.json", "scene.json", "episodes.jsonl"
LINEAGE_FILE = "lineage.json"  # of a dataset made from another one
RECORDING_FILE = "recording.json"  # its sessions: when, by whom, in what light, which calibration

STORED_UNIT: Unit = "deg"
CODES = {
    "sources": list(SOURCES),
    "healths": list(HEALTHS),
    "state_healths": list(STATE_HEALTHS),
}


def stored_contract(contract: Contract) -> Contract:
    """`contract` as its numbers are stored: the joints of an SO-101 in degrees.

    Other arms (one joint in a test) are stored in the units they have. The order of the codes of
    source, health and state health travels along in `extra`.
    """
    stored = in_unit(contract, STORED_UNIT) if _is_so101(contract) else contract
    return replace(stored, extra={**contract.extra, **CODES})


def loop_contract(contract: Contract) -> Contract:
    """The inverse: a stored contract as the loop wants it, the joints of an SO-101 in rad.

    Raises ContractError where the stored unit is not known.
    """
    if contract.unit == "rad" or not _is_so101(contract):
        return contract
    if contract.unit == "unknown":
        raise ContractError("the unit of the stored joints is not known, so they are not for use.")
    return in_unit(contract, "rad")


def to_stored(contract: Contract, values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Joint values (…, A) in `contract`'s unit as they are stored."""
    if not _is_so101(contract):
        return np.asarray(values, np.float32)
    return from_rad(_in_rad(contract, values), STORED_UNIT)


def from_stored(stored: Contract, values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Stored joint values (…, A) as the loop wants them (rad for an SO-101)."""
    if not _is_so101(stored):
        return np.asarray(values, np.float32)
    return _in_rad(stored, values)


def features_of(contract: Contract, sim_state: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """The LeRobot feature dict of a recording made under `contract` (without bookkeeping).

    `sim_state` names the numbers of a simulated arm's state, float64 so that what is drawn from
    it later is the same picture. Only an arm without one can misread its joints, and has a column
    that says so.
    """
    features: dict[str, dict[str, Any]] = {
        STATE: _vector(contract.state),
        ACTION: _vector(contract.action),
    }
    if contract.privileged:
        features[PRIVILEGED] = _vector(contract.privileged)
    for camera in contract.cameras:
        features[IMAGES + camera.name] = _pictures(camera)
    features[ASKED] = _vector(contract.action)
    features[SOURCE] = {"dtype": "int64", "shape": (1,), "names": None}
    features[WALL_TIME] = {"dtype": "float64", "shape": (1,), "names": None}
    features[TIME] = {"dtype": "float64", "shape": (1,), "names": None}
    for camera in contract.cameras:
        for what, kind in CAMERA_COLUMNS.items():
            features[camera_column(camera.name, what)] = {
                "dtype": kind,
                "shape": (1,),
                "names": None,
            }
    if not sim_state:
        features[STATE_HEALTH] = {"dtype": "int64", "shape": (1,), "names": None}
    else:
        names = list(sim_state)
        features[SIM_STATE] = {"dtype": "float64", "shape": (len(names),), "names": names}
    return features


def camera_column(camera: str, what: str) -> str:
    """The column of `CAMERA_COLUMNS` that belongs to `camera`."""
    return f"camera.{camera}.{what}"


def inferred_contract(info: Mapping[str, Any], unit: Unit | None = None) -> Contract:
    """The contract of a dataset that carries none, from its info.json's names and shapes.

    `unit` is that of the joints where it is known (`joint_units.units_of` works it out).
    """
    features = info.get("features") or {}
    state, action = (_channels(features.get(key, {}), unit) for key in (STATE, ACTION))
    vectors = ([channel.name for channel in channels] for channels in (state, action))
    return Contract(
        robot=robot_named(info.get("robot_type"), *vectors),
        state=state,
        action=action,
        rate_hz=float(info.get("fps") or 0),
        privileged=tuple(map(privileged_channel, channel_names(features.get(PRIVILEGED, {})))),
        cameras=camera_specs(features),
        unit=unit or "unknown",
    )


def privileged_channel(name: str) -> Channel:
    """A privileged channel by its name, as the simulator names and measures them."""
    if name.endswith((".x", ".y", ".z")):
        return Channel(name, "m")
    if re.search(r"\.(sin|cos)\d*yaw$", name):
        return Channel(name, "1", -1.0, 1.0)
    return Channel(name, "unknown")


def channel_names(feature: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a vector feature: in a list, in lists by group, by place, or not at all."""
    names = _flat_names(feature.get("names"))
    size = int(np.prod(feature.get("shape") or (0,)))
    return names if len(names) == size else tuple(f"{i}" for i in range(size))


def _flat_names(names: Any) -> tuple[str, ...]:
    """The names in the order of their channels; none where they are something else than names."""
    if isinstance(names, Mapping) and all(isinstance(at, int) for at in names.values()):
        return tuple(sorted(names, key=names.__getitem__))
    if isinstance(names, Mapping):
        names = [name for group in names.values() if isinstance(group, list) for name in group]
    named = isinstance(names, list | tuple) and all(isinstance(name, str | int) for name in names)
    return tuple(str(name) for name in names) if named else ()


def camera_specs(features: Mapping[str, Mapping[str, Any]]) -> tuple[CameraSpec, ...]:
    """Every picture feature as a camera, by its whole name."""
    return tuple(
        CameraSpec(_camera_name(key), *_width_height(feature), depth=depth.is_depth(feature))
        for key, feature in features.items()
        if feature.get("dtype") in ("video", "image")
    )


def _is_so101(contract: Contract) -> bool:
    return _joints(contract.state) == JOINTS and _joints(contract.action) == JOINTS


def _joints(channels: tuple[Channel, ...]) -> tuple[str, ...]:
    return plain([channel.name for channel in channels])


def _in_rad(contract: Contract, values: NDArray[np.floating]) -> NDArray[np.float32]:
    if contract.unit == "unknown":
        raise ContractError("the unit of these joints is not known, so they cannot be converted.")
    return to_rad(np.asarray(values), contract.unit)


def _vector(channels: tuple[Channel, ...]) -> dict[str, Any]:
    names = [channel.name for channel in channels]
    return {"dtype": "float32", "shape": (len(names),), "names": names}


def _pictures(camera: CameraSpec) -> dict[str, Any]:
    """A camera's feature; depth is told by LeRobot's own mark."""
    feature = {
        "dtype": "video",
        "shape": (camera.height, camera.width, 1 if camera.depth else 3),
        "names": ["height", "width", "channels"],
    }
    if camera.depth:
        feature["info"] = {"is_depth_map": True, "depth_unit": depth.UNIT}
    return feature


def _channels(feature: Mapping[str, Any], unit: Unit | None) -> tuple[Channel, ...]:
    names = channel_names(feature)
    if unit is None or plain(names) != JOINTS:
        return tuple(Channel(name, unit or "unknown") for name in names)
    low, high = unit_bounds(unit)
    return tuple(
        Channel(name, joint_unit(joint, unit), float(lo), float(hi))
        for name, joint, lo, hi in zip(names, JOINTS, low, high, strict=True)
    )


def _camera_name(key: str) -> str:
    return key.removeprefix(IMAGES).removeprefix("observation.")


def _width_height(feature: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of a picture feature, whichever way round its shape is named."""
    shape = list(feature.get("shape") or ())
    names = _flat_names(feature.get("names"))
    if "height" in names and "width" in names and len(names) == len(shape):
        return int(shape[names.index("width")]), int(shape[names.index("height")])
    if len(shape) == 3 and shape[0] in (1, 3):
        return int(shape[2]), int(shape[1])
    return (int(shape[1]), int(shape[0])) if len(shape) >= 2 else (0, 0)
