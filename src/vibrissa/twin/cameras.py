"""The twin's cameras: a process of its own that publishes pictures as LeRobot's ZMQ camera reads.

Every camera has a port of its own, because a stock reader that finds another camera's picture in
a message takes it for its own. A message is JSON:

    {"timestamps": {name: s}, "images": {name: base64 JPEG}, "sequence": {name: n},
     "monotonic_s": {name: s}}

The first two are LeRobot's (wall clock); the others say which frame of the camera this is and when
it was taken on this machine's monotonic clock (that of `time.monotonic` and, on Linux,
`time.perf_counter`). As LeRobot's own server does it, the JPEG holds red where others hold blue,
so that what a reader decodes with OpenCV is RGB.

The bus must not wait for a picture: the twin only leaves its joint positions in shared memory,
and whatever rendering costs is paid by the other process.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import CameraSpec
from vibrissa.core.errors import ArmFault, UsageError
from vibrissa.twin.camera_faults import CameraFault
from vibrissa.twin.publishing import publish
from vibrissa.twin.ready import ready_picture

if TYPE_CHECKING:
    from vibrissa.sim.scene import SceneCfg

START_S = 60.0  # a cold start compiles shaders and paints ready-made pictures
STOP_S = 5.0
MOST_READS = 10_000  # of a world that is being written; a writer that died there never ends
NICENESS = 5  # rendering yields to the bus
_SILENT = "the camera server does not start. Its own words are above, if it had any."
# What the cameras see: (camera, number of the frame) → (H, W, 3) uint8 RGB.
Look = Callable[[str, int], NDArray[np.uint8]]


class Views(Protocol):
    """What cameras look at, told to another process and opened there.

    `count` is how many different frames there are, 0 for ever new ones; `size` is how many
    numbers (Q,) of the world `look` wants to know.
    """

    @property
    def cameras(self) -> tuple[CameraSpec, ...]: ...
    @property
    def count(self) -> int: ...
    @property
    def size(self) -> int: ...
    def open(self, world: World) -> Look: ...


@dataclass(frozen=True)
class Ready:
    """Ready-made pictures, `count` for each camera, with frame numbers to read: see `ready`."""

    cameras: tuple[CameraSpec, ...]
    count: int = 120
    size: int = 0

    def open(self, world: World) -> Look:
        specs = {camera.name: camera for camera in self.cameras}

        def look(camera: str, number: int) -> NDArray[np.uint8]:
            spec = specs[camera]
            return ready_picture(camera, spec.width, spec.height, number % self.count)

        return look


@dataclass(frozen=True)
class Rendered:
    """The cameras `names` of a scene, as its world stands: MuJoCo's qpos (Q,)."""

    scene: SceneCfg
    names: tuple[str, ...]
    count: int = 0

    @property
    def cameras(self) -> tuple[CameraSpec, ...]:
        from vibrissa.sim.views import chosen

        return tuple(view.spec for view in chosen(self.scene, self.names))

    @property
    def size(self) -> int:
        from vibrissa.sim.scene import build

        return int(build(self.scene).nq)

    def open(self, world: World) -> Look:
        from vibrissa.sim.arm import SimArm

        arm = SimArm(self.scene, cameras=self.names)

        def look(camera: str, number: int) -> NDArray[np.uint8]:
            picture = arm.show(world.read()[None], 0)[camera]
            assert picture.dtype == np.uint8, f"{camera} gives depth, which LeRobot does not carry"
            return picture.astype(np.uint8, copy=False)

        return look


class World:
    """The numbers (Q,) float64 of a world, written by one process and read by another.

    Nobody locks anybody out: a reader that was overtaken by the writer reads again.
    """

    def __init__(self, size: int):
        context = multiprocessing.get_context("spawn")
        self._count = context.RawValue("Q", 0)
        self._values = context.RawArray("d", max(1, size))
        self._size = size

    def write(self, values: NDArray[np.float64]) -> None:
        """Raises ArmFault for another number of values."""
        if np.shape(values) != (self._size,):
            raise ArmFault(f"a world of shape {np.shape(values)}; it has ({self._size},) numbers.")
        self._count.value += 1
        np.frombuffer(self._values, np.float64)[: self._size] = values
        self._count.value += 1

    def read(self) -> NDArray[np.float64]:
        """What was written last, (Q,)."""
        for _ in range(MOST_READS):
            before = self._count.value
            values = np.frombuffer(self._values, np.float64)[: self._size].copy()
            if before % 2 == 0 and before == self._count.value:
                return values
        raise ArmFault("the twin's world is half written: its process has ended.")


class CameraServer:
    """Publishes `views` at `fps` until stopped; the first camera at `port`, the next ones above.

    `port` 0 takes whatever ports are free. The process ends with the one that started it,
    however that ends.
    """

    def __init__(
        self, views: Views, *, fps: float = 30.0, port: int = 5555, host: str = "127.0.0.1"
    ):
        if not views.cameras:
            raise UsageError("a camera server without a camera. Name one.")
        self._views, self._fps, self._port, self._host = views, fps, port, host
        self._world = World(views.size)
        self._process: Any = None
        self._pipe: Connection | None = None
        self.addresses: dict[str, str] = {}  # camera → tcp://host:port/camera, once started

    def start(self) -> CameraServer:
        """Returns once every camera is being published.

        Raises UsageError where a port is taken, ArmFault where there is no OpenGL to render with.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        where = (self._host, self._port)
        self._process = context.Process(
            target=_serve, args=(theirs, self._views, self._world, self._fps, where), daemon=True
        )
        self._process.start()
        theirs.close()
        try:
            told = self._pipe.recv() if self._pipe.poll(START_S) else ArmFault(_SILENT)
        except EOFError:
            told = ArmFault(_SILENT)
        if isinstance(told, Exception):
            self.stop()
            raise told
        self.addresses = {name: f"tcp://{self._host}:{port}/{name}" for name, port in told.items()}
        return self

    def show(self, world: NDArray[np.float64]) -> None:
        """From now on the cameras see this `world` (Q,). Takes a microsecond."""
        self._world.write(world)

    def fault(self, fault: CameraFault) -> None:
        """`fault` happens, `at_s` from now. Raises UsageError for a camera that is not there."""
        names = [camera.name for camera in self._views.cameras]
        if fault.camera and fault.camera not in names:
            raise UsageError(f"no camera {fault.camera!r}. There is: {', '.join(names)}.")
        self._send(fault)

    def heal(self, camera: str = "") -> None:
        """No faults of `camera` any more, or none at all."""
        self._send(camera)

    def stop(self) -> None:
        """The cameras are gone when this returns. May be called twice."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.join(STOP_S)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process = None

    def __enter__(self) -> CameraServer:
        return self if self.addresses else self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _send(self, told: CameraFault | str) -> None:
        if self._pipe is None:
            raise ArmFault("a camera server that is not running has no faults: start it first.")
        try:
            self._pipe.send(told)
        except OSError as error:
            raise ArmFault(f"the camera server is gone: {error}.") from error


def _serve(
    pipe: Connection, views: Views, world: World, fps: float, where: tuple[str, int]
) -> None:
    """The other process: opens the views, then publishes them until the pipe closes."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the twin, which then stops us
    if views.count == 0:
        os.nice(NICENESS)
    try:
        publish(pipe, views, views.open(world), fps, where)
    except (ArmFault, UsageError) as error:
        pipe.send(error)
    except (EOFError, OSError):
        return  # the one that started us is gone
