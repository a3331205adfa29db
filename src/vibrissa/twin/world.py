"""What the servos turn: the simulated SO-101 with gravity and contact, or an arm in a hand.

Both speak one language: `advance(seconds)` runs the servos' loop in beats of `BEAT_S` and moves
the joints; nothing here knows of a clock, so that time may also be driven by a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD
from vibrissa.sim import goals
from vibrissa.sim import scene as scenes
from vibrissa.sim.gl import mujoco
from vibrissa.sim.scene import SceneCfg
from vibrissa.sim.things import BASE
from vibrissa.twin.hand import Motion
from vibrissa.twin.servo import STS3215, Drive, Servo

BEAT_S = 0.0025  # of the servos' loop
SUBSTEPS = 2  # of physics a beat
STRIDE = 8  # beats between two looks at the hand, for an arm without physics
A = len(JOINTS)
# A hand that holds a joint: a stiff spring that does not let go.
HAND_STIFFNESS, HAND_DAMPING, HAND_NM = 150.0, 6.0, 6.0


class Body(Protocol):
    """Six servos and what they are screwed to."""

    servos: tuple[Servo, ...]
    time_s: float
    hand: Motion | None
    volts: float  # of the power supply

    @property
    def angles(self) -> NDArray[np.float64]:
        """The joints (6,) rad."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass, in whole beats; what is left over is kept for the next call."""
        ...


