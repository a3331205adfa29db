"""Plug one servo alone into a running twin's bus, as `lerobot-setup-motors` wants it; or all.

A servo that is pulled out has no power: its torque is gone, and what was not EPROM with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vibrissa.commands.twin import folder_of


@dataclass(frozen=True)
class Config:
    """Which servo, of which arm."""

    what: Annotated[str, tyro.conf.Positional]
    """A joint, such as gripper; all; or none."""
    arm: Literal["follower", "leader"] = "follower"
    """Whose bus."""
    dir: Path | None = None
    """The twin's folder."""


def run(cfg: Config) -> int:
    from vibrissa.twin.control import ask

    ask(folder_of(cfg.dir), {"do": "plug", "arm": cfg.arm, "what": cfg.what})
    alone = "" if cfg.what in ("all", "none") else " alone"
    print(f"{cfg.arm}: {cfg.what} plugged{alone}")
    return 0
