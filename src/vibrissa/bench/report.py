"""One judged policy as a page that carries everything in itself, and as JSON for programs."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vibrissa.bench import charts
from vibrissa.bench.outcomes import Row, Summary, compare_paired, count_classes, summarise
from vibrissa.core.errors import UsageError
from vibrissa.core.outcomes import CLASSES

FEW_OF_EXPERT = 0.9  # an expert below this says that the scene, not the policy, is to be mended


@dataclass(frozen=True)
class Clip:
    """One episode to be looked at: its row, an mp4, and a PNG strip from first to last tick."""

    row: Row
    film_mp4: bytes
    strip_png: bytes


@dataclass(frozen=True)
class Report:
    """All that the page tells.

    rows: the policy's own episodes; beside: expert and zero pilot on the same seeds. losses:
    (step, loss) pairs. landmarks and area: outlines of the scene for the map, see
    `charts.spawn_map`. sees: one sentence on what the policy is shown, privileged channels by
    name. unseen: whether no demonstration can have come from these seeds. note: what the
    headline's rate speaks of, where it is not of held-out scenes.
    """

    title: str
    made: str
    instruction: str
    sees: str
    rows: Sequence[Row]
    beside: Mapping[str, Sequence[Row]]
    seconds: Mapping[str, float]
    wall_s: float
    unseen: bool = False
    losses: Sequence[tuple[float, float]] = ()
    clips: Sequence[Clip] = ()
    no_clips: str = ""
    landmarks: Mapping[str, charts.Landmark] = field(default_factory=dict)
    area: charts.Square | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    note: str = ""


def to_dict(report: Report) -> dict[str, Any]:
    """What `report.json` holds: counts, the interval, the pilots beside as rates, times."""
    summary = summarise(report.rows)
    beside = {name: summarise(rows) for name, rows in report.beside.items()}
    paired = {name: compare_paired(report.rows, rows) for name, rows in report.beside.items()}
    return {
        "success": summary.success,
        "episodes": summary.episodes,
        "interval": [round(v, 4) for v in summary.interval],
        **{name: s.rate for name, s in beside.items()},
        "wall_s": round(report.wall_s, 1),
        "seconds": {name: round(s, 1) for name, s in report.seconds.items()},
        "classes": dict(summary.classes),
        "policy": summary.to_dict(),
        "beside": {name: s.to_dict() for name, s in beside.items()},
        "paired": {
            name: {
                "seeds": p.seeds,
                "only_policy": p.only_first,
                "only_other": p.only_second,
                "p": p.p,
            }
            for name, p in paired.items()
        },
        "settings": dict(report.settings),
        "machine": dict(report.machine),
        "versions": dict(report.versions),
        "command": report.command,
    }


def write(report: Report, folder: Path) -> Path:
    """Write `report.json`, then `report.html`, under temporary names first; the page's path."""
    told = json.dumps(to_dict(report), indent=2, sort_keys=False) + "\n"
    page = folder / "report.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / "report.json", told)
        _replace(page, render(report))
    except OSError as error:
        raise UsageError(f"cannot write the report into {folder}: {error.strerror}.") from error
    return page


