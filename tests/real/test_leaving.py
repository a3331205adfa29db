"""Whatever signal that can be caught ends a program, its arm is let go after a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from twin.waiting import until

import vibrissa
from vibrissa.real import leaving
from vibrissa.real.leaving import Terminated, signals_as_interrupts, undisturbed

# One program that loads everything once, and has each way out in a process of its own.
CODE = """
import os, sys, time, traceback
from pathlib import Path
import lerobot.motors.feetech
from vibrissa.real.arm import RealArm
from vibrissa.real.rig import load_rig
rig = load_rig(Path(sys.argv[1]))
for way in sys.argv[2:]:
    child = os.fork()
    if not child:
        arm = RealArm(rig, 30, warning_s=0.05)
        arm.connect()
        arm.reset(0)
        print("ready", os.getpid(), flush=True)
        while way == "loop":
            arm.send(arm.observe().state)
            time.sleep(0.005)
        if way == "error":
            raise ValueError("a bug of somebody's")
        sys.exit()
    print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
# The others are tried without an arm, below.
NAMES = ("INT", "TERM", "HUP", "QUIT", "ABRT", "SEGV", "USR1", "ALRM", "RTMIN")
SIGNALS = [getattr(signal, f"SIG{name}") for name in NAMES if hasattr(signal, f"SIG{name}")]


def _env() -> dict[str, str]:
    paths = [str(Path(vibrissa.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _torques(twin) -> list[int]:
    servos = twin.stations["follower"].bus.servos
    return [servo.memory["Torque_Enable"] for servo in servos]


def test_the_torque_is_off_afterwards(twin) -> None:
    """By every signal that can be caught, by an error, and at the end."""
    ways = [("loop", number) for number in SIGNALS] + [("error", None), ("end", None)]
    program = subprocess.Popen(
        [sys.executable, "-c", CODE, str(twin.folder / "rig.yaml"), *(way for way, _ in ways)],
        env=_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    for way, number in ways:
        word, pid = program.stdout.readline().split()
        assert word == "ready"
        if number is not None:
            assert all(_torques(twin))
            os.kill(int(pid), number)
        word, code = program.stdout.readline().split()
        assert word == "ended"
        assert (code == "0") == (way == "end"), (way, number)
        until(lambda: not any(_torques(twin)))
    _, told = program.communicate(timeout=60)
    assert told.count("its torque goes off now, hold the arm!") == len(ways)
    assert told.count("ValueError: a bug of somebody's") == 1


EACH = """
import os, signal, time
from vibrissa.real import leaving
from vibrissa.real.leaving import Terminated, signals_as_interrupts, undisturbed
spared = "KILL STOP TSTP TTIN TTOU".split()
for number in sorted(signal.valid_signals() - {getattr(signal, f"SIG{s}") for s in spared}):
    try:
        with signals_as_interrupts():
            try:
                with undisturbed():
                    os.kill(os.getpid(), number)
                    print(int(number), "packets")
            except KeyboardInterrupt:
                try:
                    os.kill(os.getpid(), number)  # once more
                except KeyboardInterrupt:
                    os.kill(os.getpid(), number)  # and as often as one likes
                print(int(number), "was not heard again")
    except KeyboardInterrupt as error:
        print(int(number), type(error).__name__)
"""


def test_no_signal_ends_a_program_before_its_last_packets_and_its_way_out() -> None:
    program = subprocess.run(
        [sys.executable, "-c", EACH], env=_env(), capture_output=True, text=True
    )
    assert program.returncode == 0, program.stderr
    told = [line.split() for line in program.stdout.splitlines()]
    assert sum(words == ["packets"] for _, *words in told) == len(signal.valid_signals()) - 5
    ended = {int(number) for number, *words in told if words != ["packets"]}
    spared = {signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
    harmless = {"SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGPIPE", "SIGXFSZ"}
    rest = signal.valid_signals() - ended - spared
    assert {signal.Signals(number).name for number in rest} == harmless
    assert all(words in (["packets"], ["Terminated"], ["KeyboardInterrupt"]) for _, *words in told)


CRASH = """
import ctypes, faulthandler, sys
from vibrissa.real.leaving import signals_as_interrupts
if sys.argv[1] == "dump":
    faulthandler.enable()
with signals_as_interrupts():
    print("inside", flush=True)
    ctypes.string_at(0)
"""


@pytest.mark.parametrize("way", ["bare", "dump"])
def test_a_crash_in_c_code_ends_the_program_at_once_and_does_not_hang(way) -> None:
    program = subprocess.run(
        [sys.executable, "-c", CRASH, way], env=_env(), capture_output=True, text=True, timeout=30
    )
    assert program.stdout == "inside\n"
    assert program.returncode == -signal.SIGSEGV
    assert ("Segmentation fault" in program.stderr) == (way == "dump")  # a library's own is kept


SUSPEND = """
import os, signal, sys, time
from vibrissa.real.leaving import signals_as_interrupts
os.setpgid(0, 0)
before = signal.getsignal(signal.SIGTSTP)
with signals_as_interrupts():
    print("ready", flush=True)
    sys.stdin.readline()
    print("resumed", flush=True)
    sys.stdin.readline()
assert signal.getsignal(signal.SIGTSTP) is before
"""


def test_ctrl_z_says_what_becomes_of_the_arm_and_suspends_every_time() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", SUSPEND],
        env=_env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    for word in ("ready", "resumed"):
        assert program.stdout.readline() == f"{word}\n"
        program.send_signal(signal.SIGTSTP)
        assert os.WIFSTOPPED(os.waitpid(program.pid, os.WUNTRACED)[1])
        program.send_signal(signal.SIGCONT)
        program.stdin.write("\n")
        program.stdin.flush()
    _, told = program.communicate(timeout=30)
    assert program.returncode == 0
    assert told.count("its torque stays on") == 2
    assert "To resume: fg" in told


def test_a_system_without_these_signals_is_no_error(monkeypatch) -> None:
    """Windows knows no SIGHUP, no SIGTSTP and hardly any other."""
    names = ("SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV")
    known = {getattr(signal, name) for name in names}
    for name in [n for n in dir(signal) if n.startswith("SIG") and not n.startswith("SIG_")]:
        if name not in names:
            monkeypatch.delattr(signal, name)
    monkeypatch.setattr(signal, "valid_signals", lambda: known)
    monkeypatch.setattr(leaving, "_STATUS", "/no/proc")
    monkeypatch.setattr(sys, "platform", "win32")

    def ended() -> None:
        with signals_as_interrupts(), undisturbed():
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Terminated):
        ended()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


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
