"""Keys: arrows told from Esc, only from our own terminal, which is always put back."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from vibrissa.control.keys import ESC_WAIT_S, Decoder, NoKeys, ScriptedKeys, open_keys

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a pty")
LONG_S = 60.0


class _Now:
    s = 0.0

    def __call__(self) -> float:
        return self.s


def _all(decoder: Decoder) -> list[str]:
    return list(iter(decoder.next, None))


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"\x1b[C\x1b[D", ["right", "left"]),
        (b"\x1bOC\x1bOA", ["right", "up"]),  # a terminal in application mode
        (b"\x1b[1;5C", ["right"]),  # with Ctrl
        (b"s f\r\x7f", ["s", "space", "f", "enter", "backspace"]),
        (b"SF", ["s", "f"]),
        (b"\x1b[3~\x1b[24~x", ["x"]),  # Delete and F12 are nobody's
        (b"\x1bx", []),  # Alt and x
        (b"\x1b\x1b[C", ["esc", "right"]),
        ("ü".encode(), ["ü"]),
        (b"\x01\x02", []),
    ],
)
def test_bytes_become_names(content: bytes, names: list[str]) -> None:
    decoder = Decoder(_Now())
    decoder.feed(content)
    assert _all(decoder) == names


def test_an_arrow_in_two_parts_is_no_esc() -> None:
    decoder = Decoder(_Now())
    for byte in (b"\x1b", b"["):
        decoder.feed(byte)
        assert decoder.next() is None
    decoder.feed(b"C")
    assert decoder.next() == "right"


def test_a_lone_esc_is_the_key_after_a_moment() -> None:
    now = _Now()
    decoder = Decoder(now)
    decoder.feed(b"\x1b")
    assert decoder.next() is None
    now.s += ESC_WAIT_S + 0.001
    assert _all(decoder) == ["esc"]
    decoder.feed(b"s")
    assert _all(decoder) == ["s"]


def test_a_script_presses_one_key_a_poll() -> None:
    keys = ScriptedKeys(["right", None, "left"])
    assert [keys.poll() for _ in range(5)] == ["right", None, "left", None, None]


def test_without_a_terminal_there_are_no_keys_and_one_line() -> None:
    told: list[str] = []
    with open_keys(io.StringIO("s\n"), tell=told.append) as keys:
        assert isinstance(keys, NoKeys)
        assert keys.poll() is None
    assert len(told) == 1
    assert "no terminal" in told[0]


# A shell in small: it gives the terminal to its one job, so that the job can be suspended.
_CHILD = """
import fcntl, os, signal, sys, termios, time
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job:
    while not os.WIFEXITED(os.waitpid(job, 0)[1]):
        pass
    sys.exit()
os.setpgid(0, 0)
os.tcsetpgrp(0, os.getpid())
from vibrissa.control.keys import open_keys
def say(*words):
    print(*words, flush=True)
def state():
    flags = termios.tcgetattr(0)[3]
    return bool(flags & termios.ICANON), bool(flags & termios.ECHO)
say("job", os.getpid(), ".")
say("before", *state())
try:
    with open_keys() as keys:
        say("taken", *state())
        while (key := keys.poll()) != "q":
            if key == "x":
                raise RuntimeError("on purpose")
            if key:
                say("key", key)
            time.sleep(0.005)
except (RuntimeError, KeyboardInterrupt) as error:
    say("raised", type(error).__name__)
say("after", *state())
"""


class _Child:
    """A program with a terminal of its own, of which we hold the other end."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int):
        self.process, self.fd, self.heard = process, fd, ""

    def press(self, content: bytes) -> None:
        os.write(self.fd, content)

    def wait_for(self, words: str) -> None:
        began_s = time.monotonic()
        while words not in self.heard:
            assert time.monotonic() - began_s < LONG_S, self.heard
            self.heard += os.read(self.fd, 4096).decode()

    def go_on(self) -> None:
        """`fg`; said before the job has stopped, it is lost."""
        job = re.search(r"job (\d+) \.", self.heard)
        assert job
        os.kill(int(job[1]), signal.SIGCONT)

    def canonical(self) -> bool:
        import termios

        return bool(termios.tcgetattr(self.fd)[3] & termios.ICANON)


@contextmanager
def _child() -> Iterator[_Child]:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    try:
        child = _Child(process, ours)
        child.wait_for("taken")
        yield child
    finally:
        os.close(ours)  # hangs up: the job ends with its terminal
        process.kill()
        process.wait()
        os.close(theirs)


def _until(condition: Callable[[], bool]) -> None:
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < LONG_S
        time.sleep(0.01)


@posix
def test_keys_come_one_by_one_and_the_terminal_is_put_back() -> None:
    with _child() as child:
        child.press(b"s")
        child.wait_for("key s")
        child.press(b"\x1b[C")
        child.wait_for("key right")
        child.press(b"\x1b")
        child.wait_for("key esc")
        child.press(b"q")
        child.wait_for("after True True")
    assert "before True True" in child.heard
    assert "taken False False" in child.heard
    assert child.heard.count("key ") == 3


@posix
@pytest.mark.parametrize(("press", "error"), [(b"x", "RuntimeError"), (b"\x03", "Keyboard")])
def test_an_exception_and_ctrl_c_put_the_terminal_back(press: bytes, error: str) -> None:
    with _child() as child:
        child.press(press)
        child.wait_for(f"raised {error}")
        child.wait_for("after True True")


@posix
def test_the_shell_has_its_terminal_while_we_are_suspended() -> None:
    with _child() as child:
        child.press(b"\x1a")  # Ctrl-Z
        _until(child.canonical)
        _until(lambda: child.go_on() or not child.canonical())
        child.press(b"s")
        child.wait_for("key s")
        child.press(b"q")
        child.wait_for("after True True")
