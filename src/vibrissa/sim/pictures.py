"""Pictures of a scene: one OpenGL context a model and thread, whatever the number of arms.

MuJoCo's own Renderer picks its OpenGL while MuJoCo is imported; this one picks it when the first
picture is wanted (see `gl`), and serves every size from one context.
"""

from __future__ import annotations

import atexit
import functools
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault
from vibrissa.sim import gl
from vibrissa.sim.gl import mujoco
from vibrissa.sim.scene import SceneCfg, build

MAX_GEOMS = 2000


def draw(
    cfg: SceneCfg, data: mujoco.MjData, camera: str, width: int, height: int
) -> NDArray[np.uint8]:
    """What `camera` of the scene sees: (height, width, 3) uint8 RGB.

    Raises ArmFault where there is no OpenGL, with the line that says what to install, and for
    an unknown camera or a picture larger than 1280 x 960.
    """
    return _canvas(cfg, threading.get_ident()).draw(data, camera, width, height)


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
        self._scene = mujoco.MjvScene(model, MAX_GEOMS)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = 0
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED

    def draw(self, data: mujoco.MjData, camera: str, width: int, height: int) -> NDArray[np.uint8]:
        """See `draw` above."""
        self._check(camera, width, height)
        self._context.make_current()
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._gpu)
        self._camera.fixedcamid = self._model.camera(camera).id
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        rectangle = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(rectangle, self._scene, self._gpu)
        picture = np.empty((height, width, 3), np.uint8)
        mujoco.mjr_readPixels(picture, None, rectangle, self._gpu)
        return np.ascontiguousarray(picture[::-1])

    def close(self) -> None:
        self._context.make_current()
        self._gpu.free()
        self._context.free()

    def _check(self, camera: str, width: int, height: int) -> None:
        names = [self._model.camera(i).name for i in range(self._model.ncam)]
        if camera not in names:
            raise ArmFault(f"no camera {camera!r} in this scene. There is: {', '.join(names)}.")
        if not (0 < width <= self._most[0] and 0 < height <= self._most[1]):
            raise ArmFault(
                f"a picture of {width} x {height}; what can be drawn is 1 x 1 to "
                f"{self._most[0]} x {self._most[1]}."
            )


@functools.lru_cache(maxsize=8)
def _canvas(cfg: SceneCfg, thread: int) -> Canvas:
    canvas = Canvas(build(cfg))
    atexit.register(canvas.close)
    return canvas
