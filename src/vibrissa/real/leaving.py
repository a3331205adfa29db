"""What must be done before this program ends, by whatever signal that can be caught.

Out of reach are kill -9, a program that crashes in C code, and a power cut: no Python runs there.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# By default these end no program; the first two cannot be caught.
_SPARED = (
    *("SIGKILL", "SIGSTOP", "SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGINFO"),
    *("SIGTSTP", "SIGTTIN", "SIGTTOU"),
)
# A fault of C code raises these at an instruction that would be tried again and again.
_FAULTS = {getattr(signal, name, 0) for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL")}
_STATUS = "/proc/self/status"
SUSPENDED = (
    "vibrissa: suspended. The arm holds its last target: its torque stays on, and nobody watches "
    "its heat. To resume: fg. To end: fg, then Ctrl-C.\n"
)


class Terminated(KeyboardInterrupt):
    """A signal from outside was to end this program: SIGTERM, a closed terminal, Ctrl-\\, …

    It takes the way of Ctrl-C, so that an episode ends as it would by hand.
    """


def at_exit(leave: Callable[[], None]) -> Callable[[], None]:
    """Have `leave` called when the program ends; call what is returned once it is done."""
    atexit.register(leave)
    return lambda: atexit.unregister(leave)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Every signal that would end this program raises `Terminated` in the main thread instead.

    Those that somebody else takes or ignores are left alone. Ctrl-Z still suspends, after a line.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = _ending()
    for number in taken:
        _take(number, _raise)
    with _suspended_with_a_word():
        try:
            yield
        finally:
            for number in taken:
                signal.signal(number, signal.SIG_DFL)


@contextmanager
def undisturbed() -> Iterator[None]:
    """For the last few packets: an impatient Ctrl-C waits until they are sent."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before: dict[int, Any] = dict.fromkeys(_ending(), signal.SIG_DFL)
    for number in signal.valid_signals():
        if callable(handler := signal.getsignal(number)):
            before[number] = handler
    for number in before:
        _take(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            _take(number, handler)
    for number in came:
        handler = before[number]
        (handler if callable(handler) else _raise)(number, None)


def _ending() -> list[int]:
    """The signals that would end this program now, and can be caught."""
    spared = {getattr(signal, name, None) for name in _SPARED} | _caught_in_c()
    if _once() is None:
        spared |= _FAULTS
    return [
        number
        for number in sorted(signal.valid_signals() - spared)
        if signal.getsignal(number) is signal.SIG_DFL
    ]


def _caught_in_c() -> set[int]:
    """Signals for which any handler is set: Python does not know those that a library set."""
    try:
        with open(_STATUS, encoding="ascii") as status:
            masks = [line.split()[1] for line in status if line.startswith("SigCgt:")]
    except OSError:  # no Linux
        return set()
    return {n for n in signal.valid_signals() for mask in masks if int(mask, 16) >> (n - 1) & 1}


def _take(number: int, handler: Any) -> None:
    """Set a handler; a fault's serves once, and only a signal that was sent comes to it.

    A fault of C code comes again at once, before any Python runs, and then ends the program as
    ever: it must not hang with the torque on.
    """
    signal.signal(number, handler)
    if number in _FAULTS and callable(handler) and (once := _once()) is not None:
        once(number, once(number, None))


def _once() -> Any:
    """The C library's call that sets a handler which serves once; None where there is none."""
    if sys.platform != "linux":
        return None
    call = getattr(ctypes.CDLL(None), "sysv_signal", None)
    if call is not None:
        call.argtypes, call.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    return call


@contextmanager
def _suspended_with_a_word() -> Iterator[None]:
    """Ctrl-Z says what becomes of the arm, then suspends as it would without us."""
    number = getattr(signal, "SIGTSTP", None)
    before: Any = None if number is None else signal.getsignal(number)
    if number is None or before in (None, signal.SIG_IGN):
        yield
        return

    def suspend(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            os.write(2, SUSPENDED.encode())  # a stream may be in the middle of a line
        if callable(before):
            before(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        signal.signal(number, suspend)

    signal.signal(number, suspend)
    try:
        yield
    finally:
        if signal.getsignal(number) is suspend:  # else whoever came after us has it
            signal.signal(number, before)


def _raise(number: int, _frame: FrameType | None) -> None:
    if number in _FAULTS:
        _take(number, _raise)  # it may be sent once more
    raise Terminated(f"ended by {_name(number)}")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between the first and the last
        return f"signal {number}"
