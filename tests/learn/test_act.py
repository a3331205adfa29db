"""Pictures keep their scale, however dark or still the camera was."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vibrissa.core.contract import CameraSpec, so101
from vibrissa.learn.act import new_learner, safe_stats
from vibrissa.learn.recipes import recipe_named

EYE = "observation.images.eye"
CONTRACT = so101(rate_hz=30, unit="deg", cameras=(CameraSpec("eye", 32, 32),))
NAMES = [channel.name for channel in CONTRACT.state]
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (6,), "names": NAMES},
    EYE: {"dtype": "video", "shape": (32, 32, 3), "names": ["height", "width", "channels"]},
    "action": {"dtype": "float32", "shape": (6,), "names": NAMES},
}


def _stats(picture_std: float) -> dict[str, dict[str, np.ndarray]]:
    joints = {"mean": np.zeros(6), "std": np.ones(6), "min": -np.ones(6), "max": np.ones(6)}
    flat = np.ones((3, 1, 1))
    picture = {"mean": 0.2 * flat, "std": picture_std * flat, "min": 0 * flat, "max": flat}
    return {"observation.state": joints, EYE: picture, "action": joints}


@pytest.mark.parametrize("std", [0.0, 1e-5, 0.002, 0.2])
def test_a_dark_camera_is_not_magnified(std: float) -> None:
    learner = new_learner(recipe_named("debug"), FEATURES, _stats(std), CONTRACT, "cpu")
    whole_range = torch.linspace(0, 1, 3 * 32 * 32).view(1, 3, 32, 32)
    batch = {"observation.state": torch.zeros(1, 6), EYE: whole_range}
    seen = learner.preprocessor(batch)[EYE]
    assert -2.2 < float(seen.min()) < -1.7  # (0 - 0.485) / 0.229 and its like
    assert 2.2 < float(seen.max()) < 2.7


def test_what_never_moves_is_left_unscaled() -> None:
    stats = _stats(0.2)
    stats["action"] = {**stats["action"], "std": np.array([0, 1e-5, 1e-3, 1, 1, 1])}
    safe = safe_stats(FEATURES, stats)
    np.testing.assert_allclose(safe["action"]["std"], [1, 1, 1e-3, 1, 1, 1])


def test_pictures_need_no_statistics_of_their_own() -> None:
    stats = {key: known for key, known in _stats(0.2).items() if key != EYE}
    assert safe_stats(FEATURES, stats)[EYE]["std"].min() > 0.2
