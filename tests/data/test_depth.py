"""Depth goes through LeRobot's format and comes back, and is never taken for colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import recordings
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vibrissa.core.contract import DEPTH_MOST_M, CameraSpec
from vibrissa.core.errors import DatasetError
from vibrissa.data import depth
from vibrissa.data.cache import Pictures
from vibrissa.data.dataset import open_dataset
from vibrissa.data.describe import describe
from vibrissa.data.features import IMAGES, features_of
from vibrissa.data.film import Film
from vibrissa.data.loader import Loader, Sampling

# Colours called "depth" and colours beside depth of a name that holds theirs: names say nothing.
CAMERAS = (
    CameraSpec("overhead", 64, 48),
    CameraSpec("overhead_depth", 64, 48, depth=True),
    CameraSpec("my_depth_view", 64, 48),
)
OVERHEAD, DISTANCE, VIEW = (IMAGES + camera.name for camera in CAMERAS)
ROUNDING_M = 1e-6  # of float32 at four metres


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("depth")
    return recordings.record(folder / "set", recordings.contract(CAMERAS), 2)


TOLD = {"info": {f"video.{name}": value for name, value in depth.OURS.items()}}


@pytest.fixture(scope="module")
def dequantize() -> Any:
    """LeRobot's own decoding; its import takes seconds."""
    from lerobot.datasets.depth_utils import dequantize_depth

    return dequantize_depth


@given(arrays(np.float32, (4, 6), elements=st.floats(0, 4.0, width=32)))
def test_a_stored_distance_is_half_a_millimetre_off_at_most(metres: np.ndarray) -> None:
    back = depth.metres(depth.codes(metres), TOLD)
    assert back.dtype == np.float32
    assert np.abs(back - metres).max() <= depth.ERROR_M + ROUNDING_M
    assert pytest.approx(0.0005) == depth.ERROR_M


@pytest.mark.parametrize("odd", [np.nan, np.inf, -0.2, DEPTH_MOST_M + 0.01, 50.0])
def test_what_is_no_distance_is_stored_as_nothing_measured(odd: float) -> None:
    assert depth.codes(np.full((2, 2), odd, np.float32)).max() == 0


@given(arrays(np.uint16, (3, 5), elements=st.integers(0, 4095)), st.booleans())
def test_codes_mean_what_lerobot_says_they_mean(
    dequantize: Any, codes: np.ndarray, log: bool
) -> None:
    info = {"video.depth_min": 0.2, "video.depth_max": 3.0, "video.shift": 1.5}
    feature = {"info": {**info, "video.use_log": log}}
    theirs = dequantize(codes, 0.2, 3.0, 1.5, log, output_unit="m", output_tensor=False)
    np.testing.assert_allclose(depth.metres(codes, feature), np.squeeze(theirs), atol=1e-5)
    default = dequantize(codes, output_unit="m", output_tensor=False)
    np.testing.assert_allclose(depth.metres(codes, {}), np.squeeze(default), atol=1e-5)


def test_what_was_recorded_comes_back_in_metres_and_colours_stay_colours(recorded: Path) -> None:
    dataset = open_dataset(recorded)
    assert dataset.contract.cameras == CAMERAS
    for episode in range(2):
        for tick, back in enumerate(dataset.pictures(DISTANCE, episode, range(20))):
            given = recordings.distances(CAMERAS[1], episode, tick)
            assert back.shape == (48, 64)
            assert back.dtype == np.float32
            assert np.abs(back - np.where(given > DEPTH_MOST_M, 0, given)).max() < 0.0006
            assert (back[0] == 0).all()
        twice = [*dataset.pictures(DISTANCE, episode, [4, 4, 9])]
        assert np.array_equal(twice[0], twice[1])
        assert not np.array_equal(twice[1], twice[2])
        for key in (OVERHEAD, VIEW):
            (colours,) = dataset.pictures(key, episode, [7])
            assert colours.shape == (48, 64, 3)
            assert colours.dtype == np.uint8


