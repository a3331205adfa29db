"""What a policy would do, told before anything moves: how fast it answers, how far it would go."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import Channel, Contract, differences, in_unit
from vibrissa.core.episode import Observation
from vibrissa.core.errors import ContractError, PolicyFault, VibrissaError
from vibrissa.core.protocols import Policy
from vibrissa.core.units import JOINTS, from_rad

if TYPE_CHECKING:  # torch is loaded only where there is a policy
    from vibrissa.bench.evaluate import Setup
    from vibrissa.learn.policy import CheckpointPolicy

LOOKED_AT = 4  # first observations
TIMED, PATIENCE_S = 5, 10.0  # inferences, after one that warms up
SLACK = 1.5
BEYOND = 0.1  # of a joint's range: what demonstrations overshoot, and no wrong unit stays within


@dataclass(frozen=True)
class FirstLook:
    """Inferences on one observation. channels, state (A,), chunk (K, A): in LeRobot's degrees.

    Arms other than an SO-101 keep their own unit. latency_s: median; slowest_s: of all but the
    first inference, which warms up.
    """

    channels: tuple[Channel, ...]
    state: NDArray[np.float32]
    chunk: NDArray[np.float32]
    latency_s: float
    slowest_s: float

    def lines(self) -> list[str]:
        """For a reader: the speed, and each joint's range."""
        told = [
            f"speed   {1 / self.latency_s:.0f} inferences/s ({self.latency_s * 1e3:.1f} ms, "
            f"slowest {self.slowest_s * 1e3:.1f} ms)",
            f"actions of a first observation, {len(self.chunk)} a chunk:",
        ]
        width = max(len(channel.name) for channel in self.channels)
        for i, channel in enumerate(self.channels):
            column = self.chunk[:, i]
            told.append(
                f"        {channel.name:<{width}} {column.min():8.1f} … {column.max():6.1f}   now "
                f"{self.state[i]:7.1f}, first {column[0]:7.1f}, limits {channel.low:.1f} … "
                f"{channel.high:.1f} {channel.unit}"
            )
        return told

    def to_dict(self) -> dict[str, object]:
        return {
            "inferences_hz": round(1 / self.latency_s, 2),
            "latency_ms": round(self.latency_s * 1e3, 3),
            "slowest_ms": round(self.slowest_s * 1e3, 3),
            "chunk": len(self.chunk),
            "actions": {
                c.name: {"low": float(v.min()), "high": float(v.max()), "unit": c.unit}
                for c, v in zip(self.channels, self.chunk.T, strict=True)
            },
        }


def require_fit(wanted: Contract, arm: Contract, *, accept: Sequence[str] = ()) -> None:
    """Raise ContractError with all that keeps `arm` from serving a checkpoint of `wanted`.

    The calibration is compared where the checkpoint knows one: the same number is another pose
    of an arm that was calibrated otherwise. "calibration" in `accept` takes it on purpose.
    """
    joints = arm.unit == "rad" and _names(arm.action) == JOINTS
    given = in_unit(arm, wanted.unit) if joints and wanted.unit != "unknown" else arm
    needs = ("calibration",) if wanted.calibration and "calibration" not in accept else ()
    told = differences(wanted, given, needs=needs)
    if told:
        hint = " To take another calibration on purpose: --accept calibration."
        calibrated = any(line.startswith("calibration") for line in told)
        raise ContractError(
            f"the checkpoint does not fit this arm, and nothing was moved: {'; '.join(told)}."
            + hint * calibrated
        )


def require_sight(wanted: Contract, observation: Observation) -> None:
    """Raise ContractError where a camera that the policy wants shows nothing of use."""
    ill = [
        f"camera {name!r} is {observation.health[name]}"
        for name in wanted.camera_names
        if observation.health.get(name, "ok") != "ok"
    ]
    if ill:
        raise ContractError(
            f"{'; '.join(ill)}, and the policy looks through it; nothing was moved. Check lens, "
            "cable and light. To go on all the same: --accept sight."
        )


def look_first(
    policy: Policy,
    arm: Contract,
    observation: Observation,
    *,
    now: Callable[[], float] = time.perf_counter,
) -> FirstLook:
    """Have `policy` answer `observation` a few times. Raises PolicyFault for NaN and infinity."""
    asked = replace(observation, history=(observation,) * policy.history)
    policy.reset([0])
    chunk, times_s, began_s = policy.act([asked])[0], [], now()
    while len(times_s) < TIMED and (not times_s or now() - began_s < PATIENCE_S):
        start_s = now()
        chunk = policy.act([asked])[0]
        times_s.append(now() - start_s)
    policy.reset([0])
    bad = [c.name for c, v in zip(arm.action, chunk.T, strict=True) if not np.isfinite(v).all()]
    if bad:
        raise PolicyFault(
            f"on its first observation the policy gives NaN or infinity for {', '.join(bad)}; "
            "nothing was moved. Is a camera black, or a checkpoint broken?"
        )
    channels, state, chunk = _in_degrees(arm, observation.state, chunk)
    latency_s = max(float(np.median(times_s)), 1e-6)
    return FirstLook(channels, state, chunk, latency_s, max(times_s))


