"""Say afterwards how the rollouts of vibrissa deploy went: one by one at the keys, or by number."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.bench.outcomes import Row


@dataclass(frozen=True)
class Config:
    folder: Positional[Path]
    """The folder that vibrissa deploy left."""
    rollout: Positional[int | None] = None
    """Which one, by its number: deploy counts from 1. Without it, all that nobody has labelled."""
    verdict: Positional[str] = ""
    """success, failure, or why: never-picked-up, dropped-during-transport, missed-goal, …"""
    all: bool = False
    """Ask about every rollout, not only about those that nobody has labelled."""
    show: bool = False
    """Open each film in rerun's viewer."""
    reveal: bool = False
    """Of two policies: tell who drove now, whatever is still to be tried or said."""
    json: bool = False
    """Print the rollouts as JSON, and ask nothing."""


def run(cfg: Config) -> int:
    from vibrissa.bench.blind import name_players
    from vibrissa.bench.footage import with_films
    from vibrissa.bench.logbook import label, read_all

    if (cfg.rollout is None) != (not cfg.verdict):
        raise UsageError("say which rollout and how it went: vibrissa label FOLDER 3 success.")
    if cfg.rollout is not None:
        label(cfg.folder, cfg.rollout, cfg.verdict)
    elif not cfg.json and not cfg.reveal:
        _ask(cfg, read_all(cfg.folder))
    compared = _compared(cfg)
    if compared:
        name_players(cfg.folder)
    rows = read_all(cfg.folder, _warn)
    if rows and not cfg.json:
        with_films(cfg.folder)
    if cfg.json:
        print(json_.dumps([asdict(row) for row in rows], indent=2))
    else:
        print("\n".join([*_lines(cfg.folder, rows), *(compared or [_told(cfg.folder, rows)])]))
    return 0


def _ask(cfg: Config, rows: Sequence[Row]) -> None:
    """Walk through what is to be labelled, where somebody sits at a terminal."""
    from vibrissa.bench.blind import missing
    from vibrissa.bench.labelling import walk
    from vibrissa.bench.logbook import place
    from vibrissa.control.keys import NoKeys, open_keys

    every = [place(row) for row in rows if row.reason != "fault"]
    wanted = every if cfg.all else missing(rows)
    if not wanted:
        return
    with open_keys(tell=lambda _: None) as keys:
        if not isinstance(keys, NoKeys):
            walk(cfg.folder, wanted, keys, say=_say, show=_shower(cfg))


def _warn(line: str) -> None:
    print(f"warning {line}", file=sys.stderr)


def _say(line: str) -> None:
    print(line, flush=True)


def _shower(cfg: Config) -> Callable[[Path], None] | None:
    if not cfg.show:
        return None
    from vibrissa.show.screening import Screening

    return Screening().show


def _compared(cfg: Config) -> list[str]:
    """Of two policies: who was who, once it is over, or was asked for."""
    from vibrissa.bench.blind import names_in, over, reveal, standing
    from vibrissa.bench.logbook import read_all
    from vibrissa.bench.order import ORDER, is_blind, read_order

    if not (cfg.folder / ORDER).is_file():
        if cfg.reveal:
            raise UsageError(f"{cfg.folder} holds rollouts of one policy: nothing is hidden.")
        return []
    if not is_blind(cfg.folder) and cfg.rollout is None:
        planned = read_order(cfg.folder).pairs
        return standing(read_all(cfg.folder), planned).lines(names_in(cfg.folder))
    if cfg.reveal or not is_blind(cfg.folder) or over(cfg.folder):
        return reveal(cfg.folder).lines(names_in(cfg.folder))
    return []


def _told(folder: Path, rows: Sequence[Row]) -> str:
    from vibrissa.bench.logbook import so_far, told_of
    from vibrissa.bench.order import is_blind

    if is_blind(folder):
        return f"blind   {so_far(rows)}; who drove is told when all have been tried and judged"
    return f"success {told_of(rows)}"


def _lines(folder: Path, rows: Sequence[Row]) -> list[str]:
    from vibrissa.bench.logbook import film_of, place

    told = []
    for row in rows:
        film = film_of(folder, place(row))
        where = f"   {film}" if film.is_file() else ""
        who = f"{row.pilot}  " if row.pilot in ("A", "B") else ""
        became = row.failure_class.lower()
        told.append(f"{row.rollout:3d}  {who}{became:<26} {row.ticks:5d} ticks{where}")
    return told
