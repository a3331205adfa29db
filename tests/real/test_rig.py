"""A rig survives its file, and what is wrong in the file is told with its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS
from vibrissa.real.rig import ArmCfg, CameraCfg, LeaderCfg, Rig, load_rig, save_rig

WHOLE = Rig(
    arm=ArmCfg(port="/tmp/twin/follower", id="black", calibration=Path("/c/black.json"), p=20),
    leader=LeaderCfg(port="/tmp/twin/leader"),
    cameras=(
        CameraCfg("overhead", "zmq", "tcp://127.0.0.1:5555/overhead", fovy_deg=60.0),
        CameraCfg(
            "wrist",
            device="/dev/v4l/by-id/usb-C920-index0",
            optional=True,
            exposure={"auto_exposure": 1, "exposure": 200},
        ),
        CameraCfg("side", "realsense", "230322273311", depth=True),
    ),
    home_deg=dict.fromkeys(JOINTS, 10.5),
    operator="Ada",
    light="two lamps, blinds shut",
)


@pytest.mark.parametrize(
    "rig", [WHOLE, Rig(), replace(WHOLE, leader=LeaderCfg("gamepad"), home_deg=None)]
)
def test_a_rig_survives_its_file(tmp_path, rig) -> None:
    save_rig(rig, tmp_path / "rig.yaml")
    assert load_rig(tmp_path / "rig.yaml") == rig
    assert [p.name for p in tmp_path.iterdir()] == ["rig.yaml"]


def test_a_relative_calibration_is_beside_the_file(tmp_path) -> None:
    (tmp_path / "rig.yaml").write_text("arm: {port: /dev/x, calibration: black.json}\n")
    assert load_rig(tmp_path / "rig.yaml").arm.calibration == tmp_path / "black.json"


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("arm: {port: /dev/x}\ncamera: {}\n", 2, "Did you mean 'cameras'?"),
        ("arm:\n  kind: so100\n", 2, "one of so101, simulated"),
        ("light: dim\narm:\n  id: a\n", 3, "arm lacks 'port'"),
        ("arm: {kind: simulated}\nleader: {kind: so101}\n", 2, "leader lacks 'port'"),
        ("cameras:\n  top:\n    device: /dev/video2\n", 3, "after a replug"),
        ("cameras:\n  top:\n    device: 2\n", 3, "after a replug"),
        ("cameras:\n  top: {kind: zmq, device: '5555'}\n", 2, "tcp://127.0.0.1:5555/top"),
        ("cameras:\n  top: {kind: zmq}\n", 2, "lacks 'device'"),
        ("cameras:\n  'a b': {device: /dev/v4l/by-id/c}\n", 2, "letters, digits"),
        ("cameras:\n  c: {device: /dev/v4l/by-id/c, depth: yes}\n", 2, "only a realsense"),
        ("cameras:\n  top_depth: {kind: zmq, device: 'tcp://h:1/a'}\n", 2, "depth: true"),
        ("cameras:\n  top: {kind: zmq, device: 'tcp://h:99999/top'}\n", 2, "no address"),
        ("arm: {port: /dev/x, id: ../a}\n", 1, "no leading dot"),
        ("arm: {port: /dev/x, max_step_deg: .nan}\n", 1, "not .nan"),
        (
            "cameras:\n  c: {device: /dev/v4l/by-id/c, exposure: {gian: 3}}\n",
            2,
            "Did you mean 'gain'",
        ),
        ("home_deg: {gripper: 3}\n", 1, "lacks 'shoulder_pan'"),
        ("arm: {port: /dev/x, p: 900}\n", 1, "from 1 to 254"),
    ],
)
def test_what_is_wrong_has_a_line(tmp_path, text, line, told) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=f"rig.yaml, line {line}: ") as error:
        load_rig(path)
    assert told in str(error.value)


def test_there_must_be_a_file(tmp_path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        load_rig(tmp_path / "none.yaml")


def test_the_rig_in_the_documentation_is_one(tmp_path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "real-arm.md").read_text("utf8")
    (tmp_path / "rig.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    rig = load_rig(tmp_path / "rig.yaml")
    assert [camera.name for camera in rig.cameras] == ["overhead", "wrist"]
    assert rig.rest_deg is not None
