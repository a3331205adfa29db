"""What the doctor calls broken is refused by teleop, record and deploy before there is torque."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands.desk import record, served

from vibrissa import cli
from vibrissa.commands.checked import check_rig, examine
from vibrissa.core.errors import ArmFault, UsageError
from vibrissa.core.units import JOINTS
from vibrissa.machine.calibrations import judge_calibration
from vibrissa.real.rig import ArmCfg, LeaderCfg, Rig, load_rig
from vibrissa.twin.calibration import calibrated, write_calibration
from vibrissa.twin.servo import Servo
from vibrissa.twin.twin import Twin


@pytest.fixture
def desk(tmp_path: Path):
    with served(tmp_path / "twin") as twin:
        yield twin


def _rig(folder: Path, **change: dict[str, int]) -> Rig:
    """An arm and a leader with files of their own; `change` of joints goes into the leader's."""
    paths = {}
    for arm in ("follower", "leader"):
        flash = calibrated(arm)
        servos = [Servo(joint, flash=flash[joint]) for joint in JOINTS]
        write_calibration(folder, arm, servos)
        paths[arm] = folder / "calibration" / arm / f"{arm}.json"
    raw = json.loads(paths["leader"].read_text())
    for joint, fields in change.items():
        raw[joint].update(fields)
    paths["leader"].write_text(json.dumps(raw))
    return Rig(
        arm=ArmCfg(port="/dev/a", calibration=paths["follower"]),
        leader=LeaderCfg(port="/dev/b", calibration=paths["leader"]),
    )


def test_a_good_rig_is_not_spoken_of(tmp_path: Path) -> None:
    said: list[str] = []
    check_rig(_rig(tmp_path), said.append, led=True)
    assert said == []


def test_a_calibration_that_cannot_be_true_is_refused_where_it_is_used(tmp_path: Path) -> None:
    rig = _rig(tmp_path, shoulder_pan={"range_min": 0, "range_max": 4095})
    said: list[str] = []
    with pytest.raises(UsageError, match=r"leader's calibration .*shoulder_pan's range 0–4095 is"):
        check_rig(rig, said.append, led=True)
    check_rig(rig, said.append, led=False)  # nobody asks the leader then
    assert said == []


def test_what_is_only_a_warning_is_printed(tmp_path: Path) -> None:
    rig = _rig(tmp_path)
    rig.leader.calibration.write_text(  # type: ignore[union-attr]
        rig.arm.calibration.read_text()  # type: ignore[union-attr]
    )
    said: list[str] = []
    check_rig(rig, said.append, led=True)
    (line,) = said
    assert line.startswith("warning: arm's calibration ")
    assert "the same numbers as leader's calibration" in line


def test_one_port_for_both_arms_is_named(tmp_path: Path) -> None:
    rig = _rig(tmp_path)
    port = tmp_path / "port"
    port.touch()
    (tmp_path / "by-id").symlink_to(port)
    assert rig.leader is not None
    both = replace(
        rig,
        arm=replace(rig.arm, port=str(port)),
        leader=replace(rig.leader, port=str(tmp_path / "by-id")),
    )
    with pytest.raises(UsageError, match="arm and leader name one port, "):
        check_rig(both, print, led=True)
    check_rig(both, print)


def test_real_calibrations_are_refused_only_where_the_doctor_calls_them_broken(
    realdata: Path, tmp_path
) -> None:
    files = sorted((realdata / "calibration").rglob("*.json"))
    healthy = 0
    for file in files:
        text = file.read_text("utf-8", "replace")
        bad = any(line.state == "broken" for line in judge_calibration(text, file.name))
        rig = Rig(arm=ArmCfg(port="/dev/a", calibration=file))
        if bad:
            with pytest.raises(UsageError):
                check_rig(rig, lambda _: None)
        else:
            healthy += 1
            check_rig(rig, lambda _: None)
    assert 0 < healthy < len(files)


def _weak(twin: Twin, arm: str, tenths: int = 80) -> None:
    """Servos for 7.4 V, on the twin's 12 V."""
    with twin.stations[arm].lock:
        for servo in twin.servos[arm]:
            servo.memory["Max_Voltage_Limit"] = tenths


def _note_torque(servo: Servo, written: list[str]) -> None:
    """The joint into `written` each time its servo is given torque."""
    write = servo.write

    def noting(address: int, data: bytes) -> list[str]:
        taken = write(address, data)
        if "Torque_Enable" in taken and servo.memory["Torque_Enable"]:
            written.append(servo.joint)
        return taken

    servo.write = noting  # type: ignore[method-assign]


def test_a_calibration_that_is_refused_leaves_the_arm_without_torque(desk, capsys) -> None:
    written: list[str] = []
    for servo in desk.servos["follower"]:
        _note_torque(servo, written)
    path = desk.folder / "calibration" / "leader" / "leader.json"
    raw = json.loads(path.read_text())
    raw["shoulder_pan"].update(range_min=0, range_max=4095)
    path.write_text(json.dumps(raw))
    argv = ["teleop", "--config", str(desk.folder / "rig.yaml"), "--seconds", "1"]
    assert cli.main(argv) == 1
    assert "shoulder_pan's range 0–4095 is a whole turn" in capsys.readouterr().err
    assert written == []


@pytest.mark.parametrize("arm", ["follower", "leader"])
def test_servos_on_a_supply_they_do_not_bear_get_no_torque(desk, tmp_path, capsys, arm) -> None:
    _weak(desk, arm)
    written: list[str] = []
    for servo in desk.servos["follower"]:
        _note_torque(servo, written)
    argv = ["teleop", "--config", str(desk.folder / "rig.yaml"), "--seconds", "1"]
    for command in (
        lambda: cli.main(argv),
        lambda: record(desk.folder, tmp_path / "set", "--episodes", "1"),
    ):
        assert command() == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert "12.0 V" in last
        assert "switch it off: it bears 8 V; see which supply is plugged in" in last
    assert written == []
    assert not any(servo.memory["Torque_Enable"] for servo in desk.servos["follower"])


def test_a_fault_that_a_servo_reports_is_refused_and_one_that_torque_ends_is_not(desk) -> None:
    from vibrissa.real.bus import ServoBus
    from vibrissa.real.calibration import load_calibration
    from vibrissa.real.greet import greet

    cfg = load_rig(desk.folder / "rig.yaml").arm
    assert cfg.calibration is not None
    bus, calibration = ServoBus(cfg.port, "arm", retries=20), load_calibration(cfg.calibration)
    servo = desk.servos["follower"][2]
    bus.open()
    try:
        assert greet(bus, calibration, examine) == ()
        servo._errors = 32
        assert greet(bus, calibration, examine) == ()
        servo._mark = lambda bit, on: None  # type: ignore[method-assign]
        servo._errors = 2
        with pytest.raises(ArmFault, match="arm: elbow_flex: it complains of encoder"):
            greet(bus, calibration, examine)
    finally:
        bus.close()
