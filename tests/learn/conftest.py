"""Tiny datasets and one tiny trained run, shared by the tests of training."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from data.recordings import contract, record
from learn.tiny import EYES, quiet

from vibrissa.commands.train import train_policy
from vibrissa.learn.recipes import recipe_named


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes with joints and a privileged pose."""
    return record(tmp_path_factory.mktemp("a data set") / "state", contract(), 3)


@pytest.fixture(scope="session")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes with joints, a privileged pose and two cameras."""
    return record(tmp_path_factory.mktemp("filmed") / "filmed", contract(EYES), 2)


@pytest.fixture(scope="session")
def filmed_plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes with joints and two cameras, as from a real arm."""
    told = contract(EYES, privileged=False)
    return record(tmp_path_factory.mktemp("plain") / "plain", told, 2)


@pytest.fixture(scope="session")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 20 debug steps. Look, do not touch: use `copied` to change it."""
    out = tmp_path_factory.mktemp("a run") / "run"
    train_policy(recipe_named("debug"), dataset, out, threads=1, say=quiet)
    return out


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """The last checkpoint's pretrained_model, free to be damaged."""
    return Path(
        shutil.copytree(trained / "checkpoints" / "000020" / "pretrained_model", tmp_path / "model")
    )
