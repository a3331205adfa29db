"""The twin through LeRobot's own driver, unmodified."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lerobot.robots.so_follower import SO101Follower, SO101FollowerConfig
from lerobot.teleoperators.so_leader import SO101Leader, SO101LeaderConfig
from twin.waiting import until

from vibrissa.sim.tasks import make_scene
from vibrissa.twin.twin import Twin


@pytest.fixture
def twin(tmp_path) -> Iterator[Twin]:
    with Twin(tmp_path, make_scene("lift")) as served:
        yield served


def follower(twin: Twin) -> SO101Follower:
    folder = twin.calibration_file("follower").parent
    port = str(twin.folder / "follower")
    return SO101Follower(SO101FollowerConfig(port=port, id="follower", calibration_dir=folder))


def leader(twin: Twin) -> SO101Leader:
    folder = twin.calibration_file("leader").parent
    port = str(twin.folder / "leader")
    return SO101Leader(SO101LeaderConfig(port=port, id="leader", calibration_dir=folder))


def test_the_follower_connects_without_a_question_and_goes_where_it_is_sent(twin) -> None:
    arm = follower(twin)
    arm.connect()
    here = arm.get_observation()
    assert here["shoulder_lift.pos"] < -40
    arm.send_action({**here, "shoulder_pan.pos": 20.0, "gripper.pos": 60.0})
    until(lambda: abs(arm.get_observation()["shoulder_pan.pos"] - 20) < 2)
    until(lambda: abs(arm.get_observation()["gripper.pos"] - 60) < 3)
    arm.disconnect()


def test_the_leader_connects_and_reads(twin) -> None:
    arm = leader(twin)
    arm.connect()
    assert arm.get_action()["elbow_flex.pos"] == pytest.approx(57.3, abs=0.2)
    arm.disconnect()
