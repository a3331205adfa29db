"""The arm alone, told what a real arm was told: where would it have gone, with these servos?

`Follower` plays many recorded motions at once and fast, without a table or an object, which is
what a fit needs. `RecordedStart` is the whole `SimArm`, for the replay that people look at.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.limits import Limits
from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD
from vibrissa.sim import robot
from vibrissa.sim.arm import SimArm
from vibrissa.sim.gl import mujoco
from vibrissa.sim.sample import Sample
from vibrissa.sim.scene import PLAUSIBLE, SceneCfg, set_physics
from vibrissa.sim.servo import STANDARD, ServoCfg

A = len(JOINTS)


@dataclass(frozen=True)
class Course:
    """One episode to play: the readings (T, 6) rad of the real arm, and what it was told (T, 6).

    free: (T, 6), where a joint was free to follow; None says everywhere.
    """

    state: NDArray[np.floating]
    action: NDArray[np.floating]
    free: NDArray[np.bool_] | None = None


class Follower:
    """Plays `courses`, given at `rate_hz`, on an arm that stands free, with any servos.

    The target speed is limited as in `SimArm`, by `STANDARD.most_rad_s`. Nothing is random.
    """

    def __init__(self, courses: Sequence[Course], rate_hz: float, physics_hz: float = 600.0):
        from mujoco import rollout

        self._play = rollout.rollout
        self._substeps, self._physics_hz = round(physics_hz / rate_hz), physics_hz
        spec = robot.so101(STANDARD, PLAUSIBLE)
        set_physics(spec, physics_hz)
        self._model = spec.compile()
        self._threads = [mujoco.MjData(self._model) for _ in range(os.cpu_count() or 1)]
        self._starts = [np.asarray(course.state[0], np.float64) for course in courses]
        self._targets = [_limited(course.action, rate_hz) for course in courses]

    def follow(self, servo: ServoCfg) -> list[NDArray[np.float64]]:
        """Where the arm with these servos reads itself at every tick: (T, 6) rad for each course.

        Unlike in `SimArm`, a delay need not be whole physics steps: what falls between two is the
        mean of the two, weighted, so that a fit has something to climb.
        """
        longest = max(len(targets) for targets in self._targets) * self._substeps
        starts = [servo.joints(start) for start in self._starts]
        controls = [self._commanded(servo, targets, longest) for targets in self._targets]
        resting = [np.concatenate([[0.0], start, np.zeros(A)]) for start in starts]
        states, _ = self._play(
            [self._tuned(servo)] * len(starts), self._threads, np.stack(resting), np.stack(controls)
        )
        ticks = states[:, self._substeps - 1 :: self._substeps, 1 : 1 + A]  # (B, T, 6)
        return [
            servo.readings(np.concatenate([start[None], joints[: len(targets) - 1]]))
            for start, joints, targets in zip(starts, ticks, self._targets, strict=True)
        ]

    def gravity_nm(self, joints: NDArray[np.floating]) -> NDArray[np.float64]:
        """What gravity pulls at each joint of the resting arm: (T, 6) N m at (T, 6) rad."""
        data, pulls = self._threads[0], np.empty((len(joints), A))
        for pull, q in zip(pulls, joints, strict=True):
            data.qpos[:], data.qvel[:] = q, 0.0
            mujoco.mj_fwdPosition(self._model, data)
            mujoco.mj_fwdVelocity(self._model, data)
            pull[:] = data.qfrc_bias
        return pulls

    def _tuned(self, servo: ServoCfg) -> mujoco.MjModel:
        model = copy.copy(self._model)
        kp, most = servo.each("kp"), servo.each("force_nm")
        model.actuator_gainprm[:, 0], model.actuator_biasprm[:, 1] = kp, -kp
        model.actuator_biasprm[:, 2] = -servo.each("kv")
        model.actuator_forcerange[:] = np.stack([-most, most], axis=1)
        model.dof_damping[:] = servo.each("damping")
        model.dof_frictionloss[:] = servo.each("friction_nm")
        model.dof_armature[:] = servo.each("armature")
        if not servo.reads_true:
            model.jnt_range[:] = model.actuator_ctrlrange[:] = servo.ends().T
        return model

    def _commanded(
        self, servo: ServoCfg, targets: NDArray[np.float64], steps: int
    ) -> NDArray[np.float64]:
        """What the servos aim at in each physics step (steps, 6); the last target stays."""
        late = servo.delay_s * self._physics_hz
        at = (np.arange(steps)[:, None] - np.floor(late) - [0, 1]) // self._substeps
        of = np.clip(at, 0, len(targets) - 1).astype(int)  # (steps, 2)
        joints, share = servo.joints(targets), late - np.floor(late)
        return (1 - share) * joints[of[:, 0]] + share * joints[of[:, 1]]


class RecordedStart(SimArm):
    """A simulated arm whose every episode starts at rest where a recorded one did.

    It touches nothing: where the table and the things stood that the real arm met is not recorded.
    state, action: (6,) rad, the first reading of the recorded arm and what it was then told.
    """

    def __init__(self, cfg: SceneCfg, state: NDArray[np.floating], action: NDArray[np.floating]):
        super().__init__(cfg)
        self.model = copy.copy(self.model)  # that of the scene is shared
        passing = np.isin(self.model.geom_contype, (robot.ROBOT,))
        self.model.geom_contype[passing] = self.model.geom_conaffinity[passing] = 0
        self.data = mujoco.MjData(self.model)
        self._start = np.asarray(state, np.float32)
        self._told = np.clip(action, LOW_RAD, HIGH_RAD).astype(np.float32)

    def reset(self, seed: int, *, sample: Sample | None = None) -> None:
        super().reset(seed, sample=sample)
        self.data.qpos[self._joints] = self.cfg.servo.joints(self._start)
        self.data.qvel[:] = 0.0
        self.data.qacc_warmstart[:] = 0.0
        self.data.ctrl[:] = self.cfg.servo.joints(self._told)
        self.target = self._told
        self.refresh()
        self.past.clear()
        self.past.append(self.data.qpos.copy())


def _limited(action: NDArray[np.floating], rate_hz: float) -> NDArray[np.float64]:
    """What `SimArm.send` leaves of recorded actions (T, 6), the first one as it is."""
    speed = STANDARD.each("most_rad_s").astype(np.float32)
    limits = Limits(LOW_RAD, HIGH_RAD, speed, 1.0 / rate_hz)
    sent: list[NDArray[np.float32]] = []
    for wanted in np.asarray(action, np.float32):
        sent.append(limits.apply(wanted, sent[-1] if sent else None)[0])
    return np.stack(sent).astype(np.float64)
