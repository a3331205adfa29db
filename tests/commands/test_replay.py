"""`vibrissa replay`: a recording on the simulated arm, whatever unit it came in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data import films, recordings

from vibrissa import cli
from vibrissa.bench.retrace import tracked
from vibrissa.data.features import ACTION, STATE
from vibrissa.show.video import read_frames
from vibrissa.sim.follow import Course

LIFT, TEST = "so101_lift_50ep_v30_stateonly", "so101_test_4ep_v30_stateonly"
TWO_ARMS = "so101_bimanual_5ep_v30_video"


def replay(capsys, *argv: str) -> dict:
    capsys.readouterr()
    assert cli.main(["replay", *argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("rate_hz", [30.0, 20.0, 7.0])
def test_a_reachable_motion_is_followed_at_any_rate(tmp_path: Path, capsys, rate_hz) -> None:
    of = recordings.contract(rate_hz=rate_hz)
    out = recordings.record(tmp_path / "set", of, 2, ticks=30)
    told = replay(capsys, str(out), "--episode", "1")
    assert (told["unit"], told["confidence"]) == ("deg", "certain")
    assert told["rate_hz"] == (30.0 if rate_hz == 7.0 else rate_hz)
    assert told["ticks"] == (31 if rate_hz != 7.0 else 129)
    assert told["joints"][0]["joint"] == "shoulder_pan"
    assert 0 < told["rms_deg"] < 15


def test_an_episode_in_which_nothing_moves_has_no_lag(tmp_path: Path, capsys) -> None:
    out = recordings.record(tmp_path / "set", recordings.contract(), 1, ticks=30)
    for vector in (STATE, ACTION):
        recordings.edit(out, vector, lambda values: np.tile(values[:1], (len(values), 1)))
    assert [joint["lag_s"] for joint in replay(capsys, str(out))["joints"]] == [None] * 6
    assert cli.main(["replay", str(out)]) == 0
    told = capsys.readouterr().out
    assert "nothing moved in this episode" in told
    assert told.count("did not move") == 6
    assert "ms" not in told.partition("simulated later by")[2]


def test_a_joint_that_moves_in_no_episode_has_no_lag_among_others() -> None:
    t = np.arange(60)[:, None] / 30
    motion = (0.3 * np.sin(2 * t) * [1, 1, 1, 1, 0, 1]).astype(np.float32)
    course = Course(motion, motion)
    rows = tracked([course, course], [motion, motion], 30.0, np.random.default_rng(0))
    lags = {row.joint: row.lag_s for row in rows}
    assert (lags["wrist_roll"], lags["elbow_flex"], lags["all"]) == (None, 0.0, 0.0)


@pytest.mark.parametrize(("folder", "episode"), [(LIFT, 0), (LIFT, 49), (TEST, 0), (TEST, 3)])
def test_real_arms_are_followed_within_degrees(realdata: Path, capsys, folder, episode) -> None:
    told = replay(capsys, str(realdata / folder), "--episode", str(episode))
    assert (told["unit"], told["confidence"]) == ("m100_100", "certain")
    assert told["rms_deg"] < 8
    assert max(joint["rms_deg"] for joint in told["joints"]) < 15


def test_two_arms_are_answered_with_the_choice(realdata: Path, capsys) -> None:
    path = str(realdata / TWO_ARMS)
    for argv in ([], ["--arm", "left"]):
        assert cli.main(["replay", path, *argv]) == 1
        assert "Choose one: --arm arm1 or --arm arm2." in capsys.readouterr().err
    told = replay(capsys, path, "--arm", "arm1", "--episode", "2")
    assert (told["unit"], told["arm"], told["rate_hz"]) == ("ticks", "arm1", 20.0)
    assert told["rms_deg"] < 2


def test_out_holds_numbers_a_plot_and_a_film(tmp_path: Path, capsys, opengl) -> None:
    data = recordings.record(tmp_path / "set", recordings.contract(), 1, ticks=20)
    out = tmp_path / "a folder" / "replay"
    capsys.readouterr()
    assert cli.main(["replay", str(data), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert told.rstrip().endswith(str(out))
    assert "shoulder_pan" in told
    assert sorted(p.name for p in out.iterdir()) == ["replay.mp4", "tracking.json", "tracking.png"]
    assert json.loads((out / "tracking.json").read_text())["ticks"] == 20
    assert len(list(read_frames(out / "replay.mp4"))) == 10
    assert [p.name for p in out.parent.iterdir()] == ["replay"]
    assert cli.main(["replay", str(data), "--out", str(out)]) == 1
    assert "exists already" in capsys.readouterr().err


def test_what_is_unusual_about_the_films_is_printed_where_they_are_shown(
    tmp_path: Path, capsys, opengl
) -> None:
    root = films.write(tmp_path / "set", films.ends_early(films.made()))
    told = "warning: observation.images.front: by from_timestamp and to_timestamp the film of"
    assert cli.main(["replay", str(root)]) == 0
    assert told not in capsys.readouterr().err
    assert cli.main(["replay", str(root), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().err.count(told) == 1


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("pusht_3ep_v30_images", "is no SO-101's"),
        ("gr1_5ep_v20_video", "is no SO-101's"),
        ("broken/so101_v21_lfs_pointers", "git lfs pull"),
        ("camera", "no meta/info.json"),
    ],
)
def test_what_is_no_so101_is_one_line(realdata: Path, capsys, folder, told) -> None:
    assert cli.main(["replay", str(realdata / folder)]) == 1
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


def test_an_episode_that_is_not_there_is_told(tmp_path: Path, capsys) -> None:
    data = recordings.record(tmp_path / "set", recordings.contract(), 2)
    assert cli.main(["replay", str(data), "--episode", "9"]) == 1
    assert "no episode 9. There is: 0 to 1" in capsys.readouterr().err
