"""Films and picture strips: what goes in comes out, and nothing half-written stays."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vibrissa.core.errors import UsageError
from vibrissa.show.plots import joint_plot
from vibrissa.show.video import read_frames, spread, strip, to_height, to_png_bytes, write_mp4


def greys(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    return [np.full((height, width, 3), 20 * k + 10, np.uint8) for k in range(count)]


def test_a_film_keeps_its_frames_in_order(tmp_path: Path) -> None:
    path = write_mp4(tmp_path / "with space" / "film.mp4", iter(greys(10)), 30.0)
    levels = [int(frame.mean().round()) for frame in read_frames(path)]
    assert levels == pytest.approx([20 * k + 10 for k in range(10)], abs=4)
    assert len(list(read_frames(path, every=3))) == 4
    assert [p.name for p in path.parent.iterdir()] == ["film.mp4"]


def test_odd_sizes_are_padded(tmp_path: Path) -> None:
    path = write_mp4(tmp_path / "odd.mp4", greys(2, 33, 47), 12.5)
    assert next(read_frames(path)).shape == (34, 48, 3)


def test_nothing_is_left_of_a_film_that_failed(tmp_path: Path) -> None:
    def breaking():
        yield from greys(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mp4(tmp_path / "film.mp4", breaking(), 30.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ([], "no frame"),
        ([*greys(1), *greys(1, 32)], "frame 1"),
        ([np.zeros((4, 4), np.uint8)], "must be"),
    ],
)
def test_what_is_no_film_is_refused(tmp_path: Path, frames, told) -> None:
    with pytest.raises(UsageError, match=told):
        write_mp4(tmp_path / "film.mp4", frames, 30.0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no video")
    with pytest.raises(UsageError, match=r"x\.mp4 cannot be read"):
        list(read_frames(tmp_path / "x.mp4"))


def test_png_and_strip_are_lossless() -> None:
    frames = greys(3)
    row = strip(frames, gap_px=2)
    assert row.shape == (48, 3 * 64 + 2 * 2, 3)
    np.testing.assert_array_equal(row[:, :64], frames[0])
    assert (row[:, 64:66] == 255).all()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(to_png_bytes(row)))), row)
    with pytest.raises(UsageError, match="one height"):
        strip([*greys(1), *greys(1, 20)])


def test_spread_holds_both_ends() -> None:
    assert spread(4, 10) == [0, 3, 6, 9]
    assert spread(6, 3) == [0, 1, 2]
    assert spread(3, 1) == [0]


def test_to_height_keeps_proportions() -> None:
    assert to_height(greys(1)[0], 24).shape == (24, 32, 3)


def test_a_plot_is_a_picture(tmp_path: Path) -> None:
    motion = np.linspace(0, 1, 40).reshape(20, 2)
    path = joint_plot(
        tmp_path / "plot.png", 10.0, {"a": motion, "b": motion}, ["one", "two"], title="t"
    )
    assert Image.open(path).size[0] > 800
    assert [p.name for p in tmp_path.iterdir()] == ["plot.png"]