def require_within(look: FirstLook) -> None:
    """Raise ContractError for a policy whose first chunk leaves the joints' ranges by far.

    An action turned into an arm's unit twice, or by another dataset's statistics, is thousands
    of degrees; the arm's own limits would make a movement of it all the same.
    """
    for i, channel in enumerate(look.channels):
        low, high = float(look.chunk[:, i].min()), float(look.chunk[:, i].max())
        beyond = BEYOND * (channel.high - channel.low)
        if math.isfinite(beyond) and (low < channel.low - beyond or high > channel.high + beyond):
            raise ContractError(
                f"the first chunk wants {channel.name} from {low:.1f} to {high:.1f}, and this arm "
                f"goes from {channel.low:.1f} to {channel.high:.1f} {channel.unit}; nothing was "
                "moved. Was the policy trained on other units or statistics? If it is meant to: "
                "--accept limits."
            )


def take_look(
    policy: CheckpointPolicy,
    arm: Contract,
    observation: Observation,
    *,
    accept: Sequence[str],
    say: Callable[[str], None],
) -> FirstLook:
    """The checks of a policy that is about to move an arm: what it sees, says and would do.

    Raises ContractError for a blind camera and an action out of range, unless "sight" or "limits"
    is in `accept`; PolicyFault as `look_first` does. `require_fit` comes before.
    """
    if "sight" not in accept:
        require_sight(policy.contract, observation)
    look = look_first(policy, arm, observation)
    for line in look.lines():
        say(line)
    if "limits" not in accept:
        require_within(look)
    return look


def timely(look: FirstLook, policy: CheckpointPolicy, horizon: int) -> tuple[int, int]:
    """How many ticks ahead the policy is asked, and how many actions of a chunk are kept.

    By the time that it took in `look`. Raises PolicyFault where that is more than a chunk lasts.
    """
    rate_hz = policy.contract.rate_hz
    lead = lead_ticks(look.slowest_s, rate_hz)
    return lead, executed(horizon, policy.chunk, lead, rate_hz)


def odd_at_first(policy: CheckpointPolicy, observations: Sequence[Observation]) -> list[str]:
    """What in the first observations lies beyond what `policy` was trained on, a sentence each.

    A batch has as many rows as the policy has slots: the last observation fills it. A policy
    that cannot be fed at all is told so by its first rollout, and not here.
    """
    from vibrissa.learn.first_inputs import odd_inputs

    seen = [replace(o, images={name: o.images[name] for name in o.images}) for o in observations]
    seen = seen[: policy.slots]
    try:
        return odd_inputs(policy, [*seen, *seen[-1:] * (policy.slots - len(seen))])
    except PolicyFault:
        return []


def odd_from(setup: Setup, seeds: Sequence[int]) -> list[str]:
    """The same of the first observations of `seeds`, on an arm of the setup's own.

    An arm that cannot be reset is told of by its episode.
    """
    policy = setup.policy
    if policy is None:
        return []
    from vibrissa.learn.policy import CheckpointPolicy

    if not isinstance(policy, CheckpointPolicy):
        return []
    arm, seen = setup.make_arm(), []
    try:
        for seed in seeds[:LOOKED_AT]:
            arm.reset(seed)
            o = arm.observe()
            pictures = {name: o.images[name] for name in policy.contract.camera_names}
            seen.append(replace(o, images=pictures))
    except VibrissaError:
        return []
    finally:
        arm.close()
    return odd_at_first(policy, seen)


def lead_ticks(slowest_s: float, rate_hz: float) -> int:
    """How many ticks ahead of need a policy must be asked that answers within `slowest_s`.

    With half as much again: beside the running loop it has the computer less to itself.
    """
    return math.ceil(SLACK * slowest_s * rate_hz) + 1


def executed(horizon: int, chunk: int, lead: int, rate_hz: float) -> int:
    """How many actions of a chunk are kept to be played, so that a new question comes every
    `horizon` ticks and the last chunk's tail bridges the `lead` until its answer.

    Raises PolicyFault where the inference is slower than what a whole chunk lasts.
    """
    kept = min(chunk, horizon + lead)
    if lead >= kept:
        raise PolicyFault(
            f"an answer must be asked for {lead / rate_hz:.2f} s ahead, and a whole chunk lasts "
            f"{chunk / rate_hz:.2f} s: this computer is too slow for this policy. Use a GPU "
            "(--device cuda), or a policy with longer chunks."
        )
    return kept


def _in_degrees(
    arm: Contract, state: NDArray[np.float32], chunk: NDArray[np.float32]
) -> tuple[tuple[Channel, ...], NDArray[np.float32], NDArray[np.float32]]:
    """What people know the joints by; other arms stay as they are."""
    if arm.unit != "rad" or _names(arm.action) != JOINTS:
        return arm.action, state, chunk
    return in_unit(arm, "deg").action, from_rad(state, "deg"), from_rad(chunk, "deg")


def _names(channels: Sequence[Channel]) -> tuple[str, ...]:
    return tuple(channel.name.removesuffix(".pos") for channel in channels)
