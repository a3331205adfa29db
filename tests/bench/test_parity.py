"""What a policy is fed when it is judged is what its dataset holds: the same numbers and pictures.

An episode is recorded, then met again the way evaluation meets it: through the simulated arm
that the checkpoint's contract leads to, and through the policy's own units and processors.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import Tape
from learn.tiny import quiet

from vibrissa.bench.setups import learnt, place_for
from vibrissa.commands.train import train_policy
from vibrissa.control.drive import run_episode
from vibrissa.control.pilots import Replay
from vibrissa.core.episode import Observation, Step
from vibrissa.data.cache import Pictures
from vibrissa.data.dataset import Dataset, open_dataset
from vibrissa.data.features import PRIVILEGED, STATE, from_stored
from vibrissa.data.loader import Loader, Sampling
from vibrissa.data.recorder import Recorder
from vibrissa.learn.policy import CheckpointPolicy, load_policy
from vibrissa.learn.recipes import recipe_named
from vibrissa.sim.arm import SimArm
from vibrissa.sim.expert import Expert
from vibrissa.sim.tasks import make_scene, make_task

SEED, SIZE = 11, (64, 48)
BEFORE_TOUCH = 40  # ticks; later, contacts make much of the last digit of an action
CAMERAS = ("overhead", "wrist")


class Seen(Tape):
    """Keeps observations with their pictures, which else expire."""

    def __init__(self) -> None:
        super().__init__()
        self.observations: list[Observation] = []

    def on_step(self, step: Step) -> None:
        o = step.observation
        pictures = {name: o.images[name].copy() for name in CAMERAS}
        self.observations.append(replace(o, images=pictures))


@pytest.fixture(scope="module")
def met(
    opengl: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Dataset, CheckpointPolicy, Loader, list[Observation]]:
    """Two recorded episodes, a policy of them, its training batches, the first's observations."""
    folder = tmp_path_factory.mktemp("parity")
    scene = make_scene("pick-place", camera_size=SIZE)
    arm, seen = SimArm(scene, cameras=CAMERAS), Seen()
    with Recorder(folder / "set") as recorder:
        for seed in (SEED, SEED + 1):
            watching = [recorder, seen] if seed == SEED else [recorder]
            run_episode(arm, Expert(scene), make_task("pick-place", scene), watching, seed=seed)
    arm.close()
    few = replace(recipe_named("debug"), steps=1)
    train_policy(few, folder / "set", folder / "run", threads=1, cache=folder / "c", say=quiet)
    policy, dataset = load_policy(folder / "run"), open_dataset(folder / "set")
    pictures = Pictures(folder / "c", policy.picture)
    return (
        dataset,
        policy,
        Loader(dataset, policy.inputs, Sampling(10, 8), pictures),
        seen.observations,
    )


def test_numbers_are_bitwise_those_of_the_dataset(met) -> None:
    dataset, policy, loader, observations = met
    rows = dataset.rows(0)
    assert rows.stop - rows.start == len(observations)
    stored = loader.gather(np.arange(rows.start, rows.stop), pictures=False)
    fed = [policy.feed([observation]) for observation in observations]
    assert policy.contract.privileged
    for key in (STATE, PRIVILEGED):
        assert torch.equal(torch.cat([one[key] for one in fed]), stored[key])


def test_pictures_are_those_of_the_dataset_but_for_the_film_s_compression(met) -> None:
    dataset, policy, loader, observations = met
    ticks = [0, 20, len(observations) - 1]
    stored = policy.normalised(loader.gather(np.array(ticks) + dataset.rows(0).start))
    for at, tick in enumerate(ticks):
        fed = policy.normalised(policy.feed([observations[tick]]))
        for camera in CAMERAS:
            key = f"observation.images.{camera}"
            off = (fed[key][0] - stored[key][at]).abs().mean()
            other = (fed[key][0] - stored[key][at].flip(-1)).abs().mean()
            assert off < 0.1  # of a standard deviation
            assert off < 0.3 * other  # and it would not pass for a mirrored one


def test_the_arm_that_evaluation_builds_shows_the_same_episode(met) -> None:
    dataset, policy, loader, _ = met
    place = place_for(policy.contract)
    setup = learnt(place, policy)
    rows = dataset.rows(0)
    actions = from_stored(dataset.contract, dataset.column("action")[rows])
    arm, seen = setup.make_arm(), Seen()
    task = setup.make_task()
    task.max_ticks = BEFORE_TOUCH
    run_episode(arm, Replay(actions), task, [seen], seed=int(dataset.notes[0]["seed"]))
    arm.close()
    stored = policy.normalised(loader.gather(np.arange(rows.start, rows.start + BEFORE_TOUCH)))
    assert len(seen.observations) == BEFORE_TOUCH
    for tick, observation in enumerate(seen.observations):
        fed = policy.normalised(policy.feed([observation]))
        for key in (STATE, PRIVILEGED):
            torch.testing.assert_close(fed[key][0], stored[key][tick], atol=1e-3, rtol=0)
        for camera in CAMERAS:
            key = f"observation.images.{camera}"
            assert (fed[key][0] - stored[key][tick]).abs().mean() < 0.1
