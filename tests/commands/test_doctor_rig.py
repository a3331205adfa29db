"""`vibrissa doctor --config`: an emulated arm and cameras, asked and read as a real rig is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from machine.trees import D405, ROOT_2, device

from vibrissa import cli
from vibrissa.core.contract import CameraSpec
from vibrissa.core.units import JOINTS
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.cameras import CameraServer, Ready
from vibrissa.twin.twin import Twin


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Iterator[Twin]:
    with Twin(tmp_path_factory.mktemp("twin"), make_scene("lift")) as served:
        yield served


@pytest.fixture
def plugged(twin: Twin) -> Iterator[Twin]:
    """The twin with all its servos, whatever a test did to it before."""
    yield twin
    for station in twin.stations.values():
        for servo in station.bus.servos:
            servo.plug(True)


def told(capsys, *argv: str) -> tuple[int, list[dict[str, Any]]]:
    code = cli.main(["doctor", *argv, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == found["exit_code"]
    return code, found["lines"]


def states(lines: list[dict[str, Any]], about: str) -> list[str]:
    return [line["state"] for line in lines if line["about"] == about]


def test_an_emulated_rig_is_well(plugged: Twin, capsys) -> None:
    code, lines = told(capsys, "--config", str(plugged.folder / "rig.yaml"))
    assert code == 0
    for arm in ("arm", "leader"):
        assert states(lines, f"{arm} port") == ["ok"]
        assert states(lines, f"{arm} calibration") == ["ok", "ok"]  # the file, and the servos
        assert [states(lines, f"{arm} {joint}") for joint in JOINTS] == [["ok"]] * 6


def test_a_servo_whose_plug_is_out_is_named(plugged: Twin, capsys) -> None:
    (gripper,) = [s for s in plugged.stations["follower"].bus.servos if s.joint == "gripper"]
    gripper.plug(False)
    code, lines = told(capsys, "--config", str(plugged.folder / "rig.yaml"))
    assert code == 1
    (line,) = [line for line in lines if line["about"] == "arm"]
    assert "gripper (id 6)" in line["told"]
    assert "wrist_roll" in line["do"]
    assert states(lines, "arm elbow_flex") == ["ok"]
    assert states(lines, "leader gripper") == ["ok"]


def test_a_supply_that_is_off(plugged: Twin, capsys) -> None:
    for servo in plugged.stations["leader"].bus.servos:
        servo.plug(False)
    code, lines = told(capsys, "--config", str(plugged.folder / "rig.yaml"))
    assert code == 1
    (line,) = [line for line in lines if line["about"] == "leader"]
    assert line["told"] == "no servo answers"


def test_the_other_arms_calibration_is_noticed(plugged: Twin, capsys, tmp_path: Path) -> None:
    rig = yaml.safe_load((plugged.folder / "rig.yaml").read_text(encoding="utf-8"))
    rig = {"arm": {**rig["arm"], "calibration": rig["leader"]["calibration"]}}
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump(rig), encoding="utf-8")
    code, lines = told(capsys, "--config", str(tmp_path / "rig.yaml"))
    assert code == 1
    assert states(lines, "arm calibration") == ["ok", "broken"]


def test_the_rate_of_a_rigs_cameras_is_measured(capsys, tmp_path: Path) -> None:
    eyes = (CameraSpec("overhead", 160, 120), CameraSpec("wrist", 160, 120))
    with CameraServer(Ready(eyes, 40), fps=30, port=0).start() as server:
        cameras = {
            name: {"kind": "zmq", "device": address, "width": 160, "height": 120}
            for name, address in server.addresses.items()
        }
        cameras["wrist"]["width"] = 320
        rig = tmp_path / "rig.yaml"
        rig.write_text(yaml.safe_dump({"cameras": cameras}), encoding="utf-8")
        code, lines = told(capsys, "--config", str(rig))
    assert code == 1
    (overhead,) = [line for line in lines if line["about"] == "camera overhead"]
    assert "160 × 120 at" in overhead["told"]
    assert overhead["state"] != "broken"
    (wrist,) = [line for line in lines if line["about"] == "camera wrist"]
    assert wrist["state"] == "broken"
    assert "it gives 160 × 120; the rig says 320 × 120" in wrist["told"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("arm: {kind: so101}", "lacks 'port'"),
        ("cameras: {front: {device: /dev/video0}}", "after a replug"),
        ("arms: {}", "Did you mean 'arm'"),
    ],
)
def test_a_rig_that_cannot_be_read_is_a_line_among_the_others(
    text, words, capsys, tmp_path: Path
) -> None:
    (tmp_path / "rig.yaml").write_text(text, encoding="utf-8")
    code, lines = told(capsys, "--config", str(tmp_path / "rig.yaml"))
    assert code == 1
    assert lines[0]["about"] == "rig"
    assert words in lines[0]["told"]
    assert "rig.yaml, line 1" in lines[0]["told"]


def test_a_rig_that_is_not_there(capsys, tmp_path: Path) -> None:
    assert cli.main(["doctor", "--config", str(tmp_path / "nosuch.yaml")]) == 1
    assert "there is no rig" in capsys.readouterr().err


def test_a_usb_tree_is_recorded_and_judged(capsys, tmp_path: Path) -> None:
    tree = {**device("usb1", ROOT_2), **device("1-1", D405, nodes={"video0": "0"}, speed="480")}
    (tmp_path / "tree.json").write_text(json.dumps(tree), encoding="utf-8")
    _, lines = told(capsys, "--tree", str(tmp_path / "tree.json"))
    (line,) = [line for line in lines if line["about"] == "USB"]
    assert "480 Mbit/s" in line["told"]
    assert cli.main(["doctor", "--save-tree", str(tmp_path / "own.json")]) == 0
    assert isinstance(json.loads((tmp_path / "own.json").read_text(encoding="utf-8")), dict)
