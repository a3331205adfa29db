"""Whose turn it is in `vibrissa deploy`, of one policy or two, and what is told at the end."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vibrissa.core.errors import VibrissaError

if TYPE_CHECKING:
    from vibrissa.bench.deployment import Stage, Turn
    from vibrissa.bench.first_look import FirstLook
    from vibrissa.bench.logbook import Logbook
    from vibrissa.bench.order import Order
    from vibrissa.commands.deploy import Config
    from vibrissa.commands.deploy_stage import Desk, Say, Watching
    from vibrissa.data.recorder import Recorder
    from vibrissa.learn.policy import CheckpointPolicy
    from vibrissa.show.camcorder import Camcorder

ANEW = "place the things anew"
AGAIN = "put the things back just where they stood before the last rollout"


def load_policies(cfg: Config, say: Say) -> list[CheckpointPolicy]:
    """The checkpoint's policy, and that of --against."""
    from vibrissa.bench.foreign import open_policy
    from vibrissa.learn.preflight import device_named
    from vibrissa.learn.run import pretrained_folder

    given = [cfg.checkpoint] if cfg.against is None else [cfg.checkpoint, cfg.against]
    names = ("policy  ",) if cfg.against is None else ("policy  A: ", "policy  B: ")
    loaded = []
    for name, checkpoint in zip(names, given, strict=True):
        say(f"{name}{pretrained_folder(checkpoint)}")
        loaded.append(
            open_policy(
                checkpoint,
                device=device_named(cfg.device),
                dataset=cfg.dataset,
                accepted=cfg.accept_inferred,
                given=cfg.given,
                say=say,
            )
        )
    return loaded


def make_turns(
    cfg: Config, desk: Desk, stages: Sequence[Stage], order: Order | None, say: Say
) -> Callable[[int], Turn]:
    """Whose turn a rollout is. Of two policies both begin a pair from one seed, one placement."""
    from vibrissa.bench.deployment import Turn
    from vibrissa.bench.order import FIRST, HIDDEN
    from vibrissa.bench.precision import told
    from vibrissa.commands.deploy import options_of

    first_seed = cfg.seeds if desk.real is None else 0
    say(f"n       {told(cfg.rollouts)}")
    if order is None:
        name = options_of(cfg).name("policy")
        return lambda number: Turn(stages[0], first_seed + number, name)
    say(
        "order   two policies in turn, in pairs from one placement; who drives is told when all "
        f"{2 * order.pairs} rollouts have their verdict"
    )

    def turn(number: int) -> Turn:
        stage = stages[0] if order.driver(number) == FIRST else stages[1]
        return Turn(stage, first_seed + number // 2, HIDDEN, AGAIN if number % 2 else ANEW)

    return turn


def filming(turns: Callable[[int], Turn], camcorder: Camcorder) -> Callable[[int], Turn]:
    """The same turns, each of which is filmed under the number of its rollout."""

    def turn(number: int) -> Turn:
        camcorder.number = number
        return turns(number)

    return turn


def noting(
    cfg: Config,
    turns: Callable[[int], Turn],
    order: Order | None,
    book: Logbook,
    recorder: Recorder,
) -> Callable[[int], Turn]:
    """The same turns, of each of which the recorder notes which rollout it is, and whose.

    Of two policies whose it was is noted when it is told (`blind.name_players`).
    """
    from vibrissa.learn.run import pretrained_folder

    whose = {"policy": str(pretrained_folder(cfg.checkpoint))} if order is None else {}
    book.recording(recorder.out)

    def turn(number: int) -> Turn:
        recorder.told = {"rollout": number + 1, **whose}
        return turns(number)

    return turn


def tell(
    cfg: Config, book: Logbook, looks: Sequence[FirstLook], stage: Stage, watching: Watching
) -> None:
    """What it came to: rates with n and interval; of two policies, who was who, if it is over."""
    from vibrissa.bench.footage import with_films
    from vibrissa.bench.logbook import told_of
    from vibrissa.control.meter import Meter

    compared = _compared(cfg, book)
    try:
        with_films(book.folder, book.wall_s)
    except VibrissaError as trouble:  # the rows are there, and what ended it is still to be told
        print(f"vibrissa: the report has no films: {trouble}", file=sys.stderr)
    if cfg.json:
        print(json_.dumps(_as_json(cfg, book, looks, watching, compared), indent=2))
        return
    if cfg.against is None:
        print(f"success {told_of(book.rows)}")
    else:
        print("\n".join(compared or [_still_blind(book)]))
    late = sum(row.late for row in book.rows)
    if late and (cfg.against is None or compared):
        print(f"late    {late} ticks had no action yet and repeated the last one")
    if isinstance(stage.laps, Meter):
        print(f"timing  {stage.laps.whole().told()}")
    if cfg.record is not None:
        print(f"dataset {cfg.record}")
    for film in watching.films:
        print(f"film    {film}")
    if compared:
        print(f"compare vibrissa compare {book.folder / 'A'} {book.folder / 'B'}")
    print(f"report  {book.folder / 'report.html'}")


def _compared(cfg: Config, book: Logbook) -> list[str]:
    """Who was who and what it came to; empty while it is to stay blind."""
    from vibrissa.bench.blind import names_in, over, reveal

    if cfg.against is None or not (cfg.reveal or over(book.folder)):
        return []
    return reveal(book.folder).lines(names_in(book.folder))


def _still_blind(book: Logbook) -> str:
    from vibrissa.bench.blind import missing
    from vibrissa.bench.logbook import so_far

    wanting = len(missing(book.rows))
    left = f", {wanting} without a verdict: vibrissa label {book.folder}" if wanting else ""
    return (
        f"blind   {so_far(book.rows)}{left}. Who drove is told when all are tried and judged, or "
        f"by vibrissa label {book.folder} --reveal"
    )


def _as_json(
    cfg: Config,
    book: Logbook,
    looks: Sequence[FirstLook],
    watching: Watching,
    compared: Sequence[str],
) -> dict[str, Any]:
    from vibrissa.bench.logbook import broke, read_all, summary_of

    films = [str(film) for film in watching.films]
    more = {"films": films, "out": str(book.folder), "rollouts": len(book.rows)}
    if cfg.against is None:
        told = summary_of(book.rows)
        counts = {"success": told.success, "episodes": told.episodes}
        counts["broke"] = sum(map(broke, book.rows))
        return {**counts, **told.to_dict(), "first_look": looks[0].to_dict(), **more}
    looked = {name: look.to_dict() for name, look in zip("AB", looks, strict=True)}
    if not compared:
        return {"blind": True, "first_look": looked, **more}
    rows = read_all(book.folder)
    both = {name: summary_of([row for row in rows if row.pilot == name]).to_dict() for name in "AB"}
    return {"blind": False, **both, "told": list(compared), "first_look": looked, **more}
