"""Which of two or more policies is better? Tried on the same seeds, for as long as it takes.

Better, worse or not separated, with the difference, its interval and what could have been seen;
several get letters. It stops when the anytime test has decided, or at --episodes. Contenders are
checkpoints (RUN:horizon=10), expert, zero or random, folders of eval and deploy, tables of
episodes (.csv) and counts (name=32/50). docs/compare.md tells more.
"""

from __future__ import annotations

import json as json_
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from vibrissa.core.errors import UsageError
from vibrissa.core.seeds import HELD_OUT

if TYPE_CHECKING:
    from vibrissa.bench.contest import Entrant, Held
    from vibrissa.bench.outcomes import Row
    from vibrissa.bench.setups import Place
    from vibrissa.core.contract import Contract
    from vibrissa.learn.policy import CheckpointPolicy

UNTOLD = ("out", "json", "no_films", "contenders")  # what the page does not list as a setting


@dataclass(frozen=True)
class Config:
    contenders: Positional[tuple[str, ...]]
    """Two or more, each with a label of your own if you like: old=runs/a new=runs/b."""
    task: str = ""
    """A task by name, or a file of your own; without it, the one the checkpoint was made for."""
    episodes: int = 200
    """At most so many seeds are tried. With the same --out and more of them, it goes on."""
    seeds: int = HELD_OUT
    """The first seed; the others follow it. Recorded contenders bring their own seeds."""
    site: str = ""
    """Where the object starts: a site of the task, by name; the usual one by default."""
    spawn_half: float | None = None
    """Half the side of the square in which the object starts, m, where the task's does not suit."""
    friction: str = "plausible"
    """The contact variant of the scene: plausible or sticky."""
    randomise: str = "none"
    """What differs from one episode to the next: none, light, strong, or some factors of one,
    such as strong:friction,mass (docs/randomisation.md)."""
    servo: Path | None = None
    """A servo profile of a real arm, from `vibrissa fit`; the standard servos by default."""
    rig: str = ""
    """Which cameras there are: rgb or rgbd; the task's own by default."""
    same_scenes: bool = False
    """Episode numbers of tables and rollouts stand for scenes: number 7 of each was the same."""
    level: float = 0.95
    """How sure: one minus the share of equally good contenders that may be called different."""
    dataset: Path | None = None
    """Of checkpoints that carry no contract: the dataset they were trained on."""
    accept_inferred: tuple[str, ...] = ()
    """Take an inferred contract: the digest that was shown with it."""
    given: tuple[str, ...] = ()
    """What you know of a checkpoint without a contract: unit=m100_100, rate=15, instruction=…"""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps; auto takes a GPU where there is one."""
    no_films: bool = False
    """Leave out the films of seeds on which two contenders differ."""
    out: Path | None = None
    """A folder for outcomes.jsonl and compare.html; one that was begun is gone on with."""
    json: bool = False
    """Print the result as JSON."""


def run(cfg: Config) -> int:
    from vibrissa.bench.contest import common_seeds, hold, looked_at, seeds_compared
    from vibrissa.bench.entrants import enter, sources
    from vibrissa.bench.terms import looks_in
    from vibrissa.bench.workers import prepare

    began_s = time.perf_counter()
    _check(cfg)
    wanted = sources(cfg.contenders)
    if any(source.kind == "policy" for source in wanted):
        prepare(cfg.episodes)
    entrants, place = enter(
        wanted, partial(_open, cfg), partial(_place, cfg), same_scenes=cfg.same_scenes
    )
    common_seeds(entrants, cfg.seeds, 1)  # none in common is told before a folder is begun
    told = _terms(cfg, entrants, place)
    known, keep = _rows(cfg, told)
    most = _at_most(cfg, seeds_compared(entrants, known))
    seeds = common_seeds(entrants, cfg.seeds, most)
    odd = _cautions(entrants, seeds)
    _warn(odd)
    held = hold(entrants, seeds, place=place, known=known, keep=keep, level=cfg.level)
    held = looked_at(replace(held, cautions=odd, terms=told), looks_in(cfg.out))
    _warn(held.cautions[len(odd) :])
    page, unwritten = None, None
    if cfg.out is not None:
        page, unwritten = _write(cfg, held, entrants, place, time.perf_counter() - began_s)
    _tell(cfg, held, entrants, page)
    if unwritten is not None:
        raise unwritten
    return _exit_code(held)


def _check(cfg: Config) -> None:
    """What can be said before anything is built."""
    if len(cfg.contenders) < 2:
        raise UsageError(
            "say who is compared, two or more: vibrissa compare runs/a runs/b, or expert, zero, "
            "outcomes.csv, old=32/50."
        )
    if cfg.episodes < 1 or cfg.seeds < 0:
        raise UsageError(f"--episodes {cfg.episodes} --seeds {cfg.seeds}: want at least 1 and 0.")
    if not 0.5 <= cfg.level < 1:
        raise UsageError(f"--level {cfg.level:g}: from 0.5 to below 1, such as 0.95.")


def _open(cfg: Config, path: Path) -> CheckpointPolicy:
    from vibrissa.bench.foreign import open_policy
    from vibrissa.bench.setups import SLOTS
    from vibrissa.learn.preflight import device_named

    return open_policy(
        path,
        slots=SLOTS,
        device=device_named(cfg.device),
        dataset=cfg.dataset,
        accepted=cfg.accept_inferred,
        given=cfg.given,
        say=partial(print, file=sys.stderr),
    )


def _place(cfg: Config, contract: Contract | None) -> Place:
    from vibrissa.bench.setups import place_for
    from vibrissa.sim.profile import load_servo

    if contract is None and not cfg.task:
        raise UsageError("scripted pilots need a task: --task pick-place, or a file.")
    return place_for(
        contract,
        task=cfg.task,
        site=cfg.site,
        friction=cfg.friction,
        randomise=cfg.randomise,
        rig=cfg.rig,
        servo=load_servo(cfg.servo),
        spawn_half=cfg.spawn_half,
    )


def _cautions(entrants: Sequence[Entrant], seeds: Sequence[int]) -> list[str]:
    """What is odd before the first episode: inputs that a policy never had, seeds it may know."""
    from vibrissa.bench.first_look import odd_from
    from vibrissa.bench.options import PilotOptions

    policies = [one for one in entrants if one.setup is not None and one.setup.policy is not None]
    odd = [f"{one.label}: {line}" for one in entrants for line in one.cautions]
    odd += [
        f"{one.label}: {line}"
        for one in policies
        if one.setup is not None
        for line in odd_from(one.setup, seeds)
    ]
    alike: dict[tuple[Any, ...], str] = {}
    for one in policies:
        ways = replace(PilotOptions.parse(one.played["options"]), horizon=None)
        key = (one.played["weights"], one.played["executed"], ways)
        other = alike.setdefault(key, one.label)
        if other != one.label:
            odd.append(f"{other} and {one.label} are the same weights, played in the same way.")
    if policies and min(seeds) < HELD_OUT:
        odd.append(
            f"Demonstrations may have come from these very seeds, which begin below {HELD_OUT}: "
            "this is no test of what was learnt."
        )
    return odd


def _warn(cautions: Sequence[str]) -> None:
    for line in cautions:
        print(f"warning {line}", file=sys.stderr)


def _terms(cfg: Config, entrants: Sequence[Entrant], place: Place | None) -> dict[str, Any]:
    from vibrissa.bench.terms import terms
    from vibrissa.learn.preflight import device_named

    learnt = any(one.setup is not None and one.setup.policy is not None for one in entrants)
    return terms(
        entrants,
        place,
        seeds_from=cfg.seeds,
        level=cfg.level,
        same_scenes=cfg.same_scenes,
        device=device_named(cfg.device) if learnt else "",
    )


def _rows(cfg: Config, told: Mapping[str, Any]) -> tuple[Sequence[Row], Callable[[Row], None]]:
    """The rows that --out holds already, and where new ones go."""
    from vibrissa.bench.outcomes import RowFile
    from vibrissa.bench.page import versions
    from vibrissa.bench.terms import begin
    from vibrissa.bench.trials import OUTCOMES

    if cfg.out is None:
        return (), lambda _row: None
    begin(cfg.out, told, versions())
    file = RowFile(cfg.out / OUTCOMES)
    _warn([file.cut] if file.cut else [])
    return list(file.rows), file.add


def _at_most(cfg: Config, compared: int) -> int:
    """How many seeds count: what was seen already is never left out again."""
    if compared > cfg.episodes:
        print(f"{cfg.out} holds {compared} seeds, and all of them count.", file=sys.stderr)
    return max(cfg.episodes, compared)


def _settings(cfg: Config, place: Place | None) -> dict[str, Any]:
    """For the page: what was asked for, and the task that it came to."""
    told = {name: value for name, value in vars(cfg).items() if name not in UNTOLD}
    told |= {"task": place.task} if place is not None else {}
    return {name: value for name, value in told.items() if value not in (None, "", ())}


def _write(
    cfg: Config, held: Held, entrants: Sequence[Entrant], place: Place | None, wall_s: float
) -> tuple[Path | None, UsageError | None]:
    """The page; where the disk refuses it what to say, once the verdict is told."""
    from vibrissa.bench.compare_page import write

    assert cfg.out is not None
    settings = _settings(cfg, place)
    try:
        page = write(
            held, entrants, cfg.out, films=not cfg.no_films, settings=settings, wall_s=wall_s
        )
    except UsageError as error:
        return None, error
    return page, None


def _tell(cfg: Config, held: Held, entrants: Sequence[Entrant], page: Path | None) -> None:
    from vibrissa.bench.compare_words import lines, told_of

    if cfg.json:
        print(json_.dumps(told_of(held, entrants), indent=2))
        return
    print("\n".join(lines(held)))
    found = held.comparisons.found
    open_ = any(one.live and one.word == "not separated" and not one.unjudged for one in found)
    if cfg.out is not None and open_ and held.comparisons.may_be_looked_at:
        print(f"more    the same command with --episodes {_more(cfg.episodes)} goes on with it")
    if page is not None:
        print(f"report  {page}")


def _more(episodes: int) -> int:
    return 500 if episodes < 500 else 2 * episodes


def _exit_code(held: Held) -> int:
    """0 whatever the verdict; 1 where it is worth less than it seems, which is told."""
    if held.gifts:
        print(
            f"vibrissa: the zero pilot, which never moves, succeeded {held.gifts} times: the judge "
            "of this task is broken, and no verdict of it counts.",
            file=sys.stderr,
        )
    if held.lost:
        print(f"vibrissa: {held.lost}", file=sys.stderr)
    broken = [one for one in held.judged if one.live and one.faults]
    for one in broken:
        first = next(row for row in one.rows if row.reason == "fault")
        print(
            f"vibrissa: {one.faults} of {len(one.rows)} episodes of {one.label} broke down and "
            f"count as not solved. The first (seed {first.seed}): {first.detail}",
            file=sys.stderr,
        )
    return int(bool(held.gifts or held.lost or broken or held.broken))
