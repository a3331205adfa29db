"""What recorded joints say of the arm: leaps, an arm that stands still, one that does not follow.

What an SO-101 can do is asked of an SO-101 alone (`judged_arms`); `limits_applied` says where not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.episode import STATE_HEALTHS
from vibrissa.core.robots import names_another
from vibrissa.core.units import GRIPPER, JOINTS, Unit, to_rad, unit_bounds
from vibrissa.data.dataset import Dataset
from vibrissa.data.features import ACTION, STATE, STATE_HEALTH, TIME, channel_names
from vibrissa.data.joint_units import ArmColumns, arms_of
from vibrissa.data.recorded import stored_units

BEYOND = {"rad": 0.1, "deg": 6.0, "m100_100": 1.0, "ticks": 70.0}  # over a joint limit, tolerated
# An STS3215 without load turns at 4.71 rad/s. A step of a state that is so many times longer is a
# leap; a shorter one is, if the joint is back within so many rows. A reading comes a little early
# or late: recorded arms reach 1.24 times.
FREE_DEG_S, LEAP, SPIKE, BACK_ROWS = 270.0, 1.6, 1.35, 3
TURNED_DEG = 120.0  # no hand turns a leader so far within a row
AWAY_DEG = 20.0  # from its target in the middle of an episode: an arm that follows is within 12
STILL_DEG, ASKED_DEG = 0.7, 20.0  # some ticks of an encoder; a motion that somebody meant
STILL_SHARE = 0.01  # of a channel's range over all episodes, where its unit is not known
SO101_NAMES = re.compile(r"(?i)(^|[^a-z])so[-_ ]?(arm)?[-_ ]?(10[01]|follower|leader)")


@dataclass(frozen=True)
class ArmMotion:
    """One SO-101's joints in one vector: stored (N, 6), their unit, and the same in degrees."""

    vector: str
    arm: str
    stored: NDArray[np.float64]
    unit: Unit
    degrees: NDArray[np.float64]

    @property
    def where(self) -> str:
        return self.vector if self.arm == "arm" else f"{self.vector} of {self.arm}"


def limits_applied(dataset: Dataset) -> str:
    """Why no SO-101's limits were applied to this robot's joints; empty where they were."""
    if STATE not in dataset.columns or _judged(dataset, STATE):
        return ""
    robot = str(dataset.info.raw.get("robot_type") or "")
    named = f"the robot is {robot!r}" if robot else "nothing names the robot"
    return f"not applied: {named}, and its joints are not known to be an SO-101's"


def joint_limits(dataset: Dataset) -> list[str]:
    """Joints beyond what an SO-101 can reach, and grippers that hardly move."""
    told = []
    for motion in _motions(dataset):
        low, high = unit_bounds(motion.unit)
        mine = motion.stored
        over = np.maximum(low - mine.min(axis=0), mine.max(axis=0) - high)
        beyond = [j for j, o in zip(JOINTS, over, strict=True) if o > BEYOND[motion.unit]]
        if beyond:
            told.append(f"{motion.where}: beyond the SO-101's joint limits in {', '.join(beyond)}.")
        moved = np.ptp(mine[:, GRIPPER]) / (high[GRIPPER] - low[GRIPPER])
        if moved < 0.1:
            told.append(f"{motion.where}: the gripper uses only {moved:.0%} of its range.")
    return told


def leaps(dataset: Dataset) -> list[str]:
    """Steps from row to row that no SO-101 can make: readings that are not where the arm was."""
    told = []
    for motion in _motions(dataset):
        found = [
            (index, row, joint, size)
            for index, span in dataset.spans.items()
            for row, joint, size in _leaps(dataset, motion, span)
        ]
        if found:
            index, row, joint, size = max(found, key=lambda leap: leap[3])
            more = f"; the longest of {len(found)}" if len(found) > 1 else ""
            told.append(
                f"{motion.where}: {JOINTS[joint]} leaps by {size:.1f}° from one row to the next in "
                f"episode {index}, row {row}{more}. {_why(motion, dataset.fps)}"
            )
    return told


def marked_rows(dataset: Dataset) -> list[str]:
    """Rows whose joints the recorder itself marked as not to be believed."""
    if STATE_HEALTH not in dataset.columns:
        return []
    codes = dataset.column(STATE_HEALTH).reshape(-1)
    words = dataset.contract.extra.get("state_healths", STATE_HEALTHS) if dataset.is_ours else ()
    told = []
    for code in np.unique(codes[codes != 0]).tolist():
        rows = np.flatnonzero(codes == code)
        index, span = next((i, s) for i, s in dataset.spans.items() if s.start <= rows[0] < s.stop)
        word = words[code] if 0 < code < len(words) else f"code {code}"
        told.append(
            f"the recorder marked the joints of {len(rows)} rows as {word!r}; the first is row "
            f"{rows[0] - span.start} of episode {index}."
        )
    return told


def not_following(dataset: Dataset) -> list[str]:
    """Episodes in which an arm is not where its actions send it, from beginning to end."""
    motions = {(m.vector, m.arm): m for m in _motions(dataset)}
    told = []
    for (vector, arm), state in motions.items():
        action = motions.get((ACTION, arm))
        if vector != STATE or action is None:
            continue
        found = {
            index: what
            for index, span in dataset.spans.items()
            if (what := _astray(state.degrees[span], action.degrees[span]))
        }
        if found:
            who = "the arm" if arm == "arm" else arm
            index, what = next(iter(found.items()))
            more = f" (and in {len(found) - 1} more episodes)" if len(found) > 1 else ""
            told.append(
                f"{who} does not follow its actions: {what} in episode {index}{more}. Was its "
                "torque off, is it calibrated, and are the actions joint targets?"
            )
    return told