class SimulatedBody:
    """The arm of `sim/` in a scene. `qpos` of the whole scene is there for who draws it."""

    def __init__(self, servos: Sequence[Servo], scene: SceneCfg, *, seed: int = 0):
        self.servos = tuple(servos)
        self.scene = scene
        self.hand: Motion | None = None
        self.volts = STS3215.volts
        self.time_s = 0.0
        self._left = 0.0
        self.model = _model(scene)
        self.data = mujoco.MjData(self.model)
        self._at = np.array([self.model.joint(name).qposadr[0] for name in JOINTS])
        self._dof = np.array([self.model.joint(name).dofadr[0] for name in JOINTS])
        self._motor = np.array([self.model.actuator(name).id for name in JOINTS])
        self._held = np.array([self.model.actuator(f"hand_{name}").id for name in JOINTS])
        self._drives: list[Drive | None] = [None] * A
        self.data.qpos[self._at] = scene.home_rad
        self.place(seed)

    @property
    def angles(self) -> NDArray[np.float64]:
        return self.data.qpos[self._at].copy()

    @property
    def qpos(self) -> NDArray[np.float64]:
        """All positions (Q,) of the scene, a copy."""
        return self.data.qpos.copy()

    def advance(self, seconds: float) -> None:
        self._left += seconds
        while self._left >= BEAT_S - 1e-9:
            self._left -= BEAT_S
            self._beat()

    def _beat(self) -> None:
        data = self.data
        supply(self.servos, self.volts)
        angles = data.qpos[self._at].tolist()
        speeds = data.qvel[self._dof].tolist()
        torques = data.actuator_force[self._motor].tolist()
        for i, servo in enumerate(self.servos):
            drive = servo.beat(angles[i], speeds[i], torques[i], BEAT_S)
            if drive != self._drives[i]:
                self._apply(i, drive)
        if self.hand is not None:
            self._grasp(self.hand(self.time_s))
        mujoco.mj_step(self.model, data, nstep=SUBSTEPS)
        self.time_s += BEAT_S

    def _apply(self, i: int, drive: Drive) -> None:
        motor, was = self._motor[i], self._drives[i]
        self._drives[i] = drive
        self.data.ctrl[motor] = drive.target_rad
        model = self.model
        if was is None or drive.bias_nm != was.bias_nm or drive.stiffness != was.stiffness:
            model.actuator_gainprm[motor, 0] = drive.stiffness
            model.actuator_biasprm[motor, :3] = drive.bias_nm, -drive.stiffness, -drive.damping
        if was is None or drive.damping != was.damping:
            model.actuator_biasprm[motor, 2] = -drive.damping
        if was is None or (drive.most_nm, drive.drag) != (was.most_nm, was.drag):
            model.actuator_forcerange[motor] = -drive.most_nm, drive.most_nm
            model.dof_damping[self._dof[i]] = drive.drag

    def _grasp(self, wanted: NDArray[np.float64]) -> None:
        """The hand's springs: on where it holds, off elsewhere."""
        model, held = self.model, np.isfinite(wanted)
        model.actuator_gainprm[self._held, 0] = np.where(held, HAND_STIFFNESS, 0.0)
        model.actuator_biasprm[self._held, 1] = np.where(held, -HAND_STIFFNESS, 0.0)
        model.actuator_biasprm[self._held, 2] = np.where(held, -HAND_DAMPING, 0.0)
        self.data.ctrl[self._held] = np.where(held, wanted, 0.0)

    def place(self, seed: int) -> None:
        """The scene's things, anew, where the seed puts them; the arm stays as it is."""
        scene, rng = self.scene, np.random.default_rng(seed)
        rng.uniform(-1, 1, A)  # what an episode in simulation draws first, for the arm
        x, y, yaw = scene.draw_spawn(rng)
        self._stand("object", x, y, scene.object.half_size_m[2], yaw)
        if scene.base is not None:
            x, y, yaw = goals.draw(scene.base.spawn, rng)
            self._stand(BASE, x, y, scene.base.half_size_m[2], yaw)
        mujoco.mj_forward(self.model, self.data)

    def where(self) -> dict[str, list[float]]:
        """Where the scene's things are, m: for whoever wants to know how a task went."""
        names = ["object"] + ([BASE] if self.scene.base is not None else [])
        return {name: self.data.body(name).xpos.tolist() for name in names}

    def _stand(self, name: str, x: float, y: float, z: float, yaw: float) -> None:
        joint = self.model.joint(name)
        at, dof = int(joint.qposadr[0]), int(joint.dofadr[0])
        turned = (np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
        self.data.qpos[at : at + 7] = (x, y, z, *turned)
        self.data.qvel[dof : dof + 6] = 0.0


class CarriedBody:
    """A light arm whose joints are where a hand puts them, and stay there: a leader."""

    def __init__(self, servos: Sequence[Servo], start_rad: Sequence[float]):
        self.servos = tuple(servos)
        self.hand: Motion | None = None
        self.volts = STS3215.volts
        self.time_s = 0.0
        self._left = 0.0
        self._angles = np.array(start_rad, np.float64)
        self._still = np.zeros(A)

    @property
    def angles(self) -> NDArray[np.float64]:
        return self._angles.copy()

    def advance(self, seconds: float) -> None:
        self._left += seconds
        beats = int((self._left + 1e-9) / BEAT_S)
        self._left -= beats * BEAT_S
        while beats > 0:
            self._stride(min(beats, STRIDE) * BEAT_S)
            beats -= STRIDE

    def _stride(self, passed: float) -> None:
        """A few beats at once: nothing here would change between them."""
        supply(self.servos, self.volts)
        self.time_s += passed
        speeds = self._still
        if self.hand is not None:
            wanted = self.hand(self.time_s)
            moved = np.where(np.isfinite(wanted), wanted, self._angles)
            moved = np.clip(moved, LOW_RAD, HIGH_RAD)
            speeds, self._angles = (moved - self._angles) / passed, moved
        for servo, angle, speed in zip(
            self.servos, self._angles.tolist(), speeds.tolist(), strict=True
        ):
            servo.beat(angle, speed, 0.0, passed)


def supply(servos: Sequence[Servo], volts: float) -> None:
    """The supply's voltage at the plugs: what all draw together is lost in the cable."""
    sag = STS3215.cable_ohm * sum(servo.amps for servo in servos)
    for servo in servos:
        servo.supply(max(0.0, volts - sag))


def _model(scene: SceneCfg) -> mujoco.MjModel:
    """The scene with motors that obey a servo, and a hand on every joint."""
    spec = scenes.describe(scene)
    scenes.set_physics(spec, SUBSTEPS / BEAT_S)
    for name in JOINTS:
        motor = spec.actuator(name)
        motor.ctrllimited = False
        motor.forcelimited = True
        motor.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        hand = spec.add_actuator(
            name=f"hand_{name}",
            target=name,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        )
        hand.gainprm[0] = 0.0
        hand.forcelimited = True
        hand.forcerange = (-HAND_NM, HAND_NM)
    return spec.compile()
