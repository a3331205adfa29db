"""A twin to test against: the same driver, bytes and physics as on a desk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vibrissa.real.arm import RealArm
from vibrissa.real.rig import Rig, load_rig
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.twin import Twin


@pytest.fixture
def twin(tmp_path) -> Iterator[Twin]:
    with Twin(tmp_path, make_scene("lift")) as served:
        yield served


@pytest.fixture
def rig(twin: Twin) -> Rig:
    return load_rig(twin.folder / "rig.yaml")


@pytest.fixture
def said() -> list[str]:
    """What the arm said to the operator."""
    return []


@pytest.fixture
def arm(rig: Rig, said: list[str]) -> Iterator[RealArm]:
    with RealArm(rig, 30, say=said.append, warning_s=0) as made:
        yield made
