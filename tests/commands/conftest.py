"""What several tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from vibrissa import cli


@pytest.fixture(scope="session")
def debug_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the debug recipe with two checkpoints: it fits the arm, and solves nothing."""
    folder = tmp_path_factory.mktemp("a debug run")
    assert cli.main(["record", "--out", str(folder / "set"), "--episodes", "2"]) == 0
    words = ["train", "debug", str(folder / "set"), "--out", str(folder / "run")]
    assert cli.main([*words, "--device", "cpu"]) == 0
    return folder / "run"
