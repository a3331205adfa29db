"""How far a long piece of work is: a bar, a rate and the time left, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress(
    what: str, total: int, unit: str, *, quiet: bool = False
) -> Iterator[Callable[[int, str], None]]:
    """Gives `tell(done, note)`. On a terminal it draws a bar; elsewhere one line at the end."""
    console = Console(stderr=True, quiet=quiet)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}"),
        console=console,
    )
    with bar:
        task = bar.add_task(what, total=total, rate="", note="")

        def tell(done: int, note: str = "") -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            rate = f"{speed:.1f} {unit}/s" if speed else ""
            bar.update(task, completed=done, rate=rate, note=note)

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
