"""Contracts: round trips, and every difference told by name."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from vibrissa.core.contract import (
    CameraSpec,
    Channel,
    Contract,
    differences,
    in_unit,
    require_match,
    so101,
)
from vibrissa.core.errors import ContractError
from vibrissa.core.units import JOINTS, unit_bounds

FRONT = CameraSpec("overhead", 640, 480, 52.0)
BLOCK = (Channel("block.x", "m"), Channel("block.y", "m"))
ARM = so101(rate_hz=30, cameras=(FRONT, CameraSpec("wrist", 640, 480)), privileged=BLOCK)


def test_a_contract_survives_its_dictionary_and_keeps_its_digest() -> None:
    again = Contract.from_dict(ARM.to_dict())
    assert again == ARM
    assert again.digest == ARM.digest
    assert replace(ARM, rate_hz=20.0).digest != ARM.digest


def test_a_torn_contract_is_one_sentence() -> None:
    raw = ARM.to_dict()
    del raw["state"]
    with pytest.raises(ContractError, match="state"):
        Contract.from_dict(raw)
    with pytest.raises(ContractError, match="colour"):
        Contract.from_dict({**ARM.to_dict(), "colour": "orange"})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rate_hz": 20.0}, "rate hz: wants 20.0, has 30.0"),
        ({"robot": "koch"}, "robot: wants 'koch'"),
        ({"action_meaning": "delta to target"}, "delta to target"),
        ({"state": tuple(reversed(ARM.state))}, "state order"),
        ({"state": ARM.state[:5]}, "state names"),
        ({"action": (replace(ARM.action[0], low=-9.0), *ARM.action[1:])}, "limits: wants [-9"),
        (
            {"privileged": (BLOCK[0], Channel("block.y", "mm"))},
            "privileged block.y: wants mm, has m",
        ),
        ({"cameras": (replace(FRONT, depth=True),)}, "wants depth in m, has colour"),
        ({"privileged": (Channel("cube.x", "m"),)}, "privileged: wants cube.x, has block.x"),
        ({"cameras": (CameraSpec("over", 640, 480),)}, "camera 'over': wanted, but there is: over"),
        ({"cameras": (replace(FRONT, fovy_deg=58.0),)}, "field of view: wants 58°, has 52°"),
        ({"cameras": (replace(FRONT, width=320),)}, "size: wants 320 × 480, has 640 × 480"),
    ],
)
def test_every_difference_is_told(change, told) -> None:
    wanted = replace(ARM, **change)
    sentences = differences(wanted, ARM)
    assert len(sentences) == 1
    assert told in sentences[0]
    with pytest.raises(ContractError, match="the checkpoint does not fit the arm"):
        require_match(wanted, ARM, "the checkpoint", "the arm")


def test_colour_is_not_taken_from_a_depth_camera() -> None:
    deep = replace(ARM, cameras=(replace(FRONT, depth=True), *ARM.cameras[1:]))
    assert differences(ARM, deep) == ["camera 'overhead': wants colour, has depth in m"]


@pytest.mark.parametrize(
    "said",
    ["so", "so_follower", "so101_follower", "so100", "so-101", "SO101Follower", "bi_so", "my arm"],
)
def test_the_joints_say_that_it_is_an_so101_whatever_the_text(said: str) -> None:
    assert differences(replace(ARM, robot=said), ARM) == []
    assert differences(ARM, replace(ARM, robot=said)) == []


def test_another_robot_s_joints_are_never_the_so101_s() -> None:
    """Of one more or one fewer joint, of other names, and of an arm that shares all six."""
    for name, joints in (
        ("so101", tuple(replace(c, name=c.name.replace("wrist", "hand")) for c in ARM.state)),
        ("so101", (*ARM.state, Channel("wrist_yaw.pos", "rad"))),
    ):
        other = replace(ARM, robot=name, state=joints, action=joints)
        assert any("state names" in line for line in differences(other, ARM))
    for name in ("koch", "koch_follower", "omx_follower", "moss"):
        assert differences(replace(ARM, robot=name), ARM) == [f"robot: wants {name!r}, has 'so101'"]


def test_joints_are_the_same_with_and_without_the_names_ends() -> None:
    """LeRobot has called them `shoulder_pan`, `shoulder_pan.pos` and `main_shoulder_pan`."""
    for change in (str.removesuffix, lambda name, end: f"main_{name.removesuffix(end)}"):
        joints = tuple(replace(c, name=change(c.name, ".pos")) for c in ARM.state)
        other = replace(ARM, robot="so", state=joints, action=joints)
        assert differences(other, ARM) == []
        assert differences(in_unit(other, "deg"), in_unit(ARM, "deg")) == []


def test_units_and_more_than_one_difference_are_told_together() -> None:
    told = differences(in_unit(ARM, "m100_100"), replace(ARM, rate_hz=20.0))
    assert any("unit: wants 'm100_100', has 'rad'" in t for t in told)
    assert any("rate" in t for t in told)
    assert any("gripper.pos: wants percent, has rad" in t for t in told)


def test_an_arm_may_offer_more_than_is_wanted() -> None:
    assert differences(replace(ARM, cameras=(FRONT,), privileged=BLOCK[:1]), ARM) == []
    assert differences(ARM, replace(ARM, privileged=())) == [
        "privileged: wants block.x, block.y, has none"
    ]


def test_an_unknown_field_of_view_is_not_a_difference() -> None:
    assert differences(replace(ARM, cameras=(CameraSpec("overhead", 640, 480),)), ARM) == []


def test_a_camera_is_asked_for_by_its_whole_name() -> None:
    assert ARM.camera("overhead") is FRONT
    with pytest.raises(ContractError, match=r"no camera 'over'\. There is: overhead, wrist"):
        ARM.camera("over")


def test_actions_are_checked_by_shape_and_finiteness() -> None:
    assert ARM.check_action(np.zeros(6)).dtype == np.float32
    with pytest.raises(ContractError, match="shape"):
        ARM.check_action(np.zeros(5))
    with pytest.raises(ContractError, match=r"elbow_flex.pos"):
        ARM.check_action(np.array([0, 0, np.nan, 0, 0, 0]))


def test_only_an_so101_can_change_its_unit() -> None:
    with pytest.raises(ContractError, match="not the joints"):
        in_unit(replace(ARM, state=BLOCK), "deg")


@pytest.mark.parametrize("unit", ["rad", "deg", "m100_100", "ticks"])
def test_the_contract_of_an_so101_by_hand(unit) -> None:
    arm = so101(rate_hz=25, unit=unit)
    low, high = unit_bounds(unit)
    percent = unit in ("deg", "m100_100")
    units = [unit] * 5 + ["percent" if percent else unit]
    joints = tuple(
        Channel(f"{joint}.pos", *rest)
        for joint, *rest in zip(JOINTS, units, low, high, strict=True)
    )
    assert arm == Contract("so101", joints, joints, 25.0, unit=unit)
    assert (arm.calibration, arm.instruction, arm.privileged, arm.cameras) == ("", "", (), ())
    assert in_unit(ARM, unit) == replace(ARM, state=joints, action=joints, unit=unit)
    assert so101(rate_hz=25).unit == "rad"


def test_what_an_so101_is_given_is_in_its_contract() -> None:
    arm = so101(rate_hz=30, cameras=(FRONT,), privileged=BLOCK, calibration="c1", instruction="go")
    assert (arm.cameras, arm.privileged) == ((FRONT,), BLOCK)
    assert (arm.calibration, arm.instruction) == ("c1", "go")


def test_actions_keep_their_order_and_fit_to_a_thousandth() -> None:
    swapped = replace(ARM, action=(ARM.action[1], ARM.action[0], *ARM.action[2:]))
    assert [t.split(":")[0] for t in differences(swapped, ARM)] == ["action order"]
    for away, fits in ((5e-4, True), (0.01, False)):
        wide = replace(ARM.state[2], high=ARM.state[2].high + away)
        other = replace(ARM, state=(*ARM.state[:2], wide, *ARM.state[3:]))
        assert (differences(other, ARM) == []) is fits


def test_every_camera_is_compared_after_one_that_is_missing() -> None:
    wanted = replace(ARM, cameras=(CameraSpec("top", 64, 48), replace(FRONT, width=320)))
    assert len(differences(wanted, ARM)) == 2
    with pytest.raises(ContractError, match=r"There is: none\."):
        replace(ARM, cameras=()).camera("top")
    assert "there is: none" in differences(wanted, replace(ARM, cameras=()))[0]


def test_a_contract_is_plain_json_and_only_depth_is_named() -> None:
    deep = replace(ARM, cameras=(FRONT, replace(FRONT, name="deep", depth=True)))
    raw = json.loads(json.dumps(deep.to_dict(), allow_nan=False))
    assert ["depth" in camera for camera in raw["cameras"]] == [False, True]
    assert raw["privileged"][0]["low"] is None
    assert Contract.from_dict(raw) == deep


def test_a_large_action_is_no_infinite_one() -> None:
    """Its square overflows float32; each of its numbers does not."""
    large = np.full(6, 1e30, np.float32)
    np.testing.assert_array_equal(ARM.check_action(large), large)
