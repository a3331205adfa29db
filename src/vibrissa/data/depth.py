"""Depth as LeRobot stores it: a grey HEVC video of 12-bit codes, written here in whole millimetres.

LeRobot keeps in info.json how a code becomes a distance: linear or logarithmic, from where to
where (`lerobot.configs.video.DepthEncoderConfig`). Its default is logarithmic to 10 m and steps by
1.3 mm at half a metre; linear from 0 to 4.095 m steps by 1 mm everywhere, and 0 stays 0, which is
how depth cameras say that they measured nothing. The codes are encoded without loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vibrissa.core.contract import DEPTH_MOST_M

if TYPE_CHECKING:
    from lerobot.configs.video import DepthEncoderConfig

MOST_CODE = 4095  # 12 bits
ERROR_M = DEPTH_MOST_M / MOST_CODE / 2  # of a stored distance: half a millimetre
VCODEC, PIXELS, GOP, PRESET = "hevc", "gray12le", 2, "ultrafast"
# x265 prints to the terminal unless told not to; B-frames would come out of the decoder late.
X265 = "lossless=1:log-level=none:bframes=0:pools=none:frame-threads=1"
UNIT = "m"  # of the pictures and their statistics; LeRobot's word for it

OURS: Mapping[str, Any] = {"depth_min": 0.0, "depth_max": DEPTH_MOST_M, "use_log": False}
_LEROBOT = {"depth_min": 0.01, "depth_max": 10.0, "shift": 3.5, "use_log": True}  # its defaults


def is_depth(feature: Mapping[str, Any]) -> bool:
    """Whether LeRobot takes this picture feature for depth: by its mark, never by its name."""
    info, older = feature.get("info") or {}, feature.get("video_info") or {}
    marks = (info.get("is_depth_map"), info.get("video.is_depth_map"))
    return any((*marks, older.get("video.is_depth_map")))


def codes(metres: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Distances (H, W) in m as the codes that are stored; what is no distance becomes 0."""
    known = np.isfinite(metres) & (metres >= 0) & (metres <= DEPTH_MOST_M)
    scaled = np.where(known, metres, 0.0) * (MOST_CODE / DEPTH_MOST_M)
    return np.rint(scaled).astype(np.uint16)


def metres(stored: NDArray[np.uint16], feature: Mapping[str, Any]) -> NDArray[np.float32]:
    """Stored codes (H, W) in m, by what `feature` says of them: the inverse of LeRobot's coding."""
    info = feature.get("info") or {}
    low, high, shift, log = (
        default if info.get(f"video.{name}") is None else info[f"video.{name}"]
        for name, default in _LEROBOT.items()
    )
    share = stored.astype(np.float64) / MOST_CODE
    if log:
        first, last = np.log(low + shift), np.log(high + shift)
        return (np.exp(first + share * (last - first)) - shift).astype(np.float32)
    return (low + share * (high - low)).astype(np.float32)


def cell_metres(values: NDArray, feature: Mapping[str, Any]) -> NDArray[np.float32]:
    """A depth picture stored as it is (no video) in m: LeRobot's whole numbers are millimetres."""
    unit = (feature.get("info") or {}).get("depth_unit")
    unit = unit or ("mm" if np.issubdtype(values.dtype, np.integer) else "m")
    return values.astype(np.float32) / np.float32(1000 if unit == "mm" else 1)


def encoder_told() -> DepthEncoderConfig:
    """How it was encoded, for info.json."""
    from lerobot.configs.video import DepthEncoderConfig

    return DepthEncoderConfig(
        vcodec=VCODEC,
        pix_fmt=PIXELS,
        g=GOP,
        crf=None,
        preset=PRESET,
        extra_options={"x265-params": X265},
        **OURS,
    )


def colours(
    features: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, Mapping[str, Any]], tuple[str, ...]]:
    """`features` without depth, for those who see colours only, and the keys left out."""
    left_out = tuple(key for key, feature in features.items() if is_depth(feature))
    return {key: f for key, f in features.items() if key not in left_out}, left_out
