"""The feature dict that LeRobot reads is what it has always been, and units go there and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from data import recordings
from hypothesis import given
from hypothesis import strategies as st

from vibrissa.core.contract import CameraSpec, Channel, Contract, differences
from vibrissa.core.errors import ContractError
from vibrissa.core.units import JOINTS
from vibrissa.data.features import (
    EXTRA_COLUMNS,
    camera_specs,
    channel_names,
    features_of,
    from_stored,
    inferred_contract,
    loop_contract,
    stored_contract,
    to_stored,
)

OF = recordings.contract((CameraSpec("overhead", 64, 48, 52.0),))
POS = [f"{joint}.pos" for joint in JOINTS]


def test_the_feature_dict_is_golden() -> None:
    vector = {"dtype": "float32", "shape": (6,), "names": POS}
    assert features_of(OF) == {
        "observation.state": vector,
        "action": vector,
        "observation.environment_state": {
            "dtype": "float32",
            "shape": (2,),
            "names": ["brick.x", "brick.y"],
        },
        "observation.images.overhead": {
            "dtype": "video",
            "shape": (48, 64, 3),
            "names": ["height", "width", "channels"],
        },
        "asked": vector,
        "source": {"dtype": "int64", "shape": (1,), "names": None},
        "wall_time_s": {"dtype": "float64", "shape": (1,), "names": None},
        "time_s": {"dtype": "float64", "shape": (1,), "names": None},
        "camera.overhead.captured_s": {"dtype": "float64", "shape": (1,), "names": None},
        "camera.overhead.sequence": {"dtype": "int64", "shape": (1,), "names": None},
        "camera.overhead.health": {"dtype": "int64", "shape": (1,), "names": None},
        "state_health": {"dtype": "int64", "shape": (1,), "names": None},
    }
    assert "state_health" not in features_of(OF, sim_state=("qpos",))


def test_no_extra_column_looks_like_a_policy_input() -> None:
    assert not [name for name in EXTRA_COLUMNS if name.startswith(("action", "observation"))]


def test_storing_a_contract_and_taking_it_back_changes_nothing() -> None:
    assert differences(loop_contract(stored_contract(OF)), OF) == []
    assert Contract.from_dict(stored_contract(OF).to_dict()) == stored_contract(OF)


@given(st.lists(st.floats(-3.0, 3.0, width=32), min_size=6, max_size=6))
def test_values_go_there_and_back(joints) -> None:
    values = np.array([joints], np.float32)
    back = from_stored(stored_contract(OF), to_stored(OF, values))
    np.testing.assert_allclose(back, values, atol=2e-6)


def test_an_unknown_unit_is_never_converted() -> None:
    foreign = inferred_contract({"features": features_of(OF), "fps": 30, "robot_type": "so101"})
    assert foreign.unit == "unknown"
    with pytest.raises(ContractError, match="not known"):
        from_stored(foreign, np.zeros((1, 6), np.float32))
    with pytest.raises(ContractError, match="not known"):
        loop_contract(foreign)


@pytest.mark.parametrize("said", ["so_follower", "so101", "bi_so_follower", "an arm", "", None, 7])
def test_a_dataset_of_the_six_joints_is_an_so101_s(said) -> None:
    info = {"features": features_of(OF), "fps": 30, "robot_type": said}
    told = replace(inferred_contract(info, "deg"), privileged=())  # whose units nothing says
    assert told.robot == "so101"
    assert differences(told, stored_contract(OF)) == []


def test_a_dataset_of_other_joints_is_no_so101_s() -> None:
    features = features_of(OF)
    for key in ("observation.state", "action"):
        features[key] = {**features[key], "names": [f"joint_{i}" for i in range(6)]}
    told = inferred_contract({"features": features, "fps": 30, "robot_type": "so101_follower"})
    assert told.robot != "so101"


def test_another_arm_is_stored_as_it_is() -> None:
    joint = (Channel("joint.pos", "rad"),)
    other = Contract("one-joint", joint, joint, 30.0)
    assert stored_contract(other).unit == "rad"
    np.testing.assert_array_equal(to_stored(other, np.ones((2, 1))), np.ones((2, 1)))


@pytest.mark.parametrize(
    ("feature", "names"),
    [
        ({"shape": [2], "names": ["a", "b"]}, ("a", "b")),
        ({"shape": [2], "names": {"motors": ["a", "b"]}}, ("a", "b")),
        ({"shape": [2], "names": None}, ("0", "1")),
        ({"shape": [2], "names": ["a"]}, ("0", "1")),
    ],
)
def test_channel_names_in_every_spelling(feature, names) -> None:
    assert channel_names(feature) == names


def test_cameras_keep_their_whole_names_and_their_sizes() -> None:
    hwc = {"dtype": "video", "shape": [48, 64, 3], "names": ["height", "width", "channel"]}
    chw = {"dtype": "image", "shape": [3, 48, 64], "names": None}
    told = camera_specs({"observation.images.overhead_cam_depth": hwc, "observation.image": chw})
    assert [(c.name, c.width, c.height) for c in told] == [
        ("overhead_cam_depth", 64, 48),
        ("image", 64, 48),
    ]
