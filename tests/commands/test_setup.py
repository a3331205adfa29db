"""`vibrissa setup` on a twin fresh from the factory, with somebody who answers and moves."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vibrissa import cli
from vibrissa.commands import setup
from vibrissa.commands.talk import Talk
from vibrissa.core.contract import CameraSpec
from vibrissa.core.errors import UsageError
from vibrissa.core.units import JOINTS
from vibrissa.real.calibration import load_calibration
from vibrissa.real.rig import load_rig
from vibrissa.sim.tasks import make_scene
from vibrissa.twin.cameras import CameraServer, Ready
from vibrissa.twin.control import ask
from vibrissa.twin.faults import BusFault
from vibrissa.twin.twin import Twin, TwinCfg

LONG_S = 240.0
Deed = Callable[[], object]


class _Owner:
    """Somebody at the terminal: waits for words, does what is asked for, and presses Enter.

    `script` is (words that are waited for, what is answered, what is done before), in this order.
    """

    def __init__(self, script: list[tuple[str, str, Deed | None]]):
        self.script, self.told = script, []
        self.fd, self._ours = os.pipe()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self.left: list[str] = []

    def __enter__(self) -> _Owner:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)

    def hear(self, line: str) -> None:
        self.told.append(line)

    def _live(self) -> None:
        heard = 0
        for words, answer, deed in self.script:
            until_s = time.monotonic() + LONG_S
            while not any(words in line for line in self.told[heard:]):
                if time.monotonic() > until_s:
                    self.left.append(words)
                    os.close(self._ours)
                    return
                time.sleep(0.01)
            heard = next(i for i, line in enumerate(self.told) if i >= heard and words in line) + 1
            if deed is not None:
                deed()
            os.write(self._ours, f"{answer}\n".encode())
        os.close(self._ours)


def _move(folder: Path, arm: str, script: str) -> Deed:
    """A hand that has moved the arm when it returns."""

    def moved() -> None:
        told = ask(folder, {"do": "move", "arm": arm, "script": script, "rad_s": 4.0})
        time.sleep(told["seconds"] + 0.5)

    return moved


def _plug(folder: Path, arm: str, what: str) -> Deed:
    return lambda: ask(folder, {"do": "plug", "arm": arm, "what": what})


def _setup(monkeypatch, owner: _Owner, *argv: str) -> int:
    from vibrissa.commands import talk

    real = Talk
    monkeypatch.setattr(talk, "Talk", lambda: real(owner.fd, owner.hear))
    with owner:
        return cli.main(["setup", *argv])


@pytest.fixture
def factory(tmp_path: Path, monkeypatch):
    """A twin whose servos have never been set up, and a home of its own for calibrations."""
    from lerobot.utils import constants

    monkeypatch.setattr(constants, "HF_LEROBOT_CALIBRATION", tmp_path / "calibration")
    with Twin(tmp_path / "twin", make_scene("lift"), TwinCfg(servos="factory")) as twin:
        yield twin


def test_an_owner_is_led_from_servos_to_a_first_teleoperation(
    tmp_path: Path, monkeypatch, factory: Twin
) -> None:
    folder, file = factory.folder, tmp_path / "rig.yaml"

    def unplug(arm: str) -> Deed:
        return lambda: (
            factory.stations[arm].fault(BusFault("gone", for_s=3.0)),
            time.sleep(1.0),
        )

    script: list[tuple[str, str, Deed | None]] = [("Do it?", "", None)]
    for arm in ("follower", "leader"):
        script += [(f"The {arm}'s port", "u", None)]
        script += [(f"Unplug the {arm}'s USB cable", "", unplug(arm))]
    script += [("Is it right?", "", None), ("Do it?", "", None)]
    for arm in ("follower", "leader"):
        script += [("Give ids?", "y", None)]
        for joint in reversed(JOINTS):
            script += [(f"the {arm}'s {joint} servo", "", _plug(folder, arm, joint))]
        script += [(f"Put all servos of the {arm} back", "", _plug(folder, arm, "all"))]
    script += [("Is it right?", "", None), ("Do it?", "", None)]
    for arm in ("follower", "leader"):
        script += [
            (f"The {arm} has none", "", None),
            (f"Support the {arm}", "", None),
            ("to the middle of its range", "", _move(folder, arm, "middle")),
            ("from end to end", "", _move(folder, arm, "sweep")),
        ]
    script += [("Is it right?", "", None)]
    script += [("Do it?", "s", None)]  # cameras
    script += [("Do it?", "", None), ("Clear its way", "", None), ("Is it right?", "", None)]
    owner = _Owner(script)
    watch = ["--watch", f"{folder}/follower", f"{folder}/leader", "--try-seconds", "1"]
    assert _setup(monkeypatch, owner, str(file), *watch) == 0, "\n".join(owner.told)
    assert owner.left == []
    rig = load_rig(file)
    assert rig.leader is not None
    assert (rig.arm.port, rig.leader.port) == (str(folder / "follower"), str(folder / "leader"))
    for arm, kind in (("follower", "robots/so_follower"), ("leader", "teleoperators/so_leader")):
        path = tmp_path / "calibration" / kind / f"{arm}.json"
        for joint, name in zip(load_calibration(path).joints, JOINTS, strict=True):
            assert joint.id == JOINTS.index(name) + 1
            assert joint.range_max - joint.range_min > 600
    assert any("every joint was moved" in line for line in owner.told)


def test_a_step_that_fails_is_told_and_can_be_done_again_or_skipped(
    tmp_path: Path, monkeypatch, factory: Twin
) -> None:
    folder = factory.folder
    port = str(folder / "follower")
    script: list[tuple[str, str, Deed | None]] = [
        ("Do it?", "", None),
        ("Give ids?", "y", _plug(folder, "follower", "none")),
        ("gripper servo", "", None),  # nothing is on the wire
        ("no servo answers", "", _plug(folder, "follower", "gripper")),
        ("it was id 1 and is well now", "s", None),
        *[(f"{joint} servo", "s", None) for joint in reversed(JOINTS[:4])],
        ("Put all servos", "", None),
        ("What now?", "s", None),
        ("Do it?", "nonsense", None),
        ("none of these", "s", None),
    ]
    owner = _Owner(script)
    argv = ["--port", port, "--steps", "ids", "calibration"]
    assert _setup(monkeypatch, owner, str(tmp_path / "rig.yaml"), *argv) == 0
    assert any("no answer from shoulder_pan" in line for line in owner.told)
    assert load_rig(tmp_path / "rig.yaml").arm.port == port


def test_cameras_are_opened_shown_and_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("vibrissa.machine.video.video_nodes", lambda: ())
    file = tmp_path / "rig.yaml"
    file.write_text(
        "arm: {kind: so101, port: /dev/none}\n"
        "cameras: {old: {kind: zmq, device: 'tcp://127.0.0.1:1/old'}}\n"
    )
    eyes = tuple(CameraSpec(name, 160, 120) for name in ("overhead", "wrist"))
    with CameraServer(Ready(eyes, 30), port=0) as server:
        owner = _Owner(
            [
                ("Do it?", "", None),
                ("camera 'old'", "drop", None),
                ("over the network", "overhead", None),
                ("is no address", server.addresses["overhead"], None),
                ("Its name", "above", None),
                ("over the network", server.addresses["wrist"], None),
                ("Its name", "-", None),
                ("over the network", "", None),
                ("Is it right?", "", None),
            ]
        )
        assert _setup(monkeypatch, owner, str(file), "--steps", "cameras") == 0
        assert owner.left == []
    (camera,) = load_rig(file).cameras
    assert (camera.name, camera.kind, camera.width, camera.height) == ("above", "zmq", 160, 120)
    assert (tmp_path / "rig-pictures" / "overhead.png").read_bytes().startswith(b"\x89PNG")


def test_when_nobody_answers_it_ends_with_a_line(tmp_path: Path, monkeypatch, capsys) -> None:
    owner = _Owner([("Do it?", "", None)])
    assert _setup(monkeypatch, owner, str(tmp_path / "rig.yaml")) == 1
    assert "nobody answers any more" in capsys.readouterr().err


def test_a_talk_takes_whole_lines_and_its_usual_answer() -> None:
    ours, theirs = os.pipe()
    told: list[str] = []
    talk = Talk(ours, told.append)
    assert not talk.answered()
    os.write(theirs, b"one\n\nx\ny\n\n")
    assert talk.ask("First?") == "one"
    assert talk.ask("Second?", "usual") == "usual"
    assert talk.choose("Third?", ("no", "yes")) == "yes"
    assert "'x' is none of these." in told
    assert talk.answered()
    assert not talk.answered()
    os.close(theirs)
    with pytest.raises(UsageError, match="nobody answers"):
        talk.ask("Fourth?")


def test_the_port_of_both_arms_cannot_be_one(tmp_path: Path, monkeypatch) -> None:
    owner = _Owner(
        [
            ("Do it?", "", None),
            ("The follower's port", "/dev/x", None),
            ("The leader's port", "/dev/x", None),
            ("What now?", "again", None),
            ("The follower's port", "/dev/x", None),
            ("The leader's port", "-", None),
            ("Is it right?", "", None),
        ]
    )
    file = tmp_path / "rig.yaml"
    assert _setup(monkeypatch, owner, str(file), "--steps", "ports") == 0
    assert load_rig(file).leader is None
    assert setup.STEPS[0] == "ports"


def test_without_a_follower_nothing_is_written_and_that_is_said(
    tmp_path: Path, monkeypatch
) -> None:
    owner = _Owner(
        [("Do it?", "", None), ("The follower's port", "-", None), ("What now?", "skip", None)]
    )
    file = tmp_path / "rig.yaml"
    assert _setup(monkeypatch, owner, str(file), "--steps", "ports") == 0
    assert "'-' is no port, and nothing works without a follower." in owner.told
    assert owner.told[-1].strip() == "Nothing was written: the follower's port is not known yet."
    assert not file.exists()
