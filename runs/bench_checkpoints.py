"""The policies that `bench_eval.py` and `bench_stock_eval.py` judge, made where there are none yet.

`state`: the recipe act-state on 60 demonstrations, trained for a minute. `cameras`: LeRobot's ACT
as it comes, a ResNet-18 and two pictures of 224 x 224, with weights from chance. `seeing`: the
recipe act on 200 demonstrations with two pictures of 224 x 224, which its preprocessor makes
smaller; trained for some minutes, so that it solves a part of the scenes. The last two play 50 of
every 100 actions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

SIZE, TASK = (224, 224), "pick-place"
CAMERAS = ("overhead", "wrist")


def checkpoints(folder: Path, names: tuple[str, ...] = ("state", "cameras")) -> dict[str, Path]:
    """The checkpoints of these names in `folder`."""
    made = {name: folder / name for name in names}
    for name, place in made.items():
        if not (place / "made").exists():
            MAKERS[name](place)
            (place / "made").touch()
    return {name: place / "checkpoint" for name, place in made.items()}


def make_state(place: Path) -> None:
    from vibrissa.commands.record import Config, record
    from vibrissa.commands.train import train_policy
    from vibrissa.learn.recipes import recipe_named

    record(Config(out=place / "set", task=TASK, episodes=60))
    train_policy(recipe_named("act-state", steps=1200), place / "set", place / "checkpoint")


def make_seeing(place: Path) -> None:
    from vibrissa.commands.record import Config, record
    from vibrissa.commands.train import train_policy
    from vibrissa.learn.recipes import recipe_named

    data = place / "set"
    record(Config(out=data, task=TASK, episodes=200, cameras=CAMERAS, camera_size=SIZE))
    recipe = recipe_named("act", steps=4000)
    recipe = replace(recipe, act=replace(recipe.act, chunk_size=100, n_action_steps=50))
    train_policy(recipe, data, place / "checkpoint")


def make_cameras(place: Path) -> None:
    """LeRobot's ACT in its own size with weights from chance, and the contract of a dataset."""
    import torch
    from lerobot.datasets.lerobot_dataset import LeRobotDatasetMetadata
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors
    from lerobot.utils.feature_utils import dataset_to_policy_features

    from vibrissa.commands.record import Config, record
    from vibrissa.data.dataset import open_dataset

    dataset, folder = place / "set", place / "checkpoint"
    record(Config(out=dataset, task=TASK, episodes=2, cameras=CAMERAS, camera_size=SIZE))
    meta: Any = LeRobotDatasetMetadata("local/set", root=dataset)
    features = dataset_to_policy_features(meta.features)
    action = {"action": features.pop("action")}
    features.pop("observation.environment_state")
    torch.manual_seed(0)
    config = ACTConfig(
        input_features=features,
        output_features=action,
        device="cpu",
        pretrained_backbone_weights=None,
        chunk_size=100,
        n_action_steps=50,
        push_to_hub=False,
    )
    ACTPolicy(config).save_pretrained(folder)
    for processor in make_pre_post_processors(config, dataset_stats=meta.stats):
        processor.save_pretrained(folder)
    contract = open_dataset(dataset).contract
    assert contract is not None
    (folder / "vibrissa").mkdir()
    (folder / "vibrissa" / "contract.json").write_text(json.dumps(contract.to_dict()))


MAKERS: dict[str, Callable[[Path], None]] = {
    "state": make_state,
    "cameras": make_cameras,
    "seeing": make_seeing,
}
