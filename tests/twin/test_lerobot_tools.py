"""LeRobot's six unmodified command lines against the twin. (A minute and a half of imports.)"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot.robots import make_robot_from_config
from lerobot.teleoperators import make_teleoperator_from_config
from lerobot_robot_vibrissa import VibrissaLeaderConfig, VibrissaTwinConfig
from stock import Tool, run, save_tiny_act

from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD
from vibrissa.data.dataset import open_dataset
from vibrissa.twin.control import ask
from vibrissa.twin.log import latency
from vibrissa.twin.ready import read_number
from vibrissa.twin.spawned import spawned

SIZE = (160, 120)
CAMERAS = ("overhead", "wrist")
LOG = "twin.log"
BLIND = ("--cameras", "none")
NEAR_TICKS = 3
pytestmark = pytest.mark.timeout(280)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A calibrated twin with two cameras, whose leader waves."""
    folder = tmp_path_factory.mktemp("twin")
    cameras = ("--cameras", "ready", "--camera-port", "0", "--camera-size", *map(str, SIZE))
    with spawned(folder, [*cameras, "--log", str(folder / LOG)]):
        ask(folder, {"do": "move", "arm": "leader", "script": "circle", "rad_s": 1.0})
        yield folder


@pytest.fixture(scope="module")
def recorded(twin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes of two seconds, recorded by `lerobot-record` with both cameras."""
    folder = tmp_path_factory.mktemp("recorded") / "set"
    run(
        "lerobot-record",
        *_follower(twin),
        *_leader(twin),
        _cameras(twin),
        *_dataset(folder),
        "--dataset.single_task=Wave",
        *("--dataset.num_episodes=2", "--dataset.episode_time_s=2", "--dataset.reset_time_s=0"),
        *("--dataset.push_to_hub=false", "--play_sounds=false"),
    )
    return folder


def test_setup_motors_gives_every_servo_its_id(tmp_path: Path) -> None:
    folder = tmp_path / "fresh"
    with spawned(folder, [*BLIND, "--servos", "factory"]):
        _set_up(folder)


def _set_up(folder: Path) -> None:
    port = f"--robot.port={folder / 'follower'}"
    tool = Tool("lerobot-setup-motors", "--robot.type=so101_follower", port)
    ask(folder, {"do": "plug", "arm": "follower", "what": "none"})
    for joint in reversed(JOINTS):
        tool.expect(f"to the '{joint}' motor only")
        ask(folder, {"do": "plug", "arm": "follower", "what": joint})
        tool.say()
    tool.finish()
    ask(folder, {"do": "plug", "arm": "follower", "what": "all"})
    servos = ask(folder, {"do": "status"})["arms"]["follower"]["servos"]
    assert [servos[joint]["id"] for joint in JOINTS] == [1, 2, 3, 4, 5, 6]


def test_calibrate_finds_the_ranges_that_the_twin_has(tmp_path: Path) -> None:
    """On the leader, which a hand moves without a care; the follower takes half a minute more."""
    with spawned(tmp_path / "worn", BLIND):
        _calibrate(tmp_path / "worn", tmp_path)


def _calibrate(twin: Path, folder: Path) -> None:
    tool = Tool(
        "lerobot-calibrate",
        "--teleop.type=so101_leader",
        f"--teleop.port={twin / 'leader'}",
        "--teleop.id=anew",
        f"--teleop.calibration_dir={folder}",
    )
    tool.expect("to the middle of its range of motion")
    middle = (LOW_RAD + HIGH_RAD) / 2
    middle[JOINTS.index("wrist_roll")] = 0.0
    _lead(twin, middle, middle)
    tool.say()
    tool.expect("Press ENTER to stop")
    _lead(twin, LOW_RAD, LOW_RAD, HIGH_RAD, HIGH_RAD)
    tool.say()
    tool.finish()
    found = json.loads((folder / "anew.json").read_text())
    known = json.loads((twin / "calibration" / "leader" / "leader.json").read_text())
    for joint in JOINTS:
        assert found[joint]["id"] == known[joint]["id"]
        for value in ("homing_offset", "range_min", "range_max"):
            assert abs(found[joint][value] - known[joint][value]) < NEAR_TICKS, (joint, value)


def test_teleoperate_follows_the_leader(twin: Path) -> None:
    began_ns = time.monotonic_ns()
    flags = ("--fps=60", "--teleop_time_s=3")
    told = run("lerobot-teleoperate", *_follower(twin), *_leader(twin), *flags)
    assert "Teleop loop time" in told
    found = latency(twin / LOG, since_ns=began_ns)
    assert len(found.passages_s) > 20
    assert _torques(twin) == [False] * 6


def test_the_plugin_finds_arms_and_cameras_by_the_rig_file(twin: Path) -> None:
    robot: Any = make_robot_from_config(VibrissaTwinConfig(rig=twin / "rig.yaml"))
    leader: Any = make_teleoperator_from_config(VibrissaLeaderConfig(rig=twin / "rig.yaml"))
    leader.connect()
    robot.connect()
    try:
        action = leader.get_action()
        assert robot.send_action(action) == action
        seen = robot.get_observation()
        assert set(seen) == set(robot.observation_features) == {*action, *CAMERAS}
        assert all(read_number(seen[camera]) is not None for camera in CAMERAS)
    finally:
        robot.disconnect()
        leader.disconnect()


def test_record_writes_what_was_seen_and_done(recorded: Path) -> None:
    dataset = open_dataset(recorded)
    assert len(dataset.episodes) == 2
    for index in range(2):
        episode = dataset.episode(index)
        length = len(episode["action"])
        assert np.ptp(episode["action"], axis=0).min() > 1, "the leader did not move"
        off = np.abs(episode["observation.state"] - episode["action"])[length // 2 :]
        assert np.median(off) < 15, "the follower does not follow"
        for camera in CAMERAS:
            shots: Any = dataset.pictures(f"observation.images.{camera}", index, range(length))
            numbers = [read_number(shot) for shot in shots]
            assert None not in numbers
            assert len(set(numbers)) > length // 3, "always the same picture"


def test_replay_sends_the_recorded_actions(twin: Path, recorded: Path) -> None:
    began_ns = time.monotonic_ns()
    where = ("--dataset.repo_id=local/set", f"--dataset.root={recorded}", "--dataset.episode=0")
    run("lerobot-replay", *_follower(twin), *where, "--play_sounds=false")
    assert len(_goals(twin, began_ns)) >= 6 * len(open_dataset(recorded).episode(0)["action"])
    assert _torques(twin) == [False] * 6


def test_rollout_runs_a_policy(twin: Path, recorded: Path, tmp_path: Path) -> None:
    model = save_tiny_act(recorded, tmp_path / "model")
    began_ns = time.monotonic_ns()
    told = run(
        "lerobot-rollout",
        "--strategy.type=base",
        f"--policy.path={model}",
        *_follower(twin),
        _cameras(twin),
        *("--task=Wave", "--duration=2", "--fps=30", "--device=cpu", "--play_sounds=false"),
    )
    assert "Rollout finished" in told
    assert len(_goals(twin, began_ns)) >= 6 * 5
    assert _torques(twin) == [False] * 6


def _follower(twin: Path) -> tuple[str, ...]:
    return (
        "--robot.type=so101_follower",
        f"--robot.port={twin / 'follower'}",
        "--robot.id=follower",
        f"--robot.calibration_dir={twin / 'calibration' / 'follower'}",
    )


def _leader(twin: Path) -> tuple[str, ...]:
    return (
        "--teleop.type=so101_leader",
        f"--teleop.port={twin / 'leader'}",
        "--teleop.id=leader",
        f"--teleop.calibration_dir={twin / 'calibration' / 'leader'}",
    )


def _cameras(twin: Path) -> str:
    addresses: dict[str, str] = ask(twin, {"do": "status"})["cameras"]
    cameras = [
        f"{name}: {{type: zmq, server_address: 127.0.0.1, "
        f"port: {address.split('/')[2].split(':')[1]}, camera_name: {name}, "
        f"width: {SIZE[0]}, height: {SIZE[1]}, fps: 30}}"
        for name, address in addresses.items()
    ]
    return f"--robot.cameras={{{', '.join(cameras)}}}"


def _dataset(folder: Path) -> tuple[str, ...]:
    return ("--dataset.repo_id=local/set", f"--dataset.root={folder}", "--dataset.fps=30")


def _lead(twin: Path, *poses: np.ndarray) -> None:
    """A hand moves the leader through `poses` (6,) rad; returns when it has."""
    times = [0.5 * place for place in range(len(poses))]
    path = [pose.tolist() for pose in poses]
    ask(twin, {"do": "move", "arm": "leader", "hold": True, "times_s": times, "path_rad": path})
    while ask(twin, {"do": "status"})["arms"]["leader"]["held"]:
        time.sleep(0.1)
    time.sleep(0.5)  # for the driver to look once more


def _torques(twin: Path) -> list[bool]:
    servos = ask(twin, {"do": "status"})["arms"]["follower"]["servos"]
    return [bool(servos[joint]["torque"]) for joint in JOINTS]


def _goals(twin: Path, since_ns: int) -> list[str]:
    """The lines of the log that tell of a goal. The log is flushed every second."""
    time.sleep(1.5)
    lines = (line for line in (twin / LOG).read_text().splitlines() if " G " in line)
    return [line for line in lines if int(line.split()[0]) >= since_ns]
