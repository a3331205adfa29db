"""A take is born at one instant: a kill in it poisons nothing, and no number is given twice."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from data import recordings
from data.test_journal import take_of, wait_for
from data.test_recover import CAMERAS, FullDisk, assert_in_step, begin

from vibrissa.core.episode import Start
from vibrissa.core.errors import DatasetError
from vibrissa.data.claim import Claim
from vibrissa.data.dataset import open_dataset
from vibrissa.data.describe import describe
from vibrissa.data.disk import Appender, Disk
from vibrissa.data.extend import extension
from vibrissa.data.journal import Take, read_take
from vibrissa.data.layout import leftovers, takes
from vibrissa.data.recorder import Recorder
from vibrissa.data.recover import recover


@dataclass
class DeadlyDisk(Disk):
    """Kills the process at the `left`-th thing that is asked of it."""

    left: int

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def append(self, path: Path) -> Appender:
        self.spend()
        return _DeadlyFile(path, self)

    def new_folder(self, path: Path) -> None:
        self.spend()
        super().new_folder(path)

    def rename(self, old: Path, new: Path) -> None:
        self.spend()
        super().rename(old, new)

    def sync_folder(self, path: Path) -> None:
        self.spend()
        super().sync_folder(path)


class _DeadlyFile(Appender):
    def __init__(self, path: Path, disk: DeadlyDisk):
        super().__init__(path)
        self._disk = disk

    def write(self, content: bytes) -> int:
        self._disk.spend()
        return super().write(content)

    def sync(self) -> None:
        self._disk.spend()
        super().sync()


def killed_at(out: Path, most: int) -> bool:
    """Whether the `most`-th call of a recording's first second killed it."""
    child = os.fork()
    if not child:
        disk = DeadlyDisk(1000)
        recorder = Recorder(out, disk=disk)
        disk.left = most
        begin(recorder, recordings.contract(CAMERAS), 0, 20)
        take = recorder._take
        assert take is not None
        wait_for(lambda: len(take._reels) == 2)
        take.flush()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_kill_in_a_birth_leaves_a_journal_that_can_be_resumed(tmp_path: Path) -> None:
    of, most, killed = recordings.contract(CAMERAS), 0, True
    while killed and most < 24:
        out = tmp_path / f"{most}"
        killed = killed_at(out, most)
        numbers = {path.name for path in takes(out)}
        assert leftovers(out) == ()  # whatever has its name can be read
        for take in takes(out):
            read_take(take)
        with Recorder(out, extend=True) as recorder:
            recordings.play(recorder, of, 7)
            assert recorder._take is None
        assert_in_step(open_dataset(out), [7])
        assert {path.name for path in takes(out)} == numbers
        if (out / "journal").is_dir():
            recover(out, shortest_s=0.0)
        assert not (out / "journal").exists()
        dataset = open_dataset(out)
        assert_in_step(dataset, [note["seed"] for note in dataset.notes])
        most += 1 if most < 8 else 3  # a log and its films are made by the first of them
    assert most > 10


def poisoned(out: Path, tmp_path: Path, pictures: int = 5) -> Path:
    """What an older version left: the film of a take that was killed before it had a log."""
    take, steps = take_of(tmp_path / "old", CAMERAS[:1])
    for step in (steps * 3)[:pictures]:
        take.add(step)
    take.finish({})
    folder = out / "journal" / "000001"
    folder.mkdir(parents=True)
    shutil.copy(tmp_path / "old" / "overhead.mkv", folder)
    return folder


def test_a_film_without_a_log_is_said_and_not_added_to(tmp_path: Path) -> None:
    of, out = recordings.contract(CAMERAS[:1]), tmp_path / "set"
    film = poisoned(out, tmp_path) / "overhead.mkv"
    before = film.read_bytes()
    assert "1 leftover lies in" in extension(out, of).left
    with Recorder(out, extend=True) as recorder:
        recordings.play(recorder, of, 3)
    assert film.read_bytes() == before
    assert any("1 leftover lies in" in finding.line for finding in describe(out).findings)
    (left,) = recover(out).takes
    assert (left.fate, left.episode) == ("leftover", None)
    assert "removed: overhead.mkv (5 pictures" in left.told
    assert not (out / "journal").exists()
    assert_in_step(open_dataset(out), [3])


def test_what_may_be_worth_something_is_put_aside_and_not_removed(tmp_path: Path) -> None:
    out = recordings.record(tmp_path / "set", recordings.contract(), 1)
    film = poisoned(out, tmp_path, 60) / "overhead.mkv"
    (out / "journal" / "mine.txt").write_text("dear")
    (out / "journal" / "link").symlink_to(tmp_path / "old")
    (out / "journal" / "000005").mkdir()
    (out / "journal" / "staging").mkdir()
    (out / "journal" / "staging" / "rows.parquet").touch()
    (out / "journal" / ".DS_Store").touch()
    content = film.read_bytes()
    told = {left.name: left.told for left in recover(out).takes}
    assert set(told) == {"000001", "000005", "mine.txt", "link"}
    assert "60 pictures" in told["000001"]
    assert told["000005"] == "removed: an empty folder"
    assert not (out / "journal").exists()
    assert (out / "leftover" / "000001" / "overhead.mkv").read_bytes() == content
    assert (out / "leftover" / "mine.txt").read_text() == "dear"
    assert (out / "leftover" / "link").is_symlink()
    assert (tmp_path / "old" / "log").exists()
    assert len(open_dataset(out).episodes) == 1


