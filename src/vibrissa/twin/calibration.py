"""How the twin's servos are mounted and calibrated, and the files that say so.

A servo keeps its EPROM in `servos.json` of the twin's folder; the calibration file that LeRobot
reads is written from it, so that the two agree when a driver asks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from vibrissa.core.errors import UsageError
from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD
from vibrissa.twin.servo import RAD_A_TICK, TURN, Servo

ARMS = ("follower", "leader")
KEPT = "servos.json"
# What each encoder says at 0 rad: how somebody happened to put the horns on.
MOUNTS = {
    "follower": (1893, 2741, 1204, 3310, 2102, 1533),
    "leader": (2217, 1388, 2904, 1755, 2490, 3051),
}
MIDDLE = TURN // 2 - 1  # where LeRobot's calibration puts the pose it starts from
Flash = Mapping[str, int]


def calibrated(arm: str) -> dict[str, dict[str, int]]:
    """Each servo's kept registers after setup, and a calibration from the middle of all ranges."""
    found = {}
    for i, (joint, mount) in enumerate(zip(JOINTS, MOUNTS[arm], strict=True)):
        low, high = float(LOW_RAD[i]), float(HIGH_RAD[i])
        round_about = joint == "wrist_roll"  # LeRobot lets it turn all the way
        centre = 0.0 if round_about else (low + high) / 2
        ends = [round(MIDDLE + (end - centre) / RAD_A_TICK) for end in (low, high)]
        found[joint] = {
            "ID": i + 1,
            "Homing_Offset": _wrapped(round(mount + centre / RAD_A_TICK) - MIDDLE),
            "Min_Position_Limit": 0 if round_about else ends[0],
            "Max_Position_Limit": TURN - 1 if round_about else ends[1],
        }
    return found


def lerobot_calibration(servos: Sequence[Servo]) -> dict[str, dict[str, int]]:
    """What LeRobot's calibration file says of servos that are calibrated like this."""
    return {
        servo.joint: {
            "id": servo.memory["ID"],
            "drive_mode": 0,
            "homing_offset": servo.memory["Homing_Offset"],
            "range_min": servo.memory["Min_Position_Limit"],
            "range_max": servo.memory["Max_Position_Limit"],
        }
        for servo in servos
    }


def make_servos(folder: Path, arm: str, state: str = "kept") -> list[Servo]:
    """Six servos. state: as they were `kept` in the folder, newly `calibrated`, or `factory`.

    Those that were never kept are calibrated. Raises UsageError for a file that is none.
    """
    flash: Mapping[str, Flash] = {} if state == "factory" else calibrated(arm)
    if state == "kept":
        flash = {**flash, **kept(folder).get(arm, {})}
    return [
        Servo(joint, mount, flash.get(joint))
        for joint, mount in zip(JOINTS, MOUNTS[arm], strict=True)
    ]


def kept(folder: Path) -> dict[str, dict[str, Flash]]:
    """What was kept in `folder`: arm → joint → register → value. Raises UsageError."""
    path = folder / KEPT
    try:
        return json.loads(path.read_text("utf8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read ({error}). Start anew: --servos calibrated"
        ) from error


def keep(folder: Path, servos: Mapping[str, Sequence[Servo]]) -> None:
    """Write what the servos keep; whole or not at all."""
    flash = {arm: {s.joint: s.memory.flash for s in some} for arm, some in servos.items()}
    part = folder / f".{KEPT}.part"
    part.write_text(json.dumps(flash, indent=1), "utf8")
    os.replace(part, folder / KEPT)


def calibration_file(folder: Path, arm: str) -> Path:
    """Where LeRobot finds it with `calibration_dir=<folder>/calibration/<arm>` and `id=<arm>`."""
    return folder / "calibration" / arm / f"{arm}.json"


def write_calibration(folder: Path, arm: str, servos: Sequence[Servo]) -> bool:
    """Write LeRobot's file where the servos are set up; False, and no file, where they are not."""
    path = calibration_file(folder, arm)
    path.parent.mkdir(parents=True, exist_ok=True)
    if [servo.memory["ID"] for servo in servos] != list(range(1, len(JOINTS) + 1)):
        path.unlink(missing_ok=True)
        return False
    path.write_text(json.dumps(lerobot_calibration(servos), indent=4) + "\n", "utf8")
    return True


def _wrapped(offset: int) -> int:
    """An offset as the register holds one: -2047 to 2047, the same modulo a turn."""
    return (offset + TURN // 2) % TURN - TURN // 2
