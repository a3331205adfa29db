"""A film can be played whatever happened while it was made, and is over within seconds."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from show.films import grey, levels, rate, sound

from vibrissa.show import reel as reel_module
from vibrissa.show.reel import Reel
from vibrissa.show.sound import RATE_HZ, Block


def until(true: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    end_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end_s, "it never happened"
        time.sleep(0.005)


def feed(reel: Reel, times_s, level=lambda t: 100) -> None:
    for t in times_s:
        reel.add(t, lambda t=t: grey(level(t)))
        until(lambda: reel._queue.empty())


def test_pictures_stand_at_their_time_and_gaps_are_bridged(tmp_path: Path) -> None:
    reel = Reel(tmp_path / "films" / "film.mp4", 10.0, 5.0)
    feed(reel, [5.0, 5.1, 5.5, 5.52, 5.6], lambda t: round(400 * (t - 5)) + 10)
    assert reel.finish(5.8, 60) is None
    assert rate(reel.path) == 10.0
    assert levels(reel.path) == pytest.approx([10, 50, 50, 50, 50, 218, 250, 250], abs=5)


def test_sound_and_picture_of_one_moment_meet_in_the_film(tmp_path: Path) -> None:
    """A flash and a beep at 1 s; the sound comes in blocks that jitter, with a hole before."""
    heard: list[Block] = []
    reel = Reel(tmp_path / "film.mp4", 30.0, 100.0, lambda: [heard.pop(0) for _ in heard[:]])
    size = RATE_HZ // 50
    for tick in range(60):
        t = 100 + tick / 30
        for part in range(tick * 50 // 30, (tick + 1) * 50 // 30):
            start_s = 100 + part / 50
            loud = 0.5 if start_s >= 101 else 0.0
            if not 100.3 < start_s < 100.7:
                jitter_s = 0.004 * (-1) ** part
                tone = loud * np.sin(0.2 * np.arange(size)).astype(np.float32)
                heard.append(Block(start_s + jitter_s, tone))
        feed(reel, [t], lambda t: 200 if t >= 100.999 else 20)
    assert reel.finish(102.0, 60) is None
    shown = levels(reel.path)
    samples = sound(reel.path)
    assert len(shown) == 60
    assert next(k for k, level in enumerate(shown) if level > 100) == 30
    first = int(np.argmax(np.abs(samples) > 0.2)) / RATE_HZ
    assert first == pytest.approx(1.0, abs=0.06)
    assert len(samples) / RATE_HZ == pytest.approx(2.0, abs=0.1)


def test_a_microphone_that_dies_costs_no_picture(tmp_path: Path) -> None:
    blocks = [Block(0.0, np.full(RATE_HZ // 10, 0.3, np.float32))]
    reel = Reel(tmp_path / "film.mp4", 30.0, 0.0, lambda: [blocks.pop()] if blocks else [])
    feed(reel, [k / 30 for k in range(90)])
    assert reel.finish(3.0, 60) is None
    assert len(levels(reel.path)) == 90
    assert len(sound(reel.path)) / RATE_HZ == pytest.approx(3.0, abs=0.1)


def test_an_encoder_that_hangs_is_left_and_what_it_wrote_can_be_played(
    tmp_path: Path, monkeypatch
) -> None:
    go_on = threading.Event()
    good = reel_module._Screen.show_until

    def stuck(self, place, picture):
        if place > 60:
            go_on.wait()
        good(self, place, picture)

    monkeypatch.setattr(reel_module._Screen, "show_until", stuck)
    reel = Reel(tmp_path / "film.mp4", 30.0, 0.0)
    feed(reel, [k / 30 for k in range(62)])
    for k in range(62, 200):
        reel.add(k / 30, lambda: grey(0))  # returns at once, though nobody takes it
    assert reel.dropped > 0
    told = reel.finish(4.0, patience_s=0.2)
    assert told is not None
    assert "does not answer; the film has its first 2.0 s" in told
    assert len(levels(reel.path)) >= 45
    go_on.set()


def test_a_full_disk_leaves_a_film_of_what_fitted(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (48, 64, 3), np.uint8)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        reel = Reel(tmp_path / "film.mp4", 30.0, 0.0)
        for k in range(300):
            reel.add(k / 30, lambda k=k: np.roll(noise, 5 * k, 1))
            until(lambda: reel._queue.empty() or reel.trouble is not None)
        told = reel.finish(10.0, 60)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert told is not None
    assert "File too large; the film ends after" in told
    assert len(levels(reel.path)) > 15


def test_a_film_nobody_showed_anything_is_told(tmp_path: Path) -> None:
    reel = Reel(tmp_path / "film.mp4", 30.0, 0.0)
    assert reel.finish(1.0, 60) == f"{reel.path}: there was no picture to film."


def test_a_kill_leaves_all_but_the_last_moment(tmp_path: Path) -> None:
    code = f"""
import time, numpy as np
from pathlib import Path
from vibrissa.show.reel import Reel
from vibrissa.show.sound import Block, RATE_HZ
hear = lambda: [Block(k / 30, np.zeros(RATE_HZ // 30, np.float32))]
reel = Reel(Path({str(tmp_path / "film.mp4")!r}), 30.0, 0.0, hear)
for k in range(90):
    reel.add(k / 30, lambda: np.full((48, 64, 3), 90, np.uint8))
    while not reel._queue.empty():
        time.sleep(0.002)
while reel.frames < 89:
    time.sleep(0.002)
print("now", flush=True)
time.sleep(600)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "now"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert len(levels(tmp_path / "film.mp4")) >= 90 - 30
