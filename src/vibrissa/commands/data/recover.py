"""Bring back what a kill, a power cut or a full disk left of a recording.

A dataset of ours is finished in place: what lies in its journal is added to it, an open episode
up to its last whole tick, and nothing that is there is changed. With --out, a copy is finished.
Of a recording that LeRobot made, a new dataset is put together as far as the bytes allow.
"""

from __future__ import annotations

import json as json_
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from vibrissa.core.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from vibrissa.data.recover import Left


@dataclass(frozen=True)
class Config:
    path: Annotated[Path, tyro.conf.Positional]
    """The folder that was being recorded."""
    out: Path | None = None
    """Leave that folder as it is, and put the whole dataset here; it must not exist yet. Always
    wanted for a recording of LeRobot's."""
    json: bool = False
    """Print what was brought back as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.data import layout
    from vibrissa.data.disk import require_absent, writing
    from vibrissa.data.recover import recover

    root = cfg.path
    if cfg.out is not None:
        require_absent(cfg.out)
    if not root.is_dir():
        raise UsageError(f"no dataset at {root}: there is no such folder.")
    if not layout.is_open(root):
        return _of_lerobot(cfg)
    if cfg.out is not None:
        with writing(cfg.out):
            root = Path(shutil.copytree(root, cfg.out))
    told = recover(root)
    if cfg.json:
        print(json_.dumps(told.to_dict()))
        return 0
    for left in told.takes:
        print(_line(left))
    print(f"{told.episodes} episodes, {told.rows} rows brought back: {root}")
    return 0


def _of_lerobot(cfg: Config) -> int:
    """A folder without a journal: something LeRobot was killed over, or nothing at all."""
    from vibrissa.data.dataset import open_dataset
    from vibrissa.data.recover_stock import recover_stock

    try:
        open_dataset(cfg.path)
    except DatasetError as error:
        if not (cfg.path / "meta" / "info.json").is_file():
            raise
        if cfg.out is None:
            raise UsageError(f"{error} Name a new folder for what can be had: --out …") from None
    else:
        raise UsageError(
            f"{cfg.path} is a whole dataset, and has no journal: nothing to bring back."
        )
    told = recover_stock(cfg.path, cfg.out)
    if cfg.json:
        print(json_.dumps(told.to_dict()))
        return 0
    for line in told.had:
        print(f"had   {line}")
    for line in told.lost:
        print(f"lost  {line}")
    print(f"{told.episodes} episodes, {told.rows} rows brought back: {told.path}")
    return 0


def _line(left: Left) -> str:
    name = f"take {left.name}"
    more = f" ({left.told})" if left.told else ""
    if left.episode is not None:
        what = "had ended" if left.fate == "finished" else "was open"
        return f"{name} {what}: {left.brought} of {left.rows} rows are episode {left.episode}{more}"
    if left.fate == "leftover":
        return f"leftover {left.name}, not readable as an episode: {left.told}"
    if left.fate == "stored":
        return f"{name} was stored already"
    if left.fate == "discarded":
        return f"{name} had been discarded"
    return f"{name} could not be brought back{more}"
