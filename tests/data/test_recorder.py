"""What is recorded is what was seen, and what bears the final name is whole."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from data import recordings
from fakes import OneJoint

from vibrissa.control.drive import run_episode
from vibrissa.control.pilots import Random
from vibrissa.control.tracking import Unjudged
from vibrissa.core.contract import CameraSpec, Contract
from vibrissa.core.episode import SOURCES
from vibrissa.core.errors import DatasetError
from vibrissa.data.dataset import open_dataset
from vibrissa.data.features import ACTION, PRIVILEGED, STATE, from_stored
from vibrissa.data.film import Film
from vibrissa.data.journal import read_take
from vibrissa.data.recorder import Recorder, successful

CAMERAS = (CameraSpec("overhead", 64, 48), CameraSpec("wrist", 48, 64))


def test_recording_then_reading_is_the_identity(tmp_path: Path) -> None:
    of = recordings.contract()
    out = recordings.record(tmp_path / "a folder" / "set", of, 3)
    dataset = open_dataset(out)
    assert [row.length for row in dataset.episodes] == [20, 21, 22]
    stored = dataset.contract
    for seed in range(3):
        steps, columns = recordings.steps(of, 20 + seed, seed), dataset.episode(seed)
        for name, seen in (
            (STATE, [s.observation.state for s in steps]),
            (ACTION, [s.sent for s in steps]),
            ("asked", [s.decision.action for s in steps]),
        ):
            np.testing.assert_allclose(from_stored(stored, columns[name]), seen, atol=1e-6)
        truth = [s.observation.privileged for s in steps]
        np.testing.assert_array_equal(columns[PRIVILEGED], truth)
        np.testing.assert_array_equal(columns["wall_time_s"], [s.wall_time_s for s in steps])
        assert (columns["source"] == SOURCES.index("script")).all()
        np.testing.assert_allclose(columns["timestamp"], np.arange(20 + seed) / 30, atol=1e-6)
    assert dataset.instruction(0) == of.instruction


def test_joints_are_stored_in_degrees_and_percent(tmp_path: Path) -> None:
    dataset = open_dataset(recordings.record(tmp_path / "set", recordings.contract(), 1))
    assert dataset.contract.unit == "deg"
    assert [c.unit for c in dataset.contract.state] == ["deg"] * 5 + ["percent"]
    state = recordings.steps(recordings.contract(), 20, 0)[0].observation.state
    np.testing.assert_allclose(dataset.column(STATE)[0, :5], np.degrees(state[:5]), atol=1e-4)
    assert dataset.features[STATE]["names"][0] == "shoulder_pan.pos"


def test_notes_lie_beside_the_meta_files(tmp_path: Path) -> None:
    out = recordings.record(tmp_path / "set", recordings.contract(), 2)
    ours = out / "meta" / "vibrissa"
    notes = [json.loads(line) for line in (ours / "episodes.jsonl").read_text().splitlines()]
    assert [(n["episode"], n["seed"], n["reason"]) for n in notes] == [
        (0, 0, "success"),
        (1, 1, "success"),
    ]
    assert notes[0]["measures"] == {"z": 0.1}
    assert json.loads((ours / "scene.json").read_text())["task"] == "pick-place"
    contract = Contract.from_dict(json.loads((ours / "contract.json").read_text()))
    assert contract.extra["sources"] == list(SOURCES)
    assert contract.instruction == "Pick up the block"


def test_pictures_stay_with_their_rows(tmp_path: Path) -> None:
    of = recordings.contract(CAMERAS)
    dataset = open_dataset(recordings.record(tmp_path / "set", of, 2))
    for seed in range(2):
        for camera in CAMERAS:
            which = [0, 3, 4, 17]
            key = f"observation.images.{camera.name}"
            shots = list(dataset.pictures(key, seed, which))
            wanted = [recordings.picture(camera, seed, tick) for tick in which]
            for shot, want in zip(shots, wanted, strict=True):
                assert shot.shape == want.shape
                assert abs(float(shot.mean()) - float(want.mean())) < 0.6


def test_only_successes_are_kept(tmp_path: Path) -> None:
    of = recordings.contract(CAMERAS)
    with Recorder(tmp_path / "set", keep=successful) as recorder:
        for seed, reason in enumerate(("success", "timeout", "fault", "success")):
            recordings.play(recorder, of, seed, reason=reason)
    assert (recorder.kept, recorder.discarded) == (2, 2)
    dataset = open_dataset(tmp_path / "set")
    assert [note["seed"] for note in dataset.notes] == [0, 3]
    assert len(list((tmp_path / "set").rglob("*.mp4"))) == 4
    first = next(dataset.pictures("observation.images.wrist", 1, [0]))
    wanted = recordings.picture(CAMERAS[1], 3, 0)
    assert abs(float(first.mean()) - float(wanted.mean())) < 0.6


def test_an_existing_folder_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("dear")
    with pytest.raises(DatasetError, match="exists already"):
        Recorder(tmp_path / "set")
    assert (tmp_path / "set" / "mine").read_text() == "dear"
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("of", "told"),
    [
        (recordings.contract((CameraSpec("eye", 63, 48),)), "even width"),
        (recordings.contract(rate_hz=12.5), "whole frames"),
    ],
)
def test_what_cannot_be_stored_is_told_at_the_first_tick(tmp_path: Path, of, told) -> None:
    with pytest.raises(DatasetError, match=told), Recorder(tmp_path / "set") as recorder:
        recordings.play(recorder, of, 0)
    assert list(tmp_path.iterdir()) == []


def test_another_contract_in_one_recording_is_refused(tmp_path: Path) -> None:
    with Recorder(tmp_path / "set") as recorder:
        recordings.play(recorder, recordings.contract(), 0)
        with pytest.raises(DatasetError, match="one contract"):
            recordings.play(recorder, recordings.contract(privileged=False), 1)
    assert len(open_dataset(tmp_path / "set").episodes) == 1


def test_an_interrupted_recording_keeps_what_was_finished(tmp_path: Path) -> None:
    of = recordings.contract(CAMERAS)

    def record() -> None:
        with Recorder(tmp_path / "set") as recorder:
            recordings.play(recorder, of, 0)
            recordings.play(recorder, of, 1, reason="aborted")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record()
    assert [note["seed"] for note in open_dataset(tmp_path / "set").notes] == [0]
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_ctrl_c_while_an_episode_is_written_waits_until_it_is(tmp_path: Path) -> None:
    def keep(_episode) -> bool:
        signal.raise_signal(signal.SIGINT)
        return True

    with pytest.raises(KeyboardInterrupt), Recorder(tmp_path / "set", keep=keep) as recorder:
        recordings.play(recorder, recordings.contract(), 7)
    assert [note["seed"] for note in open_dataset(tmp_path / "set").notes] == [7]


def test_nothing_kept_leaves_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "set", keep=successful)
    recordings.play(recorder, recordings.contract(), 0, reason="timeout")
    assert recorder.close() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cameras", [(), (CameraSpec("eye", 320, 240),)])
def test_a_full_disk_is_one_line_and_loses_no_finished_episode(tmp_path: Path, cameras) -> None:
    of = recordings.contract(cameras)

    def record() -> None:
        with disk_of(20_000), Recorder(tmp_path / "set") as recorder:
            for seed in range(20):
                recordings.play(recorder, of, seed, ticks=80)

    with pytest.raises(DatasetError, match="cannot write") as caught:
        record()
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    takes = [read_take(path.parent) for path in tmp_path.glob("set/journal/*/log")]
    assert takes
    assert all(len(take.rows) == take.end["ticks"] for take in takes if take.end)


def test_an_encoder_that_is_behind_fails_loudly(tmp_path: Path) -> None:
    camera = CameraSpec("eye", 640, 480)
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    film = Film(tmp_path / "film.mp4", camera, 30, patience_s=0.0)

    def flood() -> None:
        for _ in range(400):
            film.add(noise)

    with pytest.raises(DatasetError, match="pictures behind"):
        flood()
    film.cancel()
    assert list(tmp_path.iterdir()) == []


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    film = Film(tmp_path / "film.mp4", CameraSpec("eye", 64, 48), 30, patience_s=1.0)
    with pytest.raises(DatasetError, match="its contract"):
        film.add(np.zeros((64, 48, 3), np.uint8))
    film.cancel()


def test_any_arm_is_recorded_through_the_one_loop(tmp_path: Path) -> None:
    arm = OneJoint()
    arm.contract = Contract("one-joint", arm.contract.state, arm.contract.action, 30.0)
    with Recorder(tmp_path / "set") as recorder:
        for seed in range(2):
            run_episode(arm, Random(arm.contract), Unjudged(12, "go"), [recorder], seed=seed)
    dataset = open_dataset(tmp_path / "set")
    assert dataset.column(STATE).shape == (24,)
    assert dataset.contract.unit == "rad"


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
