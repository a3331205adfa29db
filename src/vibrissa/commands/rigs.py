"""From a file to an arm that stands there and somebody who leads it: shared by several commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vibrissa.core.errors import UsageError

if TYPE_CHECKING:
    from vibrissa.control.keys import Keys
    from vibrissa.core.protocols import Arm, Observer, Pilot, Policy, Task
    from vibrissa.real.arm import RealArm
    from vibrissa.real.rig import CameraCfg, Rig

Home = Literal["none", "direct", "staged"]
Say = Callable[[str], None]
LEADERS = ("leader", "keyboard", "gamepad")
RIG_KEYS = ("arm", "leader", "cameras", "home_deg", "rest_deg", "operator", "light")


@dataclass(frozen=True)
class Stand:
    """An arm that is there. task: what judges on it, where it brings its own (a simulated one)."""

    arm: Arm
    task: Task | None = None
    real: RealArm | None = None


@dataclass(frozen=True)
class Lead:
    """Who leads. part: to be called after a fault, so that nobody jumps. told: how it is done.

    rest: the keys that do not lead, for whoever judges.
    """

    pilot: Pilot
    rest: Keys
    policy: Policy | None = None
    part: Callable[[], None] = lambda: None
    told: str = ""


def rig_of(config: Path | None, options: type, cameras: Sequence[str] = ()) -> Rig:
    """The rig that stands in a command's file, a simulated arm without one; `cameras` picks some.

    `options` is the command's Config, whose keys may stand beside the rig's. Raises UsageError
    with file and line.
    """
    from vibrissa.commands.config_file import read_file
    from vibrissa.real.rig import Rig, rig_from

    if config is None:
        return Rig()
    file = read_file(config, options, RIG_KEYS)
    found = {name: entry for name, entry in file.entries.items() if name in RIG_KEYS}
    if "cameras" in found and (found["cameras"].is_list() or found["cameras"].is_text()):
        del found["cameras"]  # names, for a simulated arm
    rig = rig_from(found, file.folder)
    if rig.arm.kind == "simulated" or not cameras:
        return rig
    return replace(rig, cameras=_picked(rig.cameras, cameras))


def make_real(
    rig: Rig, *, rate_hz: float, instruction: str, say: Say, home: Home = "none", led: bool = False
) -> RealArm:
    """The rig's arm, not yet connected: its contract can be looked at.

    led: whether the rig's leader will lead it. Raises UsageError for a rig that must not be used.
    """
    from vibrissa.commands.checked import check_rig, examine
    from vibrissa.real.arm import RealArm

    check_rig(rig, say, led=led)
    return RealArm(rig, rate_hz, instruction=instruction, homing=home, say=say, examine=examine)


def require_keys(who: str, keys: Keys) -> None:
    """Raise UsageError where keys shall lead and there are none: nobody would steer."""
    from vibrissa.control.keys import NoKeys

    if who == "keyboard" and isinstance(keys, NoKeys):
        raise UsageError("--pilot keyboard: its keys come from a terminal, and there is none here.")


def open_leader(rig: Rig, who: str, stand: Stand, keys: Keys, opened: ExitStack, say: Say) -> Lead:
    """Whoever leads by hand, open until `opened` is closed; for "keyboard" with some of `keys`."""
    from vibrissa.commands.checked import check_rig, examine
    from vibrissa.control.forward import Eased
    from vibrissa.control.jog import JOG_KEYS, KEYS_TOLD, Jog, KeySpeeds
    from vibrissa.control.keys import split

    contract, keeps = stand.arm.contract, stand.real is not None
    if who == "keyboard":
        jogging, rest = split(keys, JOG_KEYS)
        jog = Jog(KeySpeeds(jogging, len(contract.action)), contract, keeps=keeps)
        return Lead(jog, rest, part=jog.part, told=KEYS_TOLD)
    if who == "gamepad":
        from vibrissa.real.gamepad import TOLD, Gamepad

        jog = Jog(opened.enter_context(Gamepad()), contract, keeps=keeps)
        return Lead(jog, keys, part=jog.part, told=TOLD)
    if rig.leader is None or rig.leader.kind != "so101":
        raise UsageError(
            "a leader arm is wanted, and the file names none. Add, below arm: leader: {kind: "
            "so101, port: /dev/serial/by-id/…}, or lead with --pilot keyboard or gamepad."
        )
    from vibrissa.real.leader import Leader

    if stand.real is None:  # otherwise both were judged together, before the arm had torque
        check_rig(rig, say, led=True)
    leader = Leader(rig.leader, retries=rig.arm.read_retries, say=say, examine=examine)
    eased = Eased(opened.enter_context(leader), keeps=keeps)
    return Lead(eased, keys, part=eased.part)


def leader_of(rig: Rig) -> str:
    """How the rig is led, as a pilot's name; empty where nobody leads it."""
    if rig.leader is None:
        return ""
    return "leader" if rig.leader.kind == "so101" else rig.leader.kind


def replay_lead(dataset: Path, episode: int, keys: Keys) -> Lead:
    """A recorded episode's actions, whatever unit they were recorded in."""
    from vibrissa.control.pilots import Replay
    from vibrissa.data.dataset import open_dataset
    from vibrissa.data.recorded import motion_of

    return Lead(Replay(motion_of(open_dataset(dataset), episode).action), keys)


def live_view(live: bool, file: Path | None, opened: ExitStack) -> tuple[Observer, ...]:
    """The live view that was asked for, if any, open until `opened` is closed."""
    if not live and file is None:
        return ()
    from vibrissa.show.live import Live

    return (opened.enter_context(Live(file)),)


def _picked(cameras: Sequence[CameraCfg], names: Sequence[str]) -> tuple[CameraCfg, ...]:
    have = {camera.name: camera for camera in cameras}
    unknown = [name for name in names if name not in have]
    if unknown:
        there = ", ".join(have) or "none"
        raise UsageError(f"--cameras {' '.join(unknown)}: the rig has: {there}.")
    return tuple(have[name] for name in names)