def test_stock_lerobot_reads_it_as_depth(recorded: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    theirs = LeRobotDataset("local/set", root=recorded, video_backend="pyav", depth_output_unit="m")
    assert theirs.meta.depth_keys == [DISTANCE]
    row: Any = theirs[20 + 5]
    given = recordings.distances(CAMERAS[1], 1, 5)
    seen = row[DISTANCE].numpy()
    assert seen.shape == (1, 48, 64)
    assert np.abs(seen[0] - given).max() < 0.0006
    assert row[OVERHEAD].shape == (3, 48, 64)
    stats = theirs.meta.stats
    assert stats is not None
    assert stats[DISTANCE]["mean"].shape == (1, 1, 1)
    assert float(stats[DISTANCE]["mean"].item()) == pytest.approx(given[1:].mean(), abs=0.2)
    in_mm: Any = LeRobotDataset("local/set", root=recorded, video_backend="pyav")
    assert np.abs(in_mm[25][DISTANCE].numpy()[0] / 1000 - given).max() < 0.0006


def test_a_recording_of_lerobots_own_is_read_by_its_own_coding(tmp_path: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    key = "observation.images.front_depth"
    feature = {"dtype": "video", "shape": (48, 64, 1), "names": ["height", "width", "channels"]}
    vector = {"dtype": "float32", "shape": (2,), "names": ["a", "b"]}
    features = {
        key: {**feature, "info": {"is_depth_map": True}},
        "observation.state": vector,
        "action": vector,
    }
    stock = LeRobotDataset.create("local/theirs", 30, features, root=tmp_path / "theirs")
    camera, zeros = CAMERAS[1], np.zeros(2, np.float32)
    shots = [recordings.distances(camera, 3, tick)[1:] for tick in range(6)]
    for shot in shots:
        row = {key: np.vstack([shot[:1], shot])[..., None], "task": "look"}
        stock.add_frame({**row, "observation.state": zeros, "action": zeros})
    stock.save_episode()
    stock.finalize()
    dataset = open_dataset(tmp_path / "theirs")
    assert [c.depth for c in dataset.contract.cameras] == [True]
    for back, shot in zip(dataset.pictures(key, 0, range(6)), shots, strict=True):
        step = np.log(13.5 / 3.51) / 4095 * (shot + 3.5)  # LeRobot's default, logarithmic
        assert (np.abs(back[1:] - shot) <= step / 2 + 1e-5).all()


@pytest.mark.parametrize(("camera", "other"), [(CAMERAS[0], CAMERAS[1]), (CAMERAS[1], CAMERAS[0])])
def test_a_picture_of_the_other_kind_is_refused(
    camera: CameraSpec, other: CameraSpec, tmp_path: Path
) -> None:
    film = Film(tmp_path / "a.mp4", camera, 30, 1.0)
    with pytest.raises(DatasetError, match=rf"'{camera.name}' gave .*its contract says"):
        film.add(recordings.picture(other, 0, 0))
    film.cancel()


def test_inspect_tells_depth_from_colours_and_a_name_that_promises_it(recorded: Path) -> None:
    seen = describe(recorded)
    assert {c.name: c.depth for c in seen.cameras} == {c.name: c.depth for c in CAMERAS}
    assert {c.name: c.stored for c in seen.cameras}["overhead_depth"] == "hevc"
    assert not any("named as depth" in line for line in seen.lines)


def test_colours_under_a_name_of_depth_are_odd(tmp_path: Path) -> None:
    contract = recordings.contract((CameraSpec("front_depth", 32, 32),))
    seen = describe(recordings.record(tmp_path / "set", contract, 1))
    assert any("front_depth is named as depth and stored as colours" in o for o in seen.lines)


def test_training_never_sees_depth_as_colours(recorded: Path, tmp_path: Path) -> None:
    dataset = open_dataset(recorded)
    kept, left_out = depth.colours(dataset.features)
    assert left_out == (DISTANCE,)
    assert set(kept) == set(dataset.features) - {DISTANCE}
    with pytest.raises(DatasetError, match=r"overhead_depth .* is depth in m"):
        Loader(dataset, ("observation.state", DISTANCE), Sampling(4, 2), Pictures(tmp_path))


def test_depth_is_a_mark_and_one_channel_in_the_features() -> None:
    features = features_of(recordings.contract(CAMERAS))
    assert features[DISTANCE]["shape"] == (48, 64, 1)
    assert [key for key, f in features.items() if depth.is_depth(f)] == [DISTANCE]
    assert depth.is_depth({"video_info": {"video.is_depth_map": True}})
