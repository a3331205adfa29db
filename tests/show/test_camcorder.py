"""Rollouts on film: one file each, and never at the expense of a rollout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import OneJoint, Ramp, Reach
from show.films import levels, sound

from vibrissa.control.drive import run_episode
from vibrissa.control.pilots import ChunkPlayer
from vibrissa.core.errors import ArmFault
from vibrissa.show.camcorder import Camcorder
from vibrissa.show.inset import Framing
from vibrissa.show.sound import RATE_HZ, Block


class Hum:
    """A microphone that hums on the clock it is given, until it dies."""

    trouble: str | None = None

    def __init__(self, at_s: float):
        self.at_s = at_s

    def take(self) -> list[Block]:
        self.at_s += 1 / 30
        return [Block(self.at_s - 1 / 30, np.full(RATE_HZ // 30, 0.25, np.float32))]


def play(camcorder: Camcorder, seeds=(3,), arm: OneJoint | None = None) -> None:
    for seed in seeds:
        arm = arm or OneJoint()
        run_episode(arm, ChunkPlayer(4), Reach(), [camcorder], policy=Ramp(), seed=seed)


def test_every_rollout_is_a_film_with_a_picture_for_every_tick(tmp_path: Path) -> None:
    camcorder = Camcorder(lambda n: tmp_path / f"rollout_{n}.mp4", Framing("eye"), patience_s=60)
    play(camcorder, (3, 4))
    assert camcorder.troubles == []
    assert [film.name for film in camcorder.films] == ["rollout_0.mp4", "rollout_1.mp4"]
    ticks = len(levels(camcorder.films[0]))
    assert levels(camcorder.films[0]) == pytest.approx(list(range(ticks)), abs=3)


def test_sound_is_moved_to_the_clock_of_the_arm(tmp_path: Path) -> None:
    now = iter(range(10_000))
    camcorder = Camcorder(
        lambda n: tmp_path / "film.mp4",
        Framing("eye"),
        microphone=Hum(1000.0),  # type: ignore[arg-type]
        patience_s=60,
        now=lambda: 1000.0 + next(now) / 30,  # one look at the clock a tick
    )
    play(camcorder)
    assert camcorder.troubles == []
    samples = sound(camcorder.films[0])
    assert len(samples) / RATE_HZ == pytest.approx(len(levels(camcorder.films[0])) / 30, abs=0.06)


def test_a_fault_in_mid_episode_leaves_a_film_that_plays(tmp_path: Path) -> None:
    arm, ticks = OneJoint(), iter(range(100))
    good = arm.send

    def send(action):
        if next(ticks) == 7:
            raise ArmFault("the bus is silent")
        return good(action)

    arm.send = send  # type: ignore[method-assign]
    camcorder = Camcorder(lambda n: tmp_path / "film.mp4", Framing("eye"), patience_s=60)
    with pytest.raises(ArmFault):
        play(camcorder, arm=arm)
    assert len(levels(tmp_path / "film.mp4")) == 7


def test_a_film_that_cannot_be_written_ends_no_rollout_and_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    told: list[str] = []
    camcorder = Camcorder(lambda n: tmp_path / "file" / "x.mp4", Framing("eye"), say=told.append)
    play(camcorder, (3, 4))
    assert told == camcorder.troubles
    assert len(told) == 1
    assert "file/x.mp4" in told[0]
