"""Any damage to any file of a dataset is one line, or nothing that a policy would notice."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from data import damages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    return damages.healthy(tmp_path_factory.mktemp("sets"))


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(kind=st.sampled_from(damages.KINDS_OF_SETS), seed=st.integers(0, 10**6))
def test_damage_is_one_line_or_harmless(sets: dict[str, Path], kind: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(shutil.copytree(sets[kind], Path(folder) / "set"))
        damages.damage(root, np.random.default_rng(seed))
        came = damages.outcome(root, Path(folder) / "cache")
        assert not any("\n" in line for line in came.said)
        if came.loader is not None:
            assert np.isfinite(came.loader.batch(0)["action"].numpy()).all()
