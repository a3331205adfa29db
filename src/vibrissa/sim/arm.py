"""The simulated SO-101: MuJoCo behind the Arm protocol, rad in and rad out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.control.limits import Limits
from vibrissa.core.contract import CameraSpec, Channel, so101
from vibrissa.core.episode import LazyImages, Observation
from vibrissa.core.errors import ArmFault, ContractError
from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD
from vibrissa.sim import pictures, robot
from vibrissa.sim.gl import mujoco
from vibrissa.sim.scene import CameraCfg, SceneCfg, build

SETTLE_S = 0.2  # before the first tick: the servos find their sag, the object its rest
_AILMENTS = (
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
    mujoco.mjtWarning.mjWARN_BADCTRL,
)


class SimArm:
    """An SO-101 in a scene. `cameras`: True for all the scene's, or the names of some.

    Physics advances in `observe`, by one tick, when something was sent since the last one. The
    model is shared between arms of equal scenes; `data` is this arm's own.
    """

    def __init__(self, cfg: SceneCfg, *, cameras: bool | tuple[str, ...] = ()):
        _warn_nobody()
        self.cfg = cfg
        self.model = build(cfg)
        self.data = mujoco.MjData(self.model)
        self._seen = _chosen(cfg, cameras)
        self.contract = so101(
            rate_hz=cfg.rate_hz,
            privileged=privileged_channels(cfg),
            cameras=tuple(CameraSpec(c.name, c.width, c.height, c.fovy_deg) for c in self._seen),
            calibration=robot.MODEL,
            instruction=cfg.instruction,
        )
        self._names = tuple(camera.name for camera in self._seen)
        self._limits = Limits(LOW_RAD, HIGH_RAD, cfg.servo.most_rad_s, 1.0 / cfg.rate_hz)
        self._scene = cfg.to_dict()
        self._goal = _goal(cfg)
        self._find_parts()
        self._images: LazyImages | None = None
        self.tick = 0
        self.target: NDArray[np.float32] | None = None  # (A,), None before the first reset
        self.pending = False  # whether a target was sent since the last observation

    @property
    def scene(self) -> Mapping[str, Any]:
        """The whole `SceneCfg` as plain values."""
        return self._scene

    def reset(self, seed: int) -> None:
        """A new episode: everything random in it comes from `seed`."""
        rng = np.random.default_rng(seed)
        self._forget_pictures()
        mujoco.mj_resetData(self.model, self.data)
        noise = rng.uniform(-1, 1, len(JOINTS)) * self.cfg.start_noise_rad
        home = np.clip(np.add(self.cfg.home_rad, noise), LOW_RAD, HIGH_RAD).astype(np.float32)
        x, y, yaw = self.cfg.draw_spawn(rng)
        self.data.qpos[self._joints] = home
        self.data.ctrl[:] = home
        self.data.qpos[self._object_qpos : self._object_qpos + 7] = (
            *(x, y, self.cfg.object.half_size_m[2]),
            *(np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)),
        )
        mujoco.mj_step(self.model, self.data, nstep=round(SETTLE_S * self.cfg.physics_hz))
        self.data.time = 0.0
        self.tick, self.target, self.pending = 0, home, False
        self._refresh()

    def send(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """Set the servos' target (A,) rad; what was sent after the limits is returned."""
        if self.target is None:
            raise ArmFault("an arm that was never reset takes no action: call reset(seed) first.")
        sent, _ = self._limits.apply(self.contract.check_action(action), self.target)
        self.data.ctrl[:] = sent
        self.target, self.pending = sent, True
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
        time_s = self.tick / self.cfg.rate_hz
        self._images = LazyImages(self._names, self._draw)
        return Observation(
            tick=self.tick,
            time_s=time_s,
            state=self.data.qpos[self._joints].astype(np.float32),
            privileged=self._privileged(truth),
            images=self._images,
            captured_s=dict.fromkeys(self._names, time_s),
            truth=truth,
        )

    def hold(self) -> None:
        """Stay where the arm is now: the target becomes the measured pose."""
        if self.target is None:
            return
        here = self.data.qpos[self._joints].astype(np.float32)
        if np.isfinite(here).all():
            self.target = np.clip(here, LOW_RAD, HIGH_RAD)
            self.data.ctrl[:] = self.target

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

    def _refresh(self) -> None:
        """Positions and contacts of this very state; nothing of the next step is touched."""
        mujoco.mj_fwdPosition(self.model, self.data)

    def _advance(self) -> None:
        mujoco.mj_step(self.model, self.data, nstep=self.cfg.substeps)
        self.tick += 1
        self.pending = False
        data = self.data
        finite = np.isfinite(data.qpos).all() and np.isfinite(data.qvel).all()
        if not finite or not np.isfinite(data.ctrl).all() or self._ails():
            raise ArmFault(
                f"the simulation is no longer finite at tick {self.tick}; the last action sent "
                f"was {np.round(self.data.ctrl, 3).tolist()}. Reset the arm."
            )
        self._refresh()

    def _ails(self) -> bool:
        counts = self.data.warning.number
        return any(counts[int(ailment)] for ailment in _AILMENTS)

    def _draw(self, name: str) -> NDArray[np.uint8]:
        camera = next(c for c in self._seen if c.name == name)
        return self.render(name, camera.width, camera.height)

    def _forget_pictures(self) -> None:
        if self._images is not None:
            self._images.expire()
            self._images = None

    def _truth(self) -> dict[str, Any]:
        """What the simulator knows; copies, so that an observation stays true to its tick."""
        data, start = self.data, self._object_qpos
        quaternion = data.qpos[start + 3 : start + 7].copy()
        static, moving, any_part = self._contacts()
        return {
            "object_position": data.qpos[start : start + 3].copy(),
            "object_quaternion": quaternion,
            "object_yaw": _yaw(quaternion),
            "tip_position": data.site_xpos[self._tip].copy(),
            "tip_rotation": data.site_xmat[self._tip].reshape(3, 3).copy(),
            "touching": any_part,
            "grasped": static and moving,
            "goal_position": self._goal,
        }

    def _contacts(self) -> tuple[bool, bool, bool]:
        """Whether the static jaw, the moving jaw, and any part of the gripper touch the object."""
        if not self.data.ncon:
            return False, False, False
        pairs = self.data.contact.geom  # (ncon, 2)
        others = pairs[(pairs == self._object_geom).any(axis=1)]
        parts = self._jaw_of[others]  # 0 for the object and all that is no gripper
        static, moving = bool((parts == 1).any()), bool((parts == 2).any())
        return static, moving, static or moving

    def _privileged(self, truth: Mapping[str, Any]) -> NDArray[np.float32]:
        turn = self.cfg.object.symmetry * truth["object_yaw"]
        return np.array([*truth["object_position"], np.sin(turn), np.cos(turn)], np.float32)

    def _find_parts(self) -> None:
        model = self.model
        self._joints = np.array([model.joint(name).qposadr[0] for name in JOINTS])
        self._object_qpos = int(model.joint("object").qposadr[0])
        self._object_geom = model.geom("object").id
        self._tip = model.site(robot.TIP).id
        bodies = model.geom_bodyid
        jaws = (model.body(robot.STATIC_JAW).id, model.body(robot.MOVING_JAW).id)
        self._jaw_of = np.where(bodies == jaws[0], 1, np.where(bodies == jaws[1], 2, 0))


