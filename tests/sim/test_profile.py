"""A servo profile is read back as it was written, and another arm's is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from vibrissa.core.errors import ContractError, UsageError
from vibrissa.core.units import HIGH_RAD, JOINTS, LOW_RAD
from vibrissa.sim.profile import Profile, calibrated, load_profile, load_servo
from vibrissa.sim.servo import STANDARD, ServoCfg

SERVO = ServoCfg(
    kp=(9.0, 8.5, 9.5, 10.0, 8.0, 7.0), friction_nm=0.2, delay_s=0.01, reading_scale=0.9
)
TICKS = (2588, 2392, 2238, None, 3833, 1829)


def written(folder: Path, **changed: object) -> Path:
    raw = yaml.safe_load(Profile("mine", SERVO, TICKS).to_text())
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**raw, **changed}))
    return path


def test_a_profile_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    profile = Profile("mine", SERVO, TICKS, {"delay_s": [0.0, 0.1]}, {"seed": 1}, {"all": {}})
    path = tmp_path / "mine.yaml"
    path.write_text(profile.to_text())
    assert load_profile(path) == profile
    assert load_servo(path) == SERVO
    assert load_servo(None) is STANDARD


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"robot": "so100"}, "of another arm, 'so100'"),
        ({"joints": ["a", "b"]}, "another arm"),
        ({"kind": "recipe"}, "no servo profile"),
        ({"format": 7}, "no servo profile"),
        ({"servo": None}, "no `servo`"),
        ({"servo": {"kp": 3}}, "damping"),
    ],
)
def test_what_is_another_arm_s_or_no_profile_is_told(tmp_path: Path, changed, told) -> None:
    with pytest.raises((UsageError, ContractError), match=told):
        load_profile(written(tmp_path, **changed))


def test_odd_numbers_are_told(tmp_path: Path) -> None:
    raw = yaml.safe_load(Profile("mine", SERVO, TICKS).to_text())
    for changed, told in (
        ({"kp": "stiff"}, "kp"),
        ({"kp": -3.0}, "above 0"),
        ({"delay_s": [0.1] * 6}, "delay_s"),
        ({"torque": 3.0}, "torque"),
    ):
        with pytest.raises((UsageError, ContractError), match=told):
            load_profile(written(tmp_path, servo={**raw["servo"], **changed}))


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_profile(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1,\nb: }")
    with pytest.raises(UsageError, match="no YAML, line"):
        load_profile(tmp_path / "bad.yaml")
    (tmp_path / "picture.yaml").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UsageError, match="no text"):
        load_profile(tmp_path / "picture.yaml")


def test_another_calibration_is_told_where_both_are_known() -> None:
    profile = Profile("mine", SERVO, TICKS)
    profile.require_calibration(TICKS, "this one")
    profile.require_calibration((None,) * 6, "this one")
    profile.require_calibration((2588, None, None, 1000, None, None), "this one")
    with pytest.raises(ContractError, match=r"elbow_flex is calibrated to 2238.*2205"):
        profile.require_calibration((2588, 2392, 2205, None, 3833, 1829), "this one")


def test_a_wider_calibrated_range_reads_too_small_about_its_middle() -> None:
    servo = calibrated(STANDARD, (2588, None, None, None, None, 1829))
    ends = servo.ends()
    turn = 2 * np.pi / 4096
    assert ends[1, 0] - ends[0, 0] == pytest.approx(2588 * turn)
    assert ends[:, 0].mean() == pytest.approx((LOW_RAD[0] + HIGH_RAD[0]) / 2, abs=1e-6)
    assert ends[0, 5] == pytest.approx(LOW_RAD[5])  # closed is closed
    assert ends[1, 5] - ends[0, 5] == pytest.approx(1829 * turn)
    np.testing.assert_allclose(ends[:, 1:5], np.stack([LOW_RAD, HIGH_RAD])[:, 1:5], atol=1e-6)
    assert len(JOINTS) == len(ends[0])
