"""Mount tables: the right disk for a folder, decoys named, nothing lost to odd names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine.computers import RENTED, WSL, about, facts

from vibrissa.machine import storage
from vibrissa.machine.disks import check_disk
from vibrissa.machine.facts import Disk, Mount
from vibrissa.machine.mounts import holding, parse, visible

TB = 10**12


def sized(mount: Mount, total: int, free: int) -> Mount:
    return Mount(mount.device, mount.point, mount.kind, mount.options, total, free)


def test_a_folder_lies_on_the_longest_mount() -> None:
    mounts = parse(RENTED)
    assert len(mounts) == 8
    for folder, point in (
        ("/opt/run", "/"),
        ("/workspace one/data", "/workspace one"),
        ("/workspace one", "/workspace one"),
        ("/workspace oneself", "/"),
        ("/dev/shm/x", "/dev/shm"),
    ):
        mount = holding(mounts, folder)
        assert mount is not None
        assert mount.point == point
    assert holding((), "/") is None


def test_of_two_mounts_on_one_point_the_later_hides_the_first() -> None:
    mounts = parse("/dev/a /data ext4 rw 0 0\n/dev/b /data xfs ro 0 0\n")
    on_top = holding(mounts, "/data/x")
    assert on_top is not None
    assert (on_top.device, on_top.read_only) == ("/dev/b", True)
    assert visible(mounts) == (on_top,)


names = st.text(st.characters(codec="utf-8", exclude_characters="\n/"), min_size=1, max_size=8)


@given(st.lists(names, min_size=1, max_size=3))
def test_every_name_comes_back(parts: list[str]) -> None:
    point = "/" + "/".join(parts)
    escaped = point.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")
    (mount,) = parse(f"/dev/sda1 {escaped} ext4 rw,relatime 0 0")
    assert mount.point == point


def test_an_overlay_is_warned_of_and_a_real_disk_is_named() -> None:
    """What a rented machine offers: overlay, a data disk, and the driver's read-only mounts."""
    by_point = {m.point: m for m in parse(RENTED)}
    others = (
        sized(by_point["/workspace one"], 4 * TB, 3 * TB),
        sized(by_point["/usr/bin/nvidia-smi"], 2 * TB, TB),
    )
    disk = Disk("/root", 40 * 10**9, 30 * 10**9, by_point["/"], others, 5e8)
    lines = check_disk(facts(disk=disk))
    told = about(lines, "file system")
    assert told.state == "warning"
    assert "gone with the container" in told.do
    assert "/workspace one has 3 TB free" in told.do
    decoy = about(lines, "other disks")
    assert decoy.told == "read-only, no place to work: /usr/bin/nvidia-smi (2 TB)"


def test_a_read_only_mount_is_broken_and_never_recommended() -> None:
    driver = sized(parse(RENTED)[6], 2 * TB, TB)
    disk = Disk("/usr/lib/firmware/nvidia", 2 * TB, TB, driver, (driver,), 0.0, "read-only file")
    told = about(check_disk(facts(disk=disk)), "disk")
    assert told.state == "broken"
    assert "a read-only mount" in told.told
    assert told.do == "work elsewhere"


@pytest.mark.parametrize(
    ("folder", "state", "words"),
    [
        ("/mnt/c/Users/ada", "warning", "Windows disk"),
        ("/home/ada", "ok", ""),
        ("/mnt/wsl", "warning", "memory"),
    ],
)
def test_a_windows_disk_is_slow_from_wsl(folder: str, state: str, words: str) -> None:
    disk = Disk(folder, TB, TB, holding(parse(WSL), folder), (), 5e8)
    told = about(check_disk(facts(disk=disk)), "file system")
    assert told.state == state
    assert words in told.do


def test_checkpoints_that_do_not_fit_are_told() -> None:
    lines = check_disk(facts(disk={"free_bytes": 500_000_000}))
    assert about(lines, "space").state == "warning"
    told = about(lines, "checkpoints")
    assert told.state == "warning"
    assert "4 of 150 MB" in told.told
    assert about(check_disk(facts()), "checkpoints").state == "ok"


def test_a_real_folder_is_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(f"/dev/x / ext4 rw 0 0\n/dev/y {tmp_path} overlay rw 0 0\n")
    place = tmp_path / "work"
    place.mkdir()
    disk = storage.disk(place / "not" / "yet", table)
    assert disk.folder == str(place)
    assert disk.written > 0
    assert not disk.unwritable
    assert disk.mount is not None
    assert disk.mount.kind == "overlay"
    assert list(place.iterdir()) == []


def test_without_a_mount_table_there_is_still_room_and_a_test(tmp_path: Path) -> None:
    disk = storage.disk(tmp_path, tmp_path / "no table")
    assert (disk.mount, disk.others) == (None, ())
    assert disk.total_bytes > 0
    assert {line.about for line in check_disk(facts(disk=disk))} == {"disk", "space", "checkpoints"}


def test_a_disk_that_refuses_says_why(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    assert storage.write_test(tmp_path) == (0.0, "no space left on device")
