"""Pictures of a scene: one OpenGL context a model and thread, whatever the number of arms.

MuJoCo's own Renderer picks its OpenGL while MuJoCo is imported; this one picks it when the first
picture is wanted (see `gl`), and serves every size from one context.
"""

from __future__ import annotations

import atexit
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import DEPTH_MOST_M
from vibrissa.core.errors import ArmFault
from vibrissa.sim import gl, robot, things
from vibrissa.sim.gl import mujoco
from vibrissa.sim.scene import SceneCfg, build

MAX_GEOMS = 2000
MOST_CANVASES = 8  # of one thread; each takes some 40 MB
_FLAG = mujoco.mjtRndFlag


def draw(
    cfg: SceneCfg, data: mujoco.MjData, camera: str, width: int, height: int
) -> NDArray[np.uint8]:
    """What `camera` of the scene sees: (height, width, 3) uint8 RGB.

    Raises ArmFault where there is no OpenGL, with the line that says what to install, and for
    an unknown camera or a picture larger than 1280 x 960.
    """
    return _canvas(cfg, threading.get_ident()).draw(data, camera, width, height)


def draw_depth(
    cfg: SceneCfg, data: mujoco.MjData, camera: str, width: int, height: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """What `camera` sees, and how far away it is: see `Canvas.draw_depth`. Raises as `draw`."""
    return _canvas(cfg, threading.get_ident()).draw_depth(data, camera, width, height)


def robot_mask(
    cfg: SceneCfg, data: mujoco.MjData, camera: str, width: int, height: int
) -> NDArray[np.bool_]:
    """Which pixels (height, width) of `camera`'s picture show the robot. Raises as `draw`."""
    return _canvas(cfg, threading.get_ident()).robot_mask(data, camera, width, height)


class Canvas:
    """An offscreen framebuffer with a model's meshes loaded, for the thread it is made in."""

    def __init__(self, model: mujoco.MjModel):
        trouble = gl.trouble()
        if trouble:
            raise ArmFault(trouble)
        self._model = model
        size = model.vis.global_
        self._most = (int(size.offwidth), int(size.offheight))
        self._context: Any = gl.make_context(*self._most)
        self._context.make_current()
        self._gpu = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        self._gpu.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
        self._scene = mujoco.MjvScene(model, MAX_GEOMS)
        self._scene.flags[_FLAG.mjRND_SHADOW] = model.light_castshadow.any()
        self._scene.flags[_FLAG.mjRND_REFLECTION] = 0
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._arm = np.flatnonzero(model.geom_group == robot.ARM_GROUP)
        self._mesh = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_MESH.value, things.OBJECT)
        self._vertices = self._vertices_of(model)

    def draw(self, data: mujoco.MjData, camera: str, width: int, height: int) -> NDArray[np.uint8]:
        """See `draw` above."""
        rectangle = self._render(data, camera, width, height)
        return self._read(rectangle)

    def draw_depth(
        self, data: mujoco.MjData, camera: str, width: int, height: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """RGB as `draw` gives it, and depth (height, width) float32 m, of one rendering.

        Depth is measured along the camera's axis, not along the pixel's ray. It is 0 where there
        is nothing within `DEPTH_MOST_M`, as depth cameras tell it.
        """
        rectangle = self._render(data, camera, width, height)
        buffer = np.empty((height, width), np.float32)
        picture = self._read(rectangle, buffer)
        return picture, self._metres(buffer)

    def robot_mask(
        self, data: mujoco.MjData, camera: str, width: int, height: int
    ) -> NDArray[np.bool_]:
        """See `robot_mask` above."""
        flags = [_FLAG.mjRND_SEGMENT, _FLAG.mjRND_IDCOLOR]
        for flag in flags:
            self._scene.flags[flag] = 1
        rectangle = self._render(data, camera, width, height)
        for flag in flags:
            self._scene.flags[flag] = 0
        number = self._read(rectangle).astype(np.uint32) @ np.array([1, 2**8, 2**16], np.uint32)
        shown = self._scene.geoms[: self._scene.ngeom]
        mine = [geom.segid + 1 for geom in shown if self._is_robot(geom)]
        return np.isin(number, mine)

    def close(self) -> None:
        self._context.make_current()
        self._gpu.free()
        self._context.free()

    def _render(self, data: mujoco.MjData, camera: str, width: int, height: int) -> mujoco.MjrRect:
        self._check(camera, width, height)
        self._context.make_current()
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._gpu)
        self._load_object(data.model)
        self._camera.fixedcamid = self._model.camera(camera).id
        self._option.geomgroup[robot.ARM_GROUP] = self._shows_arm(data, width / height)
        mujoco.mjv_updateScene(
            data.model,  # the canvas's own, or an episode's variant of it
            data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        rectangle = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(rectangle, self._scene, self._gpu)
        return rectangle

    def _load_object(self, model: mujoco.MjModel) -> None:
        """The object's mesh as `model` has it: an episode may have stretched it."""
        vertices = self._vertices_of(model)
        if not np.array_equal(vertices, self._vertices):
            mujoco.mjr_uploadMesh(model, self._gpu, self._mesh)
            self._vertices = vertices

    def _vertices_of(self, model: mujoco.MjModel) -> NDArray[np.float32]:
        """The object's vertices (V, 3) m, none where it is no mesh."""
        if self._mesh < 0:
            return np.empty((0, 3), np.float32)
        begin = model.mesh_vertadr[self._mesh]
        return model.mesh_vert[begin : begin + model.mesh_vertnum[self._mesh]].copy()

    def _shows_arm(self, data: mujoco.MjData, aspect: float) -> bool:
        """Whether any link above the wrist may be in the picture, by the spheres round its meshes.

        The wrist camera hardly ever sees them, and drawing what lies outside costs as much.
        What is outside may still cast a shadow inside.
        """
        if self._scene.flags[_FLAG.mjRND_SHADOW]:
            return True
        number = self._camera.fixedcamid
        half = np.radians(data.model.cam_fovy[number]) / 2
        spread = np.arctan(np.tan(half) * np.array([aspect, 1.0]))  # (2,) half angles
        place = (data.geom_xpos[self._arm] - data.cam_xpos[number]) @ data.cam_xmat[number].reshape(
            3, 3
        )
        beyond = np.abs(place[:, :2]) * np.cos(spread) + place[:, 2:] * np.sin(spread)  # (N, 2) m
        return bool((beyond.max(axis=1) <= data.model.geom_rbound[self._arm]).any())

    def _read(
        self, rectangle: mujoco.MjrRect, depth: NDArray[np.float32] | None = None
    ) -> NDArray[np.uint8]:
        """The pixels just rendered, top row first; the depth buffer (bottom row first) as well."""
        picture = np.empty((rectangle.height, rectangle.width, 3), np.uint8)
        mujoco.mjr_readPixels(picture, depth, rectangle, self._gpu)
        return np.ascontiguousarray(picture[::-1])

    def _metres(self, buffer: NDArray[np.float32]) -> NDArray[np.float32]:
        """A depth buffer (1 at the near plane, 0 at the far one) in metres, top row first."""
        planes, extent = self._model.vis.map, self._model.stat.extent
        near, far = float(planes.znear * extent), float(planes.zfar * extent)
        metres = near * far / (near + buffer[::-1].astype(np.float64) * (far - near))
        return np.where(metres <= DEPTH_MOST_M, metres, 0.0).astype(np.float32)

    def _is_robot(self, geom: mujoco.MjvGeom) -> bool:
        if geom.objtype != mujoco.mjtObj.mjOBJ_GEOM:
            return False
        body = self._model.geom_bodyid[geom.objid]
        return self._model.body_rootid[body] == self._model.body(robot.BASE).id

    def _check(self, camera: str, width: int, height: int) -> None:
        names = [self._model.camera(i).name for i in range(self._model.ncam)]
        if camera not in names:
            raise ArmFault(f"no camera {camera!r} in this scene. There is: {', '.join(names)}.")
        if not (0 < width <= self._most[0] and 0 < height <= self._most[1]):
            raise ArmFault(
                f"a picture of {width} x {height}; what can be drawn is 1 x 1 to "
                f"{self._most[0]} x {self._most[1]}."
            )


_open: dict[tuple[SceneCfg, int], Canvas] = {}  # the one used last is last


def _canvas(cfg: SceneCfg, thread: int) -> Canvas:
    canvas = _open.pop((cfg, thread), None)
    if canvas is None:
        mine = [key for key in list(_open) if key[1] == thread]
        if len(mine) >= MOST_CANVASES:
            _close(_open.pop(mine[0]))
        canvas = Canvas(build(cfg))
        atexit.register(canvas.close)
    _open[cfg, thread] = canvas
    return canvas


def _close(canvas: Canvas) -> None:
    atexit.unregister(canvas.close)
    canvas.close()
