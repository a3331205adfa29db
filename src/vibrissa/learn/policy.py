"""From a checkpoint to a Policy: rad in, rad out, the saved processors applied exactly once."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.utils.constants import OBS_ENV_STATE, OBS_STATE
from numpy.typing import NDArray
from torch import Tensor

from vibrissa.core.contract import Contract, in_unit, require_match
from vibrissa.core.episode import Observation
from vibrissa.core.errors import CheckpointError, ContractError, PolicyFault, UsageError
from vibrissa.core.robots import plain
from vibrissa.core.units import JOINTS, Unit, from_rad, to_rad
from vibrissa.learn.act import Learner, used_contract
from vibrissa.learn.checkpoint import own_contract, stored_contract
from vibrissa.learn.loading import load_learner
from vibrissa.learn.memory import memory_told
from vibrissa.learn.run import pretrained_folder
from vibrissa.learn.views import camera_of
from vibrissa.learn.weights import WEIGHTS

CUDA_BYTES = 1_000_000_000  # of a process on a GPU, before it has loaded anything of its own
# Sizes of a batch, the fastest first (runs/bench_eval.py); on a CPU more rows gain nothing.
ROWS_WITH_CAMERAS, ROWS_WITHOUT, ROWS_ELSEWHERE = (4,), (8, 4), (16, 8, 4)


class CheckpointPolicy:
    """A trained policy, for `slots` observations at a time.

    `contract` is the checkpoint's own, in stored units (degrees for an SO-101); `horizon` is
    how many actions of a chunk it was made to execute.
    """

    history = 0

    def __init__(
        self,
        learner: Learner,
        contract: Contract,
        *,
        slots: int,
        device: str,
        folder: Path | None = None,
    ):
        if slots < 1:
            raise UsageError(f"{slots} slots: a policy needs at least one.")
        self.contract, self.slots = contract, slots
        self.learner, self._device, self._folder = learner, device, folder
        self._stamp = _stamp(folder)
        self._unit: Unit | None = _joint_unit(contract)
        config: ACTConfig = learner.policy.config
        self.horizon, self.chunk = config.n_action_steps, config.chunk_size
        self._privileged: NDArray[np.int64] | None = None
        self._suits = 0  # rows, once `best_rows` has found out

    @property
    def inputs(self) -> tuple[str, ...]:
        """The LeRobot keys that it is fed."""
        return tuple(self.learner.policy.config.input_features or {})

    @property
    def picture(self) -> tuple[int, int] | None:
        """The (height, width) to which its preprocessor resizes pictures, if it does."""
        for step in self.learner.preprocessor.steps:
            size = getattr(step, "resize_size", None)  # of LeRobot's ImageCropResizeProcessorStep
            if size:
                return (size[0], size[1])
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        """Handed to another process it is read there from its own folder: no weight travels.

        Raises CheckpointError for a policy that came from no folder.
        """
        if self._folder is None:
            raise CheckpointError("a policy that was never saved cannot go to another process.")
        told = (self._folder, self._device, self.contract, self.slots, self._privileged)
        return _read_again, (*told, self._stamp)

    @property
    def on_gpu(self) -> bool:
        """Whether its passes leave the processor free."""
        return self._device != "cpu"

    def room_for_copies(self) -> int:
        """In how many other processes a copy of it has room on its device, as far as that tells.

        On a CPU it is the computer's memory that tells.
        """
        if self._device == "cpu":
            return sys.maxsize
        if not self._device.startswith("cuda"):
            return 0
        free_bytes, _ = torch.cuda.mem_get_info(self._device)
        weights = sum(p.numel() * p.element_size() for p in self.learner.policy.parameters())
        return int(free_bytes // (CUDA_BYTES + 2 * weights))

    def in_rows(self, rows: int) -> CheckpointPolicy:
        """The same policy for batches of `rows` observations."""
        other = copy.copy(self)
        other.slots = rows
        return other

    def best_rows(self) -> int:
        """The batch that serves it fastest here, of those in which no row's place tells.

        On some processors a row's place in a batch changes the last bit of its answer, with two
        rows for instance and not with four. An episode must not depend on its place, so each
        size is tried, once, on made-up observations. One row is right by itself.
        """
        self._suits = self._suits or self._tried_rows()
        return self._suits

    def _tried_rows(self) -> int:
        if self._device != "cpu":
            sizes = ROWS_ELSEWHERE
        else:
            sizes = ROWS_WITH_CAMERAS if self.contract.cameras else ROWS_WITHOUT
        return next((rows for rows in sizes if self._places_are_alike(rows)), 1)

    def _places_are_alike(self, rows: int) -> bool:
        """Whether a batch of `rows`, turned by one place, has the same answers turned."""
        made = torch.Generator().manual_seed(0)
        batch = {OBS_STATE: torch.randn(rows, len(self.contract.state), generator=made)}
        config: ACTConfig = self.learner.policy.config
        if config.env_state_feature:
            size = config.env_state_feature.shape[0]
            batch[OBS_ENV_STATE] = torch.randn(rows, size, generator=made)
        for key in config.image_features:
            camera = self.contract.camera(camera_of(self.contract, key))
            size = (rows, 3, camera.height, camera.width)
            batch[key] = torch.rand(size, generator=made)
        turned = {key: values.roll(1, 0) for key, values in batch.items()}
        return torch.equal(self.predict(batch).roll(1, 0), self.predict(turned))

    def fit(self, arm: Contract) -> None:
        """Get ready for an arm with this contract, whose privileged channels may be more.

        Raises ContractError with every difference where it is another arm.
        """
        stored = in_unit(arm, self._unit) if self._unit and _joint_unit(arm) else arm
        require_match(self.contract, stored, "the checkpoint", f"the arm {arm.robot}")
        names = [channel.name for channel in arm.privileged]
        wanted = [names.index(channel.name) for channel in self.contract.privileged]
        self._privileged = np.array(wanted, np.int64)

    def reset(self, slots: Sequence[int]) -> None:
        """Nothing is kept between two chunks, so that slots cannot disturb each other."""
        self.learner.policy.reset()

    def act(self, observations: Sequence[Observation]) -> NDArray[np.float32]:
        """Chunks (B, K, A) in rad for B = `slots` observations in rad.

        Raises PolicyFault for another number of observations and for an observation that does
        not have what the checkpoint needs. NaN is left where it is: it ends the episode that
        it was meant for, not those beside it.
        """
        if len(observations) != self.slots:
            raise PolicyFault(f"{len(observations)} observations for {self.slots} slots.")
        chunks = self.predict(self.feed(observations)).numpy()
        return to_rad(chunks, self._unit) if self._unit else chunks

    def predict(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Chunks (B, K, A) in stored units for a batch in stored units, pictures in 0..1.

        Raises PolicyFault for another shape, OutOfMemory where there is none left for it.
        """
        with memory_told(self._device), torch.inference_mode(), _one_thread(self._device):
            ready = self.learner.preprocessor(dict(batch))
            chunks = self.learner.policy.predict_action_chunk(ready)  # (B, K, A), normalised
            actions = self.learner.postprocessor(chunks.flatten(0, 1))
            actions = actions.unflatten(0, chunks.shape[:2]).float().cpu()
        wanted = (len(batch[OBS_STATE]), self.chunk, len(self.contract.action))
        if tuple(actions.shape) != wanted:
            raise PolicyFault(f"actions of shape {tuple(actions.shape)}; wanted {wanted}.")
        return actions

    def normalised(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the network itself is given for a batch in stored units, on the CPU."""
        with memory_told(self._device), torch.inference_mode(), _one_thread(self._device):
            ready = self.learner.preprocessor(dict(batch))
        return {key: ready[key].float().cpu() for key in self.inputs}

    def feed(self, observations: Sequence[Observation]) -> dict[str, Tensor]:
        """Observations in rad as a batch in stored units: what a dataset would hold of them.

        Raises PolicyFault for an observation that does not have what the checkpoint needs.
        """
        with memory_told("cpu"):
            return self._fed(observations)

    def _fed(self, observations: Sequence[Observation]) -> dict[str, Tensor]:
        state = np.stack([o.state for o in observations])  # (B, S)
        if state.shape[1] != len(self.contract.state):
            raise PolicyFault(
                f"a state of {state.shape[1]} numbers; wanted {len(self.contract.state)}."
            )
        if self._unit:
            state = from_rad(state, self._unit)
        batch = {OBS_STATE: torch.from_numpy(state)}
        config: ACTConfig = self.learner.policy.config
        if config.env_state_feature:
            batch[OBS_ENV_STATE] = torch.from_numpy(self._environment(observations, state))
        for key in config.image_features:
            pictures = np.stack(
                [self._picture(o, camera_of(self.contract, key)) for o in observations]
            )
            batch[key] = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
        return batch

    def _environment(
        self, observations: Sequence[Observation], state: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The privileged channels (B, P) in the checkpoint's order; without any, the state."""
        count = len(self.contract.privileged)
        if count == 0:
            return state
        given = np.stack([o.privileged for o in observations])
        if self._privileged is not None and given.shape[1] > self._privileged.max(initial=0):
            given = given[:, self._privileged]
        if given.shape[1] != count:
            raise PolicyFault(f"{given.shape[1]} privileged channels; wanted {count}.")
        return given.astype(np.float32)

    def _picture(self, observation: Observation, name: str) -> NDArray[np.uint8]:
        camera = self.contract.camera(name)
        if name not in observation.images:
            have = ", ".join(observation.images) or "none"
            raise PolicyFault(f"no picture of camera {name!r}. There is: {have}.")
        picture = observation.images[name]
        if picture.shape != (camera.height, camera.width, 3) or picture.dtype != np.uint8:
            raise PolicyFault(
                f"camera {name!r} gave {picture.shape} {picture.dtype}; "
                f"wanted ({camera.height}, {camera.width}, 3) uint8."
            )
        return picture.astype(np.uint8, copy=False)


@contextmanager
def _one_thread(device: str) -> Iterator[None]:
    """Inference on one CPU thread: the same numbers on any number of cores.

    A batch this small gains nothing from more, and on a busy machine threads that wait for each
    other cost it a hundredfold.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if device == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def load_policy(
    checkpoint: Path, *, slots: int = 1, device: str = "cpu", dataset: Contract | None = None
) -> CheckpointPolicy:
    """The policy of a run folder (its last checkpoint), a checkpoint, or a pretrained_model.

    A checkpoint that stock LeRobot wrote has no contract; it is then `dataset`, else that of the
    dataset that it names. Raises CheckpointError, in one line, for whatever is
    missing, truncated or does not fit together.
    """
    pretrained = pretrained_folder(checkpoint)
    learner = load_learner(pretrained, device)
    contract = own_contract(pretrained) or dataset or stored_contract(pretrained)
    if contract is None:
        raise CheckpointError(
            f"{pretrained} has no contract, and the dataset it was trained on is not where its "
            "train_config.json says. Name that dataset: --dataset PATH."
        )
    config = learner.policy.config
    used = _checked(contract, config, pretrained)
    return CheckpointPolicy(learner, used, slots=slots, device=device, folder=pretrained.resolve())


def _stamp(folder: Path | None) -> int:
    """Tells the weights in a folder from those that were there before; 0 where there are none."""
    weights = None if folder is None else folder / WEIGHTS
    return weights.stat().st_mtime_ns if weights is not None and weights.is_file() else 0


def _read_again(
    folder: Path,
    device: str,
    contract: Contract,
    slots: int,
    privileged: NDArray[np.int64] | None,
    _stamp: int,
) -> CheckpointPolicy:
    """What `CheckpointPolicy.__reduce__` tells another process to do.

    The stamp is for who keeps what was read: told with another one, it is another policy.
    """
    learner = load_learner(folder, device)
    policy = CheckpointPolicy(learner, contract, slots=slots, device=device, folder=folder)
    policy._privileged = privileged
    return policy


def check(policy: CheckpointPolicy, arm: Contract) -> None:
    """Make `policy` ready for this arm, or raise ContractError with all that differs."""
    policy.fit(arm)


def _checked(contract: Contract, config: ACTConfig, pretrained: Path) -> Contract:
    """The part of `contract` that the network uses. Raises CheckpointError where sizes differ."""
    wanted = tuple(config.input_features or {})
    try:
        cameras = tuple(contract.camera(camera_of(contract, key)) for key in config.image_features)
    except ContractError as error:
        raise CheckpointError(f"{pretrained}: contract and network differ: {error}") from error
    used = replace(used_contract(contract, wanted), cameras=cameras)
    sizes = [
        ("state", config.robot_state_feature, len(used.state)),
        ("action", config.action_feature, len(used.action)),
        ("environment", config.env_state_feature, len(used.privileged or used.state)),
    ]
    for what, feature, count in sizes:
        if feature is not None and feature.shape[0] != count:
            raise CheckpointError(
                f"{pretrained}: the network's {what} has {feature.shape[0]} numbers, the "
                f"contract's {count}: this is not the contract it was trained under."
            )
    return used


def _joint_unit(contract: Contract) -> Unit | None:
    """The unit to convert from and to; None where these are not the joints of one SO-101.

    Other arms keep the numbers that they have.
    """
    names = [channel.name for channel in contract.state]
    return None if plain(names) != JOINTS or contract.unit == "unknown" else contract.unit
