"""Bring back what a kill, a power cut or a full disk left of a recording.

A dataset of ours is finished in place: what lies in its journal is added to it, an open episode
up to its last whole tick, and nothing that is there is changed. With --out, a copy is finished.
"""

from __future__ import annotations

import json as json_
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from vibrissa.data.recover import Left


@dataclass(frozen=True)
class Config:
    path: Annotated[Path, tyro.conf.Positional]
    """The folder that was being recorded."""
    out: Path | None = None
    """Leave that folder as it is, and put the whole dataset here; it must not exist yet."""
    json: bool = False
    """Print what was brought back as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.data import layout
    from vibrissa.data.disk import require_absent, writing
    from vibrissa.data.recover import recover

    root = cfg.path
    if cfg.out is not None:
        require_absent(cfg.out)
        if layout.is_open(cfg.path):
            with writing(cfg.out):
                shutil.copytree(cfg.path, cfg.out)
            root = cfg.out
    told = recover(root)
    if cfg.json:
        print(json_.dumps(told.to_dict()))
        return 0
    for left in told.takes:
        print(_line(left))
    print(f"{told.episodes} episodes, {told.rows} rows brought back: {root}")
    return 0


def _line(left: Left) -> str:
    name = f"take {left.name}"
    more = f" ({left.told})" if left.told else ""
    if left.episode is not None:
        what = "had ended" if left.fate == "finished" else "was open"
        return f"{name} {what}: {left.brought} of {left.rows} rows are episode {left.episode}{more}"
    if left.fate == "stored":
        return f"{name} was stored already"
    if left.fate == "discarded":
        return f"{name} had been discarded"
    return f"{name} could not be brought back{more}"
