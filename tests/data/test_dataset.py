"""Reading datasets: whole ones exactly, broken ones never as if they were whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from data import recordings

from vibrissa.core.contract import CameraSpec
from vibrissa.core.errors import DatasetError
from vibrissa.data.dataset import contract_of, open_dataset
from vibrissa.data.features import STATE

CAMERA = CameraSpec("eye", 64, 48)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:52\nsize 13986\n"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    return recordings.record(folder / "set", recordings.contract((CAMERA,)), 3)


@pytest.fixture
def copy(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "a copy"))


def test_the_digest_is_of_the_content(recorded: Path, copy: Path) -> None:
    assert open_dataset(copy).digest == open_dataset(recorded).digest
    recordings.edit(copy, STATE, lambda values: values + np.float32(1e-3))
    assert open_dataset(copy).digest != open_dataset(recorded).digest


def test_the_contract_is_the_stored_one_or_inferred(recorded: Path, copy: Path) -> None:
    stored = contract_of(recorded)
    assert (stored.unit, stored.rate_hz, stored.camera_names) == ("deg", 30.0, ("eye",))
    shutil.rmtree(copy / "meta" / "vibrissa")
    inferred = contract_of(copy)
    assert [c.name for c in inferred.state] == [c.name for c in stored.state]
    assert [c.name for c in inferred.privileged] == ["brick.x", "brick.y"]
    assert (inferred.robot, inferred.cameras[0].width) == ("so101", 64)
    assert contract_of(json.loads((copy / "meta" / "info.json").read_text())).unit == "unknown"


def break_missing_folder(root: Path) -> None:
    shutil.rmtree(root)


def break_no_info(root: Path) -> None:
    (root / "meta" / "info.json").unlink()


def break_info_cut_off(root: Path) -> None:
    path = root / "meta" / "info.json"
    path.write_bytes(path.read_bytes()[:100])


def break_version(root: Path) -> None:
    change_info(root, codebase_version="v9.0")


def break_data_missing(root: Path) -> None:
    shutil.rmtree(root / "data")


def break_data_cut_off(root: Path) -> None:
    path = next(root.glob("data/*/*.parquet"))
    path.write_bytes(path.read_bytes()[:2000])


def break_data_pointer(root: Path) -> None:
    path = next(root.glob("data/*/*.parquet"))
    path.write_bytes(POINTER)


def break_episodes_missing(root: Path) -> None:
    shutil.rmtree(root / "meta" / "episodes")


def break_episodes_cut_off(root: Path) -> None:
    path = next(root.glob("meta/episodes/*/*.parquet"))
    path.write_bytes(path.read_bytes()[:-50])


def break_no_episodes(root: Path) -> None:
    change_info(root, total_episodes=0)


FATAL = {
    break_missing_folder: "there is no such folder",
    break_no_info: "has no meta/info.json",
    break_info_cut_off: "cut off or no JSON",
    break_version: "'v9.0'; known are v2.0, v2.1, v3.0",
    break_data_missing: "file-000.parquet is missing",
    break_data_cut_off: "cut off or no parquet",
    break_data_pointer: "git lfs pull",
    break_episodes_missing: "holds no parquet",
    break_episodes_cut_off: "cut off or no parquet",
    break_no_episodes: "says total_episodes 0: nothing was recorded, or",
}


@pytest.mark.parametrize("broken", FATAL, ids=lambda f: f.__name__)
def test_what_cannot_be_read_is_one_line(copy: Path, broken) -> None:
    broken(copy)
    for strict in (True, False):
        with pytest.raises(DatasetError) as caught:
            open_dataset(copy, strict=strict)
        assert FATAL[broken] in str(caught.value)
        assert "\n" not in str(caught.value)


def test_rows_that_do_not_add_up_are_told(copy: Path) -> None:
    change_info(copy, total_frames=999, total_episodes=4)
    with pytest.raises(DatasetError, match=r"info\.json says 4 episodes.*\(And 1 more\.\)"):
        open_dataset(copy)
    assert "999 rows" in open_dataset(copy, strict=False).problems[1]


def test_a_row_of_another_episode_is_told(copy: Path) -> None:
    recordings.edit(copy, "episode_index", lambda index: np.where(index == 1, 0, index))
    told = open_dataset(copy, strict=False).problems
    assert any("episode 1 should have 21 rows and has 0" in line for line in told)


def test_a_missing_film_is_a_problem(copy: Path) -> None:
    next(copy.glob("videos/*/*/file-001.mp4")).unlink()
    with pytest.raises(DatasetError, match=r"file-001\.mp4 is missing"):
        open_dataset(copy)
    dataset = open_dataset(copy, strict=False)
    assert dataset.has_pictures("observation.images.eye", 0)
    assert not dataset.has_pictures("observation.images.eye", 1)


def test_a_film_that_is_cut_off_is_told(copy: Path) -> None:
    path = next(copy.glob("videos/*/*/file-001.mp4"))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DatasetError, match="cut off or no video"):
        list(open_dataset(copy).pictures("observation.images.eye", 1, [0]))


def test_format_v21_is_read_for_inspection_only(recorded: Path, tmp_path: Path) -> None:
    old = recordings.to_v21(recorded, tmp_path / "old")
    with pytest.raises(DatasetError, match="convert_dataset_v21_to_v30 --repo-id=local/old"):
        open_dataset(old)
    ours, theirs = open_dataset(recorded), open_dataset(old, strict=False)
    assert len(theirs.problems) == 1
    np.testing.assert_array_equal(theirs.column(STATE), ours.column(STATE))
    np.testing.assert_array_equal(theirs.episode(2)["action"], ours.episode(2)["action"])
    key = "observation.images.eye"
    pairs = zip(theirs.pictures(key, 1, [0, 5]), ours.pictures(key, 1, [0, 5]), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert theirs.tasks == ours.tasks


def test_what_is_asked_for_and_not_there_is_told_with_what_is(recorded: Path) -> None:
    dataset = open_dataset(recorded)
    with pytest.raises(DatasetError, match=r"no column 'nonsense'\. There is: observation"):
        dataset.column("nonsense")
    with pytest.raises(DatasetError, match=r"no episode 7\. There is: 0 to 2"):
        dataset.episode(7)


def test_a_folder_of_datasets_is_told_apart_from_one(recorded: Path) -> None:
    with pytest.raises(DatasetError, match="Inside it there is: set"):
        open_dataset(recorded.parent)


def change_info(root: Path, **fields) -> None:
    path = root / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
