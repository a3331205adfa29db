"""Play a recorded real arm's actions on the simulated arm, and measure how well it follows.

Works out the unit of the recorded joints and says why, starts the simulated arm at the recorded
first state, and reports the error between recorded and simulated joints. With --out it leaves
the numbers, a plot and a film.
"""

from __future__ import annotations

import json as json_
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro
from numpy.typing import NDArray

from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS

if TYPE_CHECKING:
    from vibrissa.control.tracking import JointError, Watched
    from vibrissa.data.dataset import Dataset
    from vibrissa.data.recorded import Motion
    from vibrissa.sim.profile import Profile
    from vibrissa.sim.servo import ServoCfg

NUMBERS, PLOT, FILM = "tracking.json", "tracking.png", "replay.mp4"


@dataclass(frozen=True)
class Config:
    dataset: Annotated[Path, tyro.conf.Positional]
    """The recorded dataset's folder."""
    episode: int = 0
    """Which episode to play."""
    out: Path | None = None
    """A new folder for the numbers, the plot and the film."""
    arm: str = ""
    """Which arm, where the dataset has several."""
    servo: Path | None = None
    """A servo profile from `vibrissa fit`; the standard servos by default."""
    json: bool = False
    """Print the numbers as JSON."""


@dataclass(frozen=True)
class Replayed:
    """What a replay came to; angles in degrees."""

    dataset: str
    episode: int
    arm: str
    unit: str
    why: str
    confidence: str
    recorded_hz: float
    rate_hz: float
    ticks: int
    rms_deg: float
    max_deg: float
    limited_ticks: int
    servo: str
    joints: tuple[JointError, ...]


@dataclass(frozen=True)
class Played:
    """The motions behind the numbers, (T, 6) rad at one rate, and the film's pictures."""

    recorded: NDArray[np.float32]
    action: NDArray[np.float32]
    watched: Watched
    rate_hz: float
    frames: list[NDArray[np.uint8]]
    fps: float


def run(cfg: Config) -> int:
    from vibrissa.data.dataset import open_dataset
    from vibrissa.data.recorded import calibration_of, motion_of
    from vibrissa.sim.servo import STANDARD

    if cfg.out is not None and cfg.out.exists():
        raise UsageError(f"{cfg.out} exists already. Name another --out, or move it away first.")
    profile = _profile(cfg)
    dataset = open_dataset(cfg.dataset, strict=False)
    motion = motion_of(dataset, cfg.episode, cfg.arm)
    if profile is not None:
        profile.require_calibration(calibration_of(dataset, cfg.arm), str(cfg.dataset))
    servo = profile.servo if profile else STANDARD
    instruction = dataset.instruction(cfg.episode)
    played = _play(dataset.fps, motion, servo, instruction, film=cfg.out is not None)
    replayed = _sum_up(cfg, dataset, motion, played)
    print(json_.dumps(asdict(replayed)) if cfg.json else _told(replayed))
    if cfg.out is not None:
        _leave(cfg.out, replayed, played, _beside(dataset, cfg.episode, played))
        print(cfg.out, file=sys.stderr if cfg.json else sys.stdout)
    return 0


def _profile(cfg: Config) -> Profile | None:
    from vibrissa.sim.profile import load_profile

    return None if cfg.servo is None else load_profile(cfg.servo)


def _play(fps: float, motion: Motion, servo: ServoCfg, instruction: str, *, film: bool) -> Played:
    from vibrissa.bench.films import EVERY, Film
    from vibrissa.bench.retrace import arm_at, courses_at, rate_for, retrace
    from vibrissa.sim import gl

    rate_hz = rate_for(fps)
    course = courses_at([(motion.state, motion.action)], fps, servo)[0]
    arm = arm_at(course, rate_hz, servo)
    frames: list[NDArray[np.uint8]] = []
    filming = []
    trouble = gl.trouble() if film else ""
    if trouble:
        print(f"no film: {trouble}", file=sys.stderr)
    elif film:
        gl.say()
        filming.append(Film(arm, lambda _episode, made, _fps: frames.extend(made)))
    watched = retrace(arm, course, instruction, filming)
    recorded, action = (np.asarray(x, np.float32) for x in (course.state, course.action))
    return Played(recorded, action, watched, rate_hz, frames, rate_hz / EVERY)


