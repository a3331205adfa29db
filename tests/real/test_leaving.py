"""However a program ends, short of a kill -9, its arm is let go after a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from twin.waiting import until

import vibrissa
from vibrissa.real.leaving import Terminated, signals_as_interrupts, undisturbed

CODE = """
import sys, time
from pathlib import Path
from vibrissa.real.arm import RealArm
from vibrissa.real.rig import load_rig
arm = RealArm(load_rig(Path(sys.argv[1])), 30, warning_s=0.1)
arm.connect()
arm.reset(0)
print("ready", flush=True)
if sys.argv[2] == "loop":
    while True:
        arm.send(arm.observe().state)
        time.sleep(0.02)
if sys.argv[2] == "error":
    raise ValueError("a bug of somebody's")
"""


def _program(twin, way: str) -> subprocess.Popen[str]:
    paths = [str(Path(vibrissa.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(twin.folder / "rig.yaml"), way],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _torques(twin) -> list[int]:
    servos = twin.stations["follower"].bus.servos
    return [servo.memory["Torque_Enable"] for servo in servos]


@pytest.mark.parametrize(
    ("way", "number"),
    [
        ("loop", signal.SIGTERM),
        ("loop", signal.SIGHUP),
        ("loop", signal.SIGINT),
        ("error", None),
        ("end", None),
    ],
)
def test_the_torque_is_off_afterwards(twin, way, number) -> None:
    program = _program(twin, way)
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    if number is not None:
        assert all(_torques(twin))
        program.send_signal(number)
    _, told = program.communicate(timeout=60)
    until(lambda: not any(_torques(twin)))
    assert told.count("its torque goes off now, hold the arm!") == 1
    assert ("a bug of somebody's" in told) == (way == "error")
    assert program.returncode != 0 or way == "end"


def test_an_impatient_ctrl_c_waits_for_the_last_packets() -> None:
    done = []

    def last_packets() -> None:
        with undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("packets")

    with pytest.raises(KeyboardInterrupt):
        last_packets()
    assert done == ["packets"]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_only_signals_that_nobody_takes_are_taken() -> None:
    seen = []
    before = signal.signal(signal.SIGHUP, lambda number, _: seen.append(number))

    def ended() -> None:
        with signals_as_interrupts():
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        with pytest.raises(Terminated):
            ended()
        assert seen == [signal.SIGHUP]
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
