"""Whatever a kill left is brought back, nothing stored is lost, and a recording goes on."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import recordings

from vibrissa import cli
from vibrissa.core.contract import CameraSpec, Contract
from vibrissa.core.errors import DatasetError
from vibrissa.data import finish
from vibrissa.data.dataset import Dataset, open_dataset
from vibrissa.data.describe import describe
from vibrissa.data.disk import Appender, Disk
from vibrissa.data.extend import extension
from vibrissa.data.features import STATE
from vibrissa.data.journal import read_take
from vibrissa.data.recorder import Recorder, successful
from vibrissa.data.recover import recover

CAMERAS = (CameraSpec("overhead", 64, 48), CameraSpec("wrist", 48, 64))
RUN = Path(__file__).resolve().parents[2] / "runs"


def begin(recorder: Recorder, of: Contract, seed: int, ticks: int) -> None:
    """An episode that does not come to its end."""
    from vibrissa.core.episode import Start

    recorder.on_start(Start(of, "pick-place", of.instruction, seed, {"task": "pick-place"}))
    for step in recordings.steps(of, ticks, seed):
        recorder.on_step(step)


def killed(tmp_path: Path, cameras: tuple[CameraSpec, ...] = CAMERAS) -> Path:
    """What lies on the disk while the third episode is open: two are stored."""
    of = recordings.contract(cameras)
    recorder = Recorder(tmp_path / "live")
    for seed in range(2):
        recordings.play(recorder, of, seed)
    begin(recorder, of, 2, 18)
    take = tmp_path / "live" / "journal" / "000003"

    def written() -> bool:
        assert recorder._take is not None
        recorder._take.flush()
        taken = read_take(take)
        stored = not (tmp_path / "live" / "journal" / "000002").exists()
        return stored and all(taken.films.get(c.name, 0) > 1000 for c in cameras)

    from data.test_journal import wait_for

    wait_for(written)
    shutil.copytree(tmp_path / "live", tmp_path / "set")
    recorder.close()
    return tmp_path / "set"


def assert_in_step(dataset: Dataset, seeds: list[int]) -> None:
    """Every row is the one of its seed and tick, and so are its pictures."""
    for row, seed in zip(dataset.episodes, seeds, strict=True):
        steps = recordings.steps(dataset.contract, row.length, seed)
        at = dataset.rows(row.index)
        degrees = np.degrees([s.observation.state[:5] for s in steps])
        np.testing.assert_allclose(dataset.column(STATE)[at, :5], degrees, atol=1e-4)
        for camera in dataset.contract.cameras:
            key = f"observation.images.{camera.name}"
            shots = dataset.pictures(key, row.index, range(row.length))
            seen = np.array([shot.mean() for shot in shots])
            given = [recordings.picture(camera, seed, i).mean() for i in range(row.length)]
            assert np.abs(seen - given).max() < 1.5  # H.264 knows 219 greys
            assert abs(float((seen - given).mean())) < 0.6


def test_an_open_episode_is_brought_back_up_to_its_last_whole_tick(tmp_path: Path) -> None:
    out = killed(tmp_path)
    assert len(open_dataset(out).episodes) == 2  # readable as it stands
    assert "1 episode lies in the journal" in " ".join(describe(out).lines)
    told = recover(out)
    (left,) = told.takes
    assert (left.fate, left.episode) == ("open", 2)
    dataset = open_dataset(out)
    assert 0 < dataset.episodes[2].length <= 18
    assert_in_step(dataset, [0, 1, 2])
    note = dataset.notes[2]
    assert (note["reason"], note["recovered"], note["seed"]) == ("fault", True, 2)
    assert not (out / "journal").exists()
    assert describe(out).problems == ()


def test_stock_lerobot_opens_what_was_recovered(tmp_path: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    out = killed(tmp_path)
    recover(out)
    theirs = LeRobotDataset("local/set", root=out, video_backend="pyav")
    assert theirs.num_episodes == 3
    row: Any = theirs[theirs.num_frames - 1]
    assert int(row["episode_index"]) == 2
    mean = float(row["observation.images.wrist"].mean()) * 255
    wanted = recordings.picture(CAMERAS[1], 2, int(row["frame_index"]))
    assert abs(mean - float(wanted.mean())) < 0.6


def test_stock_lerobot_opens_it_while_it_is_being_recorded(tmp_path: Path) -> None:
    from data.test_journal import wait_for
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    of = recordings.contract(CAMERAS)
    with Recorder(tmp_path / "set") as recorder:
        for seed in range(3):
            recordings.play(recorder, of, seed)
            info = tmp_path / "set" / "meta" / "info.json"
            done = f'"total_episodes": {seed + 1}'
            wait_for(lambda: info.is_file() and done in info.read_text())  # noqa: B023
            theirs = LeRobotDataset("local/set", root=tmp_path / "set", video_backend="pyav")
            assert theirs.num_episodes == seed + 1
            row: Any = theirs[theirs.num_frames - 1]
            assert int(row["frame_index"]) == 19
            assert_in_step(open_dataset(tmp_path / "set"), list(range(seed + 1)))


def test_an_episode_that_had_ended_is_stored_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch
) -> None:
    of = recordings.contract(CAMERAS)

    def refuse(*_args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(finish, "store", refuse)
        with pytest.raises(DatasetError, match=r"No space left.*vibrissa data recover"):
            recordings.record(tmp_path / "set", of, 1)
    with pytest.raises(DatasetError, match="holds no finished episode"):
        open_dataset(tmp_path / "set")
    (left,) = recover(tmp_path / "set").takes
    assert (left.fate, left.rows, left.brought) == ("finished", 20, 20)
    whole = open_dataset(recordings.record(tmp_path / "whole", of, 1))
    again = open_dataset(tmp_path / "set")
    assert_in_step(again, [0])
    for name in whole.numbers:
        np.testing.assert_array_equal(again.column(name), whole.column(name))
    mine = {"take": "", "wall_s": 0}
    assert again.notes[0] | mine == whole.notes[0] | mine


def test_an_episode_that_is_stored_already_is_not_stored_twice(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(finish, "throw_away", lambda *_: None)
    out = recordings.record(tmp_path / "set", recordings.contract(CAMERAS), 2)
    assert len(list((out / "journal").iterdir())) == 2
    monkeypatch.undo()
    assert [left.fate for left in recover(out).takes] == ["stored", "stored"]
    assert_in_step(open_dataset(out), [0, 1])
    assert not (out / "journal").exists()


def test_what_was_broken_off_stays_in_the_journal_until_it_is_asked_for(tmp_path: Path) -> None:
    of = recordings.contract()
    with Recorder(tmp_path / "set") as recorder:
        recordings.play(recorder, of, 0)
        recordings.play(recorder, of, 1, reason="fault")
        recordings.play(recorder, of, 2, reason="timeout")
    assert (recorder.kept, recorder.discarded, recorder.left) == (2, 1, 1)
    assert [note["seed"] for note in open_dataset(tmp_path / "set").notes] == [0, 2]
    (left,) = recover(tmp_path / "set").takes
    assert (left.fate, left.brought) == ("open", 20)
    assert open_dataset(tmp_path / "set").notes[2]["reason"] == "fault"


def test_what_was_discarded_does_not_come_back(tmp_path: Path) -> None:
    with Recorder(tmp_path / "set", keep=successful) as recorder:
        recordings.play(recorder, recordings.contract(), 0)
        recordings.play(recorder, recordings.contract(), 1, reason="timeout")
    assert not (tmp_path / "set" / "journal").exists()


def test_nothing_is_recovered_while_it_is_being_recorded(tmp_path: Path) -> None:
    with Recorder(tmp_path / "set") as recorder:
        begin(recorder, recordings.contract(), 0, 5)
        with pytest.raises(DatasetError, match="recorded by another process right now"):
            recover(tmp_path / "set")
        with pytest.raises(DatasetError, match="right now"):
            Recorder(tmp_path / "set", extend=True)
        with pytest.raises(DatasetError, match="being recorded right now"):
            open_dataset(tmp_path / "set")


def test_the_command_tells_what_it_brought_back(tmp_path: Path, capsys) -> None:
    out = killed(tmp_path, CAMERAS[:1])
    assert cli.main(["data", "recover", str(out), "--out", str(tmp_path / "copy"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["episodes"] == 1
    assert told["takes"][0]["fate"] == "open"
    assert len(open_dataset(tmp_path / "copy").episodes) == 3
    assert len(open_dataset(out).episodes) == 2
    assert cli.main(["data", "recover", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "was open" in lines[0]
    assert lines[-1].endswith(f"brought back: {out}")
    assert cli.main(["data", "recover", str(out)]) == 1
    assert "and has no journal" in capsys.readouterr().err


def test_a_recording_goes_on(tmp_path: Path) -> None:
    of = recordings.contract(CAMERAS)
    out = recordings.record(tmp_path / "set", of, 2)
    assert extension(out, of).episodes == 2
    with Recorder(out, extend=True, session={"operator": "Ada"}) as recorder:
        recordings.play(recorder, of, 5)
        recordings.play(recorder, replace(of, instruction="Put it back"), 6)
    dataset = open_dataset(out)
    assert_in_step(dataset, [0, 1, 5, 6])
    assert dataset.tasks == ("Pick up the block", "Put it back")
    assert [note["session"] for note in dataset.notes] == [0, 0, 1, 1]
    sessions = json.loads((out / "meta" / "vibrissa" / "recording.json").read_text())["sessions"]
    assert [session["kept"] for session in sessions] == [2, 2]
    assert sessions[1]["operator"] == "Ada"
    whole = open_dataset(recordings.record(tmp_path / "whole", of, 2))
    assert whole.stats["index"]["count"] == [41]
    assert dataset.stats["index"]["count"] == [dataset.frames]


def test_going_on_stores_what_had_ended_and_leaves_what_was_open(tmp_path: Path) -> None:
    out = killed(tmp_path)
    of = recordings.contract(CAMERAS)
    assert "1 episode lies" in extension(out, of).left
    with Recorder(out, extend=True) as recorder:
        recordings.play(recorder, of, 7)
    assert_in_step(open_dataset(out), [0, 1, 7])
    assert recover(out).takes[0].episode == 3


def test_a_folder_without_an_episode_yet_is_gone_on_with(tmp_path: Path) -> None:
    of = recordings.contract()
    (tmp_path / "set" / "journal").mkdir(parents=True)
    with Recorder(tmp_path / "set", extend=True) as recorder:
        recordings.play(recorder, of, 0)
    with Recorder(tmp_path / "new", extend=True) as recorder:
        recordings.play(recorder, of, 0)
    for name in ("set", "new"):
        assert len(open_dataset(tmp_path / name).episodes) == 1


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (recordings.contract(CAMERAS), "camera 'overhead': given now, but not in the dataset"),
        (recordings.contract(privileged=False), "privileged: wants brick.x, brick.y, has none"),
        (recordings.contract(rate_hz=20), "rate hz: wants 30.0, has 20"),
        (replace(recordings.contract(), calibration="b"), "then a, now b"),
    ],
)
def test_another_arm_may_not_go_on(tmp_path: Path, now: Contract, told: str) -> None:
    of = replace(recordings.contract(), calibration="a")
    now = now if now.calibration else replace(now, calibration="a")
    out = recordings.record(tmp_path / "set", of, 1)
    there = extension(out, now)
    assert told in " ".join((*there.differences, there.recalibrated))
    with Recorder(out, extend=True) as recorder, pytest.raises(DatasetError, match=told):
        recordings.play(recorder, now, 1)
    assert len(open_dataset(out).episodes) == 1


def test_a_recalibrated_arm_goes_on_where_it_is_said_to(tmp_path: Path) -> None:
    of = replace(recordings.contract(), calibration="a")
    out, now = recordings.record(tmp_path / "set", of, 1), replace(of, calibration="b")
    with Recorder(out, extend=True, recalibrated=True) as recorder:
        recordings.play(recorder, now, 1)
    assert extension(out, now).recalibrated == ""
    assert "then b, now a" in extension(out, of).recalibrated


def test_another_s_dataset_is_not_gone_on_with(tmp_path: Path) -> None:
    of = recordings.contract()
    out = recordings.record(tmp_path / "set", of, 1)
    shutil.rmtree(out / "meta" / "vibrissa")
    with pytest.raises(DatasetError, match="not recorded by Vibrissa"):
        extension(out, of)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dear").touch()
    with pytest.raises(DatasetError, match="is no dataset"):
        extension(tmp_path / "other", of)


class FullDisk(Disk):
    """Takes `most` writes and syncs, then nothing more."""

    def __init__(self, most: int):
        self.left = most

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    def append(self, path: Path) -> Appender:
        self.spend()
        return FullFile(path, self)

    def made(self, path: Path) -> None:
        self.spend()
        super().made(path)

    def rename(self, old: Path, new: Path) -> None:
        self.spend()
        super().rename(old, new)


class FullFile(Appender):
    def __init__(self, path: Path, disk: FullDisk):
        super().__init__(path)
        self._disk = disk

    def write(self, content: bytes) -> int:
        self._disk.spend()
        return super().write(content)


def record_on(disk: Disk, out: Path, of: Contract) -> bool:
    """Two short episodes; whether the disk took them."""
    try:
        with Recorder(out, disk=disk) as recorder:
            for seed in range(2):
                recordings.play(recorder, of, seed, ticks=8)
    except DatasetError as error:
        if "No space left" not in str(error):
            raise
        return False
    return True


def whole_episodes(out: Path) -> int:
    return len(open_dataset(out).episodes) if (out / "meta" / "info.json").is_file() else 0


@pytest.mark.parametrize("cameras", [(), (CameraSpec("eye", 32, 32),)])
def test_a_disk_full_at_any_write_loses_no_finished_episode(tmp_path: Path, cameras) -> None:
    of, step = recordings.contract(cameras), 7 if cameras else 2
    took, most, stored = False, -step, 0
    while not took:
        most += step
        out = tmp_path / f"{most}"
        took = record_on(FullDisk(most), out, of)
        logs = [log for log in out.glob("journal/*/log") if log.stat().st_size]
        ended = [read_take(log.parent).end.get("fate") for log in logs]
        stored = whole_episodes(out)
        if (out / "journal").is_dir():
            recover(out)
        assert whole_episodes(out) >= max(stored, ended.count("keep"))
        if whole_episodes(out):
            after = open_dataset(out)
            assert_in_step(after, [note["seed"] for note in after.notes])
    assert most > 20
    assert stored == 2


def test_a_killed_recording_loses_less_than_a_second(tmp_path: Path) -> None:
    out = tmp_path / "told.json"
    argv = ["--kills", "4", "--longest-s", "2", "--out", str(out)]
    result = subprocess.run(
        [sys.executable, str(RUN / "kill9.py"), *argv], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(out.read_text())
    assert told["n"] == 4
    assert told["finished_episodes_lost"] == 0
    assert told["wrong"] == 0
    assert told["left_behind"] == []
    assert told["lost_s"]["most"] < 10  # under a second on a machine with nothing else to do


def test_a_power_cut_anywhere_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    out = tmp_path / "told.json"
    argv = ["--every", "45", "--seeds", "1", "--out", str(out)]
    result = subprocess.run(
        [sys.executable, str(RUN / "power_cut.py"), *argv],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(out.read_text())
    for kind in ("rows", "two cameras"):
        assert told[kind]["disks"] > 9
        assert told[kind]["wrong"] == []
