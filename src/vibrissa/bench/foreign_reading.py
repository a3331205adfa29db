"""From clues to a contract, line by line: what it says, from what that follows, how sure it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vibrissa.bench.foreign_clues import CAMERA, Clues, Said, Sure, ranges, strangeness
from vibrissa.core.contract import ActionMeaning, CameraSpec, Channel, Contract, so101
from vibrissa.core.errors import CheckpointError, DatasetError, UsageError
from vibrissa.core.robots import SO101, is_so101
from vibrissa.core.units import JOINTS, UNITS, Unit
from vibrissa.data.features import (
    ACTION,
    IMAGES,
    PRIVILEGED,
    STATE,
    camera_specs,
    channel_names,
    privileged_channel,
)
from vibrissa.data.joint_units import Units, arms_of, units_of
from vibrissa.learn.views import VIEWS

USUAL_HZ = 30.0  # LeRobot's own default for recording
NEAR = 1.0  # standard deviations: state and action of a joint that goes where it is told
SMALL = 0.5  # of the state's scatter: what steps from tick to tick stay below


def read_clues(clues: Clues) -> tuple[Contract, tuple[Said, ...]]:
    """The contract and its lines. Raises CheckpointError for what no SO-101 can serve."""
    told = [Said("policy", "act", "config.json", "told"), *_dataset(clues), _robot(clues)]
    told += [_joints(clues, key) for key in (STATE, ACTION)]
    meaning, parity = _meaning(clues)
    unit, why = _unit(clues)
    rate_hz, rate = _rate(clues)
    cameras, seen = _cameras(clues)
    cameras, views = _renamed(clues, cameras)
    privileged, truth = _privileged(clues)
    one = clues.tasks[0] if len(clues.tasks) == 1 else ""
    instruction = clues.given.get("instruction", one)
    contract = so101(
        rate_hz=rate_hz,
        unit=unit,
        privileged=privileged,
        cameras=cameras,
        instruction=instruction,
    )
    told += [*parity, why, rate, *seen, *truth, *_unknown(clues, instruction)]
    extra = {"inferred": True, **({VIEWS: views} if views else {})}
    return replace(contract, action_meaning=meaning, extra=extra), tuple(told)


def _dataset(clues: Clues) -> list[Said]:
    if clues.dataset is None:
        named = f"; it was trained on {clues.name}" if clues.name else ""
        return [Said("dataset", "none at hand", f"no --dataset{named}", "told")]
    off = strangeness(clues)
    if off is not None and off.far:
        raise CheckpointError(
            f"{clues.pretrained} was not trained on {clues.dataset}: {off.told}. Name the dataset "
            "that it was trained on: --dataset PATH."
        )
    if off is None:
        source, sure = "there are no statistics to tell it by", "a guess"
    elif off.same:
        source, sure = "its statistics are the checkpoint's", "told"
    else:
        source, sure = f"{off.told}: edited since, or another one", "a guess"
    return [Said("dataset", str(clues.dataset), source, sure)]  # type: ignore[arg-type]


def _robot(clues: Clues) -> Said:
    named = clues.info.get("robot_type") or ""
    features = clues.info.get("features") or {}
    vectors = [channel_names(features.get(key) or {}) for key in (STATE, ACTION)]
    said = f"info.json says {named!r}" if named else "nothing names it"
    if is_so101(named, *vectors):
        return Said("robot", SO101, f"the joint names of an SO-101; {said}", "told")
    return Said("robot", SO101, f"six joints, as an SO-101 has them; {said}", "a guess")


def _joints(clues: Clues, key: str) -> Said:
    """That the vector `key` is the six joints in order; raises CheckpointError where it is not."""
    if key not in clues.sizes:
        raise CheckpointError(f"the network of {clues.pretrained} has no {key}.")
    size, feature = clues.sizes[key], (clues.info.get("features") or {}).get(key)
    names: tuple[str, ...] = channel_names(feature) if feature else ()
    if feature and len(names) != size:
        raise CheckpointError(
            f"the network's {key} has {size} numbers, the dataset's {len(names)}: this is not the "
            "dataset it was trained on."
        )
    nameless = all(re.fullmatch(r"(motor_?)?\d+", name) for name in names)
    if size != len(JOINTS) and nameless:
        raise CheckpointError(
            f"the network's {key} has {size} numbers, and one SO-101 has {len(JOINTS)} joints; "
            "nothing says what the numbers are."
        )
    if nameless:
        return Said(key, "the six joints in order", "six numbers without names", "a guess")
    _require_joints(key, names)
    return Said(
        key,
        "the six joints in order",
        f"{' … '.join((*names[:1], *names[-1:]))} in info.json",
        "told",
    )


def _require_joints(key: str, names: Sequence[str]) -> None:
    arms = arms_of(names)
    listed = ", ".join(names)
    if len(arms) > 1:
        raise CheckpointError(f"{key} is that of {len(arms)} arms ({listed}); known is one SO-101.")
    if len(arms) == 1 and arms[0].columns != tuple(range(len(JOINTS))):
        raise CheckpointError(
            f"{key} has the joints in another order ({listed}) than an SO-101's, which is "
            f"{', '.join(JOINTS)}."
        )
    if len(arms) == 1:
        return
    other = [name for name in names if not any(joint in name for joint in JOINTS)]
    if key == ACTION:
        raise CheckpointError(
            f"an action is not six joint targets: it holds {', '.join(other) or listed}. What acts "
            "in the space of the gripper's tip needs an inverse kinematics on the way to the arm."
        )
    raise CheckpointError(
        f"{key} is not the six joints alone: it holds {', '.join(other) or listed}. A pose of the "
        "block in the state is what no real arm can give, and it makes a policy look good in "
        "simulation; train it on joints, or on observation.environment_state openly."
    )


def _meaning(clues: Clues) -> tuple[ActionMeaning, list[Said]]:
    """What an action means, and whether the state is joints: their statistics must agree.

    A joint that is told where to go is there soon after, so the means of both lie close beside
    each other. A pose of the block under the joints' names would not.
    """
    stats = clues.statistics if _moments(clues.statistics) else clues.recorded
    found = _moments(stats)
    if found is None:
        both = "LeRobot's way; no statistics say otherwise"
        return "absolute target", [Said("an action is", "absolute target", both, "a guess")]
    (state, state_std), (action, action_std) = found
    scale = np.maximum(np.maximum(state_std, action_std), 0.05 * max(state_std.max(), 1e-9))
    off = float((np.abs(state - action) / scale).max())
    if off < NEAR:
        seen = f"means of state and action at most {off:.2f} standard deviations apart"
        return "absolute target", [
            Said("the state is", "where the joints are", seen, "likely"),
            Said("an action is", "absolute target", seen, "likely"),
        ]
    if (np.abs(action) < SMALL * state_std + 1e-9).all() and (
        np.median(action_std / np.maximum(state_std, 1e-9)) < SMALL
    ):
        seen = "actions are small and scatter round 0"
        return "delta to target", [Said("an action is", "delta to target", seen, "likely")]
    i = int((np.abs(state - action) / scale).argmax())
    raise CheckpointError(
        f"the state of {clues.pretrained} is not where its actions send the joints: {JOINTS[i]} is "
        f"at {state[i]:.3g} ± {state_std[i]:.2g} on average and sent to {action[i]:.3g} ± "
        f"{action_std[i]:.2g}. Does its state hold something else, such as the block's pose?"
    )


def _moments(stats) -> tuple[tuple[NDArray, NDArray], tuple[NDArray, NDArray]] | None:
    """(mean, std) of state and of action, (A,) each."""
    both = [stats.get(key, {}) for key in (STATE, ACTION)]
    if any("mean" not in one or "std" not in one for one in both):
        return None
    (a, b), (c, d) = ((one["mean"], one["std"]) for one in both)
    return ((a, b), (c, d)) if len(a) == len(c) else None


def _unit(clues: Clues) -> tuple[Unit, Said]:
    """From recorded values where there are any, else from their range."""
    if "unit" in clues.given:
        unit: Unit = next(known for known in UNITS if known == clues.given["unit"])
        return unit, Said("unit of joints", unit, "--given", "told")
    values, source = _recorded(clues)
    if values is None:
        found = ranges(clues, STATE)
        if found is None:
            raise CheckpointError(
                f"nothing tells the unit of the joints of {clues.pretrained}: it has no statistics "
                "of its state. Name the dataset that it was trained on: --dataset PATH."
                + _trained_on(clues)
            )
        low, high, source = found
        values = np.stack([low, high])
    told = _by_age(clues, units_of(values))
    if told.unit == "unknown":
        raise CheckpointError(f"the unit of the joints of {clues.pretrained}: {told.why}.")
    sure: Sure = "told" if told.confidence == "certain" else "likely"
    if told.confidence == "a guess" or source.startswith("means"):
        sure = "a guess"
    return told.unit, Said("unit of joints", told.unit, f"{source}: {told.why}", sure)


def _by_age(clues: Clues, told: Units) -> Units:
    """Where values fit degrees and -100..100 alike, the usual unit of the time it was recorded.

    LeRobot's drivers of `so100_follower` and `so101_follower` came in June 2025 with -100..100 by
    default (its issue 1259), and have degrees by default since 0.4.4 (its issue 3176). Format
    v2.1 ended in between.
    """
    if (told.unit, told.confidence) != ("deg", "a guess"):
        return told
    old = str(clues.info.get("codebase_version")) in ("v2.0", "v2.1")
    if old and str(clues.info.get("robot_type")).endswith("_follower"):
        why = "within ±100, from a LeRobot whose default was -100..100 (before format v3.0)"
        return Units("m100_100", why, "a guess")
    why = told.why.replace("degrees", "degrees; before 0.4.4 that was -100..100")
    return Units(told.unit, why, told.confidence)


def _recorded(clues: Clues) -> tuple[NDArray | None, str]:
    """The recorded joints (N, 6) of a dataset that is more than its meta folder."""
    from vibrissa.data.dataset import open_dataset

    if clues.dataset is None or not (clues.dataset / "data").is_dir():
        return None, ""
    try:
        return open_dataset(clues.dataset, strict=False).column(STATE), "recorded values"
    except DatasetError:
        return None, ""


def _rate(clues: Clues) -> tuple[float, Said]:
    if "rate" in clues.given:
        rate_hz = float(clues.given["rate"])
        return rate_hz, Said("rate", f"{rate_hz:g} Hz", "--given", "told")
    fps = float(clues.info.get("fps") or 0.0)
    if fps:
        return fps, Said("rate", f"{fps:g} Hz", "fps in info.json", "told")
    usual = Said("rate", f"{USUAL_HZ:g} Hz", "nothing says it; LeRobot's usual one", "a guess")
    return USUAL_HZ, usual


def _cameras(clues: Clues) -> tuple[tuple[CameraSpec, ...], list[Said]]:
    features = clues.info.get("features") or {}
    specs, told = [], []
    for key, (height, width) in clues.pictures.items():
        name = key.removeprefix(IMAGES).removeprefix("observation.")
        if not clues.info:
            sure: Sure = "a guess" if clues.resized else "told"
            spec, source = CameraSpec(name, width, height), "the network's own size"
        elif key in features:
            (spec,), source, sure = camera_specs({key: features[key]}), "info.json", "told"
        else:
            have = ", ".join(c.name for c in camera_specs(features)) or "none"
            raise CheckpointError(
                f"the network looks through camera {name!r}, which {clues.dataset} does not have. "
                f"There is: {have}."
            )
        if (spec.height, spec.width) != (height, width) and not clues.resized:
            raise CheckpointError(
                f"camera {name!r} is {width} × {height} in the network, {spec.width} × "
                f"{spec.height} in {clues.dataset}, and no step of its preprocessor resizes it."
            )
        specs.append(spec)
        size = f"{spec.width} × {spec.height}{', depth' * spec.depth}"
        source += "; field of view unknown"
        if CAMERA + name in clues.given:
            size, source = f"{size}, {clues.given[CAMERA + name]}", f"{source}; name by --given"
        told.append(Said(f"camera {name}", size, source, sure))
    return tuple(specs), told


def _renamed(
    clues: Clues, cameras: tuple[CameraSpec, ...]
) -> tuple[tuple[CameraSpec, ...], dict[str, str]]:
    """The cameras by the arm's names, where those were given, and which feature is whose picture.

    Raises UsageError for a camera that the network does not have, and for two of one name.
    """
    told = {k.removeprefix(CAMERA): v for k, v in clues.given.items() if k.startswith(CAMERA)}
    have = [camera.name for camera in cameras]
    unknown = [name for name in told if name not in have]
    if unknown:
        raise UsageError(
            f"--given {CAMERA}{unknown[0]}: the network looks through: {', '.join(have) or 'none'}."
        )
    renamed = tuple(replace(camera, name=told.get(camera.name, camera.name)) for camera in cameras)
    names = [camera.name for camera in renamed]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"--given {CAMERA}…: two of the network's cameras would be {twice[0]!r}.")
    views = {k: c.name for k, c in zip(clues.pictures, renamed, strict=True)} if told else {}
    return renamed, views


def _privileged(clues: Clues) -> tuple[tuple[Channel, ...], list[Said]]:
    """What a simulator alone can tell; or the joints once more, as a lonely ACT is fed."""
    size = clues.sizes.get(PRIVILEGED)
    if size is None:
        return (), []
    feature = (clues.info.get("features") or {}).get(PRIVILEGED)
    if feature is None and size == len(JOINTS):
        lacks = "the dataset has no such feature" if clues.info else "no dataset says what they are"
        why = f"six numbers, and {lacks}"
        return (), [Said("environment", "the joints again", why, "a guess")]
    names = channel_names(feature) if feature else ()
    if len(names) != size:
        raise CheckpointError(
            f"the network is fed {size} numbers of {PRIVILEGED}, and nothing says what they are. "
            f"Name the dataset that it was trained on: --dataset PATH.{_trained_on(clues)}"
        )
    why = "names in info.json, units by their endings"
    channels = tuple(map(privileged_channel, names))
    return channels, [Said("privileged", ", ".join(names), why, "likely")]


def _trained_on(clues: Clues) -> str:
    """What its train_config.json says, as a sentence."""
    return f" It names {clues.name}." if clues.name and clues.dataset is None else ""


def _unknown(clues: Clues, instruction: str) -> list[Said]:
    known = "--given" if "instruction" in clues.given else "the dataset's task"
    task = f"{len(clues.tasks)} tasks in the dataset" if clues.tasks else "nothing says it"
    sure: Sure = "told" if instruction else "a guess"
    return [
        Said("instruction", repr(instruction), known if instruction else task, sure),
        Said(
            "calibration", "unknown", "the same number may be another pose of your arm", "a guess"
        ),
    ]
