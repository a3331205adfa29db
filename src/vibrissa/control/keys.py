"""Keys of our own terminal, and of no other window: polled by the loop, never waited for.

Nothing is hooked into the system: what is typed elsewhere is not seen. Without a terminal of
our own (a pipe, a service, a job in the background) there are no keys, and one line says so.
"""

from __future__ import annotations

import codecs
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from types import FrameType, TracebackType
from typing import Any, Protocol, TextIO

ESC_WAIT_S = 0.05  # an arrow's bytes arrive together; a lone ESC byte is the Esc key after this
ESC = "\x1b"
# What a VT100 sends after ESC [ or ESC O, with or without modifiers before the last letter.
_ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
_PLAIN = {" ": "space", "\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace"}
_PLAIN |= {"\x08": "backspace"}
_WINDOWS = {"H": "up", "P": "down", "M": "right", "K": "left", "G": "home", "O": "end"}


class Keys(Protocol):
    """Keys that were pressed, oldest first: "right", "esc", "space", "s", …; None for none."""

    def poll(self) -> str | None: ...


class NoKeys:
    """Nobody is there to press any."""

    def poll(self) -> str | None:
        return None


class ScriptedKeys:
    """One entry of `presses` at each poll, None where nothing is pressed; then nothing more."""

    def __init__(self, presses: Iterable[str | None]):
        self._presses: Iterator[str | None] = iter(presses)

    def poll(self) -> str | None:
        return next(self._presses, None)


def split(keys: Keys, names: Container[str]) -> tuple[Keys, Keys]:
    """Two readers of one keyboard: one gets the keys of these names, the other all the rest."""
    if isinstance(keys, NoKeys):
        return keys, keys
    source = _Split(keys, names)
    return _Part(source, named=True), _Part(source, named=False)


def open_keys(
    stream: TextIO | None = None, *, tell: Callable[[str], None] | None = None
) -> AbstractContextManager[Keys]:
    """The keys of the terminal behind `stream` (stdin), or none and one line through `tell`."""
    stream = sys.stdin if stream is None else stream
    tell = tell or (lambda line: print(line, file=sys.stderr))
    if stream is None or stream.closed or not stream.isatty():
        tell("keys: none, for there is no terminal here; the time limits alone end an episode.")
        return nullcontext(NoKeys())
    if sys.platform == "win32":
        return nullcontext(WindowsKeys())
    if not _in_front(stream.fileno()):
        tell("keys: none, for this runs in the background; the time limits alone end an episode.")
        return nullcontext(NoKeys())
    return TerminalKeys(stream.fileno())


class Decoder:
    """Bytes of a terminal → names of keys.

    An arrow is several bytes that begin with ESC, which may arrive in two parts; ESC is the Esc
    key once nothing has followed it for `ESC_WAIT_S`. Unknown sequences are swallowed whole.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic):
        self._now, self._text, self._fed_s = now, "", 0.0
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def feed(self, content: bytes) -> None:
        if content:
            self._text += self._decode(content)
            self._fed_s = self._now()

    def next(self) -> str | None:
        """The oldest key that is whole."""
        while self._text:
            name, length = self._first()
            if length == 0:
                return None
            self._text = self._text[length:]
            if name is not None:
                return name
        return None

    def _first(self) -> tuple[str | None, int]:
        """Name and length of what stands first; None: a key without a name; 0: not whole yet."""
        text = self._text
        if text[0] != ESC:
            return _PLAIN.get(text[0], text[0].lower() if text[0].isprintable() else None), 1
        patient = self._now() - self._fed_s < ESC_WAIT_S
        if len(text) == 1 or text[1] == ESC:
            return (None, 0) if len(text) == 1 and patient else ("esc", 1)
        if text[1] not in "[O":
            return None, 2  # Alt and a key: nobody's
        for at in range(2, len(text)):
            if "@" <= text[at] <= "~":  # the final byte of a sequence (ECMA-48, 5.4)
                return _ARROWS.get(text[at]), at + 1
        return (None, 0) if patient else (None, len(text))


class TerminalKeys:
    """The keys of the terminal `fd`, taken one by one between `with` and its end.

    The terminal is put back as it was whatever happens: an exception, Ctrl-C, and also while the
    program is suspended by Ctrl-Z. Output is left alone, and Ctrl-C still interrupts. What was
    typed before is not taken for a key, and what nobody read is not left to the shell.
    """

    def __init__(self, fd: int, *, now: Callable[[], float] = time.monotonic):
        self._fd, self._decoder = fd, Decoder(now)
        self._as_it_was: list[Any] | None = None
        self._old_handler: Any = None

    def __enter__(self) -> TerminalKeys:
        if threading.current_thread() is threading.main_thread():
            self._old_handler = signal.signal(signal.SIGTSTP, self._suspend)
        self._take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._give_back()
        if self._old_handler is not None:
            signal.signal(signal.SIGTSTP, self._old_handler)
            self._old_handler = None

    def poll(self) -> str | None:
        import select

        if not _in_front(self._fd):
            return None  # reading a terminal from the background would stop the program
        if self._as_it_was is None:
            self._take()
        try:
            while select.select([self._fd], [], [], 0)[0]:
                content = os.read(self._fd, 1024)
                self._decoder.feed(content)
                if not content:
                    break
        except OSError:
            return None  # the terminal is gone, and its keys with it
        return self._decoder.next()

    def _take(self) -> None:
        import termios
        import tty

        self._as_it_was = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd, termios.TCSAFLUSH)

    def _give_back(self) -> None:
        import termios

        if self._as_it_was is None:
            return
        as_it_was, self._as_it_was = self._as_it_was, None
        try:
            termios.tcsetattr(self._fd, termios.TCSAFLUSH, as_it_was)
        except termios.error:
            return  # the terminal was closed meanwhile: there is nothing to put back

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its terminal as it was; we take it again when we go on."""
        self._give_back()
        if callable(self._old_handler):
            self._old_handler(number, frame)
        else:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._suspend)
        if _in_front(self._fd):
            self._take()


class WindowsKeys:
    """The keys of our own console window, through the C runtime."""

    def poll(self) -> str | None:
        if sys.platform != "win32":
            return None
        import msvcrt

        if not msvcrt.kbhit():
            return None
        pressed = msvcrt.getwch()
        if pressed in ("\x00", "\xe0"):  # a key without a sign of its own: its code follows
            return _WINDOWS.get(msvcrt.getwch())
        if pressed == "\x03":
            raise KeyboardInterrupt
        return "esc" if pressed == ESC else _PLAIN.get(pressed, pressed.lower())


class _Split:
    """What has been read for each of two readers and not been taken yet."""

    def __init__(self, keys: Keys, names: Container[str]):
        self.keys, self.names = keys, names
        self.waiting: dict[bool, deque[str]] = {True: deque(), False: deque()}

    def poll(self, named: bool) -> str | None:
        while not self.waiting[named] and (key := self.keys.poll()) is not None:
            self.waiting[key in self.names].append(key)
        return self.waiting[named].popleft() if self.waiting[named] else None


class _Part:
    def __init__(self, source: _Split, *, named: bool):
        self._source, self._named = source, named

    def poll(self) -> str | None:
        return self._source.poll(self._named)


def _in_front(fd: int) -> bool:
    """Whether we are the job that the terminal `fd` speaks to."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