def test_what_somebody_put_beside_a_film_is_kept(tmp_path: Path) -> None:
    of = recordings.contract()
    with Recorder(tmp_path / "set") as recorder:
        recordings.play(recorder, of, 1, reason="fault")
    (take,) = takes(tmp_path / "set")
    (take / "notes.txt").write_text("dear")
    (left,) = recover(tmp_path / "set").takes
    assert left.episode == 0
    assert "notes.txt" in left.told
    assert (tmp_path / "set" / "leftover" / "notes.txt").read_text() == "dear"


def test_a_number_is_given_once_whatever_became_of_its_take(tmp_path: Path) -> None:
    of, out, given = recordings.contract(), tmp_path / "set", []

    class Noting(Disk):
        def rename(self, old: Path, new: Path) -> None:
            super().rename(old, new)
            if new.parent.name == "journal" and new.name.isdecimal():
                given.append(int(new.name))

    def session(*reasons: str) -> None:
        with Recorder(out, extend=True, disk=Noting()) as recorder:
            for seed, reason in enumerate(reasons):
                recordings.play(recorder, of, seed, reason=reason)

    session("success", "fault", "success")
    recover(out)
    session("success")
    shutil.rmtree(out / "journal", ignore_errors=True)
    session("success", "fault")
    shutil.rmtree(out / "journal")  # by hand
    with Recorder(out, extend=True, keep=lambda _: False, disk=Noting()) as recorder:
        recordings.play(recorder, of, 9)
    session("success")
    assert given == list(range(1, len(given) + 1))
    assert len(given) == 8


def test_after_take_999999_comes_1000000(tmp_path: Path) -> None:
    of, out = recordings.contract(), recordings.record(tmp_path / "set", recordings.contract(), 1)
    (out / "journal" / "999999").mkdir(parents=True)
    with Recorder(out, extend=True) as recorder:
        recordings.play(recorder, of, 1, reason="fault")
        recordings.play(recorder, of, 2, reason="fault")
    assert [path.name for path in takes(out)] == ["1000000", "1000001"]
    assert [left.episode for left in recover(out).takes if left.fate == "open"] == [1, 2]


def test_a_folder_or_a_film_that_is_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "take").mkdir()
    take, steps = take_of(tmp_path / "take")
    take.add(steps[0])
    take.flush()
    with pytest.raises(DatasetError, match="there is such a folder already"):
        take.check()
    (tmp_path / "film.mkv").touch()
    with pytest.raises(FileExistsError, match=r"film[.]mkv is there already"):
        Disk().create(tmp_path / "film.mkv")


def test_a_disk_full_at_any_step_of_a_birth_is_one_line_that_names_the_room(
    tmp_path: Path,
) -> None:
    class Full(FullDisk):
        def new_folder(self, path: Path) -> None:
            self.spend()
            super().new_folder(path)

    def record(out: Path, most: int) -> None:
        with Recorder(out, disk=Full(most)) as recorder:
            for seed in range(3):
                recordings.play(recorder, recordings.contract(CAMERAS), seed)

    for most in range(12):
        out = tmp_path / f"{most}"
        with pytest.raises(DatasetError, match="No space left on device") as caught:
            record(out, most)
        assert "\n" not in str(caught.value)
        for take in takes(out):
            read_take(take)
        if (out / "journal").is_dir():
            recover(out)
            assert not (out / "journal").exists()


def test_what_the_disk_refused_first_is_what_is_said(tmp_path: Path) -> None:
    """A birth that stops behind its rename is not tried again by the thread of the next film."""

    class FullBehindTheRename(Disk):
        def append(self, path: Path) -> Appender:
            if path.name == "log" and path.parent.name == "take":
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().append(path)

    of = recordings.contract(CAMERAS)
    start = Start(of, "pick-place", of.instruction, 3, {"task": "pick-place"})
    take = Take(tmp_path / "take", start, {"take": "abc"}, 30, 0.5, FullBehindTheRename())
    for camera in of.cameras:
        with pytest.raises(OSError, match="No space left on device"):
            take._reel(camera.name)
    with pytest.raises(DatasetError, match="No space left on device"):
        take.check()


def test_a_film_that_the_disk_refuses_names_the_room_and_not_the_library(tmp_path: Path) -> None:
    class FullForFilms(Disk):
        def append(self, path: Path) -> Appender:
            return _FullFilm(path) if path.suffix == ".mkv" else super().append(path)

    def record() -> None:
        with Recorder(tmp_path / "set", disk=FullForFilms()) as recorder:
            begin(recorder, recordings.contract(CAMERAS), 0, 30)
            take: Any = recorder._take
            wait_for(lambda: any(reel.trouble for reel in take._reels.values()))
            begin_again = recordings.steps(recordings.contract(CAMERAS), 1, 0)
            recorder.on_step(begin_again[0])

    with pytest.raises(DatasetError, match="No space left on device") as caught:
        record()
    assert "PyAV" not in str(caught.value)


class _FullFilm(Appender):
    def write(self, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_claim_whose_file_was_taken_away_meanwhile_is_no_claim(tmp_path: Path) -> None:
    """Two processes that come as a third one leaves cannot both have the folder."""
    path = tmp_path / "recording"
    first = Claim(path)
    late = path.open("ab")  # opened before the first one leaves, as `Claim` does
    first.give_back(remove=True)
    second = Claim(path)
    with pytest.raises(BlockingIOError):
        Claim(path)
    assert os.fstat(late.fileno()).st_ino != path.stat().st_ino
    late.close()
    second.give_back(remove=True)
    assert not path.exists()
