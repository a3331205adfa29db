"""The loader's samples are LeRobot's samples; its order is a function of seed and step."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data.recordings import contract, record
from hypothesis import given, settings
from hypothesis import strategies as st
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from vibrissa.core.contract import CameraSpec
from vibrissa.core.errors import DatasetError
from vibrissa.data.cache import Pictures
from vibrissa.data.dataset import open_dataset
from vibrissa.data.loader import Loader, Sampling

STATE, TRUTH = "observation.state", "observation.environment_state"
CHUNK = 8


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("states") / "d", contract(), 3)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    eyes = (CameraSpec("front", 48, 32), CameraSpec("wrist", 48, 32))
    return record(tmp_path_factory.mktemp("filmed") / "d", contract(eyes), 2)


def loader(
    root: Path, *inputs: str, cache: Path, size=None, batch_size: int = 4, seed: int = 0
) -> Loader:
    pictures = Pictures(cache, size)
    return Loader(
        open_dataset(root), inputs or (STATE, TRUTH), Sampling(CHUNK, batch_size, seed), pictures
    )


def lerobot(root: Path) -> Any:
    ahead = {"action": [i / 30 for i in range(CHUNK)]}
    return LeRobotDataset("local/d", root=root, delta_timestamps=ahead, video_backend="pyav")


def test_every_sample_is_lerobots_sample(states: Path, tmp_path: Path) -> None:
    ours, theirs = loader(states, cache=tmp_path), lerobot(states)
    assert ours.frames == len(theirs)
    whole = ours.gather(np.arange(ours.frames))
    for i in range(ours.frames):
        sample = theirs[i]
        for key in (STATE, TRUTH, "action", "action_is_pad"):
            assert torch.equal(whole[key][i], sample[key]), (i, key)


def test_pictures_are_lerobots_pictures(filmed: Path, tmp_path: Path) -> None:
    key = "observation.images.front"
    ours, theirs = loader(filmed, STATE, key, cache=tmp_path), lerobot(filmed)
    for i in (0, 1, 19, 20, 33, ours.frames - 1):
        mine = ours.gather(np.array([i]))[key][0]
        assert mine.shape == (3, 32, 48)
        torch.testing.assert_close(mine, theirs[i][key], rtol=0, atol=1.01 / 255)


def test_only_the_cameras_in_use_are_decoded(filmed: Path, tmp_path: Path) -> None:
    loader(filmed, STATE, "observation.images.wrist", cache=tmp_path)
    assert [p.name.split("-")[1] for p in tmp_path.iterdir()] == ["observation.images.wrist"]


def test_decoded_pictures_are_found_again(filmed: Path, tmp_path: Path) -> None:
    key = "observation.images.front"
    first = loader(filmed, STATE, key, cache=tmp_path, size=(16, 24)).batch(0)[key]
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    again = loader(filmed, STATE, key, cache=tmp_path, size=(16, 24)).batch(0)[key]
    assert torch.equal(first, again)
    assert first.shape == (4, 3, 16, 24)
    assert file.stat().st_mtime_ns == before


def test_decoding_that_fails_leaves_nothing(filmed: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(filmed, tmp_path / "d"))
    video = max(broken.glob("videos/observation.images.front/**/*.mp4"))
    video.write_bytes(video.read_bytes()[:900])
    with pytest.raises(DatasetError, match=r"cut off or no video|ends before"):
        loader(broken, STATE, "observation.images.front", cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@settings(deadline=None, max_examples=20)
@given(batch_size=st.integers(1, 150), seed=st.integers(0, 5))
def test_every_frame_comes_once_an_epoch(states: Path, batch_size: int, seed: int) -> None:
    drawn = loader(states, cache=states, batch_size=batch_size, seed=seed)
    steps = -(-2 * drawn.frames // batch_size)
    rows = np.concatenate([drawn.rows(step) for step in range(steps)])
    for epoch in range(2):
        piece = rows[epoch * drawn.frames : (epoch + 1) * drawn.frames]
        assert sorted(piece) == list(range(drawn.frames))


def test_a_step_is_the_same_whenever_it_is_drawn(states: Path, tmp_path: Path) -> None:
    straight, later = loader(states, cache=tmp_path), loader(states, cache=tmp_path)
    for step in range(30):
        straight.batch(step)
    assert torch.equal(straight.batch(30)[STATE], later.batch(30)[STATE])
    other = loader(states, cache=tmp_path, seed=1)
    assert not torch.equal(other.batch(30)[STATE], later.batch(30)[STATE])


def test_without_anything_else_the_joints_come_twice(tmp_path: Path) -> None:
    root = record(tmp_path / "d", contract(privileged=False), 1)
    drawn = loader(root, STATE, TRUTH, cache=tmp_path)
    batch = drawn.batch(0)
    assert torch.equal(batch[STATE], batch[TRUTH])
    assert drawn.features[TRUTH] == drawn.features[STATE]


def test_a_column_that_is_not_there_is_named(states: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"has no observation\.images\.top\. It has: observation\.state"
    ):
        loader(states, STATE, "observation.images.top", cache=tmp_path)


def test_nan_in_the_data_is_found(states: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    broken = Path(shutil.copytree(states, tmp_path / "d"))
    file = min(broken.glob("data/**/*.parquet"))
    frame = pq.read_table(file).to_pandas()
    frame.at[5, "action"] = np.full(6, np.nan, np.float32)
    frame.to_parquet(file)
    with pytest.raises(DatasetError, match=r"action of .* holds NaN or infinity, first in row 5"):
        loader(broken, cache=tmp_path)


def test_the_real_video_set_gives_batches(realdata: Path, tmp_path: Path) -> None:
    root = realdata / "so101_bimanual_5ep_v30_video"
    key = "observation.images.cam0"
    batch = loader(root, STATE, key, cache=tmp_path, size=(16, 16)).batch(0)
    assert batch[STATE].shape == (4, 12)
    assert batch["action"].shape == (4, CHUNK, 12)
    assert batch[key].shape == (4, 3, 16, 16)
    assert 0 < batch[key].mean() < 1
