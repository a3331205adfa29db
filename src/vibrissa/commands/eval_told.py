"""What an evaluation says on the terminal and to programs."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vibrissa.bench.outcomes import Row, Summary
    from vibrissa.bench.trials import Trial
    from vibrissa.commands.eval import Config


def summary(rows: Sequence[Row], beside: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """What `--json` prints of them: counts first."""
    from vibrissa.bench.outcomes import summarise

    told = summarise(rows)
    others = {name: summarise(r).to_dict() for name, r in beside.items()}
    return {"success": told.success, "episodes": told.episodes, **told.to_dict(), "beside": others}


def lines(rows: Sequence[Row], beside: Mapping[str, Sequence[Row]]) -> list[str]:
    """The same for a reader: a line a pilot, and what became of the episodes."""
    from vibrissa.bench.outcomes import compare_paired, summarise
    from vibrissa.bench.pages import words

    name = rows[0].pilot
    told = summarise(rows)
    text = [f"{name:<7} {told.text}"]
    text += [f"{other:<8}{summarise(r).text}" for other, r in beside.items()]
    text.append("ended   " + ", ".join(f"{n} {words(c)}" for c, n in told.classes.items()))
    text.append(f"picked  {told.picked}/{told.episodes}, then dropped {told.dropped}/{told.picked}")
    text += _grip(told)
    if told.mean_steps is not None:
        wins = f", successes {told.mean_steps_success:.0f}" if told.mean_steps_success else ""
        text.append(f"ticks   {told.mean_steps:.0f}{wins}")
    text += _playing(told)
    for other, others in beside.items():
        if other == "expert":
            pair = compare_paired(rows, others)
            text.append(
                f"paired  {pair.only_first} solved by {name} alone, {pair.only_second} by {other} "
                f"alone, of {pair.seeds} seeds (exact McNemar p = {pair.p:.2g})"
            )
    return text


def tell(
    cfg: Config,
    trial: Trial,
    rows: Sequence[Row],
    beside: Mapping[str, Sequence[Row]],
    again: Mapping[int, Sequence[str]],
    *,
    reported: bool = True,
) -> None:
    """The result, then where everything is. again: what differs from an earlier evaluation.

    reported: whether there is a report of it in --out.
    """
    if cfg.json:
        told: dict[str, Any] = {"pilot": rows[0].pilot, "task": trial.place.task}
        told["seeds"] = [row.seed for row in rows] if cfg.only_seed else _ends(rows)
        if again:
            told["differs"] = {str(seed): list(names) for seed, names in again.items()}
        print(json_.dumps({**told, **summary(rows, beside)}, indent=2))
        return
    print("\n".join([*lines(rows, beside), *_told_again(again)]))
    places = {"films": cfg.video, "ticks": cfg.rollouts, "states": cfg.snapshots}
    if cfg.out is not None and reported:
        print(f"report  {cfg.out / 'report.html'}")
    for what, folder in places.items():
        if folder is not None:
            print(f"{what:<8}{folder}")


def settings(cfg: Config, seeds: Sequence[int]) -> dict[str, str]:
    """What a report shows of the options: those that decide what was judged, and the seeds.

    Of an evaluation that had an earlier one again, those that may be given beside it.
    """
    from vibrissa.commands.eval import UNTOLD
    from vibrissa.commands.eval_trial import BESIDE_FROM

    names = [f.name for f in fields(cfg) if f.name not in UNTOLD]
    if cfg.again is not None:
        names = [name for name in names if name in BESIDE_FROM]
    told = {name: getattr(cfg, name) for name in names}
    shown = {
        "from" if name == "again" else name: _option(value)
        for name, value in told.items()
        if value is not None and value is not False and value not in ("", ())
    }
    low, high = min(seeds), max(seeds)
    span = str(low) if len(seeds) == 1 else f"{low} to {high}"
    span += ", not all" * (high - low + 1 != len(seeds))
    return {**shown, "episodes": str(len(seeds)), "seeds": span}


def _option(value: object) -> str:
    if value is True:
        return "yes"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def exit_code(rows: Sequence[Row], gifts: int = 0) -> int:
    """1 where any episode broke down, which is told: what broke is no failure of the policy.

    gifts: how often the zero pilot succeeded; unless never, no rate of this judge counts.
    """
    if gifts:
        print(
            f"vibrissa: the zero pilot, which never moves, succeeded {gifts} times: the judge of "
            "this task is broken, and no rate of it counts.",
            file=sys.stderr,
        )
    broken = [row for row in rows if row.reason == "fault"]
    if broken:
        print(
            f"vibrissa: {len(broken)} of {len(rows)} episodes broke down and count as not solved. "
            f"The first (seed {broken[0].seed}): {broken[0].detail}",
            file=sys.stderr,
        )
    return int(bool(broken or gifts))


def _grip(told: Summary) -> list[str]:
    if told.mean_grip_n is None or told.mean_slip_m is None or told.both_pads_share is None:
        return []
    return [
        f"grip    {told.mean_grip_n:.1f} N on the weaker pad, slip {1e3 * told.mean_slip_m:.1f} "
        f"mm, both pads {100 * told.both_pads_share:.0f} % of the time"
    ]


def _playing(told: Summary) -> list[str]:
    """How fast the policy answers, how far its actions reach, and how its chunks join."""
    text = []
    if told.mean_latency_s:
        each_ms = told.mean_latency_s * 1e3
        text.append(
            f"speed   {1 / told.mean_latency_s:.0f} inferences/s ({each_ms:.1f} ms a batch)"
        )
    if told.action_low:
        ranges = zip(told.action_low, told.action_high, strict=True)
        text.append(
            "actions " + "  ".join(f"{low:.2f}..{high:.2f}" for low, high in ranges) + " rad"
        )
    if told.mean_jump is not None and told.mean_stride:
        text.append(
            f"chunks  {told.mean_jump:.3f} rad from the last action of a chunk to the first of the "
            f"next, {told.mean_stride:.3f} from tick to tick elsewhere"
        )
    return text


def _told_again(again: Mapping[int, Sequence[str]]) -> list[str]:
    same = [seed for seed, names in again.items() if not names]
    text = []
    if same:
        seeds = f"seed {same[0]}" if len(same) == 1 else f"{len(same)} seeds"
        text.append(f"again   {seeds}: the same as before, bit for bit")
    text += [
        f"again   seed {seed}: differs from before in {', '.join(names)}"
        for seed, names in again.items()
        if names
    ]
    return text


def _ends(rows: Sequence[Row]) -> list[int]:
    return [rows[0].seed, rows[-1].seed]
