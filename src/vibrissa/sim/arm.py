"""The simulated SO-101: MuJoCo behind the Arm protocol, rad in and rad out."""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.limits import Limits
from vibrissa.core.contract import so101
from vibrissa.core.episode import LazyImages, Observation, Picture
from vibrissa.core.errors import ArmFault
from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD
from vibrissa.sim import goals, pictures, privileged, robot, senses
from vibrissa.sim.contacts import Contacts
from vibrissa.sim.gl import mujoco
from vibrissa.sim.sample import NOTHING, Sample, draw
from vibrissa.sim.scene import SceneCfg
from vibrissa.sim.servo import CommandLine
from vibrissa.sim.things import BASE
from vibrissa.sim.varied import model_of, scene_of
from vibrissa.sim.views import chosen, look

SETTLE_S = 0.2  # before the first tick: the servos find their sag, the object its rest
_AILMENTS = [
    int(ailment)
    for ailment in (
        mujoco.mjtWarning.mjWARN_BADQPOS,
        mujoco.mjtWarning.mjWARN_BADQVEL,
        mujoco.mjtWarning.mjWARN_BADQACC,
        mujoco.mjtWarning.mjWARN_BADCTRL,
    )
]
_ails = operator.itemgetter(*_AILMENTS)


class SimArm:
    """An SO-101 in a scene. `cameras`: True for all pictures of the scene, or the names of some.

    Physics advances in `observe`, by one tick, when something was sent since the last one. The
    model is shared between arms of equal scenes, unless the scene is randomised: then model and
    data are this arm's own, and new with every episode. `sample` is what was drawn for it.
    """

    def __init__(self, cfg: SceneCfg, *, cameras: bool | tuple[str, ...] = ()):
        _warn_nobody()
        self.cfg = cfg
        self._seen = {view.name: view for view in chosen(cfg, cameras)}
        self.contract = so101(
            rate_hz=cfg.rate_hz,
            privileged=privileged.channels(cfg),
            cameras=tuple(view.spec for view in self._seen.values()),
            calibration=robot.MODEL,
            instruction=cfg.instruction,
        )
        self._scene = cfg.to_dict()
        if cfg.rules is not None and cfg.rules.file:  # no name leads back to it: it travels along
            self.contract = replace(self.contract, extra={"scene": self._scene})
        self._names = tuple(self._seen)
        speed = np.asarray(cfg.servo.most_rad_s, np.float32)
        self._limits = Limits(LOW_RAD, HIGH_RAD, speed, 1.0 / cfg.rate_hz)
        self._goal: NDArray[np.float64] | None = None  # (3,), where it cannot be moved
        if cfg.base is None:
            self._goal = self._goal_position({})
        self._images: LazyImages | None = None
        self._drawn: dict[str, Picture] = {}  # made beside one that was asked for
        self.put: goals.Triple | None = None  # x, y (m), yaw (rad) of the object at every reset
        self.become(NOTHING)
        self.tick = 0
        self.target: NDArray[np.float32] | None = None  # (A,), None before the first reset
        self.pending = False  # whether a target was sent since the last observation

    @property
    def scene(self) -> Mapping[str, Any]:
        """The whole `SceneCfg` as plain values."""
        return self._scene

    @property
    def sim_state(self) -> tuple[str, ...]:
        """The names of an observation's `sim_state`: MuJoCo's qpos, joint by joint."""
        names: list[str] = []
        for joint in map(self.model.joint, range(self.model.njnt)):
            free = joint.type[0] == mujoco.mjtJoint.mjJNT_FREE
            parts = ("x", "y", "z", "qw", "qx", "qy", "qz") if free else ("q",)
            names += [f"{joint.name}.{part}" for part in parts]
        return tuple(names)

    @property
    def sampled(self) -> Mapping[str, Any]:
        """What the scene's randomisation decided in this episode, as plain values."""
        return self.sample.to_dict()

    def reset(self, seed: int, *, sample: Sample | None = None) -> None:
        """A new episode: everything random in it comes from `seed`.

        `sample` takes the place of what the seed would draw from the scene's randomisation: an
        episode with its stored sample is the same again, and with `sample.only(…)` it is what
        single factors make of it.
        Where `put` says, the object starts there, and the sample says so.
        """
        rng = np.random.default_rng(seed)
        drawn = draw(self.cfg, seed) if sample is None else sample
        self.become(drawn if self.put is None else replace(drawn, spawn=self.put))
        mujoco.mj_resetData(self.model, self.data)
        noise = rng.uniform(-1, 1, len(JOINTS)) * self.cfg.start_noise_rad
        noise = noise + (self.sample.start or 0.0)
        home = np.clip(np.add(self.cfg.home_rad, noise), LOW_RAD, HIGH_RAD).astype(np.float32)
        x, y, yaw = self._here.draw_spawn(rng)
        x, y, yaw = self.sample.spawn or (x, y, yaw)
        self.data.qpos[self._joints] = home
        self.data.ctrl[:] = home
        self._stand(self._object_qpos, x, y, self._here.object.half_size_m[2], yaw)
        if self.cfg.base is not None:
            x, y, yaw = goals.draw(self.cfg.base.spawn, rng)
            self._stand(self._base_qpos, x, y, self.cfg.base.half_size_m[2], yaw)
        mujoco.mj_step(self.model, self.data, nstep=round(SETTLE_S * self.cfg.physics_hz))
        self.data.time = 0.0
        self.tick, self.target, self.pending = 0, self.cfg.servo.readings(home), False
        self.line.clear(self.line.delay_steps)
        self.past.clear()
        self._refresh()
        self.past.append(self.data.qpos.copy())

    def become(self, sample: Sample) -> None:
        """Take on an episode's sample. What was simulated so far is gone where it differs."""
        self._forget_pictures()
        before = getattr(self, "sample", None)
        if before is not None and replace(before, spawn=sample.spawn) == sample:
            self.sample = sample
            return
        self.sample, self._here = sample, scene_of(self.cfg, sample)
        self.model = model_of(self.cfg, sample)
        self.data = mujoco.MjData(self.model)
        self._warnings = self.data.warning.number  # a view: MuJoCo counts in it
        self.line = CommandLine(self._here.servo.delay_steps(self.cfg.physics_hz))
        # The positions (Q,) of the ticks that the cameras still have to show, and of this one.
        self.past: deque[NDArray[np.float64]] = deque(maxlen=1 + (sample.camera_latency or 0))
        self._then = mujoco.MjData(self.model) if sample.camera_latency else None
        self._find_parts()

    def send(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """Set the servos' target (A,) rad, as this arm reads; returned is what the limits left."""
        if self.target is None:
            raise ArmFault("an arm that was never reset takes no action: call reset(seed) first.")
        sent = self._limits.keep(self.contract.check_action(action), self.target)
        self._aim(sent)
        self.pending = True
        return sent

    def observe(self) -> Observation:
        """What there is now, one tick after the last observation if something was sent.

        Raises ArmFault, with the tick, when the simulation is no longer finite.
        """
        if self.target is None:
            raise ArmFault("an arm that was never reset sees nothing: call reset(seed) first.")
        self._forget_pictures()
        if self.pending:
            self._advance()
        truth = self._truth()
        rate_hz, shown = self.cfg.rate_hz, self.sample.shown_tick(self.tick)
        self._images = LazyImages(self._names, self._draw)
        return Observation(
            tick=self.tick,
            time_s=self.tick / rate_hz,
            state=senses.joints(self._readings(), self.sample.joint_noise, self.tick),
            privileged=privileged.values(self.cfg, truth),
            images=self._images,
            captured_s=dict.fromkeys(self._names, shown / rate_hz),
            truth=truth,
            sim_state=self.data.qpos.copy(),
        )

    def show(self, states: NDArray[np.float64], tick: int) -> LazyImages:
        """The pictures of a `tick` that is over, with this arm's cameras and sample.

        `states` (T, Q) are the `sim_state` of all ticks since the first. Nothing can go on from
        here: the arm wants a reset before it is moved again.
        """
        self._forget_pictures()
        state = np.asarray(states[self.sample.shown_tick(tick)], np.float64)
        _put(self.data, state)
        self.past.clear()
        self.past.append(state)
        self.tick, self.target, self.pending = tick, None, False
        self._images = LazyImages(self._names, self._draw)
        return self._images

    def hold(self) -> None:
        """Stay where the arm is now: the target becomes the measured pose."""
        if self.target is None:
            return
        here = self._readings()
        if np.isfinite(here).all():
            self._aim(np.clip(here, LOW_RAD, HIGH_RAD))

    def close(self) -> None:
        """Pictures not yet looked at are gone. The shared model and canvas stay for others."""
        self._forget_pictures()

    def render(self, camera: str, width: int, height: int) -> NDArray[np.uint8]:
        """What any camera of the scene ("side" for videos) sees now: (height, width, 3) uint8."""
        return pictures.draw(self.cfg, self.data, camera, width, height)

    def refresh(self) -> None:
        """Recompute what follows from the state, after somebody else has written it."""
        self._forget_pictures()
        self._refresh()
        if self.past:
            self.past[-1] = self.data.qpos.copy()

    def _refresh(self) -> None:
        """Positions and contacts of this very state: the first half of the step to come."""
        mujoco.mj_step1(self.model, self.data)

    def _readings(self) -> NDArray[np.float32]:
        return self.cfg.servo.readings(self.data.qpos[self._joints].astype(np.float32))

    def _aim(self, target: NDArray[np.float32]) -> None:
        """`target` (A,), in readings, sets out for the servos; without a delay it is there."""
        self.target = target
        self.line.send(self.cfg.servo.joints(target))
        self._deliver()

    def _deliver(self) -> None:
        arrived = self.line.arrived()
        if arrived is not None:
            self.data.ctrl[:] = arrived

    def _advance(self) -> None:
        left, done = self.cfg.substeps, 1
        mujoco.mj_step2(self.model, self.data)  # `_refresh` has done the first half of it
        while left:
            steps = self.line.quiet(left)
            mujoco.mj_step(self.model, self.data, nstep=steps - done)
            self.line.wait(steps)
            self._deliver()
            left, done = left - steps, 0
        self.tick += 1
        self.pending = False
        data = self.data
        positions, speeds = data.qpos, data.qvel
        squares = positions.dot(positions) + speeds.dot(speeds)
        if not math.isfinite(squares) or any(_ails(self._warnings.tolist())):
            raise ArmFault(
                f"the simulation is no longer finite at tick {self.tick}; the last action sent "
                f"was {np.round(self.data.ctrl, 3).tolist()}. Reset the arm."
            )
        self._refresh()
        self.past.append(positions.copy())

    def _stand(self, at: int, x: float, y: float, z: float, yaw: float) -> None:
        """Put the free body whose position is `qpos[at]` upright at (x, y, z)."""
        turned = (np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
        self.data.qpos[at : at + 7] = (x, y, z, *turned)

    def _draw(self, name: str) -> Picture:
        """A picture for `observe`; colour and depth of one camera come of one rendering."""
        if name not in self._drawn:
            camera, noise = self._seen[name].camera, self.sample.image_noise
            depth = any(view.depth for view in self._seen.values() if view.camera == camera)
            self._drawn |= look(self.cfg, self._shown(), camera, noise, self.tick, depth=depth)
        return self._drawn.pop(name)

    def _shown(self) -> mujoco.MjData:
        """The world that the cameras show now; with a latency, one that is over."""
        if self._then is None:
            return self.data
        _put(self._then, self.past[0])
        return self._then

    def _forget_pictures(self) -> None:
        self._drawn.clear()
        if self._images is not None:
            self._images.expire()
            self._images = None

    def _truth(self) -> dict[str, Any]:
        """What the simulator knows; copies, so that an observation stays true to its tick."""
        data, start = self.data, self._object_qpos
        quaternion = data.qpos[start + 3 : start + 7].copy()
        touch = self._contacts.read(self.model, data)
        truth = {
            "object_position": data.qpos[start : start + 3].copy(),
            "object_quaternion": quaternion,
            "object_yaw": yaw_of(quaternion),
            "object_half_size_m": self._size,
            "tip_position": data.site_xpos[self._tip].copy(),
            "tip_rotation": data.site_xmat[self._tip].reshape(3, 3).copy(),
            "touching": touch.gripper,
            "grasped": touch.static and touch.moving,
            "carried": touch.carried,
            "pad_force_n": touch.pad_force_n,
        }
        if self.cfg.base is not None:
            at = self._base_qpos
            truth["base_position"] = data.qpos[at : at + 3].copy()
            truth["base_quaternion"] = data.qpos[at + 3 : at + 7].copy()
            truth["base_yaw"] = yaw_of(truth["base_quaternion"])
        truth["goal_position"] = self._goal_position(truth)
        return truth

    def _goal_position(self, truth: dict[str, Any]) -> NDArray[np.float64] | None:
        """Where the goal is (3,): always there, unless it is a base that can be moved."""
        if self._goal is not None:
            return self._goal.copy()
        goal = goals.goal_of(self.cfg, truth)
        return None if goal is None else np.array([*goal.centre_m, goal.surface_m])

    def _find_parts(self) -> None:
        model = self.model
        self._joints = np.array([model.joint(name).qposadr[0] for name in JOINTS])
        self._object_qpos = int(model.joint("object").qposadr[0])
        self._size = np.array(self._here.object.half_size_m)
        if self.cfg.base is not None:
            self._base_qpos = int(model.joint(BASE).qposadr[0])
        self._tip = model.site(robot.TIP).id
        self._contacts = Contacts(model)


def _put(data: mujoco.MjData, state: NDArray[np.float64]) -> None:
    """Everything where `state` (Q,) says, as far as pictures show it: nothing moves."""
    data.qpos[:] = state
    mujoco.mj_kinematics(data.model, data)
    mujoco.mj_camlight(data.model, data)


def _warn_nobody() -> None:
    """MuJoCo's warnings are counted in `data.warning` and become faults.

    Left alone, it would also print them and write MUJOCO_LOG.TXT into whatever folder this is.
    """
    mujoco.set_mju_user_warning(lambda message: None)


def yaw_of(quaternion: NDArray[np.float64]) -> float:
    """The heading of the object's x axis in the plane, rad, from w x y z."""
    w, x, y, z = quaternion.tolist()
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))
