"""Films that are there already, as a viewer gets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vibrissa.core.errors import UsageError
from vibrissa.show.screening import Screening
from vibrissa.show.video import write_mp4


def test_every_picture_of_every_film_is_there_at_its_time(tmp_path: Path) -> None:
    from rerun.experimental import RrdReader

    pictures = [np.full((32, 48, 3), 20 * n, np.uint8) for n in range(6)]
    films = [write_mp4(tmp_path / f"rollout_{n}.mp4", pictures, 10.0) for n in (0, 1)]
    screening = Screening(tmp_path / "films.rrd")
    for film in films:
        screening.show(film)
    del screening
    shown: dict[str, int] = {}
    for chunk in RrdReader(tmp_path / "films.rrd").stream():
        if chunk.entity_path.startswith("/films/"):
            shown[chunk.entity_path] = shown.get(chunk.entity_path, 0) + chunk.num_rows
    assert shown == {"/films/rollout_0": 6, "/films/rollout_1": 6}


def test_what_cannot_be_shown_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(UsageError, match="--show needs a screen"):
        Screening()
    (tmp_path / "there.rrd").write_bytes(b"")
    with pytest.raises(UsageError, match="exists already"):
        Screening(tmp_path / "there.rrd")
    (tmp_path / "no.mp4").write_text("no film")
    with pytest.raises(UsageError, match="cannot be read as a video"):
        Screening(tmp_path / "new.rrd").show(tmp_path / "no.mp4")
