"""Record demonstrations as a LeRobot v3.0 dataset, on a real arm, its twin or the simulated one.

With --config, somebody leads the arm that the file names: → saves an episode, ← throws it away
and does it again, s and f save it as a success or a failure, Esc stops. Every finished episode
is whole on the disk at once. Without, the simulated arm's own expert demonstrates until
--episodes succeeded, each one a seed of its own, counted up from --seeds.
"""

from __future__ import annotations

import json as json_
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vibrissa.commands.rigs import LEADERS, RIG_KEYS, Home, leader_of, rig_of
from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.commands.recording import Sat
    from vibrissa.commands.scripted import Scripted

# Options that say something only where a script demonstrates, or only at an arm that is led.
SIMULATED_ONLY = ("seeds", "depth", "rig", "camera_size", "noise_rad", "start_noise_rad")
SIMULATED_ONLY += ("randomise", "servo", "keep_failures", "fleet")
LED_ONLY = ("instruction", "seconds", "rate", "reset_seconds", "resume", "top_up", "recalibrated")
LED_ONLY += ("home", "checkpoint", "accept", "replay", "operator", "light", "live", "live_file")


@dataclass(frozen=True)
class Config:
    out: Path
    """The dataset's folder; it must not exist yet, except with --resume or --top-up."""
    config: Path | None = None
    """A YAML file that names the hardware, and any of these options; a flag goes before it."""
    pilot: str = ""
    """Who drives: leader, keyboard, gamepad, replay, policy, zero; expert, random in simulation.
    By default the file's leader, or the expert."""
    instruction: str = ""
    """What is done, in words; stored with every episode. The simulated task's own by default."""
    episodes: int = 50
    """How many episodes to keep."""
    seconds: float | None = None
    """An episode's time limit; the simulated task's own by default, or 30."""
    rate: float | None = None
    """Ticks a second; the simulated task's own by default, or 30."""
    reset_seconds: float | None = None
    """The pause before every episode, in which the arm is led on; any key ends it. 0 for none;
    by default 10, and none in simulation."""
    resume: bool = False
    """Go on with the dataset of --out, up to --episodes in all."""
    top_up: int | None = None
    """Go on with the dataset of --out, with so many episodes more."""
    recalibrated: bool = False
    """Go on although the arm has been calibrated again since, for calibrations that agree."""
    home: Home | None = None
    """How a real arm goes to the file's home_deg: none, direct, or staged (through the middle of
    its joints). Where somebody leads it goes once, else before every episode."""
    checkpoint: Path | None = None
    """Of the policy pilot: a run folder, a checkpoint, or a pretrained_model folder."""
    device: str = "auto"
    """Of the policy pilot: cpu, cuda, cuda:1, mps."""
    accept: tuple[Literal["calibration", "limits", "sight"], ...] = ()
    """Of the policy pilot, differences that are taken on purpose: calibration, limits, sight."""
    replay: Path | None = None
    """Of the replay pilot: a dataset whose actions are played."""
    replay_episode: int = 0
    """Which of its episodes."""
    operator: str = ""
    """Who leads, noted with the session; the file's by default."""
    light: str = ""
    """What light there is, noted with the session; the file's by default."""
    live: bool = False
    """Show joints, cameras and their health in rerun's viewer."""
    live_file: Path | None = None
    """The same into a new file, such as view.rrd, for rerun's viewer."""
    cameras: tuple[str, ...] = ()
    """Cameras to record, such as: overhead wrist. All of the file's by default, none in
    simulation."""
    task: str = ""
    """In simulation: pick-place (the default), lift, stack, line, or a file of your own such as
    my-task.yaml. On a real arm, a short name for what is done."""
    seeds: int = 0
    """In simulation: the first seed; each attempt takes the next one."""
    depth: tuple[str, ...] = ()
    """In simulation: cameras to record with depth beside colours, each as <camera>_depth in
    metres."""
    rig: str = ""
    """In simulation: which cameras there are: rgb, or rgbd, whose overhead camera measures
    depth."""
    camera_size: tuple[int, int] | None = None
    """In simulation: width and height of all pictures; the scene's own 640 480 by default."""
    targets: Path | None = None
    """A file that says from where, and how often: YAML, as `vibrissa failures` writes it. With
    --resume its demonstrations go into the dataset of --out."""
    noise_rad: float = 0.03
    """Noise on the expert's targets, so that demonstrations show how to come back."""
    start_noise_rad: float = 0.2
    """In simulation: how far each joint may start from home."""
    randomise: str = "none"
    """In simulation, what differs from one episode to the next: none, light or strong
    (docs/randomisation.md)."""
    servo: Path | None = None
    """In simulation: a servo profile of a real arm, from `vibrissa fit`."""
    keep_failures: bool = False
    """Keep the failed episodes of a script too."""
    fleet: str = ""
    """In simulation, a script's episodes are played over Ray: local, or a cluster's address
    (docs/speed.md)."""
    json: bool = False
    """Print what was recorded as JSON."""


def defaults(args: Sequence[str]) -> Config | None:
    from vibrissa.commands.config_file import defaults_from

    return defaults_from(Config, args, beside=RIG_KEYS)


def run(cfg: Config) -> int:
    recorded = record(cfg)
    print(json_.dumps(recorded.to_dict()) if cfg.json else recorded.told())
    return int(recorded.broken)


def record(cfg: Config) -> Scripted | Sat:
    """Record as `cfg` says.

    Raises a VibrissaError where nothing could be recorded; whatever else ends it, finished
    episodes are a whole dataset.
    """
    from vibrissa.commands.recording import OTHERS, record_at_arm
    from vibrissa.commands.scripted import record_script, simulated

    rig = rig_of(cfg.config, Config, cfg.cameras)
    real = rig.arm.kind != "simulated"
    who = cfg.pilot or leader_of(rig) or ("leader" if real else "expert")
    cfg = replace(cfg, pilot=who)
    if cfg.targets is not None:
        _refuse(cfg, ("episodes", "top_up"), "a file of targets, which says how many")
        _refuse(cfg, ("fleet",), "a file of targets, whose episodes follow from one another")
    if real:
        _refuse(cfg, SIMULATED_ONLY, "a real arm")
        return record_at_arm(cfg, rig, simulated=None)
    if who in LEADERS or (who in OTHERS and who != "zero"):
        _refuse(cfg, ("fleet",), f"the {who} pilot, who drives in real time")
        return record_at_arm(cfg, rig, simulated=lambda: simulated(cfg))
    not_here = [n for n in LED_ONLY if not (cfg.targets and n == "resume")]
    _refuse(cfg, not_here, f"the {who} pilot in simulation")
    return record_script(cfg)


def _refuse(cfg: Config, names: Sequence[str], where: str) -> None:
    """An option that would do nothing is told, not passed over."""
    usual = {one.name: one.default for one in fields(Config)}
    given = [name for name in names if getattr(cfg, name) != usual[name]]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{flags}: not for {where}.")
