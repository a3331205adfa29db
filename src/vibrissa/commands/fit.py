"""Fit the simulated servos to a real arm's recordings, and write them as a named profile.

Finds the gains, friction and delay with which the simulated arm, told what the real one was
told, goes where that one went. It fits to some episodes and reports on others, before and
after, joint by joint. Use the profile with --servo in replay, record and eval.
"""

from __future__ import annotations

import json as json_
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS

if TYPE_CHECKING:
    from vibrissa.bench.fit_judge import Judged


@dataclass(frozen=True)
class Config:
    datasets: Positional[tuple[Path, ...]]
    """Folders of datasets recorded with one real arm."""
    out: Path | None = None
    """The profile to write, a .yaml file; a picture lies beside it. NAME.yaml by default."""
    name: str = ""
    """What the profile is called; after the dataset by default."""
    arm: str = ""
    """Which arm, where a dataset has several."""
    held_out: int | None = None
    """How many episodes are kept for the report; a fifth by default."""
    seed: int = 0
    """Draws the episodes that are held out."""
    structure: Literal["delay", "gains", "friction", "offsets", "inertia"] = "friction"
    """What is fitted: delay; gains and delay; these and friction; these and joint offsets;
    or, in place of offsets, the motors' inertia."""
    json: bool = False
    """Print the result as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.bench.fit_judge import fit_and_judge, split
    from vibrissa.bench.fitting import MOST_ROUNDS
    from vibrissa.data.disk import require_writable
    from vibrissa.data.recordings import read_recordings
    from vibrissa.show.progress import progress

    out, name = _names(cfg)
    require_writable(out)
    recordings = read_recordings(cfg.datasets, cfg.arm)
    fit_to, held_out = split(len(recordings.motions), cfg.held_out, cfg.seed)
    with progress("fitting", MOST_ROUNDS, "rounds") as tell:
        judged = fit_and_judge(
            recordings,
            fit_to,
            held_out,
            name=name,
            seed=cfg.seed,
            structure=cfg.structure,
            tell=tell,
        )
        tell(MOST_ROUNDS, "")
    _leave(out, judged)
    print(json_.dumps(judged.to_dict()) if cfg.json else told(judged))
    print(f"profile  {out}\npicture  {_picture(out)}", file=sys.stderr if cfg.json else sys.stdout)
    return 0


def told(judged: Judged) -> str:
    """The errors of the held-out episodes and the servos, as two tables."""
    source = judged.profile.source
    lines = [
        f"{judged.profile.name}: fitted to {len(source['fit_episodes'])} episodes, reported on "
        f"{len(judged.names)} others",
        "",
        f"{'':<14} {'rms of all ticks':<30} {'where nothing held the joint':<30} most   lag",
        f"{'joint':<14} " + f"{'before':<9}{'after (95 %)':<22}" * 2 + "after  after",
    ]
    for row, then in zip(judged.errors_before, judged.errors_after, strict=True):
        every = f"{then.rms_deg:5.2f}° ({_ends(then.rms_interval_deg)})"
        lag = "  –" if then.lag_s is None else f"{then.lag_s * 1e3:3.0f} ms"
        free = f"{then.free_rms_deg:5.2f}° ({_ends(then.free_rms_interval_deg)})"
        lines.append(
            f"{row.joint:<14} {row.rms_deg:5.2f}°   {every:<21} {row.free_rms_deg:5.2f}°   "
            f"{free:<21} {then.max_deg:4.1f}°  {lag}"
        )
    return "\n".join([*lines, "", *_servo_lines(judged)])


def _servo_lines(judged: Judged) -> list[str]:
    """Each fitted number with its interval."""
    servo, intervals = judged.profile.servo, dict(judged.profile.intervals)
    low, high = intervals.pop("delay_s")
    lines = [f"delay {servo.delay_s * 1e3:.0f} ms ({low * 1e3:.0f}–{high * 1e3:.0f})"]
    if not intervals:
        return lines
    lines.append(f"{'joint':<14} " + " ".join(f"{_TITLES[name]:<24}" for name in intervals))
    for i, joint in enumerate(JOINTS):
        cells = []
        for name, of in intervals.items():
            drag = servo.each("kv") + servo.each("damping")
            value = (drag if name == "drag" else servo.each(name))[i]
            within = "({:.3g}–{:.3g})".format(*of[joint]) if joint in of else ""
            cells.append(f"{value:7.3f} {within:<16}")
        lines.append(f"{joint:<14} " + " ".join(cells))
    return lines


_TITLES = {
    "kp": "kp, N m/rad",
    "drag": "kv + damping, N m s/rad",
    "friction_nm": "friction, N m",
    "armature": "armature, kg m²",
    "reading_offset_rad": "offset, rad",
}


def _ends(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.2f}–{interval[1]:.2f}"


def _names(cfg: Config) -> tuple[Path, str]:
    """Where the profile goes and what it is called. Raises UsageError for what cannot be."""
    if not cfg.datasets:
        raise UsageError("name the recordings of the real arm: vibrissa fit DATASET.")
    if cfg.seed < 0:
        raise UsageError(f"--seed {cfg.seed}: at least 0.")
    name = cfg.name or cfg.datasets[0].resolve().name
    out = cfg.out or Path(f"{name}.yaml")
    if out.suffix not in (".yaml", ".yml"):
        raise UsageError(f"--out {out}: a profile is a file that ends in .yaml.")
    for path in (out, _picture(out)):
        if path.exists():
            raise UsageError(f"{path} exists already. Name another --out, or move it away first.")
    return out, name


def _picture(out: Path) -> Path:
    return out.with_suffix(".png")


def _leave(out: Path, judged: Judged) -> None:
    """The picture first, then the profile under a temporary name that is renamed."""
    from vibrissa.bench.fit_judge import typical
    from vibrissa.control.tracking import joint_errors
    from vibrissa.data.disk import writing
    from vibrissa.show.plots import joint_plot

    which = typical(judged)
    motions = {
        "after": judged.after[which],
        "before": judged.before[which],
        "recorded": judged.held_out[which].state,
    }
    before, after = (
        joint_errors(JOINTS, motions["recorded"], motions[when], judged.rate_hz)
        for when in ("before", "after")
    )
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        joint_plot(
            _picture(out),
            judged.rate_hz,
            motions,
            JOINTS,
            title=f"{judged.profile.name}: held-out episode {judged.names[which]}",
            captions=[
                f"rms {b.rms_deg:.2f}° → {a.rms_deg:.2f}°"
                for b, a in zip(before, after, strict=True)
            ],
        )
        try:
            part.write_text(judged.profile.to_text(), encoding="utf-8")
            os.replace(part, out)
        finally:
            part.unlink(missing_ok=True)
