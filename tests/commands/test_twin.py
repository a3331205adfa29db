"""`vibrissa twin` in a process of its own, and what is done to it from others."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from twin.waiting import until

from vibrissa import cli
from vibrissa.commands.twin import fault, move, place, plug, serve, status
from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS
from vibrissa.real.rig import load_rig
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.control import ask
from vibrissa.twin.spawned import spawned
from vibrissa.twin.twin import Twin


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("twin")
    with spawned(folder, ["--cameras", "ready", "--camera-port", "0"]):
        yield folder


def arm(folder: Path, name: str = "follower") -> dict:
    return ask(folder, {"do": "status"})["arms"][name]


def test_it_says_what_it_serves_and_writes_the_rig(served) -> None:
    told = (served / "twin.out").read_text()
    for words in ("--robot.port=", "--teleop.calibration_dir=", "--robot.cameras=", "rig.yaml"):
        assert words in told
    rig = load_rig(served / "rig.yaml")
    assert Path(rig.arm.port).exists()
    assert rig.leader is not None
    assert rig.arm.calibration is not None
    assert json.loads(rig.arm.calibration.read_text())["gripper"]["id"] == 6
    assert [camera.name for camera in rig.cameras] == ["overhead", "wrist"]


def test_one_servo_is_plugged_alone_and_all_again(served) -> None:
    plug.run(plug.Config("gripper", dir=served))
    plugged = {joint: servo["plugged"] for joint, servo in arm(served)["servos"].items()}
    assert plugged == dict.fromkeys(JOINTS, False) | {"gripper": True}
    plug.run(plug.Config("all", dir=served))
    assert all(servo["plugged"] for servo in arm(served)["servos"].values())
    with pytest.raises(UsageError, match="gripper"):
        plug.run(plug.Config("tail", dir=served))


def test_a_hand_moves_the_leader_by_joint_and_along_a_table(served, tmp_path, capsys) -> None:
    move.run(move.Config(joint="gripper", to=80.0, dir=served))
    until(lambda: abs(arm(served, "leader")["servos"]["gripper"]["reads"] - 80) < 0.5)
    table = tmp_path / "motion.csv"
    rows = [f"{k / 30},{k},-20,30,0,0,50" for k in range(20)]
    table.write_text(f"time_s,{','.join(JOINTS)}\n" + "\n".join(rows))
    move.run(move.Config(recording=table, dir=served))
    until(lambda: abs(arm(served, "leader")["servos"]["shoulder_pan"]["reads"] - 19) < 0.5)
    move.run(move.Config("circle", dir=served))
    assert arm(served, "leader")["held"]
    assert "until another order" in capsys.readouterr().out
    move.run(move.Config("free", dir=served))
    assert not arm(served, "leader")["held"]


def test_motions_that_make_no_sense_are_refused(served, tmp_path) -> None:
    (tmp_path / "bad.csv").write_text("time_s,pan\n0,1\n")
    for wrong in (
        move.Config(dir=served),
        move.Config("circle", joint="gripper", dir=served),
        move.Config(joint="tail", dir=served),
        move.Config(recording=tmp_path / "bad.csv", dir=served),
    ):
        with pytest.raises(UsageError):
            move.run(wrong)


def test_faults_come_and_go(served, capsys) -> None:
    fault.run(fault.Config("lost", rate=0.5, dir=served))
    fault.run(fault.Config("black", camera="wrist", for_s=1.0, dir=served))
    assert [f["kind"] for f in arm(served)["faults"]] == ["lost"]
    with pytest.raises(UsageError, match="silent"):
        fault.run(fault.Config("sulking", dir=served))
    with pytest.raises(UsageError, match="overhead"):
        fault.run(fault.Config("black", camera="rear", dir=served))
    fault.run(fault.Config("none", dir=served))
    assert arm(served)["faults"] == []
    fault.run(fault.Config("gone", for_s=0.5, dir=served))
    until(lambda: not (served / "follower").exists())
    until(lambda: (served / "follower").exists())


def test_status_in_words_and_as_json(served, capsys) -> None:
    status.run(status.Config(dir=served))
    assert "wrist_flex" in capsys.readouterr().out
    status.run(status.Config(dir=served, json=True))
    assert set(json.loads(capsys.readouterr().out)["arms"]) == {"follower", "leader"}


def test_things_are_put_where_a_seed_says(served, capsys) -> None:
    told = []
    for seed in (3, 4, 3):
        place.run(place.Config(seed, dir=served))
        told.append(capsys.readouterr().out)
    assert told[0] == told[2] != told[1]


def test_a_hand_follows_a_recorded_dataset(served, realdata) -> None:
    recording = realdata / "so101_lift_50ep_v30_stateonly"
    move.run(move.Config(recording=recording, episode=1, dir=served))
    assert arm(served, "leader")["held"]
    move.run(move.Config("free", dir=served))


def test_two_twins_on_one_folder_are_refused_in_a_line(served) -> None:
    with (
        pytest.raises(UsageError, match="another twin") as refused,
        Twin(served, make_scene("lift")),
    ):
        pass
    assert "\n" not in str(refused.value)
    assert Path(load_rig(served / "rig.yaml").arm.port).exists()


def test_where_none_runs_one_is_told_how_to_start_it(tmp_path) -> None:
    with pytest.raises(UsageError, match="vibrissa twin --dir"):
        status.run(status.Config(dir=tmp_path))


def test_a_killed_twin_leaves_a_folder_that_serves_again(tmp_path) -> None:
    with spawned(tmp_path, ["--cameras", "none"]) as first:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    assert (tmp_path / "follower").is_symlink()
    with spawned(tmp_path, ["--cameras", "none"]) as second:
        assert (tmp_path / "follower").exists()
        second.send_signal(signal.SIGINT)
        assert second.wait(30) == 0
    assert not (tmp_path / "follower").is_symlink()
    assert not (tmp_path / "control.sock").exists()


def test_cameras_need_a_name(tmp_path) -> None:
    with pytest.raises(UsageError, match="camera-names"):
        serve.run(serve.Config(dir=tmp_path, cameras="ready", camera_names=()))


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["--fps", "0"], "--fps 0: from 1"),
        (["--camera-port", "99999"], "--camera-port 99999: from 0 (any) to 65535"),
        (["--dir", "a-file"], "--dir a-file cannot be made: it is a file"),
    ],
)
def test_what_cannot_be_served_is_one_line(argv, told, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").touch()
    assert cli.main(["twin", *argv]) == 1
    assert told in capsys.readouterr().err
