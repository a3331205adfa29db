"""What is odd in a dataset is seen, and what is fine is not called odd."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from data import recordings

from vibrissa.core.contract import CameraSpec
from vibrissa.data.dataset import open_dataset
from vibrissa.data.describe import Description, describe
from vibrissa.data.features import ACTION, STATE
from vibrissa.show.video import write_mp4

CAMERA = CameraSpec("eye", 64, 48)
KEY = "observation.images.eye"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    of = recordings.contract((CAMERA,))
    return recordings.record(folder / "set", of, 4, ticks=120)


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "a copy"))


def odd(root: Path) -> str:
    return "\n".join(describe(root).lines)


def test_a_good_recording_has_nothing_odd(recorded: Path) -> None:
    told = describe(recorded)
    assert (told.problems, told.lines) == ((), ())
    assert (told.episodes, told.frames, told.fps) == (4, 486, 30.0)
    assert told.outcomes == {"success": 4}
    assert (told.cameras[0].name, told.cameras[0].stored) == ("eye", "h264")
    assert {j.unit for j in told.joints} == {"deg"}
    assert json.loads(json.dumps(told.to_dict()))["lengths"]["longest"] == 123


@pytest.mark.parametrize(
    ("column", "change", "told"),
    [
        (STATE, lambda v: _put(v, (7, 2), np.nan), "NaN or infinity in 1 rows, first row 7"),
        (
            STATE,
            lambda v: _put(v, (slice(None), 3), 5.0),
            "1 of 6 channels never change: wrist_flex",
        ),
        (
            STATE,
            lambda v: _put(v, (50, 1), 4000.0),
            "1 rows are far from all others, in shoulder_l",
        ),
        (ACTION, lambda v: v * 3, "beyond the SO-101's joint limits"),
        (ACTION, lambda v: _put(v, (slice(None), 5), 3 + 0.01 * v[:, 5]), "the gripper uses only"),
        ("timestamp", lambda v: v + 0.5 * (np.arange(len(v)) > 60), "jump in 1 episodes"),
        (
            STATE,
            lambda v: v + 500,
            "contradicts the rows, and training normalises with it: its mean of",
        ),
    ],
)
def test_odd_rows_are_told(copy: Path, column, change, told) -> None:
    assert told not in odd(copy)
    recordings.edit(copy, column, change)
    assert told in odd(copy)


def test_an_action_that_was_measured_is_told(copy: Path) -> None:
    state = open_dataset(copy).column(STATE)
    recordings.edit(copy, ACTION, lambda _: state)
    assert "action equals the state of the same row in 100%" in odd(copy)
    recordings.edit(copy, ACTION, lambda _: np.roll(state, -1, axis=0))
    assert "one row later in 100%" in odd(copy)


def test_a_black_and_a_frozen_film_are_told(copy: Path) -> None:
    films = sorted(copy.glob("videos/*/*/*.mp4"))
    write_mp4(films[1], [np.zeros((48, 64, 3), np.uint8)] * 121, 30.0)
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    write_mp4(films[2], [noise] * 122, 30.0)
    assert f"{KEY} is black in episode 1." in odd(copy)
    assert f"{KEY} shows the same picture throughout episode 2." in odd(copy)


def test_a_short_episode_is_told(tmp_path: Path) -> None:
    from vibrissa.data.recorder import Recorder

    with Recorder(tmp_path / "set") as recorder:
        for seed, ticks in enumerate((60, 60, 12, 60)):
            recordings.play(recorder, recordings.contract(), seed, ticks=ticks)
    assert "episodes 2 have less than half the usual 60 rows" in odd(tmp_path / "set")


def test_files_that_no_episode_names_are_told(copy: Path) -> None:
    data = next(copy.glob("data/*/*.parquet"))
    shutil.copy(data, data.with_name("file-077.parquet"))
    film = next(copy.glob("videos/*/*/*.mp4"))
    shutil.copy(film, film.with_name("episode_000009.mp4"))
    shutil.copy(film, film.with_name("._episode_000009.mp4"))  # a Mac leaves these everywhere
    (copy / "images" / "front").mkdir(parents=True)
    (copy / "images" / "front" / "frame_000000.png").write_bytes(b"")
    line = next(line for line in describe(copy).lines if "belong to no episode" in line)
    assert line.startswith("3 files belong to no episode")
    for name in ("file-077.parquet", "episode_000009.mp4", "images/front/frame_000000.png"):
        assert name in line


def test_a_film_that_is_not_there_is_told_once(copy: Path) -> None:
    next(copy.glob("videos/*/*/*.mp4")).unlink()
    told = describe(copy)
    assert sum("is missing" in line for line in (*told.problems, *told.lines)) == 1


def test_missing_and_faint_statistics_are_told(copy: Path) -> None:
    path = copy / "meta" / "stats.json"
    stats = json.loads(path.read_text())
    stats[KEY]["std"] = [[[1e-5]]] * 3
    path.write_text(json.dumps(stats))
    assert "near zero in stats.json" in odd(copy)
    path.unlink()
    assert "there is no meta/stats.json" in odd(copy)


REAL = {
    "so101_lift_50ep_v30_stateonly": (50, 8934, "that info.json does not list"),
    "so101_test_4ep_v30_stateonly": (4, 1492, "that info.json does not list"),
    "so101_bimanual_5ep_v30_video": (5, 1360, "observation.images.cam0 is black in episode 0."),
    "pusht_3ep_v30_images": (3, 420, ""),
    "gr1_5ep_v20_video": (5, 2096, "25 of 44 channels never change"),
}


@pytest.mark.parametrize("folder", REAL)
def test_real_datasets_are_described(realdata: Path, folder: str) -> None:
    told: Description = describe(realdata / folder)
    episodes, frames, line = REAL[folder]
    assert (told.episodes, told.frames) == (episodes, frames)
    assert line in "\n".join(told.lines)


def test_the_measured_actions_of_the_two_armed_set_are_told(realdata: Path) -> None:
    told = describe(realdata / "so101_bimanual_5ep_v30_video")
    assert any("it was measured, not commanded" in line for line in told.lines)
    assert [c.stored for c in told.cameras] == ["mpeg4", "mpeg4"]


def _put(values: np.ndarray, where, what) -> np.ndarray:
    values[where] = what
    return values