def _sum_up(cfg: Config, dataset: Dataset, motion: Motion, played: Played) -> Replayed:
    from vibrissa.control.tracking import joint_errors

    errors = joint_errors(JOINTS, played.recorded, played.watched.state, played.rate_hz)
    return Replayed(
        dataset=str(cfg.dataset),
        episode=cfg.episode,
        arm=motion.arm,
        unit=motion.units.unit,
        why=motion.units.why,
        confidence=motion.units.confidence,
        recorded_hz=dataset.fps,
        rate_hz=played.rate_hz,
        ticks=len(played.action),
        rms_deg=float(np.sqrt(np.mean([error.rms_deg**2 for error in errors]))),
        max_deg=max(error.max_deg for error in errors),
        limited_ticks=played.watched.limited,
        servo=str(cfg.servo) if cfg.servo else "standard",
        joints=errors,
    )


def _told(replayed: Replayed) -> str:
    """The numbers as a table of text."""
    lines = [
        f"episode {replayed.episode} of {replayed.dataset}, {replayed.ticks} ticks at "
        f"{replayed.rate_hz:g} Hz",
        *([f"servos of {replayed.servo}"] if replayed.servo != "standard" else []),
        f"joints read as {replayed.unit} ({replayed.confidence}): {replayed.why}",
        f"{'joint':<14} {'rms':>7} {'max':>7}   simulated later by",
    ]
    lines += [
        f"{e.joint:<14} {e.rms_deg:6.2f}° {e.max_deg:6.2f}°   {_later(e)}" for e in replayed.joints
    ]
    lines.append(f"{'all':<14} {replayed.rms_deg:6.2f}° {replayed.max_deg:6.2f}°")
    if all(e.lag_s is None for e in replayed.joints):
        lines.append("nothing moved in this episode: it says nothing of how the arm follows")
    if replayed.limited_ticks:
        lines.append(f"the simulated arm's limits changed {replayed.limited_ticks} actions")
    return "\n".join(lines)


def _later(error: JointError) -> str:
    return "did not move" if error.lag_s is None else f"{error.lag_s * 1000:4.0f} ms"


def _beside(dataset: Dataset, episode: int, played: Played) -> list[NDArray[np.uint8]]:
    """The film, with the recorded cameras beside it where there are any."""
    from vibrissa.data.checks import camera_keys
    from vibrissa.data.depth import is_depth
    from vibrissa.data.film_checks import doubtful_films
    from vibrissa.show.video import strip, to_height

    rows = dataset.rows(episode)
    last = rows.stop - rows.start - 1
    at = np.arange(len(played.frames)) / played.fps * dataset.fps
    which = np.minimum(np.round(at).astype(int), last).tolist()
    colours = [key for key in camera_keys(dataset) if not is_depth(dataset.features[key])]
    keys = [key for key in colours if dataset.has_pictures(key, episode)]
    for line in doubtful_films(dataset, keys if played.frames else ()):
        print(f"warning: {line}", file=sys.stderr)
    films = [dataset.pictures(key, episode, which) for key in keys]
    return [
        strip([*(to_height(picture, frame.shape[0]) for picture in real), frame])
        for frame, *real in zip(played.frames, *films, strict=True)
    ]


def _leave(out: Path, replayed: Replayed, played: Played, frames: list[NDArray[np.uint8]]) -> None:
    """Write everything under a temporary name, then rename."""
    from vibrissa.data.disk import writing
    from vibrissa.show.plots import joint_plot
    from vibrissa.show.video import write_mp4

    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
        try:
            text = json_.dumps(asdict(replayed), indent=1) + "\n"
            (part / NUMBERS).write_text(text, encoding="utf-8")
            joint_plot(
                part / PLOT,
                played.rate_hz,
                {
                    "recorded": played.recorded,
                    "simulated": played.watched.state,
                    "action": played.action,
                },
                JOINTS,
                title=f"{Path(replayed.dataset).name}, episode {replayed.episode}",
                captions=[f"rms {e.rms_deg:.1f}°" for e in replayed.joints],
            )
            if frames:
                write_mp4(part / FILM, frames, played.fps)
            os.chmod(part, 0o755)
            os.rename(part, out)
        finally:
            shutil.rmtree(part, ignore_errors=True)
