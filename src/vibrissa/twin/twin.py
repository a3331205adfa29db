"""A whole rig that is not there: follower and leader at stable paths, calibrated and described.

`Twin(folder)` serves in threads of this process. A folder keeps what servos keep without power,
so the same arm comes back the next time.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import yaml

from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD
from vibrissa.sim.scene import SceneCfg
from vibrissa.twin.bus import Bus
from vibrissa.twin.port import Station
from vibrissa.twin.servo import RAD_A_TICK, TURN, Servo
from vibrissa.twin.world import CarriedBody, SimulatedBody

ARMS = ("follower", "leader")
# What each encoder says at 0 rad: how somebody happened to put the horns on.
MOUNTS = {
    "follower": (1893, 2741, 1204, 3310, 2102, 1533),
    "leader": (2217, 1388, 2904, 1755, 2490, 3051),
}
MIDDLE = TURN // 2 - 1  # where LeRobot's calibration puts the pose it starts from


def calibration(arm: str) -> dict[str, dict[str, int]]:
    """What LeRobot's calibration of this arm comes to: joint → id, offset, range (ticks).

    The pose it starts from is the middle of every joint's range.
    """
    found = {}
    for i, (joint, mount) in enumerate(zip(JOINTS, MOUNTS[arm], strict=True)):
        centre = float(LOW_RAD[i] + HIGH_RAD[i]) / 2 if joint != "wrist_roll" else 0.0
        offset = round(mount + centre / RAD_A_TICK) - MIDDLE
        if abs(offset) > TURN // 2 - 1:
            offset -= int(np.sign(offset)) * TURN
        ends = [
            round(MIDDLE + (float(end[i]) - centre) / RAD_A_TICK) for end in (LOW_RAD, HIGH_RAD)
        ]
        low, high = (0, TURN - 1) if joint == "wrist_roll" else ends
        found[joint] = {
            "id": i + 1,
            "drive_mode": 0,
            "homing_offset": offset,
            "range_min": low,
            "range_max": high,
        }
    return found


def calibrated_flash(arm: str, joint: str) -> dict[str, int]:
    """A servo's kept registers after setup and calibration."""
    entry = calibration(arm)[joint]
    return {
        "ID": entry["id"],
        "Homing_Offset": entry["homing_offset"],
        "Min_Position_Limit": entry["range_min"],
        "Max_Position_Limit": entry["range_max"],
    }


class Twin:
    """Follower and leader served from `folder`. Use it as a context."""

    def __init__(self, folder: Path, scene: SceneCfg, *, seed: int = 0):
        self.folder = folder
        bodies = {
            "follower": SimulatedBody(self._servos("follower"), scene, seed=seed),
            "leader": CarriedBody(self._servos("leader"), scene.home_rad),
        }
        self.stations = {
            arm: Station(arm, folder / arm, Bus(body.servos, self._keep), body)
            for arm, body in bodies.items()
        }
        self._open = ExitStack()

    def __enter__(self) -> Twin:
        self.folder.mkdir(parents=True, exist_ok=True)
        for arm in ARMS:
            self._write_calibration(arm)
            self._open.enter_context(self.stations[arm])
        self._write_rig()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def calibration_file(self, arm: str) -> Path:
        """Where LeRobot finds it with `calibration_dir=<folder>/calibration/<arm>`, `id=<arm>`."""
        return self.folder / "calibration" / arm / f"{arm}.json"

    def told(self) -> str:
        """What is served, and how LeRobot is told of it."""
        lines = [f"twin: {self.folder / 'rig.yaml'}"]
        for arm, kind in (("follower", "robot"), ("leader", "teleop")):
            lines.append(
                f"  --{kind}.type=so101_{arm} --{kind}.port={self.folder / arm} --{kind}.id={arm} "
                f"--{kind}.calibration_dir={self.calibration_file(arm).parent}"
            )
        return "\n".join(lines)

    def _write_rig(self) -> None:
        rig = {
            key: {
                "kind": "so101",
                "port": str(self.folder / arm),
                "id": arm,
                "calibration": str(self.calibration_file(arm)),
            }
            for key, arm in (("arm", "follower"), ("leader", "leader"))
        }
        (self.folder / "rig.yaml").write_text(yaml.safe_dump(rig, sort_keys=False), "utf8")

    def _servos(self, arm: str) -> list[Servo]:
        return [
            Servo(joint, mount, calibrated_flash(arm, joint))
            for joint, mount in zip(JOINTS, MOUNTS[arm], strict=True)
        ]

    def _keep(self, servo: Servo, names: list[str]) -> None:
        pass

    def _write_calibration(self, arm: str) -> None:
        path = self.calibration_file(arm)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(calibration(arm), indent=4) + "\n", "utf8")
