"""A disk that is slow, or does not answer: rows are written all the same, and it is said."""

from __future__ import annotations

import threading
import time
from dataclasses import astuple
from pathlib import Path

import pytest
from data import recordings
from data.test_journal import take_of, wait_for
from data.test_recover import CAMERAS

from vibrissa.core.episode import Start
from vibrissa.core.errors import DatasetError
from vibrissa.data import finish
from vibrissa.data.disk import Appender, Disk
from vibrissa.data.film import Film
from vibrissa.data.finish import Finisher
from vibrissa.data.journal import read_take
from vibrissa.data.journal_lag import MOST, SAID, Lag, LagWatch, TickClock
from vibrissa.data.layout import takes
from vibrissa.data.recorder import Recorder


class SlowDisk(Disk):
    """Syncs, and where asked for writes, return when `release` is set."""

    def __init__(self, *, writes: bool = False) -> None:
        self.release, self.slow_writes = threading.Event(), writes

    def append(self, path: Path) -> Appender:
        return _SlowFile(path, self)

    def sync_folder(self, path: Path) -> None:
        if path.parent.name == "journal" or path.name == "journal":
            self.release.wait()


class _SlowFile(Appender):
    def __init__(self, path: Path, disk: SlowDisk):
        super().__init__(path)
        self._disk = disk

    def write(self, content: bytes) -> int:
        if self._disk.slow_writes:
            self._disk.release.wait()
        return super().write(content)

    def sync(self) -> None:
        self._disk.release.wait()


def follow(recorder: Recorder, ticks: int, every_s: float = 0.02) -> None:
    of = recordings.contract(CAMERAS)
    recorder.on_start(Start(of, "pick-place", of.instruction, 0, {"task": "pick-place"}))
    for step in recordings.steps(of, ticks, 0):
        recorder.on_step(step)
        time.sleep(every_s)


def test_rows_are_written_while_a_sync_hangs(tmp_path: Path) -> None:
    disk = SlowDisk()
    recorder = Recorder(tmp_path / "set", disk=disk)
    try:
        follow(recorder, 30)
        time.sleep(0.3)  # a sync is under way since the second tenth
        assert recorder._take is not None
        assert recorder._take._synced == 0
        taken = read_take(takes(tmp_path / "set")[0])
        assert len(taken.rows) == 30
        assert min(taken.films.values()) > 1000
    finally:
        disk.release.set()
        recorder.close()


def test_the_end_of_an_episode_is_written_while_an_earlier_one_waits_for_the_disk(
    tmp_path: Path,
) -> None:
    disk, of = SlowDisk(), recordings.contract()
    recorder = Recorder(tmp_path / "set", disk=disk)
    try:
        for seed in range(3):
            recordings.play(recorder, of, seed)
        wait_for(
            lambda: (
                [read_take(take).end.get("fate") for take in takes(tmp_path / "set")]
                == ["keep"] * 3
            )
        )
    finally:
        disk.release.set()
        recorder.close()


def lags(*given: Lag):
    """One after the other, then the last for ever."""
    left = list(given)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize("kind", ["unwritten_s", "unsynced_s"])
def test_a_slow_disk_is_said_once_and_ends_the_episode_at_its_limit(
    tmp_path: Path, kind: str
) -> None:
    said: list[str] = []
    watch = LagWatch(tmp_path, said.append, patience_s=0.0)
    at, most = getattr(SAID, kind), getattr(MOST, kind)
    watch.look(lambda: Lag(**{kind: at}))
    assert said == []
    for lag_s in (at + 0.01, most):
        watch.look(lambda lag_s=lag_s: Lag(**{kind: lag_s}))
    (line,) = said
    assert line.startswith("slow disk: ")
    assert f"At {most:g} s the episode ends" in line
    with pytest.raises(DatasetError, match=rf"disk of .* is too slow.*{most:g} s is the limit"):
        watch.look(lambda: Lag(**{kind: most + 0.01}))


def test_a_simulated_arm_waits_for_a_slow_disk(tmp_path: Path) -> None:
    slept: list[float] = []
    watch = LagWatch(tmp_path, lambda _: None, 60.0, now=lambda: 0.0, sleep=slept.append)
    watch.look(lags(Lag(2.0), Lag(1.5), Lag(0.1)))
    assert len(slept) == 2


def test_an_episode_ends_where_rows_are_not_written_and_the_disk_is_named(tmp_path: Path) -> None:
    disk, said = SlowDisk(writes=True), []
    recorder = Recorder(tmp_path / "set", patience_s=0.0, disk=disk, say=said.append)
    began_s = time.monotonic()
    try:
        with pytest.raises(DatasetError, match=r"the disk of .*set is too slow"):
            follow(recorder, 120)
        assert time.monotonic() - began_s < 10 * MOST.unwritten_s  # in time, a busy machine's too
        assert [line.split(":")[0] for line in said] == ["slow disk"]
    finally:
        disk.release.set()
        recorder.close()


def test_a_take_knows_the_age_of_its_oldest_row_that_is_not_written_or_synced(
    tmp_path: Path,
) -> None:
    take, steps = take_of(tmp_path / "take")
    now = [100.0]
    take.clock = TickClock(30, lambda: now[0])
    for step in steps[:3]:
        now[0] += 0.1
        take.add(step)
    now[0] += 0.1
    assert take.lag().unwritten_s == pytest.approx(0.3)
    take.write()
    assert astuple(take.lag()) == pytest.approx((0.0, 0.3))
    take.add(steps[3])
    take.sync()
    now[0] += 0.1
    assert astuple(take.lag()) == pytest.approx((0.1, 0.1))
    take.finish({})


def test_a_program_that_stood_still_has_no_slow_disk() -> None:
    """Ctrl-Z for ten minutes, and `fg`."""
    now = [0.0]
    clock = TickClock(30, lambda: now[0])
    for gap_s in (0.03, 600.0, 0.03):
        now[0] += gap_s
        clock.tick()
    assert clock.time_s < 0.5


def test_a_disk_that_never_answers_is_left_and_named(tmp_path: Path) -> None:
    disk = SlowDisk()
    take, steps = take_of(tmp_path / "journal" / "000001")
    take._disk = disk
    for step in steps:
        take.add(step)
    finisher = Finisher(tmp_path, disk, patience_s=0.5)
    finisher.put(finish.Ended(take, {"reason": "success"}, "keep"))
    finisher.close({})
    assert finisher.stuck
    with pytest.raises(DatasetError, match=r"has not answered for 0.5 s.*vibrissa data recover"):
        finisher.check()
    assert read_take(takes(tmp_path)[0]).end["fate"] == "keep"
    disk.release.set()


def test_an_encoder_that_hangs_is_left_and_named(tmp_path: Path) -> None:
    class Hangs:
        def __init__(self) -> None:
            self.until = threading.Event()

        def write(self, content: bytes) -> int:
            self.until.wait()
            return len(content)

        def close(self) -> None:
            return None

    sink = Hangs()
    film = Film(tmp_path / "eye.mkv", CAMERAS[0], 30, 1.0, sink=lambda: sink)
    film.add(recordings.picture(CAMERAS[0], 0, 0))
    began_s = time.monotonic()
    film.stop(patience_s=0.3)
    film.stop(patience_s=30.0)  # once is enough
    assert time.monotonic() - began_s < 10
    with pytest.raises(DatasetError, match=r"eye.mkv: its encoder has not answered for 0.3 s"):
        film.check()
    sink.until.set()
