"""`vibrissa record`: demonstrations in, a whole dataset out, or one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vibrissa import cli
from vibrissa.commands import record, scripted
from vibrissa.core.units import to_rad
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
    for note in dataset.notes:  # how it was held
        assert note["measures"]["both_pads_share"] > 0.9
        assert 20 < note["measures"]["moving_pad_mean_n"] < 100
        assert 0 < note["measures"]["slip_m"] < 0.005
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


def test_what_was_randomised_is_stored_and_plays_again(tmp_path: Path) -> None:
    """The stored scene, seed, sample and asked actions (in degrees, float32) give the states."""
    from vibrissa.sim.arm import SimArm
    from vibrissa.sim.sample import FACTORS, Sample
    from vibrissa.sim.scene import SceneCfg

    out = tmp_path / "set"
    argv = ["--task", "lift", "--episodes", "2", "--seeds", "7", "--randomise", "light"]
    assert cli.main(["record", "--out", str(out), *argv]) == 0
    dataset = open_dataset(out)
    assert all(set(note["sampled"]) == set(FACTORS) for note in dataset.notes)
    assert dataset.notes[0]["sampled"] != dataset.notes[1]["sampled"]
    scene = json.loads((out / "meta" / "vibrissa" / "scene.json").read_text())
    arm = SimArm(SceneCfg.from_dict(scene))
    assert tuple(dataset.features["sim_state"]["names"]) == arm.sim_state
    recorded = dataset.episode(1)
    actions = to_rad(recorded["asked"], "deg")
    arm.reset(dataset.notes[1]["seed"], sample=Sample.from_dict(dataset.notes[1]["sampled"]))
    first = arm.observe()
    np.testing.assert_array_equal(first.sim_state, recorded["sim_state"][0])
    for action, state in zip(actions[:-1], recorded["sim_state"][1:], strict=True):
        arm.send(action)
        np.testing.assert_allclose(arm.observe().sim_state, state, atol=1e-4)


def test_failures_can_be_kept(tmp_path: Path) -> None:
    out = tmp_path / "set"
    cfg = record.Config(out, pilot="zero", task="lift", episodes=2, keep_failures=True)
    told = record.record(cfg)
    assert (told.episodes, told.discarded) == (2, 0)
    assert {note["reason"] for note in open_dataset(out).notes} == {"timeout"}


def test_a_pilot_that_never_succeeds_is_given_up(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(scripted, "SPARE_ATTEMPTS", 1)
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
        (["--randomise", "wild"], "no randomisation 'wild'. There is: none, light, strong"),
        (["--episodes", "0"], "at least 1"),
        (["--camera-size", "64", "48"], "name the cameras"),
        (["--cameras", "wrist", "--camera-size", "0", "48"], "pictures of 0 × 48: 1 × 1 to 1280"),
        (["--cameras", "wrist", "--camera-size", "-8", "48"], "pictures of -8 × 48"),
        (["--cameras", "wrist", "--camera-size", "64", "961"], "to 1280 × 960 can be drawn"),
        (["--cameras", "wrist", "--camera-size", "33", "32"], "even width and height"),
        (["--seeds", "-1"], "--seeds -1: at least 0"),
        (["--noise-rad", "-1"], "between 0 and 1"),
        (["--start-noise-rad", "7"], "--start-noise-rad 7.0: between 0 and 1"),
    ],
)
def test_what_makes_no_sense_is_one_line(tmp_path: Path, capsys, opengl, argv, told) -> None:
    assert cli.main(["record", "--out", str(tmp_path / "set"), *argv]) == 1
    lines = capsys.readouterr().err.splitlines()
    err = [line for line in lines if not line.startswith("pictures:")]  # said once a process
    assert len(err) == 1
    assert told in err[0]
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
