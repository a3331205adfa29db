"""What a checkpoint tells stock LeRobot about where it came from."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from lerobot.policies.act.configuration_act import ACTConfig

from vibrissa.learn.checkpoint import _train_config
from vibrissa.learn.recipes import recipe_named


@pytest.mark.parametrize("path", [PureWindowsPath(r"C:\data\block"), PurePosixPath("/data/block")])
def test_a_repository_id_has_no_backslash_on_any_system(path) -> None:
    told = _train_config(recipe_named("debug"), path, ACTConfig(push_to_hub=False), 0)
    assert told.dataset.repo_id == "local/block"
    assert told.dataset.root == str(path)
