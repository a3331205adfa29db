"""`--env.type=vibrissa`: our tasks as a gymnasium environment for `lerobot-eval`.

Names and units are those of our datasets (`agent_pos` in degrees, pictures by their camera's
name), so that a policy which stock `lerobot-train` made of one of them is judged here as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig
from lerobot.envs.utils import freeze_after_episode_end
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_IMAGES, OBS_STATE
from numpy.typing import NDArray

from vibrissa.core.episode import Observation
from vibrissa.core.errors import UsageError
from vibrissa.core.units import from_rad, to_rad, unit_bounds

FILMED = (320, 240)  # the pictures of the video that lerobot-eval keeps of an episode


@EnvConfig.register_subclass("vibrissa")
@dataclass
class VibrissaEnvConfig(EnvConfig):
    """Which task, which cameras the policy sees in which size, and how much varies.

    rig is that of the dataset where it was not the task's own: `rgbd` has a wider lens.
    fps and episode_length follow from the task. The pose of the object is always given, as
    `observation.environment_state`; a policy that was not trained with it does not look.
    """

    task: str | None = "pick-place"
    cameras: list[str] = field(default_factory=lambda: ["overhead", "wrist"])
    observation_width: int = 640
    observation_height: int = 480
    rig: str = ""
    randomise: str = "none"
    start_noise_rad: float = 0.0
    episode_length: int = 0

    def __post_init__(self) -> None:
        env = VibrissaEnv(**self.gym_kwargs)
        self.fps, self.episode_length = round(env.contract.rate_hz), env._max_episode_steps
        size = (self.observation_height, self.observation_width, 3)
        contract = env.contract
        self.features = {
            ACTION: PolicyFeature(FeatureType.ACTION, (len(contract.action),)),
            "agent_pos": PolicyFeature(FeatureType.STATE, (len(contract.state),)),
            STATE_KEY: PolicyFeature(FeatureType.ENV, (len(contract.privileged),)),
            **{f"pixels/{name}": PolicyFeature(FeatureType.VISUAL, size) for name in self.cameras},
        }
        self.features_map = {
            ACTION: ACTION,
            "agent_pos": OBS_STATE,
            STATE_KEY: OBS_ENV_STATE,
            **{f"pixels/{name}": f"{OBS_IMAGES}.{name}" for name in self.cameras},
        }

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "cameras": tuple(self.cameras),
            "camera_size": (self.observation_width, self.observation_height),
            "rig": self.rig,
            "randomise": self.randomise,
            "start_noise_rad": self.start_noise_rad,
        }

    def create_envs(
        self, n_envs: int, use_async_envs: bool = False
    ) -> dict[str, dict[int, gym.vector.VectorEnv]]:
        """`n_envs` of the task beside each other; those that are done wait for the others."""
        one = freeze_after_episode_end(functools.partial(VibrissaEnv, **self.gym_kwargs))
        mode: Any = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
        if use_async_envs and n_envs > 1:
            envs = gym.vector.AsyncVectorEnv([one] * n_envs, context="forkserver", **mode)
        else:
            envs = gym.vector.SyncVectorEnv([one] * n_envs, **mode)
        return {self.type: {0: envs}}


STATE_KEY = "environment_state"


class VibrissaEnv(gym.Env):
    """One task: actions (6,) in LeRobot's degrees, reward 1 for success, and nothing else.

    `info["is_success"]` is the verdict of our judge. A seed is an episode, bit for bit, and the
    one that `vibrissa eval` means by it. Without a seed the next one is drawn.
    """

    render_mode = "rgb_array"

    def __init__(
        self,
        task: str,
        cameras: Sequence[str] = (),
        camera_size: tuple[int, int] = (640, 480),
        rig: str = "",
        randomise: str = "none",
        start_noise_rad: float = 0.0,
    ):
        from vibrissa.sim.arm import SimArm
        from vibrissa.sim.randomise import preset
        from vibrissa.sim.tasks import make_scene, make_task

        scene = make_scene(
            task,
            camera_size=camera_size,
            rig=rig,
            random=preset(randomise),
            start_noise_rad=start_noise_rad,
        )
        self._arm = SimArm(scene, cameras=tuple(cameras))
        self._judge = make_task(task, scene)
        self.contract = contract = self._arm.contract
        if any(camera.depth for camera in contract.cameras):
            raise UsageError("lerobot-eval shows a policy no depth. Name colour cameras only.")
        self.task, self.task_description = task, self._judge.instruction
        fps = round(contract.rate_hz)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": fps}
        self._max_episode_steps = self._judge.max_ticks
        joints = gym.spaces.Box(-np.inf, np.inf, (len(contract.state),), np.float32)
        self.action_space = gym.spaces.Box(*unit_bounds("deg"), dtype=np.float32)
        pixels: dict[str, gym.Space] = {
            c.name: gym.spaces.Box(0, 255, (c.height, c.width, 3), np.uint8)
            for c in contract.cameras
        }
        told = gym.spaces.Box(-np.inf, np.inf, (len(contract.privileged),), np.float32)
        spaces: dict[str, gym.Space] = {"agent_pos": joints, STATE_KEY: told}
        self.observation_space = gym.spaces.Dict(
            spaces | ({"pixels": gym.spaces.Dict(pixels)} if pixels else {})
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        self._arm.reset(int(self.np_random.integers(2**31)) if seed is None else seed)
        self._judge.reset()
        self._ticks = 0
        seen = self._arm.observe()
        self._judge.judge(seen)
        return self._told(seen), {"is_success": False}

    def step(
        self, action: NDArray[np.floating]
    ) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Raises a ContractError for an action of NaN or of another shape."""
        self._arm.send(to_rad(np.asarray(action), "deg"))
        seen = self._arm.observe()
        self._ticks += 1
        verdict = self._judge.judge(seen)
        over = self._ticks >= self._max_episode_steps
        success = verdict == "success"
        info = {"is_success": success}
        return self._told(seen), float(success), verdict is not None, over and not verdict, info

    def render(self) -> NDArray[np.uint8]:
        """The scene from the side, (240, 320, 3)."""
        return self._arm.render("side", *FILMED)

    def close(self) -> None:
        self._arm.close()

    def _told(self, seen: Observation) -> dict[str, Any]:
        told: dict[str, Any] = {
            "agent_pos": from_rad(seen.state, "deg"),
            STATE_KEY: np.asarray(seen.privileged, np.float32),
        }
        if seen.images:
            told["pixels"] = {name: seen.images[name] for name in seen.images}
        return told
