"""Labels given afterwards, rollout by rollout, by whoever looks at the films."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vibrissa.bench.logbook import film_of, label, so_far
from vibrissa.bench.verdicts import BY_KEY, KEYS_TOLD
from vibrissa.control.keys import Keys

POLL_S = 0.05


def walk(
    folder: Path,
    indices: Sequence[int],
    keys: Keys,
    *,
    say: Callable[[str], None],
    show: Callable[[Path], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Ask for the rollouts `indices`, from 0, how they went; how many were answered.

    A key of `BY_KEY` says it, → leaves it as it is, ← goes back to the one before, Esc ends.
    Every answer is on the disk at once. After the last one ← still goes back: of two policies
    nothing can be labelled blindly any more once it is over. show: opens a film. Raises
    UsageError.
    """
    say(f"keys    {KEYS_TOLD}, → leave it, ← back, Esc stop")
    answered, at = set(), 0
    while indices:
        if at == len(indices):
            say("that was the last one: → or Esc to end, ← back")
            if _wait(keys, sleep, ("left", "right", "esc")) != "left":
                break
            at -= 1
        number = indices[at] + 1
        film = film_of(folder, indices[at])
        there = str(film) if film.is_file() else "no film of it"
        say(f"rollout {number} ({at + 1} of {len(indices)} to be labelled): {there}")
        if show is not None and film.is_file():
            show(film)
        key = _wait(keys, sleep, (*BY_KEY, "left", "right", "esc"))
        if key == "esc":
            break
        if key in BY_KEY:
            rows = label(folder, number, BY_KEY[key])
            answered.add(number)
            became = next(row.failure_class for row in rows if row.rollout == number)
            say(f"rollout {number}: {became.lower()}; {so_far(rows)}")
        at = max(0, at - 1) if key == "left" else at + 1
    return len(answered)


def _wait(keys: Keys, sleep: Callable[[float], None], wanted: Sequence[str]) -> str:
    """The next of the keys that mean something here."""
    while True:
        key = keys.poll()
        if key is not None and key in wanted:
            return key
        sleep(POLL_S)