def render(report: Report) -> str:
    """The page: one HTML document that loads nothing from anywhere."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    env = Environment(
        loader=PackageLoader("vibrissa.bench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    summary = summarise(report.rows)
    everyone = {"policy": summary} | {n: summarise(r) for n, r in report.beside.items()}
    drawings = {
        "forest": charts.forest(everyone),
        "map": charts.spawn_map(report.rows, report.landmarks, report.area),
        "yaw": charts.yaw_chart(report.rows),
        "curve": charts.curve(report.losses),
    }
    return env.get_template("report.html").render(
        title=report.title,
        made=report.made,
        headline=_headline(report, summary),
        warnings=_warnings(report, everyone),
        charts={name: Markup(svg) for name, svg in drawings.items()},
        kinds=CLASSES,
        classes=_classes(report.rows),
        numbers=_numbers(summary),
        clips=[_clip(c) for c in report.clips],
        no_clips=report.no_clips,
        curve_note=_curve_note(report),
        time_note=f"{_duration(report.wall_s)} from the first {_first(report)} to this page.",
        phases=[
            {"name": n, "seconds": round(s, 2), "text": _duration(s)}
            for n, s in report.seconds.items()
        ],
        machine=[*report.machine.items(), *report.versions.items()],
        settings=list(report.settings.items()),
        command=report.command,
    )


def words(failure_class: str) -> str:
    """A class as one reads it: NEVER_PICKED_UP → never picked up."""
    return failure_class.replace("_", " ").lower()


def _headline(report: Report, summary: Summary) -> dict[str, Any]:
    low, high = (f"{100 * v:.0f}" for v in summary.interval)
    rate = "–" if summary.rate is None else f"{100 * summary.rate:.0f} %"
    note = (
        f"{summary.episodes} scenes{' that no demonstration came from' * report.unseen}, each "
        "tried once; the pilots beside it had the same seeds. The interval (Wilson) speaks of "
        "this one trained policy: another training seed gives another policy."
    )
    return {
        "count": f"{summary.success}/{summary.episodes}",
        "success": summary.success,
        "episodes": summary.episodes,
        "rate": rate,
        "interval": f"{low}–{high} %",
        "sentence": f"{report.instruction}: {summary.success} of {summary.episodes} "
        f"{'held-out ' * report.unseen}{'rollouts' if report.note else 'scenes'} solved.",
        "sees": report.sees,
        "note": report.note or note,
    }


def _warnings(report: Report, everyone: Mapping[str, Summary]) -> list[dict[str, str]]:
    """What must be put right before the headline means anything."""
    told = []
    for name, summary in everyone.items():
        if summary.faults:
            rows = report.beside.get(name, report.rows)
            first = next(r for r in rows if r.reason == "fault")
            title = f"{summary.faults} of {summary.episodes} episodes of {name} broke down."
            text = f"They count as not solved. The first (seed {first.seed}): {first.detail}"
            told.append({"title": title, "text": text})
    zero, expert = everyone.get("zero"), everyone.get("expert")
    if zero is not None and zero.success:
        text = f"It never moves and is given {zero.text}: the judge is broken."
        told.append({"title": "The zero pilot succeeds.", "text": text})
    if expert is not None and expert.episodes and (expert.rate or 0.0) < FEW_OF_EXPERT:
        text = f"{expert.text}. Mend the scene or the expert before blaming the policy."
        told.append({"title": "The expert fails here.", "text": text})
    return told


def _classes(rows: Sequence[Row]) -> list[dict[str, Any]]:
    counts = count_classes(rows)
    most = max(counts.values(), default=1)
    return [
        {"name": c, "words": words(c), "count": n, "percent": round(100 * n / most, 1)}
        for c, n in counts.items()
    ]


def _numbers(summary: Summary) -> list[tuple[str, str]]:
    def told(value: float | None, form: str, scale: float = 1.0) -> str:
        return "–" if value is None else form.format(scale * value)

    return [
        ("picked up", f"{summary.picked}/{summary.episodes}"),
        ("dropped, of the lifted", f"{summary.dropped}/{summary.picked}"),
        ("ticks, all", told(summary.mean_steps, "{:.0f}")),
        ("ticks, successes", told(summary.mean_steps_success, "{:.0f}")),
        ("highest point, mean", told(summary.mean_max_height_m, "{:.1f} cm", 100)),
        ("grip, weaker pad", told(summary.mean_grip_n, "{:.0f} N")),
        ("slip in the grip", told(summary.mean_slip_m, "{:.1f} mm", 1000)),
        ("held by both pads", told(summary.both_pads_share, "{:.0f} %", 100)),
        ("a tick's move where a chunk begins", told(summary.mean_jump, "{:.3f} rad")),
        ("a tick's move elsewhere", told(summary.mean_stride, "{:.3f} rad")),
        ("one inference", told(summary.mean_latency_s, "{:.1f} ms", 1000)),
        ("an episode took", told(summary.mean_wall_s, "{:.2f} s")),
    ]


def _curve_note(report: Report) -> str:
    if len(report.losses) < 2:
        return ""
    (step, loss), first = report.losses[-1], report.losses[0][1]
    return f"{step:,.0f} steps; the loss fell from {first:.3g} to {loss:.3g}.".replace(",", " ")


def _clip(clip: Clip) -> dict[str, Any]:
    return {
        "name": clip.row.failure_class,
        "words": words(clip.row.failure_class),
        "seed": clip.row.seed,
        "ticks": clip.row.ticks,
        "film": base64.b64encode(clip.film_mp4).decode(),
        "strip": base64.b64encode(clip.strip_png).decode(),
    }


def _first(report: Report) -> str:
    return "rollout" if report.note else "demonstration"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
