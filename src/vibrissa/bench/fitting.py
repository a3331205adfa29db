"""Finds the servos with which the simulated arm goes where a real arm went.

Gauss–Newton on the simulated motion itself, with Cauchy's loss: a joint that is held up by an
object or by a stop is far off for seconds, and must not bend the servo's numbers. A joint's
numbers move its own motion almost alone, so one simulation gives the slopes of all six joints.
How sure the numbers are comes from drawing the episodes anew, with one Newton step for each draw.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.units import JOINTS
from vibrissa.sim.follow import Course, Follower
from vibrissa.sim.servo import STANDARD, ServoCfg

A = len(JOINTS)
Theta = Mapping[str, NDArray[np.float64]]  # parameter → its values (joints,), some as logarithms
Tell = Callable[[int, str], None]

LOSS_DEG, WIDE_LOSS_DEG = 1.0, 4.0  # Cauchy's scale, and while it is still far off
ROUNDS, FIRST_ROUNDS = 10, 5  # of Gauss–Newton: on all episodes, and before that on a few
MOST_ROUNDS = 2 * FIRST_ROUNDS + ROUNDS
FEW_EPISODES, FEW_HZ = 5, 300.0
ENOUGH = 2e-4  # a round that gains a smaller share of the loss is the last
PRIOR_DEG2 = 7.5  # what one standard deviation of the prior costs: half a degree for one second
# The six servos of an arm are of one kind, and turn on one setting: how far their gains lie apart,
# as a factor's logarithm. Where gravity does not show a joint's gain, the others tell it.
ALIKE = 0.3
DRAWS, LEVEL = 2000, 0.95


@dataclass(frozen=True)
class Parameter:
    """A number that is fitted: for which joints, between what, and how far a priori.

    is_log: its logarithm is fitted, so steps and spreads are factors. is_shared: one for all
    joints. step: of the finite difference. spread: the prior's standard deviation about STANDARD.
    """

    low: float
    high: float
    step: float
    spread: float
    joints: tuple[int, ...] = tuple(range(A))
    is_log: bool = True
    is_shared: bool = False

    @property
    def size(self) -> int:
        return 1 if self.is_shared else len(self.joints)

    def inside(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = np.log([self.low, self.high]) if self.is_log else (self.low, self.high)
        return np.clip(values, low, high)

    def natural(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(values) if self.is_log else values


# `drag` is kv + damping: below the greatest force nothing tells the two apart. An offset shows
# only through gravity, so the joints on an upright axis, and the light ones, have none.
PARAMETERS: dict[str, Parameter] = {
    "kp": Parameter(1.0, 1000.0, 0.05, 1.5),
    "drag": Parameter(0.02, 50.0, 0.05, 1.5),
    "friction_nm": Parameter(0.001, 3.0, 0.07, 1.5),
    "armature": Parameter(0.001, 0.5, 0.15, 1.0),
    "reading_offset_rad": Parameter(-0.35, 0.35, 0.015, 0.1, joints=(1, 2, 3), is_log=False),
    "delay_s": Parameter(0.0, 0.3, 0.002, 0.1, is_log=False, is_shared=True),
}
STRUCTURES: dict[str, tuple[str, ...]] = {
    "delay": ("delay_s",),
    "gains": ("delay_s", "kp", "drag"),
    "friction": ("delay_s", "kp", "drag", "friction_nm"),
    "offsets": ("delay_s", "kp", "drag", "friction_nm", "reading_offset_rad"),
    "inertia": ("delay_s", "kp", "drag", "friction_nm", "armature"),
}


@dataclass(frozen=True)
class Fitted:
    """The servos that were found, and the 95 % interval of each number, low and high (joints,)."""

    servo: ServoCfg
    intervals: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    loss: float
    rounds: int


def fit(
    courses: Sequence[Course],
    rate_hz: float,
    *,
    structure: str,
    rng: np.random.Generator,
    base: ServoCfg = STANDARD,
    tell: Tell = lambda done, note: None,
) -> Fitted:
    """Fit `STRUCTURES[structure]`; what is not in it stays as in `base`.

    It starts from `base` and from servos as soft and slow as hobby servos are, on a few episodes,
    and goes on from the better one with all. `rng` draws the episodes for the intervals alone.
    """
    names = STRUCTURES[structure]
    some = courses[:: max(1, len(courses) // FEW_EPISODES)]
    few = Search(some, rate_hz, base, names, physics_hz=FEW_HZ)
    search = Search(courses, rate_hz, base, names)
    soft = dataclasses.replace(base, kp=15.0, kv=0.4, friction_nm=0.15, delay_s=0.02)
    told = _Told(tell)
    first = [
        few.descend(few.theta_of(start), WIDE_LOSS_DEG, FIRST_ROUNDS, told)
        for start in (base, soft)
    ]
    nearest = min(first, key=lambda found: found.loss)
    found = search.descend(nearest.theta, LOSS_DEG, ROUNDS, told)
    return Fitted(
        search.servo_of(found.theta), search.intervals(found.theta, rng), found.loss, found.rounds
    )


@dataclass(frozen=True)
class Found:
    theta: Theta
    loss: float
    rounds: int


class Search:
    """One set of courses, the parameters in use, and the way down."""

    def __init__(
        self,
        courses: Sequence[Course],
        rate_hz: float,
        base: ServoCfg,
        names: Sequence[str],
        physics_hz: float = 600.0,
    ):
        self._base, self._names = base, tuple(names)
        self._follower = Follower(courses, rate_hz, physics_hz)
        self._free = [1.0 if course.free is None else course.free for course in courses]
        self._recorded = [np.asarray(course.state, np.float64) for course in courses]
        ends = np.cumsum([0, *(PARAMETERS[name].size for name in names)])
        self._columns = {
            name: slice(int(a), int(b)) for name, a, b in zip(names, ends, ends[1:], strict=False)
        }
        self._width = int(ends[-1])
        self._prior = self._belief()

    def theta_of(self, servo: ServoCfg) -> Theta:
        """The parameters of `servo`."""
        values = {"drag": servo.each("kv") + servo.each("damping")}
        values["delay_s"] = np.array([servo.delay_s])
        theta = {}
        for name in self._names:
            parameter = PARAMETERS[name]
            value = values[name] if name in values else servo.each(name)[list(parameter.joints)]
            theta[name] = parameter.inside(np.log(value) if parameter.is_log else value)
        return theta

    def servo_of(self, theta: Theta) -> ServoCfg:
        """`base` with the parameters of `theta`."""
        changed: dict[str, float | tuple[float, ...]] = {}
        for name, values in theta.items():
            parameter = PARAMETERS[name]
            natural = parameter.natural(values)
            if parameter.is_shared:
                changed[name] = float(natural[0])
            elif name == "drag":
                damping = np.minimum(natural, STANDARD.damping)
                changed |= {"damping": _six(damping), "kv": _six(natural - damping)}
            else:
                six = self._base.each(name)
                six[list(parameter.joints)] = natural
                changed[name] = _six(six)
        return dataclasses.replace(self._base, **changed)  # type: ignore[arg-type]

    def residuals(self, theta: Theta) -> list[NDArray[np.float64]]:
        """Simulated minus recorded, degrees, (T, 6) for each course; 0 where a joint is held up."""
        followed = self._follower.follow(self.servo_of(theta))
        motions = zip(followed, self._recorded, self._free, strict=True)
        return [np.degrees(f - r) * free for f, r, free in motions]

    def descend(self, theta: Theta, scale_deg: float, rounds: int, told: _Told) -> Found:
        """Gauss–Newton with Levenberg's damping, until a round gains next to nothing."""
        now = self.residuals(theta)
        loss, damping = self._loss(theta, now, scale_deg), 1e-2
        for done in range(1, rounds + 1):
            curvature, slope = (x.sum(axis=0) for x in self._normal(theta, now, scale_deg))
            before = loss
            while damping < 1e4:
                ridge = damping * np.diag(np.diag(curvature) + 1e-6)
                there = self._moved(theta, -np.linalg.solve(curvature + ridge, slope))
                then = self.residuals(there)
                reached = self._loss(there, then, scale_deg)
                damping *= 0.2 if reached < loss else 8.0
                if reached < loss:
                    theta, now, loss = there, then, reached
                    break
            told(f"loss {loss:.0f}")
            if before - loss < ENOUGH * before:
                return Found(theta, loss, done)
        return Found(theta, loss, rounds)

    def intervals(
        self, theta: Theta, rng: np.random.Generator
    ) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """For each parameter its interval over episodes drawn anew, low and high (joints,).

        The prior is drawn anew too: a number that no motion shows has the prior's interval.
        """
        now = self.residuals(theta)
        curvature, slope = self._normal(theta, now, LOSS_DEG)  # (E + 1, P, P), (E + 1, P)
        episodes = len(now)
        counts = rng.multinomial(episodes, np.full(episodes, 1 / episodes), DRAWS).astype(float)
        counts = np.concatenate([counts, np.ones((DRAWS, 1))], axis=1)  # (D, E + 1), the prior last
        believed = rng.normal(size=(DRAWS, self._width)) @ np.linalg.cholesky(self._prior).T
        steps = -np.linalg.solve(
            np.tensordot(counts, curvature, 1),
            (counts @ slope + PRIOR_DEG2 * believed)[..., None],
        )[..., 0]  # (D, P)
        tail = 100 * (1 - LEVEL) / 2
        found = {}
        for name, columns in self._columns.items():
            parameter = PARAMETERS[name]
            drawn = parameter.natural(parameter.inside(theta[name] + steps[:, columns]))
            low, high = np.percentile(drawn, [tail, 100 - tail], axis=0)
            found[name] = (low, high)
        return found

    def _loss(self, theta: Theta, now: Sequence[NDArray[np.float64]], scale_deg: float) -> float:
        """The loss in deg² (Cauchy's) with the prior; infinite where the simulation broke down."""
        apart = np.concatenate(now)
        if not np.isfinite(apart).all():
            return float("inf")
        away = self._away(theta)
        robust = scale_deg**2 * np.log1p((apart / scale_deg) ** 2).sum()
        return float(robust + PRIOR_DEG2 * away @ self._prior @ away)

    def _normal(
        self, theta: Theta, now: Sequence[NDArray[np.float64]], scale_deg: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Curvature (E + 1, P, P) and slope (E + 1, P) of each course's loss, the prior's last."""
        slopes = {name: self._slopes(theta, name, now) for name in self._names}
        curvature = np.zeros((len(now) + 1, self._width, self._width))
        slope = np.zeros((len(now) + 1, self._width))
        curvature[-1] = PRIOR_DEG2 * self._prior
        slope[-1] = curvature[-1] @ self._away(theta)
        for e, apart in enumerate(now):
            design = np.zeros((*apart.shape, self._width))  # (T, 6, P)
            for name, columns in self._columns.items():
                parameter, steep = PARAMETERS[name], slopes[name][e]
                for at, joint in enumerate(parameter.joints):
                    column = columns.start + (0 if parameter.is_shared else at)
                    design[:, joint, column] = steep[:, joint]
            flat = design.reshape(-1, self._width)
            weighted = flat / (1 + (apart.ravel() / scale_deg) ** 2)[:, None]
            curvature[e], slope[e] = weighted.T @ flat, weighted.T @ apart.ravel()
        return curvature, slope

    def _slopes(
        self, theta: Theta, name: str, now: Sequence[NDArray[np.float64]]
    ) -> list[NDArray[np.float64]]:
        """How each course's residuals (T, 6) change with a parameter, at all its joints at once."""
        step = PARAMETERS[name].step
        then = self.residuals({**theta, name: theta[name] + step})
        return [(b - a) / step for a, b in zip(now, then, strict=True)]

    def _moved(self, theta: Theta, step: NDArray[np.float64]) -> Theta:
        """`theta` a step further, no parameter by more than half its prior's spread."""
        moved = {}
        for name, columns in self._columns.items():
            most = PARAMETERS[name].spread / 2
            moved[name] = PARAMETERS[name].inside(theta[name] + np.clip(step[columns], -most, most))
        return moved

    def _belief(self) -> NDArray[np.float64]:
        """The prior's precision (P, P): numbers near the usual ones, gains near each other."""
        spread = [np.full(PARAMETERS[n].size, PARAMETERS[n].spread) for n in self._names]
        precision = np.diag(np.concatenate(spread) ** -2.0)
        if "kp" in self._columns:
            precision[self._columns["kp"], self._columns["kp"]] += (np.eye(A) - 1 / A) / ALIKE**2
        return precision

    def _away(self, theta: Theta) -> NDArray[np.float64]:
        """How far each number (P,) is from the standard servo's."""
        usual = self.theta_of(dataclasses.replace(self._base, **_ORIGIN))
        return np.concatenate([theta[name] - usual[name] for name in self._names])


class _Told:
    """Counts rounds for a progress bar."""

    def __init__(self, tell: Tell):
        self._tell, self._done = tell, 0

    def __call__(self, note: str) -> None:
        self._done += 1
        self._tell(self._done, note)


_ORIGIN = {f.name: getattr(STANDARD, f.name) for f in dataclasses.fields(ServoCfg)}
_ORIGIN = {name: value for name, value in _ORIGIN.items() if name != "reading_scale"}


def _six(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
