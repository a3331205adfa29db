"""A desk to record at: a twin in this process, and somebody at the keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vibrissa import cli
from vibrissa.control import keys as keys_module
from vibrissa.control.keys import ScriptedKeys
from vibrissa.real.rig import load_rig, save_rig
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.twin import Twin


@contextmanager
def served(folder: Path) -> Iterator[Twin]:
    """A twin without cameras whose leader sways, so that there is something to follow."""
    with Twin(folder, make_scene("lift")) as twin:
        body = twin.stations["leader"].body
        start = body.angles
        sway = np.array([0.2, 0.1, 0.1, 0.2, 0.2, 0.0])
        body.hand = lambda time_s: start + sway * np.sin(2 * time_s)  # type: ignore[assignment]
        rig = load_rig(folder / "rig.yaml")
        patient = replace(rig.arm, read_retries=20)  # with a computer that does much else
        save_rig(replace(rig, arm=patient), folder / "rig.yaml")
        yield twin


def press(monkeypatch: pytest.MonkeyPatch, presses: Iterable[str | None]) -> ScriptedKeys:
    """Somebody presses these keys, one at every tick, in whatever command runs next."""
    keys = ScriptedKeys(presses)

    def opened(*_: Any, **__: Any) -> Any:
        return nullcontext(keys)

    monkeypatch.setattr(keys_module, "open_keys", opened)
    return keys


def record(twin_folder: Path, out: Path, *more: str) -> int:
    """`vibrissa record` at the twin: short episodes without pauses."""
    argv = ["record", "--config", str(twin_folder / "rig.yaml"), "--out", str(out)]
    short = ["--seconds", "0.5", "--reset-seconds", "0", "--instruction", "Sway"]
    return cli.main([*argv, *short, *more])
