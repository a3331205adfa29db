"""How far a long piece of work is: a bar, a rate and the time left, on stderr."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

LATELY_S = 30.0  # a rate is that of so many seconds, or of all since the start


@contextmanager
def progress(
    what: str,
    total: int,
    unit: str,
    *,
    done: int = 0,
    quiet: bool = False,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int, str], None]]:
    """Gives `tell(done, note)`. On a terminal it draws a bar; elsewhere one line at the end.

    done: how many were done before, at no cost in time.
    """
    console = Console(stderr=True, quiet=quiet)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[note]}"),
        console=console,
    )
    with bar:
        task = bar.add_task(what, total=total, completed=done, rate="", left="--:--", note="")
        pace = _Pace(done, now)

        def tell(done: int, note: str = "") -> None:
            speed = pace.of(done)
            rate = f"{speed:.1f} {unit}/s" if speed else ""
            left = _clock((total - done) / speed) if speed else "--:--"
            bar.update(task, completed=done, rate=rate, left=left, note=note)

        yield tell


@contextmanager
def stages() -> Iterator[Callable[[str, int, int, str, str], None]]:
    """Gives `tell(what, done, total, unit, note)`: a bar of its own for each `what`, in turn."""
    with ExitStack() as now:
        shown: list[tuple[str, Callable[[int, str], None]]] = []

        def tell(what: str, done: int, total: int, unit: str, note: str = "") -> None:
            if not shown or shown[-1][0] != what:
                now.close()
                shown.append((what, now.enter_context(progress(what, total, unit))))
            shown[-1][1](done, note)

        yield tell


class _Pace:
    """How much gets done in a second.

    The time until the first is done counts: many that end at once were under way all along.
    """

    def __init__(self, done: int, now: Callable[[], float]):
        self._now = now
        self._told = deque([(now(), done)])

    def of(self, done: int) -> float:
        """The rate now that so many are done; 0 where there is none to tell."""
        now_s = self._now()
        if done != self._told[-1][1]:
            self._told.append((now_s, done))
        while len(self._told) > 2 and self._told[1][0] <= now_s - LATELY_S:
            self._told.popleft()
        since_s, before = self._told[0]
        return (done - before) / (now_s - since_s) if now_s > since_s and done > before else 0.0


def _clock(seconds: float) -> str:
    """Such as 02:05, or 1:02:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