def privileged_channels(cfg: SceneCfg) -> tuple[Channel, ...]:
    """The object's pose as openly named channels: position, and yaw up to its symmetry."""
    name, times = cfg.object.name, cfg.object.symmetry
    place = tuple(Channel(f"{name}.{axis}", "m") for axis in "xyz")
    turn = tuple(
        Channel(f"{name}.{function}{times}yaw", "1", -1.0, 1.0) for function in ("sin", "cos")
    )
    return place + turn


def _warn_nobody() -> None:
    """MuJoCo's warnings are counted in `data.warning` and become faults.

    Left alone, it would also print them and write MUJOCO_LOG.TXT into whatever folder this is.
    """
    mujoco.set_mju_user_warning(lambda message: None)


def _chosen(cfg: SceneCfg, cameras: bool | tuple[str, ...]) -> tuple[CameraCfg, ...]:
    if isinstance(cameras, bool):
        return cfg.cameras if cameras else ()
    known = {camera.name: camera for camera in cfg.cameras}
    for name in cameras:
        if name not in known:
            raise ContractError(
                f"no camera {name!r}. This scene has: {', '.join(known) or 'none'}."
            )
    return tuple(known[name] for name in cameras)


def _goal(cfg: SceneCfg) -> NDArray[np.float64] | None:
    return None if cfg.tray is None else np.array([*cfg.tray.centre_m, cfg.tray.floor_m])


def _yaw(quaternion: NDArray[np.float64]) -> float:
    """The heading of the object's x axis in the plane, rad, from w x y z."""
    w, x, y, z = quaternion
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))
