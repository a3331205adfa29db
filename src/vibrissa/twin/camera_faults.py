"""What can go wrong with a camera, on purpose: at a moment, or with a share of its frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.errors import UsageError
from vibrissa.twin.faults import require_numbers

# What becomes of a picture (H, W, 3) uint8 by each fault that changes it.
SPOILT: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "black": np.zeros_like,
    "overexposed": lambda picture: picture + np.minimum(255 - picture, 200).astype(np.uint8),
    "resolution": lambda picture: np.ascontiguousarray(picture[::2, ::2]),
}
CAMERA_FAULTS: dict[str, str] = {
    "black": "pictures are black, as with a dead sensor",
    "overexposed": "pictures are nearly white",
    "resolution": "pictures come at half the width and height",
    "frozen": "the last picture is sent again and again, with new times",
    "late": "pictures arrive 0.3 s after they were taken",
    "slow": "every sixth picture is taken, the others are not",
    "gone": "nothing is sent, until it is back",
}
LATE_S = 0.3
SLOW_EVERY = 6


@dataclass(frozen=True)
class CameraFault:
    """One fault of one camera, or of all where `camera` is empty.

    at_s, for_s: when it begins, counted from when it was asked for, and how long it lasts.
    rate: the share of the frames in that time that it befalls, 0 to 1.
    """

    kind: str
    camera: str = ""
    at_s: float = 0.0
    for_s: float = float("inf")
    rate: float = 1.0

    def __post_init__(self) -> None:
        require_numbers(self.kind, self.at_s, self.for_s, self.rate)
        if self.kind not in CAMERA_FAULTS:
            raise UsageError(f"no camera fault {self.kind!r}. There is: {', '.join(CAMERA_FAULTS)}")
        if not 0 < self.rate <= 1:
            raise UsageError(f"a camera fault at the rate {self.rate}: above 0, at most 1.")
        if self.at_s < 0 or not self.for_s > 0:
            raise UsageError(
                f"a camera fault from {self.at_s} s on for {self.for_s} s: neither is below 0."
            )


class Faults:
    """Which faults there are now. Times are of one clock, s; chance comes from `rng`."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self._faults: list[CameraFault] = []

    def add(self, fault: CameraFault, now_s: float) -> None:
        """`fault.at_s` counts from `now_s`."""
        self._faults.append(dataclasses.replace(fault, at_s=now_s + fault.at_s))

    def heal(self, camera: str = "") -> None:
        """No faults of `camera` any more, or none at all."""
        keep = [] if not camera else [f for f in self._faults if f.camera != camera]
        self._faults = keep

    def of(self, camera: str, now_s: float) -> frozenset[str]:
        """The kinds that befall the frame `camera` takes now."""
        self._faults = [f for f in self._faults if now_s < f.at_s + f.for_s]
        return frozenset(
            fault.kind
            for fault in self._faults
            if fault.camera in ("", camera)
            and now_s >= fault.at_s
            and (fault.rate == 1.0 or self._rng.random() < fault.rate)
        )
