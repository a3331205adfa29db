"""What must be done before this program ends, however it ends, short of a kill -9."""

from __future__ import annotations

import atexit
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """Somebody ended this program from outside (SIGTERM), or closed its terminal (SIGHUP).

    It takes the way of Ctrl-C, so that an episode ends as it would by hand.
    """


def at_exit(leave: Callable[[], None]) -> Callable[[], None]:
    """Have `leave` called when the program ends; call what is returned once it is done."""
    atexit.register(leave)
    return lambda: atexit.unregister(leave)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `Terminated` in the main thread, where nobody else takes them."""
    taken: dict[int, object] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                taken[number] = signal.signal(number, _raise)
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
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {n: signal.signal(n, lambda number, _: came.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if came:
        raise KeyboardInterrupt


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Terminated(f"ended by {signal.Signals(number).name}")
