"""A relative path with a colon in it, such as a date, is a path and no address."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from data import recordings

from vibrissa.core.contract import CameraSpec
from vibrissa.data.dataset import open_dataset
from vibrissa.data.pictures import codec_of
from vibrissa.show.reel import Reel
from vibrissa.show.video import frame_rate, read_frames, write_mp4

CAMERAS = (CameraSpec("overhead", 64, 48),)


def test_a_set_is_recorded_and_read_under_a_relative_path_with_a_colon(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = recordings.record(Path("2026-11-30T12:30"), recordings.contract(CAMERAS), 1)
    dataset = open_dataset(out)
    assert len(list(dataset.pictures("observation.images.overhead", 0, range(20)))) == 20
    (span,) = dataset.episodes[0].videos.values()
    assert codec_of(span) == "h264"


def test_films_are_written_and_read_under_a_relative_path_with_a_colon(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = np.zeros((48, 64, 3), np.uint8)
    film = write_mp4(Path("12:30.mp4"), [picture] * 3, 30)
    assert (len(list(read_frames(film))), frame_rate(film)) == (3, 30)
    reel = Reel(Path("12:31.mp4"), 30.0, 0.0)
    reel.add(0.0, lambda: picture)
    assert reel.finish(0.2) is None
    assert len(list(read_frames(Path("12:31.mp4")))) > 1
