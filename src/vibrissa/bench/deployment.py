"""Rollouts of a policy on an arm that somebody stands beside, one after another.

A row is on the disk as soon as its rollout is over, before the arm goes anywhere: whatever
happens on the way home costs neither results nor films.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vibrissa.bench.evaluate import Meter
from vibrissa.bench.logbook import Logbook, so_far
from vibrissa.bench.outcomes import Row
from vibrissa.bench.verdicts import BY_KEY, FAILURE, UNLABELLED, Watched, reason_of
from vibrissa.control.clock import Clock
from vibrissa.control.drive import run_behind, run_episode
from vibrissa.control.keys import Keys
from vibrissa.control.meter import Laps
from vibrissa.control.rollout import rollout
from vibrissa.core.episode import Episode
from vibrissa.core.errors import ArmFault, VibrissaError
from vibrissa.core.protocols import Arm, Observer, Pilot, Policy

POLL_S = 0.05


@dataclass(frozen=True)
class Stage:
    """What stands ready for rollouts: the arm, who drives it, who judges, who watches.

    arm: was reset once, for a first look. home: brings it to its start pose and says what went
    wrong, if anything; None where `arm.reset` does, or nobody wants it. behind: inference runs
    in a thread, while the arm plays the tail of its chunk. reset_s: how long somebody has
    between two rollouts to put things back; `waits` makes it as long as it takes, until a key.
    """

    arm: Arm
    policy: Policy
    pilot: Pilot
    task: Watched
    keys: Keys
    clock: Clock | None = None
    laps: Laps | None = None
    observers: Sequence[Observer] = ()
    behind: bool = True
    home: Callable[[], str] | None = None
    reset_s: float = 0.0
    waits: bool = False
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Turn:
    """One rollout to come: who drives it, from which seed, and what the row may call them.

    place: what is to be done with the things on the table before it.
    """

    stage: Stage
    seed: int
    pilot: str = "policy"
    place: str = ""


@dataclass(frozen=True)
class Ending:
    """Why it is over: all rollouts done, the operator's wish (Esc), Ctrl-C, or trouble."""

    trouble: VibrissaError | None = None
    stopped: bool = False
    interrupted: bool = False


def deploy(
    stage: Stage,
    book: Logbook,
    rollouts: int,
    *,
    first_seed: int = 0,
    turns: Callable[[int], Turn] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Ending:
    """Those of the first `rollouts` that `book` does not hold. Returns however it ends.

    turns: whose turn it is, by the rollout's number; `stage`'s own policy without it.

    The arm holds whenever no rollout runs. The way home is guarded: where it fails, that is the
    trouble unless there was another one before.
    """
    ending = Ending()
    turn_of = turns or (lambda number: Turn(stage, first_seed + number))
    try:
        for number in book.missing(rollouts):
            turn = turn_of(number)
            _go_home(turn.stage)
            if not _set_up(turn, book, number, rollouts, say):
                ending = Ending(stopped=True)
                break
            row = _roll(turn, book, number)
            _tell(book, row, rollouts, say)
            if turn.stage.task.stopped:
                ending = Ending(stopped=True)
                break
    except VibrissaError as trouble:
        ending = Ending(trouble=trouble)
    except KeyboardInterrupt:
        ending = Ending(interrupted=True)
    return _leave(stage, ending, say)


def _tell(book: Logbook, row: Row, rollouts: int, say: Callable[[str], None]) -> None:
    became = f"{row.failure_class.lower()}, {row.ticks} ticks"
    say(f"rollout {row.rollout} of {rollouts}: {became}; {so_far(book.rows)}")


def _roll(turn: Turn, book: Logbook, number: int) -> Row:
    """One rollout; its row is kept whatever ends it, then goes up what ended it."""
    meter, stage, seed = Meter(turn.pilot), turn.stage, turn.seed
    watching = [meter, *stage.observers]
    try:
        _episode(stage, watching, seed)
    except BaseException as error:
        if meter.row is None:  # it never started: the arm could not be reset or seen
            detail = f"{type(error).__name__}: {error}"
            reason = "aborted" if isinstance(error, KeyboardInterrupt) else "fault"
            meter.row = Row(
                seed, meter.pilot, stage.task.name, reason, reason.upper(), 0, detail=detail
            )
        try:
            book.add(replace(meter.row, rollout=number + 1))
        except VibrissaError as trouble:
            error.add_note(f"and its row: {trouble}")
        raise
    assert meter.row is not None
    row = replace(meter.row, rollout=number + 1)
    book.add(row)
    return row


def _episode(stage: Stage, watching: Sequence[Observer], seed: int) -> Episode:
    if not stage.behind:
        return run_episode(
            stage.arm,
            stage.pilot,
            stage.task,
            watching,
            seed=seed,
            policy=stage.policy,
            clock=stage.clock,
            laps=stage.laps,
        )
    episode = rollout(
        stage.arm,
        stage.pilot,
        stage.task,
        watching,
        seed=seed,
        clock=stage.clock,
        laps=stage.laps,
    )
    return run_behind(episode, stage.policy)


def _go_home(stage: Stage) -> None:
    """Raises ArmFault where the arm cannot."""
    trouble = stage.home() if stage.home is not None else ""
    if trouble:
        raise ArmFault(trouble)


def _set_up(
    turn: Turn, book: Logbook, number: int, rollouts: int, say: Callable[[str], None]
) -> bool:
    """Time to put things back, and to label what nobody has labelled; False: enough."""
    stage = turn.stage
    if not stage.waits and stage.reset_s <= 0:
        return True
    may = _may_be_said(book) if book.rows else ()
    how = "→ to begin" if stage.waits else f"it begins in {stage.reset_s:g} s (→ at once)"
    place = f"{turn.place}, then " if turn.place else ""
    late = "; s or f says how the last one went, u n d m t more closely" * (len(may) > 1)
    say(f"rollout {number + 1} of {rollouts}: {place}{how}, Esc to stop{late}")
    left_s = float("inf") if stage.waits else stage.reset_s
    while left_s > 0:
        key = stage.keys.poll()
        if key == "esc":
            return False
        if key == "right":
            return True
        if key is not None and BY_KEY.get(key) in may:
            _label_last(book, BY_KEY[key])
            may = _may_be_said(book)
            _tell(book, book.rows[-1], rollouts, say)
        stage.arm.observe()  # it looks after itself, and tells if it is gone
        stage.sleep(POLL_S)
        left_s -= POLL_S
    return True


def _may_be_said(book: Logbook) -> tuple[str, ...]:
    """What a person may still say of the last rollout: all, or why, or how well."""
    last = book.rows[-1].failure_class
    if last == UNLABELLED:
        return tuple(BY_KEY.values())
    if last == FAILURE:
        return tuple(name for name in BY_KEY.values() if reason_of(name) != "success")
    return ("FUMBLED",) if last == "SUCCESS" else ()


def _label_last(book: Logbook, name: str) -> None:
    last = book.rows[-1]
    book.replace_last(
        replace(last, reason=reason_of(name), failure_class=name, detail="labelled after it")
    )


def _leave(stage: Stage, ending: Ending, say: Callable[[str], None]) -> Ending:
    """Home once more; an arm that is in trouble already may not be able to, and is left holding."""
    try:
        _go_home(stage)
    except VibrissaError as trouble:
        if ending.trouble is None:
            return replace(ending, trouble=trouble)
        say(f"the arm could not go home: {trouble}")
    except KeyboardInterrupt:
        return replace(ending, interrupted=True)
    return ending
