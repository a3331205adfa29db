"""Black, washed out, frozen: tried on pictures of a real desk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vibrissa.real.sight import exposure, fingerprint, sampled


def _desk(folder: Path, name: str) -> np.ndarray:
    picture = cv2.imread(str(next((folder / "camera").glob(f"*{name}.jpg"))))
    assert picture is not None
    return cv2.resize(picture, (640, 480), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    ("name", "health"),
    [
        ("final_rig_white_light_view", "ok"),
        ("white_light_check", "ok"),
        ("manual_exposure_200_overexposed", "overexposed"),
    ],
)
def test_a_real_desk_is_judged_as_its_owner_did(realdata, name, health) -> None:
    assert exposure(sampled(_desk(realdata, name))) == health


def test_a_dim_room_is_not_black_and_a_covered_lens_is(realdata) -> None:
    desk = _desk(realdata, "white_light_check")
    assert exposure(sampled((desk // 5).astype(np.uint8))) == "ok"
    noise = np.random.default_rng(0).integers(0, 10, (480, 640, 3), np.uint8)
    assert exposure(sampled(noise)) == "black"


def test_half_a_picture_of_pure_white_is_overexposed() -> None:
    picture = np.full((480, 640, 3), 90, np.uint8)
    picture[:200] = 255
    assert exposure(sampled(picture)) == "overexposed"


def test_a_light_table_with_a_dark_arm_on_it_is_well_exposed() -> None:
    picture = np.full((480, 640, 3), 190, np.uint8)
    assert exposure(sampled(picture)) == "overexposed"  # nothing dark is left in it
    picture[400:, 240:340] = 20  # 3 % of it: the arm's servos
    assert exposure(sampled(picture)) == "ok"


def test_a_fingerprint_tells_pictures_apart() -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(80, 90, (480, 640, 3), np.uint8)
    again = picture + rng.integers(0, 2, picture.shape, np.uint8)
    assert fingerprint(sampled(picture)) == fingerprint(sampled(picture.copy()))
    assert fingerprint(sampled(picture)) != fingerprint(sampled(again))
