"""`vibrissa record`: demonstrations in, a whole dataset out, or one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vibrissa import cli
from vibrissa.commands import record
from vibrissa.data.dataset import open_dataset
from vibrissa.data.features import ACTION, PRIVILEGED, STATE


def test_the_expert_is_recorded(tmp_path: Path, capsys) -> None:
    out = tmp_path / "a folder" / "set"
    argv = ["record", "--out", str(out), "--episodes", "2", "--seeds", "5", "--noise-rad", "0"]
    assert cli.main([*argv, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    dataset = open_dataset(out)
    assert told["episodes"] == 2
    assert told["frames"] == dataset.frames
    assert [note["seed"] for note in dataset.notes] == [5, 6]
    assert [note["reason"] for note in dataset.notes] == ["success"] * 2
    assert dataset.column(PRIVILEGED).shape == (dataset.frames, 5)
    assert dataset.tasks == ("Pick up the block and place it in the bowl",)
    scene = json.loads((out / "meta" / "vibrissa" / "scene.json").read_text())
    assert scene["rate_hz"] == 30.0


def test_the_same_seeds_give_the_same_rows(tmp_path: Path) -> None:
    sets = []
    for name in ("one", "two"):
        cfg = record.Config(tmp_path / name, task="lift", episodes=1, seeds=3)
        record.record(cfg)
        sets.append(open_dataset(tmp_path / name))
    for column in (STATE, ACTION, PRIVILEGED, "asked"):
        np.testing.assert_array_equal(sets[0].column(column), sets[1].column(column))


def test_cameras_are_recorded_at_the_size_asked_for(tmp_path: Path, opengl) -> None:
    out = tmp_path / "set"
    argv = ["record", "--out", str(out), "--task", "lift", "--episodes", "1"]
    assert cli.main([*argv, "--cameras", "wrist", "--camera-size", "48", "32"]) == 0
    dataset = open_dataset(out)
    assert [(c.name, c.width, c.height) for c in dataset.contract.cameras] == [("wrist", 48, 32)]
    shots = list(dataset.pictures("observation.images.wrist", 0, [0, 20]))
    assert shots[0].shape == (32, 48, 3)
    assert float(shots[0].std()) > 5
    assert np.abs(shots[0].astype(int) - shots[1]).mean() > 1


def test_failures_can_be_kept(tmp_path: Path) -> None:
    out = tmp_path / "set"
    cfg = record.Config(out, pilot="zero", task="lift", episodes=2, keep_failures=True)
    told = record.record(cfg)
    assert (told.episodes, told.discarded) == (2, 0)
    assert {note["reason"] for note in open_dataset(out).notes} == {"timeout"}


def test_a_pilot_that_never_succeeds_is_given_up(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(record, "SPARE_ATTEMPTS", 1)
    out = tmp_path / "set"
    argv = ["record", "--out", str(out), "--pilot", "zero", "--task", "lift", "--episodes", "1"]
    assert cli.main(argv) == 1
    assert "3 of 3 episodes of the zero pilot failed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--pilot", "nobody"], "no pilot 'nobody' for recording. There is: expert"),
        (["--task", "juggle"], "juggle"),
        (["--episodes", "0"], "at least 1"),
        (["--camera-size", "64", "48"], "name the cameras"),
        (["--noise-rad", "-1"], "between 0 and 1"),
        (["--start-noise-rad", "7"], "--start-noise-rad 7.0: between 0 and 1"),
    ],
)
def test_what_makes_no_sense_is_one_line(tmp_path: Path, capsys, argv, told) -> None:
    assert cli.main(["record", "--out", str(tmp_path / "set"), *argv]) == 1
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_one_line_before_anything_is_made(tmp_path: Path, capsys) -> None:
    assert cli.main(["record", "--out", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_the_finished_episodes(tmp_path: Path, capsys, monkeypatch) -> None:
    from vibrissa.control import drive

    run_episode, calls = drive.run_episode, []

    def interrupted(*args, seed: int, **kwargs):
        if calls:
            raise KeyboardInterrupt
        calls.append(seed)
        return run_episode(*args, seed=seed, **kwargs)

    monkeypatch.setattr(drive, "run_episode", interrupted)
    out = tmp_path / "set"
    argv = ["record", "--out", str(out), "--task", "lift", "--noise-rad", "0", "--episodes", "5"]
    assert cli.main(argv) == 130
    assert f"1 finished episodes are in {out}" in capsys.readouterr().err
    assert len(open_dataset(out).episodes) == 1
