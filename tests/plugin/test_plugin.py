"""LeRobot's discovery finds the plugin; its robot and its task say what our arm and judge say."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from lerobot_robot_vibrissa import (
    VibrissaEnvConfig,
    VibrissaLeaderConfig,
    VibrissaSim,
    VibrissaSimConfig,
    VibrissaTwinConfig,
    VibrissaWave,
    VibrissaWaveConfig,
)
from lerobot_robot_vibrissa.environment import VibrissaEnv

from vibrissa.commands.record import Config as RecordConfig
from vibrissa.commands.record import record
from vibrissa.control.drive import run_episode
from vibrissa.core.errors import UsageError, VibrissaError
from vibrissa.core.units import JOINTS, from_rad
from vibrissa.real.rig import ArmCfg, CameraCfg, LeaderCfg, Rig, save_rig
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.tasks import make_scene, make_task

KEYS = [f"{joint}.pos" for joint in JOINTS]


def test_the_distribution_bears_the_name_that_lerobot_looks_for() -> None:
    names = [found.metadata["Name"] for found in importlib.metadata.distributions()]
    assert "lerobot_robot_vibrissa" in names, "not installed: uv sync"


def test_lerobot_knows_every_type() -> None:
    from lerobot.cameras import CameraConfig
    from lerobot.envs.configs import EnvConfig
    from lerobot.robots import RobotConfig
    from lerobot.teleoperators import TeleoperatorConfig
    from lerobot.utils.import_utils import register_third_party_plugins

    register_third_party_plugins()
    known: list[tuple[Any, set[str]]] = [
        (RobotConfig, {"vibrissa_sim", "vibrissa_twin"}),
        (TeleoperatorConfig, {"vibrissa_wave", "vibrissa_leader"}),
        (CameraConfig, {"vibrissa_twin"}),
        (EnvConfig, {"vibrissa"}),
    ]
    for registry, wanted in known:
        assert wanted <= set(registry.get_known_choices())


def test_lerobot_makes_the_devices_of_their_configs(tmp_path: Path) -> None:
    from lerobot.robots import make_robot_from_config
    from lerobot.teleoperators import make_teleoperator_from_config

    rig = _rig(tmp_path)
    robot: Any = make_robot_from_config(VibrissaTwinConfig(rig=rig))
    assert robot.bus.port == "/twin/follower"
    assert list(robot.bus.calibration) == []  # no file yet: lerobot-calibrate makes it
    assert robot.calibration_fpath == tmp_path / "calibration" / "left.json"
    assert robot.observation_features["wrist"] == (120, 160, 3)
    wrist = robot.cameras["wrist"]
    assert (wrist.server_address, wrist.port) == ("127.0.0.1", 5556)
    leader: Any = make_teleoperator_from_config(VibrissaLeaderConfig(rig=rig))
    assert leader.bus.port == "/twin/leader"
    made = make_robot_from_config(_sim_config(tmp_path))
    assert isinstance(made, VibrissaSim)


def test_a_twin_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vibrissa twin"):
        VibrissaTwinConfig(rig=tmp_path / "rig.yaml")
    save_rig(Rig(arm=ArmCfg(port="/twin/follower")), tmp_path / "rig.yaml")
    with pytest.raises(UsageError, match="no leader"):
        VibrissaLeaderConfig(rig=tmp_path / "rig.yaml")


def test_the_simulated_robot_says_what_our_arm_says(tmp_path: Path) -> None:
    robot, arm = VibrissaSim(_sim_config(tmp_path, seed=5)), SimArm(make_scene("lift"))
    robot.connect()
    arm.reset(5)
    rng = np.random.default_rng(0)
    for _ in range(5):
        told, seen = robot.get_observation(), arm.observe()
        joints = [told[key] for key in KEYS]
        np.testing.assert_allclose(joints, from_rad(seen.state, "deg"), atol=1e-3)
        assert set(told) == set(robot.observation_features)
        asked = seen.state + rng.uniform(-0.2, 0.2, 6).astype(np.float32)
        sent = robot.send_action(dict(zip(KEYS, from_rad(asked, "deg").tolist(), strict=True)))
        wanted = from_rad(arm.send(asked), "deg")
        np.testing.assert_allclose([sent[key] for key in KEYS], wanted, atol=1e-3)
    robot.disconnect()
    assert not robot.is_connected


def test_a_scene_that_is_done_makes_way_once_the_arm_is_home(tmp_path: Path) -> None:
    robot, scene = VibrissaSim(_sim_config(tmp_path, seed=1)), make_scene("lift")
    robot.connect()
    arm, expert = robot._arm, Expert(scene)
    expert.reset(1)
    begun = arm.observe().truth["object_position"]
    while robot._verdict is None:
        robot.get_observation()
        action = from_rad(expert.decide(arm.observe()).action, "deg")
        robot.send_action(dict(zip(KEYS, action.tolist(), strict=True)))
    assert robot._verdict == "success"
    home = dict(zip(KEYS, from_rad(np.array(scene.home_rad), "deg").tolist(), strict=True))
    for _ in range(100):
        robot.send_action(home)
        robot.get_observation()
        if robot._verdict is None:
            break
    assert robot._verdict is None, "no new scene"
    arm.reset(2)
    assert not np.allclose(arm.observe().truth["object_position"], begun)


def test_the_wave_is_one_motion_that_begins_in_its_centre(tmp_path: Path) -> None:
    waves = [VibrissaWave(VibrissaWaveConfig(calibration_dir=tmp_path)) for _ in range(2)]
    actions = [[wave.get_action() for _ in range(240)] for wave in waves]
    assert actions[0] == actions[1]
    assert list(actions[0][0].values()) == waves[0].config.centre_deg
    along = np.array([list(action.values()) for action in actions[0]])
    assert np.ptp(along, axis=0) == pytest.approx(24, abs=0.5)
    assert np.abs(np.diff(along, axis=0)).max() < 2


@pytest.mark.parametrize("seed", [0, 7])
def test_the_environment_is_our_loop_and_our_judge(seed: int) -> None:
    """The expert through gymnasium ends as it ends through `rollout`: same verdict, same tick."""
    scene = make_scene("lift")
    ours = run_episode(SimArm(scene), Expert(scene), make_task("lift", scene), seed=seed)
    env, expert = VibrissaEnv("lift"), Expert(scene)
    expert.reset(seed)
    told, info = env.reset(seed=seed)
    ended, ticks, reward = False, 0, 0.0
    while not ended:
        assert not info["is_success"]
        seen = env._arm.observe()
        np.testing.assert_array_equal(told["agent_pos"], from_rad(seen.state, "deg"))
        action = from_rad(expert.decide(seen).action, "deg")
        told, reward, terminated, truncated, info = env.step(action)
        ended, ticks = terminated or truncated, ticks + 1
    assert (info["is_success"], ticks) == (ours.outcome.success, ours.outcome.ticks)
    assert reward == float(ours.outcome.success) == 1.0


def test_nobody_who_does_nothing_succeeds_and_time_runs_out() -> None:
    env = VibrissaEnv("lift")
    told, _ = env.reset(seed=3)
    steps = [env.step(told["agent_pos"]) for _ in range(env._max_episode_steps)]
    assert [step[2] for step in steps] == [False] * len(steps)
    assert [step[3] for step in steps] == [False] * (len(steps) - 1) + [True]
    assert sum(step[1] for step in steps) == 0
    with pytest.raises(VibrissaError, match="NaN"):
        env.step(np.full(6, np.nan, np.float32))


def test_gymnasium_s_own_check_of_an_environment(opengl: None) -> None:
    check_env(VibrissaEnv("lift", cameras=("wrist",), camera_size=(64, 48)))


def test_a_policy_of_our_dataset_gets_what_it_was_trained_on(opengl: None, tmp_path: Path) -> None:
    """Feature for feature: what lerobot-train reads of our recording, lerobot-eval is given."""
    from lerobot.datasets.lerobot_dataset import LeRobotDatasetMetadata
    from lerobot.envs.utils import env_to_policy_features, preprocess_observation
    from lerobot.utils.feature_utils import dataset_to_policy_features

    record(
        RecordConfig(
            out=tmp_path / "set",
            pilot="zero",
            task="lift",
            episodes=1,
            cameras=("overhead", "wrist"),
            camera_size=(64, 48),
            keep_failures=True,
        )
    )
    trained = dataset_to_policy_features(
        LeRobotDatasetMetadata("local/set", root=tmp_path / "set").features
    )
    cfg = VibrissaEnvConfig(task="lift", observation_width=64, observation_height=48)
    assert env_to_policy_features(cfg) == trained
    assert (cfg.fps, cfg.episode_length) == (10, 100)
    envs: Any = cfg.create_envs(2)["vibrissa"][0]
    told: Any = preprocess_observation(envs.reset(seed=[1, 2])[0])
    for name, feature in trained.items():
        if name != "action":
            assert tuple(told[name].shape) == (2, *feature.shape), name
    assert list(envs.call("task_description")) == ["Lift the cube"] * 2
    assert envs.call("_max_episode_steps") == (100, 100)
    envs.close()


def test_depth_is_refused_by_the_environment() -> None:
    with pytest.raises(UsageError, match="no depth"):
        VibrissaEnv("lift", cameras=("overhead_depth",), rig="rgbd")


def _sim_config(folder: Path, seed: int = 0) -> VibrissaSimConfig:
    return VibrissaSimConfig(
        task="lift", views=[], rate_hz=10, seed=seed, id="test", calibration_dir=folder
    )


def _rig(folder: Path) -> Path:
    """The rig file of a twin that need not run."""
    kept = folder / "calibration" / "left.json"
    rig = Rig(
        arm=ArmCfg(port="/twin/follower", calibration=kept),
        leader=LeaderCfg(port="/twin/leader", calibration=kept.with_name("right.json")),
        cameras=(
            CameraCfg("overhead", "zmq", "tcp://127.0.0.1:5555/overhead"),
            CameraCfg("wrist", "zmq", "tcp://127.0.0.1:5556/wrist", 160, 120),
        ),
    )
    save_rig(rig, folder / "rig.yaml")
    return folder / "rig.yaml"
