"""Where frames come from: a webcam by its stable name, a ZMQ publisher, a RealSense.

A source blocks and belongs to one thread. It raises `CameraTrouble` where the camera has to be
opened again, and `BadFrame` for one picture that cannot be used.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import ArmFault, UsageError
from vibrissa.real.camera_message import MOST_BYTES, BadFrame, parsed, plain
from vibrissa.real.rig import CONTROLS, CameraCfg, device_trouble

PLAUSIBLE_S = 5.0  # a time of capture that is older is of another clock


class CameraTrouble(ArmFault):
    """A camera that cannot be opened or read; its thread tries again."""


@dataclass(frozen=True)
class Grabbed:
    """picture: (H, W, 3) uint8 RGB, nobody else's. captured_s: on `time.perf_counter`'s clock,
    before decoding. sequence: the camera's own count, None where it has none. depth: (H, W) m.
    """

    picture: NDArray[np.uint8]
    captured_s: float
    sequence: int | None = None
    depth: NDArray[np.float32] | None = None


class Source(Protocol):
    """An open camera. `read` gives None when nothing came within the time."""

    def read(self, within_s: float) -> Grabbed | None: ...
    def settings(self) -> dict[str, float]: ...
    def close(self) -> None: ...


def make_source(cfg: CameraCfg, *, any_size: bool = False) -> Source:
    """Open the camera. Raises CameraTrouble where it cannot be had now.

    any_size: a network camera's pictures may have another size than `cfg` says, which is not
    known yet where a rig is set up.
    """
    if cfg.kind == "zmq":
        return Published(cfg, any_size=any_size)
    kinds = {"opencv": Webcam, "realsense": RealSense}
    return kinds[cfg.kind](cfg)


class Published:
    """Pictures published as LeRobot's ZMQ camera wants them: see `camera_message`.

    "monotonic_s" counts where it may be of this machine's clock.
    """

    def __init__(self, cfg: CameraCfg, *, any_size: bool = False):
        import zmq

        address, _, self._name = cfg.device.removeprefix("tcp://").partition("/")
        self._size = None if any_size else (cfg.width, cfg.height)
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.setsockopt(zmq.CONFLATE, 1)  # only the newest: an old picture is of no use
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MOST_BYTES)  # a larger one ends its connection
        self._socket.setsockopt_string(zmq.SUBSCRIBE, "")
        self._socket.connect(f"tcp://{address}")

    def read(self, within_s: float) -> Grabbed | None:
        if not self._socket.poll(within_s * 1000):
            return None
        heard_s = time.perf_counter()
        message = parsed(self._socket.recv(), self._name, self._size)
        told_s = heard_s if message.told_s is None else message.told_s
        captured_s = told_s if 0 <= heard_s - told_s < PLAUSIBLE_S else heard_s
        return Grabbed(message.picture, captured_s, message.sequence)

    def settings(self) -> dict[str, float]:
        return {}

    def close(self) -> None:
        self._socket.close()


# OpenCV's property of each of the rig's exposure settings.
_PROPERTIES = {
    "auto_exposure": cv2.CAP_PROP_AUTO_EXPOSURE,
    "auto_white_balance": cv2.CAP_PROP_AUTO_WB,
    "auto_focus": cv2.CAP_PROP_AUTOFOCUS,
    "exposure": cv2.CAP_PROP_EXPOSURE,
    "gain": cv2.CAP_PROP_GAIN,
    "white_balance": cv2.CAP_PROP_WB_TEMPERATURE,
    "focus": cv2.CAP_PROP_FOCUS,
    "brightness": cv2.CAP_PROP_BRIGHTNESS,
    "contrast": cv2.CAP_PROP_CONTRAST,
    "saturation": cv2.CAP_PROP_SATURATION,
    "sharpness": cv2.CAP_PROP_SHARPNESS,
}


class Webcam:
    """A webcam through OpenCV, by its path under /dev/v4l/by-id; MJPG, so that two share a bus.

    A film's path may take its place; it is gone when it ends.
    """

    def __init__(self, cfg: CameraCfg):
        if trouble := device_trouble(cfg):
            raise UsageError(f"camera {cfg.name!r}: {trouble}")
        try:
            is_device = stat.S_ISCHR(os.stat(cfg.device).st_mode)
        except OSError as error:
            raise CameraTrouble(f"{cfg.device}: {error.strerror}. Is it plugged in?") from error
        self._capture = cv2.VideoCapture(cfg.device, cv2.CAP_V4L2 if is_device else cv2.CAP_ANY)
        if not self._capture.isOpened():
            raise CameraTrouble(f"{cfg.device} does not open. Does another program use it?")
        if is_device:
            self._set(cfg)

    def read(self, within_s: float) -> Grabbed | None:
        if not self._capture.grab():
            raise CameraTrouble("it does not answer any more.")
        captured_s = _captured(self._capture.get(cv2.CAP_PROP_POS_MSEC), time.perf_counter())
        try:
            fine, picture = self._capture.retrieve()
            if not fine:
                raise BadFrame("a frame cannot be decoded. Check its cable.")
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        except cv2.error as error:
            raise BadFrame(f"a frame is no colour picture: {plain(error.err)}.") from error
        return Grabbed(np.asarray(picture, np.uint8), captured_s)

    def settings(self) -> dict[str, float]:
        """What exposure and its kin are now, for those the camera has."""
        found = {name: self._capture.get(prop) for name, prop in _PROPERTIES.items()}
        return {name: value for name, value in found.items() if value != -1}

    def close(self) -> None:
        self._capture.release()

    def _set(self, cfg: CameraCfg) -> None:
        capture = self._capture
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, cfg.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, cfg.height)
        capture.set(cv2.CAP_PROP_FPS, cfg.fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        for name in CONTROLS:  # in this order
            if name in cfg.exposure and not capture.set(_PROPERTIES[name], cfg.exposure[name]):
                raise CameraTrouble(f"it does not take {name} {cfg.exposure[name]}.")


class RealSense:
    """A RealSense through LeRobot's class, with depth if wanted."""

    def __init__(self, cfg: CameraCfg):
        try:
            from lerobot.cameras.realsense import RealSenseCamera, RealSenseCameraConfig
        except ImportError as error:
            raise UsageError(
                f"camera {cfg.name!r}: RealSense wants its driver: pip install "
                "'vibrissa[realsense]'."
            ) from error
        wanted: dict[str, Any] = {
            k: v for k, v in cfg.exposure.items() if k in ("exposure", "gain")
        }
        try:
            self._camera: Any = RealSenseCamera(
                RealSenseCameraConfig(
                    cfg.device,
                    fps=cfg.fps,
                    width=cfg.width,
                    height=cfg.height,
                    use_depth=cfg.depth,
                    **wanted,
                )
            )
            self._camera.connect()
        except ImportError as error:
            raise CameraTrouble("its driver is missing: pip install 'vibrissa[realsense]'.") from (
                error
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise CameraTrouble(f"{cfg.device}: {error}") from error
        self._unit_m = _depth_unit_m(self._camera) if cfg.depth else 0.0

    def read(self, within_s: float) -> Grabbed | None:
        try:
            self._camera.async_read(timeout_ms=within_s * 1000)
        except TimeoutError:
            return None
        except (ConnectionError, RuntimeError) as error:
            raise CameraTrouble(f"{error}") from error
        with self._camera.frame_lock:  # colour, depth and time of one moment
            picture, captured_s = self._camera.latest_color_frame, self._camera.latest_timestamp
            depth = self._camera.latest_depth_frame
        if picture is None:
            return None
        if self._unit_m and depth is None:
            raise BadFrame("a frame came without its depth.")
        metres = depth[..., 0] * np.float32(self._unit_m) if self._unit_m else None
        return Grabbed(np.array(picture, np.uint8), float(captured_s), None, metres)

    def settings(self) -> dict[str, float]:
        return {}

    def close(self) -> None:
        try:
            self._camera.disconnect()
        except (ConnectionError, RuntimeError):
            return  # it went first


def _depth_unit_m(camera: Any) -> float:
    """Metres a step of depth: a thousandth with most, a tenth of that with a D405.

    LeRobot hands out the steps and calls them millimetres.
    """
    return float(camera.rs_profile.get_device().first_depth_sensor().get_depth_scale())


def _captured(driver_ms: float, now_s: float) -> float:
    """The driver's own time of capture where it tells one on the monotonic clock, else now."""
    told_s = driver_ms / 1000
    return told_s if 0 <= now_s - told_s < PLAUSIBLE_S else now_s
