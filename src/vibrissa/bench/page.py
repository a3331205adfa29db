"""From judged rows to a report: what the policy sees, its training, films, the machine."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vibrissa.bench.evaluate import Setup
from vibrissa.bench.films import choose, clips
from vibrissa.bench.outcomes import Row
from vibrissa.bench.report import Clip, Report
from vibrissa.bench.setups import Place
from vibrissa.core.contract import Contract
from vibrissa.learn.run import MANIFEST, RunFolder, provenance
from vibrissa.sim import gl

NO_MEMORY = "There was no memory left to film with."
_SCRIPTED = {
    "expert": "A script that reads the simulator's truth.",
    "zero": "It sees nothing and never moves.",
    "random": "It sees nothing and sends a random target at every tick.",
}


@dataclass(frozen=True)
class Judged:
    """What was judged where, and all its rows. checkpoint: whose training curve is shown.

    cautions: what was odd before the first episode.
    """

    place: Place
    setup: Setup
    rows: Sequence[Row]
    beside: Mapping[str, Sequence[Row]]
    checkpoint: Path | None = None
    cautions: Sequence[str] = ()


def film(judged: Judged) -> tuple[list[Clip], str]:
    """A clip of every class that occurred; without OpenGL or memory none, and a line why."""
    trouble = gl.trouble()
    if trouble:
        return [], trouble
    gl.say()
    try:
        return clips(judged.setup, choose(judged.rows)), ""
    except MemoryError:
        return [], NO_MEMORY


def compose(
    judged: Judged,
    *,
    title: str,
    films: tuple[list[Clip], str],
    seconds: Mapping[str, float],
    wall_s: float,
    settings: Mapping[str, Any],
    unseen: bool = False,
    command: str = "",
    first: str = "episode",
) -> Report:
    """The report of what was judged. first: with what the time of `wall_s` began."""
    shown, no_films = films
    policy = judged.setup.policy
    return Report(
        title=title,
        made=datetime.date.today().isoformat(),
        instruction=judged.place.scene.instruction,
        sees=sees(policy.contract) if policy else _SCRIPTED[judged.setup.name.partition(":")[0]],
        rows=judged.rows,
        beside=judged.beside,
        seconds=seconds,
        wall_s=wall_s,
        first=first,
        unseen=unseen,
        losses=losses(judged.checkpoint),
        clips=shown,
        no_clips=no_films,
        landmarks=judged.place.landmarks(),
        area=judged.place.area(),
        thing=judged.place.scene.object.name,
        symmetry=judged.place.scene.object.symmetry,
        rate_hz=judged.place.scene.rate_hz,
        settings=settings,
        machine=machine(),
        versions=versions(),
        command=command,
        cautions=judged.cautions,
    )


def sees(contract: Contract) -> str:
    """One sentence on a policy's inputs, what only a simulator can give by name."""
    told = f"The policy sees {len(contract.state)} joint positions"
    if contract.privileged:
        names = ", ".join(c.name for c in contract.privileged)
        told += f" and, from the simulator, what no real arm could tell it: {names}"
    if not contract.cameras:
        return told + ". No camera."
    cameras = ", ".join(f"{c.name} {c.width} × {c.height}" for c in contract.cameras)
    return told + f", and the cameras {cameras}."


def losses(checkpoint: Path | None) -> list[tuple[float, float]]:
    """(step, loss) of the run that a checkpoint lies in; none where it lies in no run."""
    if checkpoint is None:
        return []
    place = checkpoint.resolve()
    run = next((p for p in (place, *place.parents) if (p / MANIFEST).is_file()), None)
    rows = RunFolder(run).metrics() if run is not None else []
    return [(float(row["step"]), float(row["loss"])) for row in rows]


def machine() -> dict[str, str]:
    """The machine in words."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """What made this: package versions, and the commit of a source tree."""
    told = provenance()
    known = {name: version for name, version in told["versions"].items() if version}
    return known | ({"commit": told["git"]} if told["git"] else {})


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
