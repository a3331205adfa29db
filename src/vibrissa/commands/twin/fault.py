"""Break something in a running twin, on purpose, now or in a moment, wholly or now and then.

    vibrissa twin fault lost --rate 0.02             two answers of a hundred do not arrive
    vibrissa twin fault silent --joint elbow_flex    one servo says nothing any more
    vibrissa twin fault gone --at-s 5 --for-s 3      the port vanishes in 5 s, and is back 3 s later
    vibrissa twin fault black --camera wrist         a camera's pictures are black
    vibrissa twin fault none                         all is well again

Kinds and what they do: docs/twin.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vibrissa.commands.twin import folder_of


@dataclass(frozen=True)
class Config:
    """One fault."""

    kind: Annotated[str, tyro.conf.Positional]
    """lost late truncated corrupted unheard silent gone firmware overload voltage, black frozen
    overexposed resolution slow (a camera's: also late and gone with --camera); or none."""
    arm: Literal["follower", "leader"] = "follower"
    """Whose bus."""
    joint: str = ""
    """Whose servo; all of them by default."""
    camera: str | None = None
    """Which camera, for a camera's fault; all of them by default."""
    at_s: float = 0.0
    """When it begins, s from now."""
    for_s: float | None = None
    """How long it lasts; until `fault none` by default."""
    rate: float = 1.0
    """The share of packets or frames that it befalls, or of seconds."""
    amount: float | None = None
    """How late (s), or how many volts."""
    dir: Path | None = None
    """The twin's folder."""


def run(cfg: Config) -> int:
    from vibrissa.twin.control import ask

    folder = folder_of(cfg.dir)
    if cfg.kind == "none":
        ask(folder, {"do": "heal"})
        print("all is well again")
        return 0
    wanted = {name: value for name, value in asdict(cfg).items() if name != "dir" and value != ""}
    ask(folder, {"do": "fault", **wanted})
    lasts = "" if cfg.for_s is None else f", for {cfg.for_s:g} s"
    print(f"{cfg.kind}: {'now' if not cfg.at_s else f'in {cfg.at_s:g} s'}{lasts}")
    return 0
