"""What a journal says is whole up to wherever it was cut, and rows and pictures stay together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data import recordings

from vibrissa.core.contract import CameraSpec
from vibrissa.core.episode import Start, Step
from vibrissa.core.errors import DatasetError
from vibrissa.data.dataset import open_dataset
from vibrissa.data.disk import Disk
from vibrissa.data.journal import Take, Taken, read_take
from vibrissa.data.layout import LOG
from vibrissa.data.log_records import record, records
from vibrissa.data.recorder import Recorder
from vibrissa.data.reels import frames_in

CAMERAS = (CameraSpec("overhead", 64, 48), CameraSpec("wrist", 48, 64))
PATIENCE_S = 30.0  # for what takes milliseconds on an idle machine


def wait_for(what: Callable[[], bool]) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def take_of(folder: Path, cameras: tuple[CameraSpec, ...] = ()) -> tuple[Take, list[Step]]:
    of = recordings.contract(cameras)
    start = Start(of, "pick-place", of.instruction, 3, {"task": "pick-place"})
    head = {"take": "abc", "session": {"id": "s"}}
    return Take(folder, start, head, 30, PATIENCE_S, Disk()), recordings.steps(of, 30, 3)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    take, steps = take_of(tmp_path / "take", CAMERAS)
    for step in steps:
        take.add(step)
    take.finish({"reason": "success", "fate": "keep"})
    return tmp_path / "take"


def frames(taken: Taken) -> dict[str, int]:
    return {name: frames_in(taken.film(name), size) for name, size in taken.films.items()}


def test_what_was_written_is_read(whole: Path) -> None:
    taken, steps = read_take(whole), recordings.steps(recordings.contract(CAMERAS), 30, 3)
    assert taken.end == {"reason": "success", "fate": "keep"}
    assert taken.head["seed"] == 3
    assert taken.contract == recordings.contract(CAMERAS)
    np.testing.assert_array_equal(taken.rows["tick"], range(30))
    np.testing.assert_array_equal(taken.rows["state"], [s.observation.state for s in steps])
    np.testing.assert_array_equal(taken.rows["frame"], [[i, i] for i in range(30)])
    assert frames(taken) == {"overhead": 30, "wrist": 30}


def test_an_open_take_is_on_the_disk_after_a_flush(tmp_path: Path) -> None:
    take, steps = take_of(tmp_path / "take", CAMERAS)
    assert not (tmp_path / "take").exists()
    for step in steps[:20]:
        take.add(step)

    def written() -> bool:
        take.flush()
        return min(frames(read_take(tmp_path / "take")).values(), default=0) >= 19

    wait_for(written)  # the encoder hands out a picture when the next one comes
    assert len(read_take(tmp_path / "take").rows) == 20
    assert read_take(tmp_path / "take").end == {}
    take.finish({})


def test_a_log_cut_anywhere_gives_the_rows_before(whole: Path) -> None:
    content = (whole / LOG).read_bytes()
    head = len(next(records(content))[1]) + 9
    for size in range(0, head, 50):
        (whole / LOG).write_bytes(content[:size])
        with pytest.raises(DatasetError, match="first record was cut off"):
            read_take(whole)
    rows = []
    for size in range(head, len(content), 7):
        (whole / LOG).write_bytes(content[:size])
        rows.append(len(read_take(whole).rows))
    assert rows == sorted(rows)
    assert (rows[0], rows[-1]) == (0, 30)


@pytest.mark.parametrize("seed", range(20))
def test_a_log_with_a_wrong_byte_is_believed_up_to_there(whole: Path, seed: int) -> None:
    content = bytearray((whole / LOG).read_bytes())
    good = read_take(whole).rows
    head = len(next(records(bytes(content)))[1]) + 9
    at = int(np.random.default_rng(seed).integers(head, len(content)))
    content[at] ^= 0x40
    (whole / LOG).write_bytes(bytes(content))
    rows = read_take(whole).rows
    np.testing.assert_array_equal(rows, good[: len(rows)])


def test_a_film_with_a_hole_is_believed_up_to_there(whole: Path) -> None:
    film = whole / "wrist.mkv"
    content = bytearray(film.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 50] = bytes(50)
    film.write_bytes(bytes(content))
    assert 0 < frames(read_take(whole))["wrist"] < 30
    assert frames(read_take(whole))["overhead"] == 30


def test_a_journal_of_another_format_is_refused(whole: Path) -> None:
    (whole / LOG).write_bytes(record(1, b'{"journal": 99}'))
    with pytest.raises(DatasetError, match="format 99; this Vibrissa reads 2"):
        read_take(whole)


def test_a_picture_that_could_not_be_had_is_marked_and_keeps_its_place(tmp_path: Path) -> None:
    of = recordings.contract(CAMERAS)

    def spoilt(step: Step, tick: int) -> Step:
        seen = step.observation
        images, health = dict(seen.images), {}
        if tick == 0:
            del images["wrist"]
        if tick == 5:
            images["wrist"] = np.zeros((10, 10, 3), np.uint8)
        if tick == 6:
            health = {"wrist": "missing", "overhead": "frozen"}
        return replace(step, observation=replace(seen, images=images, health=health))

    with Recorder(tmp_path / "set") as recorder:
        start = Start(of, "pick-place", of.instruction, 0)
        recorder.on_start(start)
        for tick, step in enumerate(recordings.steps(of, 20, 0)):
            recorder.on_step(spoilt(step, tick))
        recorder.on_end(recordings.ended(start, 20))
    dataset = open_dataset(tmp_path / "set")
    healths = dataset.contract.extra["healths"]
    told = [healths[i] for i in dataset.column("camera.wrist.health")]
    assert [i for i, health in enumerate(told) if health == "missing"] == [0, 5, 6]
    assert healths[dataset.column("camera.overhead.health")[6]] == "frozen"
    assert dataset.notes[0]["pictures"] == {"overhead": {"frozen": 1}, "wrist": {"missing": 3}}
    shots = list(dataset.pictures("observation.images.wrist", 0, range(20)))
    assert shots[0].max() < 20
    means = [float(shot.mean()) for shot in shots]
    assert abs(means[5] - means[4]) < 0.6
    assert abs(means[6] - means[4]) < 0.6
    wanted = recordings.picture(CAMERAS[1], 0, 7)
    assert abs(means[7] - float(wanted.mean())) < 0.6


def test_when_a_picture_was_taken_is_stored(tmp_path: Path) -> None:
    of = recordings.contract(CAMERAS[:1])
    with Recorder(tmp_path / "set") as recorder:
        start = Start(of, "pick-place", of.instruction, 0)
        recorder.on_start(start)
        for tick, step in enumerate(recordings.steps(of, 20, 0)):
            late = replace(
                step.observation,
                time_s=tick / 25,
                captured_s={"overhead": tick / 30 - 0.01},
                sequence={"overhead": 7 * tick},
            )
            recorder.on_step(replace(step, observation=late))
        recorder.on_end(recordings.ended(start, 20))
    dataset = open_dataset(tmp_path / "set")
    np.testing.assert_allclose(dataset.column("time_s"), np.arange(20) / 25)
    np.testing.assert_allclose(
        dataset.column("camera.overhead.captured_s"), np.arange(20) / 30 - 0.01
    )
    np.testing.assert_array_equal(dataset.column("camera.overhead.sequence"), np.arange(20) * 7)
    assert dataset.notes[0]["rate_hz"] == pytest.approx(25)
    assert dataset.notes[0]["slow"] is True
    assert dataset.notes[0]["late_ticks"] == 0
