"""Questions to somebody at a terminal, or to a script that answers in his place, line by line."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Sequence

from vibrissa.core.errors import UsageError


class Talk:
    """Asks on stdout and reads whole lines of `fd` (stdin). Raises UsageError when it ends."""

    def __init__(self, fd: int | None = None, tell: Callable[[str], None] | None = None):
        self._fd = sys.stdin.fileno() if fd is None else fd
        self._tell = tell or (lambda line: print(line, flush=True))
        self._heard = b""

    def tell(self, line: str) -> None:
        self._tell(line)

    def ask(self, question: str, usual: str = "") -> str:
        """The answer, or `usual` where Enter alone was pressed."""
        self.tell(f"{question} [{usual}]" if usual else question)
        while b"\n" not in self._heard:
            self._hear()
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode("utf-8", "replace").strip() or usual

    def choose(self, question: str, choices: Sequence[str]) -> str:
        """One of `choices`, by its first letter or whole; the first one by Enter."""
        told = ", ".join([f"Enter {choices[0]}", *(f"{c[0]} {c}" for c in choices[1:])])
        while True:
            answer = self.ask(f"{question} ({told})").lower()
            found = [c for c in choices if answer in (c, c[0])] if answer else [choices[0]]
            if found:
                return found[0]
            self.tell(f"{answer!r} is none of these.")

    def answered(self) -> bool:
        """Whether a line waits; it is taken away. For loops that go on until Enter."""
        while b"\n" not in self._heard and select.select([self._fd], [], [], 0)[0]:
            self._hear()
        if b"\n" not in self._heard:
            return False
        _, _, self._heard = self._heard.partition(b"\n")
        return True

    def _hear(self) -> None:
        content = os.read(self._fd, 4096)
        if not content:
            raise UsageError(
                "setup asks questions, and nobody answers any more. What was done so far is kept; "
                "run it again in a terminal."
            )
        self._heard += content
