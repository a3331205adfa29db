"""`vibrissa data inspect`: one screen or one line, for whatever lies there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from data import recordings

from vibrissa import cli

FOLDERS = {
    "so101_lift_50ep_v30_stateonly": 0,
    "so101_test_4ep_v30_stateonly": 0,
    "so101_bimanual_5ep_v30_video": 0,
    "pusht_3ep_v30_images": 0,
    "gr1_5ep_v20_video": 0,
    "broken": 1,
    "broken/so101_v21_lfs_pointers": 1,
    "calibration": 1,
    "camera": 1,
    "SOURCES.md": 1,
    "nowhere": 1,
}


@pytest.fixture
def no_network(monkeypatch) -> None:
    def refuse(*_args, **_kwargs):
        raise AssertionError("a network was asked")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_real_folder_is_described_or_answered_in_one_line(
    realdata: Path, folder: str, capsys
) -> None:
    code = cli.main(["data", "inspect", str(realdata / folder)])
    out, err = capsys.readouterr()
    assert code == FOLDERS[folder]
    if code:
        assert (out, err.count("\n")) == ("", 1)
    else:
        assert "episodes" in out
        assert out.count("\n") < 45
        assert err == ""


def test_a_clone_without_lfs_is_told_what_to_run(realdata: Path, capsys) -> None:
    assert cli.main(["data", "inspect", str(realdata / "broken/so101_v21_lfs_pointers")]) == 1
    assert "git lfs pull" in capsys.readouterr().err


def test_json_is_for_programs(tmp_path: Path, capsys) -> None:
    out = recordings.record(tmp_path / "a [red]set", recordings.contract(), 2)
    capsys.readouterr()
    assert cli.main(["data", "inspect", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["episodes"], told["frames"], told["findings"]) == (2, 41, [])
    assert cli.main(["data", "inspect", str(out)]) == 0
    assert "a [red]set" in capsys.readouterr().out


def test_an_old_format_is_described_with_the_way_out(tmp_path: Path, capsys) -> None:
    new = recordings.record(tmp_path / "new", recordings.contract(), 2)
    old = recordings.to_v21(new, tmp_path / "old")
    assert cli.main(["data", "inspect", str(old)]) == 0
    assert "convert_dataset_v21_to_v30" in capsys.readouterr().out


def test_a_console_of_ascii_gets_its_screen(tmp_path: Path) -> None:
    out = recordings.record(tmp_path / "set", recordings.contract(), 2)
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    result = subprocess.run(
        [sys.executable, "-m", "vibrissa.cli", "data", "inspect", str(out)],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "nothing missing, nothing unusual" in result.stdout


def test_one_picture_that_is_missing_is_one_problem(realdata: Path, capsys) -> None:
    """Each of its films is one picture shorter than its rows."""
    assert cli.main(["data", "inspect", str(realdata / "gr1_5ep_v20_video")]) == 0
    assert capsys.readouterr().out.count("wants its picture of") == 1
