"""Lead an arm by hand and record nothing: to try a desk, to practise, and to feel its delay.

The loop is the one that records, without a recorder and, unless --live shows them, without
cameras: what this feels like is the least delay that the hardware allows. Esc ends it.
"""

from __future__ import annotations

import json as json_
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vibrissa.commands.checked import check_leader
from vibrissa.commands.rigs import (
    LEADERS,
    RIG_KEYS,
    Lead,
    Stand,
    leader_of,
    live_view,
    make_real,
    open_leader,
    require_keys,
    rig_of,
)
from vibrissa.core.errors import ArmFault, UsageError

if TYPE_CHECKING:
    from vibrissa.control.keys import Keys
    from vibrissa.control.mending import Mending
    from vibrissa.control.paced import Paced
    from vibrissa.control.session import Freely
    from vibrissa.core.protocols import Observer
    from vibrissa.real.rig import Rig
    from vibrissa.real.vitals import Vitals
    from vibrissa.show.status import StatusLine


@dataclass(frozen=True)
class Config:
    config: Path | None = None
    """A YAML file that names the hardware, such as `vibrissa setup` or `vibrissa twin` writes."""
    pilot: str = ""
    """Who leads: leader, keyboard or gamepad; the file's by default."""
    seconds: float | None = None
    """For how long; until Esc by default."""
    rate: float = 30.0
    """Ticks a second: how often the arm is looked at. It is led more often."""
    forward: float = 200.0
    """How often a second the leader is followed, where the buses allow it."""
    task: str = "pick-place"
    """Without a file: the simulated arm of this task."""
    cameras: tuple[str, ...] = ()
    """Which cameras --live shows; all of the file's by default."""
    live: bool = False
    """Show joints, cameras and their health in rerun's viewer."""
    live_file: Path | None = None
    """The same into a new file, such as view.rrd, for rerun's viewer."""
    json: bool = False
    """Print the figures as JSON."""


def defaults(args: Sequence[str]) -> Config | None:
    from vibrissa.commands.config_file import defaults_from

    return defaults_from(Config, args, beside=RIG_KEYS)


def run(cfg: Config) -> int:
    from vibrissa.control.keys import open_keys
    from vibrissa.show.status import StatusLine

    rig = rig_of(cfg.config, Config, cfg.cameras)
    who = _check(cfg, rig)
    with ExitStack() as opened:
        status = opened.enter_context(StatusLine(keys={"teleop": "Esc stop"}))
        keys = opened.enter_context(open_keys(tell=status.say))
        require_keys(who, keys)
        watching = (status, *live_view(cfg.live, cfg.live_file, opened))
        stand = _stand(cfg, rig, who, opened, status)
        lead = open_leader(rig, who, stand, keys, opened, status.say)
        paced, freely, mending, vitals = _around(cfg, lead, stand, keys, status, watching)
        status.announce("teleop", 0, 0, freely.seconds)
        stopped = _lead(paced, freely, mending)
    _tell(cfg, paced, vitals, mending, freely)
    return int(not stopped)


def _check(cfg: Config, rig: Rig) -> str:
    """Who leads. Raises UsageError for what makes no sense."""
    who = cfg.pilot or leader_of(rig)
    if who not in LEADERS:
        known = ", ".join(LEADERS)
        given = f"no pilot {who!r}" if who else "nobody leads"
        raise UsageError(f"{given}. Name one with --pilot: {known}; or leader: in the file.")
    for name in ("seconds", "rate", "forward"):
        value = getattr(cfg, name)
        if value is not None and not 0 < value < 100_000:
            raise UsageError(f"--{name} {value:g}: more than 0 and less than 100000.")
    return who


def _stand(cfg: Config, rig: Rig, who: str, opened: ExitStack, status: StatusLine) -> Stand:
    if rig.arm.kind == "simulated":
        from vibrissa.sim.arm import SimArm
        from vibrissa.sim.tasks import make_scene

        arm = SimArm(make_scene(cfg.task, rate_hz=cfg.rate), cameras=cfg.cameras)
        opened.callback(arm.close)
        return Stand(arm)
    if not cfg.live and cfg.live_file is None:
        rig = replace(rig, cameras=())
    real = make_real(rig, rate_hz=cfg.rate, instruction="", say=status.say, led=who == "leader")
    if who == "leader":
        check_leader(rig)
    return Stand(opened.enter_context(real), real=real)


def _around(
    cfg: Config,
    lead: Lead,
    stand: Stand,
    keys: Keys,
    status: StatusLine,
    watching: Sequence[Observer],
) -> tuple[Paced, Freely, Mending, Vitals | None]:
    """What is seen of it, and what is done after a fault."""
    from vibrissa.control.mending import Mending
    from vibrissa.control.paced import Paced
    from vibrissa.control.session import Freely
    from vibrissa.real.vitals import Vitals

    def note(text: str) -> None:
        status.note = text

    real = stand.real
    vitals = Vitals(lambda: real.link.joints.senses, note) if real is not None else None
    if lead.told:
        status.say(lead.told)
    if vitals is not None:
        watching = (*watching, vitals)
    paced = Paced(stand.arm, lead.pilot, watching=watching, forward_hz=cfg.forward)
    freely = Freely(rate_hz=paced.rate_hz, keys=lead.rest, seconds=cfg.seconds or math.inf)

    def reconnect() -> None:
        lead.part()
        stand.arm.reset(0)
        lead.pilot.reset(0)

    mending = Mending(lead.rest, reconnect if real is not None else None, status.say)
    return paced, freely, mending, vitals


def _lead(paced: Paced, freely: Freely, mending: Mending) -> bool:
    """Until the time is over or somebody says stop; False where a fault was the last word."""
    while True:
        try:
            paced.play(freely)
            return True
        except ArmFault as fault:
            if not mending.go_on(fault):
                return False


def _tell(
    cfg: Config, paced: Paced, vitals: Vitals | None, mending: Mending, freely: Freely
) -> None:
    from vibrissa.control.doubts import in_words

    forwarding = paced.forwarding
    assert forwarding is not None  # everybody in LEADERS is followed
    if cfg.json:
        told = {
            "timing": paced.meter.whole().to_dict(),
            "forwarding": {
                "rate_hz": round(forwarding.rate_hz, 1),
                "latency_p50_ms": round(forwarding.pass_p50_s * 1e3, 3),
                "latency_p99_ms": round(forwarding.pass_p99_s * 1e3, 3),
                "gap_most_ms": round(forwarding.gap_most_s * 1e3, 3),
            },
            "joints": freely.measures(),
            "faults": mending.faults,
        }
        print(json_.dumps(told))
        return
    print("\n".join(paced.told()))
    if vitals is not None:
        print(vitals.told())
    doubts = in_words(freely.measures())
    if doubts:
        print(f"warning: {doubts}")