def nothing_moves(dataset: Dataset) -> list[str]:
    """A dataset in which no joint moves, in no episode."""
    if len(_still(dataset)) < max(1, len(dataset.spans)):
        return []
    return ["nothing moves in any episode: state and action stay where they are."]


def still_episodes(dataset: Dataset) -> list[str]:
    """Episodes in which no joint moves, among others."""
    still = [str(index) for index in _still(dataset)]
    if not still or len(still) == len(dataset.spans):
        return []
    return [f"nothing moves in episode {_few(still)}."]


def is_still(motion_deg: NDArray[np.floating]) -> bool:
    """Whether no joint of a motion (T, A) in degrees moves by more than its encoder trembles."""
    return bool(np.ptp(motion_deg, axis=0).max() < STILL_DEG)


def _still(dataset: Dataset) -> list[int]:
    vectors = [name for name in (STATE, ACTION) if name in dataset.columns]
    parts = [(m.degrees, np.full(len(JOINTS), STILL_DEG)) for m in _motions(dataset)]
    if not parts or any(not _judged(dataset, name) for name in vectors):
        values = [dataset.column(n).reshape(dataset.column(n).shape[0], -1) for n in vectors]
        parts = [(v, STILL_SHARE * np.ptp(v, axis=0)) for v in values]
    return [
        index
        for index, span in dataset.spans.items()
        if parts and all(np.all(np.ptp(v[span], axis=0) <= most) for v, most in parts)
    ]


def _leaps(dataset: Dataset, motion: ArmMotion, span: slice) -> list[tuple[int, int, float]]:
    """Row, joint and size in degrees of each leap within an episode."""
    steps = np.diff(motion.degrees[span], axis=0)  # (T - 1, 6)
    size = np.abs(steps)
    if motion.vector == ACTION:  # a leader is moved by a hand, its trigger by a finger
        far = size > TURNED_DEG
        far[:, GRIPPER] = False
    else:
        could = FREE_DEG_S * _passed_s(dataset, span)[:, None]
        far = (size > LEAP * could) | _there_and_back(steps, SPIKE * could)
    return [(int(t) + 1, int(j), float(size[t, j])) for t, j in np.argwhere(far)]


def _there_and_back(steps: NDArray, most: NDArray) -> NDArray[np.bool_]:
    """Steps (T, 6) longer than `most` that one as long takes back within `BACK_ROWS`."""
    out, home = steps > most, steps < -most
    found = np.zeros(steps.shape, bool)
    for k in range(1, min(BACK_ROWS, len(steps) - 1) + 1):
        found[:-k] |= (out[:-k] & home[k:]) | (home[:-k] & out[k:])
    return found


def _passed_s(dataset: Dataset, span: slice) -> NDArray[np.float64]:
    """The time from each row to the next, at least a row's: a late row's arm has gone further."""
    row_s = np.full(span.stop - span.start - 1, 1 / dataset.fps)
    if TIME not in dataset.columns:
        return row_s
    gaps = np.diff(dataset.column(TIME)[span].astype(np.float64).reshape(-1))
    return np.maximum(row_s, np.nan_to_num(gaps))


def _why(motion: ArmMotion, fps: float) -> str:
    if motion.vector == ACTION:
        return "A leader's count that passed its end looks like that: calibrate it again."
    return f"An SO-101 turns at most {FREE_DEG_S / fps:.1f}° in a row: a reading was wrong."


def _astray(state: NDArray, action: NDArray) -> str:
    """How one arm's joints (T, 6) in degrees fail to go where they are sent; empty if they do.

    A gripper stands away from its target whenever it holds something.
    """
    gap = np.median(np.abs(action - state), axis=0)
    gap[GRIPPER] = 0
    joint = int(np.argmax(np.nan_to_num(gap)))
    if gap[joint] > AWAY_DEG:
        return f"{JOINTS[joint]} is {gap[joint]:.0f}° away in the middle of the time"
    stuck = (np.ptp(action, axis=0) > ASKED_DEG) & (np.ptp(state, axis=0) < STILL_DEG)
    if stuck.any():
        joint = int(np.argmax(stuck))
        return f"{JOINTS[joint]} stays where it is and is sent {np.ptp(action[:, joint]):.0f}°"
    return ""


def _motions(dataset: Dataset) -> tuple[ArmMotion, ...]:
    """The joints of every SO-101 whose unit is known, in state and action: worked out once."""
    kept = vars(dataset)
    if "_motions" not in kept:
        kept["_motions"] = tuple(_worked_out(dataset))
    return kept["_motions"]


def _worked_out(dataset: Dataset) -> Iterator[ArmMotion]:
    stored = {
        (vector, arm.name): dataset.column(vector)[:, arm.columns].astype(np.float64)
        for vector in (STATE, ACTION)
        for arm in _judged(dataset, vector)
    }
    for (vector, arm), values in stored.items():
        other = stored.get((ACTION if vector == STATE else STATE, arm), values)
        unit = stored_units(dataset, values, other).unit
        if unit != "unknown":
            degrees = np.degrees(to_rad(values, unit).astype(np.float64))
            yield ArmMotion(vector, arm, values, unit, degrees)


def _judged(dataset: Dataset, vector: str) -> tuple[ArmColumns, ...]:
    """The arms in a vector that are SO-101s by the robot's name or by their joints' names."""
    if vector not in dataset.columns:
        return ()
    names = channel_names(dataset.features.get(vector, {}))
    robot = str(dataset.info.raw.get("robot_type") or "")
    by_joints = all(name.removesuffix(".pos").endswith(JOINTS) for name in names)
    known = by_joints and not names_another(robot)
    return arms_of(names) if known or SO101_NAMES.search(robot) else ()


def _few(names: Sequence[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
