"""A hand moves a running twin's arm: the leader to lead, the follower for its calibration.

vibrissa twin move circle                        the leader, to and fro, until another order
vibrissa twin move --joint gripper --to 80       one joint, LeRobot's degrees or percent
vibrissa twin move --recording DATASET           as it was once moved, from a dataset or a CSV
vibrissa twin move middle --arm follower --hold  where a calibration begins; then: sweep
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from vibrissa.commands.twin import folder_of
from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS


@dataclass(frozen=True)
class Config:
    """One motion: a script, a joint, a recording, or `free` to let go."""

    script: Annotated[
        Literal["", "middle", "sweep", "circle", "pick", "free"], tyro.conf.Positional
    ] = ""
    """middle of all ranges, sweep through them, circle without an end, pick; or let go."""
    arm: Literal["follower", "leader"] = "leader"
    """Whose joints."""
    joint: str = ""
    """One joint, to be moved to --to."""
    to: float = 0.0
    """Where to: LeRobot's degrees, the gripper 0 (closed) to 100 (open)."""
    recording: Path | None = None
    """A LeRobot dataset of an SO-101, or a CSV: time_s and six joints, in LeRobot's units."""
    episode: int = 0
    """Of the dataset."""
    rad_s: float = 1.5
    """How fast the fastest joint is moved."""
    hold: bool = False
    """The hand stays there at the end, also against gravity; otherwise it lets go."""
    dir: Path | None = None
    """The twin's folder."""


def run(cfg: Config) -> int:
    from vibrissa.twin.control import ask

    if sum(map(bool, (cfg.script, cfg.joint, cfg.recording))) != 1:
        raise UsageError("one motion: a script's name, or --joint with --to, or --recording.")
    if not 0.05 <= cfg.rad_s <= 6:
        raise UsageError(f"--rad-s {cfg.rad_s}: 0.05 to 6 rad/s.")
    asked: dict[str, Any] = {"arm": cfg.arm, "rad_s": cfg.rad_s, "hold": cfg.hold}
    if cfg.script == "free":
        asked["free"] = True
    elif cfg.script:
        asked["script"] = cfg.script
    elif cfg.joint:
        asked |= {"joint": cfg.joint, "to": cfg.to}
    elif cfg.recording is not None:
        asked["times_s"], asked["path_rad"] = _recorded(cfg.recording, cfg.episode)
    seconds = ask(folder_of(cfg.dir), {"do": "move", **asked})["seconds"]
    lasts = "until another order" if seconds is None else f"for {seconds:.1f} s"
    print(f"{cfg.arm}: let go" if cfg.script == "free" else f"{cfg.arm}: moved {lasts}")
    return 0


def _recorded(path: Path, episode: int) -> tuple[list[float], list[list[float]]]:
    """Times (T,) s and joints (T, 6) rad."""
    if path.is_dir():
        from vibrissa.data.dataset import open_dataset
        from vibrissa.data.recorded import motion_of

        dataset = open_dataset(path)
        motion = motion_of(dataset, episode)
        count = len(motion.action)
        return [k / dataset.fps for k in range(count)], motion.action.tolist()
    return _from_csv(path)


def _from_csv(path: Path) -> tuple[list[float], list[list[float]]]:
    import numpy as np

    from vibrissa.core.units import to_rad

    wanted = ["time_s", *JOINTS]
    try:
        with path.open(newline="") as file:
            rows = [[float(row[name]) for name in wanted] for row in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is no recorded motion ({error}); its columns: {', '.join(wanted)}."
        ) from error
    if len(rows) < 2:
        raise UsageError(f"{path} holds {len(rows)} rows; a motion is at least two.")
    table = np.array(rows)
    return table[:, 0].tolist(), to_rad(table[:, 1:], "deg").tolist()
