"""`vibrissa fit`: from recordings to a profile that the other commands take."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data import recordings

from vibrissa import cli
from vibrissa.data.dataset import open_dataset
from vibrissa.sim.profile import load_profile
from vibrissa.sim.scene import SceneCfg

TWO_ARMS, TEST = "so101_bimanual_5ep_v30_video", "so101_test_4ep_v30_stateonly"
LIFT = "so101_lift_50ep_v30_stateonly"


def told(capsys, *argv: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main(list(argv))
    seen = capsys.readouterr()
    return code, seen.out, seen.err


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """Five demonstrations of the expert, as a dataset with commands."""
    out = tmp_path_factory.mktemp("fit") / "set"
    argv = ["record", "--out", str(out), "--episodes", "5", "--task", "lift"]
    assert cli.main(argv) == 0
    return out


def test_a_fit_leaves_a_profile_that_every_command_takes(tmp_path, capsys, recorded) -> None:
    out = tmp_path / "mine.yaml"
    code, printed, _ = told(capsys, "fit", str(recorded), "--out", str(out), "--name", "mine")
    assert code == 0
    assert "shoulder_pan" in printed
    assert printed.rstrip().endswith(f"picture  {out.with_suffix('.png')}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.png", "mine.yaml"]
    profile = load_profile(out)
    assert profile.name == "mine"
    assert profile.source["digests"] == [open_dataset(recorded).digest]
    unseen, seen = profile.source["held_out_episodes"], profile.source["fit_episodes"]
    assert (len(unseen), len(seen)) == (1, 4)
    assert not set(unseen) & set(seen)
    assert profile.tracking["all"]["after_rms_deg"] <= profile.tracking["all"]["before_rms_deg"]
    low, high = profile.intervals["kp"]["shoulder_lift"]
    assert low <= profile.servo.each("kp")[1] <= high

    code, printed, _ = told(capsys, "replay", str(recorded), "--servo", str(out), "--json")
    assert code == 0
    assert json.loads(printed)["servo"] == str(out)
    again = tmp_path / "again"
    argv = ["record", "--out", str(again), "--episodes", "1", "--servo", str(out)]
    assert told(capsys, *argv, "--task", "lift")[0] == 0
    scene = json.loads((again / "meta" / "vibrissa" / "scene.json").read_text())
    assert SceneCfg.from_dict(scene).servo == profile.servo
    argv = ["eval", "--pilot", "expert", "--task", "lift", "--episodes", "1", "--servo", str(out)]
    assert told(capsys, *argv)[0] == 0


def test_the_result_is_json(tmp_path, capsys, recorded) -> None:
    out = tmp_path / "a.yaml"
    argv = ["fit", str(recorded), "--out", str(out), "--structure", "delay", "--json"]
    code, printed, err = told(capsys, *argv)
    assert code == 0
    result = json.loads(printed)
    assert [row["joint"] for row in result["after"]][-1] == "all"
    assert set(result["intervals"]) == {"delay_s"}
    assert str(out) in err
    code, _, err = told(capsys, *argv)
    assert code == 1
    assert "exists already" in err


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--held-out", "3"], "at least 3 must be left"),
        (["--out", "profile.json"], "ends in .yaml"),
        (["--arm", "left"], "no arm 'left'"),
        (["--seed", "-1"], "--seed -1: at least 0"),
        (["--out", "/dev/null/mine.yaml"], "cannot write /dev/null/mine.yaml"),
    ],
)
def test_what_makes_no_sense_is_one_line(recorded, capsys, argv, line) -> None:
    code, _, err = told(capsys, "fit", str(recorded), *argv)
    assert code == 1
    assert line in err
    assert err.count("\n") == 1


def test_too_few_episodes_and_no_folder_are_one_line(tmp_path, capsys) -> None:
    few = recordings.record(tmp_path / "few", recordings.contract(), 3, ticks=20)
    code, _, err = told(capsys, "fit", str(few), "--out", str(tmp_path / "a.yaml"))
    assert code == 1
    assert "3 episodes are too few" in err
    code, _, err = told(capsys, "fit", str(tmp_path / "nowhere"))
    assert code == 1
    assert "nowhere" in err
    assert not list(tmp_path.glob("*.yaml"))


def test_recordings_of_two_kinds_are_not_fitted_together(tmp_path, capsys) -> None:
    sets = [
        str(recordings.record(tmp_path / f"at{rate:g}", recordings.contract(rate_hz=rate), 3))
        for rate in (30.0, 20.0)
    ]
    code, _, err = told(capsys, "fit", *sets, "--out", str(tmp_path / "a.yaml"))
    assert code == 1
    assert "not of one kind: their rate in Hz is 20.0 and 30.0" in err


@pytest.mark.parametrize(
    ("folder", "more", "line"),
    [
        (TEST, [], "4 episodes are too few"),
        (TWO_ARMS, [], "Choose one: --arm arm1"),
        (TWO_ARMS, ["--arm", "arm1"], "the arm's own readings, not what the servos were told"),
        ("gr1_5ep_v20_video", [], "is no SO-101's"),
        ("broken/so101_v21_lfs_pointers", [], "git lfs pull"),
    ],
)
def test_real_recordings_that_tell_nothing_are_one_line(
    realdata: Path, tmp_path, capsys, monkeypatch, folder, more, line
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = told(capsys, "fit", str(realdata / folder), *more)
    assert code == 1
    assert line in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_real_arm_is_followed_far_more_closely_after_a_fit(realdata: Path) -> None:
    """Five episodes of a real arm to fit to, three others to be judged on."""
    from vibrissa.bench.fit_judge import fit_and_judge
    from vibrissa.data.recordings import read_recordings

    some = read_recordings([realdata / LIFT])
    assert some.calibrated_ticks == (2588, 2392, 2238, 2394, 3833, 1829)
    judged = fit_and_judge(some, range(0, 40, 8), range(41, 44), name="lift")
    before, after = judged.errors_before[-1], judged.errors_after[-1]
    assert after.free_rms_deg < before.free_rms_deg / 3
    assert after.rms_deg < before.rms_deg
    assert np.all(judged.profile.servo.each("kp") < 25)


def test_a_profile_of_another_calibration_is_refused_by_replay(
    realdata: Path, tmp_path, capsys
) -> None:
    from vibrissa.sim.profile import Profile
    from vibrissa.sim.servo import STANDARD

    path = tmp_path / "lift.yaml"
    path.write_text(Profile("lift", STANDARD, (2588, 2392, 2238, 2394, 3833, 1829)).to_text())
    assert told(capsys, "replay", str(realdata / LIFT), "--servo", str(path))[0] == 0
    code, _, err = told(capsys, "replay", str(realdata / TEST), "--servo", str(path))
    assert code == 1
    assert "is another arm's" in err
    assert err.count("\n") == 1
